//! What an observer is told of the stages.

use std::net::IpAddr;
use std::sync::Arc;

use crate::authn::identity::Identity;
use crate::authn::principal::Principal;
use crate::authn::spiffe::SpiffeId;
use crate::policy::caller::{AddressRule, CallerRule};
use crate::policy::expression::{Condition, Joined, Outcome, Part};
use crate::policy::field::Facts;
use crate::policy::level::At;
use crate::policy::observe::Observe;
use crate::policy::observe::event::{
    CallerIs, ConditionJudged, Event, FieldRead, PartJudged, PreflightJudged, RequestRead,
    RouteChosen, RuleJudged, Stage,
};
use crate::policy::observe::shown::Shown;
use crate::policy::role::RoleRule;
use crate::policy::route::Route;
use crate::policy::scope::ScopeRule;
use crate::request::Request;
use crate::verdict::Refusal;

impl RequestRead {
    /// What may be told of a request.
    pub fn of(request: &Request) -> Self {
        Self {
            method: request.method().as_str().to_owned(),
            host: request.host().as_str().to_owned(),
            path: request.path().as_str().to_owned(),
            query: request
                .target()
                .query()
                .is_some_and(|query| !query.is_empty()),
            client_address: request.client_address(),
        }
    }
}

impl PreflightJudged {
    /// What may be told of a preflight, given its route and whether it is answered. `None`: the request is
    /// none, or is judged like any other.
    pub fn of(route: Option<&Route>, answered: Result<bool, &Refusal>) -> Option<Self> {
        (!matches!(answered, Ok(false))).then(|| Self {
            policy: route.map(|route| route.policy.to_string()),
            path: route.map(|route| route.path.to_string()),
            refused: answered.err().map(|refusal| refusal.detail.to_string()),
        })
    }
}

impl CallerIs {
    /// What may be told of a caller.
    pub fn of(identity: &Identity) -> Self {
        match identity {
            Identity::Public => Self::Public,
            Identity::Anonymous(_) => Self::Anonymous,
            Identity::Unproven(_) => Self::Unproven,
            Identity::Proven(proven) => Self::Proven(
                proven.principal().id().to_owned(),
                proven
                    .others()
                    .iter()
                    .map(|other| other.id().to_owned())
                    .collect(),
            ),
        }
    }
}

pub(super) fn route(request: &Request, route: &Route) -> Event {
    let segment = |position: usize| request.path().segments().nth(position);
    let parameters = route.parameters.iter().map(|(position, name)| {
        let value = segment(*position).unwrap_or_default();
        (name.to_string(), value.to_owned())
    });
    let file = route.place.file.name();
    let line = route.place.file.line_column(route.place.start).0;
    Event::Route(RouteChosen {
        policy: route.policy.to_string(),
        path: route.path.to_string(),
        file: file.to_string(),
        line,
        parameters: parameters.collect(),
        environment: route.environment.to_string(),
    })
}

pub(super) fn addresses(rule: &At<AddressRule>, address: Option<IpAddr>, holds: bool) -> Event {
    let networks: Vec<String> = rule.rule.0.iter().map(ToString::to_string).collect();
    Event::Rule(RuleJudged {
        stage: Stage::Addresses,
        level: rule.level,
        required: networks.join(" or "),
        held: address.map_or("an address that is not known".to_owned(), |a| a.to_string()),
        holds,
    })
}

pub(super) fn callers<'a>(
    rule: &At<CallerRule>,
    callers: impl Iterator<Item = &'a Principal>,
    holds: bool,
) -> Event {
    let told = |caller: &'a Principal| {
        let consumer = caller.consumer();
        let consumer = consumer.map(|consumer| consumer.name.as_ref());
        let id = caller.peer().and_then(|peer| peer.spiffe_id.as_ref());
        [consumer, id.map(SpiffeId::as_str)].into_iter().flatten()
    };
    let held: Vec<&str> = callers.flat_map(told).collect();
    Event::Rule(RuleJudged {
        stage: Stage::Callers,
        level: rule.level,
        required: rule.rule.told().collect::<Vec<_>>().join(" or "),
        held: listed(held.join(" ")),
        holds,
    })
}

pub(super) fn scopes(rule: &At<ScopeRule>, held: Option<&Principal>, holds: bool) -> Event {
    Event::Rule(RuleJudged {
        stage: Stage::Scopes,
        level: rule.level,
        required: rule.rule.to_string(),
        held: listed(held.map_or(String::new(), |principal| principal.scopes().joined())),
        holds,
    })
}

pub(super) fn roles(rule: &At<RoleRule>, held: Option<&Principal>, holds: bool) -> Event {
    let roles = held.into_iter().flat_map(Principal::roles);
    let mut roles: Vec<&str> = roles.map(AsRef::as_ref).collect();
    roles.sort_unstable();
    roles.dedup();
    Event::Rule(RuleJudged {
        stage: Stage::Roles,
        level: rule.level,
        required: rule.rule.to_string(),
        held: listed(roles.join(" ")),
        holds,
    })
}

fn listed(texts: String) -> String {
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts
    }
}

pub(super) fn condition(
    condition: &At<Arc<Condition>>,
    facts: &Facts<'_>,
    outcome: &Outcome,
    observer: impl Observe,
) -> Event {
    let mut fields: Vec<FieldRead> = Vec::new();
    for field in condition.fields() {
        let name = field.to_string();
        if !fields.iter().any(|known| known.field == name) {
            fields.push(FieldRead {
                value: Shown::of(field, facts, observer.hides(field)),
                field: name,
            });
        }
    }
    let parameters: Vec<&str> = facts
        .parameters
        .iter()
        .map(|(_, name)| name.as_ref())
        .collect();
    let (joined, parts) = condition.parts(&parameters, facts).unzip();
    let (word, error) = told(outcome);
    Event::Condition(ConditionJudged {
        level: condition.level,
        when: condition.written().to_owned(),
        outcome: word,
        error,
        fields,
        joined: joined.map(|joined| match joined {
            Joined::And => "and",
            Joined::Or => "or",
        }),
        parts: parts.unwrap_or_default().into_iter().map(part).collect(),
    })
}

fn part(part: Part) -> PartJudged {
    let (outcome, error) = told(&part.outcome);
    PartJudged {
        when: part.written,
        outcome,
        error,
    }
}

fn told(outcome: &Outcome) -> (&'static str, Option<String>) {
    match outcome {
        Outcome::True => ("true", None),
        Outcome::False => ("false", None),
        Outcome::Undecided(why) => ("failed", Some(why.clone())),
    }
}
