//! What users wrote of client certificates.

use std::path::{Path, PathBuf};

use crate::diagnostic::Place;
use crate::policy::source::Located;

/// `mtls`.
#[derive(Debug)]
pub struct MtlsSource {
    /// `trust_domains`: workloads with an X.509-SVID are meant.
    pub trust_domains: Option<Vec<Located<String>>>,
    /// `identity`: other certificates are meant, and this is what their holders are called.
    pub identity: Option<Located<IdentitySource>>,
    /// `allow`.
    pub allow: Option<Located<Vec<PeerSource>>>,
    /// `except`.
    pub except: Vec<PeerSource>,
    /// `any_workload: true`.
    pub any_workload: bool,
    /// `any_certificate: true`.
    pub any_certificate: bool,
    /// `bundles`: the file of each trust domain.
    pub bundles: Option<Vec<(Located<String>, Located<PathBuf>)>>,
    /// `ca`.
    pub ca: Option<Located<PathBuf>>,
    /// `crls`.
    pub crls: Vec<Located<PathBuf>>,
    /// `unknown_revocation: accept`.
    pub unknown_revocation_accept: Option<Located<bool>>,
    /// `pins`.
    pub pins: Option<Vec<PeerSource>>,
    /// `verified_by: envoy`.
    pub verified_by_envoy: bool,
    /// Where the definition stands.
    pub place: Place,
}

/// `identity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// One of the words.
    Word(String),
    /// `{attribute: OID}`.
    Attribute(String),
    /// `{extension: OID}`.
    Extension(String),
}

/// What names a peer: an entry of `allow`, `except`, `pins`, `callers`, or a consumer's credential.
#[derive(Clone, Debug)]
pub struct PeerSource {
    /// The key that names it: `spiffe_id`, `namespace`, `subject`, …
    pub named_by: &'static str,
    /// What stands behind it.
    pub name: Located<String>,
    /// What goes with it: `service_account` of a `namespace`, `issuer` of a `serial`, `value` of an `attribute`.
    pub with: Option<Located<String>>,
    /// `trust_domain` of a `namespace`.
    pub trust_domain: Option<Located<String>>,
    /// Where it stands.
    pub place: Place,
}

impl PeerSource {
    /// As an operator reads it.
    pub fn told(&self) -> String {
        let mut text = format!("{}: {}", self.named_by, self.name.value);
        let beside = match self.named_by {
            "namespace" => "service_account",
            "serial" => "issuer",
            _ => "value",
        };
        let more = [(beside, &self.with), ("trust_domain", &self.trust_domain)];
        for (key, said) in more {
            if let Some(said) = said {
                text.push_str(&format!(", {key}: {}", said.value));
            }
        }
        text
    }

    /// The same without places, to tell one from another.
    pub fn words(&self) -> [&str; 4] {
        fn said(text: &Option<Located<String>>) -> &str {
            text.as_ref().map_or("", |text| &text.value)
        }
        [
            self.named_by,
            &self.name.value,
            said(&self.with),
            said(&self.trust_domain),
        ]
    }
}

impl MtlsSource {
    /// Every file that it refers to.
    pub fn files(&self) -> impl Iterator<Item = &Located<PathBuf>> {
        let bundles = self.bundles.iter().flatten().map(|(_, file)| file);
        bundles.chain(&self.ca).chain(&self.crls)
    }

    /// Their paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files().map(|file| file.value.as_path())
    }
}
