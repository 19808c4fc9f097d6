//! Consumers: who they are, what they may have at most, and what proves them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::consumer::Consumer;
use crate::diagnostic::Place;
use crate::policy::compile::consumers_of;
use crate::policy::diff::route::Reads;
use crate::policy::diff::rules::compare_networks;
use crate::policy::diff::{Difference, Effect, NamedChange, Side, full_name};
use crate::policy::scope::ScopeSet;
use crate::policy::source::signed::{SecretSource, SignerSource};
use crate::policy::source::{ConsumerSource, CredentialKind, Located};
use crate::secret::Digest;

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, reads: &Reads) -> Vec<NamedChange> {
    let (before, after) = (all(old), all(new));
    let (keys_before, keys_after) = (keys(&before), keys(&after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .map(|name| {
            let (was, is) = (before.get(name), after.get(name));
            let mut differences = Vec::new();
            if let (Some(was), Some(is)) = (was, is) {
                compare_consumers(was, is, reads, &mut differences);
            }
            if let Some(is) = is {
                for (key, record) in keys_of(is) {
                    match keys_before.get(&key) {
                        None => differences.push(Difference::new(
                            Effect::Opened,
                            format!("the key `{}` of `{}` is accepted", record.id, key.0),
                        )),
                        Some(before) => compare_keys(before, &record, reads, &mut differences),
                    }
                }
            }
            if let Some(was) = was {
                for (key, record) in keys_of(was) {
                    if !keys_after.contains_key(&key) {
                        let text = format!(
                            "the key `{}` of `{}` is not accepted any more",
                            record.id, key.0
                        );
                        differences.push(Difference::new(Effect::Closed, text));
                    }
                }
            }
            compare_claims(was, is, &mut differences);
            compare_peers(was, is, &mut differences);
            NamedChange {
                what: "consumer",
                name: name.clone(),
                old: was.map(|was| was.place.clone()),
                new: is.map(|is| is.place.clone()),
                differences,
                routes: Vec::new(),
            }
        })
        .collect()
}

struct Known<'a> {
    tenant: Option<&'a str>,
    compiled: Arc<Consumer>,
    source: &'a ConsumerSource,
    place: &'a Place,
}

fn all<'a>(side: &Side<'a>) -> BTreeMap<String, Known<'a>> {
    let mut all = BTreeMap::new();
    for (tenant, set) in side.parties() {
        let compiled = consumers_of(side.root, tenant, set);
        for consumer in &set.consumers {
            let Some(compiled) = compiled.get(consumer.name.value.as_str()) else {
                continue;
            };
            let known = Known {
                tenant,
                compiled: Arc::clone(compiled),
                source: &consumer.value,
                place: &consumer.name.place,
            };
            all.insert(full_name(tenant, &consumer.name.value), known);
        }
    }
    all
}

/// Holding less closes, unless some expression asks what is held.
const fn less(reads: &Reads) -> Effect {
    if reads.grants {
        Effect::Changed
    } else {
        Effect::Closed
    }
}

const fn more(reads: &Reads) -> Effect {
    if reads.grants {
        Effect::Changed
    } else {
        Effect::Opened
    }
}

fn compare_consumers(was: &Known<'_>, is: &Known<'_>, reads: &Reads, out: &mut Vec<Difference>) {
    let ConsumerSource {
        environment: _,
        scopes: _,
        roles: _,
        allow_ips: _,
        expires: _,
        metadata: _,
        credentials: _,
    } = is.source;
    let Consumer {
        name: _,
        environment,
        ceiling,
        roles,
        allow_ips,
        expires,
        metadata,
    } = is.compiled.as_ref();
    let before = was.compiled.as_ref();
    if *environment != before.environment {
        let text = format!(
            "lives in the environment `{environment}`, where it was `{}`",
            before.environment
        );
        out.push(Difference::new(Effect::Changed, text));
    }
    let by_claim = |known: &Known<'_>| !claims_of(known).is_empty();
    if by_claim(was) && by_claim(is) {
        compare_ceilings(before.ceiling.as_ref(), ceiling.as_ref(), reads, out);
    }
    for role in roles.iter().filter(|role| !before.roles.contains(role)) {
        let text = format!("has the role `{role}`");
        out.push(Difference::new(more(reads), text));
    }
    for role in before.roles.iter().filter(|role| !roles.contains(role)) {
        let text = format!("does not have the role `{role}` any more");
        out.push(Difference::new(less(reads), text));
    }
    compare_networks(
        before
            .allow_ips
            .as_ref()
            .map(|rule| ipnet::IpNet::aggregate(&rule.0))
            .as_deref(),
        allow_ips
            .as_ref()
            .map(|rule| ipnet::IpNet::aggregate(&rule.0))
            .as_deref(),
        out,
    );
    compare_ends("it", before.expires, *expires, reads, out);
    if *metadata != before.metadata {
        let effect = match (reads.metadata, reads.shows_metadata) {
            (true, _) => Effect::Changed,
            (false, true) => Effect::Headers,
            (false, false) => return,
        };
        out.push(Difference::new(effect, "its `metadata` is another"));
    }
}

/// What tokens are cut to; nothing where there is no ceiling.
fn compare_ceilings(
    was: Option<&ScopeSet>,
    is: Option<&ScopeSet>,
    reads: &Reads,
    out: &mut Vec<Difference>,
) {
    match (was, is) {
        (None, None) => {}
        (Some(_), None) => {
            let text = "its tokens keep every scope that they claim";
            out.push(Difference::new(more(reads), text));
        }
        (None, Some(ceiling)) => {
            let text = format!("its tokens are cut to {}", listed(ceiling.iter()));
            out.push(Difference::new(less(reads), text));
        }
        (Some(was), Some(is)) => compare_scopes("its tokens", was, is, reads, out),
    }
}

fn compare_scopes(
    whose: &str,
    was: &ScopeSet,
    is: &ScopeSet,
    reads: &Reads,
    out: &mut Vec<Difference>,
) {
    let beyond = |these: &ScopeSet, those: &ScopeSet| -> Vec<String> {
        these
            .iter()
            .filter(|scope| !includes(those, scope))
            .collect()
    };
    let (gained, lost) = (beyond(is, was), beyond(was, is));
    if !gained.is_empty() {
        let text = format!("{whose} may have {}", listed(gained.into_iter()));
        out.push(Difference::new(more(reads), text));
    }
    if !lost.is_empty() {
        let text = format!("{whose} may not have {} any more", listed(lost.into_iter()));
        out.push(Difference::new(less(reads), text));
    }
}

/// Whether a set permits all that a scope, or a pattern of scopes, does.
fn includes(set: &ScopeSet, scope: &str) -> bool {
    let Some(prefix) = scope.strip_suffix('*') else {
        return set.covers(scope);
    };
    let mut patterns = set.iter().filter(|held| held.ends_with('*'));
    patterns.any(|held| {
        held.strip_suffix('*')
            .is_some_and(|held| prefix.starts_with(held))
    })
}

fn listed(scopes: impl Iterator<Item = String>) -> String {
    let scopes: Vec<String> = scopes.map(|scope| format!("`{scope}`")).collect();
    if scopes.is_empty() {
        "no scope".to_owned()
    } else {
        scopes.join(", ")
    }
}

fn compare_ends(
    what: &str,
    was: Option<Timestamp>,
    is: Option<Timestamp>,
    reads: &Reads,
    out: &mut Vec<Difference>,
) {
    if was == is {
        return;
    }
    let later = match (was, is) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(was), Some(is)) => is > was,
    };
    let effect = if later { more(reads) } else { less(reads) };
    let text = match is {
        Some(is) => format!("{what} ends at {}", is.to_rfc3339()),
        None => format!("{what} never ends"),
    };
    out.push(Difference::new(effect, text));
}

/// An authenticator's name and a digest.
type Key = (String, [u8; 32]);

struct Record<'a> {
    id: &'a str,
    consumer: &'a str,
    expires: Option<Timestamp>,
    /// Its own, cut to its consumer's ceiling.
    scopes: ScopeSet,
    /// What it is made of, where its id does not say so.
    material: String,
    /// Tokens of OAuth 1.0a, with those whom they stand for.
    tokens: BTreeSet<(&'a str, &'a str)>,
}

fn keys<'a>(consumers: &'a BTreeMap<String, Known<'a>>) -> HashMap<Key, Record<'a>> {
    consumers.values().flat_map(keys_of).collect()
}

fn keys_of<'a>(known: &'a Known<'a>) -> Vec<(Key, Record<'a>)> {
    let mut keys = Vec::new();
    for list in &known.source.credentials {
        for credential in &list.value {
            let authenticator = full_name(known.tenant, &list.name.value);
            let (name, id, expires, scopes) = match &credential.kind {
                CredentialKind::Key {
                    id,
                    hash,
                    expires,
                    scopes,
                } => (hash.value, id, expires, scopes),
                CredentialKind::Signer(signer) => {
                    let name = Digest::of(format!("signer {}", signer.id.value).as_bytes());
                    (name, &signer.id, &signer.expires, &signer.scopes)
                }
                CredentialKind::Claim { .. } | CredentialKind::Peer(_) => continue,
            };
            let (material, tokens) = match &credential.kind {
                CredentialKind::Signer(signer) => (material(signer), tokens(signer)),
                _ => (String::new(), BTreeSet::new()),
            };
            let own = scopes.as_deref().map(granted);
            let record = Record {
                id: &id.value,
                consumer: &known.compiled.name,
                expires: *expires,
                scopes: known.compiled.scopes_of_key(own),
                material,
                tokens,
            };
            keys.push(((authenticator, *name.bytes()), record));
        }
    }
    keys
}

/// What a key that signs is made of, as far as the policies say. Nothing that is printed holds it.
fn material(signer: &SignerSource) -> String {
    let SignerSource {
        named_by,
        id: _,
        secret,
        public_key,
        algorithm,
        tokens,
        expires: _,
        scopes: _,
    } = signer;
    let of = |source: &Located<SecretSource>| match &source.value {
        SecretSource::File(path) => format!("file {}", path.display()),
        SecretSource::Environment(name) => format!("variable {name}"),
        SecretSource::Literal(secret) => Digest::of(secret.expose()).to_hex(),
    };
    let secrets: Vec<String> = tokens.iter().map(|token| of(&token.secret)).collect();
    let algorithm = algorithm.as_ref().map(|algorithm| &algorithm.value);
    let keys = (secret.as_ref().map(of), public_key.as_ref().map(of));
    format!("{:?}", (named_by, keys, algorithm, secrets))
}

fn tokens(signer: &SignerSource) -> BTreeSet<(&str, &str)> {
    let tokens = signer.tokens.iter();
    tokens
        .map(|token| (token.token.value.as_str(), token.subject.value.as_str()))
        .collect()
}

fn granted(scopes: &[Located<String>]) -> ScopeSet {
    // Checked when the set was compiled.
    ScopeSet::granted(scopes.iter().map(|scope| scope.value.as_str())).unwrap_or_default()
}

fn compare_keys(was: &Record<'_>, is: &Record<'_>, reads: &Reads, out: &mut Vec<Difference>) {
    if was.consumer != is.consumer {
        let text = format!(
            "the key `{}` is its own, where it was `{}`'s",
            is.id, was.consumer
        );
        out.push(Difference::new(Effect::Changed, text));
    }
    if was.id != is.id {
        let text = format!("the key `{}` has the id `{}`", was.id, is.id);
        out.push(Difference::new(Effect::Changed, text));
    }
    if was.material != is.material {
        let text = format!(
            "the key `{}` is another, or is proven in another way",
            is.id
        );
        out.push(Difference::new(Effect::Changed, text));
    }
    for (_, subject) in is.tokens.difference(&was.tokens) {
        let text = format!("a token of the key `{}` stands for `{subject}`", is.id);
        out.push(Difference::new(Effect::Opened, text));
    }
    for (_, subject) in was.tokens.difference(&is.tokens) {
        let text = format!(
            "a token of the key `{}` stands for `{subject}` no more",
            is.id
        );
        out.push(Difference::new(Effect::Closed, text));
    }
    let key = format!("the key `{}`", is.id);
    compare_ends(&key, was.expires, is.expires, reads, out);
    compare_scopes(&key, &was.scopes, &is.scopes, reads, out);
}

/// A certificate that belongs to a consumer has its scopes and is bound by its expiry, addresses and environment.
fn compare_peers(was: Option<&Known<'_>>, is: Option<&Known<'_>>, out: &mut Vec<Difference>) {
    let peers = |known: &Known<'_>| -> BTreeSet<(String, String)> {
        let lists = known.source.credentials.iter();
        let all = lists.flat_map(|list| list.value.iter().map(move |one| (&list.name.value, one)));
        all.filter_map(|(authenticator, credential)| match &credential.kind {
            CredentialKind::Peer(peer) => Some((authenticator.clone(), peer.told())),
            _ => None,
        })
        .collect()
    };
    let before = was.map(peers).unwrap_or_default();
    let after = is.map(peers).unwrap_or_default();
    for (authenticator, peer) in after.difference(&before) {
        let text = format!("certificates of `{authenticator}` with `{peer}` count as its own");
        out.push(Difference::new(Effect::Changed, text));
    }
    for (authenticator, peer) in before.difference(&after) {
        let text =
            format!("certificates of `{authenticator}` with `{peer}` are not bound to it any more");
        out.push(Difference::new(Effect::Changed, text));
    }
}

/// Authenticator, claim and value.
type Claim<'a> = (&'a str, &'a str, &'a str);

fn claims_of<'a>(known: &Known<'a>) -> BTreeSet<Claim<'a>> {
    let mut claims = BTreeSet::new();
    for list in &known.source.credentials {
        for credential in &list.value {
            if let CredentialKind::Claim { claim, value } = &credential.kind {
                claims.insert((
                    list.name.value.as_str(),
                    claim.value.as_str(),
                    value.value.as_str(),
                ));
            }
        }
    }
    claims
}

/// A token that belongs to a consumer has its roles and is bound by its ceiling, expiry, addresses and
/// environment: whether that opens or closes depends on the token.
fn compare_claims(was: Option<&Known<'_>>, is: Option<&Known<'_>>, out: &mut Vec<Difference>) {
    let before = was.map(claims_of).unwrap_or_default();
    let after = is.map(claims_of).unwrap_or_default();
    for (authenticator, claim, value) in after.difference(&before) {
        let text =
            format!("tokens of `{authenticator}` whose `{claim}` is `{value}` count as its own");
        out.push(Difference::new(Effect::Changed, text));
    }
    for (authenticator, claim, value) in before.difference(&after) {
        let text = format!(
            "tokens of `{authenticator}` whose `{claim}` is `{value}` are not bound to it any more"
        );
        out.push(Difference::new(Effect::Changed, text));
    }
}
