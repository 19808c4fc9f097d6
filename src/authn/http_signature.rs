//! HTTP Message Signatures (RFC 9421) of requests, and the body's digest (RFC 9530).
//!
//! [`read`] takes the two headers apart, [`Unverified::choose`] finds the one signature that is meant for us,
//! and [`Chosen::verify`] judges it. What a signature says of itself decides nothing before it is verified but
//! which key is looked up: the algorithm is the key's, what must be covered is the policy's.
//!
//! A covered header is signed with its lines joined by a comma and a space. In its default mode Envoy joins
//! them by a comma alone, so a signature over repeated lines needs `encode_raw_headers: true`.

pub mod base;
pub mod challenge;
pub mod chosen;
pub mod components;
pub mod digest;
pub mod key;
pub mod rules;
pub mod sign;
mod structured;

use std::fmt;

use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parameters};

use crate::authn::http_signature::chosen::Chosen;
use crate::authn::http_signature::rules::Rules;
use crate::headers::Headers;
use crate::verdict::{Reason, Refusal};

/// The header that says what is signed, and how.
pub const SIGNATURE_INPUT: &str = "signature-input";

/// The header that holds the signatures.
pub const SIGNATURE: &str = "signature";

/// The longest value of either header that is read, all lines together, in bytes.
pub const MAX_FIELD_BYTES: usize = 16 * 1024;

/// The most signatures that one request may carry.
pub const MAX_SIGNATURES: usize = 8;

/// The most components that one signature may cover.
pub const MAX_COMPONENTS: usize = 64;

/// The most parameters that one signature may have. The standard knows six.
pub const MAX_PARAMETERS: usize = 16;

/// The longest `keyid`, `nonce`, `tag` or `alg`, in bytes.
pub const MAX_PARAMETER_BYTES: usize = 512;

/// The longest signature, in bytes: that of an RSA key of 8,192 bits.
pub const MAX_SIGNATURE_BYTES: usize = 1024;

/// The signatures of a request, each with what it says of itself; none of it is proven.
pub struct Unverified {
    signatures: Vec<Labelled>,
}

impl fmt::Debug for Unverified {
    /// Labels and key ids; never a signature, which may still be good for one use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.candidates()).finish()
    }
}

struct Labelled {
    label: Box<str>,
    input: InnerList,
    signature: Vec<u8>,
    says: Says,
}

/// The parameters that the standard knows (RFC 9421 section 2.3).
#[derive(Clone, Default)]
struct Says {
    created: Option<i64>,
    expires: Option<i64>,
    nonce: Option<Box<str>>,
    alg: Option<Box<str>>,
    key_id: Option<Box<str>>,
    tag: Option<Box<str>>,
}

/// Whether a request carries signatures of this kind. `Signature` alone is of an older kind (RFC 9421
/// appendix A).
pub fn is_present(headers: &Headers) -> bool {
    headers.all(SIGNATURE_INPUT).next().is_some()
}

/// Reads `Signature-Input` and `Signature` (sections 4.1 and 4.2). Lines of one header make one dictionary.
/// `None` where the request has neither.
///
/// # Errors
/// `signature_malformed`: no structured fields, one header without the other or with other labels, and
/// whatever is longer or more than the bounds of this module.
pub fn read(headers: &Headers) -> Result<Option<Unverified>, Refusal> {
    let (inputs, mut values) = match (
        dictionary(headers, SIGNATURE_INPUT)?,
        dictionary(headers, SIGNATURE)?,
    ) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(malformed("`Signature` without `Signature-Input`")),
        (Some(_), None) => return Err(malformed("`Signature-Input` without `Signature`")),
        (Some(inputs), Some(values)) => (inputs, values),
    };
    if inputs.is_empty() {
        return Err(malformed("`Signature-Input` is empty"));
    }
    if inputs.len() > MAX_SIGNATURES || values.len() > MAX_SIGNATURES {
        return Err(malformed("the request has more than 8 signatures"));
    }
    let mut signatures = Vec::with_capacity(inputs.len());
    for (label, input) in inputs {
        let value = values
            .shift_remove(&label)
            .ok_or_else(|| malformed("a label of `Signature-Input` is missing in `Signature`"))?;
        signatures.push(labelled(label.as_str(), input, value)?);
    }
    if !values.is_empty() {
        return Err(malformed(
            "a label of `Signature` is missing in `Signature-Input`",
        ));
    }
    Ok(Some(Unverified { signatures }))
}

/// One of the two headers; `None` where the request does not have it.
fn dictionary(headers: &Headers, name: &str) -> Result<Option<Dictionary>, Refusal> {
    let lines: Vec<&[u8]> = headers.all(name).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let text = lines.join(&b", "[..]);
    if text.len() > MAX_FIELD_BYTES {
        return Err(Refusal::new(
            Reason::SignatureMalformed,
            format!("`{name}` is longer than 16 KiB"),
        ));
    }
    match structured::dictionary(&text) {
        Ok(dictionary) => Ok(Some(dictionary)),
        Err(error) => Err(Refusal::new(
            Reason::SignatureMalformed,
            format!("`{name}` is no structured-field dictionary: {error}"),
        )),
    }
}

fn labelled(label: &str, input: ListEntry, value: ListEntry) -> Result<Labelled, Refusal> {
    let ListEntry::InnerList(input) = input else {
        return Err(malformed(
            "a member of `Signature-Input` is no list in parentheses",
        ));
    };
    let signature = match value {
        ListEntry::Item(item) if item.params.is_empty() => match item.bare_item {
            BareItem::ByteSequence(bytes) => bytes,
            _ => {
                return Err(malformed(
                    "a member of `Signature` is no byte sequence (base64 between colons)",
                ));
            }
        },
        ListEntry::Item(_) => return Err(malformed("a member of `Signature` has parameters")),
        ListEntry::InnerList(_) => {
            return Err(malformed(
                "a member of `Signature` is no byte sequence (base64 between colons)",
            ));
        }
    };
    if signature.is_empty() || signature.len() > MAX_SIGNATURE_BYTES {
        return Err(malformed("a signature is empty or longer than 1,024 bytes"));
    }
    if input.items.len() > MAX_COMPONENTS {
        return Err(malformed("a signature covers more than 64 components"));
    }
    let says = Says::read(&input.params)?;
    Ok(Labelled {
        label: label.into(),
        input,
        signature,
        says,
    })
}

impl Says {
    fn read(parameters: &Parameters) -> Result<Self, Refusal> {
        if parameters.len() > MAX_PARAMETERS {
            return Err(malformed("a signature has more than 16 parameters"));
        }
        let mut says = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "created" => says.created = Some(seconds(value)?),
                "expires" => says.expires = Some(seconds(value)?),
                "nonce" => says.nonce = Some(text(value)?),
                "alg" => says.alg = Some(text(value)?),
                "keyid" => says.key_id = Some(text(value)?),
                "tag" => says.tag = Some(text(value)?),
                // Others mean nothing to us; they are signed all the same.
                _ => {}
            }
        }
        if let (Some(created), Some(expires)) = (says.created, says.expires)
            && expires < created
        {
            return Err(malformed("`expires` lies before `created`"));
        }
        Ok(says)
    }
}

fn seconds(value: &BareItem) -> Result<i64, Refusal> {
    value
        .as_integer()
        .map(i64::from)
        .filter(|&seconds| seconds >= 0)
        .ok_or_else(|| malformed("`created` and `expires` are whole seconds since 1970"))
}

fn text(value: &BareItem) -> Result<Box<str>, Refusal> {
    let text = value
        .as_string()
        .ok_or_else(|| malformed("`keyid`, `nonce`, `alg` and `tag` are strings in quotes"))?
        .as_str();
    if text.is_empty() || text.len() > MAX_PARAMETER_BYTES {
        return Err(malformed(
            "`keyid`, `nonce`, `alg` or `tag` is empty or longer than 512 bytes",
        ));
    }
    Ok(text.into())
}

impl Unverified {
    /// What the signatures say of themselves: labels and key ids, for an operator.
    pub fn candidates(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.signatures
            .iter()
            .map(|signature| (signature.label.as_ref(), signature.says.key_id.as_deref()))
    }

    /// Finds the signature that is meant for us: of those under the label and with the tag that the rules
    /// name, the one whose key is `known`. Signatures of others, such as a proxy's, are passed over.
    ///
    /// # Errors
    /// `credentials_unrecognised` (no such label), `signature_scope_mismatch` (no such tag),
    /// `signature_key_unknown`, `credentials_ambiguous` where two fit: nobody said which one counts. For the
    /// chosen one `signature_malformed` and `signature_component_refused`, if it covers what cannot be
    /// covered.
    pub fn choose(self, rules: &Rules, known: impl Fn(&str) -> bool) -> Result<Chosen, Refusal> {
        let mut left = self.signatures;
        if let Some(label) = &rules.label {
            left.retain(|signature| signature.label == *label);
            if left.is_empty() {
                return Err(Refusal::new(
                    Reason::CredentialsUnrecognised,
                    format!("no signature is labelled `{label}`"),
                ));
            }
        }
        if let Some(tag) = &rules.tag {
            left.retain(|signature| signature.says.tag.as_ref() == Some(tag));
            if left.is_empty() {
                return Err(Refusal::new(
                    Reason::SignatureScopeMismatch,
                    format!("no signature has the tag `{tag}`"),
                ));
            }
        }
        let named: Vec<Box<str>> = left
            .iter()
            .filter_map(|signature| signature.says.key_id.clone())
            .collect();
        left.retain(|signature| signature.says.key_id.as_deref().is_some_and(&known));
        let mut left = left.into_iter();
        match (left.next(), left.next()) {
            (Some(one), None) => Chosen::new(one),
            (Some(_), Some(_)) => Err(Refusal::new(
                Reason::CredentialsAmbiguous,
                "two signatures are by known keys; say by `label` or `tag` which one counts",
            )),
            (None, _) => Err(match named.as_slice() {
                [] => malformed("the signature names no key (`keyid`)"),
                [one] => Refusal::new(
                    Reason::SignatureKeyUnknown,
                    format!("no key is called `{one}`"),
                ),
                _ => Refusal::new(
                    Reason::SignatureKeyUnknown,
                    "none of the signatures is by a known key",
                ),
            }),
        }
    }
}

fn malformed(detail: &'static str) -> Refusal {
    Refusal::new(Reason::SignatureMalformed, detail)
}

#[cfg(test)]
mod tests;
