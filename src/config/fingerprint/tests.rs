use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Fingerprint;
use crate::clock::{Clock, SystemClock};

fn of(directory: &Path, files: &[PathBuf]) -> Fingerprint {
    Fingerprint::of(directory, files)
}

/// Each of these is one change that must show, from the state that the one before left.
#[test]
fn every_change_shows() {
    let dir = tempfile::tempdir().unwrap();
    let policies = dir.path().join("policies");
    let at = |name: &str| policies.join(name);
    let beside = dir.path().join("keys.json");
    let generation = |name: &str, text: &str| {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("c.yaml"), text).unwrap();
    };
    fs::create_dir(&policies).unwrap();
    generation("..1", "same");
    symlink("..1", at("..data")).unwrap();
    symlink("..data/c.yaml", at("c.yaml")).unwrap();
    let swap = || {
        generation("..2", "same");
        symlink("..2", at("..next")).unwrap();
        fs::rename(at("..next"), at("..data")).unwrap();
    };
    let replace = |name: &str, text: &str| {
        fs::write(dir.path().join("next"), text).unwrap();
        fs::rename(dir.path().join("next"), at(name)).unwrap();
    };
    let changes: [(&str, &dyn Fn()); 10] = [
        ("a new file", &|| fs::write(at("a.yaml"), "1").unwrap()),
        ("a longer file", &|| fs::write(at("a.yaml"), "12").unwrap()),
        ("a file put in its place", &|| replace("a.yaml", "21")),
        ("a new name", &|| {
            fs::rename(at("a.yaml"), at("b.yaml")).unwrap()
        }),
        ("other permissions", &|| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(at("b.yaml"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("a file less", &|| fs::remove_file(at("b.yaml")).unwrap()),
        ("a swap of equal content", &swap),
        ("a file beside", &|| fs::write(&beside, "{}").unwrap()),
        ("that file gone", &|| fs::remove_file(&beside).unwrap()),
        ("the directory gone", &|| {
            fs::rename(&policies, dir.path().join("gone")).unwrap()
        }),
    ];
    let mut before = of(&policies, std::slice::from_ref(&beside));
    for (what, change) in changes {
        assert!(
            before == of(&policies, std::slice::from_ref(&beside)),
            "before {what}"
        );
        change();
        let after = of(&policies, std::slice::from_ref(&beside));
        assert!(before != after, "{what}");
        let same_directory = before.moved_entries(&after).is_empty();
        assert_eq!(
            same_directory,
            what.contains("that file") || what == "a file beside",
            "{what}"
        );
        before = after;
    }
}

#[test]
fn a_change_just_now_leaves_a_doubt_that_passes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), "1").unwrap();
    let fingerprint = of(dir.path(), &[]);
    let now = SystemClock::new().now();
    assert!(fingerprint.is_recent(now));
    assert!(!fingerprint.is_recent(now.plus(Duration::from_secs(3))));
    let nothing = of(&dir.path().join("gone"), &[]);
    assert!(!nothing.is_recent(now));
}
