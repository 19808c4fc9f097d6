//! The three fields that both forms of a signature have: credential, signed headers, signature.

use crate::headers::is_header_name;
use crate::verdict::{Reason, Refusal};

use super::malformed;

/// The longest access key id, in bytes.
pub const MAX_ACCESS_KEY_ID_BYTES: usize = 128;

/// The longest name of a region or service, in bytes.
pub const MAX_SCOPE_WORD_BYTES: usize = 64;

/// How many headers one signature may name.
pub const MAX_SIGNED_HEADERS: usize = 64;

/// What ends every scope.
const TERMINATOR: &str = "aws4_request";

/// Day, region and service of a signature: what its key is derived from, and holds for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Eight digits: `20260131`.
    pub day: Box<str>,
    /// The region.
    pub region: Box<str>,
    /// The service.
    pub service: Box<str>,
}

impl Scope {
    /// As it stands in a credential and in the string to sign.
    pub fn text(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.day, self.region, self.service)
    }
}

/// Credential, signed headers and signature.
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) access_key_id: Box<str>,
    pub(super) scope: Scope,
    /// In ascending order, each once.
    pub(super) signed_headers: Vec<Box<str>>,
    pub(super) signature: [u8; 32],
}

impl Fields {
    /// Reads the values of the three fields.
    pub(super) fn parse(
        credential: &str,
        signed_headers: &str,
        signature: &str,
    ) -> Result<Self, Refusal> {
        let (access_key_id, scope) = parse_credential(credential)?;
        Ok(Self {
            access_key_id,
            scope,
            signed_headers: parse_signed_headers(signed_headers)?,
            signature: parse_signature(signature).ok_or_else(|| {
                malformed("the signature is not of 64 lower-case hexadecimal digits")
            })?,
        })
    }

    /// Whether the header of this lower-case name is signed.
    pub(super) fn covers(&self, name: &[u8]) -> bool {
        self.signed_headers
            .binary_search_by(|signed| signed.as_bytes().cmp(name))
            .is_ok()
    }
}

/// Whether this can be the id of a key: letters, digits and `-_.:@`, at most [`MAX_ACCESS_KEY_ID_BYTES`].
pub fn is_access_key_id(text: &str) -> bool {
    is_word(text, b"-_.:@", MAX_ACCESS_KEY_ID_BYTES)
}

/// Whether this can be a region or service: letters, digits and `-_.`, at most [`MAX_SCOPE_WORD_BYTES`].
pub fn is_scope_word(text: &str) -> bool {
    is_word(text, b"-_.", MAX_SCOPE_WORD_BYTES)
}

fn is_word(text: &str, others: &[u8], most: usize) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    !text.is_empty() && text.len() <= most && text.bytes().all(good)
}

fn parse_credential(text: &str) -> Result<(Box<str>, Scope), Refusal> {
    let mut parts = text.split('/');
    let (Some(id), Some(day), Some(region), Some(service), Some(terminator), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return Err(malformed(
            "the credential is not of the form `id/20260131/region/service/aws4_request`",
        ));
    };
    if !is_access_key_id(id) {
        return Err(malformed(
            "the access key id is empty, longer than 128 bytes, or holds characters that no id has",
        ));
    }
    if day.len() != 8 || !day.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed(
            "the day in the credential's scope is not of eight digits",
        ));
    }
    if !is_scope_word(region) || !is_scope_word(service) {
        return Err(malformed(
            "region or service in the credential's scope is empty, longer than 64 bytes, or holds characters that no name has",
        ));
    }
    if terminator != TERMINATOR {
        return Err(malformed(
            "the credential's scope does not end in `aws4_request`",
        ));
    }
    let scope = Scope {
        day: day.into(),
        region: region.into(),
        service: service.into(),
    };
    Ok((id.into(), scope))
}

fn parse_signed_headers(text: &str) -> Result<Vec<Box<str>>, Refusal> {
    let mut names: Vec<Box<str>> = Vec::new();
    for name in text.split(';') {
        if names.len() == MAX_SIGNED_HEADERS {
            return Err(malformed("more than 64 signed headers"));
        }
        if !is_header_name(name) {
            return Err(malformed(
                "the signed headers are not lower-case names with `;` between them",
            ));
        }
        if matches!(name, "authorization" | "proxy-authorization") {
            return Err(Refusal::new(
                Reason::SignatureComponentRefused,
                "the signature covers the header that holds signatures",
            ));
        }
        match names.last().map(|last| last.as_ref().cmp(name)) {
            None | Some(std::cmp::Ordering::Less) => names.push(name.into()),
            Some(std::cmp::Ordering::Equal) => {
                return Err(malformed("a header is signed twice"));
            }
            Some(std::cmp::Ordering::Greater) => {
                return Err(malformed("the signed headers are not in ascending order"));
            }
        }
    }
    Ok(names)
}

/// 64 lower-case hexadecimal digits: one signature has one spelling.
pub(super) fn parse_signature(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = lower_hex(*high)? << 4 | lower_hex(*low)?;
    }
    Some(bytes)
}

const fn lower_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, is_access_key_id};

    const CREDENTIAL: &str = "AKID/20260131/eu-central-1/orders/aws4_request";
    const SIGNATURE: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    fn detail(credential: &str, headers: &str, signature: &str) -> String {
        match Fields::parse(credential, headers, signature) {
            Ok(_) => "fine".to_owned(),
            Err(refusal) => refusal.detail.into_owned(),
        }
    }

    #[test]
    fn reads_the_fields() {
        let fields = Fields::parse(CREDENTIAL, "host;x-amz-date", SIGNATURE).unwrap();
        assert_eq!(fields.access_key_id.as_ref(), "AKID");
        assert_eq!(
            fields.scope.text(),
            "20260131/eu-central-1/orders/aws4_request"
        );
        assert!(fields.covers(b"host") && fields.covers(b"x-amz-date"));
        assert!(!fields.covers(b"x-amz") && !fields.covers(b""));
        assert_eq!(fields.signature[0], 0x5f);
    }

    #[test]
    fn refuses_other_credentials() {
        let long = format!("{}/20260131/r/s/aws4_request", "a".repeat(129));
        for (credential, text) in [
            ("", "is not of the form"),
            ("AKID", "is not of the form"),
            ("AKID/20260131/r/aws4_request", "is not of the form"),
            ("a/AKID/20260131/r/s/aws4_request", "is not of the form"),
            ("AKID/20260131/r/s/aws4_request/", "is not of the form"),
            ("/20260131/r/s/aws4_request", "access key id"),
            ("A KID/20260131/r/s/aws4_request", "access key id"),
            ("A+KID/20260131/r/s/aws4_request", "access key id"),
            ("AK\u{e9}/20260131/r/s/aws4_request", "access key id"),
            (long.as_str(), "access key id"),
            ("AKID/2026131/r/s/aws4_request", "eight digits"),
            ("AKID/202601311/r/s/aws4_request", "eight digits"),
            ("AKID/2026-1-1/r/s/aws4_request", "eight digits"),
            ("AKID/20260131//s/aws4_request", "region or service"),
            ("AKID/20260131/r//aws4_request", "region or service"),
            ("AKID/20260131/*/s/aws4_request", "region or service"),
            ("AKID/20260131/r/s/aws4_requests", "does not end in"),
            ("AKID/20260131/r/s/AWS4_REQUEST", "does not end in"),
        ] {
            let detail = detail(credential, "host", SIGNATURE);
            assert!(detail.contains(text), "{credential}: {detail}");
        }
    }

    #[test]
    fn refuses_other_lists_of_headers() {
        let many: Vec<String> = (10..75).map(|number| format!("x-{number}")).collect();
        let many = many.join(";");
        for (headers, text) in [
            ("", "lower-case names"),
            ("Host", "lower-case names"),
            (":authority", "lower-case names"),
            ("host;", "lower-case names"),
            (";host", "lower-case names"),
            ("host; x-amz-date", "lower-case names"),
            ("host,x-amz-date", "lower-case names"),
            ("host;host", "signed twice"),
            ("x-amz-date;host", "ascending order"),
            ("host;x-amz-date;x-a", "ascending order"),
            ("authorization;host", "holds signatures"),
            (many.as_str(), "more than 64"),
        ] {
            let detail = detail(CREDENTIAL, headers, SIGNATURE);
            assert!(detail.contains(text), "{headers}: {detail}");
        }
    }

    #[test]
    fn refuses_other_spellings_of_a_signature() {
        let upper = SIGNATURE.to_uppercase();
        let shorter = SIGNATURE.replacen('5', "", 1);
        let longer = format!("{SIGNATURE}00");
        let other = SIGNATURE.replacen('5', "g", 1);
        let wide = "é".repeat(32);
        for signature in ["", &upper, &longer, &shorter, &other, &wide] {
            let detail = detail(CREDENTIAL, "host", signature);
            assert!(detail.contains("64 lower-case"), "{signature}: {detail}");
        }
    }

    #[test]
    fn knows_an_access_key_id() {
        for (id, good) in [
            ("AKIDEXAMPLE", true),
            ("acme:billing-1@test_x.y", true),
            ("", false),
            ("a/b", false),
            ("a,b", false),
            ("a=b", false),
            ("a b", false),
        ] {
            assert_eq!(is_access_key_id(id), good, "{id}");
        }
    }
}
