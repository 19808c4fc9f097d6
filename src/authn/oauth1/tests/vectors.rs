//! The examples of the standards, and requests that independent libraries signed.

use serde_json::Value;

use crate::authn::oauth1::key::ConsumerKey;
use crate::authn::oauth1::tests::sample::{FORM, Sample, rules, secret};
use crate::authn::oauth1::{Keys, Place, Rules, SignatureMethod, Unverified, base_string};
use crate::authn::signature::Accepted;
use crate::clock::Timestamp;
use crate::request::body::Body;
use crate::verdict::{Reason, Refusal};

fn verify_at(
    sample: &Sample,
    now: i64,
    consumer: &ConsumerKey,
    token: Option<&str>,
    rules: &Rules,
) -> Result<Accepted, Refusal> {
    let token = token.map(secret);
    let keys = Keys {
        consumer,
        token: token.as_ref(),
    };
    let request = sample.read()?.expect("no OAuth parameters");
    request.verify(&keys, rules, Timestamp::from_seconds(now))
}

#[test]
fn rfc_5849_section_1_2() {
    let photos = ConsumerKey::shared(secret("kd94hf93k423kf44")).unwrap();
    let initiate = "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131200\", oauth_nonce=\"wIjqoS\", oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready\", oauth_signature=\"74KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D\"";
    let token = "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_token=\"hh5s93j4hdidpola\", oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131201\", oauth_nonce=\"walatlh\", oauth_verifier=\"hfdp7dh39dks9884\", oauth_signature=\"gKgrFCywp7rO0OXSjdot%2FIHF7IU%3D\"";
    let resource = "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_token=\"nnch734d00sl2jdk\", oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131202\", oauth_nonce=\"chapoH\", oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\"";
    for (method, url, header, secret) in [
        (
            "POST",
            "https://photos.example.net/initiate",
            initiate,
            None,
        ),
        (
            "POST",
            "https://photos.example.net/token",
            token,
            Some("hdhd0244k9j7ao03"),
        ),
        (
            "GET",
            "http://photos.example.net/photos?file=vacation.jpg&size=original",
            resource,
            Some("pfkkdhi9sl3r4s00"),
        ),
    ] {
        let sample = Sample::new(method, url).header("authorization", header);
        let rules = Rules {
            realm: Some("Photos".into()),
            ..rules()
        };
        verify_at(&sample, 137_131_203, &photos, secret, &rules).unwrap();
    }
}

#[test]
fn rfc_5849_section_3_4_1() {
    let sample = Sample::new("POST", "http://EXAMPLE.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b")
        .body(FORM, "c2&a3=2+q")
        .header("authorization", "OAuth realm=\"Example\", oauth_consumer_key=\"9djdj82h48djs9d2\", oauth_token=\"kkk9d7dh3k39sjv7\", oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131201\", oauth_nonce=\"7d8f3e4a\", oauth_signature=\"bYT5CMsGcbgUdFHObYMEfcx6bsw%3D\"");
    let expected = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7";
    let text = sample.with(base_string).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), expected);

    // The signature that the RFC prints is not that of its own base string under the secrets of section 3.1.
    let consumer = ConsumerKey::shared(secret("j49sk3j29djd")).unwrap();
    let judge = |sample: &Sample| {
        verify_at(
            sample,
            137_131_201,
            &consumer,
            Some("dh893hdasih9"),
            &rules(),
        )
    };
    assert_eq!(
        judge(&sample).unwrap_err().reason,
        Reason::SignatureMismatch
    );
    let mut right = sample;
    let line = String::from_utf8(right.headers[1].1.clone()).unwrap();
    let line = line.replace(
        "bYT5CMsGcbgUdFHObYMEfcx6bsw%3D",
        "r6%2FTJjbCOr97%2F%2BUU0NsvSne7s5g%3D",
    );
    right.headers[1].1 = line.into_bytes();
    judge(&right).unwrap();
}

/// Appendix A of OAuth Core 1.0, here in all three places.
#[test]
fn oauth_core_appendix_a() {
    let consumer = ConsumerKey::shared(secret("kd94hf93k423kf44")).unwrap();
    let own = "oauth_consumer_key=dpf43f3p2l4k3l03&oauth_token=nnch734d00sl2jdk&oauth_signature_method=HMAC-SHA1&oauth_signature=tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D&oauth_timestamp=1191242096&oauth_nonce=kllo9940pd9333jh&oauth_version=1.0";
    let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";
    let header = own.replace('=', "=\"").replace('&', "\", ");
    let header = format!("OAuth realm=\"http://photos.example.net/\",{header}\"");
    for (place, sample) in [
        (
            Place::Header,
            Sample::new("GET", url).header("authorization", &header),
        ),
        (Place::Query, Sample::new("GET", &format!("{url}&{own}"))),
        (Place::Body, Sample::new("GET", url).body(FORM, own)),
    ] {
        assert_eq!(sample.read().unwrap().unwrap().place(), place);
        let token = Some("pfkkdhi9sl3r4s00");
        verify_at(&sample, 1_191_242_096, &consumer, token, &rules()).unwrap();
    }
}

/// The example in Twitter's documentation ("Creating a signature").
#[test]
fn twitters_example() {
    let consumer =
        ConsumerKey::shared(secret("kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw")).unwrap();
    let token = Some("LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE");
    for (path, signature) in [
        (
            "/1.1/statuses/update.json",
            "hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D",
        ),
        (
            "/1/statuses/update.json",
            "tnnArxj06cWHq44gCs1OSKk%2FjLY%3D",
        ),
    ] {
        let url = format!("https://api.twitter.com{path}?include_entities=true");
        let header = format!(
            "OAuth oauth_consumer_key=\"xvz1evFS4wEEPTGEFPHBog\", oauth_nonce=\"kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg\", oauth_signature=\"{signature}\", oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1318622958\", oauth_token=\"370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb\", oauth_version=\"1.0\""
        );
        let sample = Sample::new("POST", &url)
            .body(
                FORM,
                "status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21",
            )
            .header("authorization", &header);
        verify_at(&sample, 1_318_622_958, &consumer, token, &rules()).unwrap();
    }
}

#[test]
fn rfc_5849_sections_2_1_and_2_3_in_plaintext() {
    let consumer = ConsumerKey::shared(secret("ja893SD9")).unwrap();
    let first = "OAuth realm=\"Example\", oauth_consumer_key=\"jd83jd92dhsh93js\", oauth_signature_method=\"PLAINTEXT\", oauth_callback=\"http%3A%2F%2Fclient.example.net%2Fcb%3Fx%3D1\", oauth_signature=\"ja893SD9%26\"";
    let second = "OAuth realm=\"Example\", oauth_consumer_key=\"jd83jd92dhsh93js\", oauth_token=\"hdk48Djdsa\", oauth_signature_method=\"PLAINTEXT\", oauth_verifier=\"473f82d3\", oauth_signature=\"ja893SD9%26xyz4992k83j47x0b\"";
    let rules = Rules {
        plaintext_without_nonce: true,
        ..rules()
    };
    for (path, header, token) in [
        ("request_temp_credentials", first, None),
        ("request_token", second, Some("xyz4992k83j47x0b")),
    ] {
        let url = format!("https://server.example.com/{path}");
        let sample = Sample::new("POST", &url).header("authorization", header);
        let accepted = verify_at(&sample, 1, &consumer, token, &rules).unwrap();
        assert_eq!(
            (accepted.once, accepted.created, accepted.until),
            (None, None, None)
        );
    }
}

/// What each entry of the file was signed with.
const SECRET: &str = "kd94hf93k423kf44&%+/é ☃";
const TOKEN_SECRET: &str = "pfkkdhi9sl3r4s00=~!";

fn signed_by_others() -> Vec<Value> {
    serde_json::from_str(include_str!("signed_by_others.json")).unwrap()
}

fn sample_of(entry: &Value) -> Sample {
    let text = |name: &str| entry[name].as_str().unwrap();
    let mut sample = Sample::new(text("method"), text("url"));
    let mut kind = "";
    for (name, value) in entry["headers"].as_object().unwrap() {
        let (name, value) = (name.to_lowercase(), value.as_str().unwrap());
        if name == "content-type" {
            kind = value;
        } else {
            sample = sample.header(&name, value);
        }
    }
    match (kind, text("body")) {
        ("", "") => sample,
        (kind, body) => sample.body(kind, body),
    }
}

fn judge(entry: &Value, sample: &Sample, rules: &Rules) -> Result<Accepted, Refusal> {
    let method = entry["signature_method"].as_str().unwrap();
    let consumer = if method.starts_with("RSA") {
        ConsumerKey::rsa(include_bytes!("public.pem")).unwrap()
    } else {
        ConsumerKey::shared(secret(SECRET)).unwrap()
    };
    let token = entry["token"].as_str().map(|_| TOKEN_SECRET);
    verify_at(sample, 1_191_242_300, &consumer, token, rules)
}

fn lenient() -> Rules {
    Rules {
        sha1_body_hash: true,
        ..rules()
    }
}

#[test]
fn accepts_what_independent_libraries_signed() {
    let entries = signed_by_others();
    assert!(entries.len() > 100);
    for entry in &entries {
        let sample = sample_of(entry);
        if let Err(refusal) = judge(entry, &sample, &lenient()) {
            let text = sample.with(base_string).unwrap_or_default();
            panic!("{entry}\n{refusal:?}\n{}", String::from_utf8_lossy(&text));
        }
    }
    for method in SignatureMethod::ALL {
        assert!(
            entries
                .iter()
                .any(|e| e["signature_method"] == method.name())
        );
    }
}

#[test]
fn refuses_the_same_requests_with_anything_altered() {
    const ALTERED: [Reason; 3] = [
        Reason::SignatureMismatch,
        Reason::BodyDigestMismatch,
        Reason::SignatureIncomplete,
    ];
    for entry in signed_by_others() {
        if entry["signature_method"] == "PLAINTEXT" {
            continue;
        }
        let sample = sample_of(&entry);
        let refused = |what: &str, altered: &Sample| {
            let judged = judge(&entry, altered, &lenient());
            let Err(refusal) = judged else {
                panic!("{what} altered and accepted: {entry}");
            };
            assert!(ALTERED.contains(&refusal.reason), "{what}: {refusal:?}");
        };
        let mut other = sample.clone();
        other.method = "PATCH".to_owned();
        refused("the method", &other);
        let mut other = sample.clone();
        other.scheme = if other.scheme == "https" {
            "http"
        } else {
            "https"
        }
        .to_owned();
        refused("the scheme", &other);
        let mut other = sample.clone();
        other.authority.insert(0, 'x');
        refused("the host", &other);
        let mut other = sample.clone();
        other.authority = other.authority.replace(":80", ":81");
        if other.authority != sample.authority {
            refused("the port", &other);
        }
        let mut other = sample.clone();
        other.path.push(b'x');
        refused("the path", &other);
        let mut other = sample.clone();
        other.query.get_or_insert_default().extend(b"&admin=1");
        refused("the query", &other);
        if let Body::Whole(body) = &sample.body {
            let longer = [body.as_ref(), b"&admin=1"].concat();
            let mut other = sample.clone();
            other.body = Body::Whole(longer.into());
            refused("the body", &other);
        }
    }
}

#[test]
fn refuses_their_sha_1_of_the_body_under_sha_256_unless_asked() {
    let entries = signed_by_others();
    let mut seen = 0;
    for entry in &entries {
        let sample = sample_of(entry);
        let sha256 = entry["signature_method"].as_str().unwrap().ends_with("256");
        let body_hash = entry.to_string().contains("oauth_body_hash");
        let judged = judge(entry, &sample, &rules());
        if sha256 && body_hash && entry["sdk"] == "oauthlib" {
            let refusal = judged.unwrap_err();
            assert_eq!(refusal.reason, Reason::SignatureMalformed);
            assert!(refusal.detail.contains("sha1_body_hash"));
            seen += 1;
        } else {
            judged.unwrap();
        }
    }
    assert!(seen > 0);
}

#[test]
fn reads_whose_they_are() {
    for entry in signed_by_others() {
        let read = sample_of(&entry).with(Unverified::read).unwrap().unwrap();
        assert_eq!(read.consumer_key(), "dpf43f3p2l4k3l03");
        assert_eq!(read.token(), entry["token"].as_str());
        assert_eq!(read.method().name(), entry["signature_method"]);
    }
}
