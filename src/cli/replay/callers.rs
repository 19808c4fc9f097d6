//! Credentials that stand in for those of recorded callers.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::authn::api_key::{self, DEFAULT_PREFIX};
use crate::cli::replay::record::Caller;
use crate::clock::Timestamp;
use crate::policy::source::{ConsumerSource, CredentialKind, JwtSource, KindSource, PolicySet};
use crate::request::{Reading, Request};
use crate::standin::{Draft, StandIns};

/// How many tokens are kept.
const MAX_TOKENS: usize = 50_000;

/// How long a token is used again, in seconds: most of the work is to sign and to verify one.
const PERIOD_SECONDS: i64 = 86_400;

/// A party's policies, changed to accept stand-ins.
pub(super) struct Party {
    pub(super) set: Arc<PolicySet>,
    pub(super) stand_ins: StandIns,
}

/// Everyone's stand-ins: the root's under no name.
pub(super) struct Callers {
    parties: HashMap<Option<String>, Party>,
    tokens: HashMap<(Caller, i64), String>,
    unknown_key: String,
}

/// Why a caller cannot be presented.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotPresented {
    /// No authenticator of the policies would read the credential: to them nothing was sent.
    Unread,
    /// Not to be told from the record: why.
    Unknown(&'static str),
}

impl Callers {
    pub(super) fn new(parties: HashMap<Option<String>, Party>) -> Option<Self> {
        let key = api_key::mint(DEFAULT_PREFIX, "live", None).ok()?;
        Some(Self {
            parties,
            tokens: HashMap::new(),
            unknown_key: String::from_utf8_lossy(key.plain.expose()).into_owned(),
        })
    }

    /// The party whose authenticator this is, and the name that it has there.
    fn party<'a>(&self, authenticator: &'a str) -> Option<(&Party, &'a str)> {
        let (tenant, name) = split(authenticator);
        Some((self.parties.get(&tenant.map(str::to_owned))?, name))
    }

    /// Puts what proves a caller into a request.
    ///
    /// # Errors
    /// [`NotPresented`].
    pub(super) fn present(
        &mut self,
        caller: &Caller,
        now: Timestamp,
        draft: &mut Draft,
    ) -> Result<(), NotPresented> {
        let credential = self.credential(caller, now)?;
        let party = self.party(&caller.authenticator);
        let (party, name) = party.ok_or(NotPresented::Unread)?;
        if party.stand_ins.signs(name) {
            return sign(party, name, &credential, now, draft);
        }
        if party.stand_ins.shows(name) {
            let shown = party.stand_ins.show(name, &credential, draft);
            return shown.map_err(|_| {
                NotPresented::Unknown("its record does not hold the certificate that is asked for")
            });
        }
        if party.stand_ins.present(name, &credential, draft) {
            Ok(())
        } else {
            let why = "two of its credentials are read from one place now";
            Err(NotPresented::Unknown(why))
        }
    }

    fn credential(&mut self, caller: &Caller, now: Timestamp) -> Result<String, NotPresented> {
        let (party, name) = self
            .party(&caller.authenticator)
            .ok_or(NotPresented::Unread)?;
        match kind(&party.set, name).ok_or(NotPresented::Unread)? {
            KindSource::ApiKey { prefix } => {
                let id = caller.credential_id.as_deref();
                let id = id.ok_or(NotPresented::Unknown("a key without its id"))?;
                // A key that is gone is one that nobody knows.
                let unknown = || match prefix {
                    Some(prefix) => format!("{}{}", prefix.value, self.unknown_key),
                    None => self.unknown_key.clone(),
                };
                let key = party.stand_ins.key(name, id).map(str::to_owned);
                Ok(key.unwrap_or_else(unknown))
            }
            KindSource::Mtls(_) => Ok(caller.subject.clone()),
            KindSource::Signed(_) => Ok(caller.credential_id.clone().unwrap_or_default()),
            KindSource::Jwt(jwt) => {
                let period = now.seconds().div_euclid(PERIOD_SECONDS);
                let known = self.tokens.get(&(caller.clone(), period));
                if let Some(token) = known {
                    return Ok(token.clone());
                }
                let begins = period.saturating_mul(PERIOD_SECONDS);
                let claims = claims(caller, jwt, &party.set, begins)?;
                let begins = Timestamp::from_seconds(begins);
                let token = party.stand_ins.token(name, &claims, begins);
                let token = token.ok_or(NotPresented::Unread)?;
                if self.tokens.len() >= MAX_TOKENS {
                    self.tokens.clear();
                }
                self.tokens.insert((caller.clone(), period), token.clone());
                Ok(token)
            }
        }
    }
}

/// Signs the request as it would be sent without a body: what was in it is not recorded.
fn sign(
    party: &Party,
    authenticator: &str,
    id: &str,
    now: Timestamp,
    draft: &mut Draft,
) -> Result<(), NotPresented> {
    draft.say_that_there_is_no_body();
    let request = Request::read(draft.check(), &Reading::default());
    let request = request.map_err(|_| NotPresented::Unread)?;
    // A key that is gone is one that nobody knows: its request goes without, and is refused as well.
    let unsigned =
        NotPresented::Unknown("its request cannot be signed with a key that is known now");
    let signed = party
        .stand_ins
        .sign((authenticator, id), &request, None, now);
    draft.add(signed.map_err(|_| unsigned)?);
    Ok(())
}

fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((tenant, name)) => (Some(tenant), name),
        None => (None, name),
    }
}

fn kind<'a>(set: &'a PolicySet, authenticator: &str) -> Option<&'a KindSource> {
    let mut all = set.authenticators.iter();
    let found = all.find(|one| one.name.value == authenticator)?;
    found.value.kind.as_ref()
}

/// What the caller's token would claim, as far as the record tells.
fn claims(
    caller: &Caller,
    jwt: &JwtSource,
    set: &PolicySet,
    begins: i64,
) -> Result<Map<String, Value>, NotPresented> {
    let scopes = caller.scopes.as_ref().ok_or(NotPresented::Unknown(
        "its record does not say which scopes the caller had",
    ))?;
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), json!(caller.subject));
    claims.insert(
        "exp".to_owned(),
        json!(begins.saturating_add(2 * PERIOD_SECONDS)),
    );
    claims.insert("scope".to_owned(), json!(scopes.join(" ")));
    if let Some(id) = &caller.credential_id {
        claims.insert("jti".to_owned(), json!(id));
    }
    let consumer = caller.consumer.as_deref().and_then(|name| {
        let (_, name) = split(name);
        let mut all = set.consumers.iter();
        all.find(|consumer| consumer.name.value == name)
    });
    let consumer = consumer.map(|consumer| &consumer.value);
    if let Some(consumer) = consumer {
        let (_, authenticator) = split(&caller.authenticator);
        if let Some((claim, value)) = claim_of(consumer, authenticator, &caller.subject) {
            put(&mut claims, claim, json!(value));
        }
    }
    if let Some(roles) = &jwt.roles {
        let own = |role: &str| {
            consumer.is_some_and(|consumer| consumer.roles.iter().any(|own| own.value == role))
        };
        let said = roles
            .map
            .iter()
            .filter(|(_, role)| !own(&role.value) && caller.roles.contains(&role.value));
        let said: Vec<&str> = said.map(|(said, _)| said.as_str()).collect();
        if !said.is_empty() {
            put(&mut claims, &roles.claim.value, json!(said));
        }
    }
    Ok(claims)
}

/// A claim that makes a token the consumer's: which one it was is not recorded, and makes no difference.
fn claim_of<'a>(
    consumer: &'a ConsumerSource,
    authenticator: &str,
    subject: &str,
) -> Option<(&'a str, &'a str)> {
    let lists = consumer.credentials.iter();
    let own = lists.filter(|list| list.name.value == authenticator);
    let mut claims =
        own.flat_map(|list| &list.value)
            .filter_map(|credential| match &credential.kind {
                CredentialKind::Claim { claim, value } => {
                    Some((claim.value.as_str(), value.value.as_str()))
                }
                CredentialKind::Key { .. }
                | CredentialKind::Signer(_)
                | CredentialKind::Peer(_) => None,
            });
    // The subject is known, and is not to be changed.
    claims.find(|(claim, value)| *claim != "sub" || *value == subject)
}

/// Sets a claim; dots lead into objects, but for names that are URLs.
fn put(claims: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.').filter(|_| !name.contains('/')) {
        Some((first, rest)) => {
            let inner = claims.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
        None => {
            claims.entry(name).or_insert(value);
        }
    }
}
