//! `Content-Digest` (RFC 9530): what ties a signature to the body.

use aws_lc_rs::digest::{self, SHA256, SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::ListEntry;

use crate::authn::http_signature::structured;
use crate::headers::Headers;
use crate::verdict::{Reason, Refusal};

/// The header's name.
pub const CONTENT_DIGEST: &str = "content-digest";

/// The longest header that is read, in bytes. The two algorithms together take 160.
pub const MAX_DIGEST_BYTES: usize = 4 * 1024;

/// The header's value for a body, with SHA-256.
pub fn content_digest(body: &[u8]) -> String {
    format!(
        "sha-256=:{}:",
        STANDARD.encode(digest::digest(&SHA256, body))
    )
}

/// Whether the request's `Content-Digest` is that of `body`.
///
/// SHA-256 and SHA-512 count; where both are given, both must be right. Other algorithms are passed over
/// beside one of these, and never count: those that the registry calls deprecated (`md5`, `sha`, `crc32c`, …)
/// prove nothing.
///
/// # Errors
/// `body_digest_mismatch`; `signature_component_refused` for a header that cannot be read or that names no
/// algorithm that counts.
pub fn verify(headers: &Headers, body: &[u8]) -> Result<(), Refusal> {
    let lines: Vec<&[u8]> = headers.all(CONTENT_DIGEST).collect();
    let text = lines.join(&b", "[..]);
    if lines.is_empty() {
        return Err(refused("the request has no `Content-Digest`".into()));
    }
    if text.len() > MAX_DIGEST_BYTES {
        return Err(refused("`Content-Digest` is longer than 4 KiB".into()));
    }
    let dictionary = structured::dictionary(&text).map_err(|error| {
        refused(format!(
            "`Content-Digest` is no structured-field dictionary: {error}"
        ))
    })?;
    let mut counted = false;
    for (name, algorithm) in [("sha-256", &SHA256), ("sha-512", &SHA512)] {
        let Some(entry) = dictionary.get(name) else {
            continue;
        };
        let said = match entry {
            ListEntry::Item(item) => item.bare_item.as_byte_sequence(),
            ListEntry::InnerList(_) => None,
        };
        let Some(said) = said else {
            return Err(refused(format!(
                "`{name}` of `Content-Digest` is no byte sequence (base64 between colons)"
            )));
        };
        if said != digest::digest(algorithm, body).as_ref() {
            return Err(Refusal::new(
                Reason::BodyDigestMismatch,
                format!(
                    "`{name}` of `Content-Digest` is not that of the {} bytes of the body",
                    body.len()
                ),
            ));
        }
        counted = true;
    }
    if counted {
        Ok(())
    } else {
        Err(refused(
            "`Content-Digest` has neither `sha-256` nor `sha-512`".into(),
        ))
    }
}

fn refused(detail: String) -> Refusal {
    Refusal::new(Reason::SignatureComponentRefused, detail)
}

#[cfg(test)]
mod tests {
    use super::{content_digest, verify};
    use crate::headers::Headers;
    use crate::verdict::Reason;

    const HELLO: &[u8] = b"{\"hello\": \"world\"}\n";
    const SHA256: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    const SHA512: &str = "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:";

    fn outcome(lines: &[&str], body: &[u8]) -> Option<Reason> {
        let headers = Headers::new(lines.iter().map(|line| ("content-digest", *line)));
        verify(&headers, body).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn makes_the_digests_of_rfc_9530_appendix_b() {
        for (body, digest) in [
            (HELLO, SHA256),
            (
                b"",
                "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            ),
            (
                b"\"world\"}\n",
                "sha-256=:jjcgBDWNAtbYUXI37CVG3gRuGOAjaaDRGpIUFsdyepQ=:",
            ),
        ] {
            assert_eq!(content_digest(body), digest);
            assert_eq!(outcome(&[digest], body), None);
        }
    }

    #[test]
    fn takes_one_algorithm_or_both() {
        let joined = format!("{SHA256},{SHA512}");
        let with_others = format!("md5=:AAAA:, {SHA512}, id-sha-256=tok;a=b");
        for lines in [
            vec![SHA256],
            vec![SHA512],
            vec![SHA256, SHA512],
            vec![&*joined],
            vec![&*with_others],
        ] {
            assert_eq!(outcome(&lines, HELLO), None, "{lines:?}");
        }
    }

    #[test]
    fn refuses_another_body_and_a_half_truth() {
        let half = format!("{SHA256}, sha-512=:{}:", "A".repeat(86) + "==");
        for lines in [
            vec![SHA256],
            vec![SHA512],
            vec!["sha-256=::"],
            vec!["sha-256=:RK/0:"],
            vec![&*half],
        ] {
            let body = if lines[0] == half { HELLO } else { b"{}" };
            assert_eq!(
                outcome(&lines, body),
                Some(Reason::BodyDigestMismatch),
                "{lines:?}"
            );
        }
        // RFC 9530 section 2 prints a pair of which only one is right.
        let pair = format!("sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:, {SHA512}");
        assert_eq!(outcome(&[&pair], HELLO), Some(Reason::BodyDigestMismatch));
    }

    #[test]
    fn refuses_what_proves_nothing() {
        let long = format!("{SHA256}, x=:{}:", "A".repeat(5000));
        for lines in [
            vec![],
            vec![""],
            vec!["md5=:XrY7u+Ae7tCTyyK7j1rNww==:"],
            vec!["sha=:AAAA:, crc32c=:AAAA:"],
            vec!["sha-256"],
            vec!["sha-256=RK"],
            vec!["sha-256=\"RK\""],
            vec!["sha-256=(:AAAA:)"],
            vec![&SHA256.replace(':', "")],
            vec![&SHA256.to_uppercase()],
            vec![SHA256, SHA256],
            // RFC 9530 appendices B.5 and B.6 print one padding too many.
            vec!["sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg==:"],
            vec![&long],
        ] {
            assert_eq!(
                outcome(&lines, HELLO),
                Some(Reason::SignatureComponentRefused),
                "{lines:?}"
            );
        }
    }
}
