use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Inputs;
use crate::authn::jwt::token_cache;
use crate::diagnostic::Diagnostics;
use crate::snapshot::Snapshot;
use crate::test_support::{Signer, jwk_set, mistakes};

const POLICY: &str = "policies: {p: {hosts: [a], routes: [{path: /, public: true}]}}";
const LOGIN: &str =
    "authenticators: {login: {jwt: {issuer: i, any_audience: true, jwks: {file: ../keys.json}}}}";

fn read(directory: &Path) -> (Inputs, Diagnostics) {
    let mut out = Diagnostics::default();
    (Inputs::read(directory, &mut out), out)
}

/// `policies/` with a policy and an authenticator whose keys stand beside.
fn written() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let policies = dir.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("p.yaml"), POLICY).unwrap();
    fs::write(policies.join("login.yaml"), LOGIN).unwrap();
    fs::write(dir.path().join("keys.json"), "{}").unwrap();
    (dir, policies)
}

#[test]
fn what_policies_refer_to_belongs_to_them() {
    let (_dir, policies) = written();
    let (inputs, out) = read(&policies);
    assert!(out.is_empty(), "{}", out.render());
    let file = policies.join("../keys.json");
    assert_eq!(inputs.files.paths().collect::<Vec<_>>(), [&file]);
    assert_eq!(inputs.files.get(&file), Ok(&b"{}"[..]));
    assert!(inputs.files.get(Path::new("/other")).is_err());
}

#[test]
fn the_digest_is_of_names_and_contents_and_of_nothing_else() {
    let (dir, policies) = written();
    let referred: BTreeSet<PathBuf> = [policies.join("../keys.json")].into();
    let digest = || {
        let digest = read(&policies).0.digest;
        assert!(digest == Inputs::digest_of(&policies, &referred));
        digest
    };
    let first = digest();
    fs::write(policies.join("p.yaml"), POLICY).unwrap();
    assert!(digest() == first, "written again");
    let elsewhere = written();
    assert!(read(&elsewhere.1).0.digest == first, "wherever they stand");
    let changes: [(&str, &dyn Fn()); 5] = [
        ("content", &|| {
            fs::write(policies.join("p.yaml"), format!("{POLICY}\n")).unwrap()
        }),
        ("a name", &|| {
            fs::rename(policies.join("p.yaml"), policies.join("q.yaml")).unwrap()
        }),
        ("a file", &|| {
            fs::write(policies.join("z.yaml"), "#").unwrap()
        }),
        ("the keys", &|| {
            fs::write(dir.path().join("keys.json"), "{\"keys\": []}").unwrap()
        }),
        ("no keys", &|| {
            fs::remove_file(dir.path().join("keys.json")).unwrap()
        }),
    ];
    let mut seen = vec![first];
    for (what, change) in changes {
        change();
        let digest = digest();
        assert!(!seen.contains(&digest), "{what}");
        seen.push(digest);
    }
}

#[test]
fn a_file_that_was_only_opened_for_writing_is_no_file_that_says_nothing() {
    let (_dir, policies) = written();
    fs::write(policies.join("p.yaml"), "").unwrap();
    assert_eq!(mistakes(&read(&policies).1), [("unreadable-file", 0)]);
}

#[test]
fn what_would_be_waited_for_is_not_read() {
    let (dir, policies) = written();
    let keys = dir.path().join("keys.json");
    fs::remove_file(&keys).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&keys).status();
    assert!(made.unwrap().success());
    let (inputs, _) = read(&policies);
    let error = inputs
        .files
        .get(&policies.join("../keys.json"))
        .unwrap_err();
    assert!(error.contains("no regular file"), "{error}");
}

#[test]
fn files_that_change_while_they_are_read_are_read_again() {
    let (dir, policies) = written();
    let other = POLICY.replace("{p:", "{other:");
    for (changes, good) in [(0, true), (1, true), (4, true), (5, false), (9, false)] {
        fs::write(policies.join("p.yaml"), POLICY).unwrap();
        let mut left = changes;
        let meanwhile = || {
            if left > 0 {
                left -= 1;
                // In its place, so that it shows whatever the grain of the file system's times.
                fs::write(dir.path().join("next"), &other).unwrap();
                fs::rename(dir.path().join("next"), policies.join("p.yaml")).unwrap();
            }
        };
        let mut out = Diagnostics::default();
        let inputs = Inputs::read_while(&policies, &mut out, meanwhile);
        let name = &inputs.set.policies[0].name.value;
        if good {
            assert!(out.is_empty(), "{changes}: {}", out.render());
            assert_eq!(name, if changes == 0 { "p" } else { "other" }, "{changes}");
        } else {
            assert_eq!(mistakes(&out), [("files-moving", 0)], "{changes}");
        }
    }
}

/// A policy of a tenant's, with keys of its own.
fn tenant(host: &str) -> String {
    let login = LOGIN
        .replace("../keys.json", "keys.json")
        .replace("i,", "'https://i.example',");
    let policy = POLICY.replace("hosts: [a]", &format!("hosts: [{host}]"));
    format!(
        "{login}\n{}",
        policy.replace("public: true", "authenticate: login")
    )
}

#[test]
fn a_tenant_whose_files_keep_moving_holds_up_nobody_else() {
    let (dir, policies) = written();
    let keys = jwk_set(&[&Signer::ed25519("k")]);
    let tenants = "tenants: {calm: {hosts: [b]}, restless: {hosts: [c]}}\n";
    fs::write(policies.join("tenants.yaml"), tenants).unwrap();
    fs::remove_file(policies.join("login.yaml")).unwrap();
    for (name, host) in [("calm", "b"), ("restless", "c")] {
        fs::create_dir(policies.join(name)).unwrap();
        fs::write(policies.join(name).join("t.yaml"), tenant(host)).unwrap();
        fs::write(policies.join(name).join("keys.json"), &keys).unwrap();
    }
    // In its place, so that it shows whatever the grain of the file system's times.
    let put = |file: &str| {
        fs::copy(policies.join(file), dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), policies.join(file)).unwrap();
    };
    let read = |moving: &[&str]| {
        let mut out = Diagnostics::default();
        let inputs = Inputs::read_while(&policies, &mut out, || {
            moving.iter().for_each(|file| put(file))
        });
        (inputs, out)
    };
    let compiled = |(inputs, mut out): (Inputs, Diagnostics), previous: Option<&Snapshot>| {
        let snapshot = Snapshot::compile(&inputs, &token_cache(0), previous, &mut out);
        (snapshot, out)
    };
    let (first, out) = compiled(read(&[]), None);
    let first = first.unwrap();
    assert!(
        out.is_empty() && first.tenants_are_current,
        "{}",
        out.render()
    );
    for (moving, whose) in [
        (&["restless/t.yaml"][..], &["restless"][..]),
        (&["restless/keys.json"], &["restless"]),
        (
            &["restless/t.yaml", "calm/keys.json"],
            &["calm", "restless"],
        ),
    ] {
        let (inputs, out) = read(moving);
        assert!(out.is_empty() && inputs.moving, "{}", out.render());
        for (name, tenant) in &inputs.tenants {
            let moves = whose.contains(&name.as_str());
            let expected = [("files-moving", 0)];
            assert_eq!(
                mistakes(&tenant.problems),
                &expected[..usize::from(moves)],
                "{moving:?}"
            );
        }
        // The root and the others go on, and its last good policies serve.
        let (snapshot, out) = compiled((inputs, out), Some(&first));
        let snapshot = snapshot.unwrap();
        assert_eq!(mistakes(&out).len(), whose.len());
        assert!(!snapshot.tenants_are_current);
        assert_eq!(snapshot.table.route_count, 3);
        assert!(snapshot.table.unavailable.is_empty());
    }
    // As after a start: only its own hosts are not served.
    let (snapshot, _) = compiled(read(&["restless/t.yaml"]), None);
    let snapshot = snapshot.unwrap();
    assert_eq!(
        (snapshot.table.route_count, snapshot.table.unavailable.len()),
        (2, 1)
    );
    // What is the root's is everybody's.
    let (inputs, out) = read(&["restless/t.yaml", "tenants.yaml"]);
    assert_eq!(mistakes(&out), [("files-moving", 0)]);
    assert!(compiled((inputs, out), Some(&first)).0.is_none());
}

#[test]
fn what_tenants_may_not_refer_to_is_not_read() {
    let (dir, policies) = written();
    let outside = dir.path().join("keys.json");
    fs::write(&outside, "{\"keys\": []}").unwrap();
    let tenant = policies.join("web");
    fs::create_dir(&tenant).unwrap();
    fs::write(tenant.join("own.json"), "{}").unwrap();
    let absolute = outside.display().to_string();
    let own = tenant.join("own.json").display().to_string();
    fs::remove_file(policies.join("login.yaml")).unwrap();
    // However the directory itself is named.
    let around = policies.join("../policies");
    for (directory, file, its_own) in [
        (&policies, "own.json", true),
        (&policies, "./own.json", true),
        (&policies, &own, true),
        (&around, "own.json", true),
        (&around, "../own.json", false),
        (&policies, "../../keys.json", false),
        (&policies, "../web/own.json", false),
        (&policies, "x/../../web/own.json", false),
        (&policies, &absolute, false),
        (&policies, "/proc/self/environ", false),
    ] {
        let login = LOGIN.replace("../keys.json", file);
        fs::write(tenant.join("t.yaml"), login).unwrap();
        let (inputs, _) = read(directory);
        assert_eq!(inputs.files.paths().count(), usize::from(its_own), "{file}");
    }
    // The root may, and then it is read for the root.
    fs::write(policies.join("login.yaml"), LOGIN).unwrap();
    let (inputs, _) = read(&policies);
    assert_eq!(
        inputs.files.paths().collect::<Vec<_>>(),
        [&policies.join("../keys.json")]
    );
}
