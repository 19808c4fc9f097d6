//! Digests of the body in headers: `Content-Digest` (RFC 9530) and `Digest` (RFC 3230), which came before it.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::verdict::{Reason, Refusal};

use super::{refused, shown};

/// How many digests one header may hold.
const MAX_DIGESTS: usize = 8;

/// Whether a header of this name holds digests of the body.
pub(super) fn is_digest_header(name: &str) -> bool {
    matches!(name, "content-digest" | "digest")
}

/// Compares the value of a digest header with the body. Every SHA-256 and SHA-512 in it has to match, and
/// there has to be one; other algorithms prove nothing and are passed over.
///
/// # Errors
/// `signature_component_refused` for a value that cannot be read or proves nothing,
/// `body_digest_mismatch`.
pub(super) fn check(name: &str, value: &[u8], body: &[u8]) -> Result<(), Refusal> {
    let unreadable = || refused(format!("the signed header `{name}` is no list of digests"));
    let text = std::str::from_utf8(value).map_err(|_| unreadable())?;
    let structured = name == "content-digest";
    let mut seen: Vec<String> = Vec::new();
    let mut proven = false;
    for member in text.split(',') {
        let (algorithm, value) = member
            .trim_matches([' ', '\t'])
            .split_once('=')
            .ok_or_else(unreadable)?;
        // RFC 3230 compares names without case; keys of structured fields are in lower case.
        let lower = algorithm.to_ascii_lowercase();
        if algorithm.is_empty() || (structured && lower != algorithm) {
            return Err(unreadable());
        }
        if seen.contains(&lower) {
            return Err(refused(format!(
                "the signed header `{name}` names `{}` twice",
                shown(&lower)
            )));
        }
        if seen.len() == MAX_DIGESTS {
            return Err(refused(format!(
                "the signed header `{name}` holds more than 8 digests"
            )));
        }
        let function = match lower.as_str() {
            "sha-256" => Some(&digest::SHA256),
            "sha-512" => Some(&digest::SHA512),
            _ => None,
        };
        seen.push(lower);
        let Some(function) = function else { continue };
        let value = match structured {
            true => value
                .strip_prefix(':')
                .and_then(|value| value.strip_suffix(':'))
                .ok_or_else(unreadable)?,
            false => value,
        };
        let stated = STANDARD.decode(value).map_err(|_| unreadable())?;
        // Nothing here is secret: the client states a digest of what it sent.
        if stated != digest::digest(function, body).as_ref() {
            return Err(Refusal::new(
                Reason::BodyDigestMismatch,
                format!("the body is another than the signed header `{name}` says"),
            ));
        }
        proven = true;
    }
    if !proven {
        return Err(refused(format!(
            "the signed header `{name}` holds neither a SHA-256 nor a SHA-512"
        )));
    }
    Ok(())
}

/// `SHA-256=…` of RFC 3230.
pub(super) fn write(body: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, body);
    format!("SHA-256={}", STANDARD.encode(digest.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::verdict::Reason;

    /// RFC 9530 appendix B and RFC 9421 appendix B.2.
    const HELLO: &[u8] = b"{\"hello\": \"world\"}";
    const SHA_256: &str = "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=";
    const SHA_512: &str =
        "WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==";

    #[test]
    fn accepts_the_vectors_of_the_standards() {
        for (name, value) in [
            ("content-digest", format!("sha-256=:{SHA_256}:")),
            ("content-digest", format!("sha-512=:{SHA_512}:")),
            (
                "content-digest",
                format!("sha-256=:{SHA_256}:,\tsha-512=:{SHA_512}:"),
            ),
            ("content-digest", format!("md5=:AAAA:, sha-256=:{SHA_256}:")),
            ("digest", format!("SHA-256={SHA_256}")),
            (
                "digest",
                format!("sha-256={SHA_256},SHA-512={SHA_512},unixsum=30637"),
            ),
        ] {
            assert!(check(name, value.as_bytes(), HELLO).is_ok(), "{value}");
            let refusal = check(name, value.as_bytes(), b"another").unwrap_err();
            assert_eq!(refusal.reason, Reason::BodyDigestMismatch, "{value}");
        }
    }

    #[test]
    fn refuses_what_proves_nothing() {
        for (name, value) in [
            ("content-digest", String::new()),
            ("content-digest", "sha-256".into()),
            ("content-digest", "md5=:AAAA:".into()),
            ("content-digest", format!("sha-256={SHA_256}")),
            ("content-digest", format!("SHA-256=:{SHA_256}:")),
            ("content-digest", format!("sha-256=:{SHA_256}:;x=1")),
            (
                "content-digest",
                format!("sha-256=:{SHA_256}:,sha-256=:{SHA_256}:"),
            ),
            ("content-digest", format!("sha-256=:{SHA_256}:,")),
            (
                "content-digest",
                format!("sha-256=:{}:", SHA_256.trim_end_matches('=')),
            ),
            ("digest", format!("SHA-256=:{SHA_256}:")),
            ("digest", "SHA=thvDyvhfIqlvFe+A9MYgxAfm1q5=".into()),
            ("digest", format!("SHA-256={SHA_256},sha-256={SHA_256}")),
            (
                "digest",
                format!("a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,SHA-256={SHA_256}"),
            ),
        ] {
            let refusal = check(name, value.as_bytes(), HELLO).unwrap_err();
            assert_eq!(refusal.reason, Reason::SignatureComponentRefused, "{value}");
        }
        assert!(check("digest", b"\xff", HELLO).is_err());
    }

    #[test]
    fn refuses_where_one_of_two_digests_is_wrong() {
        let value = format!("sha-256=:{SHA_256}:, sha-512=:{SHA_512}:");
        let wrong = value.replace("WZDP", "AAAA");
        let refusal = check("content-digest", wrong.as_bytes(), HELLO).unwrap_err();
        assert_eq!(refusal.reason, Reason::BodyDigestMismatch);
    }
}
