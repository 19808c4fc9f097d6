//! The other side: signing a request as the service does, for trying out.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::authn::signature::whole_body;
use crate::authn::webhook::custom::{Custom, Encoding, Filling, TimeFormat, TimePlace};
use crate::authn::webhook::keys::{BASE64, PRIVATE_PREFIX, SECRET_PREFIX, WrongSecret};
use crate::authn::webhook::read::SignedText;
use crate::authn::webhook::standard::{HeaderNames, MAX_ID_BYTES, is_id};
use crate::authn::webhook::{Scheme, github, shopify, slack, standard, stripe, twilio};
use crate::clock::Timestamp;
use crate::request::signed::AsSigned;
use crate::secret::{Digest, Secret};
use crate::verdict::Refusal;

/// What to add to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The query to send in place of the one there was: Twilio covers a body that is no form by a
    /// parameter of the address.
    pub query: Option<Vec<u8>>,
}

/// Why a request could not be signed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CannotSign {
    /// The secret is none of this scheme.
    #[error("the secret {0}")]
    Secret(WrongSecret),
    /// An id that the scheme can't carry.
    #[error(
        "the id is empty, longer than {MAX_ID_BYTES} bytes, or holds a full stop or what is not printable ASCII"
    )]
    Id,
    /// The request itself.
    #[error("{}", .0.detail)]
    Request(Refusal),
}

impl From<Refusal> for CannotSign {
    fn from(refusal: Refusal) -> Self {
        Self::Request(refusal)
    }
}

/// Signs `message` as of `now`. `id` names the message where the scheme has one name for each.
///
/// The secret is written as for [`super::Rules::new`], but may be as short as it likes; for Standard Webhooks
/// it is `whsec_…`, or the private key `whsk_…`.
///
/// # Errors
/// [`CannotSign`].
pub fn sign(
    message: &AsSigned<'_>,
    scheme: &Scheme,
    secret: &Secret,
    now: Timestamp,
    id: &str,
) -> Result<Signed, CannotSign> {
    let body = whole_body(message)?;
    let time = now.seconds().to_string();
    let secret = secret.expose();
    if secret.is_empty() {
        return Err(CannotSign::Secret(WrongSecret::Empty));
    }
    let sha256 = |text: &SignedText<'_>| mac(hmac::HMAC_SHA256, secret, text);
    let headers = match scheme {
        Scheme::Stripe => {
            let tag = to_hex(&sha256(&stripe::signed(time.as_bytes(), body)));
            vec![(stripe::HEADER.to_owned(), format!("t={time},v1={tag}"))]
        }
        Scheme::Slack => {
            let tag = to_hex(&sha256(&slack::signed(time.as_bytes(), body)));
            vec![
                (slack::HEADER.to_owned(), format!("v0={tag}")),
                (slack::TIMESTAMP_HEADER.to_owned(), time),
            ]
        }
        Scheme::GitHub => {
            let tag = to_hex(&sha256(&SignedText::of([body])));
            vec![(github::HEADER.to_owned(), format!("sha256={tag}"))]
        }
        Scheme::Shopify => {
            let [header, _] = shopify::HEADERS;
            let tag = STANDARD.encode(sha256(&SignedText::of([body])));
            vec![(header.to_owned(), tag)]
        }
        Scheme::Standard(names) => standard_headers(*names, secret, &time, id, body)?,
        Scheme::Twilio => return twilio_signed(message, secret, body),
        Scheme::Custom(custom) => custom_headers(message, custom, secret, now, id)?,
    };
    Ok(Signed {
        headers,
        query: None,
    })
}

fn standard_headers(
    names: HeaderNames,
    secret: &[u8],
    time: &str,
    id: &str,
    body: &[u8],
) -> Result<Vec<(String, String)>, CannotSign> {
    if !is_id(id.as_bytes()) {
        return Err(CannotSign::Id);
    }
    let text = standard::signed(id.as_bytes(), time.as_bytes(), body);
    let decode = |text| {
        let bytes = BASE64.decode(text).map(Zeroizing::new);
        bytes.map_err(|_| CannotSign::Secret(WrongSecret::Base64))
    };
    let signature = if let Some(seed) = secret.strip_prefix(PRIVATE_PREFIX) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&decode(seed)?)
            .map_err(|_| CannotSign::Secret(WrongSecret::Other("not 32 bytes behind `whsk_`")))?;
        format!("v1a,{}", STANDARD.encode(pair.sign(&text.concat())))
    } else {
        let secret = secret
            .strip_prefix(SECRET_PREFIX)
            .ok_or(CannotSign::Secret(WrongSecret::NoPrefix))?;
        let secret = decode(secret)?;
        let tag = mac(hmac::HMAC_SHA256, &secret, &text);
        format!("v1,{}", STANDARD.encode(tag))
    };
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let set = names.sets().first();
    Ok(set.map_or_else(Vec::new, |set| {
        vec![
            header(set.signature, &signature),
            header(set.id, id),
            header(set.timestamp, time),
        ]
    }))
}

/// Over the address as it stands, with HMAC-SHA1.
fn twilio_signed(message: &AsSigned<'_>, secret: &[u8], body: &[u8]) -> Result<Signed, CannotSign> {
    let covered_by_query = !body.is_empty() && !twilio::is_form(message)?;
    let query = covered_by_query.then(|| {
        let digest = format!("{}={}", twilio::BODY_DIGEST, Digest::of(body).to_hex());
        let own = message.query.into_iter().filter(|own| !own.is_empty());
        own.chain([digest.as_bytes()])
            .collect::<Vec<_>>()
            .join(&b'&')
    });
    let message = AsSigned {
        method: message.method,
        scheme: message.scheme.as_ref().into(),
        authority: message.authority.as_ref().into(),
        path: message.path.as_ref().into(),
        query: query.as_deref().or(message.query),
        headers: message.headers,
        body: message.body.clone(),
    };
    let parameters = twilio::covered_parameters(&message, body)?;
    let text = twilio::signed(&message, message.authority.as_ref().into(), &parameters);
    let tag = mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, &text);
    drop(text);
    Ok(Signed {
        headers: vec![(twilio::HEADER.to_owned(), STANDARD.encode(tag))],
        query,
    })
}

fn custom_headers(
    message: &AsSigned<'_>,
    custom: &Custom,
    secret: &[u8],
    now: Timestamp,
    id: &str,
) -> Result<Vec<(String, String)>, CannotSign> {
    let written = custom.written();
    let time = written.timestamp.as_ref().map(|(place, format)| {
        let text = match format {
            TimeFormat::Seconds => now.seconds().to_string(),
            TimeFormat::Milliseconds => now.micros().div_euclid(1_000).to_string(),
            TimeFormat::Rfc3339 => now.to_rfc3339(),
        };
        (place, text)
    });
    if written.id.is_some() && !is_id(id.as_bytes()) {
        return Err(CannotSign::Id);
    }
    let filling = Filling {
        timestamp: time.as_ref().map_or(&[], |(_, text)| text.as_bytes()),
        id: id.as_bytes(),
        body: whole_body(message)?,
    };
    let tag = mac(custom.algorithm(), secret, &custom.text(message, &filling)?);
    let tag = match written.encoding {
        Encoding::Hex => to_hex(&tag),
        Encoding::Base64 => STANDARD.encode(tag),
    };
    let mut signature = format!("{}{tag}", written.prefix);
    if let Some(key) = &written.element {
        signature = format!("{key}={signature}");
    }
    let mut headers = Vec::new();
    match time {
        Some((TimePlace::Header(name), text)) => headers.push((name.clone(), text)),
        Some((TimePlace::Element(key), text)) => {
            signature = format!("{key}={text}{}{signature}", written.separator);
        }
        None => {}
    }
    headers.insert(0, (written.header.clone(), signature));
    headers.extend(written.id.iter().map(|name| (name.clone(), id.to_owned())));
    Ok(headers)
}

fn mac(algorithm: hmac::Algorithm, secret: &[u8], text: &SignedText<'_>) -> Vec<u8> {
    let tag = text.hmac(&hmac::Key::new(algorithm, secret));
    tag.as_ref().to_vec()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
