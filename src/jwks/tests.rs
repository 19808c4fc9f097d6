use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::{Fetch, KeySets, REREAD, RETRY_MOST, Source, fresh, is_loopback, keep_fresh, prepare};
use crate::authn::key_set::KeySetCell;
use crate::config::inputs::ReferredFiles;
use crate::diagnostic::Diagnostics;
use crate::test_support::{Signer, clock, jwk_set, mistakes, read};

fn prepared(jwt: &str) -> (Vec<Fetch>, bool, Diagnostics) {
    let mut out = Diagnostics::default();
    let text =
        format!("authenticators: {{a: {{jwt: {{audiences: [x], {jwt}}}}}, k: {{api_key: {{}}}}}}");
    let set = read(&[("policy.yaml", &text)], &mut out);
    let files = ReferredFiles::read(set.referred_files().map(Path::to_owned));
    let made = prepare(&set, &files, &KeySets::default(), &mut out);
    let (cells, fetches) = (made.by_authenticator, made.fetches);
    assert!(
        !cells.contains_key("k"),
        "keys of another kind need no key set"
    );
    let loaded = cells.get("a").is_some_and(|cell| cell.current().is_some());
    (fetches, loaded, out)
}

#[test]
fn keys_come_from_discovery_unless_the_policy_says_otherwise() {
    for (jwt, source) in [
        (
            "issuer: 'https://i.example'",
            "https://i.example/.well-known/openid-configuration",
        ),
        (
            "issuer: 'https://i.example/'",
            "https://i.example/.well-known/openid-configuration",
        ),
        (
            "issuer: 'https://i.example/a/b'",
            "https://i.example/a/b/.well-known/openid-configuration",
        ),
        (
            "issuer: i, jwks: {url: 'https://k.example/keys?x=1'}",
            "https://k.example/keys?x=1",
        ),
        (
            "issuer: i, jwks: {url: 'http://127.0.0.1:8080/keys'}",
            "http://127.0.0.1:8080/keys",
        ),
        (
            "issuer: i, jwks: {url: 'http://k.example/keys', allow_http: true}",
            "http://k.example/keys",
        ),
    ] {
        let (fetches, loaded, out) = prepared(jwt);
        assert!(out.is_empty(), "{}", out.render());
        assert!(!loaded, "nothing was fetched");
        let [fetch] = fetches.as_slice() else {
            panic!("{jwt}");
        };
        assert_eq!(fetch.authenticator, "a");
        let url = match &fetch.source {
            Source::Url(url) | Source::Discovery { document: url, .. } => url.as_str(),
            Source::File(path) => panic!("{path:?}"),
        };
        assert_eq!(url, source);
        assert!(fetch.source.is_remote());
    }
}

#[test]
fn keys_that_could_be_replaced_on_their_way_are_a_mistake() {
    for (jwt, code) in [
        ("issuer: 'http://i.example'", "insecure-url"),
        ("issuer: 'ftp://i.example'", "insecure-url"),
        ("issuer: accounts", "bad-url"),
        ("issuer: i, jwks: {url: 'http://k.example'}", "insecure-url"),
        (
            "issuer: i, jwks: {url: 'http://k.example', allow_http: false}",
            "insecure-url",
        ),
        (
            "issuer: i, jwks: {url: 'http://127.0.0.1.example/'}",
            "insecure-url",
        ),
        (
            "issuer: i, jwks: {url: 'http://localhost.example/'}",
            "insecure-url",
        ),
        (
            "issuer: i, jwks: {url: 'file:///etc/keys', allow_http: true}",
            "insecure-url",
        ),
        ("issuer: i, jwks: {url: /keys}", "bad-url"),
        (
            "issuer: i, jwks: {inline: {keys: [{kty: RSA}]}}",
            "bad-key-set",
        ),
        ("issuer: i, jwks: {file: nowhere.json}", "unreadable-file"),
    ] {
        let (fetches, loaded, out) = prepared(jwt);
        assert_eq!(mistakes(&out), [(code, 1)], "{jwt}");
        assert!(fetches.is_empty() && !loaded);
    }
}

#[test]
fn knows_the_machines_own_addresses() {
    for (url, own) in [
        ("http://localhost/", true),
        ("http://127.0.0.1:1/", true),
        ("http://127.9.9.9/", true),
        ("http://[::1]/", true),
        ("http://10.0.0.1/", false),
        ("http://[::2]/", false),
        ("http://localhost.localdomain/", false),
        ("http://0.0.0.0/", false),
    ] {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), own, "{url}");
    }
}

#[test]
fn a_set_in_the_policy_is_there_at_once_and_never_fetched() {
    let set = jwk_set(&[&Signer::ed25519("k")]);
    let (fetches, loaded, out) = prepared(&format!("issuer: i, jwks: {{inline: {set}}}"));
    assert!(out.is_empty(), "{}", out.render());
    assert!(loaded && fetches.is_empty());
}

#[test]
fn a_set_in_a_file_is_there_at_once_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    std::fs::write(&path, jwk_set(&[&Signer::ed25519("k")])).unwrap();
    let (fetches, loaded, out) =
        prepared(&format!("issuer: i, jwks: {{file: '{}'}}", path.display()));
    assert!(out.is_empty(), "{}", out.render());
    assert!(loaded);
    assert!(matches!(&fetches[0].source, Source::File(file) if *file == path));
    std::fs::write(&path, "{}").unwrap();
    let (_, loaded, out) = prepared(&format!("issuer: i, jwks: {{file: '{}'}}", path.display()));
    assert_eq!(mistakes(&out), [("bad-key-set", 1)]);
    assert!(!loaded);
}

/// Waits, in the test's own time, until as many attempts ended as were wanted.
async fn until(wanted: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if wanted() {
            return;
        }
        tokio::time::advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
    panic!("it never happened");
}

#[tokio::test(start_paused = true)]
async fn keeps_last_good_keys_and_finds_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let write = |text: &str| {
        // As a mounted Secret changes: in one step.
        let next = dir.path().join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(&next, &path).unwrap();
    };
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    write(&jwk_set(&[&old]));
    let cell = KeySetCell::empty();
    let fetch = Fetch {
        authenticator: "a".to_owned(),
        cell: Arc::clone(&cell),
        source: Source::File(path.clone()),
    };
    let task = tokio::spawn(keep_fresh(fetch, None, clock()));
    let holds = |kid: &str| {
        cell.current()
            .is_some_and(|set| set.named(kid).count() == 1)
    };
    until(|| holds("old")).await;
    let first = cell.current().unwrap().generation();

    write("{\"keys\": []}");
    tokio::time::advance(REREAD).await;
    for _ in 0..200 {
        tokio::time::advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
    assert!(holds("old"), "a broken file takes no key away");
    assert_eq!(cell.current().unwrap().generation(), first);

    std::fs::remove_file(&path).unwrap();
    tokio::time::advance(RETRY_MOST).await;
    assert!(holds("old"), "nor does a file that is gone");

    write(&jwk_set(&[&new]));
    until(|| holds("new")).await;
    assert!(!holds("old"), "a key that was withdrawn is gone");
    assert_ne!(cell.current().unwrap().generation(), first);
    task.abort();
}

#[tokio::test]
async fn a_file_that_has_grown_out_of_bounds_or_never_ends_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let set = jwk_set(&[&Signer::ed25519("k")]);
    let (most, source) = (4 * 1024 * 1024, Source::File(path.clone()));
    for (length, good) in [(set.len(), true), (most, true), (most + 1, false)] {
        let spaces = " ".repeat(length - set.len());
        std::fs::write(&path, format!("{set}{spaces}")).unwrap();
        let read = fresh(&source, None).await;
        match read {
            Ok(_) => assert!(good, "{length}"),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !good && text.contains("larger than 4194304 bytes"),
                    "{text}"
                );
            }
        }
    }
    let endless = Source::File("/dev/zero".into());
    let error = fresh(&endless, None).await.err().unwrap().to_string();
    assert!(error.contains("no regular file"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn says_that_an_issuer_is_away() {
    let cell = KeySetCell::empty();
    let fetch = Fetch {
        authenticator: "a".to_owned(),
        cell: Arc::clone(&cell),
        source: Source::Url(Url::parse("https://k.example").unwrap()),
    };
    // Without a client nothing can be fetched.
    let task = tokio::spawn(keep_fresh(fetch, None, clock()));
    assert!(cell.loaded(clock().as_ref()).await.is_none());
    task.abort();
}
