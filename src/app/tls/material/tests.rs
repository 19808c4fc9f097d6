use std::fs;
use std::sync::Arc;

use super::{Contents, Terms, TlsFiles, Unusable};
use crate::app::tls::test_certificates::{Authority, Leaf};
use crate::clock::{Clock, Timestamp};
use crate::test_support::clock;

struct Files {
    _directory: tempfile::TempDir,
    files: TlsFiles,
}

impl Files {
    fn new(authority: &Authority, leaf: &Leaf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let files = TlsFiles {
            certificate: at("tls.crt"),
            key: at("tls.key"),
            client_ca: Some(at("ca.crt")),
        };
        fs::write(&files.certificate, &leaf.pem).unwrap();
        fs::write(&files.key, &leaf.key_pem).unwrap();
        fs::write(at("ca.crt"), &authority.pem).unwrap();
        Self {
            _directory: directory,
            files,
        }
    }

    fn terms(&self) -> Result<Terms, Unusable> {
        let clock: Arc<dyn Clock> = clock();
        let contents = Contents::read(&self.files)?;
        Terms::of(&self.files, &contents, &[].into(), &clock)
    }

    fn error(&self) -> String {
        self.terms().err().expect("must not be usable").to_string()
    }
}

#[test]
fn reads_a_pair_and_client_cas_and_when_they_expire() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let leaf = authority.server();
    let files = Files::new(&authority, &leaf);
    let terms = files.terms().unwrap();
    // The beginnings of 4096 and 2040.
    let (far, near) = (67_090_118_400, 2_208_988_800);
    assert_eq!(terms.not_after, Timestamp::from_seconds(far));
    assert!(terms.callers.is_some() && terms.client_ca_not_after.is_some());
    // Of the chain what expires first counts, and the key may stand anywhere in its file.
    let short = authority.leaf(
        &["x"],
        (1975, 2040),
        rcgen::ExtendedKeyUsagePurpose::ServerAuth,
    );
    let chain = format!("# leaf\n{}\nand\n{}", leaf.pem, short.pem);
    fs::write(&files.files.certificate, chain).unwrap();
    let both = format!("{}{}", leaf.pem, leaf.key_pem);
    fs::write(&files.files.key, both).unwrap();
    let ca = files.files.client_ca.as_ref().unwrap();
    fs::write(ca, format!("{}{}", authority.pem, other.pem)).unwrap();
    let terms = files.terms().unwrap();
    assert_eq!(terms.not_after, Timestamp::from_seconds(near));
    let mut alone = files.files.clone();
    alone.client_ca = None;
    let contents = Contents::read(&alone).unwrap();
    let clock: Arc<dyn Clock> = clock();
    let terms = Terms::of(&alone, &contents, &[].into(), &clock).unwrap();
    assert!(terms.callers.is_none() && terms.client_ca_not_after.is_none());
}

#[test]
fn says_what_cannot_be_used_and_which_setting_names_it() {
    let authority = Authority::new("ca");
    let (leaf, other) = (authority.server(), authority.server());
    let cut = |pem: &str| pem.split_at(pem.len() / 2).0.to_owned();
    let damaged = |pem: &str| pem.replacen("MI", "AA", 1);
    let encrypted = leaf.key_pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let anchors = format!("{}{}", authority.pem, leaf.pem);
    let (cert, key, ca) = ("tls.crt", "tls.key", "ca.crt");
    for (name, text, said) in [
        (key, &other.key_pem, "is not the key of"),
        (cert, &cut(&leaf.pem), "--tls-cert) is no whole PEM"),
        (key, &cut(&leaf.key_pem), "--tls-key) is no whole PEM"),
        (ca, &cut(&authority.pem), "--tls-client-ca) is no whole PEM"),
        (cert, &String::new(), "--tls-cert) holds no certificate"),
        (key, &leaf.pem, "--tls-key) holds no private key"),
        (key, &encrypted, "not encrypted"),
        (ca, &String::new(), "--tls-client-ca) holds no certificate"),
        (ca, &leaf.pem, "certificate 1 in"),
        (ca, &anchors, "certificate 2 in"),
        (cert, &damaged(&leaf.pem), "cannot be read"),
        (
            ca,
            &damaged(&authority.pem),
            "--tls-client-ca) cannot be read",
        ),
    ] {
        let files = Files::new(&authority, &leaf);
        fs::write(files.files.certificate.with_file_name(name), text).unwrap();
        let error = files.error();
        assert!(error.contains(said), "{said}: {error}");
        let secret = leaf.key_pem.lines().nth(1).unwrap();
        let part: String = secret.chars().take(16).collect();
        assert!(!error.contains(&part), "{error}");
    }
    let files = Files::new(&authority, &leaf);
    fs::remove_file(&files.files.key).unwrap();
    assert!(files.error().contains("--tls-key): "), "{}", files.error());
    fs::create_dir(&files.files.key).unwrap();
    assert!(files.error().contains("no regular file"));
}

#[test]
fn contents_are_equal_where_all_files_are() {
    let authority = Authority::new("ca");
    let files = Files::new(&authority, &authority.server());
    let digest = || Contents::read(&files.files).unwrap().digest();
    let before = digest();
    assert_eq!(before, digest());
    // Bytes that move from one file to the next are another content.
    let (certificate, key) = (&files.files.certificate, &files.files.key);
    let (one, two) = (fs::read(certificate).unwrap(), fs::read(key).unwrap());
    fs::write(certificate, [&one[..], &two[..1]].concat()).unwrap();
    fs::write(key, &two[1..]).unwrap();
    assert_ne!(before, digest());
}
