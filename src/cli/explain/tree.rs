//! What was seen of a decision, put in order. Its members are what `--output json` prints: they are added
//! to, and never renamed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::policy::observe::event::{
    CallerIs, ConditionJudged, ConsumerJudged, DemandTree, Ended, Event, HeadersPlanned, Owner,
    PlaceRead, PreflightJudged, PrincipalIs, RequestRead, RevocationsAsked, RouteChosen, Routing,
    RuleJudged, Shadowed, Stage,
};
use crate::respond::Allow;
use crate::verdict::{Reason, Verdict};

/// A decision and what led to it.
#[derive(Debug, Default)]
pub(in crate::cli) struct Explanation {
    pub(super) ended: Option<Ended>,
    pub(super) request: Option<RequestRead>,
    pub(super) preflight: Option<PreflightJudged>,
    pub(super) routing: Option<Routing>,
    pub(super) route: Option<RouteChosen>,
    pub(super) authentication: Option<Authentication>,
    pub(super) consumers: Vec<ConsumerJudged>,
    pub(super) revocations: Option<RevocationsAsked>,
    pub(super) rules: Vec<RuleJudged>,
    pub(super) conditions: Vec<ConditionJudged>,
    pub(super) headers: Option<HeadersPlanned>,
    pub(super) shadow: Option<Shadowed>,
    pub(super) not_reached: Vec<Stage>,
    pub(super) changes: Option<Changes>,
    pub(super) answer: Option<Answer>,
    pub(super) signed_text: Option<SignedText>,
    /// What the user should know beside it.
    pub(in crate::cli) notes: Vec<String>,
    reached: Option<Stage>,
}

/// What should have been signed.
#[derive(Debug, Serialize)]
pub(super) struct SignedText {
    /// As text, line for line; what is not UTF-8 is replaced.
    pub(super) text: String,
    /// The exact bytes, where the text is not all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base64: Option<String>,
}

impl SignedText {
    fn of(bytes: &[u8]) -> Self {
        let bytes = &without_credentials(bytes)[..];
        match std::str::from_utf8(bytes) {
            Ok(text) => Self {
                text: text.to_owned(),
                base64: None,
            },
            Err(_) => Self {
                text: String::from_utf8_lossy(bytes).into_owned(),
                base64: Some(STANDARD.encode(bytes)),
            },
        }
    }
}

/// Signed headers that are credentials themselves are not shown.
fn without_credentials(text: &[u8]) -> Vec<u8> {
    const CREDENTIALS: [&[u8]; 5] = [
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"x-api-key",
        b"x-amz-security-token",
    ];
    let lines = text.split(|&byte| byte == b'\n').map(|line| {
        let bare = line.strip_prefix(b"\"").unwrap_or(line);
        let colon = line.iter().position(|&byte| byte == b':');
        let secret = CREDENTIALS.iter().any(|name| {
            bare.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
                && !bare.get(name.len()).is_some_and(u8::is_ascii_alphanumeric)
        });
        match colon.filter(|_| secret).and_then(|at| line.get(..=at)) {
            Some(name) => [name, b" (not shown)"].concat(),
            None => line.to_vec(),
        }
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// Who calls, and how that was found out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Authentication {
    pub(super) public: bool,
    pub(super) optional: bool,
    pub(super) demand: Option<Demanded>,
    pub(super) places: Vec<Place>,
    pub(super) authenticators: Vec<Verdicts>,
    /// `public`, `anonymous`, `unproven` or the principal's id.
    pub(super) caller: Option<String>,
    /// The other members of an all-of.
    pub(super) also: Vec<String>,
}

/// A part of what the route demands, with how it ended.
#[derive(Debug, Serialize)]
pub(super) struct Demanded {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authenticator: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) any: Vec<Demanded>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) all: Vec<Demanded>,
    pub(super) outcome: Outcome,
}

/// What an authenticator, or a demand of several, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Absent,
    Verified,
    Refused,
    Unavailable,
    /// Something was sent for it, and was not looked at.
    NotReached,
    /// The places were not all read.
    Unread,
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Verified => "verified",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::NotReached => "not reached",
            Self::Unread => "not read",
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Place {
    #[serde(flatten)]
    pub(super) read: PlaceRead,
    pub(super) owner: Option<Owner>,
}

#[derive(Debug, Serialize)]
pub(super) struct Verdicts {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<Reason>,
    pub(super) detail: Option<String>,
    pub(super) principal: Option<PrincipalIs>,
}

/// What becomes of the request's headers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Changes {
    /// Those of the request's headers that are taken out.
    pub(super) removed: Vec<String>,
    /// How many more names are taken out, should the request carry them.
    pub(super) removed_unseen: usize,
    pub(super) removed_parameters: Vec<String>,
    /// Headers that the reply gets.
    pub(super) reply: Vec<(&'static str, String)>,
    /// `kept`, `rewritten` or `removed`.
    pub(super) cookie: &'static str,
}

/// What the client reads.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Explanation {
    /// Puts events in order. `carried` are the names of the request's headers.
    pub(super) fn of(events: Vec<Event>, verdict: &Verdict, carried: &[Vec<u8>]) -> Self {
        let mut this = Self::default();
        let mut places_read = false;
        for event in events {
            places_read |= matches!(event, Event::PlacesRead);
            this.take(event);
        }
        if let Some(authentication) = &mut this.authentication {
            authentication.conclude(places_read);
        }
        if this.reason() != Reason::Allowed {
            let reached = this.reached;
            let all = Stage::ALL.into_iter();
            this.not_reached = all.filter(|stage| Some(*stage) > reached).collect();
        }
        match verdict {
            Verdict::Allow(allow) => this.changes = Some(Changes::of(allow, carried)),
            Verdict::Deny(denial) => {
                let body = denial.body().to_owned();
                this.answer = Some(Answer::of(denial.status(), denial.headers(), body));
            }
            Verdict::Reply(reply) => {
                this.answer = Some(Answer::of(reply.status(), reply.headers(), String::new()));
            }
        }
        this
    }

    fn take(&mut self, event: Event) {
        let authentication = || Authentication::default();
        match event {
            Event::Begins(stage) => self.reached = Some(stage),
            Event::Request(request) => self.request = Some(request),
            Event::Preflight(preflight) => self.preflight = preflight,
            Event::Routing(routing) => self.routing = Some(routing),
            Event::Route(route) => self.route = Some(route),
            Event::Demand(demand) => {
                let into = self.authentication.get_or_insert_with(authentication);
                into.optional = demand.optional;
                let tree = into.begin(demand.demand);
                into.demand = Some(tree);
            }
            Event::Place(read) => {
                let into = self.authentication.get_or_insert_with(authentication);
                into.places.push(Place { read, owner: None });
            }
            Event::Owner(owner) => {
                let into = self.authentication.get_or_insert_with(authentication);
                if let Some(place) = into.places.last_mut() {
                    place.owner = Some(owner);
                }
            }
            Event::PlacesRead => {}
            Event::SignedText(text) => self.signed_text = Some(SignedText::of(&text)),
            Event::Authenticator(said) => {
                let into = self.authentication.get_or_insert_with(authentication);
                let mut all = into.authenticators.iter_mut();
                if let Some(one) = all.find(|one| one.name == said.name) {
                    match said.outcome {
                        Ok(principal) => {
                            one.outcome = Outcome::Verified;
                            one.principal = Some(principal);
                        }
                        Err((reason, detail)) => {
                            one.outcome = if reason == Reason::DependencyUnavailable {
                                Outcome::Unavailable
                            } else {
                                Outcome::Refused
                            };
                            one.reason = Some(reason);
                            one.detail = Some(detail);
                        }
                    }
                }
            }
            Event::Consumer(consumer) => self.consumers.push(consumer),
            Event::Caller(caller) => {
                let into = self.authentication.get_or_insert_with(authentication);
                into.public = matches!(caller, CallerIs::Public);
                (into.caller, into.also) = match caller {
                    CallerIs::Public => (Some("public".to_owned()), Vec::new()),
                    CallerIs::Anonymous => (Some("anonymous".to_owned()), Vec::new()),
                    CallerIs::Unproven => (Some("unproven".to_owned()), Vec::new()),
                    CallerIs::Proven(id, also) => (Some(id), also),
                };
            }
            Event::Revocations(asked) => self.revocations = Some(asked),
            Event::Rule(rule) => self.rules.push(rule),
            Event::Condition(condition) => self.conditions.push(condition),
            Event::Headers(headers) => self.headers = Some(headers),
            Event::Shadow(shadow) => self.shadow = Some(shadow),
            Event::Ended(ended) => self.ended = Some(ended),
        }
    }

    /// Whether nothing is refused: the request may pass, or is a preflight that is answered.
    pub(super) fn allowed(&self) -> bool {
        self.reason().decision() != "deny"
    }

    pub(super) fn reason(&self) -> Reason {
        let ended = self.ended.as_ref();
        ended.map_or(Reason::InternalFault, |ended| ended.reason)
    }

    /// Says of authenticators that are unavailable that their keys were not even asked for.
    pub(super) fn unavailable_since(&mut self, unfetched: &[String]) {
        let authentication = self.authentication.iter_mut();
        for one in authentication.flat_map(|all| &mut all.authenticators) {
            if one.outcome == Outcome::Unavailable && unfetched.contains(&one.name) {
                one.detail = Some("keys are not fetched (use --fetch)".to_owned());
            }
        }
    }

    pub(super) fn rules(&self, stage: Stage) -> impl Iterator<Item = &RuleJudged> {
        self.rules.iter().filter(move |rule| rule.stage == stage)
    }

    /// All of it, for machines.
    pub(super) fn to_json(&self) -> Value {
        let rules = |stage| self.rules(stage).collect::<Vec<_>>();
        json!({
            "decision": self.reason().decision(),
            "status": self.ended.as_ref().map(|ended| ended.status),
            "reason": self.reason(),
            "detail": self.ended.as_ref().map(|ended| &ended.detail),
            "docs": DOCS,
            "request": self.request,
            "preflight": self.preflight,
            "routing": self.routing,
            "route": self.route,
            "authentication": self.authentication,
            "signed_text": self.signed_text,
            "consumers": self.consumers,
            "revocations": self.revocations,
            "addresses": rules(Stage::Addresses),
            "callers": rules(Stage::Callers),
            "scopes": rules(Stage::Scopes),
            "roles": rules(Stage::Roles),
            "conditions": self.conditions,
            "headers": self.headers,
            "changes": self.changes,
            "answer": self.answer,
            "shadow": self.shadow,
            "not_reached": self.not_reached,
            "notes": self.notes,
        })
    }
}

/// Where reasons are explained.
pub(super) const DOCS: &str = "docs/reasons.md";

impl Authentication {
    fn begin(&mut self, tree: DemandTree) -> Demanded {
        let mut demanded = Demanded {
            authenticator: None,
            any: Vec::new(),
            all: Vec::new(),
            outcome: Outcome::Unread,
        };
        match tree {
            DemandTree::One { name, kind } => {
                if !self.authenticators.iter().any(|one| one.name == name) {
                    self.authenticators.push(Verdicts {
                        name: name.clone(),
                        kind,
                        outcome: Outcome::Unread,
                        reason: None,
                        detail: None,
                        principal: None,
                    });
                }
                demanded.authenticator = Some(name);
            }
            DemandTree::Any(ways) => {
                demanded.any = ways.into_iter().map(|way| self.begin(way)).collect();
            }
            DemandTree::All(members) => {
                demanded.all = members.into_iter().map(|one| self.begin(one)).collect();
            }
        }
        demanded
    }

    /// Says how each authenticator and the whole demand ended.
    fn conclude(&mut self, places_read: bool) {
        for one in &mut self.authenticators {
            if one.outcome != Outcome::Unread {
                continue;
            }
            let owns = |place: &Place| {
                let owner = place.owner.as_ref();
                owner.is_some_and(|owner| owner.authenticator.as_deref() == Some(&one.name))
            };
            one.outcome = match self.places.iter().any(owns) {
                true => Outcome::NotReached,
                false if places_read => Outcome::Absent,
                false => Outcome::Unread,
            };
        }
        if let Some(demand) = &mut self.demand {
            demand.conclude(&self.authenticators);
        }
    }
}

impl Demanded {
    fn conclude(&mut self, said: &[Verdicts]) {
        for child in self.any.iter_mut().chain(&mut self.all) {
            child.conclude(said);
        }
        let outcomes = |all: &[Self]| all.iter().map(|one| one.outcome).collect::<Vec<_>>();
        self.outcome = if let Some(name) = &self.authenticator {
            let one = said.iter().find(|one| one.name == *name);
            one.map_or(Outcome::Unread, |one| one.outcome)
        } else if self.all.is_empty() {
            let any = outcomes(&self.any);
            let first = |wanted: Outcome| any.iter().copied().find(|one| *one == wanted);
            first(Outcome::Verified)
                .or_else(|| first(Outcome::Refused))
                .or_else(|| first(Outcome::Unavailable))
                .or_else(|| any.iter().copied().find(|one| *one != Outcome::Absent))
                .unwrap_or(Outcome::Absent)
        } else {
            let all = outcomes(&self.all);
            let unmet = all.into_iter().find(|one| *one != Outcome::Verified);
            unmet.unwrap_or(Outcome::Verified)
        };
    }
}

impl Changes {
    fn of(allow: &Allow, carried: &[Vec<u8>]) -> Self {
        let mut names: Vec<&[u8]> = allow.removed().collect();
        names.sort_unstable();
        names.dedup();
        let (seen, unseen): (Vec<&[u8]>, Vec<&[u8]>) = names
            .into_iter()
            .partition(|name| carried.iter().any(|carried| carried == name));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parameters = allow.removed_parameters().iter();
        let reply = allow.reply_headers().iter();
        Self {
            removed: seen.into_iter().map(text).collect(),
            removed_unseen: unseen.len(),
            removed_parameters: parameters.map(|name| text(name)).collect(),
            reply: reply
                .map(|header| (header.name, text(&header.value)))
                .collect(),
            cookie: match allow.cookie() {
                None => "kept",
                Some([]) => "removed",
                Some(_) => "rewritten",
            },
        }
    }
}

impl Answer {
    fn of(status: u16, headers: &[(&'static str, String)], body: String) -> Self {
        let headers = headers.iter();
        Self {
            status,
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            body,
        }
    }
}
