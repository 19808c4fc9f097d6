use std::fs;

use super::{KEY_SET, PLACEHOLDER_DIGEST, PLACEHOLDER_ID, POLICY, write};
use crate::cli::tests::exit;
use crate::cli::{FAILED, OK};
use crate::secret::Digest;

#[test]
fn the_starter_set_has_no_mistakes_and_nothing_to_warn_of() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("new/policies");
    let path = directory.to_str().unwrap();
    assert_eq!(exit(&["init", path]), OK);
    assert_eq!(exit(&["check", path, "--deny-warnings"]), OK);
    let yaml = fs::read_to_string(directory.join("policy.yaml")).unwrap();
    assert!(!yaml.contains(PLACEHOLDER_DIGEST) && !yaml.contains(PLACEHOLDER_ID));
    let schema = yaml
        .lines()
        .next()
        .unwrap()
        .split_once("$schema=")
        .unwrap()
        .1;
    assert!(directory.join(schema).exists(), "{schema}");
}

#[test]
fn the_printed_key_is_the_one_that_is_registered() {
    let directory = tempfile::tempdir().unwrap();
    let key = write(directory.path()).unwrap();
    let yaml = fs::read_to_string(directory.path().join("policy.yaml")).unwrap();
    let digest = Digest::of(key.as_bytes()).to_hex();
    assert!(yaml.contains(&format!("sha256:{digest}")), "{yaml}");
    let again = tempfile::tempdir().unwrap();
    assert_ne!(write(again.path()).unwrap(), key);
}

#[test]
fn nothing_is_overwritten_and_a_refusal_leaves_nothing_behind() {
    for name in [
        "policy.yaml",
        "company-login.jwks.json",
        "policy.schema.json",
        "orders.yml",
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(name), "mine").unwrap();
        let error = write(directory.path()).unwrap_err();
        assert!(error.contains(name), "{error}");
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{name}");
        assert_eq!(
            fs::read_to_string(directory.path().join(name)).unwrap(),
            "mine"
        );
        assert_eq!(exit(&["init", directory.path().to_str().unwrap()]), FAILED);
    }
}

#[test]
fn the_template_has_what_is_replaced() {
    assert_eq!(POLICY.matches(PLACEHOLDER_ID).count(), 1);
    assert_eq!(POLICY.matches(PLACEHOLDER_DIGEST).count(), 1);
    assert!(!KEY_SET.contains("\"d\""), "only a public key");
}
