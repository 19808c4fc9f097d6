use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::{prop_assert, proptest};

use super::{ApiKeys, CannotMint, KeyRecord, NewKey, checksum, mint};
use crate::clock::Timestamp;
use crate::consumer::Consumer;
use crate::policy::scope::ScopeSet;
use crate::secret::Digest;
use crate::test_support::NOW;
use crate::verdict::Reason;

fn consumer(ceiling: Option<&[&str]>) -> Arc<Consumer> {
    Arc::new(Consumer {
        name: "acme".into(),
        environment: "live".into(),
        roles: Box::default(),
        allow_ips: None,
        ceiling: ceiling.map(|scopes| ScopeSet::granted(scopes.iter().copied()).unwrap()),
        expires: None,
        metadata: serde_json::Value::Null,
    })
}

fn record(id: &str, key: &[u8], expires: Option<i64>) -> KeyRecord {
    let expires = expires.map(Timestamp::from_seconds);
    KeyRecord::new("keys", id, Digest::of(key), expires, None, consumer(None))
}

fn registry(keys: &[&[u8]]) -> ApiKeys {
    let mut registry = ApiKeys::new(None);
    for key in keys {
        assert!(registry.insert(record("k1", key, None)).is_ok());
    }
    registry
}

fn verify(keys: &ApiKeys, presented: &[u8]) -> Reason {
    let now = Timestamp::from_seconds(NOW);
    let verified = keys.verify(presented, "live", now);
    verified
        .err()
        .map_or(Reason::Allowed, |refusal| refusal.reason)
}

fn minted() -> NewKey {
    mint("pk_", "live", None).unwrap()
}

#[test]
fn a_minted_key_opens_what_its_digest_opens() {
    let key = minted();
    let plain = key.plain.expose();
    assert!(key.digest == Digest::of(plain));
    assert_eq!(verify(&registry(&[plain]), plain), Reason::Allowed);
    assert_eq!(verify(&registry(&[]), plain), Reason::KeyUnknown);
}

#[test]
fn a_minted_key_reads_as_documented() {
    let key = mint("acme_pk_", "test-2", Some("k-1")).unwrap();
    let text = String::from_utf8(key.plain.expose().to_vec()).unwrap();
    let secret = text.strip_prefix("acme_pk_test-2_k-1_").unwrap();
    assert_eq!(key.id, "k-1");
    assert_eq!(secret.len(), 38);
    assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(minted().id.len(), 8);
    let many: HashSet<Vec<u8>> = (0..500).map(|_| minted().plain.expose().to_vec()).collect();
    assert_eq!(many.len(), 500, "no two keys are alike");
}

#[test]
fn refuses_to_mint_what_could_not_be_told_apart() {
    let long = "x".repeat(65);
    let long_prefix = format!("{}_", "x".repeat(32));
    for (prefix, environment, id, error) in [
        ("pk", "live", None, CannotMint::Prefix),
        ("", "live", None, CannotMint::Prefix),
        ("p k_", "live", None, CannotMint::Prefix),
        ("p,k_", "live", None, CannotMint::Prefix),
        (&long_prefix, "live", None, CannotMint::Prefix),
        ("pk_", "", None, CannotMint::Characters("the environment")),
        (
            "pk_",
            "a_b",
            None,
            CannotMint::Characters("the environment"),
        ),
        (
            "pk_",
            &long,
            None,
            CannotMint::Characters("the environment"),
        ),
        ("pk_", "live", Some(""), CannotMint::Characters("the id")),
        ("pk_", "live", Some("a_b"), CannotMint::Characters("the id")),
        ("pk_", "live", Some("é"), CannotMint::Characters("the id")),
        ("pk_", "live", Some(&long), CannotMint::Characters("the id")),
    ] {
        let refused = mint(prefix, environment, id).err();
        assert_eq!(refused, Some(error), "{prefix} {environment} {id:?}");
    }
}

#[test]
fn a_minted_key_is_not_shown() {
    let key = minted();
    let plain = String::from_utf8(key.plain.expose().to_vec()).unwrap();
    assert!(!format!("{key:?}").contains(plain.get(12..).unwrap()));
}

/// The check value of CRC-32 (ISO 3309) is that of the digits 1 to 9.
#[test]
fn the_checksum_is_crc_32_in_base_62() {
    let value = checksum("123456789").bytes().fold(0u64, |sum, digit| {
        sum * 62
            + u64::from(match digit {
                b'0'..=b'9' => digit - b'0',
                b'A'..=b'Z' => digit - b'A' + 10,
                _ => digit - b'a' + 36,
            })
    });
    assert_eq!(value, 0xcbf4_3926);
}

#[test]
fn tells_a_typing_error_from_an_unknown_key() {
    let key = minted();
    let text = String::from_utf8(key.plain.expose().to_vec()).unwrap();
    let keys = registry(&[text.as_bytes()]);
    let cut = text.get(..text.len() - 1).unwrap();
    let swapped = format!("{cut}-");
    for (presented, reason) in [
        (cut, Reason::KeyMalformed),
        (&swapped, Reason::KeyMalformed),
        ("pk_live_id_", Reason::KeyMalformed),
        ("pk_live_id", Reason::KeyUnknown),
        ("pk_", Reason::KeyUnknown),
        ("something else", Reason::KeyUnknown),
        ("somethingelse", Reason::KeyUnknown),
    ] {
        assert_eq!(verify(&keys, presented.as_bytes()), reason, "{presented}");
    }
}

#[test]
fn a_key_of_another_environment_is_refused_early() {
    let key = mint("pk_", "test", None).unwrap();
    assert_eq!(
        verify(&registry(&[]), key.plain.expose()),
        Reason::EnvironmentMismatch
    );
    // The declared environment of its consumer decides, which the caller of `verify` judges.
    let registered = registry(&[key.plain.expose()]);
    assert_eq!(verify(&registered, key.plain.expose()), Reason::Allowed);
}

#[test]
fn keys_of_any_format_work_by_their_digest() {
    let keys = registry(&[b"sk-some.other/format=="]);
    assert_eq!(verify(&keys, b"sk-some.other/format=="), Reason::Allowed);
    assert_eq!(verify(&keys, b"sk-some.other/format="), Reason::KeyUnknown);
    assert_eq!(verify(&keys, b"SK-some.other/format=="), Reason::KeyUnknown);
}

#[test]
fn a_key_ends_in_the_second_that_it_names() {
    for (expires, reason) in [
        (Some(NOW + 1), Reason::Allowed),
        (Some(NOW), Reason::KeyExpired),
        (Some(0), Reason::KeyExpired),
        (None, Reason::Allowed),
    ] {
        let mut keys = ApiKeys::new(None);
        assert!(keys.insert(record("k1", b"secret", expires)).is_ok());
        assert_eq!(verify(&keys, b"secret"), reason, "{expires:?}");
    }
}

#[test]
fn k3_what_no_key_holds_is_refused_though_its_digest_is_registered() {
    let long = vec![b'x'; 4097];
    for bad in [&b"a b"[..], b"a\n", b"a\0", b"\xff", "é".as_bytes(), &long] {
        assert_eq!(
            verify(&registry(&[bad]), bad),
            Reason::KeyUnknown,
            "{bad:?}"
        );
    }
    let longest = &long[1..];
    assert_eq!(verify(&registry(&[longest]), longest), Reason::Allowed);
}

#[test]
fn k2_one_digest_is_registered_once() {
    let mut keys = ApiKeys::new(None);
    assert!(keys.insert(record("first", b"secret", None)).is_ok());
    let twin = keys.insert(record("second", b"secret", None)).unwrap_err();
    assert_eq!(&*twin.id, "first");
}

/// What their number costs is told by the hash of digests.
#[test]
fn keys_whose_digests_begin_alike_are_told_apart() {
    let digest = |last: u32| Digest::from_hex(&format!("{}{last:08x}", "7".repeat(56))).unwrap();
    let record = |id: &str, last| KeyRecord::new("k", id, digest(last), None, None, consumer(None));
    let mut keys = ApiKeys::new(None);
    for last in 0..10_000 {
        assert!(keys.insert(record(&format!("k{last}"), last)).is_ok());
    }
    let twin = keys.insert(record("again", 4_711)).unwrap_err();
    assert_eq!(&*twin.id, "k4711");
}

#[test]
fn a_prefix_decides_which_bearer_credentials_are_keys() {
    for (prefix, credential, owned) in [
        (None, "pk_live_x", true),
        (None, "PK_live_x", false),
        (None, "sk_live_x", false),
        (None, "", false),
        (Some("sk_"), "sk_live_x", true),
        (Some("sk_"), "pk_live_x", false),
    ] {
        let keys = ApiKeys::new(prefix);
        assert_eq!(
            keys.owns_bearer(credential.as_bytes()),
            owned,
            "{credential}"
        );
    }
}

#[test]
fn a_key_has_its_own_scopes_cut_to_the_ceiling_or_the_ceiling() {
    for (own, ceiling, held) in [
        (None, None, ""),
        (None, Some(&["a:*"][..]), "a:*"),
        (Some(&["a:read"][..]), None, "a:read"),
        (Some(&["a:read", "b"]), Some(&["a:*"]), "a:read"),
        (Some(&[]), Some(&["a:*"]), ""),
        (Some(&["*"]), Some(&["a"]), "a"),
        (Some(&["*"]), Some(&[]), ""),
    ] {
        let own = own.map(|scopes| ScopeSet::granted(scopes.iter().copied()).unwrap());
        let record = KeyRecord::new("keys", "k", Digest::of(b"x"), None, own, consumer(ceiling));
        assert_eq!(record.scopes.joined(), held);
        assert_eq!(&*record.principal_id, "keys:acme");
    }
}

#[test]
fn any_bit_flipped_anywhere_refuses() {
    let key = minted();
    let plain = key.plain.expose();
    let keys = registry(&[plain]);
    for position in 0..plain.len() {
        for bit in 0..8 {
            let mut flipped = plain.to_vec();
            flipped[position] ^= 1 << bit;
            assert_ne!(
                verify(&keys, &flipped),
                Reason::Allowed,
                "byte {position}, bit {bit}"
            );
        }
    }
    for length in 0..plain.len() {
        assert_ne!(verify(&keys, &plain[..length]), Reason::Allowed);
    }
}

proptest! {
    #[test]
    fn random_credentials_never_authenticate(
        presented in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        text in "pk_(live|test)_[A-Za-z0-9]{8}_[A-Za-z0-9]{38}",
    ) {
        let keys = registry(&[minted().plain.expose()]);
        prop_assert!(verify(&keys, &presented) != Reason::Allowed);
        prop_assert!(verify(&keys, text.as_bytes()) != Reason::Allowed);
    }
}
