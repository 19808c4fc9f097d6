//! Twilio.

use aws_lc_rs::hmac;

use super::{Call, FRESHNESS, SECRET, rules};
use crate::authn::webhook::keys::Keys;
use crate::authn::webhook::{Rules, Scheme};
use crate::verdict::Reason;

const FORM: &str = "application/x-www-form-urlencoded";

/// The token of the examples in Twilio's libraries, which is shorter than any that we take.
fn published() -> Rules {
    Rules {
        scheme: Scheme::Twilio,
        freshness: FRESHNESS,
        keys: Keys::weak(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"12345"),
    }
}

fn form(body: &str) -> Call {
    Call::post(body).with("content-type", FORM)
}

#[test]
fn verifies_the_published_examples() {
    let body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let call = Call::new("POST", url, body)
        .with("content-type", FORM)
        .with("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert!(call.verify(&published()).is_ok());
    let json = r#"{"property": "value", "boolean": true}"#;
    let digest = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let call = Call::new("POST", &format!("{url}&bodySHA256={digest}"), json)
        .with("content-type", "application/json")
        .with("x-twilio-signature", "a9nBmqA0ju/hNViExpshrM61xv4=");
    assert!(call.verify(&published()).is_ok());
}

#[test]
fn reads_parameters_in_any_order_and_equal_pairs_once() {
    let rules = rules(Scheme::Twilio, &[SECRET]);
    let call = form("b=2&a=1&b=10&B=3&c=").signed(&Scheme::Twilio, SECRET);
    assert_eq!(
        call.signed_text(&rules),
        b"https://api.example.com/hooks?a=bB3a1b10b2c"
    );
    for same in [
        "a=1&b=2&b=10&B=3&c=",
        "c=&B=3&b=10&b=2&a=1",
        "b=2&a=1&b=10&B=3&c=&a=1",
        "b=2&a=1&b=10&B=3&%63=",
    ] {
        assert!(call.clone().body(same).verify(&rules).is_ok(), "{same}");
    }
    for other in [
        "b=2&a=1&b=10&B=3",
        "b=2&a=1&b=10&B=3&c=0",
        "b=2&a=1&b=10&b=3&c=",
        "b=2&a=1&b=1&B=3&c=",
        "b=2&a=1&b=10&B=3&c=&d=",
        "b=2&a=1&b=10&B=3&c=+",
        "",
    ] {
        assert_eq!(
            call.clone().body(other).reason(&rules),
            Some(Reason::SignatureMismatch),
            "{other}"
        );
    }
}

#[test]
fn refuses_a_form_with_two_readings() {
    let rules = rules(Scheme::Twilio, &[SECRET]);
    let call = form("a=1").signed(&Scheme::Twilio, SECRET);
    let many = "a=1&".repeat(1_000) + "a=1";
    for bad in [
        "a", "a=1&", "&a=1", "a=1&&b=2", "=1", "a=%", "a=%4", "a=%zz", "%g1=a", &many,
    ] {
        let call = call.clone().body(bad);
        assert_eq!(
            call.reason(&rules),
            Some(Reason::SignatureMalformed),
            "{bad}"
        );
    }
}

#[test]
fn the_address_counts_with_its_port_and_without() {
    let rules = rules(Scheme::Twilio, &[SECRET]);
    let signed_for = |url: &str| Call::new("GET", url, "").signed(&Scheme::Twilio, SECRET);
    let tag = |url: &str| signed_for(url).value("x-twilio-signature");
    for (sent, signed, good) in [
        ("https://a.com/x", "https://a.com/x", true),
        ("https://a.com/x", "https://a.com:443/x", true),
        ("https://a.com:443/x", "https://a.com/x", true),
        ("https://a.com:8443/x", "https://a.com:8443/x", true),
        ("https://a.com:8443/x", "https://a.com/x", true),
        ("http://a.com/x", "http://a.com:80/x", true),
        ("https://[::1]/x", "https://[::1]:443/x", true),
        ("https://[::1]:8443/x", "https://[::1]/x", true),
        ("https://a.com/x", "https://a.com:80/x", false),
        ("http://a.com/x", "http://a.com:443/x", false),
        ("https://a.com/x", "https://a.com:8443/x", false),
        ("https://a.com:8443/x", "https://a.com:443/x", false),
        ("http://a.com/x", "https://a.com/x", false),
        ("https://a.com/x", "https://a.com/x/", false),
        ("https://a.com/x?", "https://a.com/x", false),
        ("https://a.com/x?a=%20", "https://a.com/x?a=+", false),
        ("https://a.com/x?a=1&b=2", "https://a.com/x?b=2&a=1", false),
        ("https://b.com/x", "https://a.com/x", false),
    ] {
        let call = Call::new("GET", sent, "").with("x-twilio-signature", tag(signed));
        assert_eq!(call.verify(&rules).is_ok(), good, "{sent} {signed}");
    }
}

#[test]
fn a_body_is_covered_or_refused() {
    let rules = rules(Scheme::Twilio, &[SECRET]);
    let call = form("a=1").signed(&Scheme::Twilio, SECRET);
    for good in [
        FORM,
        "Application/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
    ] {
        assert!(
            call.clone()
                .set("content-type", good)
                .verify(&rules)
                .is_ok()
        );
    }
    for (content_type, reason) in [
        ("text/plain", Reason::SignatureIncomplete),
        ("application/json", Reason::SignatureIncomplete),
        ("multipart/form-data", Reason::SignatureIncomplete),
        ("", Reason::SignatureIncomplete),
        (
            "application/x-www-form-urlencodedx",
            Reason::SignatureIncomplete,
        ),
        (
            "application/x-www-form-urlencoded,text/plain",
            Reason::SignatureMalformed,
        ),
        (
            "application/x-www-form-urlencoded; a=b,text/plain",
            Reason::SignatureMalformed,
        ),
    ] {
        let call = call.clone().set("content-type", content_type);
        assert_eq!(call.reason(&rules), Some(reason), "{content_type}");
    }
    let bare = call.clone().without("content-type");
    assert_eq!(bare.reason(&rules), Some(Reason::SignatureIncomplete));
    let twice = call.with("content-type", FORM);
    assert_eq!(twice.reason(&rules), Some(Reason::SignatureMalformed));
}

#[test]
fn a_body_that_is_no_form_is_covered_by_its_digest() {
    let rules = rules(Scheme::Twilio, &[SECRET]);
    let call = Call::post("{}")
        .with("content-type", "application/json")
        .signed(&Scheme::Twilio, SECRET);
    assert!(call.verify(&rules).is_ok());
    for other in ["", "{ }", "{}\n"] {
        let call = call.clone().body(other);
        assert_eq!(call.reason(&rules), Some(Reason::BodyDigestMismatch));
    }
    // With the body gone, and with it read as a form.
    let call_as_form = call.clone().set("content-type", FORM);
    assert_eq!(
        call_as_form.clone().body("").reason(&rules),
        Some(Reason::SignatureMalformed)
    );
    assert_eq!(
        call_as_form.body("a=b").reason(&rules),
        Some(Reason::SignatureMalformed)
    );
    let with_query = |change: &dyn Fn(String) -> String| {
        let mut call = call.clone();
        let query = String::from_utf8(call.query.unwrap()).unwrap();
        call.query = Some(change(query).into_bytes());
        call.reason(&rules)
    };
    let twice = |query: String| format!("{query}&{query}");
    assert_eq!(with_query(&twice), Some(Reason::SignatureMalformed));
    let escaped = |query: String| format!("{query}&body%53HA256=00");
    assert_eq!(with_query(&escaped), Some(Reason::SignatureMalformed));
    let short = |query: String| query.get(..query.len() - 1).unwrap().to_owned();
    assert_eq!(with_query(&short), Some(Reason::SignatureMalformed));
    let empty = |_| "bodySHA256".to_owned();
    assert_eq!(with_query(&empty), Some(Reason::SignatureMalformed));
    let longer = |query: String| format!("{query}&x=y");
    assert_eq!(with_query(&longer), Some(Reason::SignatureMismatch));
    let gone = |_| String::new();
    assert_eq!(with_query(&gone), Some(Reason::SignatureIncomplete));
}

#[test]
fn the_algorithm_is_what_the_settings_say() {
    let rules = rules(Scheme::Twilio, &[SECRET]);
    let name = "x-twilio-webhooks-signature-settings";
    let call = form("a=1").signed(&Scheme::Twilio, SECRET);
    for good in ["key=k,algorithm=HMAC_SHA1", "algorithm=HMAC_SHA1", "key=k"] {
        assert!(call.clone().with(name, good).verify(&rules).is_ok());
    }
    for (bad, reason) in [
        // Twenty bytes where thirty-two belong.
        ("key=k,algorithm=HMAC_SHA256", Reason::SignatureMalformed),
        (
            "key=k,algorithm=HMAC_MD5",
            Reason::SignatureAlgorithmRefused,
        ),
        ("key=k,algorithm=none", Reason::SignatureAlgorithmRefused),
        ("key=k,algorithm=", Reason::SignatureAlgorithmRefused),
        ("", Reason::SignatureMalformed),
        ("key", Reason::SignatureMalformed),
        ("key=k,alg=HMAC_SHA1", Reason::SignatureMalformed),
        (
            "algorithm=HMAC_SHA1,algorithm=HMAC_SHA256",
            Reason::SignatureMalformed,
        ),
        ("key=k,key=l", Reason::SignatureMalformed),
    ] {
        let call = call.clone().with(name, bad);
        assert_eq!(call.reason(&rules), Some(reason), "{bad}");
    }
}

/// Not wanted, but Twilio's: this is what the page for operators warns of.
#[test]
fn a_border_between_name_and_value_is_not_signed() {
    let rules = rules(Scheme::Twilio, &[SECRET]);
    let call = form("Body=hello&From=1").signed(&Scheme::Twilio, SECRET);
    assert!(call.body("Bo=dyhello&From=1").verify(&rules).is_ok());
}
