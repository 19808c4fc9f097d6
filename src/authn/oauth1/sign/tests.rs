use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{CannotSign, Signer, SigningKey, sign};
use crate::authn::oauth1::key::{BadKey, ConsumerKey, RsaPublicKey};
use crate::authn::oauth1::tests::sample::{
    CONSUMER, FORM, NONCE, NOW, SECRET, Sample, TOKEN, TOKEN_SECRET, rules, secret,
};
use crate::authn::oauth1::{Keys, SignatureMethod};
use crate::clock::Timestamp;
use crate::request::body::Body;
use crate::verdict::Reason;
use aws_lc_rs::signature::KeyPair as _;

fn signer(key: &SigningKey, method: SignatureMethod) -> Signer<'_> {
    Signer {
        consumer_key: CONSUMER,
        key,
        token: None,
        method,
        realm: None,
        body_hash: true,
    }
}

#[test]
fn writes_the_header_that_others_write() {
    let key = SigningKey::Shared(secret(SECRET));
    let token = secret(TOKEN_SECRET);
    let signer = Signer {
        token: Some((TOKEN, &token)),
        realm: Some("a \"b\" \\"),
        ..signer(&key, SignatureMethod::HmacSha1)
    };
    let sample = Sample::new(
        "GET",
        "http://photos.example.net/photos?file=vacation.jpg&size=original",
    );
    let headers = sample
        .with(|message| sign(message, &signer, NOW, NONCE))
        .unwrap();
    // The signature of OAuth Core 1.0 appendix A.
    assert_eq!(
        headers,
        [(
            "authorization",
            "OAuth realm=\"a \\\"b\\\" \\\\\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1191242096\", oauth_nonce=\"kllo9940pd9333jh\", oauth_version=\"1.0\", oauth_token=\"nnch734d00sl2jdk\", oauth_signature=\"tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D\"".to_owned()
        )]
    );
}

#[test]
fn signs_with_rsa_what_the_public_key_verifies() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    assert_eq!(
        ConsumerKey::rsa(pem.as_bytes()).err(),
        Some(BadKey::Private)
    );
    let key = SigningKey::rsa(pem.as_bytes()).unwrap();
    let consumer = ConsumerKey::Rsa(RsaPublicKey::from_der(pair.public_key().as_ref()).unwrap());
    let sample = Sample::new("POST", "https://api.example.com/x").body("text/plain", "body");
    let headers = sample
        .with(|m| sign(m, &signer(&key, SignatureMethod::RsaSha256), NOW, NONCE))
        .unwrap();
    let signed = sample.clone().header(headers[0].0, &headers[0].1);
    let keys = Keys {
        consumer: &consumer,
        token: None,
    };
    let now = Timestamp::from_seconds(NOW);
    let verify = |sample: &Sample| sample.read().unwrap().unwrap().verify(&keys, &rules(), now);
    verify(&signed).unwrap();
    let mut other = signed.clone();
    other.path = b"/y".to_vec();
    assert_eq!(
        verify(&other).unwrap_err().reason,
        Reason::SignatureMismatch
    );
    let mut other = signed;
    let line = String::from_utf8(other.headers[1].1.clone()).unwrap();
    other.headers[1].1 = line.replace("RSA-SHA256", "RSA-SHA1").into_bytes();
    assert!(verify(&other).is_err());

    let refused = |method| {
        sample
            .with(|m| sign(m, &signer(&key, method), NOW, NONCE))
            .unwrap_err()
    };
    assert!(matches!(
        refused(SignatureMethod::RsaSha1),
        CannotSign::RsaSha1
    ));
    assert!(matches!(
        refused(SignatureMethod::HmacSha1),
        CannotSign::WrongKey(_)
    ));
    assert!(matches!(
        refused(SignatureMethod::Plaintext),
        CannotSign::WrongKey(_)
    ));
    assert_eq!(format!("{key:?}"), "SigningKey(redacted)");
}

#[test]
fn says_why_it_cannot_sign() {
    let key = SigningKey::Shared(secret(SECRET));
    let with = signer(&key, SignatureMethod::HmacSha1);
    let refused = |sample: &Sample, signer: &Signer<'_>| {
        sample.with(|m| sign(m, signer, NOW, NONCE)).unwrap_err()
    };
    let get = Sample::new("GET", "https://api.example.com/");
    let again = get.clone().signed(SignatureMethod::HmacSha1, false);
    assert!(matches!(refused(&again, &with), CannotSign::Signed));
    let query = Sample::new("GET", "https://api.example.com/?oauth_token=x");
    assert!(matches!(refused(&query, &with), CannotSign::Signed));
    let form = get.clone().body(FORM, "oauth_token=x");
    assert!(matches!(refused(&form, &with), CannotSign::Signed));
    let bad = Sample::new("GET", "https://api.example.com/?a=%");
    assert!(matches!(refused(&bad, &with), CannotSign::Unreadable(_)));
    let lower = Sample::new("get", "https://api.example.com/");
    assert!(matches!(refused(&lower, &with), CannotSign::Unreadable(_)));
    let mut withheld = get.clone();
    withheld.body = Body::Withheld;
    assert!(matches!(refused(&withheld, &with), CannotSign::Body));
    assert!(matches!(
        refused(
            &get,
            &Signer {
                realm: Some("\n"),
                ..with
            }
        ),
        CannotSign::Realm
    ));
    let rsa = signer(&key, SignatureMethod::RsaSha256);
    assert_eq!(
        refused(&get, &rsa).to_string(),
        "RSA-SHA256 needs a private RSA key"
    );
}
