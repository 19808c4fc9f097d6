//! What a request presents in the places that a route's authenticators read, and whose each of it is.

use std::sync::Arc;

use bytes::Bytes;

use crate::authn::api_key::ApiKeys;
use crate::authn::credential::{Container, Held, Reading, Stripped};
use crate::authn::jwt::{UnverifiedToken, VerifiedToken};
use crate::authn::mtls::{Judged, ProvenPeer};
use crate::authn::observed::told_shown;
use crate::authn::{Authenticator, Method, RouteAuthn, out_of_range};
use crate::clock::Timestamp;
use crate::policy::observe::Observe;
use crate::request::Request;
use crate::verdict::{Reason, Refusal};

/// A part of a credential that stands apart from where it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where.
    pub container: Container,
    /// Whether a request that holds it presents a credential, if only a broken one. Else it only goes with one,
    /// and is taken out with it.
    pub counts: bool,
}

impl Part {
    /// One by which a credential is known.
    pub const fn counting(container: Container) -> Self {
        Self {
            container,
            counts: true,
        }
    }

    /// One that goes with a credential.
    pub const fn beside(container: Container) -> Self {
        Self {
            container,
            counts: false,
        }
    }
}

/// One place and the authenticators that read it, by their position in the route's list.
pub(super) struct PlaceReaders {
    pub(super) container: Container,
    pub(super) reading: Reading,
    pub(super) readers: Vec<(usize, Option<Box<str>>)>,
}

/// A credential that was found, with its owner.
pub(super) struct Presented<'r> {
    pub(super) owner: usize,
    /// Where; none for what the connection shows.
    pub(super) container: Option<&'r Container>,
    /// Empty where the credential is no single value.
    pub(super) value: Bytes,
    /// What is already known of it.
    pub(super) cached: Cached,
}

/// What is known of a credential before its turn comes.
pub(super) enum Cached {
    /// Nothing.
    Nothing,
    /// A token that was verified before.
    Token(Arc<VerifiedToken>),
    /// What its authenticator makes of the certificate.
    Peer(Result<Arc<ProvenPeer>, Refusal>),
}

/// The places of a route's authenticators.
pub(super) fn of(authenticators: &[Arc<Authenticator>]) -> Vec<PlaceReaders> {
    let mut places: Vec<PlaceReaders> = Vec::new();
    for (index, authenticator) in authenticators.iter().enumerate() {
        for from in &authenticator.from {
            let at = places
                .iter()
                .position(|place| place.container == from.container);
            let at = at.unwrap_or_else(|| {
                places.push(PlaceReaders {
                    container: from.container.clone(),
                    reading: Reading::default(),
                    readers: Vec::new(),
                });
                places.len() - 1
            });
            let Some(place) = places.get_mut(at) else {
                continue;
            };
            place.reading.by_scheme |= from.scheme.is_some();
            place.reading.schemes.extend(from.scheme.clone());
            if let (Method::Signed(_), Some(scheme)) = (&authenticator.method, &from.scheme) {
                place.reading.with_parameters.push(scheme.clone());
            }
            place.readers.push((index, from.scheme.clone()));
        }
    }
    places
}

/// Headers that only credentials stand in.
pub(super) fn always_stripped(
    places: &[PlaceReaders],
    authenticators: &[Arc<Authenticator>],
) -> Vec<Arc<str>> {
    let forwarded = |place: &PlaceReaders| {
        let mut readers = place.readers.iter();
        readers.any(|(i, _)| authenticators.get(*i).is_some_and(|a| a.forward))
    };
    let read = places.iter().filter(|place| !forwarded(place));
    let read = read.map(|place| &place.container);
    let kept: Vec<&Container> = authenticators
        .iter()
        .filter(|authenticator| authenticator.forward)
        .flat_map(|authenticator| authenticator.parts.iter().map(|part| &part.container))
        .collect();
    let parts = authenticators.iter().flat_map(|a| &a.parts);
    let parts = parts.map(|part| &part.container);
    let mut names: Vec<Arc<str>> = Vec::new();
    for container in read.chain(parts.filter(|part| !kept.contains(part))) {
        if let Container::Header(name) = container
            && !names.iter().any(|known| **known == **name)
        {
            names.push(name.as_ref().into());
        }
    }
    names
}

impl RouteAuthn {
    /// Everything that the request presents, each with its one owner.
    pub(super) fn presented<'r>(
        &'r self,
        request: &Request,
        owner: &mut Option<Arc<str>>,
        observer: impl Observe,
    ) -> Result<Vec<Presented<'r>>, Refusal> {
        let mut presented: Vec<Presented<'_>> = Vec::new();
        for place in &self.places {
            let held = place.container.read(request, &place.reading);
            observer.note(|| self.told_place(place, &held));
            let (scheme, value) = match held? {
                Held::Nothing => continue,
                Held::Value(value) => (None, value),
                Held::Scheme { scheme, credential } => (Some(scheme), credential),
            };
            let owned = self.owner(place, scheme.as_deref(), &value);
            observer.note(|| self.told_owner(place, &owned, &value));
            let (index, cached) = owned?;
            self.check_alone(index, &presented, owner)?;
            presented.push(Presented {
                owner: index,
                container: Some(&place.container),
                value,
                cached: cached.map_or(Cached::Nothing, Cached::Token),
            });
        }
        for (index, authenticator) in self.authenticators.iter().enumerate() {
            let counting = authenticator.parts.iter().filter(|part| part.counts);
            let mut found = counting.filter(|part| part.container.holds_any(request));
            let Some(part) = found.next() else { continue };
            observer.note(|| self.told_part(authenticator, &part.container));
            if presented.iter().any(|known| known.owner == index) {
                continue;
            }
            self.check_alone(index, &presented, owner)?;
            presented.push(Presented {
                owner: index,
                container: Some(&part.container),
                value: Bytes::new(),
                cached: Cached::Nothing,
            });
        }
        Ok(presented)
    }

    /// Adds what the connection's certificate presents, and answers why it is nobody's, if it is outside of what
    /// some authenticator means. Where there is no way in without that one, it is presented and refused.
    pub(super) fn shown(
        &self,
        request: &Request,
        presented: &mut Vec<Presented<'_>>,
        now: Timestamp,
        observer: impl Observe,
    ) -> Option<Arc<Refusal>> {
        let handed = request.peer();
        // Of a plain list, what was sent decides, whatever the certificate is.
        let decided = self.demand.is_none() && !presented.is_empty();
        if decided || handed.is_empty() {
            return None;
        }
        let mut digest = None;
        let mut why = None;
        for (index, authenticator) in self.authenticators.iter().enumerate() {
            let Method::Mtls(mtls) = &authenticator.method else {
                continue;
            };
            let digest = *digest.get_or_insert_with(|| handed.digest());
            let judged = mtls.judge(&handed, digest, now);
            observer.note(|| told_shown(authenticator, &judged));
            let cached = match judged {
                Ok(None) => continue,
                Ok(Some(Judged::Proven(peer))) => Ok(peer),
                Ok(Some(Judged::Outside(refusal))) => {
                    if !self.needed.get(index).is_some_and(|needed| *needed) {
                        why.get_or_insert(refusal);
                        continue;
                    }
                    Err(Refusal::clone(&refusal))
                }
                Err(refusal) => Err(refusal),
            };
            presented.push(Presented {
                owner: index,
                container: None,
                value: Bytes::new(),
                cached: Cached::Peer(cached),
            });
        }
        why
    }

    /// Refuses a second credential of one kind, unless an all-of demands both.
    fn check_alone(
        &self,
        index: usize,
        presented: &[Presented<'_>],
        owner: &mut Option<Arc<str>>,
    ) -> Result<(), Refusal> {
        let this = self.authenticators.get(index).ok_or_else(out_of_range)?;
        for before in presented {
            let other = self.authenticators.get(before.owner);
            let other = other.ok_or_else(out_of_range)?;
            let one_kind = other.method.kind() == this.method.kind();
            if one_kind && !self.demands_both(before.owner, index) {
                *owner = Some(Arc::clone(&this.name));
                return Err(Refusal::new(
                    Reason::CredentialsAmbiguous,
                    "two credentials of one kind were sent in different places",
                ));
            }
        }
        Ok(())
    }

    /// What is taken out of a request that presents these.
    pub(super) fn stripped(&self, request: &Request, presented: &[Presented<'_>]) -> Stripped {
        let taken = presented.iter().filter(|p| !self.forwards(p.owner));
        let containers = taken.flat_map(|presented| {
            let owner = self.authenticators.get(presented.owner);
            let parts = owner.into_iter().flat_map(|owner| &owner.parts);
            let parts = parts.map(|part| &part.container);
            let own = presented.container;
            own.into_iter()
                .chain(parts.filter(move |part| own != Some(*part)))
        });
        Stripped::from_request(request, containers)
    }

    /// Who owns what stands in a place: decided by scheme, shape and unverified issuer.
    fn owner(
        &self,
        place: &PlaceReaders,
        scheme: Option<&[u8]>,
        value: &Bytes,
    ) -> Result<(usize, Option<Arc<VerifiedToken>>), Refusal> {
        let readers = place
            .readers
            .iter()
            .filter(|(_, wanted)| match (wanted, scheme) {
                (Some(wanted), Some(scheme)) => scheme.eq_ignore_ascii_case(wanted.as_bytes()),
                (None, None) => true,
                _ => false,
            });
        let readers =
            readers.filter_map(|(i, scheme)| Some((*i, scheme, self.authenticators.get(*i)?)));
        let unrecognised = |what: &'static str| Refusal::new(Reason::CredentialsUnrecognised, what);
        if value.is_empty() {
            return Err(unrecognised("a scheme without a credential"));
        }
        let mut token: Option<(UnverifiedToken<'_>, Option<String>)> = None;
        let mut token_reader = false;
        for (index, scheme, authenticator) in readers {
            match &authenticator.method {
                Method::ApiKey(keys) => {
                    if keys.owns(scheme.as_deref(), value) {
                        return Ok((index, None));
                    }
                }
                // The scheme is what it is known by.
                Method::Signed(_) => return Ok((index, None)),
                // It reads no place.
                Method::Mtls(_) => {}
                Method::Jwt(verifier, _) => {
                    if token.is_none() {
                        token = UnverifiedToken::of_shape(value).map(|token| (token, None));
                    }
                    let Some((token, issuer)) = &mut token else {
                        continue;
                    };
                    token_reader = true;
                    if let Some(verified) = verifier.cached(token) {
                        return Ok((index, Some(verified)));
                    }
                    if issuer.is_none() {
                        *issuer = token.issuer();
                    }
                    if issuer.as_deref() == Some(verifier.issuer()) {
                        return Ok((index, None));
                    }
                }
            }
        }
        match token {
            Some((_, Some(_))) if token_reader => Err(Refusal::new(
                Reason::TokenIssuerUnknown,
                "the token names an issuer that none of the route's authenticators trusts",
            )),
            Some((_, None)) if token_reader => Err(Refusal::new(
                Reason::TokenMalformed,
                "the token's payload has no readable `iss`",
            )),
            _ => Err(unrecognised(
                "no authenticator of the route owns a credential of this scheme and form",
            )),
        }
    }
}

impl ApiKeys {
    /// Whether a credential in a place that this authenticator reads is a key: on `Bearer`, which many
    /// kinds share, by its prefix; elsewhere always, unless the configuration names a prefix.
    fn owns(&self, scheme: Option<&str>, credential: &[u8]) -> bool {
        let shared = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
        if shared || self.prefix.is_some() {
            self.owns_bearer(credential)
        } else {
            true
        }
    }
}
