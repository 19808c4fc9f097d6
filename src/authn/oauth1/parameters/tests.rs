use super::{Place, is_form};
use crate::authn::oauth1::tests::sample::{CONSUMER, FORM, Sample};
use crate::headers::Headers;
use crate::verdict::Reason;

fn own() -> String {
    format!(
        "oauth_consumer_key={CONSUMER}&oauth_signature_method=HMAC-SHA1&oauth_signature=AAAA&oauth_timestamp=1&oauth_nonce=n"
    )
}

fn header() -> String {
    format!("OAuth {}\"", own().replace('=', "=\"").replace('&', "\","))
}

#[test]
fn finds_them_in_each_place() {
    let url = "https://api.example.com/?a=1";
    for (sample, place) in [
        (
            Sample::new("GET", url).header("authorization", &header()),
            Place::Header,
        ),
        (
            Sample::new("GET", &format!("{url}&{}", own())),
            Place::Query,
        ),
        (Sample::new("POST", url).body(FORM, &own()), Place::Body),
        (
            Sample::new(
                "GET",
                &format!("{url}&{}", own().replace("oauth_", "%6fauth%5F")),
            ),
            Place::Query,
        ),
        (
            Sample::new("GET", &format!("{url}&{}", own())).header("authorization", "Bearer x"),
            Place::Query,
        ),
    ] {
        assert_eq!(sample.read().unwrap().unwrap().place(), place);
    }
}

#[test]
fn refuses_two_places() {
    let url = "https://api.example.com/";
    let in_query = format!("{url}?oauth_callback=x");
    for sample in [
        Sample::new("GET", &in_query).header("authorization", &header()),
        Sample::new("GET", &format!("{url}?%6Fauth_other")).header("authorization", &header()),
        Sample::new("POST", url)
            .body(FORM, "oauth_token=x")
            .header("authorization", &header()),
        Sample::new("POST", &in_query).body(FORM, &own()),
        Sample::new("POST", &in_query)
            .body(FORM, &own())
            .header("authorization", &header()),
    ] {
        let refusal = sample.read().unwrap_err();
        assert_eq!(refusal.reason, Reason::CredentialsAmbiguous);
        assert!(refusal.detail.contains("one place"));
    }
}

#[test]
fn refuses_escapes_that_are_none_once_there_is_a_credential() {
    for bad in ["a=%", "a=%4", "%zz=1", "a=%4x&b=2"] {
        let url = format!("https://api.example.com/?{bad}");
        let in_query = Sample::new("GET", &url).header("authorization", &header());
        let in_form = Sample::new("POST", "https://api.example.com/").body(FORM, bad);
        for (sample, place) in [
            (in_query, "query"),
            (in_form.header("authorization", &header()), "form"),
        ] {
            let refusal = sample.read().unwrap_err();
            assert_eq!(refusal.reason, Reason::SignatureMalformed);
            assert!(refusal.detail.contains(place), "{}", refusal.detail);
        }
    }
}

#[test]
fn refuses_a_header_without_any_of_them() {
    for line in ["OAuth realm=\"x\"", "OAuth foo=\"bar\""] {
        let sample = Sample::new("GET", "https://api.example.com/").header("authorization", line);
        assert_eq!(
            sample.read().unwrap_err().reason,
            Reason::SignatureMalformed
        );
    }
    let more = header() + ",foo=\"bar\"";
    let sample = Sample::new("GET", "https://api.example.com/").header("authorization", &more);
    assert_eq!(
        sample.read().unwrap_err().reason,
        Reason::SignatureMalformed
    );
}

#[test]
fn refuses_more_parameters_than_it_counts() {
    // The header has five.
    for (count, good) in [(995, true), (996, false), (50_000, false)] {
        let url = format!("https://api.example.com/?{}", "a&".repeat(count));
        let sample = Sample::new("GET", &url).header("authorization", &header());
        assert_eq!(sample.read().is_ok(), good, "{count}");
    }
    let half = "a&".repeat(500);
    let sample = Sample::new("POST", &format!("https://api.example.com/?{half}"))
        .body(FORM, &half)
        .header("authorization", &header());
    assert_eq!(
        sample.read().unwrap_err().reason,
        Reason::SignatureMalformed
    );
}

#[test]
fn knows_a_form() {
    let read = |lines: &[&str]| {
        is_form(&Headers::new(
            lines.iter().map(|line| ("Content-Type", line)),
        ))
        .map_err(|refusal| refusal.reason)
    };
    for (line, form) in [
        (FORM, true),
        ("APPLICATION/X-WWW-FORM-URLENCODED", true),
        (" application/x-www-form-urlencoded ;charset=utf-8", true),
        ("application/x-www-form-urlencoded;", true),
        ("application/json", false),
        ("multipart/form-data; boundary=x", false),
        ("", false),
    ] {
        assert_eq!(read(&[line]), Ok(form), "{line}");
    }
    assert_eq!(read(&[]), Ok(false));
    for lines in [
        &[FORM, FORM][..],
        &[FORM, "text/plain"],
        &["text/plain", "text/plain"],
        &["application/x-www-form-urlencoded,text/plain"],
        &["text/plain,application/x-www-form-urlencoded"],
        &["a/b,c/d"],
        &["application/x-www-form-urlencodedx"],
        &["application /x-www-form-urlencoded"],
        &["x-www-form-urlencoded"],
        &["text/plain; application/X-WWW-form-urlencoded"],
    ] {
        assert_eq!(read(lines), Err(Reason::SignatureMalformed), "{lines:?}");
    }
}
