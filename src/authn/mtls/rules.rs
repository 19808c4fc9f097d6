//! Which certificates an authenticator means, and what makes one a proof.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::authn::certificate::PeerCertificate;
use crate::authn::certificate::fault::{CertificateFault, SvidRule};
use crate::authn::certificate::identity::{CertificateSelector, IdentityField, Pins};
use crate::authn::certificate::name;
use crate::authn::chain::bundle::TrustBundle;
use crate::authn::chain::revocation::Revocation;
use crate::authn::chain::{Bundles, next_change_of};
use crate::authn::mtls::{Judged, ProvenPeer};
use crate::authn::spiffe::pattern::WorkloadSelector;
use crate::authn::spiffe::{SpiffeId, TrustDomains};
use crate::clock::Timestamp;
use crate::request::peer::BadPeer;
use crate::request::peer::sources::{Names, Told};
use crate::verdict::{Reason, Refusal};

/// Which entries of a policy's lists mean a certificate.
#[derive(Clone, Debug)]
pub struct Selection<S> {
    /// `None`: every one.
    pub allow: Option<Vec<S>>,
    /// None of these, whatever `allow` says.
    pub except: Vec<S>,
}

/// What an authenticator means and trusts.
#[derive(Debug)]
pub enum Rules {
    /// Workloads with an X.509-SVID.
    Workloads(Workloads),
    /// Any client's certificate.
    Certificates(Certificates),
}

/// Workloads with an X.509-SVID.
#[derive(Debug)]
pub struct Workloads {
    /// Whose they are.
    pub trust_domains: TrustDomains,
    /// Which of them.
    pub selection: Selection<WorkloadSelector>,
    /// Who vouches for each trust domain. `None`: Envoy has verified the chain.
    pub bundles: Option<Arc<BundleCell>>,
    /// What their authorities have revoked.
    pub revocation: Option<Revocation>,
}

/// Ordinary client certificates.
#[derive(Debug)]
pub struct Certificates {
    /// What a holder is called.
    pub identity: IdentityField,
    /// Which of them.
    pub selection: Selection<CertificateSelector>,
    /// Who vouches for them.
    pub trust: Trust,
    /// What their authorities have revoked.
    pub revocation: Option<Revocation>,
}

/// Who vouches for an ordinary certificate.
#[derive(Debug)]
pub enum Trust {
    /// Envoy has verified the chain.
    Envoy,
    /// These authorities.
    Authorities(TrustBundle),
    /// The operator, for each certificate or key.
    Pins(Pins),
}

/// The newest bundles, which somebody may replace at any time.
#[derive(Debug)]
pub struct BundleCell(ArcSwap<Generation>);

/// Bundles, and what tells them from others.
#[derive(Debug)]
pub struct Generation {
    /// By trust domain.
    pub bundles: Bundles,
    /// Different for different bundles.
    pub number: u64,
}

impl BundleCell {
    /// Holds these.
    pub fn new(bundles: Bundles, number: u64) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(Generation { bundles, number })))
    }

    /// Replaces them.
    pub fn publish(&self, bundles: Bundles, number: u64) {
        self.0.store(Arc::new(Generation { bundles, number }));
    }

    /// Those of now.
    pub fn current(&self) -> Arc<Generation> {
        self.0.load_full()
    }
}

/// What cannot be read of what was handed over.
pub(super) fn unreadable(bad: BadPeer) -> Refusal {
    CertificateFault::from(bad).into()
}

fn refused(text: &'static str) -> Judged {
    outside(Refusal::new(Reason::CertificateRefused, text))
}

fn outside(refusal: impl Into<Refusal>) -> Judged {
    Judged::Outside(Arc::new(refusal.into()))
}

const NOT_ALLOWED: &str = "the certificate is none of those under `allow`";
const EXCEPTED: &str = "the certificate is one of those under `except`";

/// The judgement, and the first moment at which it may be another.
type Judgement = (Judged, Option<Timestamp>);

impl Rules {
    /// What tells the bundles of now from others.
    pub fn generation(&self) -> u64 {
        match self {
            Self::Workloads(workloads) => {
                let cell = workloads.bundles.as_ref();
                cell.map_or(0, |cell| cell.0.load().number)
            }
            Self::Certificates(_) => 0,
        }
    }

    /// Judges what the sources tell. `principal` is Envoy's name for the certificate of its own connection.
    pub(super) fn judge(
        &self,
        told: &Told,
        principal: &[u8],
        authenticator: &str,
        now: Timestamp,
    ) -> Result<Judgement, CertificateFault> {
        match told {
            Told::Certificate {
                chain,
                of_connection,
                element,
            } => {
                let certificate = PeerCertificate::parse(&chain.leaf)?;
                if *of_connection {
                    certificate.agree_with_principal(principal)?;
                }
                if let Some(element) = element {
                    certificate.agree_with_element(element)?;
                }
                let intermediates = &chain.intermediates;
                match self {
                    Self::Workloads(rules) => {
                        rules.judge(certificate, intermediates, authenticator, now)
                    }
                    Self::Certificates(rules) => {
                        rules.judge(certificate, intermediates, authenticator, now)
                    }
                }
            }
            Told::Names(names) => {
                let judged = match self {
                    Self::Workloads(rules) => rules.judge_names(names, authenticator)?,
                    Self::Certificates(rules) => rules.judge_names(names, authenticator)?,
                };
                Ok((judged, None))
            }
        }
    }
}

/// Whether a URI is meant as a SPIFFE ID, be it a bad one.
fn is_spiffe(uri: &str) -> bool {
    let scheme = uri.as_bytes().get(..7);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"spiffe:"))
}

impl Workloads {
    fn judge(
        &self,
        certificate: PeerCertificate,
        intermediates: &[Vec<u8>],
        authenticator: &str,
        now: Timestamp,
    ) -> Result<Judgement, CertificateFault> {
        if !certificate.uris.iter().any(|uri| is_spiffe(uri)) {
            let fault = CertificateFault::NotSvid(SvidRule::NoUri);
            return Ok((outside(fault), None));
        }
        let id = certificate.svid()?;
        if let Some(outside) = self.outside(&id) {
            return Ok((outside, None));
        }
        let mut until = Ends::of(&certificate, now);
        match &self.bundles {
            Some(cell) => {
                let current = cell.current();
                let bundle = current.bundles.of(&id)?;
                bundle.verify(&certificate, intermediates, self.revocation.as_ref(), now)?;
                until.chain(bundle, intermediates, self.revocation.as_ref());
            }
            None => certificate.judge_client(now)?,
        }
        let subject = id.as_str().to_owned();
        let peer = proven(authenticator, &subject, Some(id), certificate);
        Ok((Judged::Proven(Arc::new(peer)), until.first))
    }

    fn judge_names(&self, names: &Names, authenticator: &str) -> Result<Judged, CertificateFault> {
        let uri = match names.uris.as_slice() {
            [uri] if is_spiffe(uri) => uri,
            [_, _, ..] => return Err(CertificateFault::NotSvid(SvidRule::SeveralUris)),
            _ => return Ok(outside(CertificateFault::NotSvid(SvidRule::NoUri))),
        };
        let id = SpiffeId::parse(uri.as_bytes())?;
        if id.is_root() {
            return Err(CertificateFault::NotSvid(SvidRule::NoPath));
        }
        if let Some(outside) = self.outside(&id) {
            return Ok(outside);
        }
        if self.bundles.is_some() {
            return Err(CertificateFault::Missing);
        }
        let subject = id.as_str().to_owned();
        let peer = named(authenticator, &subject, Some(id), names);
        Ok(Judged::Proven(Arc::new(peer)))
    }

    /// Why a workload is not meant, if it is not.
    fn outside(&self, id: &SpiffeId) -> Option<Judged> {
        if !self.trust_domains.admit(id) {
            return Some(outside(Refusal::new(
                Reason::TrustDomainRefused,
                format!(
                    "the trust domain `{}` is none of `trust_domains`",
                    id.trust_domain()
                ),
            )));
        }
        let Selection { allow, except } = &self.selection;
        if except.iter().any(|one| one.admits(id)) {
            return Some(refused(EXCEPTED));
        }
        let allowed = |allow: &Vec<WorkloadSelector>| allow.iter().any(|one| one.admits(id));
        (!allow.as_ref().is_none_or(allowed)).then(|| refused(NOT_ALLOWED))
    }
}

impl Certificates {
    fn judge(
        &self,
        certificate: PeerCertificate,
        intermediates: &[Vec<u8>],
        authenticator: &str,
        now: Timestamp,
    ) -> Result<Judgement, CertificateFault> {
        let Selection { allow, except } = &self.selection;
        let among = |list: &[CertificateSelector]| list.iter().any(|one| one.admits(&certificate));
        if among(except) {
            return Ok((refused(EXCEPTED), None));
        }
        if !allow.as_deref().is_none_or(among) {
            return Ok((refused(NOT_ALLOWED), None));
        }
        let mut until = Ends::of(&certificate, now);
        match &self.trust {
            Trust::Envoy => certificate.judge_client(now)?,
            Trust::Pins(pins) => pins.judge(&certificate, now)?,
            Trust::Authorities(bundle) => {
                bundle.verify(&certificate, intermediates, self.revocation.as_ref(), now)?;
                until.chain(bundle, intermediates, self.revocation.as_ref());
            }
        }
        let subject = self.identity.of(&certificate)?.into_owned();
        let peer = proven(authenticator, &subject, None, certificate);
        Ok((Judged::Proven(Arc::new(peer)), until.first))
    }

    /// By names alone nothing can be verified here, and of `except` it can't be told that it does not hold.
    fn judge_names(&self, names: &Names, authenticator: &str) -> Result<Judged, CertificateFault> {
        let selectors = selectors(names);
        let among = |list: &[CertificateSelector]| list.iter().any(|one| selectors.contains(one));
        let Selection { allow, except } = &self.selection;
        if among(except) {
            return Ok(refused(EXCEPTED));
        }
        if !allow.as_deref().is_none_or(among) {
            return Ok(refused(NOT_ALLOWED));
        }
        if !except.is_empty() || !matches!(self.trust, Trust::Envoy) {
            return Err(CertificateFault::Missing);
        }
        let single = |what, names: &[String]| match names {
            [name] => Ok(name.clone()),
            _ => Err(CertificateFault::NoIdentity(what)),
        };
        let subject = match &self.identity {
            IdentityField::Uri => single("URI name", &names.uris)?,
            IdentityField::Dns => single("DNS name", &names.dns_names)?.to_ascii_lowercase(),
            IdentityField::Subject => {
                let subject = names.subject.as_deref().unwrap_or_default();
                name::canonical(subject).map_err(|_| CertificateFault::NoIdentity("subject"))?
            }
            IdentityField::Fingerprint => match names.hash {
                Some(hash) => hash.to_hex(),
                None => return Err(CertificateFault::Missing),
            },
            _ => return Err(CertificateFault::Missing),
        };
        if subject.is_empty() {
            return Err(CertificateFault::NoIdentity("name"));
        }
        let peer = named(authenticator, &subject, None, names);
        Ok(Judged::Proven(Arc::new(peer)))
    }
}

/// What names that came without their certificate fit. One that can't be read fits nothing.
fn selectors(names: &Names) -> Vec<CertificateSelector> {
    let dns = names.dns_names.iter();
    let mut all: Vec<CertificateSelector> = dns
        .filter_map(|name| CertificateSelector::dns(name).ok())
        .collect();
    let uris = names.uris.iter().map(|uri| uri.as_str().into());
    all.extend(uris.map(CertificateSelector::Uri));
    let subject = names.subject.as_deref();
    all.extend(subject.and_then(|subject| CertificateSelector::subject(subject).ok()));
    all.extend(names.hash.map(CertificateSelector::Fingerprint));
    all
}

/// The first moment after now at which a judgement may become another.
struct Ends {
    now: Timestamp,
    first: Option<Timestamp>,
}

impl Ends {
    fn of(certificate: &PeerCertificate, now: Timestamp) -> Self {
        let seconds = certificate.not_after.seconds().saturating_add(1);
        Self {
            now,
            first: Some(Timestamp::from_seconds(seconds)),
        }
    }

    fn chain(
        &mut self,
        bundle: &TrustBundle,
        intermediates: &[Vec<u8>],
        revocation: Option<&Revocation>,
    ) {
        let now = self.now;
        let ends = [
            self.first,
            bundle.next_change(now),
            next_change_of(intermediates, now),
            revocation.and_then(|lists| lists.next_change(now)),
        ];
        self.first = ends.into_iter().flatten().min();
    }
}

fn proven(
    authenticator: &str,
    subject: &str,
    spiffe_id: Option<SpiffeId>,
    certificate: PeerCertificate,
) -> ProvenPeer {
    let selectors = match spiffe_id {
        Some(_) => Vec::new(),
        None => CertificateSelector::all_of(&certificate),
    };
    let end = certificate.not_after.seconds().saturating_add(1);
    ProvenPeer {
        principal_id: format!("{authenticator}:{subject}").into(),
        subject: subject.into(),
        spiffe_id,
        selectors,
        fingerprint: Some(certificate.fingerprint.to_hex().into()),
        issued: Some(certificate.not_before),
        expires: Some(Timestamp::from_seconds(end)),
        certificate_subject: Some(certificate.subject).filter(|subject| !subject.is_empty()),
        dns_names: certificate.dns_names,
    }
}

fn named(
    authenticator: &str,
    subject: &str,
    spiffe_id: Option<SpiffeId>,
    names: &Names,
) -> ProvenPeer {
    ProvenPeer {
        principal_id: format!("{authenticator}:{subject}").into(),
        subject: subject.into(),
        spiffe_id,
        selectors: selectors(names),
        fingerprint: names.hash.map(|hash| hash.to_hex().into()),
        issued: None,
        expires: None,
        certificate_subject: names.subject.as_deref().map(Into::into),
        dns_names: names
            .dns_names
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
    }
}
