use bytes::Bytes;
use proptest::prelude::{prop_assert, proptest};

use super::{Container, Held, Reading, Stripped};
use crate::request::Request;
use crate::test_support::{get, raw_bytes};
use crate::verdict::Reason;

fn header() -> Container {
    Container::Header("x-api-key".into())
}

fn query() -> Container {
    Container::Query("api_key".into())
}

fn cookie() -> Container {
    Container::Cookie("session".into())
}

fn value(text: &'static str) -> Result<Held, Reason> {
    Ok(Held::Value(Bytes::from_static(text.as_bytes())))
}

fn scheme(scheme: &'static str, credential: &'static str) -> Result<Held, Reason> {
    Ok(Held::Scheme {
        scheme: Bytes::from_static(scheme.as_bytes()),
        credential: Bytes::from_static(credential.as_bytes()),
    })
}

const NOTHING: Result<Held, Reason> = Ok(Held::Nothing);
const AMBIGUOUS: Result<Held, Reason> = Err(Reason::CredentialsAmbiguous);

fn read(container: &Container, request: &Request) -> Result<Held, Reason> {
    container
        .read(request, &Reading::default())
        .map_err(|refusal| refusal.reason)
}

#[test]
fn h1_a_credential_header_that_repeats_is_refused() {
    for (lines, held) in [
        (&[][..], NOTHING),
        (&[("x-api-key", "a")], value("a")),
        (&[("x-api-key", "a"), ("x-api-key", "a")], AMBIGUOUS),
        (&[("x-api-key", ""), ("x-api-key", "a")], AMBIGUOUS),
        (&[("x-api-key", "a"), ("X-API-KEY", "b")], AMBIGUOUS),
        // As Envoy joins them.
        (&[("x-api-key", "a,b")], AMBIGUOUS),
        (&[("x-api-key", ",")], AMBIGUOUS),
        (&[("x-api-key", "a,")], AMBIGUOUS),
    ] {
        assert_eq!(read(&header(), &get("/", lines)), held, "{lines:?}");
    }
}

#[test]
fn h10_a_header_is_found_whatever_its_case() {
    for name in ["x-api-key", "X-Api-Key", "X-API-KEY"] {
        assert_eq!(
            read(&header(), &get("/", &[(name, "a")])),
            value("a"),
            "{name}"
        );
    }
    for name in ["x-api-key2", "x_api_key", "xapikey"] {
        assert_eq!(
            read(&header(), &get("/", &[(name, "a")])),
            NOTHING,
            "{name}"
        );
    }
}

#[test]
fn k3_an_empty_value_is_no_credential() {
    for text in ["", " ", "\t \t"] {
        assert_eq!(read(&header(), &get("/", &[("x-api-key", text)])), NOTHING);
    }
    assert_eq!(
        read(&header(), &get("/", &[("x-api-key", " a ")])),
        value("a")
    );
    assert_eq!(read(&query(), &get("/?api_key=", &[])), NOTHING);
    assert_eq!(read(&query(), &get("/?api_key", &[])), NOTHING);
    for text in ["session=", "session", "session=\"\""] {
        assert_eq!(read(&cookie(), &get("/", &[("cookie", text)])), NOTHING);
    }
}

#[test]
fn h13_splits_scheme_and_credential_at_spaces_only() {
    let authorization = Container::Header("authorization".into());
    for (text, held) in [
        ("", NOTHING),
        ("  ", NOTHING),
        ("Bearer", scheme("Bearer", "")),
        ("Bearer ", scheme("Bearer", "")),
        ("Bearer a", scheme("Bearer", "a")),
        ("bEARER a", scheme("bEARER", "a")),
        ("  Bearer    a  ", scheme("Bearer", "a")),
        ("Bearer a b", scheme("Bearer", "a b")),
        ("Bearer\ta", scheme("Bearer\ta", "")),
        ("a", scheme("a", "")),
        ("Bearer a,Bearer b", AMBIGUOUS),
        ("Bearer a, b", AMBIGUOUS),
        ("Bearer,", AMBIGUOUS),
        ("Basic YTpi,Bearer x", AMBIGUOUS),
        ("Bearer a=b,c=d", AMBIGUOUS),
        // A list of a scheme that nobody reads, and two credentials that look a little like one.
        (
            "Digest user=\"a\", uri=\"/\"",
            scheme("Digest", "user=\"a\", uri=\"/\""),
        ),
        ("Digest user=\"a\",Bearer x=", AMBIGUOUS),
        ("Digest user=\"a\",x", AMBIGUOUS),
    ] {
        let request = get("/", &[("authorization", text)]);
        let by_scheme = Reading {
            by_scheme: true,
            schemes: vec!["Bearer".into()],
            ..Reading::default()
        };
        let read = authorization.read(&request, &by_scheme);
        assert_eq!(read.map_err(|refusal| refusal.reason), held, "{text:?}");
    }
}

#[test]
fn h8_bytes_that_are_no_text_stay_as_they_were_sent() {
    let request = raw_bytes("GET", b"/", &[("x-api-key", b"a\xff\x00b")]);
    let request = Request::read(request, &crate::request::Reading::default()).unwrap();
    let held = Held::Value(Bytes::from_static(b"a\xff\x00b"));
    assert_eq!(read(&header(), &request), Ok(held));
}

#[test]
fn finds_a_query_parameter_by_its_decoded_name() {
    for (target, held) in [
        ("/?api_key=a", value("a")),
        ("/?x=1&api%5Fkey=a%2Bb+c", value("a+b c")),
        ("/?%61%70i_key=a", value("a")),
        ("/?API_KEY=a", NOTHING),
        ("/?xapi_key=a", NOTHING),
        ("/?x=api_key=a", NOTHING),
        ("/api_key=a", NOTHING),
        ("/?api_key=a&api_key=a", AMBIGUOUS),
        ("/?api_key=a&api%5fkey=b", AMBIGUOUS),
        ("/?api_key=&api_key=b", AMBIGUOUS),
        ("/?api_key&api_key=b", AMBIGUOUS),
    ] {
        assert_eq!(read(&query(), &get(target, &[])), held, "{target}");
    }
}

#[test]
fn h14_finds_a_cookie_however_lines_were_joined() {
    for (lines, held) in [
        (&["session=a"][..], value("a")),
        (&["x=1; session=a;y=2"], value("a")),
        (&[" session=a "], value("a")),
        (&["session=\"a\""], value("a")),
        (&["session=a=b=="], value("a=b==")),
        (&["x=1", "session=a"], value("a")),
        (&["session=a; session=a"], AMBIGUOUS),
        (&["session=a", "session=b"], AMBIGUOUS),
        (&["session=; session=b"], AMBIGUOUS),
        (&["session=a,session=b"], AMBIGUOUS),
        (&["session=a, x=1"], AMBIGUOUS),
        (&["x=1,session=a"], AMBIGUOUS),
        (&["x=1, session =a"], AMBIGUOUS),
        (&["session =a"], value("a")),
        (&["x=1,session2=a,sessions"], NOTHING),
        (&["Session=a"], NOTHING),
        (&["xsession=a"], NOTHING),
        (&["session2=a"], NOTHING),
        (&["x=session=a"], NOTHING),
        (&[";;=;x"], NOTHING),
    ] {
        let lines: Vec<(&str, &str)> = lines.iter().map(|line| ("cookie", *line)).collect();
        assert_eq!(read(&cookie(), &get("/", &lines)), held, "{lines:?}");
    }
}

fn stripped(request: &Request) -> Stripped {
    Stripped::from_request(request, [&header(), &query(), &cookie()])
}

#[test]
fn takes_credentials_out_and_leaves_the_rest() {
    for (target, line, parameters, rest) in [
        ("/?a=1", "", &[][..], None),
        ("/?api_key=k&a=1", "x=1", &["api_key"], None),
        ("/?api%5Fkey=k", "session=s", &["api%5Fkey"], Some("")),
        (
            "/?api_key=k&api%5fkey=l",
            "x=1; session=s",
            &["api_key", "api%5fkey"],
            Some("x=1"),
        ),
        ("/", "session=s; y=\"2\" ;z", &[], Some("y=\"2\"; z")),
        ("/", "session", &[], Some("")),
        ("/", "x=1; xsession=s", &[], None),
    ] {
        let stripped = stripped(&get(target, &[("cookie", line)]));
        assert_eq!(stripped.headers, ["x-api-key"]);
        assert_eq!(stripped.parameters, parameters, "{target}");
        let cookie = stripped.cookie.map(|rest| String::from_utf8(rest).unwrap());
        assert_eq!(cookie.as_deref(), rest, "{line}");
    }
}

#[test]
fn what_is_held_is_not_shown() {
    for held in [value("hunter2"), scheme("Bearer", "hunter2")] {
        assert!(!format!("{held:?}").contains("hunter2"));
    }
}

proptest! {
    /// What is left of `Cookie` holds no cookie of that name, however the line was written, and every
    /// other cookie.
    #[test]
    fn no_taken_cookie_survives(
        pairs in proptest::collection::vec("(session|x|y|sess ion)( ?= ?[a-z\"]{0,3})?", 0..6),
        joint in "; ?|;;| ; ",
    ) {
        let line = pairs.join(&joint);
        let request = get("/", &[("cookie", &line)]);
        if let Some(rest) = stripped(&request).cookie {
            let rest = String::from_utf8(rest).unwrap();
            let again = get("/", &[("cookie", &rest)]);
            prop_assert!(read(&cookie(), &again) == NOTHING, "{rest}");
            prop_assert!(stripped(&again).cookie.is_none(), "{rest}");
            let others = |line: &str| {
                let others = line.split(';').map(str::trim).map(str::to_owned);
                others
                    .filter(|pair| !pair.is_empty() && pair.split('=').next().map(str::trim) != Some("session"))
                    .collect::<Vec<_>>()
            };
            prop_assert!(others(&line) == others(&rest), "{line} became {rest}");
        }
    }

    /// Whatever the query, removing the parameters that are named leaves none that would be read.
    #[test]
    fn every_spelling_of_a_parameter_is_named(
        query_text in "(api_key|api%5[fF]key|%61pi_key|a|\\+)(=[a-z%]{0,3})?(&(api_key|api%5Fkey|b)(=x)?){0,3}",
    ) {
        let request = get(&format!("/?{query_text}"), &[]);
        let removed = stripped(&request).parameters;
        let rest: Vec<&str> = query_text
            .split('&')
            .filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                !removed.iter().any(|removed| *removed == name)
            })
            .collect();
        let rest = get(&format!("/?{}", rest.join("&")), &[]);
        prop_assert!(read(&query(), &rest) == NOTHING);
    }
}
