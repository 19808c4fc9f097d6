//! The parameters of a presigned URL.

use crate::request::target::form_decode;
use crate::verdict::{Reason, Refusal};

use super::date::Time;
use super::encoding::decoded;
use super::scope::Fields;
use super::{ALGORITHM, MAX_EXPIRES_SECONDS, malformed};

/// The parameters that make a presigned URL, as they are spelt. `SIGNATURE` is the one that is not
/// signed.
pub const CREDENTIAL_PARAMETERS: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    SIGNATURE,
    TOKEN,
];

/// The most parameters that a signed query may have.
pub const MAX_PARAMETERS: usize = 1_000;

/// The parameter of the signature itself.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";

const TOKEN: &str = "X-Amz-Security-Token";

/// Where signers put the digest of the body when they move `x-amz-…` headers into the query.
const CONTENT_SHA256: &str = "X-Amz-Content-Sha256";

/// What a presigned URL states.
pub(super) struct Presigned {
    pub(super) fields: Fields,
    pub(super) time: Time,
    /// In seconds: 1 to [`MAX_EXPIRES_SECONDS`].
    pub(super) expires: u32,
}

/// A query's parameters, undecoded, in order: name, and value if there is a `=`.
pub(super) fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').map(|piece| {
        let equals = piece.iter().position(|&byte| byte == b'=');
        let (name, rest) = piece
            .split_at_checked(equals.unwrap_or(piece.len()))
            .unwrap_or_default();
        (name, rest.get(1..).unwrap_or_default())
    })
}

/// Reads the parameters of a presigned URL; `None` if the query has none of them.
pub(super) fn read(query: Option<&[u8]>) -> Result<Option<Presigned>, Refusal> {
    let mut values: [Option<&[u8]>; 6] = [None; 6];
    for (name, value) in parameters(query.unwrap_or_default()) {
        let Some((slot, known)) = values
            .iter_mut()
            .zip(CREDENTIAL_PARAMETERS)
            .find(|(_, known)| is_named(name, known))
        else {
            continue;
        };
        if name != known.as_bytes() {
            return Err(malformed(format!(
                "the query spells `{known}` in another way"
            )));
        }
        if slot.replace(value).is_some() {
            return Err(malformed(format!("the query holds `{known}` twice")));
        }
    }
    if values.iter().all(Option::is_none) {
        return Ok(None);
    }
    let missing = values
        .iter()
        .zip(CREDENTIAL_PARAMETERS)
        .find(|(value, _)| value.is_none());
    if let Some((_, name)) = missing {
        return Err(malformed(format!(
            "the query holds parameters of a presigned URL, and no `{name}`"
        )));
    }
    let [
        algorithm,
        credential,
        date,
        expires,
        signed_headers,
        signature,
    ] = values.map(Option::unwrap_or_default);
    if algorithm != ALGORITHM.as_bytes() {
        return Err(Refusal::new(
            Reason::SignatureAlgorithmRefused,
            "`X-Amz-Algorithm` is not `AWS4-HMAC-SHA256`",
        ));
    }
    let fields = Fields::parse(
        &text(credential, "X-Amz-Credential")?,
        &text(signed_headers, "X-Amz-SignedHeaders")?,
        &text(signature, SIGNATURE)?,
    )?;
    let time = Time::basic(text(date, "X-Amz-Date")?.as_bytes())
        .ok_or_else(|| malformed("`X-Amz-Date` is not of the form `20260131T235959Z`"))?;
    let expires = parse_expires(expires)
        .ok_or_else(|| malformed("`X-Amz-Expires` is not a whole number from 1 to 604800"))?;
    Ok(Some(Presigned {
        fields,
        time,
        expires,
    }))
}

/// Whether the query holds a session token.
pub(super) fn has_token(query: Option<&[u8]>) -> bool {
    parameters(query.unwrap_or_default()).any(|(name, _)| is_named(name, TOKEN))
}

/// The digest of the body that the query states, decoded.
pub(super) fn content_sha256(query: Option<&[u8]>) -> Result<Option<Vec<u8>>, Refusal> {
    let mut found =
        parameters(query.unwrap_or_default()).filter(|(name, _)| is_named(name, CONTENT_SHA256));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some((_, value)), None) => {
            Ok(Some(decoded(value).map_err(|_| {
                malformed("`X-Amz-Content-Sha256` cannot be decoded")
            })?))
        }
        (Some(_), Some(_)) => Err(malformed("the query holds `X-Amz-Content-Sha256` twice")),
    }
}

/// Whether an undecoded name means `known`, in whatever spelling.
fn is_named(name: &[u8], known: &str) -> bool {
    form_decode(name).eq_ignore_ascii_case(known.as_bytes())
}

fn text(value: &[u8], name: &'static str) -> Result<String, Refusal> {
    decoded(value)
        .ok()
        .and_then(|value| String::from_utf8(value).ok())
        .ok_or_else(|| malformed(format!("`{name}` cannot be decoded")))
}

fn parse_expires(value: &[u8]) -> Option<u32> {
    let plain = !value.starts_with(b"0") && value.iter().all(u8::is_ascii_digit);
    let seconds: u32 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (plain && seconds <= MAX_EXPIRES_SECONDS).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::{content_sha256, has_token, parameters, parse_expires, read};
    use crate::verdict::Reason;

    const GOOD: &str = "a=1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260131%2Fr%2Fs%2Faws4_request&X-Amz-Date=20260131T120000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    fn outcome(query: &str) -> Result<bool, Reason> {
        match read(Some(query.as_bytes())) {
            Ok(presigned) => Ok(presigned.is_some()),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn reads_a_presigned_url() {
        let presigned = read(Some(GOOD.as_bytes())).unwrap().unwrap();
        assert_eq!(presigned.fields.access_key_id.as_ref(), "AKID");
        assert_eq!(presigned.time.text(), "20260131T120000Z");
        assert_eq!(presigned.expires, 300);
        assert_eq!(outcome(&GOOD.replace("%2F", "/")), Ok(true));
        assert_eq!(outcome(&GOOD.replace("%2F", "%2f")), Ok(true));
    }

    #[test]
    fn leaves_other_queries_alone() {
        assert!(read(None).unwrap().is_none());
        for other in [
            "",
            "a=1",
            "&&",
            "X-Amz-Foo=1",
            "x-id=GetObject",
            "Signature=1",
        ] {
            assert_eq!(outcome(other), Ok(false), "{other}");
        }
    }

    #[test]
    fn refuses_what_is_missing_twice_or_spelt_otherwise() {
        for name in super::CREDENTIAL_PARAMETERS.iter().take(6) {
            let without: Vec<&str> = GOOD
                .split('&')
                .filter(|piece| !piece.starts_with(name))
                .collect();
            let piece = GOOD
                .split('&')
                .find(|piece| piece.starts_with(name))
                .unwrap();
            let twice = format!("{GOOD}&{piece}");
            let lower = GOOD.replace(name, &name.to_lowercase());
            let escaped = GOOD.replace(name, &name.replacen('-', "%2D", 1));
            let twice_lower = format!("{GOOD}&{}", piece.to_lowercase());
            let empty = format!("{}&{name}=", without.join("&"));
            let bare = format!("{}&{name}", without.join("&"));
            let alone = format!("{name}=x");
            for bad in [
                without.join("&"),
                twice,
                lower,
                escaped,
                twice_lower,
                empty,
                bare,
                alone,
            ] {
                let reason = outcome(&bad).unwrap_err();
                assert!(
                    reason == Reason::SignatureMalformed
                        || reason == Reason::SignatureAlgorithmRefused,
                    "{bad}: {reason:?}"
                );
            }
        }
    }

    #[test]
    fn refuses_values_that_cannot_be_read() {
        for (from, to, wanted) in [
            (
                "HMAC-SHA256",
                "ECDSA-P256-SHA256",
                Reason::SignatureAlgorithmRefused,
            ),
            ("AWS4-HMAC", "aws4-hmac", Reason::SignatureAlgorithmRefused),
            ("AKID%2F", "AK%zz", Reason::SignatureMalformed),
            ("AKID%2F", "AK+ID%2F", Reason::SignatureMalformed),
            ("AKID%2F", "AK%FF%2F", Reason::SignatureMalformed),
            ("AKID%2F", "AKID%252F", Reason::SignatureMalformed),
            (
                "20260131T120000Z",
                "20260131T120060Z",
                Reason::SignatureMalformed,
            ),
            ("20260131T120000Z", "20260131", Reason::SignatureMalformed),
            ("Expires=300", "Expires=0", Reason::SignatureMalformed),
            ("Expires=300", "Expires=604801", Reason::SignatureMalformed),
            (
                "SignedHeaders=host",
                "SignedHeaders=Host",
                Reason::SignatureMalformed,
            ),
            ("bf31", "BF31", Reason::SignatureMalformed),
            ("bf31", "bf3", Reason::SignatureMalformed),
        ] {
            assert_eq!(outcome(&GOOD.replace(from, to)), Err(wanted), "{from} {to}");
        }
    }

    #[test]
    fn reads_expires_in_one_spelling() {
        for (value, wanted) in [
            ("1", Some(1)),
            ("604800", Some(604_800)),
            ("0", None),
            ("00", None),
            ("01", None),
            ("604801", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            (" 1", None),
            ("", None),
        ] {
            assert_eq!(parse_expires(value.as_bytes()), wanted, "{value}");
        }
    }

    #[test]
    fn finds_tokens_and_digests_in_any_spelling() {
        assert!(has_token(Some(b"a=1&X-Amz-Security-Token=x")));
        assert!(has_token(Some(b"x-amz-security-token")));
        assert!(has_token(Some(b"X-Amz-Security%2DToken=x")));
        assert!(!has_token(Some(b"X-Amz-Security-Tokens=x")) && !has_token(None));
        let digest = |query: &str| content_sha256(Some(query.as_bytes())).ok();
        assert_eq!(digest("a=1"), Some(None));
        assert_eq!(
            digest("x-amz-content-sha256=%41b"),
            Some(Some(b"Ab".to_vec()))
        );
        assert_eq!(
            digest("X-Amz-Content-Sha256=a&x-amz-content-sha256=a"),
            None
        );
        assert_eq!(digest("X-Amz-Content-Sha256=%4"), None);
    }

    #[test]
    fn splits_at_the_first_equals_sign() {
        let split: Vec<_> = parameters(b"a=b=c&d&=e&&f=").collect();
        let wanted: [(&[u8], &[u8]); 5] = [
            (b"a", b"b=c"),
            (b"d", b""),
            (b"", b"e"),
            (b"", b""),
            (b"f", b""),
        ];
        assert_eq!(split, wanted);
    }
}
