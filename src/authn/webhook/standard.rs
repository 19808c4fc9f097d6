//! Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,K5oZfz… v1a,hnO3f…`
//! over `id.timestamp.body`. `v1` is HMAC-SHA256, `v1a` is Ed25519.
//!
//! Source: the specification's "Signature scheme" and "Webhook headers". Svix, where it comes from, sends the
//! same under names of its own.

use aws_lc_rs::hmac;

use crate::authn::signature::whole_body;
use crate::authn::webhook::read::{
    Presented, SignedText, base64, count, covered, malformed, seconds, signature, split_once,
};
use crate::headers::{Headers, Single};
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// The longest id of a message, in bytes.
pub const MAX_ID_BYTES: usize = 256;

const ED25519_BYTES: usize = 64;

/// By which names the headers come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderNames {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    #[default]
    Webhook,
    /// `svix-id`, `svix-timestamp`, `svix-signature`.
    Svix,
    /// One set or the other. A request with headers of both is refused.
    Either,
}

/// Three headers that belong together.
#[derive(Debug)]
pub(super) struct NameSet {
    pub id: &'static str,
    pub timestamp: &'static str,
    pub signature: &'static str,
}

const WEBHOOK: NameSet = NameSet {
    id: "webhook-id",
    timestamp: "webhook-timestamp",
    signature: "webhook-signature",
};
const SVIX: NameSet = NameSet {
    id: "svix-id",
    timestamp: "svix-timestamp",
    signature: "svix-signature",
};

impl NameSet {
    fn any_in(&self, headers: &Headers) -> bool {
        [self.id, self.timestamp, self.signature]
            .iter()
            .any(|name| headers.single(name) != Single::Absent)
    }
}

impl HeaderNames {
    pub(super) const fn sets(self) -> &'static [NameSet] {
        const BOTH: &[NameSet] = &[WEBHOOK, SVIX];
        match self {
            Self::Webhook => &[WEBHOOK],
            Self::Svix => &[SVIX],
            Self::Either => BOTH,
        }
    }

    /// The set that a request uses.
    fn used(self, headers: &Headers) -> Result<&'static NameSet, Refusal> {
        let sets = self.sets();
        let mut used = sets.iter().filter(|set| set.any_in(headers));
        match (used.next(), used.next()) {
            (Some(_), Some(_)) => Err(Refusal::new(
                Reason::CredentialsAmbiguous,
                "both `webhook-…` and `svix-…` headers came; a message has one set of them",
            )),
            (Some(set), None) => Ok(set),
            (None, _) => Err(Refusal::new(
                Reason::CredentialsMissing,
                match self {
                    Self::Webhook => "`webhook-signature` is missing",
                    Self::Svix => "`svix-signature` is missing",
                    Self::Either => "neither `webhook-signature` nor `svix-signature` came",
                },
            )),
        }
    }
}

pub(super) fn read<'a>(
    message: &'a AsSigned<'_>,
    names: HeaderNames,
) -> Result<Presented<'a>, Refusal> {
    let headers = message.headers;
    let names = names.used(headers)?;
    let value = signature(headers, names.signature)?;
    let Signatures { v1, v1a } = signatures(value, names.signature)?;
    let id = covered(headers, names.id)?;
    if !is_id(id) {
        return Err(malformed(format!(
            "`{}` is longer than {MAX_ID_BYTES} bytes, or holds a full stop or what is not printable ASCII",
            names.id
        )));
    }
    let time = covered(headers, names.timestamp)?;
    let created = seconds(time, names.timestamp)?;
    let text = signed(id, time, whole_body(message)?);
    let mut presented = Presented::new(v1, text).at(created);
    presented.ed25519 = v1a;
    presented.name = Some([id, b".", time].concat());
    Ok(presented)
}

pub(super) fn signed<'a>(id: &'a [u8], time: &'a [u8], body: &'a [u8]) -> SignedText<'a> {
    SignedText::of([id, b".", time, b".", body])
}

/// Whether the id can stand before a full stop: with one inside, the signed text would read in two ways,
/// and who sees a message could move a part of it from one place to another.
pub(super) fn is_id(id: &[u8]) -> bool {
    let good = |&byte: &u8| byte.is_ascii_graphic() && byte != b'.';
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.iter().all(good)
}

/// The signatures of the two versions that there are.
struct Signatures {
    v1: Vec<Vec<u8>>,
    v1a: Vec<Vec<u8>>,
}

/// Reads a list of signatures; other versions are left alone.
fn signatures(value: &[u8], header: &str) -> Result<Signatures, Refusal> {
    let length = hmac::HMAC_SHA256.digest_algorithm().output_len();
    let (mut v1, mut v1a) = (Vec::new(), Vec::new());
    let mut signatures = 0;
    for element in value.split(|&byte| byte == b' ') {
        count(&mut signatures, header)?;
        match split_once(element, b',') {
            Some((b"v1", text)) => v1.push(base64(text, length, header)?),
            Some((b"v1a", text)) => v1a.push(base64(text, ED25519_BYTES, header)?),
            Some((version, text)) if is_version(version) && !text.contains(&b',') => {}
            _ => {
                return Err(malformed(format!(
                    "`{header}` is not a list of `v1,…` with single spaces between"
                )));
            }
        }
    }
    if v1.is_empty() && v1a.is_empty() {
        return Err(Refusal::new(
            Reason::SignatureAlgorithmRefused,
            format!("`{header}` holds neither `v1` nor `v1a`; no other version counts"),
        ));
    }
    Ok(Signatures { v1, v1a })
}

/// `v`, a digit, and more letters or digits.
fn is_version(version: &[u8]) -> bool {
    match version {
        [b'v', first, rest @ ..] => {
            first.is_ascii_digit() && rest.len() < 8 && rest.iter().all(u8::is_ascii_alphanumeric)
        }
        _ => false,
    }
}
