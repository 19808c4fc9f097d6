//! A line of an audit log: what was decided of which request, and who called.

use std::time::UNIX_EPOCH;

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::verdict::{PublicClass, Reason};

/// One decision, as far as it matters for another one.
#[derive(Debug, Deserialize)]
struct Line {
    time: String,
    decision_id: String,
    reason: String,
    method: String,
    host: String,
    path: String,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    route: Option<String>,
    #[serde(default)]
    authenticator: Option<String>,
    #[serde(default)]
    client_address: String,
    #[serde(default)]
    pinned: Option<String>,
    #[serde(default)]
    also: Vec<Proof>,
    #[serde(flatten)]
    proof: Proven,
}

/// A further member of an all-of.
#[derive(Debug, Deserialize)]
struct Proof {
    authenticator: String,
    #[serde(flatten)]
    proof: Proven,
}

/// Who was proven.
#[derive(Debug, Deserialize)]
struct Proven {
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    consumer: Option<String>,
    #[serde(default)]
    credential_id: Option<String>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    claimed_scopes: Option<Vec<String>>,
    #[serde(default)]
    roles: Vec<String>,
}

/// A recorded decision.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) time: Timestamp,
    pub(super) id: String,
    pub(super) reason: Reason,
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) policy: Option<String>,
    pub(super) route: Option<String>,
    pub(super) client_address: String,
    /// The policy that Envoy pinned the request to; `None` also in records of versions that did not say.
    pub(super) pinned: Option<String>,
    pub(super) sent: Sent,
}

/// What the request carried of credentials, as far as the record tells.
#[derive(Debug)]
pub(super) enum Sent {
    /// What proved these callers, the principal first.
    Proven(Vec<Caller>),
    /// Nothing.
    Nothing,
    /// Something that was refused, and is not in the record.
    Refused,
    /// Nobody asked.
    Unasked,
}

/// A caller whom an authenticator proved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    pub(super) authenticator: String,
    /// Unique within its authenticator.
    pub(super) subject: String,
    pub(super) consumer: Option<String>,
    pub(super) credential_id: Option<String>,
    /// What its credential permits before any ceiling; `None` in records of older versions.
    pub(super) scopes: Option<Vec<String>>,
    pub(super) roles: Vec<String>,
}

impl Recorded {
    /// Reads a line.
    ///
    /// # Errors
    /// What about it is no record.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let time = humantime::parse_rfc3339(&line.time).ok();
        let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let micros = since.and_then(|since| i64::try_from(since.as_micros()).ok());
        let time = micros.map(Timestamp::from_micros);
        let time = time.ok_or_else(|| "`time` is no RFC 3339 time".to_owned())?;
        let reason = Reason::from_name(&line.reason);
        let reason = reason.ok_or_else(|| "`reason` is none that this version knows".to_owned())?;
        let sent = sent(reason, line.authenticator, line.proof, line.also)?;
        Ok(Self {
            time,
            id: line.decision_id,
            reason,
            method: line.method,
            host: line.host,
            path: line.path,
            policy: line.policy,
            route: line.route,
            client_address: line.client_address,
            pinned: line.pinned,
            sent,
        })
    }

    /// Who was proven to call.
    pub(super) fn principal(&self) -> Option<String> {
        match &self.sent {
            Sent::Proven(callers) => {
                let first = callers.first()?;
                Some(format!("{}:{}", first.authenticator, first.subject))
            }
            Sent::Nothing | Sent::Refused | Sent::Unasked => None,
        }
    }
}

fn sent(
    reason: Reason,
    authenticator: Option<String>,
    proof: Proven,
    also: Vec<Proof>,
) -> Result<Sent, String> {
    let refused = authenticator.is_some()
        || matches!(
            reason.class(),
            PublicClass::CredentialsInvalid | PublicClass::CredentialsExpired
        )
        || matches!(
            reason,
            Reason::CredentialsAmbiguous | Reason::ConsumerAmbiguous
        );
    let mut callers = Vec::new();
    if proof.principal.is_some() {
        let authenticator = authenticator.ok_or("a principal without `authenticator`")?;
        callers.push(caller(authenticator, proof)?);
    } else if refused {
        return Ok(Sent::Refused);
    }
    for proof in also {
        callers.push(caller(proof.authenticator, proof.proof)?);
    }
    Ok(if !callers.is_empty() {
        Sent::Proven(callers)
    } else if reason == Reason::CredentialsMissing {
        Sent::Nothing
    } else {
        Sent::Unasked
    })
}

fn caller(authenticator: String, proof: Proven) -> Result<Caller, String> {
    let principal = proof.principal.unwrap_or_default();
    let subject = principal
        .strip_prefix(authenticator.as_str())
        .and_then(|rest| rest.strip_prefix(':'))
        .ok_or("`principal` does not begin with its authenticator")?;
    Ok(Caller {
        subject: subject.to_owned(),
        authenticator,
        consumer: proof.consumer,
        credential_id: proof.credential_id,
        scopes: proof.claimed_scopes.or(proof.scopes),
        roles: proof.roles,
    })
}
