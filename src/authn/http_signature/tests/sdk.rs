//! Requests signed by other implementations: `http-message-signatures` 3.0.0 and `requests-http-signature`
//! 2.0.0 for Python, `http-message-signatures` 1.0.6 and `http-message-sig` 0.3.0 for JavaScript.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{ED25519_PUBLIC, NOW, P256_PUBLIC, P384_PUBLIC, RSA_PUBLIC, Sent, rules};
use crate::authn::http_signature::key::{Algorithm, VerifyKey};
use crate::verdict::Reason;

const VECTORS: &str = include_str!("sdk.json");

#[test]
fn verifies_what_other_implementations_sign() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(vectors.len(), 30);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap_or_default();
        let name = format!("{} {}", text("name"), text("algorithm"));
        let algorithm = Algorithm::from_name(text("algorithm")).unwrap();
        let key = match algorithm {
            Algorithm::HmacSha256 => {
                VerifyKey::from_secret(&STANDARD.decode(text("secret")).unwrap())
            }
            Algorithm::EcdsaP256Sha256 => VerifyKey::from_pem(algorithm, P256_PUBLIC),
            Algorithm::EcdsaP384Sha384 => VerifyKey::from_pem(algorithm, P384_PUBLIC),
            Algorithm::Ed25519 => VerifyKey::from_pem(algorithm, ED25519_PUBLIC),
            Algorithm::RsaPssSha512 | Algorithm::RsaV15Sha256 => {
                VerifyKey::from_pem(algorithm, RSA_PUBLIC)
            }
        }
        .unwrap();
        let headers: Vec<(&str, &str)> = vector["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (line[0].as_str().unwrap(), line[1].as_str().unwrap()))
            .collect();
        let sent = Sent::new(text("method"), text("url"), &headers, text("body"));
        if let Some(base) = vector["base"].as_str() {
            assert_eq!(sent.base().unwrap(), base, "{name}");
        }
        let accepted = sent.verify(&key, &rules(&[]), NOW + 20);
        assert!(accepted.is_ok(), "{name}: {accepted:?}");

        // And nothing else than that: another method, host, path, query, body or time.
        let mut lines = sent.base().unwrap();
        lines.truncate(lines.rfind('\n').unwrap());
        for (covers, change) in [
            (
                "\"@method\"",
                Box::new(|sent: &mut Sent| sent.method = "DELETE".into()) as Box<dyn Fn(&mut Sent)>,
            ),
            (
                "\"@authority\"",
                Box::new(|sent| sent.authority = "api.example.org".into()),
            ),
            (
                "\"@target-uri\"",
                Box::new(|sent| sent.authority = "api.example.org".into()),
            ),
            ("\"@path\"", Box::new(|sent| sent.path.push(b'x'))),
            (
                "\"@query\"",
                Box::new(|sent| sent.query = Some(b"x=2".to_vec())),
            ),
        ] {
            if lines.contains(covers) {
                let mut changed = sent.clone();
                change(&mut changed);
                let refusal = changed.verify(&key, &rules(&[]), NOW + 20).unwrap_err();
                assert_eq!(
                    refusal.reason,
                    Reason::SignatureMismatch,
                    "{name}: {covers}"
                );
            }
        }
    }
}
