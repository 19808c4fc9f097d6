use std::time::Duration;

use crate::authn::oauth1::key::ConsumerKey;
use crate::authn::oauth1::tests::sample::{
    CONSUMER, FORM, NONCE, NOW, SECRET, Sample, TOKEN, TOKEN_SECRET, rules, secret,
};
use crate::authn::oauth1::{Keys, Rules, SignatureMethod, base_string};
use crate::authn::signature::{Accepted, Freshness};
use crate::clock::Timestamp;
use crate::request::body::Body;
use crate::verdict::{Reason, Refusal};

pub(super) const URL: &str = "https://api.example.com/orders?state=open";

pub(super) fn reason(judged: Result<Accepted, Refusal>) -> Reason {
    judged.expect_err("accepted").reason
}

pub(super) fn signed() -> Sample {
    Sample::new("GET", URL).signed(SignatureMethod::HmacSha256, true)
}

/// A `PLAINTEXT` request with these parameters besides.
pub(super) fn plaintext(url: &str, more: &str) -> Sample {
    let own = format!(
        "{url}?oauth_consumer_key={CONSUMER}&oauth_signature_method=PLAINTEXT&oauth_signature={SECRET}%26{more}"
    );
    Sample::new("GET", &own)
}

#[test]
fn a_request_without_any_of_the_parameters_has_no_credential() {
    for sample in [
        Sample::new("GET", "https://api.example.com/"),
        Sample::new(
            "GET",
            "https://api.example.com/?a=%zz&xoauth_requestor_id=1",
        ),
        Sample::new("GET", "https://api.example.com/?a=oauth_token"),
        Sample::new("GET", "https://api.example.com/").header("authorization", "Bearer abc"),
        Sample::new("POST", "https://api.example.com/").body(FORM, "a=1&b=%"),
        Sample::new("POST", "https://api.example.com/").body("text/plain", "oauth_token=1"),
        Sample::new("POST", "https://api.example.com/")
            .body("a, application/x-www-form-urlencoded", "oauth_token=1"),
    ] {
        assert!(sample.read().unwrap().is_none());
        assert!(sample.with(base_string).is_err());
    }
    let mut withheld = Sample::new("POST", "https://api.example.com/").body(FORM, "");
    withheld.body = Body::Withheld;
    assert!(withheld.read().unwrap().is_none());
}

#[test]
fn accepts_with_and_without_a_token_and_says_what_is_used_once() {
    for (token, used) in [
        (true, format!("{NOW}\n{NONCE}\n{TOKEN}")),
        (false, format!("{NOW}\n{NONCE}\n")),
    ] {
        for method in [
            SignatureMethod::HmacSha1,
            SignatureMethod::HmacSha256,
            SignatureMethod::Plaintext,
        ] {
            let accepted = Sample::new("GET", URL)
                .signed(method, token)
                .verify(&rules())
                .unwrap();
            let until = Timestamp::from_seconds(NOW + 300);
            assert_eq!(accepted.created, Some(Timestamp::from_seconds(NOW)));
            assert_eq!(accepted.until, Some(until));
            let once = accepted.once.unwrap();
            assert_eq!((once.value, once.until), (used.clone().into_bytes(), until));
        }
    }
}

#[test]
fn an_empty_token_is_none() {
    let sample = plaintext(
        "https://api.example.com/",
        &format!("&oauth_token=&oauth_timestamp={NOW}&oauth_nonce=n"),
    );
    assert_eq!(sample.read().unwrap().unwrap().token(), None);
    sample.verify(&rules()).unwrap();
}

#[test]
fn refuses_the_wrong_secrets() {
    let now = Timestamp::from_seconds(NOW);
    for method in [
        SignatureMethod::HmacSha1,
        SignatureMethod::HmacSha256,
        SignatureMethod::Plaintext,
    ] {
        let request = Sample::new("GET", URL)
            .signed(method, true)
            .read()
            .unwrap()
            .unwrap();
        for (consumer, token) in [
            ("kd94hf93k423kf4", TOKEN_SECRET),
            (SECRET, ""),
            (SECRET, "pfkkdhi9sl3r4s0"),
            (TOKEN_SECRET, SECRET),
            ("x", "x"),
        ] {
            let consumer = ConsumerKey::shared(secret(consumer)).unwrap();
            let token = secret(token);
            let keys = Keys {
                consumer: &consumer,
                token: Some(&token),
            };
            assert_eq!(
                reason(request.verify(&keys, &rules(), now)),
                Reason::SignatureMismatch
            );
        }
    }
}

#[test]
fn refuses_a_token_whose_secret_was_not_found() {
    let now = Timestamp::from_seconds(NOW);
    let consumer = ConsumerKey::shared(secret(SECRET)).unwrap();
    let token = secret(TOKEN_SECRET);
    // Signed with the consumer's secret alone, and naming somebody's token.
    let own = format!(
        "https://api.example.com/?oauth_consumer_key={CONSUMER}&oauth_token={TOKEN}&oauth_signature_method=PLAINTEXT&oauth_signature={SECRET}%26&oauth_timestamp={NOW}&oauth_nonce=n"
    );
    let forged = Sample::new("GET", &own).read().unwrap().unwrap();
    let keys = Keys {
        consumer: &consumer,
        token: None,
    };
    assert_eq!(
        reason(forged.verify(&keys, &rules(), now)),
        Reason::SignatureKeyUnknown
    );
    let alone = Sample::new("GET", URL).signed(SignatureMethod::HmacSha1, false);
    let alone = alone.read().unwrap().unwrap();
    let keys = Keys {
        consumer: &consumer,
        token: Some(&token),
    };
    assert_eq!(
        reason(alone.verify(&keys, &rules(), now)),
        Reason::SignatureKeyUnknown
    );
}

#[test]
fn never_accepts_against_nothing() {
    let now = Timestamp::from_seconds(NOW);
    for method in [
        SignatureMethod::HmacSha1,
        SignatureMethod::HmacSha256,
        SignatureMethod::Plaintext,
    ] {
        let request = Sample::new("GET", URL)
            .signed(method, true)
            .read()
            .unwrap()
            .unwrap();
        let refusal = request.verify_against_nothing(&rules(), now);
        assert_eq!(refusal.reason, Reason::SignatureKeyUnknown);
        let late = Timestamp::from_seconds(NOW + 301);
        let refusal = request.verify_against_nothing(&rules(), late);
        assert_eq!(refusal.reason, Reason::SignatureExpired);
    }
    // Even signed with the very secrets that stand in for an unknown consumer's.
    let x = "x".repeat(40);
    let own = format!(
        "https://api.example.com/?oauth_consumer_key=nobody&oauth_token=t&oauth_signature_method=PLAINTEXT&oauth_signature={x}%26{x}&oauth_timestamp={NOW}&oauth_nonce=n"
    );
    let request = Sample::new("GET", &own).read().unwrap().unwrap();
    let refusal = request.verify_against_nothing(&rules(), now);
    assert_eq!(refusal.reason, Reason::SignatureKeyUnknown);
    for method in ["RSA-SHA1", "RSA-SHA256"] {
        let signature = format!("{}%3D%3D", "A".repeat(342));
        let own = format!(
            "https://api.example.com/?oauth_consumer_key=nobody&oauth_signature_method={method}&oauth_signature={signature}&oauth_timestamp={NOW}&oauth_nonce=n"
        );
        let request = Sample::new("GET", &own).read().unwrap().unwrap();
        let refusal = request.verify_against_nothing(&rules(), now);
        assert_eq!(refusal.reason, Reason::SignatureKeyUnknown);
    }
}

#[test]
fn refuses_a_method_that_is_not_listed_or_does_not_fit_the_key() {
    let only = |method| Rules {
        methods: vec![method],
        ..rules()
    };
    let request = signed();
    request.verify(&only(SignatureMethod::HmacSha256)).unwrap();
    assert_eq!(
        reason(request.verify(&only(SignatureMethod::HmacSha1))),
        Reason::SignatureAlgorithmRefused
    );
    let none = Rules {
        methods: Vec::new(),
        ..rules()
    };
    assert_eq!(
        reason(request.verify(&none)),
        Reason::SignatureAlgorithmRefused
    );
    // The public key is no secret, whatever the request says.
    let rsa = ConsumerKey::rsa(include_bytes!("public.pem")).unwrap();
    let request = Sample::new("GET", URL)
        .signed(SignatureMethod::HmacSha256, false)
        .read()
        .unwrap()
        .unwrap();
    let keys = Keys {
        consumer: &rsa,
        token: None,
    };
    let now = Timestamp::from_seconds(NOW);
    assert_eq!(
        reason(request.verify(&keys, &rules(), now)),
        Reason::SignatureAlgorithmRefused
    );
    let own = format!(
        "https://api.example.com/?oauth_consumer_key={CONSUMER}&oauth_signature_method=RSA-SHA256&oauth_signature=AAAA&oauth_timestamp={NOW}&oauth_nonce=n"
    );
    assert_eq!(
        reason(Sample::new("GET", &own).verify(&rules())),
        Reason::SignatureAlgorithmRefused
    );
}

#[test]
fn plaintext_needs_https() {
    let more = format!("&oauth_timestamp={NOW}&oauth_nonce=n");
    plaintext("https://api.example.com/", &more)
        .verify(&rules())
        .unwrap();
    for url in [
        "http://api.example.com/",
        "://api.example.com/",
        "HTTP://api.example.com/",
    ] {
        assert_eq!(
            reason(plaintext(url, &more).verify(&rules())),
            Reason::TlsRequired
        );
    }
    assert!(
        plaintext("https://api.example.com/", &more)
            .with(base_string)
            .is_err()
    );
}

#[test]
fn plaintext_may_leave_out_the_nonce_by_choice_only() {
    let bare = plaintext("https://api.example.com/", "");
    assert_eq!(reason(bare.verify(&rules())), Reason::SignatureIncomplete);
    let by_choice = Rules {
        plaintext_without_nonce: true,
        ..rules()
    };
    let accepted = bare.verify(&by_choice).unwrap();
    assert!(accepted.once.is_none() && accepted.until.is_none());
    // One with a time is judged by it.
    let old = plaintext(
        "https://api.example.com/",
        "&oauth_timestamp=1&oauth_nonce=n",
    );
    assert_eq!(reason(old.verify(&by_choice)), Reason::SignatureExpired);
    // The choice is for PLAINTEXT alone.
    let own = format!(
        "https://api.example.com/?oauth_consumer_key={CONSUMER}&oauth_signature_method=HMAC-SHA1&oauth_signature=AAAA"
    );
    assert_eq!(
        reason(Sample::new("GET", &own).verify(&by_choice)),
        Reason::SignatureIncomplete
    );
}

#[test]
fn plaintext_is_compared_whole() {
    for bad in [
        "",
        "%26",
        SECRET,
        &format!("{SECRET}%26x"),
        &format!("{SECRET}%2526"),
    ] {
        let own = format!(
            "https://api.example.com/?oauth_consumer_key={CONSUMER}&oauth_signature_method=PLAINTEXT&oauth_signature={bad}&oauth_timestamp={NOW}&oauth_nonce=n"
        );
        let expected = if bad.is_empty() {
            Reason::SignatureMalformed
        } else {
            Reason::SignatureMismatch
        };
        assert_eq!(
            reason(Sample::new("GET", &own).verify(&rules())),
            expected,
            "{bad}"
        );
    }
}

#[test]
fn a_realm_must_be_the_right_one_where_it_is_sent() {
    let asked = Rules {
        realm: Some("orders".into()),
        ..rules()
    };
    let with_realm = |realm: &str| {
        let mut sample = signed();
        let (_, value) = sample.headers.last_mut().unwrap();
        let text = String::from_utf8(value.clone()).unwrap();
        *value = text
            .replace("OAuth ", &format!("OAuth realm=\"{realm}\", "))
            .into_bytes();
        sample
    };
    signed().verify(&asked).unwrap();
    with_realm("orders").verify(&asked).unwrap();
    with_realm("whatever").verify(&rules()).unwrap();
    for other in ["", "Orders", "orders ", "billing"] {
        assert_eq!(
            reason(with_realm(other).verify(&asked)),
            Reason::SignatureScopeMismatch
        );
    }
}

#[test]
fn time_is_judged_with_skew_both_ways() {
    let consumer = ConsumerKey::shared(secret(SECRET)).unwrap();
    let token = secret(TOKEN_SECRET);
    let keys = Keys {
        consumer: &consumer,
        token: Some(&token),
    };
    let request = signed().read().unwrap().unwrap();
    let rules = Rules {
        freshness: Freshness {
            max_age: Duration::from_secs(60),
            clock_skew: Duration::from_secs(5),
        },
        ..rules()
    };
    for (now, expected) in [
        (NOW - 6, Some(Reason::SignatureNotYetValid)),
        (NOW - 5, None),
        (NOW, None),
        (NOW + 60, None),
        (NOW + 61, Some(Reason::SignatureExpired)),
    ] {
        let judged = request.verify(&keys, &rules, Timestamp::from_seconds(now));
        assert_eq!(judged.err().map(|refusal| refusal.reason), expected);
    }
}

#[test]
fn debug_shows_no_signature() {
    let shown = format!("{:?}", signed().read().unwrap().unwrap());
    assert!(
        shown.contains(CONSUMER) && !shown.contains(NONCE),
        "{shown}"
    );
    let more = format!("&oauth_timestamp={NOW}&oauth_nonce=n");
    let shown = format!("{:?}", plaintext("https://api.example.com/", &more).read());
    assert!(!shown.contains(SECRET), "{shown}");
}
