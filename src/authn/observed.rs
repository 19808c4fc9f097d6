//! What an observer is told of authentication: places, owners, proofs. Never what stands there.

use std::sync::Arc;

use crate::authn::credential::{Container, Held};
use crate::authn::demand::Demand;
use crate::authn::jwt::{UnverifiedToken, VerifiedToken};
use crate::authn::mtls::Judged;
use crate::authn::places::PlaceReaders;
use crate::authn::principal::Principal;
use crate::authn::{Authenticator, Method, RouteAuthn};
use crate::clock::Timestamp;
use crate::consumer::Consumer;
use crate::policy::observe::event::{
    ConsumerJudged, DemandOf, DemandTree, Event, Holds, Owner, PlaceRead, PrincipalIs, Said,
};
use crate::verdict::Refusal;

/// Schemes that may be named though no authenticator asks for them: what is no scheme at all may be a secret.
const KNOWN_SCHEMES: [&str; 8] = [
    "apikey",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hmac",
    "negotiate",
    "token",
];

impl RouteAuthn {
    pub(super) fn told_demand(&self) -> Event {
        let one = |index: usize| {
            let authenticator = self.authenticators.get(index);
            DemandTree::One {
                name: authenticator.map_or(String::new(), |a| a.name.to_string()),
                kind: authenticator.map_or("", |a| a.method.kind()),
            }
        };
        let demand = match &self.demand {
            Some(demand) => tree(demand, &one),
            None if self.authenticators.len() == 1 => one(0),
            None => DemandTree::Any((0..self.authenticators.len()).map(one).collect()),
        };
        Event::Demand(DemandOf {
            optional: self.optional,
            demand,
        })
    }

    pub(super) fn told_place(&self, place: &PlaceReaders, held: &Result<Held, Refusal>) -> Event {
        let readers = place.readers.iter().filter_map(|(index, scheme)| {
            let name = &self.authenticators.get(*index)?.name;
            Some(match scheme {
                Some(scheme) => format!("{name} (scheme {scheme})"),
                None => name.to_string(),
            })
        });
        let (holds, scheme) = match held {
            Ok(Held::Nothing) => (Holds::Nothing, None),
            Ok(Held::Value(_)) => (Holds::Value, None),
            Ok(Held::Scheme { scheme, credential }) => {
                let scheme = std::str::from_utf8(scheme).ok();
                let known = scheme.filter(|scheme| {
                    let asked = place
                        .readers
                        .iter()
                        .filter_map(|(_, asked)| asked.as_deref());
                    let mut names = asked.chain(KNOWN_SCHEMES);
                    !credential.is_empty() && names.any(|name| name.eq_ignore_ascii_case(scheme))
                });
                (Holds::Scheme, known.map(str::to_owned))
            }
            Err(_) => (Holds::Several, None),
        };
        Event::Place(PlaceRead {
            place: described(&place.container),
            holds,
            scheme,
            readers: readers.collect(),
        })
    }

    /// A part of a signature, which no value has to be shown of.
    pub(super) fn told_part(&self, authenticator: &Authenticator, container: &Container) -> Event {
        Event::Place(PlaceRead {
            place: described(container),
            holds: Holds::Value,
            scheme: None,
            readers: vec![authenticator.name.to_string()],
        })
    }

    pub(super) fn told_owner(
        &self,
        place: &PlaceReaders,
        owned: &Result<(usize, Option<Arc<VerifiedToken>>), Refusal>,
        value: &[u8],
    ) -> Event {
        let mut readers = place.readers.iter();
        let token = readers.any(|(index, _)| {
            let reader = self.authenticators.get(*index);
            reader.is_some_and(|reader| matches!(reader.method, Method::Jwt(..)))
        });
        let unverified = token.then(|| UnverifiedToken::of_shape(value));
        let unverified = unverified.flatten().map(|token| token.outline());
        let owner = owned.as_ref().ok();
        let owner = owner.and_then(|(index, _)| self.authenticators.get(*index));
        let why = match (owned, owner.map(|owner| &owner.method)) {
            (Ok(_), Some(Method::Jwt(..))) => "it is a token that names its issuer".to_owned(),
            (Ok(_), _) if place.readers.len() == 1 => "nobody else reads there".to_owned(),
            (Ok(_), _) => "its scheme and form are those of its keys".to_owned(),
            (Err(refusal), _) => refusal.detail.to_string(),
        };
        Event::Owner(Owner {
            authenticator: owner.map(|owner| owner.name.to_string()),
            why,
            unverified,
        })
    }
}

impl Method {
    /// The kind, as configurations name it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "api_key",
            Self::Jwt(..) => "jwt",
            Self::Signed(signed) => signed.kind(),
            Self::Mtls(_) => "mtls",
        }
    }
}

/// What an authenticator makes of the connection's certificate, before it is its turn.
pub(super) fn told_shown(
    authenticator: &Authenticator,
    judged: &Result<Option<Judged>, Refusal>,
) -> Event {
    let name = authenticator.name.to_string();
    let (owner, why) = match judged {
        Ok(None) => (None, "it tells of proxies and of no caller".to_owned()),
        Ok(Some(Judged::Outside(refusal))) => (
            None,
            format!("`{name}` does not mean it: {}", refusal.detail),
        ),
        Ok(Some(Judged::Proven(_))) => (Some(name), "it is one of those it means".to_owned()),
        Err(refusal) => {
            let why = format!("it is meant, and refused: {}", refusal.detail);
            (Some(name), why)
        }
    };
    Event::Owner(Owner {
        authenticator: owner,
        why,
        unverified: None,
    })
}

fn described(container: &Container) -> String {
    match container {
        Container::Header(name) => format!("header {name}"),
        Container::Query(name) => format!("query parameter {name}"),
        Container::Cookie(name) => format!("cookie {name}"),
        Container::Form(name) => format!("form field {name}"),
    }
}

fn tree(demand: &Demand, one: &impl Fn(usize) -> DemandTree) -> DemandTree {
    let all = |members: &[Demand]| members.iter().map(|member| tree(member, one)).collect();
    match demand {
        Demand::One(index) => one(*index),
        Demand::Any(ways) => DemandTree::Any(all(ways)),
        Demand::All { members, .. } => DemandTree::All(all(members)),
    }
}

pub(super) fn told_verdict(
    authenticator: &Authenticator,
    verified: &Result<Principal, Refusal>,
) -> Event {
    Event::Authenticator(Said {
        name: authenticator.name.to_string(),
        outcome: match verified {
            Ok(principal) => Ok(principal_is(principal)),
            Err(refusal) => Err((refusal.reason, refusal.detail.to_string())),
        },
    })
}

pub(super) fn told_consumer(
    consumer: &Consumer,
    authenticator: &Authenticator,
    admitted: &Result<(), Refusal>,
) -> Event {
    let networks = consumer.allow_ips.as_ref().map(|rule| &rule.0);
    Event::Consumer(ConsumerJudged {
        name: consumer.name.to_string(),
        authenticator: authenticator.name.to_string(),
        expires: consumer.expires,
        allow_ips: networks.map(|all| all.iter().map(ToString::to_string).collect()),
        environment: consumer.environment.to_string(),
        ceiling: consumer.ceiling.as_ref().map(|all| all.iter().collect()),
        refused: admitted.as_ref().err().map(|refusal| refusal.reason),
    })
}

fn principal_is(principal: &Principal) -> PrincipalIs {
    let mut roles: Vec<String> = principal.roles().map(ToString::to_string).collect();
    roles.sort();
    roles.dedup();
    let expires_at: Option<Timestamp> = principal.expires_at();
    PrincipalIs {
        id: principal.id().to_owned(),
        kind: principal.kind(),
        authenticator: principal.authenticator().to_owned(),
        credential_id: principal.credential_id().map(str::to_owned),
        expires_at,
        scopes: principal.scopes().iter().collect(),
        roles,
        consumer: principal
            .consumer()
            .map(|consumer| consumer.name.to_string()),
        claims: principal.claims().into_owned(),
    }
}
