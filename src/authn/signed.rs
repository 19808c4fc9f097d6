//! Requests that are proven themselves, not only their senders: what all kinds of signatures share once
//! each has read its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::authn::credential::Container;
use crate::authn::http_signature::key::VerifyKey;
use crate::authn::key_set::KeySetCell;
use crate::authn::oauth1::key::ConsumerKey;
use crate::authn::replay::{ReplayMemory, Replays};
use crate::authn::signature::Accepted;
use crate::authn::{On, hmac, http_signature, oauth1, sigv4, webhook};
use crate::clock::{Clock, Timestamp};
use crate::consumer::Consumer;
use crate::headers::{Headers, Single};
use crate::policy::observe::Observe;
use crate::policy::observe::event::Event;
use crate::policy::scope::ScopeSet;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::{Reason, Refusal};

/// Whom a key stands for.
#[derive(Debug)]
pub struct Signer {
    /// The kind of its authenticator.
    pub kind: &'static str,
    /// What signatures, audit and revocations call the key.
    pub id: Box<str>,
    /// `authenticator:subject`.
    pub principal_id: Box<str>,
    /// The consumer's name; the subject of a token; of webhooks their scheme, of published keys their `kid`.
    pub subject: Box<str>,
    /// Whose it is.
    pub consumer: Option<Arc<Consumer>>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// From then on it is refused.
    pub expires: Option<Timestamp>,
}

/// A key with whom it stands for, and what was used up of it.
pub struct Keyed<K> {
    /// Whom it stands for.
    pub signer: Arc<Signer>,
    /// What was used once.
    pub memory: Arc<ReplayMemory>,
    /// The key.
    pub key: K,
}

/// Keys by the name that signatures state.
pub type Keys<K> = HashMap<Box<str>, Keyed<K>>;

/// The key of a consumer with OAuth 1.0a, and the tokens that were issued to it.
pub struct OAuthKey {
    /// The consumer's own.
    pub consumer: ConsumerKey,
    /// By `oauth_token`.
    pub tokens: HashMap<Box<str>, (Secret, Arc<Signer>)>,
}

/// Public keys of signers who are no consumers.
pub struct Published {
    /// Where they are.
    pub keys: Arc<KeySetCell>,
    /// The authenticator's name.
    pub authenticator: Arc<str>,
    /// One memory for all of them: nonces are told apart by the key's name.
    pub memory: Arc<ReplayMemory>,
    /// The names of consumers that have a key of this authenticator: no published key passes for one of them.
    pub consumers: HashSet<Arc<str>>,
}

/// A way to sign requests, with its rules and keys.
pub enum Signed {
    /// RFC 9421.
    HttpSignature(
        http_signature::rules::Rules,
        Keys<Option<VerifyKey>>,
        Option<Published>,
    ),
    /// Portcullis's own scheme, and two for those who change over.
    Hmac(hmac::Rules, Keys<hmac::Key>),
    /// Webhooks.
    Webhook(webhook::Rules, Keyed<()>),
    /// AWS Signature Version 4.
    Sigv4(sigv4::Rules, Keys<Secret>),
    /// RFC 5849.
    Oauth1(oauth1::Rules, Keys<OAuthKey>),
}

impl Signed {
    /// The kind, as configurations name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::HttpSignature(..) => "http_signature",
            Self::Hmac(..) => "hmac",
            Self::Webhook(..) => "webhook",
            Self::Sigv4(..) => "sigv4",
            Self::Oauth1(..) => "oauth1",
        }
    }

    /// Verifies what a request presents, and uses up what may be used once.
    ///
    /// # Errors
    /// A reason of the `signature_` and `body_` families; `key_expired`; `replay_memory_full`;
    /// `dependency_unavailable` where public keys cannot be had.
    pub async fn verify(
        &self,
        message: &AsSigned<'_>,
        container: &Container,
        on: On<'_>,
        clock: &dyn Clock,
        observer: impl Observe,
    ) -> Result<Arc<Signer>, Refusal> {
        let now = clock.now();
        let (signer, memory, accepted) = match self {
            Self::HttpSignature(rules, keys, published) => {
                http_signature(message, rules, (keys, published.as_ref()), clock, observer).await?
            }
            Self::Hmac(rules, keys) => hmac(message, container, rules, keys, now, observer)?,
            Self::Webhook(rules, keyed) => {
                let accepted = webhook::verify(message, rules, now);
                told_text(observer, &accepted, || webhook::signed_text(message, rules));
                let accepted = accepted?;
                let scheme = rules.scheme();
                check_substitution(message, scheme.signs_target(), scheme.headers())?;
                (Arc::clone(&keyed.signer), &keyed.memory, accepted)
            }
            Self::Sigv4(rules, keys) => sigv4(message, rules, keys, now, observer)?,
            Self::Oauth1(rules, keys) => oauth1(message, rules, keys, now, observer)?,
        };
        // After the signature: who cannot sign learns nothing of a key's life.
        if signer.expires.is_some_and(|expires| now >= expires) {
            let detail = format!("key `{}` has expired", signer.id);
            return Err(Refusal::new(Reason::KeyExpired, detail));
        }
        if let Some(once) = &accepted.once {
            if on.uses_up {
                memory.use_once(once, now).await?;
            } else {
                memory.look(once, now).await?;
            }
        }
        Ok(signer)
    }
}

/// Without `encode_raw_headers` Envoy shows a `!` for each byte that is no UTF-8, in headers and in the target.
/// Whoever replaces a signed `!` by such a byte changes what the upstream gets and not what is seen here.
fn check_substitution<'m>(
    message: &AsSigned<'_>,
    signs_target: bool,
    signed_headers: impl IntoIterator<Item = &'m str>,
) -> Result<(), Refusal> {
    if !message.headers.is_text() {
        return Ok(());
    }
    let holds = |text: &[u8]| text.contains(&b'!');
    let query = message.query.unwrap_or_default();
    let target =
        signs_target && (holds(&message.path) || holds(query) || message.authority.contains('!'));
    let mut signed = signed_headers.into_iter();
    if target || signed.any(|name| message.headers.all(name).any(holds)) {
        return Err(Refusal::new(
            Reason::SignatureComponentRefused,
            "what is signed holds a `!`, which Envoy also shows for each byte that is no UTF-8: set `encode_raw_headers: true`",
        ));
    }
    Ok(())
}

type Verified<'a> = (Arc<Signer>, &'a Arc<ReplayMemory>, Accepted);

fn unknown(what: &'static str) -> Refusal {
    Refusal::new(Reason::SignatureKeyUnknown, what)
}

fn absent() -> Refusal {
    Refusal::new(
        Reason::SignatureMalformed,
        "parts of a signature are there, and the signature itself is not",
    )
}

/// An operator who explains a mismatch sees what should have been signed.
fn told_text<T>(
    observer: impl Observe,
    judged: &Result<T, Refusal>,
    text: impl FnOnce() -> Result<Vec<u8>, Refusal>,
) {
    let mismatch = judged
        .as_ref()
        .err()
        .is_some_and(|refusal| refusal.reason == Reason::SignatureMismatch);
    if mismatch {
        observer.note(|| Event::SignedText(text().unwrap_or_default()));
    }
}

async fn http_signature<'a>(
    message: &AsSigned<'_>,
    rules: &http_signature::rules::Rules,
    (keys, published): (&'a Keys<Option<VerifyKey>>, Option<&'a Published>),
    clock: &dyn Clock,
    observer: impl Observe,
) -> Result<Verified<'a>, Refusal> {
    let unverified = http_signature::read(message.headers)?.ok_or_else(absent)?;
    let mut set = published.and_then(|published| published.keys.current());
    if let (Some(published), None) = (published, &set) {
        set = published.keys.loaded(clock).await;
        let all_listed = unverified
            .candidates()
            .all(|(_, id)| id.is_some_and(|id| keys.contains_key(id)));
        if set.is_none() && !all_listed {
            let detail = "the signers' keys were never loaded and cannot be fetched";
            return Err(Refusal::new(Reason::DependencyUnavailable, detail));
        }
    }
    let in_set = |set: &Option<Arc<crate::authn::key_set::KeySet>>, id: &str| {
        set.as_ref()
            .is_some_and(|set| set.named(id).next().is_some())
    };
    let is_known = |id: &str| keys.contains_key(id) || in_set(&set, id);
    // A key that is not known may be newer than the set.
    if let Some(published) = published
        && !unverified
            .candidates()
            .any(|(_, id)| id.is_some_and(is_known))
    {
        published.keys.refresh(clock).await;
        set = published.keys.current();
    }
    let is_known = |id: &str| keys.contains_key(id) || in_set(&set, id);
    let chosen = unverified.choose(rules, is_known)?;
    let now = clock.now();
    let listed = keys.get(chosen.key_id());
    let judge = |key: &VerifyKey| {
        let accepted = chosen.verify(message, key, rules, now);
        told_text(observer, &accepted, || chosen.base(message));
        check_substitution(message, true, chosen.signed_headers())?;
        accepted
    };
    if let Some(Keyed {
        signer,
        memory,
        key: Some(key),
    }) = listed
    {
        return Ok((Arc::clone(signer), memory, judge(key)?));
    }
    let published = published.ok_or_else(|| unknown("no key has this name"))?;
    let mut named = set.iter().flat_map(|set| set.named(chosen.key_id()));
    let key = named.find_map(|key| key.signing()).ok_or_else(|| {
        unknown("the key of this name is for none of the algorithms of signatures, or of several and does not say which")
    })?;
    let mut accepted = judge(key)?;
    if let Some(listed) = listed {
        return Ok((Arc::clone(&listed.signer), &listed.memory, accepted));
    }
    let id = chosen.key_id();
    if published.consumers.contains(id) {
        return Err(unknown(
            "the key has the name of a consumer, and whoever publishes keys does not say who that is",
        ));
    }
    // Many signers share this memory.
    if let Some(once) = &mut accepted.once {
        once.value = [id.as_bytes(), b"\n", &once.value].concat();
    }
    let signer = Signer {
        kind: "http_signature",
        id: id.into(),
        principal_id: format!("{}:{id}", published.authenticator).into(),
        subject: id.into(),
        consumer: None,
        scopes: ScopeSet::default(),
        expires: None,
    };
    Ok((Arc::new(signer), &published.memory, accepted))
}

fn hmac<'a>(
    message: &AsSigned<'_>,
    container: &Container,
    rules: &hmac::Rules,
    keys: &'a Keys<hmac::Key>,
    now: Timestamp,
    observer: impl Observe,
) -> Result<Verified<'a>, Refusal> {
    let own_header = Container::Header(hmac::SIGNATURE_HEADER.into());
    let in_own_header = message.headers.single(hmac::SIGNATURE_HEADER);
    let unverified = if *container == own_header {
        let Single::One(value) = in_own_header else {
            let detail = "the header `Signature` was sent twice";
            return Err(Refusal::new(Reason::CredentialsAmbiguous, detail));
        };
        if http_signature::is_present(message.headers) {
            let detail = "`Signature-Input` says that this is a signature of RFC 9421";
            return Err(Refusal::new(Reason::CredentialsUnrecognised, detail));
        }
        hmac::read_signature_header(value, rules)?
    } else {
        if rules.dialects.contains(&hmac::Dialect::Cavage) && in_own_header != Single::Absent {
            let detail = "one signature stands in `Signature`, another behind a scheme";
            return Err(Refusal::new(Reason::CredentialsAmbiguous, detail));
        }
        let sent = scheme_and_rest(message.headers, container);
        let (scheme, credentials) = sent.ok_or_else(absent)?;
        hmac::read(scheme, credentials, rules)?
    };
    let keyed = keys
        .get(unverified.key_id())
        .ok_or_else(|| unknown("no consumer has a key of this id"))?;
    let accepted = unverified.verify(message, &keyed.key, rules, now);
    told_text(observer, &accepted, || unverified.signed_text(message));
    check_substitution(message, true, unverified.signed_headers())?;
    Ok((Arc::clone(&keyed.signer), &keyed.memory, accepted?))
}

/// A header's authentication scheme and what follows it.
fn scheme_and_rest<'a>(
    headers: &'a Headers,
    container: &Container,
) -> Option<(&'a [u8], &'a [u8])> {
    let Container::Header(name) = container else {
        return None;
    };
    let Single::One(value) = headers.single(name) else {
        return None;
    };
    let value = value.trim_ascii();
    let end = value.iter().position(|&byte| byte == b' ')?;
    let (scheme, rest) = value.split_at_checked(end)?;
    Some((scheme, rest.trim_ascii_start()))
}

fn oauth1<'a>(
    message: &AsSigned<'_>,
    rules: &oauth1::Rules,
    keys: &'a Keys<OAuthKey>,
    now: Timestamp,
    observer: impl Observe,
) -> Result<Verified<'a>, Refusal> {
    let unverified = oauth1::Unverified::read(message)?.ok_or_else(absent)?;
    let keyed = keys.get(unverified.consumer_key());
    let token = keyed.and_then(|keyed| keyed.key.tokens.get(unverified.token()?));
    let (Some(keyed), true) = (keyed, unverified.token().is_none() || token.is_some()) else {
        return Err(unverified.verify_against_nothing(rules, now));
    };
    let with = oauth1::Keys {
        consumer: &keyed.key.consumer,
        token: token.map(|(secret, _)| secret),
    };
    let accepted = unverified.verify(&with, rules, now);
    told_text(observer, &accepted, || oauth1::base_string(message));
    check_substitution(message, true, [])?;
    let signer = token.map_or(&keyed.signer, |(_, signer)| signer);
    Ok((Arc::clone(signer), &keyed.memory, accepted?))
}

fn sigv4<'a>(
    message: &AsSigned<'_>,
    rules: &sigv4::Rules,
    keys: &'a Keys<Secret>,
    now: Timestamp,
    observer: impl Observe,
) -> Result<Verified<'a>, Refusal> {
    let unverified = sigv4::read(message)?.ok_or_else(absent)?;
    let keyed = keys
        .get(unverified.access_key_id())
        .ok_or_else(|| unknown("no consumer has this access key id"))?;
    let accepted = unverified.verify(message, &keyed.key, rules, now);
    told_text(observer, &accepted, || {
        let texts = unverified.texts(message, rules)?;
        Ok([
            texts.canonical_request,
            b"\n\n".to_vec(),
            texts.string_to_sign,
        ]
        .concat())
    });
    check_substitution(message, true, unverified.signed_headers())?;
    Ok((Arc::clone(&keyed.signer), &keyed.memory, accepted?))
}
