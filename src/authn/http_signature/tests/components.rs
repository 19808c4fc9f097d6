//! The value of each component: the examples of RFC 9421 section 2, and what has none.

use super::{Sent, reason};
use crate::request::body::Body;
use crate::verdict::Reason;

/// The lines of the base of a signature over `components`, without the last one.
fn lines(sent: &Sent, components: &str) -> Result<String, Reason> {
    let sent = sent
        .clone()
        .with(
            "signature-input",
            &format!("s=({components});keyid=\"key\""),
        )
        .with("signature", "s=:AAAA:");
    let base = sent.base().map_err(|refusal| refusal.reason)?;
    let (lines, parameters) = base.rsplit_once('\n').unwrap();
    assert_eq!(
        parameters,
        format!("\"@signature-params\": ({components});keyid=\"key\"")
    );
    Ok(lines.to_owned())
}

fn value(sent: &Sent, component: &str) -> Result<String, Reason> {
    let line = lines(sent, component)?;
    let value = line
        .strip_prefix(component)
        .unwrap()
        .strip_prefix(": ")
        .unwrap();
    Ok(value.to_owned())
}

fn get(url: &str) -> Sent {
    Sent::new("GET", url, &[], "")
}

fn header(value: &str) -> Sent {
    Sent::new("GET", "https://www.example.com/", &[("x", value)], "")
}

#[test]
fn section_2_1_fields() {
    let sent = Sent::new(
        "GET",
        "https://www.example.com/",
        &[
            ("Host", "www.example.com"),
            ("Date", "Tue, 20 Apr 2021 02:07:56 GMT"),
            ("X-OWS-Header", "   Leading and trailing whitespace.   "),
            ("X-Obs-Fold-Header", "Obsolete\r\n    line folding."),
            ("Cache-Control", "max-age=60"),
            ("Cache-Control", "    must-revalidate"),
            ("Example-Dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c)"),
            ("X-Empty-Header", " "),
        ],
        "",
    );
    for (component, expected) in [
        ("\"host\"", "www.example.com"),
        ("\"date\"", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("\"x-ows-header\"", "Leading and trailing whitespace."),
        ("\"x-obs-fold-header\"", "Obsolete line folding."),
        ("\"cache-control\"", "max-age=60, must-revalidate"),
        ("\"example-dict\"", "a=1,    b=2;x=1;y=2,   c=(a   b   c)"),
        ("\"x-empty-header\"", ""),
        ("\"example-dict\";sf", "a=1, b=2;x=1;y=2, c=(a b c)"),
        ("\"cache-control\";sf", "max-age=60, must-revalidate"),
    ] {
        assert_eq!(
            value(&sent, component).as_deref(),
            Ok(expected),
            "{component}"
        );
    }
}

#[test]
fn section_2_1_2_members() {
    let sent = Sent::new(
        "GET",
        "https://www.example.com/",
        &[
            ("example-dict", "a=1, b=2;x=1;y=2, "),
            ("example-dict", "c=(a   b    c), d"),
        ],
        "",
    );
    // A trailing comma is no structured field, whatever line it ends.
    assert_eq!(
        value(&sent, "\"example-dict\";key=\"a\""),
        Err(Reason::SignatureComponentRefused)
    );
    let sent = Sent::new(
        "GET",
        "https://www.example.com/",
        &[
            ("example-dict", "a=1, b=2;x=1;y=2"),
            ("example-dict", "c=(a   b    c), d"),
        ],
        "",
    );
    for (component, expected) in [
        ("\"example-dict\";key=\"a\"", "1"),
        ("\"example-dict\";key=\"d\"", "?1"),
        ("\"example-dict\";key=\"b\"", "2;x=1;y=2"),
        ("\"example-dict\";key=\"c\"", "(a b c)"),
        ("\"example-dict\";key=\"c\";sf", "(a b c)"),
        ("\"example-dict\";sf;key=\"c\"", "(a b c)"),
    ] {
        assert_eq!(
            value(&sent, component).as_deref(),
            Ok(expected),
            "{component}"
        );
    }
    assert_eq!(
        value(&sent, "\"example-dict\";key=\"e\""),
        Err(Reason::SignatureComponentRefused)
    );
}

#[test]
fn section_2_1_3_wrapped_lines() {
    let two = Sent::new(
        "GET",
        "https://www.example.com/",
        &[
            ("example-header", "value, with, lots"),
            ("example-header", "of, commas"),
        ],
        "",
    );
    let one = Sent::new(
        "GET",
        "https://www.example.com/",
        &[("example-header", "value, with, lots, of, commas")],
        "",
    );
    let component = "\"example-header\";bs";
    assert_eq!(
        value(&two, component).as_deref(),
        Ok(":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:")
    );
    assert_eq!(
        value(&one, component).as_deref(),
        Ok(":dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:")
    );
    let folded = Sent::new(
        "GET",
        "https://www.example.com/",
        &[("example-header", " a \r\n\t b ")],
        "",
    );
    assert_eq!(value(&folded, component).as_deref(), Ok(":YSBi:"));
    let mut bytes = folded.without("example-header");
    bytes
        .headers
        .push(("example-header".into(), vec![0xff, 0x01]));
    assert_eq!(value(&bytes, component).as_deref(), Ok(":/wE=:"));
}

#[test]
fn section_2_2_derived_components() {
    let post = Sent::new("POST", "https://www.example.com/path?param=value", &[], "");
    for (component, expected) in [
        ("\"@method\"", "POST"),
        (
            "\"@target-uri\"",
            "https://www.example.com/path?param=value",
        ),
        ("\"@authority\"", "www.example.com"),
        ("\"@scheme\"", "https"),
        ("\"@request-target\"", "/path?param=value"),
        ("\"@path\"", "/path"),
        ("\"@query\"", "?param=value"),
    ] {
        assert_eq!(
            value(&post, component).as_deref(),
            Ok(expected),
            "{component}"
        );
    }
}

#[test]
fn method_path_and_query_are_taken_as_they_were_sent() {
    let mut lower = get("https://a.example/%7Ea/%2f?a=bat%2Dman&b=%c3");
    lower.method = "get".into();
    assert_eq!(value(&lower, "\"@method\"").as_deref(), Ok("get"));
    assert_eq!(value(&lower, "\"@path\"").as_deref(), Ok("/%7Ea/%2f"));
    assert_eq!(
        value(&lower, "\"@query\"").as_deref(),
        Ok("?a=bat%2Dman&b=%c3")
    );
    for (url, path, query, target) in [
        ("https://a.example", "/", "?", "/"),
        ("https://a.example?x", "/", "?x", "/?x"),
        ("https://a.example/?", "/", "?", "/?"),
        (
            "https://a.example/b?queryString",
            "/b",
            "?queryString",
            "/b?queryString",
        ),
        ("https://a.example/b?c?d", "/b", "?c?d", "/b?c?d"),
    ] {
        let sent = get(url);
        assert_eq!(value(&sent, "\"@path\"").as_deref(), Ok(path), "{url}");
        assert_eq!(value(&sent, "\"@query\"").as_deref(), Ok(query), "{url}");
        assert_eq!(
            value(&sent, "\"@request-target\"").as_deref(),
            Ok(target),
            "{url}"
        );
        let uri = format!("https://a.example{target}");
        assert_eq!(
            value(&sent, "\"@target-uri\"").as_deref(),
            Ok(&*uri),
            "{url}"
        );
    }
}

#[test]
fn the_authority_has_one_form() {
    for (url, authority) in [
        ("https://WWW.Example.com/", "www.example.com"),
        ("https://a.example:443/", "a.example"),
        ("https://a.example:80/", "a.example:80"),
        ("http://a.example:80/", "a.example"),
        ("http://a.example:443/", "a.example:443"),
        ("https://a.example:/", "a.example"),
        ("https://a.example.:8443/", "a.example.:8443"),
        ("https://a.example:4443/", "a.example:4443"),
        ("https://[2001:DB8::443]/", "[2001:db8::443]"),
        ("https://[2001:db8::1]:443/", "[2001:db8::1]"),
        ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
    ] {
        assert_eq!(
            value(&get(url), "\"@authority\"").as_deref(),
            Ok(authority),
            "{url}"
        );
        let (scheme, _) = url.split_once(':').unwrap();
        let uri = format!("{scheme}://{authority}/");
        assert_eq!(
            value(&get(url), "\"@target-uri\"").as_deref(),
            Ok(&*uri),
            "{url}"
        );
    }
}

#[test]
fn host_is_the_authority_even_where_no_such_header_is_sent() {
    let sent = get("https://Api.example.com:8443/");
    assert_eq!(
        value(&sent, "\"host\"").as_deref(),
        Ok("Api.example.com:8443")
    );
    let twin = sent.clone().with("host", "api.example.com:8443");
    assert_eq!(
        value(&twin, "\"host\"").as_deref(),
        Ok("Api.example.com:8443")
    );
    let other = sent.with("host", "evil.example");
    assert_eq!(
        value(&other, "\"host\""),
        Err(Reason::SignatureComponentRefused)
    );
}

#[test]
fn section_2_2_8_query_parameters() {
    let sent = get("https://www.example.com/path?param=value&foo=bar&baz=batman&qux=&flag&&a=1=2");
    let encoded = get(
        "https://www.example.com/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&t=~*%27()!-._&bad=%zz%4",
    );
    for (sent, name, expected) in [
        (&sent, "baz", "batman"),
        (&sent, "qux", ""),
        (&sent, "param", "value"),
        (&sent, "flag", ""),
        (&sent, "a", "1%3D2"),
        (&encoded, "var", "this%20is%20a%20big%0Amultiline%20value"),
        (&encoded, "bar", "with%20plus%20whitespace"),
        (&encoded, "fa%C3%A7ade%22%3A%20", "something"),
        (&encoded, "t", "%7E*%27%28%29%21-._"),
        (&encoded, "bad", "%25zz%254"),
    ] {
        let component = format!("\"@query-param\";name=\"{name}\"");
        assert_eq!(value(sent, &component).as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn refuses_query_parameters_that_could_be_read_twice() {
    let long = format!("https://a.example/?a={}", "x".repeat(70_000));
    for (url, name) in [
        ("https://a.example/?a=1&a=2", "a"),
        ("https://a.example/?a=1&%61=2", "a"),
        ("https://a.example/?a=1&a", "a"),
        ("https://a.example/?b=1", "a"),
        ("https://a.example/", "a"),
        ("https://a.example/?a=%ff", "a"),
        ("https://a.example/?a=1&%ff=2", "a"),
        ("https://a.example/?%ff=2", "%FF"),
        ("https://a.example/?a%20b=1", "a b"),
        ("https://a.example/?a%20b=1", "a+b"),
        ("https://a.example/?%C3%A7=1", "%c3%a7"),
        (&*long, "a"),
    ] {
        let component = format!("\"@query-param\";name=\"{name}\"");
        assert_eq!(
            value(&get(url), &component),
            Err(Reason::SignatureComponentRefused),
            "{url}"
        );
    }
}

#[test]
fn refuses_values_that_cannot_stand_in_a_base() {
    for text in [
        "a\nb", "a\rb", "a\r\nb", "a\0b", "a\u{1}b", "a\u{7f}b", "é", "a\n b", "a\u{b}",
    ] {
        assert_eq!(
            value(&header(text), "\"x\""),
            Err(Reason::SignatureComponentRefused),
            "{text:?}"
        );
    }
    // The line break is what would let one header speak for another component.
    let forged = header("v\n\"@method\": DELETE");
    assert_eq!(
        value(&forged, "\"x\""),
        Err(Reason::SignatureComponentRefused)
    );
    for text in ["a\tb", "a  b", "~!\"\\", "a\r\n \r\n\tb"] {
        assert!(value(&header(text), "\"x\"").is_ok(), "{text:?}");
    }
    let mut odd = get("https://a.example/");
    odd.query = Some(vec![b'a', 0xe9]);
    assert_eq!(
        value(&odd, "\"@query\""),
        Err(Reason::SignatureComponentRefused)
    );
    odd.query = Some(b"a ".to_vec());
    assert_eq!(
        value(&odd, "\"@query\""),
        Err(Reason::SignatureComponentRefused)
    );
    odd.path = b"/a\nb".to_vec();
    assert_eq!(
        value(&odd, "\"@path\""),
        Err(Reason::SignatureComponentRefused)
    );
}

#[test]
fn refuses_components_that_a_request_does_not_have() {
    let sent = Sent::new(
        "GET",
        "https://a.example/?a=1",
        &[("x", "a=1"), ("text", "no, dict=")],
        "",
    );
    for (component, expected) in [
        ("\"@status\"", Reason::SignatureComponentRefused),
        ("\"@signature-params\"", Reason::SignatureComponentRefused),
        ("\"@nonsense\"", Reason::SignatureComponentRefused),
        ("\"@\"", Reason::SignatureComponentRefused),
        ("\"@Method\"", Reason::SignatureComponentRefused),
        ("\"@method\";req", Reason::SignatureComponentRefused),
        ("\"@method\";sf", Reason::SignatureComponentRefused),
        ("\"@path\";name=\"a\"", Reason::SignatureComponentRefused),
        (
            "\"@query-param\";name=\"a\";x",
            Reason::SignatureComponentRefused,
        ),
        ("\"@query-param\"", Reason::SignatureMalformed),
        ("\"@query-param\";name=a", Reason::SignatureMalformed),
        ("\"x\";tr", Reason::SignatureComponentRefused),
        ("\"x\";req", Reason::SignatureComponentRefused),
        ("\"x\";other", Reason::SignatureComponentRefused),
        ("\"x\";bs;sf", Reason::SignatureComponentRefused),
        ("\"x\";bs;key=\"a\"", Reason::SignatureComponentRefused),
        ("\"x\";sf=?0", Reason::SignatureMalformed),
        ("\"x\";bs=1", Reason::SignatureMalformed),
        ("\"x\";key=a", Reason::SignatureMalformed),
        ("\"x\";a;b;c;d;e;f", Reason::SignatureMalformed),
        ("\"y\"", Reason::SignatureComponentRefused),
        ("\"text\";sf", Reason::SignatureComponentRefused),
        ("\"text\";key=\"dict\"", Reason::SignatureComponentRefused),
        ("\"X\"", Reason::SignatureMalformed),
        ("\":path\"", Reason::SignatureMalformed),
        ("\"a b\"", Reason::SignatureMalformed),
        ("\"\"", Reason::SignatureMalformed),
        ("x", Reason::SignatureMalformed),
        ("1", Reason::SignatureMalformed),
        (":eA==:", Reason::SignatureMalformed),
        ("\"x\" \"x\"", Reason::SignatureMalformed),
        ("\"x\" \"@path\" \"@path\"", Reason::SignatureMalformed),
        (
            "\"x\";sf;key=\"a\" \"x\";key=\"a\"",
            Reason::SignatureMalformed,
        ),
    ] {
        assert_eq!(lines(&sent, component), Err(expected), "{component}");
    }
    // The same header in two forms is two components.
    assert!(lines(&sent, "\"x\" \"x\";sf \"x\";bs \"x\";key=\"a\"").is_ok());
}

#[test]
fn texts_name_trailers_for_what_they_are() {
    let sent = Sent::example()
        .with("signature-input", "s=(\"expires\";tr);keyid=\"key\"")
        .with("signature", "s=:AAAA:");
    let detail = sent.base().unwrap_err().detail;
    assert!(detail.contains("trailer"), "{detail}");
}

#[test]
fn what_is_taken_apart_and_what_is_signed_have_bounds() {
    let mut sent = header(&format!("a=\"{}\"", "x".repeat(70_000)));
    for component in ["\"x\";sf", "\"x\";bs", "\"x\";key=\"a\""] {
        assert_eq!(
            value(&sent, component),
            Err(Reason::SignatureComponentRefused),
            "{component}"
        );
    }
    assert!(value(&sent, "\"x\"").is_ok());
    // What several components take apart is counted for each of them.
    let members: Vec<String> = (0..40)
        .map(|name| format!("\"x\";key=\"k{name}\""))
        .collect();
    let dictionary: Vec<String> = (0..500).map(|name| format!("k{name}=1")).collect();
    let dictionary = header(&dictionary.join(", "));
    assert!(lines(&dictionary, &members[..10].join(" ")).is_ok());
    let outcome = lines(&dictionary, &members.join(" "));
    assert_eq!(outcome, Err(Reason::SignatureComponentRefused));
    sent.headers = vec![("x".into(), vec![b'x'; 300_000])];
    assert_eq!(
        value(&sent, "\"x\""),
        Err(Reason::SignatureComponentRefused)
    );
    sent.body = Body::Stream;
    assert_eq!(
        reason(
            sent.with("signature-input", "s=(\"x\");keyid=\"key\"")
                .with("signature", "s=:AAAA:")
                .base()
        ),
        Some(Reason::SignatureComponentRefused)
    );
}
