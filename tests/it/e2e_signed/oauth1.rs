//! OAuth 1.0a, as oauthlib and oauth-1.0a sign by it.

use serde_json::{Value, json};

use super::{Over, SECRET, Scene, acme, assert_identity, assert_told, policies};
use crate::support::signers::{Pair, Signed, job, order, sign};
use crate::world::now;

const TOKEN_SECRET: &str = "fedcba9876543210fedcba9876543210";

const FORM: &str = "application/x-www-form-urlencoded";

/// `acme` with a shared secret, a key pair, and tokens of two users with each.
struct Keys(Pair);

impl Keys {
    fn new() -> Self {
        Self(Pair::generate("rsa"))
    }

    fn consumers(&self) -> String {
        let tokens = json!([
            {"token": "alices", "secret": {"insecure_literal": TOKEN_SECRET}, "subject": "alice"},
            {"token": "bobs", "secret": {"insecure_literal": SECRET}, "subject": "bob"},
        ]);
        let rsa_tokens = json!([
            {"token": "carols", "secret": {"insecure_literal": TOKEN_SECRET}, "subject": "carol"},
        ]);
        let credentials = json!([
            {"consumer_key": "acme-shared", "secret": {"insecure_literal": SECRET}, "tokens": tokens},
            {"consumer_key": "acme-rsa", "public_key": self.0.public, "tokens": rsa_tokens},
        ]);
        acme(&credentials.to_string())
    }

    fn of(&self, method: &str) -> Value {
        match method.starts_with("RSA") {
            true => json!({
                "signature_method": method, "consumer_key": "acme-rsa", "private_key": self.0.private,
            }),
            false => json!({
                "signature_method": method, "consumer_key": "acme-shared", "secret": SECRET,
            }),
        }
    }
}

fn with_token(method: &str) -> (Value, &'static str) {
    match method.starts_with("RSA") {
        true => (
            json!({"token": "carols", "token_secret": TOKEN_SECRET}),
            "carol",
        ),
        false => (
            json!({"token": "alices", "token_secret": TOKEN_SECRET}),
            "alice",
        ),
    }
}

const EVERY_METHOD: &str = "{oauth1: {methods: [HMAC-SHA256, HMAC-SHA1, RSA-SHA256, RSA-SHA1]}}";

/// A package with a method that it signs by.
const METHODS: [(&str, &str); 7] = [
    ("oauth1.py", "HMAC-SHA1"),
    ("oauth1.py", "HMAC-SHA256"),
    ("oauth1.py", "RSA-SHA1"),
    ("oauth1.py", "RSA-SHA256"),
    ("oauth1.mjs", "HMAC-SHA1"),
    ("oauth1.mjs", "HMAC-SHA256"),
    ("oauth1.mjs", "RSA-SHA1"),
];

fn a_form() -> Value {
    json!({"headers": {"Content-Type": FORM}, "body": "item=t%C3%A9a&count=2&note=a%20b&empty="})
}

/// Whatever is covered wherever the signature stands, changed.
fn alterations(signed: &Signed) -> Vec<(Signed, &'static str)> {
    let mismatch = "signature_mismatch";
    vec![
        (signed.method("PUT"), mismatch),
        (signed.url("/orders/7", "/orders/8"), mismatch),
        (signed.url("b=2", "b=3"), mismatch),
        (signed.url("b=2&", ""), mismatch),
        (signed.url("b=2&", "b=2&d=4&"), mismatch),
        (signed.url("api.example.com", "other.example.com"), mismatch),
        (
            signed.url("api.example.com", "api.example.com:8080"),
            mismatch,
        ),
    ]
}

/// With the first character of the signature changed, in base64 still.
fn with_other_signature(signed: &Signed) -> Signed {
    let begin = "oauth_signature=\"";
    let (_, rest) = signed
        .of("authorization")
        .split_once(begin)
        .expect("a signature");
    let length = if rest.starts_with('%') { 3 } else { 1 };
    let first: String = rest.chars().take(length).collect();
    let other = if first == "A" { "B" } else { "A" };
    signed.header(
        "authorization",
        &format!("{begin}{first}"),
        &format!("{begin}{other}"),
    )
}

fn alterations_of_header(signed: &Signed) -> Vec<(Signed, &'static str)> {
    let mismatch = "signature_mismatch";
    let malformed = "signature_malformed";
    let header = "authorization";
    let nonce = format!("oauth_nonce=\"{}", "0");
    vec![
        (signed.header(header, "oauth_nonce=\"", &nonce), mismatch),
        (
            signed.header(header, "oauth_timestamp=\"1", "oauth_timestamp=\"2"),
            "signature_not_yet_valid",
        ),
        (
            signed.header(
                header,
                "oauth_consumer_key=\"acme",
                "oauth_consumer_key=\"acne",
            ),
            "signature_key_unknown",
        ),
        (with_other_signature(signed), mismatch),
        (
            signed.header(header, "oauth_version=\"1.0", "oauth_version=\"1.1"),
            malformed,
        ),
        (
            signed.header(header, "OAuth ", "OAuth oauth_nonce=\"twice\", "),
            malformed,
        ),
        (signed.without(header), "credentials_missing"),
    ]
}

#[tokio::test]
async fn every_package_and_method_passes_and_no_altered_request_does() {
    let keys = Keys::new();
    let yaml = policies(EVERY_METHOD, &keys.consumers());
    let scenes = [Scene::start(&yaml).await, Scene::start_raw(&yaml).await];
    for (turn, (program, method)) in METHODS.into_iter().enumerate() {
        let scene = &scenes[turn % 2];
        let over = Over::by_turns(turn / 2);
        let base = job(&order(), &keys.of(method));

        // Two-legged, with a body that its hash covers.
        let who = (program, method, "two-legged");
        let signed = sign(program, &job(&base, &json!({"body_hash": true}))).await;
        let mut altered = alterations(&signed);
        altered.extend(alterations_of_header(&signed));
        altered.push((signed.body("{\"item\":\"gold\"}"), "body_digest_mismatch"));
        for (altered, reason) in altered {
            scene.refused_for(&altered, over, reason, &who).await;
        }
        let seen = scene.passes_for(&signed, over, &who).await;
        assert_identity(&seen, "signed:acme", Some("acme"), &["authorization"]);
        for over in Over::BOTH {
            let reason = "signature_replayed";
            scene.refused_for(&signed, over, reason, &who).await;
        }

        // Three-legged, with a form, whose parameters are signed.
        let who = (program, method, "three-legged");
        let (token, subject) = with_token(method);
        let signed = sign(program, &job(&job(&base, &token), &a_form())).await;
        let mut altered = alterations(&signed);
        altered.extend([
            (
                signed.body("item=gold&count=2&note=a%20b&empty="),
                "signature_mismatch",
            ),
            (
                signed.body(&format!("{}&more=1", signed.body)),
                "signature_mismatch",
            ),
            (signed.body(""), "signature_mismatch"),
            (
                signed.header("authorization", "oauth_token=\"", "oauth_token=\"x"),
                "signature_key_unknown",
            ),
        ]);
        for (altered, reason) in altered {
            scene.refused_for(&altered, over, reason, &who).await;
        }
        let seen = scene.passes_for(&signed, over, &who).await;
        let principal = format!("signed:{subject}");
        assert_identity(&seen, &principal, Some("acme"), &["authorization"]);
        assert_eq!(seen.body, signed.body.as_bytes());
        let reason = "signature_replayed";
        scene.refused_for(&signed, over, reason, &who).await;
    }
}

#[tokio::test]
async fn signatures_may_stand_in_the_query_and_in_a_form() {
    let keys = Keys::new();
    let scene = Scene::start(&policies("{oauth1: {}}", &keys.consumers())).await;
    for (program, method) in METHODS {
        if method == "RSA-SHA1" {
            continue;
        }
        let base = job(&order(), &keys.of(method));
        for over in Over::BOTH {
            let get = json!({"place": "query", "method": "GET", "body": null, "headers": {}});
            let signed = sign(program, &job(&base, &get)).await;
            let who = (program, method, "query");
            for (altered, reason) in alterations(&signed) {
                scene.refused_for(&altered, over, reason, &who).await;
            }
            let seen = scene.passes_for(&signed, over, &who).await;
            assert_identity(&seen, "signed:acme", Some("acme"), &[]);
            assert!(!seen.target.contains("oauth_"), "{}", seen.target);
            assert!(seen.target.contains("b=2"), "{}", seen.target);
            let reason = "signature_replayed";
            scene.refused_for(&signed, over, reason, &who).await;
        }
        if program == "oauth1.py" {
            let in_form = job(&a_form(), &json!({"place": "body"}));
            let signed = sign(program, &job(&base, &in_form)).await;
            let who = (program, method, "body");
            for (altered, reason) in alterations(&signed) {
                scene.refused_for(&altered, Over::H1, reason, &who).await;
            }
            let other = signed.body.replacen("count=2", "count=9", 1);
            scene
                .refused_for(&signed.body(&other), Over::H2, "signature_mismatch", &who)
                .await;
            let seen = scene.passes_for(&signed, Over::H2, &who).await;
            assert_identity(&seen, "signed:acme", Some("acme"), &[]);
            let reason = "signature_replayed";
            scene.refused_for(&signed, Over::H1, reason, &who).await;
        }
    }
}

#[tokio::test]
async fn tokens_belong_to_their_consumer_and_have_secrets_of_their_own() {
    let keys = Keys::new();
    let scene = Scene::start(&policies("{oauth1: {}}", &keys.consumers())).await;
    let base = job(&order(), &keys.of("HMAC-SHA256"));
    for (token, secret, outcome) in [
        ("alices", TOKEN_SECRET, Ok("signed:alice")),
        ("bobs", SECRET, Ok("signed:bob")),
        ("bobs", TOKEN_SECRET, Err("signature_mismatch")),
        ("carols", TOKEN_SECRET, Err("signature_key_unknown")),
        ("nobodys", TOKEN_SECRET, Err("signature_key_unknown")),
    ] {
        let with = json!({"token": token, "token_secret": secret});
        let signed = sign("oauth1.py", &job(&base, &with)).await;
        match outcome {
            Ok(principal) => {
                let seen = scene.passes_for(&signed, Over::H2, &token).await;
                assert_identity(&seen, principal, Some("acme"), &["authorization"]);
            }
            Err(reason) => drop(scene.refused_for(&signed, Over::H1, reason, &token).await),
        }
    }
}

#[tokio::test]
async fn a_nonce_counts_once_for_its_time_and_token() {
    let keys = Keys::new();
    let scene = Scene::start(&policies("{oauth1: {}}", &keys.consumers())).await;
    let base = job(&order(), &keys.of("HMAC-SHA256"));
    let at = json!({"now": now(), "nonce": "a-nonce-of-a-client"});
    let first = sign("oauth1.py", &job(&base, &at)).await;
    scene.passes(&first, Over::H1).await;
    let elsewhere = json!({"url": "http://api.example.com/orders/8?b=2&a=x%20y&c="});
    let again = sign(
        "oauth1.mjs",
        &job(
            &job(&base, &at),
            &job(&elsewhere, &json!({"body_hash": true})),
        ),
    )
    .await;
    scene.refused(&again, Over::H2, "signature_replayed").await;
    let (token, _) = with_token("HMAC");
    let with_token = sign("oauth1.py", &job(&job(&base, &at), &token)).await;
    scene.passes(&with_token, Over::H2).await;
    let later = json!({"now": now() + 5, "nonce": "a-nonce-of-a-client"});
    let later = sign("oauth1.py", &job(&base, &later)).await;
    scene.passes(&later, Over::H1).await;

    for turn in 0..4 {
        let place = json!({"place": if turn < 2 { "header" } else { "query" }});
        let race = sign("oauth1.py", &job(&base, &place)).await;
        scene.one_of_two_passes(&race, Over::by_turns(turn)).await;
    }
}

#[tokio::test]
async fn only_what_is_fresh_passes() {
    let keys = Keys::new();
    let yaml = policies(
        "{oauth1: {max_age: 60s, clock_skew: 20s}}",
        &keys.consumers(),
    );
    let scene = Scene::start(&yaml).await;
    for program in ["oauth1.py", "oauth1.mjs"] {
        for (turn, (ago, outcome)) in [
            (300, Some("signature_expired")),
            (-120, Some("signature_not_yet_valid")),
            (40, None),
            (-10, None),
        ]
        .into_iter()
        .enumerate()
        {
            let more = json!({"now": now() - ago, "body_hash": true});
            let base = job(&order(), &keys.of("HMAC-SHA256"));
            let signed = sign(program, &job(&base, &more)).await;
            let over = Over::by_turns(turn);
            match outcome {
                Some(reason) => {
                    let who = (program, ago);
                    drop(scene.refused_for(&signed, over, reason, &who).await);
                }
                None => drop(scene.passes_for(&signed, over, &(program, ago)).await),
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_form_needs_its_hash() {
    let keys = Keys::new();
    let strict = Scene::start(&policies("{oauth1: {}}", &keys.consumers())).await;
    let lax = policies("{oauth1: {body_hash: optional}}", &keys.consumers());
    let lax = Scene::start(&lax).await;
    let stricter = policies("{oauth1: {sha1_body_hash: false}}", &keys.consumers());
    let stricter = Scene::start(&stricter).await;
    let base = job(&order(), &keys.of("HMAC-SHA256"));
    for over in Over::BOTH {
        let bare = sign("oauth1.mjs", &base).await;
        let audit = strict.refused(&bare, over, "signature_incomplete").await;
        assert_told(&audit, "oauth_body_hash");
        lax.passes(&bare.body("{\"item\":\"gold\"}"), over).await;
        // oauthlib knows no other hash than SHA-1.
        let sha1 = sign("oauth1.py", &base).await;
        let response = stricter.send(&sha1, over).await;
        assert_eq!(response.status, 401, "{}", response.text());
        strict.passes(&sha1, over).await;
        let sha256 = sign("oauth1.mjs", &job(&base, &json!({"body_hash": true}))).await;
        stricter.passes(&sha256, over).await;
    }
}

#[tokio::test]
async fn methods_and_realms_are_those_of_the_policy() {
    let keys = Keys::new();
    let yaml = policies(
        "{oauth1: {methods: [HMAC-SHA256], realm: orders}}",
        &keys.consumers(),
    );
    let scene = Scene::start(&yaml).await;
    for program in ["oauth1.py", "oauth1.mjs"] {
        for (method, realm, outcome) in [
            ("HMAC-SHA1", "orders", Some("signature_algorithm_refused")),
            ("RSA-SHA1", "orders", Some("signature_algorithm_refused")),
            ("HMAC-SHA256", "invoices", Some("signature_scope_mismatch")),
            ("HMAC-SHA256", "orders", None),
        ] {
            let more = json!({"realm": realm, "body_hash": true});
            let signed = sign(program, &job(&job(&order(), &keys.of(method)), &more)).await;
            let who = (program, method, realm);
            match outcome {
                Some(reason) => drop(scene.refused_for(&signed, Over::H2, reason, &who).await),
                None => drop(scene.passes_for(&signed, Over::H2, &who).await),
            }
        }
    }
}

#[tokio::test]
async fn plaintext_passes_over_tls_only() {
    let keys = Keys::new();
    let yaml = policies("{oauth1: {methods: PLAINTEXT}}", &keys.consumers());
    let base = job(&order(), &keys.of("PLAINTEXT"));
    let plain = Scene::start(&yaml).await;
    // Where TLS ends before Envoy, the policy says so.
    let outside = yaml.replace(
        "  api:\n",
        "  api:\n    external_url: https://public.example.net\n",
    );
    let behind_tls = Scene::start(&outside).await;
    for over in Over::BOTH {
        let signed = sign("oauth1.py", &base).await;
        plain.refused(&signed, over, "tls_required").await;
        let wrong = sign("oauth1.py", &job(&base, &json!({"secret": TOKEN_SECRET}))).await;
        behind_tls.refused(&wrong, over, "signature_mismatch").await;
        let seen = behind_tls.passes(&signed, over).await;
        assert_identity(&seen, "signed:acme", Some("acme"), &["authorization"]);
        behind_tls
            .refused(&signed, over, "signature_replayed")
            .await;
    }
}

#[tokio::test]
async fn old_and_new_secret_count_until_the_old_one_is_gone() {
    let new = SECRET.to_uppercase();
    let both = json!([
        {"consumer_key": "acme-1", "secret": {"insecure_literal": SECRET}},
        {"consumer_key": "acme-2", "secret": {"insecure_literal": new}},
    ]);
    let scene = Scene::start(&policies("{oauth1: {}}", &acme(&both.to_string()))).await;
    for (key, secret, passes) in [
        ("acme-1", SECRET, true),
        ("acme-2", &new, true),
        ("acme-1", &new, false),
        ("acme-2", SECRET, false),
    ] {
        let more = json!({"consumer_key": key, "secret": secret});
        let signed = sign("oauth1.py", &job(&order(), &more)).await;
        match passes {
            true => drop(scene.passes(&signed, Over::H2).await),
            false => drop(scene.refused(&signed, Over::H2, "signature_mismatch").await),
        }
    }
}
