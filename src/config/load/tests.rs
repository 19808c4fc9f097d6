use std::fs;
use std::path::Path;

use super::{PolicyFiles, RevocationFiles, directory};
use crate::config::inputs::Inputs;
use crate::diagnostic::Diagnostics;
use crate::policy::source::PolicySet;
use crate::snapshot::Snapshot;
use crate::test_support::mistakes;

const POLICY: &str = "policies: {NAME: {hosts: [a], routes: [{path: /, public: true}]}}";

fn policy(name: &str) -> String {
    POLICY.replace("NAME", name)
}

fn load(path: &Path) -> (PolicySet, Diagnostics) {
    let mut out = Diagnostics::default();
    (directory(path, &mut out), out)
}

fn names(set: &PolicySet) -> Vec<&str> {
    set.policies
        .iter()
        .map(|policy| policy.name.value.as_str())
        .collect()
}

#[test]
fn reads_every_policy_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for (file, name) in [
        ("b.yml", "b"),
        ("a.yaml", "a"),
        (".hidden.yaml", "hidden"),
        ("c.yaml~", "c"),
    ] {
        fs::write(dir.path().join(file), policy(name)).unwrap();
    }
    fs::write(dir.path().join("notes.txt"), "not YAML: [").unwrap();
    let (set, out) = load(dir.path());
    assert!(out.is_empty(), "{}", out.render());
    assert_eq!(names(&set), ["a", "b"]);
}

/// A mounted ConfigMap: files are links into `..data`, which is a link to the newest generation.
#[test]
fn reads_a_config_maps_files_once() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (generation, name) in [("..2026_11_01", "old"), ("..2026_11_02", "new")] {
        fs::create_dir(at(generation)).unwrap();
        fs::write(at(generation).join("policy.yaml"), policy(name)).unwrap();
    }
    symlink("..2026_11_02", at("..data")).unwrap();
    symlink("..data/policy.yaml", at("policy.yaml")).unwrap();
    let (set, out) = load(dir.path());
    assert!(out.is_empty(), "{}", out.render());
    assert_eq!(names(&set), ["new"]);
}

#[test]
fn no_file_is_never_no_rules() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(mistakes(&load(dir.path()).1), [("no-policies", 0)]);
    fs::write(dir.path().join("readme.md"), "# nothing").unwrap();
    fs::write(dir.path().join("..data"), policy("a")).unwrap();
    assert_eq!(mistakes(&load(dir.path()).1), [("no-policies", 0)]);
    let gone = dir.path().join("gone");
    assert_eq!(mistakes(&load(&gone).1), [("unreadable-directory", 0)]);
    let file = dir.path().join("readme.md");
    assert_eq!(mistakes(&load(&file).1), [("unreadable-directory", 0)]);
}

#[test]
fn files_that_cannot_be_read_are_named_and_the_others_are_read() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("a.yaml", policy("a").as_bytes());
    write(
        "b-large.yaml",
        &[b"#".repeat(4 * 1024 * 1024), b"\n".to_vec()].concat(),
    );
    write("c-latin.yaml", b"policies: {\xe9: {}}");
    write("d-broken.yaml", b"policies: [");
    write("e-twice.yaml", b"policies: {}\npolicies: {}\n");
    symlink("nowhere", dir.path().join("f-dangling.yaml")).unwrap();
    symlink("/dev/zero", dir.path().join("g-endless.yaml")).unwrap();
    let (set, out) = load(dir.path());
    assert_eq!(names(&set), ["a"]);
    let told = out.render();
    for name in [
        "b-large",
        "c-latin",
        "d-broken",
        "e-twice",
        "f-dangling",
        "g-endless",
    ] {
        assert!(told.contains(&format!("{name}.yaml")), "{name}: {told}");
    }
    assert_eq!(out.error_count(), 6, "{told}");
}

#[test]
fn a_file_of_the_largest_size_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = policy("a");
    text.push_str("\n#");
    text.push_str(&"x".repeat(4 * 1024 * 1024 - text.len()));
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    let (set, out) = load(dir.path());
    assert!(out.is_empty(), "{}", out.render());
    assert_eq!(names(&set), ["a"]);
}

#[test]
fn f8_a_subdirectory_that_is_no_tenants_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), policy("a")).unwrap();
    for name in ["team", "team.yaml"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("b.yaml"), policy("b")).unwrap();
    }
    let mut out = Diagnostics::default();
    let inputs = Inputs::read(dir.path(), &mut out);
    assert_eq!(names(&inputs.set), ["a"]);
    let tenants: Vec<&String> = inputs.tenants.keys().collect();
    assert_eq!(tenants, ["team", "team.yaml"]);
    let cache = crate::authn::jwt::token_cache(0);
    assert!(Snapshot::compile(&inputs, &cache, None, &mut out).is_none());
    assert_eq!(mistakes(&out), [("undeclared-directory", 0); 2]);
}

#[test]
fn revocations_count_whatever_mistakes_stand_beside_them() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let of = |at: &Path, previous: &RevocationFiles| {
        RevocationFiles::of(
            &PolicyFiles::read(at, &mut Diagnostics::default()),
            previous,
        )
    };
    let read = |previous: &RevocationFiles| of(directory.path(), previous);
    put(
        "a.yaml",
        "revocations: [{credential: a}]\npolices: nonsense",
    );
    put("b.yaml", "revocations: [{credential: b}]");
    let first = read(&RevocationFiles::default());
    assert_eq!(first.index().len(), 2);
    // Neither half a file nor a broken entry takes a revocation back, and the others are read.
    put("a.yaml", "revocations: [{credential: a");
    put("b.yaml", "revocations: [{credential: c}, {credential: }]");
    let second = read(&first);
    assert_eq!(second.index().len(), 3);
    // A directory that is empty or away says nothing.
    fs::remove_file(directory.path().join("a.yaml")).unwrap();
    fs::remove_file(directory.path().join("b.yaml")).unwrap();
    assert_eq!(read(&second), second);
    let nowhere = directory.path().join("nowhere");
    assert_eq!(of(&nowhere, &second), second);
    // An entry that is gone from a file that can be read is taken back, and so is a file.
    put("b.yaml", "revocations: [{credential: c}]");
    assert_eq!(read(&second).index().len(), 1);
}

/// Such files are regular, and their size is said to be none.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_says_nothing_of_its_size_is_read_within_bounds() {
    let path = Path::new("/proc/self/status");
    assert!(!super::whole_file(path, 1 << 20).unwrap().is_empty());
    let error = super::whole_file(path, 16).unwrap_err();
    assert_eq!(error, "it is larger than 16 bytes");
}
