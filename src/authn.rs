//! Authentication: which credential a request carries, whose it is, and whether it proves anything.

pub mod api_key;
pub mod certificate;
pub mod chain;
pub mod challenge;
pub mod credential;
pub mod demand;
pub mod hmac;
pub mod http_signature;
pub mod identity;
pub mod json;
pub mod jwt;
pub mod key_set;
pub mod mtls;
pub mod oauth1;
mod observed;
pub mod places;
pub mod principal;
pub mod replay;
pub mod signature;
pub mod signed;
pub mod sigv4;
pub mod spiffe;
pub mod webhook;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::authn::api_key::ApiKeys;
use crate::authn::challenge::{Challenge, challenges};
use crate::authn::credential::{Container, Stripped};
use crate::authn::demand::{Demand, Known, Step};
use crate::authn::identity::{AnonymousPermit, Identity, Proven};
use crate::authn::jwt::{JwtVerifier, UnverifiedToken};
use crate::authn::mtls::Mtls;
use crate::authn::observed::{told_consumer, told_verdict};
use crate::authn::places::{Cached, Part, PlaceReaders, Presented};
use crate::authn::principal::Principal;
use crate::authn::signed::Signed;
use crate::clock::Clock;
use crate::consumer::Consumer;
use crate::policy::observe::Observe;
use crate::policy::observe::event::{Event, Stage};
use crate::request::Request;
use crate::request::signed::{AsSigned, ExternalUrl};
use crate::verdict::{Reason, Refusal};

/// A place that an authenticator reads, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// Where.
    pub container: Container,
    /// The authentication scheme that must stand before the credential, if any.
    pub scheme: Option<Box<str>>,
}

/// A configured way to prove who calls.
pub struct Authenticator {
    /// Its name.
    pub name: Arc<str>,
    /// Where it reads.
    pub from: Vec<From>,
    /// What else its credentials are made of.
    pub parts: Vec<Part>,
    /// Whether the upstream gets to see the credential.
    pub forward: bool,
    /// How it proves.
    pub method: Method,
}

/// The kinds of proof.
pub enum Method {
    /// API keys.
    ApiKey(ApiKeys),
    /// JSON Web Tokens, and the consumers that their claims name.
    Jwt(Box<JwtVerifier>, ClaimedConsumers),
    /// Signatures over the request itself.
    Signed(Box<Signed>),
    /// The certificate of the connection.
    Mtls(Box<Mtls>),
}

/// The consumers that tokens of one authenticator belong to, by claim.
#[derive(Debug, Default)]
pub struct ClaimedConsumers(Vec<(String, String, Arc<Consumer>)>);

impl ClaimedConsumers {
    /// Tokens whose `claim` is `value` belong to `consumer`. The claim is the one of this very name, or,
    /// where there is none, the one that its dots lead to.
    pub fn insert(&mut self, claim: String, value: String, consumer: Arc<Consumer>) {
        self.0.push((claim, value, consumer));
    }

    /// The consumer of a token.
    ///
    /// # Errors
    /// `consumer_ambiguous` if its claims name two.
    fn of(&self, claims: &Value) -> Result<Option<Arc<Consumer>>, Refusal> {
        let mut found: Option<&Arc<Consumer>> = None;
        for (name, value, consumer) in &self.0 {
            let claim = claims
                .get(name)
                .or_else(|| name.split('.').try_fold(claims, |at, part| at.get(part)));
            if claim.and_then(Value::as_str) != Some(value) {
                continue;
            }
            match found {
                Some(other) if !Arc::ptr_eq(other, consumer) => {
                    return Err(Refusal::new(
                        Reason::ConsumerAmbiguous,
                        format!(
                            "the token fits the consumers `{}` and `{}`",
                            other.name, consumer.name
                        ),
                    ));
                }
                _ => found = Some(consumer),
            }
        }
        Ok(found.cloned())
    }
}

/// What of a route bears on proving who calls.
#[derive(Clone, Copy, Debug)]
pub struct On<'a> {
    /// The environment that it serves.
    pub environment: &'a str,
    /// The address that its callers call, where Envoy sees another.
    pub external: Option<&'a ExternalUrl>,
    /// Whether what may be used once is used up by this; a route in shadow only looks.
    pub uses_up: bool,
}

/// What one route asks of a caller, and what follows from that for every place that its
/// authenticators read.
pub struct RouteAuthn {
    /// Each once, in the order in which the route names them.
    authenticators: Vec<Arc<Authenticator>>,
    /// `None`: any one of them.
    demand: Option<Demand>,
    /// Whether there is no way in without it, for each of them.
    needed: Vec<bool>,
    /// Pairs that one all-of demands, so that both may be sent though they are of one kind.
    together: Vec<(usize, usize)>,
    optional: bool,
    places: Vec<PlaceReaders>,
    challenges: Vec<Challenge>,
    always_stripped: Vec<Arc<str>>,
}

/// What is learnt of a caller while it is being proven. It outlives a refusal, for the record and for the
/// challenges.
#[derive(Default)]
pub struct Progress {
    /// The authenticator that decides; set before it verifies, so that a refusal is recorded under its
    /// name.
    pub deciding: Option<Arc<str>>,
    /// Whom an all-of has proven so far. Empty where one credential is enough, and once the demand is met:
    /// then [`Proven`] has them.
    pub verified: Vec<Principal>,
    /// Who was proven and belongs to a consumer who may not call: nobody, but for what was revoked.
    pub turned_away: Option<Box<Principal>>,
}

impl Progress {
    /// Everybody who was proven before a refusal.
    pub fn proven(&self) -> impl Iterator<Item = &Principal> {
        self.verified.iter().chain(self.turned_away.as_deref())
    }
}

impl RouteAuthn {
    /// For a route that any one of `authenticators` opens, or what `demand` makes of them: its leaves are
    /// positions in the list. With `optional`, a request that holds nothing passes as anonymous.
    pub fn new(
        authenticators: Vec<Arc<Authenticator>>,
        demand: Option<Demand>,
        optional: bool,
    ) -> Self {
        let alone = authenticators.len() == 1;
        let needed = |index| !optional && demand.as_ref().map_or(alone, |d| d.needs(index));
        let needed = (0..authenticators.len()).map(needed).collect();
        let mut together = Vec::new();
        if let Some(demand) = &demand {
            demand.together(&mut |one, other| together.push((one, other)));
        }
        let places = places::of(&authenticators);
        let always_stripped = places::always_stripped(&places, &authenticators);
        let challenges = challenges(authenticators.iter().map(AsRef::as_ref));
        Self {
            authenticators,
            demand,
            needed,
            together,
            optional,
            places,
            challenges,
            always_stripped,
        }
    }

    /// Whether every way in proves an authenticator that is `required`, by its name.
    pub fn always_proves(&self, required: impl Fn(&str) -> bool) -> bool {
        let leaf = |index: usize| {
            let authenticator = self.authenticators.get(index);
            authenticator.is_some_and(|authenticator| required(&authenticator.name))
        };
        !self.optional
            && match &self.demand {
                Some(demand) => demand.always(&leaf),
                None => (0..self.authenticators.len()).all(leaf),
            }
    }

    /// The route's authenticators.
    pub fn authenticators(&self) -> &[Arc<Authenticator>] {
        &self.authenticators
    }

    /// What is demanded of them; `None`: any one of them.
    pub const fn demand(&self) -> Option<&Demand> {
        self.demand.as_ref()
    }

    /// Whether a request that holds nothing passes as anonymous.
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// What a 401 on this route asks for, given whom an all-of has proven before (RFC 9110 section
    /// 11.6.1): of an any-of all ways, of an all-of the first member that is not there. Never empty.
    pub fn challenges(&self, verified: &[Principal]) -> Cow<'_, [Challenge]> {
        let Some(demand) = &self.demand else {
            return Cow::Borrowed(&self.challenges);
        };
        // Empty where all was proven and is refused all the same: then it begins anew.
        let missing = demand.missing(&|index| self.known(index, &[], verified));
        let missing = missing.iter().filter_map(|i| self.authenticators.get(*i));
        Cow::Owned(challenges(missing.map(AsRef::as_ref)))
    }

    /// Headers that only credentials stand in, removed whether Envoy showed them or not.
    pub fn always_stripped(&self) -> &[Arc<str>] {
        &self.always_stripped
    }

    /// Proves who calls (steps 6 and 7 of the policy language).
    ///
    /// # Errors
    /// `credentials_missing` if too little was sent; else what the deciding authenticator says.
    pub async fn authenticate(
        &self,
        request: &Request,
        on: On<'_>,
        clock: &dyn Clock,
        progress: &mut Progress,
        observer: impl Observe,
    ) -> Result<(Identity, Stripped), Refusal> {
        observer.note(|| self.told_demand());
        let mut presented = self.presented(request, &mut progress.deciding, observer)?;
        let outside = self.shown(request, &mut presented, clock.now(), observer);
        observer.note(|| Event::PlacesRead);
        let stripped = self.stripped(request, &presented);
        // Absent is who sends nothing at all: half of an all-of is no anonymous caller.
        if self.optional && presented.is_empty() {
            return Ok((Identity::Anonymous(AnonymousPermit::new()), stripped));
        }
        loop {
            let index = match self.step(&presented, &progress.verified) {
                Step::Verify(index) => index,
                Step::Absent => {
                    progress.deciding = None;
                    return Err(self.missing(&progress.verified, request, outside.as_deref()));
                }
                Step::Met => return Ok((self.met(progress)?, stripped)),
            };
            let authenticator = self.authenticators.get(index).ok_or_else(out_of_range)?;
            let position = presented.iter().position(|p| p.owner == index);
            let credential = presented.swap_remove(position.ok_or_else(out_of_range)?);
            progress.deciding = Some(Arc::clone(&authenticator.name));
            let verified = authenticator
                .verify(request, credential, on, clock, observer)
                .await;
            observer.note(|| told_verdict(authenticator, &verified));
            let principal = verified?;
            if let Some(consumer) = principal.consumer() {
                observer.note(|| Event::Begins(Stage::Consumer));
                let admitted = consumer.admit(request, on.environment, clock.now());
                observer.note(|| told_consumer(consumer, authenticator, &admitted));
                if let Err(refusal) = admitted {
                    progress.turned_away = Some(Box::new(principal));
                    return Err(refusal);
                }
            }
            if self.demand.is_none() {
                return Ok((Identity::Proven(Proven::alone(principal)), stripped));
            }
            progress.verified.push(principal);
        }
    }

    /// What comes next. Of a plain any-of the first in the route's order that is not absent decides.
    fn step(&self, presented: &[Presented<'_>], verified: &[Principal]) -> Step {
        match &self.demand {
            Some(demand) => demand.step(&|index| self.known(index, presented, verified)),
            None => {
                // What was sent with the request goes before what its connection shows.
                let first = presented
                    .iter()
                    .map(|presented| (presented.container.is_none(), presented.owner))
                    .min();
                first.map_or(Step::Absent, |(_, first)| Step::Verify(first))
            }
        }
    }

    fn known(&self, index: usize, presented: &[Presented<'_>], verified: &[Principal]) -> Known {
        let name = self.authenticators.get(index).map(|a| a.name.as_ref());
        if verified.iter().any(|p| Some(p.authenticator()) == name) {
            Known::Verified
        } else if presented.iter().any(|presented| presented.owner == index) {
            Known::Present
        } else {
            Known::Absent
        }
    }

    /// The caller, once the demand is met by what was verified.
    fn met(&self, progress: &mut Progress) -> Result<Identity, Refusal> {
        let demand = self.demand.as_ref().ok_or_else(out_of_range)?;
        let members = demand.proven_by(&|index| self.known(index, &[], &progress.verified));
        let mut verified = std::mem::take(&mut progress.verified);
        let mut members = members.into_iter().filter_map(|index| {
            let name = &self.authenticators.get(index)?.name;
            let mut all = verified.iter();
            let position = all.position(|p| p.authenticator() == name.as_ref())?;
            Some(verified.remove(position))
        });
        let principal = members.next().ok_or_else(out_of_range)?;
        let others = members.collect();
        progress.deciding = Some(Arc::clone(principal.authenticator_name()));
        let proven = Proven::among(principal, others, verified);
        Ok(Identity::Proven(proven))
    }

    /// `outside` is why the certificate of the connection is nobody's here, if there is one.
    fn missing(
        &self,
        verified: &[Principal],
        request: &Request,
        outside: Option<&Refusal>,
    ) -> Refusal {
        let mut detail = match &self.demand {
            Some(demand) if !verified.is_empty() => {
                let missing = demand.missing(&|index| self.known(index, &[], verified));
                let names = missing.iter().filter_map(|i| self.authenticators.get(*i));
                let names: Vec<String> = names.map(|a| format!("`{}`", a.name)).collect();
                format!("nothing was sent for {}", names.join(" or ")).into()
            }
            _ => Cow::Borrowed(
                "too little stands in the places that the route's authenticators read",
            ),
        };
        if let Some(outside) = outside {
            detail = format!("{detail}; {}", outside.detail).into();
        } else if self.asks_for_certificates()
            && request.peer().is_empty()
            && request.peer().is_told_elsewhere()
        {
            detail = format!("{detail}; Envoy tells of a client certificate, and not where `--peer-sources` looks (`include_peer_certificate`?)").into();
        }
        Refusal::new(Reason::CredentialsMissing, detail)
    }

    fn asks_for_certificates(&self) -> bool {
        let mut all = self.authenticators.iter();
        all.any(|one| matches!(one.method, Method::Mtls(_)))
    }

    fn forwards(&self, index: usize) -> bool {
        self.authenticators
            .get(index)
            .is_some_and(|authenticator| authenticator.forward)
    }

    /// Whether one all-of demands these two, which are different.
    fn demands_both(&self, one: usize, other: usize) -> bool {
        one != other
            && (self.together.contains(&(one, other)) || self.together.contains(&(other, one)))
    }
}

impl Authenticator {
    async fn verify(
        &self,
        request: &Request,
        presented: Presented<'_>,
        on: On<'_>,
        clock: &dyn Clock,
        observer: impl Observe,
    ) -> Result<Principal, Refusal> {
        match &self.method {
            Method::ApiKey(keys) => {
                let record = keys.verify(&presented.value, on.environment, clock.now())?;
                Ok(Principal::of_key(Arc::clone(&self.name), record))
            }
            Method::Jwt(verifier, consumers) => {
                let verified = match presented.cached {
                    Cached::Token(verified) => {
                        JwtVerifier::judge_times(&verified, clock.now())?;
                        verified
                    }
                    _ => {
                        let token = UnverifiedToken::of_shape(&presented.value);
                        let token = token.ok_or_else(out_of_range)?;
                        // Set apart, so that the checks that need none of it stay small.
                        Box::pin(verifier.verify(&token, clock)).await?
                    }
                };
                let consumer = consumers.of(&verified.claims)?;
                let mut principal = Principal::of_token(Arc::clone(&self.name), verified);
                if let Some(consumer) = consumer {
                    principal.belongs_to(consumer);
                }
                Ok(principal)
            }
            Method::Signed(signed) => {
                let message = AsSigned::of(request, on.external);
                let container = presented.container.ok_or_else(out_of_range)?;
                let verified = signed.verify(&message, container, on, clock, observer);
                let signer = Box::pin(verified).await?;
                Ok(Principal::of_signer(Arc::clone(&self.name), signer))
            }
            Method::Mtls(mtls) => {
                let Cached::Peer(judged) = presented.cached else {
                    return Err(out_of_range());
                };
                let peer = judged?;
                let consumer = mtls.consumer(&peer)?;
                Ok(Principal::of_peer(Arc::clone(&self.name), peer, consumer))
            }
        }
    }
}

fn out_of_range() -> Refusal {
    Refusal::new(
        Reason::InternalFault,
        "a credential's owner is not among the route's authenticators",
    )
}

#[cfg(test)]
mod tests;
