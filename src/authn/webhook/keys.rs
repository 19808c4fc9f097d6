//! Secrets as they are configured, and whether one of them made a signature.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::authn::webhook::Scheme;
use crate::authn::webhook::read::Presented;
use crate::secret::Secret;
use crate::verdict::{Reason, Refusal};

/// The most secrets of one service: each one costs a pass over the body of every request.
pub const MAX_SECRETS: usize = 8;

/// The prefix of Standard Webhooks' shared secrets.
pub(super) const SECRET_PREFIX: &[u8] = b"whsec_";
/// The prefix of Standard Webhooks' public keys.
pub(super) const PUBLIC_PREFIX: &[u8] = b"whpk_";
/// The prefix of Standard Webhooks' private keys, which only a sender has.
pub(super) const PRIVATE_PREFIX: &[u8] = b"whsk_";

/// Some services show Standard Webhooks' secrets without their padding, and their libraries take both.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why secrets are of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecrets {
    /// An empty list.
    #[error(
        "there is no secret, so nothing could ever be verified; put in the one that the service shows"
    )]
    None,
    /// More than [`MAX_SECRETS`].
    #[error(
        "there are more than {MAX_SECRETS} secrets, and all are tried on each request; drop those that are no longer used"
    )]
    TooMany,
    /// One of them.
    #[error("secret {position} {wrong}")]
    One {
        /// Which one, counted from one.
        position: usize,
        /// What about it.
        wrong: WrongSecret,
    },
}

/// What is wrong with a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongSecret {
    /// No bytes.
    #[error("is empty")]
    Empty,
    /// Spaces or line ends around it.
    #[error("begins or ends with white space, which the service did not sign with; take it out")]
    WhiteSpace,
    /// The same as one before.
    #[error("is the same as one before it; drop one of them")]
    Twice,
    /// An API key or token in place of a webhook's secret.
    #[error("is {0}")]
    Other(&'static str),
    /// Not `whsec_…` and not `whpk_…`.
    #[error(
        "begins neither with `whsec_` (a shared secret) nor with `whpk_` (a public key); if the service shows bare base64, put `whsec_` before it"
    )]
    NoPrefix,
    /// No base64 behind the prefix.
    #[error("is not base64 behind its prefix; copy it whole")]
    Base64,
    /// `whsk_…`.
    #[error(
        "is a private key (`whsk_`), which only the sender needs; put in the public one, `whpk_…`"
    )]
    Private,
    /// Not 32 bytes, or no point of the curve.
    #[error("is not an Ed25519 public key: 32 bytes in base64 behind `whpk_`")]
    PublicKey,
}

/// The keys of one service.
#[derive(Debug)]
pub(super) struct Keys {
    hmac: Vec<hmac::Key>,
    ed25519: Vec<ParsedPublicKey>,
}

impl Keys {
    pub(super) fn new(scheme: &Scheme, secrets: &[Secret]) -> Result<Self, BadSecrets> {
        if secrets.is_empty() {
            return Err(BadSecrets::None);
        }
        if secrets.len() > MAX_SECRETS {
            return Err(BadSecrets::TooMany);
        }
        let mut keys = Self {
            hmac: Vec::new(),
            ed25519: Vec::new(),
        };
        for (index, secret) in secrets.iter().enumerate() {
            let mut before = secrets.iter().take(index);
            let added = if before.any(|other| other.expose() == secret.expose()) {
                Err(WrongSecret::Twice)
            } else {
                keys.add(scheme, secret.expose())
            };
            added.map_err(|wrong| BadSecrets::One {
                position: index + 1,
                wrong,
            })?;
        }
        Ok(keys)
    }

    /// A secret that is too short, as those of published examples are.
    #[cfg(test)]
    pub(super) fn weak(algorithm: hmac::Algorithm, secret: &[u8]) -> Self {
        Self {
            hmac: vec![hmac::Key::new(algorithm, secret)],
            ed25519: Vec::new(),
        }
    }

    fn add(&mut self, scheme: &Scheme, secret: &[u8]) -> Result<(), WrongSecret> {
        if secret.is_empty() {
            return Err(WrongSecret::Empty);
        }
        if secret.trim_ascii().len() != secret.len() {
            return Err(WrongSecret::WhiteSpace);
        }
        if let Some(other) = other_kind(scheme, secret) {
            return Err(WrongSecret::Other(other));
        }
        let algorithms: &[hmac::Algorithm] = match scheme {
            Scheme::Standard(_) => return self.add_standard(secret),
            Scheme::Twilio => &[hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA256],
            Scheme::Custom(custom) => &[custom.algorithm()],
            Scheme::Stripe | Scheme::Slack | Scheme::GitHub | Scheme::Shopify => {
                &[hmac::HMAC_SHA256]
            }
        };
        not_empty(secret)?;
        for algorithm in algorithms {
            self.hmac.push(hmac::Key::new(*algorithm, secret));
        }
        Ok(())
    }

    fn add_standard(&mut self, secret: &[u8]) -> Result<(), WrongSecret> {
        if let Some(text) = secret.strip_prefix(SECRET_PREFIX) {
            let secret = Zeroizing::new(BASE64.decode(text).map_err(|_| WrongSecret::Base64)?);
            not_empty(&secret)?;
            self.hmac.push(hmac::Key::new(hmac::HMAC_SHA256, &secret));
            return Ok(());
        }
        if let Some(text) = secret.strip_prefix(PUBLIC_PREFIX) {
            let bytes = BASE64.decode(text).map_err(|_| WrongSecret::Base64)?;
            let key = (bytes.len() == 32).then(|| ParsedPublicKey::new(&ED25519, &bytes).ok());
            self.ed25519
                .push(key.flatten().ok_or(WrongSecret::PublicKey)?);
            return Ok(());
        }
        if secret.starts_with(PRIVATE_PREFIX) {
            return Err(WrongSecret::Private);
        }
        Err(WrongSecret::NoPrefix)
    }

    /// Whether there is a key for one of the signatures at all.
    pub(super) fn can_judge(&self, presented: &Presented<'_>) -> Result<(), Refusal> {
        let detail = match (self.hmac.is_empty(), self.ed25519.is_empty()) {
            (false, true) if presented.tags.is_empty() => {
                "the request has a `v1a` signature only, and the secrets are for `v1`: add the service's `whpk_` key"
            }
            (true, false) if presented.ed25519.is_empty() => {
                "the request has a `v1` signature only, and the keys are for `v1a`: add the service's `whsec_` secret"
            }
            _ => return Ok(()),
        };
        Err(Refusal::new(Reason::SignatureAlgorithmRefused, detail))
    }

    /// Whether one of the keys made one of the signatures. The time it takes depends on how many keys and
    /// signatures there are, and on the text's length, not on which of them match.
    pub(super) fn match_one_of(&self, presented: &Presented<'_>) -> bool {
        let mut matched = Choice::from(0);
        for text in std::iter::once(&presented.text).chain(&presented.other_text) {
            let keys = self.hmac.iter();
            for key in keys.filter(|key| key.algorithm() == presented.algorithm) {
                if presented.tags.is_empty() {
                    break;
                }
                let expected = text.hmac(key);
                for tag in &presented.tags {
                    matched |= expected.as_ref().ct_eq(tag);
                }
            }
        }
        bool::from(matched) | self.match_public(presented)
    }

    /// The same with public keys, where nothing is secret.
    fn match_public(&self, presented: &Presented<'_>) -> bool {
        if presented.ed25519.is_empty() || self.ed25519.is_empty() {
            return false;
        }
        let text = presented.text.concat();
        let made = |key: &ParsedPublicKey, signature: &Vec<u8>| key.verify_sig(&text, signature);
        self.ed25519.iter().any(|key| {
            let mut signatures = presented.ed25519.iter();
            signatures.any(|signature| made(key, signature).is_ok())
        })
    }
}

fn not_empty(secret: &[u8]) -> Result<(), WrongSecret> {
    match secret.len() {
        0 => Err(WrongSecret::Empty),
        _ => Ok(()),
    }
}

/// What stands beside the right secret in a service's console and is copied in its place.
fn other_kind(scheme: &Scheme, secret: &[u8]) -> Option<&'static str> {
    let begins = |prefixes: &[&str]| {
        prefixes
            .iter()
            .any(|prefix| secret.starts_with(prefix.as_bytes()))
    };
    match scheme {
        Scheme::Stripe if begins(&["sk_", "rk_", "pk_"]) => {
            Some("an API key; the endpoint's own signing secret begins with `whsec_`")
        }
        Scheme::Slack if begins(&["xox", "xapp-"]) => {
            Some("a token; put in the app's signing secret, under Basic Information")
        }
        Scheme::GitHub if begins(&["ghp_", "gho_", "ghs_", "github_pat_"]) => {
            Some("an access token; put in the secret of the webhook's own settings")
        }
        Scheme::Shopify if begins(&["shpat_", "shpca_", "shppa_"]) => {
            Some("an access token; put in the app's client secret")
        }
        _ => None,
    }
}
