//! What is signed here is accepted by the authenticator of its kind, and printed so that a shell takes it.

use std::path::Path;

use clap::Parser;

use super::{Draft, SignArgs, quoted, sign};
use crate::headers::Headers;
use crate::request::raw::RawCheck;
use crate::test_support::{NOW, World, raw};
use crate::verdict::Reason;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    arguments: SignArgs,
}

const POLICIES: &str = "
authenticators:
  own: {hmac: {}}
  http: {http_signature: {}}
  aws: {sigv4: {service: orders, region: eu-west-1}}
  oauth: {oauth1: {realm: orders}}
  stripe: {webhook: {scheme: stripe, secrets: [{insecure_literal: \"SECRET\"}]}}
  slack: {webhook: {scheme: slack, secrets: [{insecure_literal: \"SECRET\"}]}}
  github: {webhook: {scheme: github, secrets: [{insecure_literal: \"SECRET\"}]}}
  shopify: {webhook: {scheme: shopify, secrets: [{insecure_literal: \"SECRET\"}]}}
  standard: {webhook: {scheme: standard, secrets: [{insecure_literal: \"SECRET\"}]}}
  twilio: {webhook: {scheme: twilio, secrets: [{insecure_literal: \"SECRET\"}]}}
consumers:
  acme:
    credentials:
      own: [{key_id: k1, secret: {insecure_literal: \"SECRET\"}}]
      http: [{key_id: k1, secret: {insecure_literal: \"SECRET\"}}]
      aws: [{access_key_id: k1, secret: {insecure_literal: \"SECRET\"}}]
      oauth: [{consumer_key: k1, secret: {insecure_literal: \"SECRET\"}, tokens: [{token: t1, secret: {insecure_literal: \"SECRET\"}, subject: alice}]}]
policies:
  p:
    hosts: [api.example.com]
    routes:
      - {path: /own, authenticate: own}
      - {path: /http, authenticate: http}
      - {path: /aws, authenticate: aws}
      - {path: /oauth, authenticate: oauth}
      - {path: /stripe, authenticate: stripe}
      - {path: /slack, authenticate: slack}
      - {path: /github, authenticate: github}
      - {path: /shopify, authenticate: shopify}
      - {path: /standard, authenticate: standard}
      - {path: /twilio, authenticate: twilio}
";

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn read(words: &[&str]) -> SignArgs {
    let all = std::iter::once("sign").chain(words.iter().copied());
    Cli::try_parse_from(all)
        .unwrap_or_else(|error| panic!("{error}"))
        .arguments
}

/// What becomes of the request that was signed, once `change` was done to it.
fn judged(words: &[&str], change: impl FnOnce(&mut RawCheck)) -> Reason {
    let arguments = read(words);
    let draft = Draft::read(&arguments).unwrap();
    let added = sign(&arguments, &draft).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let request = draft.request().unwrap();
    let sent = request.raw();
    let lines = sent.headers.iter();
    let added = added
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let mut check = RawCheck {
        headers: Headers::new(lines.chain(added)),
        source: raw("GET", "/", &[]).source,
        ..sent.clone()
    };
    change(&mut check);
    let world = World::of(crate::test_support::table(
        &POLICIES.replace("SECRET", SECRET),
    ));
    world.judge(check).reason()
}

#[test]
fn what_is_signed_passes_and_nothing_else_does() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let file = file.to_str().unwrap();
    let now = crate::clock::Timestamp::from_seconds(NOW).to_rfc3339();
    let json = ["-H", "Content-Type: application/json", "-d", "{\"a\": 1}"];
    let form = [
        "-H",
        "Content-Type: application/x-www-form-urlencoded",
        "-d",
        "a=1&b=2",
    ];
    let aws = ["--service", "orders", "--region", "eu-west-1"];
    let token = ["--token", "t1", "--token-secret-file", file];
    for (scheme, path, more, body) in [
        ("hmac", "own", &[][..], &json[..]),
        ("hmac", "own?a=%20b&a", &["--cover", "content-type"], &json),
        ("hmac", "own", &["-X", "DELETE"], &[]),
        ("http-signature", "http", &[], &json),
        (
            "http-signature",
            "http?x",
            &["--tag", "t", "--cover", "content-type"],
            &json,
        ),
        ("sigv4", "aws?b=1&a=2", &aws, &json),
        ("oauth1", "oauth", &["--realm", "orders"], &form),
        ("oauth1", "oauth?x=y", &token, &json),
        ("stripe", "stripe", &[], &json),
        ("slack", "slack", &[], &json),
        ("github", "github", &[], &json),
        ("shopify", "shopify", &[], &json),
        ("standard", "standard", &[], &json),
        ("twilio", "twilio", &[], &form),
    ] {
        let url = format!("https://api.example.com/{path}");
        let mut words = vec![
            "--scheme",
            scheme,
            "--secret-file",
            file,
            "--now",
            &now,
            "--key-id",
            "k1",
        ];
        words.extend(more.iter().chain(body));
        words.push(&url);
        assert_eq!(judged(&words, |_| {}), Reason::Allowed, "{words:?}");
        if !body.is_empty() {
            let reason = judged(&words, |check| check.body = b"a=1&b=3".to_vec().into());
            let refused = matches!(
                reason,
                Reason::SignatureMismatch | Reason::BodyDigestMismatch
            );
            assert!(refused, "{words:?}: {reason:?}");
        }
    }
}

#[test]
fn says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let empty = empty.to_str().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let file = file.to_str().unwrap();
    let url = "https://a/";
    for (words, told) in [
        (&["--key-id", "k", url][..], "--secret-file"),
        (&["--secret-file", file, url], "--key-id"),
        (&["--secret-file", empty, "--key-id", "k", url], "is empty"),
        (
            &["--secret-file", "/nowhere", "--key-id", "k", url],
            "/nowhere",
        ),
        (
            &[
                "--scheme",
                "http-signature",
                "--key-id",
                "k",
                "--private-key-file",
                empty,
                url,
            ],
            "--algorithm",
        ),
        (
            &["--now", "yesterday", "--key-id", "k", url],
            "write the time",
        ),
    ] {
        let arguments = read(words);
        let draft = Draft::read(&arguments).unwrap();
        let error = sign(&arguments, &draft).unwrap_err();
        assert!(error.contains(told), "{words:?}: {error}");
    }
    for (words, told) in [
        (&["a b"][..], "host"),
        (&["-H", "x", url], "-H"),
        (&["-d", "@/nowhere", url], "/nowhere"),
    ] {
        let arguments = read(words);
        let read = Draft::read(&arguments).and_then(|draft| draft.request().map(drop));
        let error = read.unwrap_err();
        assert!(error.contains(told), "{words:?}: {error}");
    }
    assert!(Path::new(empty).exists());
}

#[test]
fn a_shell_takes_words_as_they_are() {
    for (word, expected) in [
        ("plain-1.2:@/", "plain-1.2:@/"),
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", "'it'\\''s'"),
        ("$(rm)", "'$(rm)'"),
    ] {
        assert_eq!(quoted(word), expected);
    }
}
