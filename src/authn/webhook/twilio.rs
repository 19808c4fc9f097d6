//! Twilio: `X-Twilio-Signature`, an HMAC in base64 over the address that Twilio was told to call, followed by
//! the name and value of each parameter of the form, in the order of their names.
//!
//! Source: Twilio's "Webhooks security" and the request validators of its libraries. As these do:
//! - The address counts with its port and without. One without a port gets the scheme's own in the first
//!   case, since Twilio signs now one form, now the other.
//! - Values of one name are put in order too, and equal ones count once.
//! - A body that is no form is covered by its SHA-256 in the address: the parameter `bodySHA256`.
//! - `X-Twilio-Webhooks-Signature-Settings` names HMAC-SHA256; without it HMAC-SHA1 was used, which as an
//!   HMAC is not broken.
//!
//! Unlike them, a body that is neither is refused, as nothing covers it.
//!
//! Twilio puts no mark between names and values. Who has seen a signed form can move the border between
//! a name and its value, or between the address and the first name, and the signature still holds. Nobody
//! who verifies can mend that; what an upstream reads by name it should expect in a shape of its own.

use std::borrow::Cow;
use std::collections::BTreeSet;

use aws_lc_rs::hmac;

use crate::authn::signature::whole_body;
use crate::authn::webhook::read::{
    Presented, SignedText, base64, covered, lone_signature, malformed, split_once,
};
use crate::headers::Single;
use crate::request::signed::AsSigned;
use crate::request::target::form_decode;
use crate::secret::{Digest, hex_value};
use crate::verdict::{Reason, Refusal};

/// The header with the signature.
pub(super) const HEADER: &str = "x-twilio-signature";
/// The header that says which secret and algorithm were used.
pub(super) const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";
/// The parameter of the query that covers a body which is no form.
pub(super) const BODY_DIGEST: &str = "bodySHA256";
/// The media type of a form.
const FORM: &[u8] = b"application/x-www-form-urlencoded";
/// The most parameters of a form. Twilio sends dozens.
const MAX_PARAMETERS: usize = 1_000;

/// Names and values of a form, decoded, in order, equal pairs once.
type Parameters<'a> = BTreeSet<(Cow<'a, [u8]>, Cow<'a, [u8]>)>;

pub(super) fn read<'a>(message: &'a AsSigned<'_>) -> Result<Presented<'a>, Refusal> {
    let value = lone_signature(message.headers, HEADER)?;
    let algorithm = algorithm(message)?;
    let tag = base64(value, algorithm.digest_algorithm().output_len(), HEADER)?;
    let parameters = covered_parameters(message, whole_body(message)?)?;
    let (without_port, with_port) = authorities(&message.scheme, &message.authority);
    let mut presented = Presented::new(vec![tag], signed(message, without_port, &parameters));
    presented.other_text = Some(signed(message, with_port, &parameters));
    presented.algorithm = algorithm;
    Ok(presented)
}

/// The address under one of its authorities, and the parameters.
pub(super) fn signed<'a>(
    message: &'a AsSigned<'_>,
    authority: Cow<'a, str>,
    parameters: &Parameters<'a>,
) -> SignedText<'a> {
    let mut text = vec![
        Cow::Borrowed(message.scheme.as_bytes()),
        Cow::Borrowed(b"://".as_slice()),
        match authority {
            Cow::Borrowed(authority) => Cow::Borrowed(authority.as_bytes()),
            Cow::Owned(authority) => Cow::Owned(authority.into_bytes()),
        },
        Cow::Borrowed(message.path.as_ref()),
    ];
    if let Some(query) = message.query {
        text.extend([Cow::Borrowed(b"?".as_slice()), Cow::Borrowed(query)]);
    }
    for (name, value) in parameters {
        text.extend([name.clone(), value.clone()]);
    }
    SignedText(text)
}

/// The parameters of the form that are signed; none where `bodySHA256` covers the body, or there is none.
pub(super) fn covered_parameters<'a>(
    message: &'a AsSigned<'_>,
    body: &'a [u8],
) -> Result<Parameters<'a>, Refusal> {
    let form = is_form(message)?;
    match body_digest(message.query)? {
        // Twilio's own libraries disagree on what covers such a body.
        Some(_) if form => Err(malformed(format!(
            "the query has `{BODY_DIGEST}` and the body is a form: what covers the body reads in two ways"
        ))),
        Some(digest) if digest == Digest::of(body) => Ok(Parameters::new()),
        Some(_) => Err(Refusal::new(
            Reason::BodyDigestMismatch,
            format!("the body's SHA-256 is another than `{BODY_DIGEST}` in the query says"),
        )),
        None if form => parameters(body),
        None if body.is_empty() => Ok(Parameters::new()),
        None => Err(Refusal::new(
            Reason::SignatureIncomplete,
            format!(
                "nothing covers the body: its `content-type` is not that of a form, and the query has no `{BODY_DIGEST}`"
            ),
        )),
    }
}

/// Whether the body says to be a form.
pub(super) fn is_form(message: &AsSigned<'_>) -> Result<bool, Refusal> {
    let value = match message.headers.single("content-type") {
        Single::Absent => return Ok(false),
        Single::One(value) if !value.contains(&b',') => value,
        Single::One(_) | Single::Several => {
            return Err(malformed("`content-type` came more than once"));
        }
    };
    let media_type = value.split(|&byte| byte == b';').next().unwrap_or_default();
    Ok(media_type.trim_ascii().eq_ignore_ascii_case(FORM))
}

/// `bodySHA256` of the query.
fn body_digest(query: Option<&[u8]>) -> Result<Option<Digest>, Refusal> {
    let pairs = query.unwrap_or_default().split(|&byte| byte == b'&');
    let mut found = pairs.filter_map(|pair| {
        let (name, value) = split_once(pair, b'=').unwrap_or((pair, &[]));
        (*form_decode(name) == *BODY_DIGEST.as_bytes()).then_some(value)
    });
    let Some(value) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(malformed(format!("the query has several `{BODY_DIGEST}`")));
    }
    let digest = std::str::from_utf8(value).ok().and_then(Digest::from_hex);
    digest.map(Some).ok_or_else(|| {
        malformed(format!(
            "`{BODY_DIGEST}` in the query is not 64 hexadecimal digits"
        ))
    })
}

/// Reads a form, whose every pair has one reading: a name, `=`, a value.
fn parameters(body: &[u8]) -> Result<Parameters<'_>, Refusal> {
    if body.is_empty() {
        return Ok(Parameters::new());
    }
    if body.iter().filter(|&&byte| byte == b'&').count() >= MAX_PARAMETERS {
        return Err(malformed(format!(
            "the form has more than {MAX_PARAMETERS} parameters"
        )));
    }
    let pair = |pair| {
        let (name, value) = split_once(pair, b'=')?;
        let good = !name.is_empty() && well_escaped(name) && well_escaped(value);
        good.then(|| (form_decode(name), form_decode(value)))
    };
    body.split(|&byte| byte == b'&')
        .map(pair)
        .collect::<Option<_>>()
        .ok_or_else(|| {
            malformed("the form holds a pair without `=` or name, or a `%` without two digits")
        })
}

fn well_escaped(text: &[u8]) -> bool {
    let mut parts = text.split(|&byte| byte == b'%').skip(1);
    parts.all(|part| match part {
        [high, low, ..] => hex_value(*high).is_some() && hex_value(*low).is_some(),
        _ => false,
    })
}

/// What the HMAC is made with.
fn algorithm(message: &AsSigned<'_>) -> Result<hmac::Algorithm, Refusal> {
    const SHA1: hmac::Algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
    if message.headers.single(SETTINGS_HEADER) == Single::Absent {
        return Ok(SHA1);
    }
    let value = covered(message.headers, SETTINGS_HEADER)?;
    let (mut key, mut algorithm) = (None, None);
    for element in value.split(|&byte| byte == b',') {
        let twice = match split_once(element, b'=') {
            Some((name, value)) if name.trim_ascii() == b"key" => key.replace(value),
            Some((name, value)) if name.trim_ascii() == b"algorithm" => algorithm.replace(value),
            _ => {
                return Err(malformed(format!(
                    "`{SETTINGS_HEADER}` is not `key=…,algorithm=…`"
                )));
            }
        };
        if twice.is_some() {
            return Err(malformed(format!(
                "`{SETTINGS_HEADER}` says one thing twice"
            )));
        }
    }
    match algorithm.map(<[u8]>::trim_ascii) {
        None | Some(b"HMAC_SHA1") => Ok(SHA1),
        Some(b"HMAC_SHA256") => Ok(hmac::HMAC_SHA256),
        Some(_) => Err(Refusal::new(
            Reason::SignatureAlgorithmRefused,
            format!("`{SETTINGS_HEADER}` names neither HMAC_SHA1 nor HMAC_SHA256"),
        )),
    }
}

/// The authority without a port, and with one.
fn authorities<'a>(scheme: &str, authority: &'a str) -> (Cow<'a, str>, Cow<'a, str>) {
    if let Some((host, port)) = authority.rsplit_once(':') {
        // Not the colons of an IPv6 literal.
        if !port.contains(']') {
            return (Cow::Borrowed(host), Cow::Borrowed(authority));
        }
    }
    let port = if scheme == "https" { 443 } else { 80 };
    (
        Cow::Borrowed(authority),
        Cow::Owned(format!("{authority}:{port}")),
    )
}
