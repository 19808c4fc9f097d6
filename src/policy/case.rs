//! `tests`: requests, and what must become of them. Read with the policies, and judged by `portcullis test`
//! alone.

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::diagnostic::Place;
use crate::policy::source::Located;
use crate::verdict::Reason;

/// What the clock of a test says unless the test does: 2026-01-01T00:00:00Z.
pub const DEFAULT_NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// Where the request of a test comes from unless the test says: an address for documents (RFC 5737).
pub const DEFAULT_CLIENT_ADDRESS: &str = "192.0.2.1";

/// One of `tests`.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called.
    pub name: Located<String>,
    /// What the clock says.
    pub now: Timestamp,
    /// What is sent.
    pub request: CaseRequest,
    /// What must become of it.
    pub expect: Expectation,
}

/// `request` of a test.
#[derive(Clone, Debug)]
pub struct CaseRequest {
    /// Where it stands.
    pub place: Place,
    /// `method`.
    pub method: String,
    /// Of `url`: what stands before `://`.
    pub scheme: String,
    /// Of `url`: host and port, as written.
    pub host: String,
    /// Of `url`: path and query, as written.
    pub target: String,
    /// `headers`: lower-case names with one value for each line.
    pub headers: Vec<(String, String)>,
    /// `client_address`: the other end of the connection to Envoy.
    pub client_address: String,
    /// `protocol`.
    pub protocol: String,
    /// `body`.
    pub body: String,
    /// `context`: the context extensions of Envoy's route.
    pub context: Vec<(String, String)>,
    /// `as`: the credentials that come with it.
    pub callers: Vec<Located<CaseCaller>>,
}

/// One of `as`: which credential is sent.
#[derive(Clone, Debug, Default)]
pub struct CaseCaller {
    /// `consumer`: one of its credentials.
    pub consumer: Option<Located<String>>,
    /// `authenticator`.
    pub authenticator: Option<Located<String>>,
    /// `credential`: a key's id.
    pub credential: Option<Located<String>>,
    /// `spiffe_id`: the workload whose certificate the connection shows.
    pub spiffe_id: Option<Located<String>>,
    /// The claims of a token; `subject`, `scopes`, `issued` and `expires` are claims, too.
    pub claims: Map<String, Value>,
    /// Where the first word about a token stands.
    pub token: Option<Place>,
}

/// `expect` of a test. What it does not say may be anything.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Where it stands.
    pub place: Place,
    /// `status`: of the answer; 200 where the request passes.
    pub status: Option<Located<u16>>,
    /// `reason`.
    pub reason: Option<Located<Reason>>,
    /// `policy`.
    pub policy: Option<Located<String>>,
    /// `route`: its path as the policy writes it.
    pub route: Option<Located<String>>,
    /// `upstream_headers`: what the upstream receives.
    pub upstream_headers: Vec<ExpectedHeader>,
    /// `upstream_path`: with its query, what the upstream receives.
    pub upstream_path: Option<Located<String>>,
    /// `removed_headers`: sent, and not received by the upstream.
    pub removed_headers: Vec<Located<String>>,
    /// `response_headers` of a refusal.
    pub response_headers: Vec<ExpectedHeader>,
    /// `body` of a refusal.
    pub body: Option<Located<ExpectedBody>>,
    /// `metadata`: members of the dynamic metadata.
    pub metadata: Vec<(Located<String>, Value)>,
}

/// A header's lines.
#[derive(Clone, Debug)]
pub struct ExpectedHeader {
    /// Lower-case.
    pub name: Located<String>,
    /// Its values in order; none: the header must not be there.
    pub values: Vec<String>,
}

/// The body of a refusal.
#[derive(Clone, Debug)]
pub enum ExpectedBody {
    /// This text.
    Text(String),
    /// A problem document with these members, and any others. Null: a member that must not be there.
    Members(Map<String, Value>),
}
