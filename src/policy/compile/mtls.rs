//! Authenticators by client certificate, with the consumers that certificates belong to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::authn::certificate::identity::{CertificateSelector, IdentityField, Pins};
use crate::authn::chain::Bundles;
use crate::authn::chain::bundle::{SpiffeBundle, TrustBundle};
use crate::authn::chain::revocation::{Revocation, UnknownStatus};
use crate::authn::mtls::rules::{BundleCell, Certificates, Rules, Selection, Trust, Workloads};
use crate::authn::mtls::{Mtls, PeerConsumers};
use crate::authn::spiffe::pattern::{SpiffePattern, WorkloadSelector};
use crate::authn::spiffe::{SpiffeId, TrustDomain, TrustDomains};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::policy::compile::signed::Context;
use crate::policy::source::mtls::{IdentitySource, MtlsSource, PeerSource};
use crate::policy::source::{CredentialKind, Located};
use crate::secret::Digest;

/// The contents of the files that policies refer to for certificates. One that cannot be read is not here, and
/// was told of.
#[derive(Default)]
pub struct CertificateFiles(HashMap<PathBuf, Vec<u8>>);

impl CertificateFiles {
    /// Keeps a file's content.
    pub fn insert(&mut self, path: &Path, content: &[u8]) {
        self.0.insert(path.to_owned(), content.to_owned());
    }

    fn get(&self, path: &Path) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }
}

/// Compiles one. Mistakes are pushed to `out`.
pub(super) fn compile(
    source: &MtlsSource,
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Mtls> {
    let errors = out.error_count();
    let (name, unique) = context.name;
    check_selection(source, name, out);
    let revocation = revocation(source, context, out);
    let (rules, known) = match (&source.trust_domains, &source.identity) {
        (Some(domains), _) => {
            let domains = trust_domains(domains, out);
            let selectors = |list: &[PeerSource], out: &mut Diagnostics| -> Vec<WorkloadSelector> {
                let listed = list.iter();
                listed
                    .filter_map(|one| workload(one, &domains, out))
                    .collect()
            };
            let allow = source.allow.as_ref();
            let allow = allow.map(|allow| {
                check_trust_domain_said(&allow.value, domains.len(), out);
                selectors(&allow.value, out)
            });
            let except = selectors(&source.except, out);
            let bundles = bundles(source, &domains, context, out);
            if bundles.is_none() && domains.len() > 1 {
                out.push(
                    Diagnostic::warning(
                        "pooled-authorities",
                        &source.place,
                        format!("`{name}` trusts several trust domains and leaves their chains to Envoy, which lets each authority of its one file issue IDs of all of them"),
                    )
                    .with_help("give each trust domain its own under `bundles`"),
                );
            }
            let consumers = workloads_of_consumers(context, &domains, out);
            let rules = Rules::Workloads(Workloads {
                trust_domains: TrustDomains::new(domains),
                selection: Selection { allow, except },
                bundles: bundles.map(|bundles| BundleCell::new(bundles, 0)),
                revocation,
            });
            (rules, consumers)
        }
        (None, Some(identity)) => {
            let selectors =
                |list: &[PeerSource], out: &mut Diagnostics| -> Vec<CertificateSelector> {
                    let listed = list.iter();
                    listed.filter_map(|one| certificate(one, out)).collect()
                };
            let allow = source.allow.as_ref();
            let allow = allow.map(|allow| selectors(&allow.value, out));
            let except = selectors(&source.except, out);
            let identity = identity_field(identity, out);
            let trust = trust(source, context, out);
            let consumers = certificates_of_consumers(context, out);
            let rules = Rules::Certificates(Certificates {
                identity: identity?,
                selection: Selection { allow, except },
                trust: trust?,
                revocation,
            });
            (rules, consumers)
        }
        // That it says neither was told.
        (None, None) => return None,
    };
    if out.error_count() > errors {
        return None;
    }
    let configuration = fingerprint(source, context);
    let cache = context.ports.peers.clone();
    Some(Mtls::new(
        Arc::clone(unique),
        rules,
        known,
        cache,
        configuration,
    ))
}

/// Everything that decides what an authenticator makes of a certificate, so that its entries in the shared cache
/// are nobody else's. Written by `Debug`, which quotes texts, so that no two configurations read alike.
fn fingerprint(source: &MtlsSource, context: &Context<'_>) -> u64 {
    let MtlsSource {
        trust_domains,
        identity,
        allow,
        except,
        any_workload,
        any_certificate,
        bundles,
        ca,
        crls,
        unknown_revocation_accept,
        pins,
        verified_by_envoy,
        place: _,
    } = source;
    fn words(list: &[PeerSource]) -> Vec<[&str; 4]> {
        list.iter().map(PeerSource::words).collect()
    }
    let content = |file: &Located<PathBuf>| {
        let content = context.ports.certificates.get(&file.value);
        content.map(|content| Digest::of(content).to_hex())
    };
    let text = format!(
        "{:?}",
        (
            context.name.1,
            trust_domains
                .iter()
                .flatten()
                .map(|domain| &domain.value)
                .collect::<Vec<_>>(),
            identity.as_ref().map(|identity| &identity.value),
            (
                allow.as_ref().map(|allow| words(&allow.value)),
                words(except)
            ),
            (any_workload, any_certificate, verified_by_envoy),
            bundles
                .iter()
                .flatten()
                .map(|(domain, file)| (&domain.value, content(file)))
                .collect::<Vec<_>>(),
            ca.as_ref().map(content),
            crls.iter().map(content).collect::<Vec<_>>(),
            unknown_revocation_accept.as_ref().map(|said| said.value),
            pins.as_deref().map(words),
        )
    );
    Digest::of(text.as_bytes()).bucket()
}

/// Reports an authenticator that does not say whom it means, or says it twice.
fn check_selection(source: &MtlsSource, name: &str, out: &mut Diagnostics) {
    let any = source.any_workload || source.any_certificate;
    let key = if source.identity.is_some() {
        "any_certificate"
    } else {
        "any_workload"
    };
    if source.allow.is_none() && !any {
        out.push(
            Diagnostic::error(
                "selection-missing",
                &source.place,
                format!("`{name}` does not say whose certificates it means"),
            )
            .with_help(format!(
                "list them under `allow`, or say `{key}: true`: then each that is trusted opens it"
            )),
        );
    }
    if let Some(allow) = source.allow.as_ref().filter(|_| any) {
        let message = format!("`allow` and `{key}: true` contradict each other");
        out.push(
            Diagnostic::error("contradiction", &allow.place, message)
                .with_help("keep one of them; what is to be left out stands under `except`"),
        );
    }
}

fn trust_domains(names: &[Located<String>], out: &mut Diagnostics) -> Vec<TrustDomain> {
    let mut domains = Vec::new();
    for name in names {
        match TrustDomain::parse(name.value.as_bytes()) {
            Ok(domain) if domains.contains(&domain) => {
                let message = format!("the trust domain `{domain}` is listed twice");
                out.push(Diagnostic::error("duplicate-name", &name.place, message));
            }
            Ok(domain) => domains.push(domain),
            Err(why) => out.push(
                Diagnostic::error(
                    "bad-trust-domain",
                    &name.place,
                    format!("`{}` is no trust domain: {why}", name.value),
                )
                .with_help("write its name alone, as in `prod.example.com`"),
            ),
        }
    }
    domains
}

/// Of several trust domains, each may have a namespace of one name.
pub(super) fn check_trust_domain_said<'a>(
    list: impl IntoIterator<Item = &'a PeerSource>,
    domains: usize,
    out: &mut Diagnostics,
) {
    if domains < 2 {
        return;
    }
    for one in list {
        if one.named_by == "namespace" && one.trust_domain.is_none() {
            let message = "there are several trust domains, and each may have this namespace";
            crate::policy::compile::push_once(
                Diagnostic::error("trust-domain-missing", &one.place, message).with_help(
                    "say which one is meant: `trust_domain: prod.example.com`, or write `spiffe_id`",
                ),
                out,
            );
        }
    }
}

/// A workload as policies name it.
pub(super) fn workload(
    source: &PeerSource,
    domains: &[TrustDomain],
    out: &mut Diagnostics,
) -> Option<WorkloadSelector> {
    let made = match source.named_by {
        "spiffe_id" => SpiffePattern::parse(&source.name.value).map(WorkloadSelector::Id),
        "namespace" => {
            let account = source.with.as_ref().map(|with| with.value.as_str());
            let plain = WorkloadSelector::kubernetes(&source.name.value, account);
            match &source.trust_domain {
                Some(domain) => plain.and_then(|_| {
                    let text = format!(
                        "spiffe://{}/ns/{}/sa/{}",
                        domain.value,
                        source.name.value,
                        account.unwrap_or("*")
                    );
                    SpiffePattern::parse(&text).map(WorkloadSelector::Id)
                }),
                None => plain,
            }
        }
        other => {
            let message = format!("`{other}` names no workload");
            out.push(
                Diagnostic::error("bad-peer", &source.place, message).with_help(
                    "workloads are named by `spiffe_id`, or by `namespace` and `service_account`",
                ),
            );
            return None;
        }
    };
    let selector = match made {
        Ok(selector) => selector,
        Err(why) => {
            let message = format!("`{}` names no workload: {why}", source.name.value);
            crate::policy::compile::push_once(
                Diagnostic::error("bad-peer", &source.place, message),
                out,
            );
            return None;
        }
    };
    if let WorkloadSelector::Id(pattern) = &selector
        && !domains.is_empty()
        && !domains.contains(pattern.trust_domain())
    {
        let message = format!(
            "the trust domain `{}` is none of `trust_domains`",
            pattern.trust_domain()
        );
        out.push(
            Diagnostic::error("bad-peer", &source.place, message)
                .with_help("it would never fit anybody; list the trust domain, or mend the name"),
        );
    }
    Some(selector)
}

/// A certificate as policies name it.
fn certificate(source: &PeerSource, out: &mut Diagnostics) -> Option<CertificateSelector> {
    let name = source.name.value.as_str();
    let with = source.with.as_ref().map_or("", |with| with.value.as_str());
    let made = match source.named_by {
        "subject" => CertificateSelector::subject(name),
        "dns" => CertificateSelector::dns(name),
        "email" => CertificateSelector::email(name),
        "uri" => Ok(CertificateSelector::Uri(name.into())),
        "ip" => match name.parse() {
            Ok(address) => Ok(CertificateSelector::Ip(address)),
            Err(_) => Err("an address is written as in `203.0.113.7` or `2001:db8::1`"),
        },
        "fingerprint" => digest(name).map(CertificateSelector::Fingerprint),
        "key_fingerprint" => digest(name).map(CertificateSelector::PublicKey),
        "serial" => CertificateSelector::serial(name, with),
        "attribute" => CertificateSelector::attribute(name, with),
        "extension" => CertificateSelector::extension(name, with),
        other => {
            let message =
                format!("`{other}` names a workload, and this is about other certificates");
            out.push(
                Diagnostic::error("bad-peer", &source.place, message)
                    .with_help("use an authenticator with `trust_domains` for workloads"),
            );
            return None;
        }
    };
    match made {
        Ok(selector) => Some(selector),
        Err(why) => {
            let message = format!("`{}` cannot be a `{}`", name, source.named_by);
            out.push(Diagnostic::error("bad-peer", &source.place, message).with_help(why));
            None
        }
    }
}

/// A SHA-256 as tools print it: with colons or without, in either case, with or without its name before it.
fn digest(text: &str) -> Result<Digest, &'static str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let digits: String = digits.chars().filter(|&digit| digit != ':').collect();
    Digest::from_hex(&digits).ok_or(
        "a fingerprint is the 64 hexadecimal digits that `openssl x509 -noout -fingerprint -sha256` prints",
    )
}

fn identity_field(
    source: &Located<IdentitySource>,
    out: &mut Diagnostics,
) -> Option<IdentityField> {
    let oid = |oid: &str, out: &mut Diagnostics| {
        // An attribute of this type, with whatever value: only the type is judged.
        if let Err(why) = CertificateSelector::attribute(oid, "x") {
            let message = format!("`{oid}` is no object identifier");
            out.push(Diagnostic::error("bad-value", &source.place, message).with_help(why));
            return None;
        }
        Some(oid.into())
    };
    Some(match &source.value {
        IdentitySource::Attribute(text) => IdentityField::Attribute(oid(text, out)?),
        IdentitySource::Extension(text) => IdentityField::Extension(oid(text, out)?),
        IdentitySource::Word(word) => match word.as_str() {
            "subject" => IdentityField::Subject,
            "dns" => IdentityField::Dns,
            "email" => IdentityField::Email,
            "uri" => IdentityField::Uri,
            "ip" => IdentityField::Ip,
            "serial" => IdentityField::Serial,
            "fingerprint" => IdentityField::Fingerprint,
            // Told when it was read.
            _ => return None,
        },
    })
}

fn trust(source: &MtlsSource, context: &Context<'_>, out: &mut Diagnostics) -> Option<Trust> {
    let said = [
        source.ca.is_some(),
        source.pins.is_some(),
        source.verified_by_envoy,
    ];
    if said.iter().filter(|said| **said).count() != 1 {
        let message =
            "exactly one of `ca`, `pins` and `verified_by` says who vouches for certificates";
        out.push(
            Diagnostic::error("trust-missing", &source.place, message).with_help(
                "write `ca: {file: …}`; `verified_by: envoy` where Envoy's listener verifies the chain of every client",
            ),
        );
        return None;
    }
    if let Some(file) = &source.ca {
        let content = context.ports.certificates.get(&file.value)?;
        return match TrustBundle::from_pem(content) {
            Ok(bundle) => Some(Trust::Authorities(bundle)),
            Err(why) => {
                bad_file(file, &why.to_string(), out);
                None
            }
        };
    }
    let Some(listed) = &source.pins else {
        return Some(Trust::Envoy);
    };
    let mut pins = Pins::default();
    for pin in listed {
        match certificate(pin, out)? {
            CertificateSelector::Fingerprint(digest) => pins.certificates.push(digest),
            CertificateSelector::PublicKey(digest) => pins.public_keys.push(digest),
            _ => return None,
        }
    }
    Some(Trust::Pins(pins))
}

fn bundles(
    source: &MtlsSource,
    domains: &[TrustDomain],
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Bundles> {
    let written = source.bundles.as_ref();
    if let Some((_, first)) = written.and_then(|bundles| bundles.first())
        && source.verified_by_envoy
    {
        let message = "`bundles` and `verified_by: envoy` contradict each other";
        out.push(Diagnostic::error("contradiction", &first.place, message));
    }
    let mut found: HashMap<TrustDomain, Arc<TrustBundle>> = HashMap::new();
    let written = written?;
    for (name, file) in written {
        let domain = TrustDomain::parse(name.value.as_bytes()).ok();
        let Some(domain) = domain.filter(|domain| domains.contains(domain)) else {
            let message = format!("`{}` is none of `trust_domains`", name.value);
            out.push(Diagnostic::error("bad-trust-domain", &name.place, message));
            continue;
        };
        let Some(content) = context.ports.certificates.get(&file.value) else {
            continue;
        };
        let json = content.trim_ascii_start().starts_with(b"{");
        let bundle = if json {
            SpiffeBundle::from_json(content).map(|bundle| bundle.x509)
        } else {
            TrustBundle::from_pem(content)
        };
        match bundle {
            Ok(bundle) => {
                if bundle.is_empty() {
                    let message = format!(
                        "the bundle of `{domain}` holds no authority for X.509-SVIDs: none of its workloads is trusted"
                    );
                    out.push(Diagnostic::warning("empty-bundle", &file.place, message));
                }
                found.insert(domain, Arc::new(bundle));
            }
            Err(why) => bad_file(file, &why.to_string(), out),
        }
    }
    for domain in domains {
        let name = |(name, _): &(Located<String>, _)| name.value == domain.as_str();
        if !written.iter().any(name) {
            let message = format!("the trust domain `{domain}` has no bundle");
            out.push(
                Diagnostic::error("bundle-missing", &source.place, message)
                    .with_help("give each trust domain its own, or none of them"),
            );
        }
    }
    Some(Bundles::new(found))
}

fn revocation(
    source: &MtlsSource,
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Revocation> {
    let judged = source.bundles.is_some() || source.ca.is_some();
    let first = source.crls.first();
    if let Some(first) = first.filter(|_| !judged) {
        let message =
            "`crls` are judged with the authorities that sign them, and there are none here";
        out.push(
            Diagnostic::error("bad-mtls", &first.place, message)
                .with_help("give the authorities under `bundles` or `ca`, or the lists to Envoy"),
        );
    }
    if let Some(said) = source
        .unknown_revocation_accept
        .as_ref()
        .filter(|_| first.is_none())
    {
        let message = "`unknown_revocation` has no meaning without `crls`";
        out.push(Diagnostic::error("bad-mtls", &said.place, message));
    }
    first?;
    let unknown = match &source.unknown_revocation_accept {
        Some(said) if said.value => UnknownStatus::Accept,
        _ => UnknownStatus::Refuse,
    };
    let mut revocation = Revocation::new(unknown);
    for file in &source.crls {
        if let Some(content) = context.ports.certificates.get(&file.value)
            && let Err(why) = revocation.add(content)
        {
            bad_file(file, &why.to_string(), out);
        }
    }
    Some(revocation)
}

fn bad_file(file: &Located<PathBuf>, why: &str, out: &mut Diagnostics) {
    let message = format!("{} cannot be used: {why}", file.value.display());
    out.push(Diagnostic::error("bad-certificates", &file.place, message));
}

/// The credentials of this kind; others are reported.
fn peers_of_consumers<'a>(
    context: &'a Context<'_>,
    written: &str,
    out: &mut Diagnostics,
) -> Vec<(&'a Arc<crate::consumer::Consumer>, &'a PeerSource)> {
    let (name, _) = context.name;
    let mut found = Vec::new();
    for (consumer, credential) in &context.credentials {
        match &credential.kind {
            CredentialKind::Peer(peer) => found.push((consumer, peer)),
            _ => {
                let message =
                    format!("`{name}` is of kind `mtls` and takes another form of credential");
                out.push(
                    Diagnostic::error("wrong-credential", &credential.place, message)
                        .hide_snippet()
                        .with_help(format!("write {written}")),
                );
            }
        }
    }
    found
}

fn duplicate(place: &Place, first: &Place, out: &mut Diagnostics) {
    out.push(
        Diagnostic::error(
            "duplicate-credential",
            place,
            "this certificate's name is listed twice",
        )
        .with_related(first, "first listed here")
        .with_help("one credential belongs to one consumer; remove one of the two"),
    );
}

fn workloads_of_consumers(
    context: &Context<'_>,
    domains: &[TrustDomain],
    out: &mut Diagnostics,
) -> PeerConsumers {
    const WRITTEN: &str = "`{spiffe_id: \"spiffe://…\"}`";
    let mut known = PeerConsumers::default();
    let mut seen: HashMap<SpiffeId, &Place> = HashMap::new();
    for (consumer, peer) in peers_of_consumers(context, WRITTEN, out) {
        let id =
            (peer.named_by == "spiffe_id").then(|| SpiffeId::parse(peer.name.value.as_bytes()));
        let id = match id {
            Some(Ok(id)) if id.is_root() => {
                let message = format!("`{id}` names a trust domain and no workload");
                out.push(Diagnostic::error("bad-peer", &peer.place, message));
                continue;
            }
            Some(Ok(id)) => id,
            Some(Err(why)) => {
                let message = format!("`{}` is no SPIFFE ID: {why}", peer.name.value);
                out.push(Diagnostic::error("bad-peer", &peer.place, message));
                continue;
            }
            None => {
                let message = format!("`{}` names no single workload", peer.named_by);
                out.push(
                    Diagnostic::error("wrong-credential", &peer.place, message)
                        .with_help(format!("write {WRITTEN}")),
                );
                continue;
            }
        };
        if !domains
            .iter()
            .any(|domain| domain.as_str() == id.trust_domain())
        {
            let message = format!(
                "the trust domain `{}` is none of `trust_domains`: this workload can never call",
                id.trust_domain()
            );
            out.push(Diagnostic::error("bad-peer", &peer.place, message));
        }
        if let Some(first) = seen.insert(id.clone(), &peer.place) {
            duplicate(&peer.place, first, out);
        }
        known.by_id.insert(id, Arc::clone(consumer));
    }
    known
}

fn certificates_of_consumers(context: &Context<'_>, out: &mut Diagnostics) -> PeerConsumers {
    const WRITTEN: &str = "`{subject: …}`, `{dns: …}`, `{email: …}`, `{uri: …}`, `{ip: …}`, `{fingerprint: …}` or `{serial: …, issuer: …}`";
    let mut known = PeerConsumers::default();
    let mut seen: HashMap<CertificateSelector, &Place> = HashMap::new();
    for (consumer, peer) in peers_of_consumers(context, WRITTEN, out) {
        let Some(selector) = certificate(peer, out) else {
            continue;
        };
        if let Some(first) = seen.insert(selector.clone(), &peer.place) {
            duplicate(&peer.place, first, out);
        }
        known.by_selector.insert(selector, Arc::clone(consumer));
    }
    known
}
