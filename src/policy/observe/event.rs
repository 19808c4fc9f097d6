//! What there is to see of a decision. Made of what an operator may read, and of nothing else.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::policy::level::Level;
use crate::policy::observe::shown::Shown;
use crate::verdict::Reason;

/// Something that was seen.
#[derive(Clone, Debug)]
pub enum Event {
    /// A stage begins.
    Begins(Stage),
    /// The request as it is judged.
    Request(RequestRead),
    /// Whether it is a preflight that is answered.
    Preflight(Option<PreflightJudged>),
    /// What could have judged it.
    Routing(Routing),
    /// The route that judges it.
    Route(RouteChosen),
    /// What the route demands. Nothing is told of a public one.
    Demand(DemandOf),
    /// A place that the route's authenticators read.
    Place(PlaceRead),
    /// Who owns what stands in the place that was told of last.
    Owner(Owner),
    /// All places were read.
    PlacesRead,
    /// What should have been signed, where a signature does not match. It holds what the caller sent.
    SignedText(Vec<u8>),
    /// What an authenticator says.
    Authenticator(Said),
    /// What binds a consumer was judged.
    Consumer(ConsumerJudged),
    /// Who calls.
    Caller(CallerIs),
    /// The revocations were asked.
    Revocations(RevocationsAsked),
    /// A rule was judged.
    Rule(RuleJudged),
    /// A condition was judged.
    Condition(ConditionJudged),
    /// What the upstream is told.
    Headers(HeadersPlanned),
    /// What a route in shadow says of the request.
    Shadow(Shadowed),
    /// The decision.
    Ended(Ended),
}

/// What is done with a request, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the stage of its name")]
pub enum Stage {
    Request,
    Preflight,
    Route,
    Authentication,
    Consumer,
    Revocations,
    Addresses,
    Callers,
    Scopes,
    Roles,
    Conditions,
    Headers,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 12] = [
        Self::Request,
        Self::Preflight,
        Self::Route,
        Self::Authentication,
        Self::Consumer,
        Self::Revocations,
        Self::Addresses,
        Self::Callers,
        Self::Scopes,
        Self::Roles,
        Self::Conditions,
        Self::Headers,
    ];

    /// The stage's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Preflight => "preflight",
            Self::Route => "route",
            Self::Authentication => "authentication",
            Self::Consumer => "consumer",
            Self::Revocations => "revocations",
            Self::Addresses => "addresses",
            Self::Callers => "callers",
            Self::Scopes => "scopes",
            Self::Roles => "roles",
            Self::Conditions => "conditions",
            Self::Headers => "headers",
        }
    }
}

/// A request in the one form that policies are matched against.
#[derive(Clone, Debug, Serialize)]
pub struct RequestRead {
    /// The method.
    pub method: String,
    /// The canonical host.
    pub host: String,
    /// The path, percent-decoded once.
    pub path: String,
    /// Whether there is a query. Its text may hold credentials.
    pub query: bool,
    /// The client's address, as far as it is known.
    pub client_address: Option<IpAddr>,
}

/// A preflight of a page on another origin.
#[derive(Clone, Debug, Serialize)]
pub struct PreflightJudged {
    /// The policy of the request that the page wants to send.
    pub policy: Option<String>,
    /// The path of its route.
    pub path: Option<String>,
    /// Why it is refused, if it is.
    pub refused: Option<String>,
}

/// What could have judged a request, and what did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Routing {
    /// The policy that Envoy pins the request to.
    pub pinned: Option<String>,
    /// The host patterns that cover the request's host, the most specific first. The first one counts, and
    /// nothing falls back to the others.
    pub hosts: Vec<String>,
    /// The path patterns for the chosen host that cover the path, the most specific first. The first one
    /// counts.
    pub paths: Vec<PathCovers>,
    /// Where no path pattern covers the path: routes that come near.
    pub nearest: Vec<Near>,
}

/// A path pattern, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathCovers {
    /// The pattern.
    pub path: String,
    /// The policy.
    pub policy: String,
    /// Its methods.
    pub methods: Vec<String>,
}

/// A route that does not cover a request, and comes near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Near {
    /// Its host pattern, where that is another than the request's.
    pub host: Option<String>,
    /// Its path pattern.
    pub path: String,
    /// Its policy.
    pub policy: String,
    /// Why it is named.
    pub why: &'static str,
}

/// The route that judges a request.
#[derive(Clone, Debug, Serialize)]
pub struct RouteChosen {
    /// Its policy.
    pub policy: String,
    /// Its path as written.
    pub path: String,
    /// The file in which it is written.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The parameters of its path and what stands for them.
    pub parameters: Vec<(String, String)>,
    /// The environment that it serves.
    pub environment: String,
}

/// What a route demands of a caller.
#[derive(Clone, Debug, Serialize)]
pub struct DemandOf {
    /// Whether a request without any credential passes as anonymous.
    pub optional: bool,
    /// The tree of its authenticators.
    pub demand: DemandTree,
}

/// A demand by the names of its authenticators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DemandTree {
    /// This one.
    One {
        /// Its name.
        name: String,
        /// Its kind.
        kind: &'static str,
    },
    /// The first of these that is not absent.
    Any(Vec<DemandTree>),
    /// Every one of these.
    All(Vec<DemandTree>),
}

/// What a place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Nothing.
    Nothing,
    /// A value.
    Value,
    /// A value behind an authentication scheme.
    Scheme,
    /// More than one value.
    Several,
}

/// A place that credentials are read from.
#[derive(Clone, Debug, Serialize)]
pub struct PlaceRead {
    /// `header x-api-key`.
    pub place: String,
    /// What it holds.
    pub holds: Holds,
    /// The scheme, if an authenticator asks for it or everybody knows it. Else it may be a secret.
    pub scheme: Option<String>,
    /// The authenticators that read it, with the scheme that they look for.
    pub readers: Vec<String>,
}

/// Who owns what stands in a place.
#[derive(Clone, Debug, Serialize)]
pub struct Owner {
    /// The authenticator, if there is one.
    pub authenticator: Option<String>,
    /// Why that one, or why none.
    pub why: String,
    /// What a token there says of itself.
    pub unverified: Option<TokenOutline>,
}

/// What a token says of itself. Nothing of it is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenOutline {
    /// `alg` of its header.
    pub alg: Option<String>,
    /// `kid` of its header.
    pub kid: Option<String>,
    /// `iss`.
    pub iss: Option<String>,
    /// `aud`, one or several.
    pub aud: Vec<String>,
    /// `exp`.
    pub exp: Option<i64>,
}

/// What an authenticator says of the credential that it owns.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its name.
    pub name: String,
    /// Whom it proves, or why it refuses.
    pub outcome: Result<PrincipalIs, (Reason, String)>,
}

/// A principal.
#[derive(Clone, Debug, Serialize)]
pub struct PrincipalIs {
    /// `principal.id`.
    pub id: String,
    /// `principal.kind`.
    pub kind: &'static str,
    /// `principal.authenticator`.
    pub authenticator: String,
    /// `principal.credential_id`.
    pub credential_id: Option<String>,
    /// The credential's end.
    #[serde(serialize_with = "rfc3339")]
    pub expires_at: Option<Timestamp>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its consumer.
    pub consumer: Option<String>,
    /// The claims of its token, which were verified; an empty object for a key.
    pub claims: Value,
}

/// What binds a consumer.
#[derive(Clone, Debug, Serialize)]
pub struct ConsumerJudged {
    /// Its name.
    pub name: String,
    /// The authenticator whose credential is its.
    pub authenticator: String,
    /// When it ends.
    #[serde(serialize_with = "rfc3339")]
    pub expires: Option<Timestamp>,
    /// Where its credentials may be used from.
    pub allow_ips: Option<Vec<String>>,
    /// The environment that it lives in.
    pub environment: String,
    /// The most that its credentials may do, if the operator says.
    pub ceiling: Option<Vec<String>>,
    /// Why it is refused, if it is.
    pub refused: Option<Reason>,
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum CallerIs {
    /// The route is public.
    Public,
    /// Nothing was sent, and that is enough.
    Anonymous,
    /// Nothing but a route in shadow covers the request, and that is let pass.
    Unproven,
    /// This one, proven beside these.
    Proven(String, Vec<String>),
}

/// What the revocations say.
#[derive(Clone, Debug, Serialize)]
pub struct RevocationsAsked {
    /// How many entries there are.
    pub entries: usize,
    /// Which of them names the caller.
    pub refused: Option<String>,
}

/// A rule of a level.
#[derive(Clone, Debug, Serialize)]
pub struct RuleJudged {
    /// The stage that it belongs to.
    #[serde(skip)]
    pub stage: Stage,
    /// Who states it.
    pub level: Level,
    /// What it asks for.
    pub required: String,
    /// What there is of that.
    pub held: String,
    /// Whether that is enough.
    pub holds: bool,
}

/// A condition of a level.
#[derive(Clone, Debug, Serialize)]
pub struct ConditionJudged {
    /// Who states it.
    pub level: Level,
    /// The condition as it is written.
    pub when: String,
    /// `true`, `false` or `failed`.
    pub outcome: &'static str,
    /// Why it failed.
    pub error: Option<String>,
    /// The fields that it reads.
    pub fields: Vec<FieldRead>,
    /// What joins its parts: `and`, `or`.
    pub joined: Option<&'static str>,
    /// Its parts, each on its own.
    pub parts: Vec<PartJudged>,
}

/// A field of an expression.
#[derive(Clone, Debug, Serialize)]
pub struct FieldRead {
    /// Its path.
    pub field: String,
    /// Its value.
    #[serde(flatten)]
    pub value: Shown,
}

/// A part of a condition.
#[derive(Clone, Debug, Serialize)]
pub struct PartJudged {
    /// As it is written.
    pub when: String,
    /// `true`, `false` or `failed`.
    pub outcome: &'static str,
    /// Why it failed.
    pub error: Option<String>,
}

/// What the upstream is told.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HeadersPlanned {
    /// What is injected, by the route's plan.
    pub injected: Vec<HeaderSet>,
    /// Why none of it is sent.
    pub refused: Option<String>,
}

/// A header that the route injects.
#[derive(Clone, Debug, Serialize)]
pub struct HeaderSet {
    /// Its name.
    pub name: String,
    /// Its expression as it is written.
    pub expression: String,
    /// Whether it must have a value.
    pub required: bool,
    /// Its value.
    #[serde(flatten)]
    pub value: Shown,
}

/// What a route in shadow says. It decides nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Shadowed {
    /// Its policy.
    pub policy: Option<String>,
    /// Its path.
    pub route: Option<String>,
    /// How it would have ended.
    pub reason: Reason,
}

/// A decision.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Why.
    pub reason: Reason,
    /// The status.
    pub status: u16,
    /// What the operator reads of it.
    pub detail: String,
}

fn rfc3339<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::to_rfc3339).serialize(serializer)
}
