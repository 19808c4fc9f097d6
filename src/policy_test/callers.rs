//! Who calls in a test: which credential `as` means, and the one that stands in for it.

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest};
use crate::policy::case::CaseCaller;
use crate::policy::pattern::HostPattern;
use crate::policy::source::signed::SignedKindSource;
use crate::policy::source::{CredentialKind, KindSource, Located, Named, PolicySet};
use crate::policy_test::{Parties, Party};
use crate::request::signed::ExternalUrl;
use crate::request::{Reading, Request};
use crate::standin::Draft;

/// A credential of a consumer.
struct Candidate<'a> {
    consumer: &'a str,
    authenticator: &'a str,
    kind: &'a CredentialKind,
}

impl Candidate<'_> {
    fn is_expired(&self, now: Timestamp) -> bool {
        match self.kind {
            CredentialKind::Key { expires, .. } => expires.is_some_and(|expires| now >= expires),
            CredentialKind::Signer(signer) => signer.expires.is_some_and(|expires| now >= expires),
            CredentialKind::Claim { .. } | CredentialKind::Peer(_) => false,
        }
    }

    fn has_id(&self, id: &str) -> bool {
        match self.kind {
            CredentialKind::Key { id: own, .. } => own.value == id,
            CredentialKind::Signer(signer) => signer.id.value == id,
            CredentialKind::Claim { .. } | CredentialKind::Peer(_) => false,
        }
    }

    fn told(&self) -> String {
        let authenticator = self.authenticator;
        match self.kind {
            CredentialKind::Key { id, .. } => format!("`credential: {}`", id.value),
            CredentialKind::Signer(signer) => format!("`credential: {}`", signer.id.value),
            CredentialKind::Claim { .. } | CredentialKind::Peer(_) => {
                format!("`authenticator: {authenticator}`")
            }
        }
    }
}

/// Puts the credential of a caller into the request. Mistakes are pushed to `out`. `tenant` is whose test it
/// is.
pub(super) fn present(
    caller: &Located<CaseCaller>,
    now: Timestamp,
    tenant: Option<&str>,
    parties: &Parties,
    draft: &mut Draft,
    out: &mut Diagnostics,
) {
    let (tenant, meant) = whose(&caller.value, tenant, parties);
    let Some(party) = parties.get(&tenant.map(str::to_owned)) else {
        let message = format!("there is no tenant called `{}`", tenant.unwrap_or_default());
        out.push(Diagnostic::error("unknown-tenant", &caller.place, message));
        return;
    };
    let Some((authenticator, credential)) = credential(&meant, &caller.place, now, party, out)
    else {
        return;
    };
    if party.stand_ins.signs(&authenticator) {
        sign(
            &authenticator,
            &credential,
            (caller, now),
            party,
            draft,
            out,
        );
        return;
    }
    if party.stand_ins.shows(&authenticator) {
        if let Err(why) = party.stand_ins.show(&authenticator, &credential, draft) {
            let message = format!("no certificate can stand in for `{authenticator}`: {why}");
            out.push(Diagnostic::error("cannot-show", &caller.place, message));
        }
        return;
    }
    if !party.stand_ins.present(&authenticator, &credential, draft) {
        let message = format!("every place that `{authenticator}` reads is taken in this request");
        out.push(
            Diagnostic::error("no-place", &caller.place, message)
                .with_help("take the header, cookie or parameter out that holds another credential, or write both under `headers`"),
        );
    }
}

/// Signs the request as it stands.
fn sign(
    authenticator: &str,
    id: &str,
    (caller, now): (&Located<CaseCaller>, Timestamp),
    party: &Party,
    draft: &mut Draft,
    out: &mut Diagnostics,
) {
    let mut cannot = |why: &str| {
        let message = format!("this request cannot be signed for `{authenticator}`: {why}");
        out.push(Diagnostic::error("cannot-sign", &caller.place, message));
    };
    draft.say_that_there_is_no_body();
    let request = match Request::read(draft.check(), &Reading::default()) {
        Ok(request) => request,
        Err(error) => return cannot(&error.to_string()),
    };
    let external = external_url(&party.set, request.host().as_str());
    let key = (authenticator, id);
    match party.stand_ins.sign(key, &request, external.as_ref(), now) {
        Ok(signed) => draft.add(signed),
        Err(why) => cannot(&why),
    }
}

/// The address that clients of a host call.
fn external_url(set: &PolicySet, host: &str) -> Option<ExternalUrl> {
    let mut policies = set.policies.iter().filter(|policy| {
        let hosts = policy.value.hosts.iter();
        let mut patterns = hosts.filter_map(|host| HostPattern::parse(&host.value).ok());
        patterns.any(|pattern| pattern.covers(host))
    });
    let url = policies.find_map(|policy| policy.value.external_url.as_ref())?;
    ExternalUrl::parse(&url.value).ok()
}

/// Whose consumer or authenticator is meant, and the caller by its plain names. A tenant's test means its own
/// names before the root's; anybody else's are written with the tenant's in front, as `payments/acme`.
fn whose<'a>(
    caller: &'a CaseCaller,
    tenant: Option<&'a str>,
    parties: &Parties,
) -> (Option<&'a str>, CaseCaller) {
    let mut meant = caller.clone();
    let first = caller.consumer.as_ref().or(caller.authenticator.as_ref());
    let named = first.and_then(|name| name.value.split_once('/'));
    if let Some((tenant, _)) = named {
        for name in [&mut meant.consumer, &mut meant.authenticator] {
            if let Some(name) = name
                && let Some(plain) = name
                    .value
                    .strip_prefix(tenant)
                    .and_then(|rest| rest.strip_prefix('/'))
            {
                name.value = plain.to_owned();
            }
        }
        return (Some(tenant), meant);
    }
    let own = tenant.and_then(|tenant| parties.get(&Some(tenant.to_owned())));
    let is_own = own.is_some_and(|own| {
        let consumers = own.set.consumers.iter().map(|named| &named.name.value);
        let authenticators = own.set.authenticators.iter().map(|named| &named.name.value);
        match (&caller.consumer, &caller.authenticator, &caller.credential) {
            (Some(name), _, _) => consumers.into_iter().any(|other| *other == name.value),
            (None, Some(name), _) => authenticators.into_iter().any(|other| *other == name.value),
            (None, None, Some(id)) => credentials(&own.set).any(|found| found.has_id(&id.value)),
            (None, None, None) => false,
        }
    });
    (tenant.filter(|_| is_own), meant)
}

/// The authenticator's name, and what to send to it.
fn credential(
    caller: &CaseCaller,
    place: &Place,
    now: Timestamp,
    party: &Party,
    out: &mut Diagnostics,
) -> Option<(String, String)> {
    let (set, stand_ins) = (&*party.set, &party.stand_ins);
    let known = is_known(caller.consumer.as_ref(), &set.consumers, "consumer", out)
        & is_known(
            caller.authenticator.as_ref(),
            &set.authenticators,
            "authenticator",
            out,
        );
    if !known {
        return None;
    }
    if let (None, Some(authenticator)) = (&caller.consumer, &caller.authenticator)
        && issues_tokens(&authenticator.value, set)
    {
        if let Some(credential) = &caller.credential {
            let message = format!("tokens of `{}` have no ids", authenticator.value);
            out.push(
                Diagnostic::error("bad-caller", &credential.place, message)
                    .with_help("say what the token claims: `claims: {jti: …}`"),
            );
            return None;
        }
        let token = stand_ins.token(&authenticator.value, &caller.claims, now)?;
        return Some((authenticator.value.clone(), token));
    }
    if let (None, Some(authenticator)) = (&caller.consumer, &caller.authenticator)
        && stand_ins.shows(&authenticator.value)
    {
        let subject = caller.claims.get("sub").and_then(Value::as_str);
        let id = caller.spiffe_id.as_ref().map(|id| id.value.as_str());
        let Some(name) = id.or(subject) else {
            let message = "this does not say whose certificate it is";
            out.push(
                Diagnostic::error("bad-caller", place, message)
                    .with_help("add `spiffe_id: spiffe://…`, or `subject: …` as `identity` has it"),
            );
            return None;
        };
        return Some((authenticator.value.clone(), name.to_owned()));
    }
    if let (None, Some(authenticator), None) =
        (&caller.consumer, &caller.authenticator, &caller.credential)
        && is_webhook(&authenticator.value, set)
    {
        return Some((authenticator.value.clone(), String::new()));
    }
    let found = chosen(caller, place, now, set, out)?;
    let authenticator = found.authenticator;
    let credential = match found.kind {
        CredentialKind::Key { id, .. } => stand_ins.key(authenticator, &id.value)?.to_owned(),
        CredentialKind::Signer(signer) => signer.id.value.clone(),
        CredentialKind::Peer(peer) => peer.name.value.clone(),
        CredentialKind::Claim { claim, value } => {
            let mut claims = caller.claims.clone();
            claim_of(&mut claims, &claim.value, &value.value);
            stand_ins.token(authenticator, &claims, now)?
        }
    };
    Some((authenticator.to_owned(), credential))
}

/// The one credential that is meant.
fn chosen<'a>(
    caller: &CaseCaller,
    place: &Place,
    now: Timestamp,
    set: &'a PolicySet,
    out: &mut Diagnostics,
) -> Option<Candidate<'a>> {
    let fits = |said: &Option<Located<String>>, name: &str| {
        said.as_ref().is_none_or(|said| said.value == name)
    };
    let mut found: Vec<Candidate<'a>> = credentials(set).collect();
    found.retain(|candidate| {
        fits(&caller.consumer, candidate.consumer)
            && fits(&caller.authenticator, candidate.authenticator)
            && match candidate.kind {
                CredentialKind::Key { id, .. } => {
                    fits(&caller.credential, &id.value) && caller.token.is_none()
                }
                CredentialKind::Signer(signer) => {
                    fits(&caller.credential, &signer.id.value) && caller.token.is_none()
                }
                CredentialKind::Claim { .. } => {
                    caller.credential.is_none() && caller.spiffe_id.is_none()
                }
                CredentialKind::Peer(peer) => {
                    caller.credential.is_none()
                        && caller.token.is_none()
                        && fits(&caller.spiffe_id, &peer.name.value)
                }
            }
    });
    if found.len() > 1 {
        // A key that was replaced by another is not what a test means that names none.
        let alive = found.iter().filter(|found| !found.is_expired(now)).count();
        if alive == 1 {
            found.retain(|found| !found.is_expired(now));
        }
    }
    if found.len() > 1 {
        let mut names: Vec<String> = found.iter().map(Candidate::told).collect();
        names.dedup();
        let message = "several credentials fit, and this does not say which one is sent";
        out.push(
            Diagnostic::error("caller-ambiguous", place, message)
                .with_help(format!("add one of {}", names.join(", "))),
        );
        return None;
    }
    if found.is_empty() {
        let error = match (&caller.token, &caller.credential) {
            (Some(token), _) => Diagnostic::error(
                "bad-caller",
                token,
                "this says what a token claims, and no token fits the rest",
            )
            .with_help("API keys claim nothing; name a `jwt` authenticator, or a consumer with a credential of one"),
            (None, Some(credential)) => {
                let message = format!("no such credential: `{}`", credential.value);
                Diagnostic::error("unknown-credential", &credential.place, message)
                    .with_help("write the `id` of one of the consumer's keys")
            }
            (None, None) => {
                let message = "no credential fits";
                Diagnostic::error("unknown-credential", place, message)
                    .with_help("list one under the consumer's `credentials`")
            }
        };
        out.push(error);
    }
    found.pop()
}

/// The credentials of all consumers.
fn credentials(set: &PolicySet) -> impl Iterator<Item = Candidate<'_>> {
    set.consumers.iter().flat_map(|consumer| {
        let lists = consumer.value.credentials.iter();
        lists.flat_map(|list| {
            list.value.iter().map(|credential| Candidate {
                consumer: &consumer.name.value,
                authenticator: &list.name.value,
                kind: &credential.kind,
            })
        })
    })
}

fn issues_tokens(authenticator: &str, set: &PolicySet) -> bool {
    set.authenticators.iter().any(|other| {
        other.name.value == authenticator && matches!(other.value.kind, Some(KindSource::Jwt(_)))
    })
}

fn is_webhook(authenticator: &str, set: &PolicySet) -> bool {
    let mut all = set.authenticators.iter();
    all.any(|other| {
        other.name.value == authenticator
            && matches!(&other.value.kind, Some(KindSource::Signed(signed))
                if matches!(signed.kind, SignedKindSource::Webhook(_)))
    })
}

fn is_known<T>(
    name: Option<&Located<String>>,
    definitions: &[Named<T>],
    what: &str,
    out: &mut Diagnostics,
) -> bool {
    let Some(name) = name else { return true };
    let names = definitions.iter().map(|other| other.name.value.as_str());
    if names.clone().any(|other| other == name.value) {
        return true;
    }
    let message = format!("there is no {what} called `{}`", name.value);
    let code = match what {
        "consumer" => "unknown-consumer",
        _ => "unknown-authenticator",
    };
    let mut error = Diagnostic::error(code, &name.place, message);
    if let Some(near) = nearest(&name.value, names) {
        error = error.with_help(format!("did you mean `{near}`?"));
    }
    out.push(error);
    false
}

/// Makes the claim that names a consumer, unless the test says that claim itself. Dots lead into objects, but
/// for names that are URLs.
fn claim_of(claims: &mut Map<String, Value>, name: &str, value: &str) {
    match name.split_once('.').filter(|_| !name.contains('/')) {
        Some((first, rest)) => {
            let inner = claims.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                claim_of(inner, rest, value);
            }
        }
        None => {
            claims.entry(name).or_insert_with(|| json!(value));
        }
    }
}
