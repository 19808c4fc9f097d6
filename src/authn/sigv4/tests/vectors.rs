//! The standard's own test suite, and requests that other implementations signed.

use serde_json::Value;

use super::sample::{FRESHNESS, Sample, secret};
use crate::authn::sigv4::{Rules, SigningKey, date::Time, read};
use crate::clock::Timestamp;
use crate::verdict::Reason;

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn sample(vector: &Value) -> Sample {
    let text = |key: &str| vector[key].as_str().unwrap();
    let mut sample = Sample::new(text("method"), text("target"), text("body").as_bytes());
    sample.authority = text("authority").to_owned();
    for line in vector["headers"].as_array().unwrap() {
        let (name, value) = (line[0].as_str().unwrap(), line[1].as_str().unwrap());
        sample = sample.with(&name.to_lowercase(), value);
    }
    sample
}

/// AWS's test suite for signers. Its paths that have to be normalised never get here: they are refused
/// before, and would not match.
#[test]
fn agrees_with_the_test_suite() {
    let rules = Rules::new("service", "us-east-1", FRESHNESS);
    let now = Timestamp::from_seconds(Time::basic(b"20150830T123600Z").unwrap().seconds());
    let (mut verified, mut unlike) = (0, 0);
    for vector in vectors(include_str!("aws_suite.json")) {
        let name = vector["name"].as_str().unwrap();
        let authorization = vector["authorization"].as_str().unwrap();
        let sample = sample(&vector).set("authorization", authorization);
        sample.ask(|message| {
            let unverified = read(message).unwrap().unwrap();
            let texts = unverified.texts(message, &rules).unwrap();
            let normalised = ["get-relative", "get-slash"];
            if normalised.iter().any(|start| name.starts_with(start)) {
                unlike += 1;
                let refusal = unverified
                    .verify(message, &secret(), &rules, now)
                    .unwrap_err();
                assert_eq!(refusal.reason, Reason::SignatureMismatch, "{name}");
                return;
            }
            let is = |bytes: &[u8], key: &str| {
                let wanted = vector[key].as_str().unwrap();
                assert_eq!(String::from_utf8_lossy(bytes), wanted, "{name}");
            };
            is(&texts.canonical_request, "canonical_request");
            is(&texts.string_to_sign, "string_to_sign");
            let scope = unverified.scope();
            let key =
                SigningKey::derive(&secret(), &scope.day, &scope.region, &scope.service).unwrap();
            assert_eq!(
                key.sign(&texts.string_to_sign).as_ref(),
                unverified.fields.signature,
                "{name}"
            );
            let outcome = unverified.verify(message, &key, &rules, now);
            if message.headers.all("x-amz-security-token").next().is_some() {
                let reason = outcome.unwrap_err().reason;
                assert_eq!(reason, Reason::CredentialsUnrecognised, "{name}");
            } else {
                outcome.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            }
            verified += 1;
        });
    }
    assert_eq!((verified, unlike), (28, 6));
}

/// Made with botocore 1.44.8, @smithy/signature-v4 5.7.5, aws4 1.13.2 and curl 7.88.1.
#[test]
fn verifies_what_others_signed() {
    let now = super::sample::NOW;
    let mut verified = 0;
    for vector in vectors(include_str!("signed_by_others.json")) {
        let text = |key: &str| vector[key].as_str().unwrap();
        let flag = |key: &str| vector[key].as_bool().unwrap();
        let name = format!("{} {} {}", text("by"), text("service"), text("name"));
        let mut rules = Rules::new(text("service"), "eu-central-1", FRESHNESS);
        let sample = sample(&vector);
        // The one signer that cannot be told the time.
        let now = match text("by") {
            "curl" => Time::basic(sample.header("x-amz-date").as_bytes())
                .unwrap()
                .seconds(),
            _ => now,
        };
        if flag("unsigned") {
            let refusal = sample.verify_at(&rules, now).unwrap_err();
            let wanted = match flag("token") {
                true => Reason::CredentialsUnrecognised,
                false => Reason::SignatureIncomplete,
            };
            assert_eq!(refusal.reason, wanted, "{name}");
            rules.unsigned_payload = true;
        }
        let outcome = sample.verify_at(&rules, now);
        if flag("token") {
            assert_eq!(
                outcome.unwrap_err().reason,
                Reason::CredentialsUnrecognised,
                "{name}"
            );
            // All the same it is read as its signer meant it.
            sample.ask(|message| {
                let unverified = read(message).unwrap().unwrap();
                let text = unverified.texts(message, &rules).unwrap().string_to_sign;
                let scope = unverified.scope();
                let key = SigningKey::derive(&secret(), &scope.day, &scope.region, &scope.service);
                let signature = key.unwrap().sign(&text);
                assert_eq!(signature.as_ref(), unverified.fields.signature, "{name}");
            });
        } else {
            outcome.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        }
        verified += 1;
        // A signature by another secret, or for another region, is none.
        rules.region = "eu-central-2".into();
        let refusal = sample.verify_at(&rules, now).unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureScopeMismatch, "{name}");
    }
    assert!(verified > 100, "{verified}");
}
