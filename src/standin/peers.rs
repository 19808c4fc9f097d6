//! Certificates that stand in for real ones: their names, as Envoy tells them. Nobody has the key of an authority,
//! so whatever verifies chains is taken out, and names are believed.

use std::collections::HashMap;

use crate::policy::source::Located;
use crate::policy::source::mtls::{IdentitySource, MtlsSource};
use crate::request::peer::Principal;
use crate::request::peer::sources::PeerSources;
use crate::standin::Draft;

/// What is believed where stand-ins call.
pub const BELIEVED: PeerSources = PeerSources {
    certificate: true,
    principal: true,
    xfcc: None,
    client_cert: false,
};

/// How the holders of each authenticator's certificates are called.
#[derive(Default)]
pub(super) struct Peers(HashMap<String, Holder>);

enum Holder {
    /// By SPIFFE ID.
    Workload,
    /// By this field.
    Named(IdentitySource),
    /// What `except` says can't be judged by a name.
    Excepted,
}

impl Peers {
    /// Takes out of an authenticator what only a real certificate meets.
    pub(super) fn install(&mut self, name: &Located<String>, source: &mut MtlsSource) {
        source.bundles = None;
        source.crls.clear();
        source.unknown_revocation_accept = None;
        let holder = match &source.identity {
            None => Holder::Workload,
            Some(_) if !source.except.is_empty() => Holder::Excepted,
            Some(identity) => Holder::Named(identity.value.clone()),
        };
        if source.identity.is_some() {
            source.ca = None;
            source.pins = None;
            source.verified_by_envoy = true;
        }
        self.0.insert(name.value.clone(), holder);
    }

    pub(super) fn knows(&self, authenticator: &str) -> bool {
        self.0.contains_key(authenticator)
    }

    /// Makes a request come over a connection whose client certificate has this name.
    ///
    /// # Errors
    /// Why that can't be shown.
    pub(super) fn show(
        &self,
        authenticator: &str,
        name: &str,
        draft: &mut Draft,
    ) -> Result<(), String> {
        let fits = match (self.0.get(authenticator), Principal::read(name.as_bytes())) {
            (None, _) => return Err("there is no such authenticator".to_owned()),
            (Some(Holder::Excepted), _) => {
                return Err(
                    "its `except` looks at the whole certificate, and only a name of one stands in here"
                        .to_owned(),
                );
            }
            (Some(Holder::Workload), Ok(Some(Principal::Uri(_)))) => true,
            (Some(Holder::Named(IdentitySource::Word(word))), Ok(Some(principal))) => {
                matches!(
                    (word.as_str(), principal),
                    ("uri", Principal::Uri(_))
                        | ("dns", Principal::Dns(_))
                        | ("subject", Principal::Subject(_))
                )
            }
            _ => false,
        };
        if !fits {
            return Err(format!(
                "`{name}` is no name that stands in: a workload's SPIFFE ID does, and a URI, DNS name or subject where `identity` says that"
            ));
        }
        let shown = &mut draft.rest.source.principal;
        if !shown.is_empty() && shown.as_ref() != name.as_bytes() {
            return Err("a connection shows one certificate".to_owned());
        }
        *shown = name.to_owned().into();
        Ok(())
    }
}
