//! Who was proven to call.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::authn::api_key::KeyRecord;
use crate::authn::jwt::VerifiedToken;
use crate::authn::mtls::ProvenPeer;
use crate::authn::signed::Signer;
use crate::clock::Timestamp;
use crate::consumer::Consumer;
use crate::policy::scope::ScopeSet;

/// A proven caller. Only authenticators make one.
#[derive(Clone, Debug)]
pub struct Principal {
    authenticator: Arc<str>,
    proof: Proof,
    consumer: Option<Arc<Consumer>>,
    /// Set where the consumer's ceiling cuts what a token claims.
    cut: Option<Arc<ScopeSet>>,
}

#[derive(Clone, Debug)]
enum Proof {
    Key(Arc<KeyRecord>),
    Token(Arc<VerifiedToken>),
    Signature(Arc<Signer>),
    Certificate(Arc<ProvenPeer>),
}

/// What a caller may do to whom nobody gave anything.
static NO_SCOPES: LazyLock<ScopeSet> = LazyLock::new(ScopeSet::default);

impl Principal {
    /// From an API key that was found.
    pub(in crate::authn) fn of_key(authenticator: Arc<str>, key: Arc<KeyRecord>) -> Self {
        let consumer = Some(Arc::clone(&key.consumer));
        Self {
            authenticator,
            proof: Proof::Key(key),
            consumer,
            cut: None,
        }
    }

    /// From a token that was verified.
    pub(in crate::authn) fn of_token(authenticator: Arc<str>, token: Arc<VerifiedToken>) -> Self {
        Self {
            authenticator,
            proof: Proof::Token(token),
            consumer: None,
            cut: None,
        }
    }

    /// From a signature that was verified.
    pub(in crate::authn) fn of_signer(authenticator: Arc<str>, signer: Arc<Signer>) -> Self {
        let consumer = signer.consumer.clone();
        Self {
            authenticator,
            proof: Proof::Signature(signer),
            consumer,
            cut: None,
        }
    }

    /// From a certificate that was verified. It says nothing of scopes: those of its consumer are its own.
    pub(in crate::authn) const fn of_peer(
        authenticator: Arc<str>,
        peer: Arc<ProvenPeer>,
        consumer: Option<Arc<Consumer>>,
    ) -> Self {
        Self {
            authenticator,
            proof: Proof::Certificate(peer),
            consumer,
            cut: None,
        }
    }

    /// What its certificate says, where that is the proof.
    pub fn peer(&self) -> Option<&ProvenPeer> {
        match &self.proof {
            Proof::Certificate(peer) => Some(peer),
            Proof::Key(_) | Proof::Token(_) | Proof::Signature(_) => None,
        }
    }

    /// Names the consumer that a token belongs to; its ceiling cuts the token's scopes.
    pub(in crate::authn) fn belongs_to(&mut self, consumer: Arc<Consumer>) {
        self.cut = consumer
            .ceiling
            .as_ref()
            .map(|ceiling| Arc::new(self.scopes().cut_to(ceiling)));
        self.consumer = Some(consumer);
    }

    /// `principal.id`: unique among all principals, `authenticator:subject`.
    pub fn id(&self) -> &str {
        match &self.proof {
            Proof::Key(key) => &key.principal_id,
            Proof::Token(token) => &token.principal_id,
            Proof::Signature(signer) => &signer.principal_id,
            Proof::Certificate(peer) => &peer.principal_id,
        }
    }

    /// `principal.subject`: unique within its authenticator only. For an API key or a signing key its
    /// consumer's name, for a workload its SPIFFE ID.
    pub fn subject(&self) -> &str {
        match &self.proof {
            Proof::Key(key) => &key.consumer.name,
            Proof::Token(token) => &token.subject,
            Proof::Signature(signer) => &signer.subject,
            Proof::Certificate(peer) => &peer.subject,
        }
    }

    /// `principal.kind`.
    pub fn kind(&self) -> &'static str {
        match &self.proof {
            Proof::Key(_) => "api_key",
            Proof::Token(_) => "jwt",
            Proof::Signature(signer) => signer.kind,
            Proof::Certificate(_) => "mtls",
        }
    }

    /// `principal.authenticator`.
    pub fn authenticator(&self) -> &str {
        &self.authenticator
    }

    /// The same, to be kept.
    pub const fn authenticator_name(&self) -> &Arc<str> {
        &self.authenticator
    }

    /// What the caller may do.
    pub fn scopes(&self) -> &ScopeSet {
        match (&self.cut, &self.proof) {
            (Some(cut), _) => cut,
            (None, Proof::Key(key)) => &key.scopes,
            (None, Proof::Token(token)) => &token.scopes,
            (None, Proof::Signature(signer)) => &signer.scopes,
            (None, Proof::Certificate(_)) => {
                let consumer = self.consumer.as_deref();
                let ceiling = consumer.and_then(|consumer| consumer.ceiling.as_ref());
                ceiling.unwrap_or_else(|| &NO_SCOPES)
            }
        }
    }

    /// What a token claims, where its consumer's ceiling cuts that.
    pub fn cut_from(&self) -> Option<&ScopeSet> {
        match (&self.cut, &self.proof) {
            (Some(cut), Proof::Token(token)) if **cut != token.scopes => Some(&token.scopes),
            _ => None,
        }
    }

    /// `principal.roles`: its consumer's, and those that its claims stand for. A name may stand twice.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<str>> + Clone {
        let claimed: &[Arc<str>] = match &self.proof {
            Proof::Key(_) | Proof::Signature(_) | Proof::Certificate(_) => &[],
            Proof::Token(token) => &token.roles,
        };
        let consumer = self.consumer.as_deref();
        let own: &[Arc<str>] = consumer.map_or(&[], |consumer| &consumer.roles);
        own.iter().chain(claimed)
    }

    /// Whether it has this role.
    pub fn has_role(&self, role: &Arc<str>) -> bool {
        self.roles().any(|held| held == role)
    }

    /// `principal.credential_id`: a key's id, a token's `jti`, a certificate's fingerprint. Never the credential.
    pub fn credential_id(&self) -> Option<&str> {
        match &self.proof {
            Proof::Key(key) => Some(&key.id),
            Proof::Signature(signer) => Some(&signer.id),
            Proof::Certificate(peer) => peer.fingerprint.as_deref(),
            Proof::Token(token) => token.token_id.as_deref(),
        }
    }

    /// A token's `jti`.
    pub fn token_id(&self) -> Option<&str> {
        match &self.proof {
            Proof::Key(_) | Proof::Signature(_) | Proof::Certificate(_) => None,
            Proof::Token(token) => token.token_id.as_deref(),
        }
    }

    /// The session that a token belongs to: its claim `sid`.
    pub fn session(&self) -> Option<&str> {
        match &self.proof {
            Proof::Key(_) | Proof::Signature(_) | Proof::Certificate(_) => None,
            Proof::Token(token) => token.claims.get("sid").and_then(Value::as_str),
        }
    }

    /// When the credential was issued, as far as it says: a token's `iat`, a certificate's
    /// `notBefore`.
    pub fn issued_at(&self) -> Option<Timestamp> {
        match &self.proof {
            // A key that was stolen signs at any time.
            Proof::Key(_) | Proof::Signature(_) => None,
            // Backdated, if anything: then it counts as older than it is.
            Proof::Certificate(peer) => peer.issued,
            Proof::Token(token) => {
                let issued = token.claims.get("iat").and_then(Value::as_i64);
                issued.map(Timestamp::from_seconds)
            }
        }
    }

    /// `principal.environment`: its consumer's.
    pub fn environment(&self) -> Option<&str> {
        self.consumer
            .as_deref()
            .map(|consumer| consumer.environment.as_ref())
    }

    /// `principal.expires_at`.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match &self.proof {
            Proof::Key(key) => key.expires,
            Proof::Signature(signer) => signer.expires,
            Proof::Certificate(peer) => peer.expires,
            Proof::Token(token) => Some(Timestamp::from_seconds(token.expires_at)),
        }
    }

    /// `principal.claims`: an object; empty for an API key.
    pub fn claims(&self) -> Cow<'_, Value> {
        match &self.proof {
            Proof::Key(_) | Proof::Signature(_) | Proof::Certificate(_) => {
                Cow::Owned(Value::Object(serde_json::Map::new()))
            }
            Proof::Token(token) => Cow::Borrowed(&token.claims),
        }
    }

    /// `consumer`.
    pub const fn consumer(&self) -> Option<&Arc<Consumer>> {
        self.consumer.as_ref()
    }
}
