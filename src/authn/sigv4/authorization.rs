//! `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.

use crate::headers::Headers;
use crate::verdict::{Reason, Refusal};

use super::scope::Fields;
use super::{ALGORITHM, MAX_AUTHORIZATION_BYTES, malformed};

/// What the schemes of this family begin with.
const FAMILY: &[u8] = b"AWS4-";

/// Reads the fields out of the `Authorization` header; `None` if there is none, or one of another scheme.
pub(super) fn read(headers: &Headers) -> Result<Option<Fields>, Refusal> {
    let Some(line) = headers.all("authorization").find(|line| is_ours(line)) else {
        return Ok(None);
    };
    if headers.all("authorization").nth(1).is_some() {
        return Err(several());
    }
    let line = line.trim_ascii();
    if line.len() > MAX_AUTHORIZATION_BYTES {
        return Err(malformed("`Authorization` is longer than 8,192 bytes"));
    }
    let line = std::str::from_utf8(line)
        .map_err(|_| malformed("`Authorization` holds bytes that are no text"))?;
    let (scheme, parameters) = line.split_once(' ').unwrap_or((line, ""));
    if !scheme.eq_ignore_ascii_case(ALGORITHM) {
        return Err(Refusal::new(
            Reason::SignatureAlgorithmRefused,
            "the algorithm is not `AWS4-HMAC-SHA256`",
        ));
    }
    parse(parameters).map(Some)
}

/// Whether a value is of a scheme of this family (RFC 9110 section 11.1: case does not matter).
fn is_ours(line: &[u8]) -> bool {
    line.trim_ascii_start()
        .get(..FAMILY.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(FAMILY))
}

fn parse(parameters: &str) -> Result<Fields, Refusal> {
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in parameters.split(',') {
        let part = part.trim_matches([' ', '\t']);
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            "" => return Err(malformed("`Authorization` holds an empty parameter")),
            // Envoy joins lines of one name by a comma; what follows one is then the next line's scheme.
            name if name.contains([' ', '\t']) => return Err(several()),
            _ => return Err(malformed("`Authorization` holds an unknown parameter")),
        };
        if slot.replace(value).is_some() {
            return Err(malformed("`Authorization` holds a parameter twice"));
        }
    }
    let (Some(credential), Some(signed_headers), Some(signature)) =
        (credential, signed_headers, signature)
    else {
        return Err(malformed(
            "`Authorization` lacks one of `Credential`, `SignedHeaders` and `Signature`",
        ));
    };
    Fields::parse(credential, signed_headers, signature)
}

fn several() -> Refusal {
    Refusal::new(
        Reason::CredentialsAmbiguous,
        "more than one credential in `Authorization`",
    )
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::headers::Headers;
    use crate::verdict::Reason;

    const GOOD: &str = "AWS4-HMAC-SHA256 Credential=AKID/20260131/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    fn outcome(lines: &[&str]) -> Result<bool, Reason> {
        let headers = Headers::new(lines.iter().map(|line| ("authorization", line)));
        match read(&headers) {
            Ok(fields) => Ok(fields.is_some()),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn leaves_other_schemes_alone() {
        assert_eq!(outcome(&[]), Ok(false));
        for other in [
            "Bearer x",
            "AWS AKID:sig",
            "Basic eDp5",
            "",
            "AWS4",
            "x AWS4-HMAC-SHA256",
        ] {
            assert_eq!(outcome(&[other]), Ok(false), "{other}");
        }
    }

    #[test]
    fn reads_what_real_signers_write() {
        let tight = GOOD.replace(", ", ",");
        let wide = GOOD.replace(", ", " , \t");
        let turned = "AWS4-HMAC-SHA256  Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31,Credential=AKID/20260131/r/s/aws4_request,SignedHeaders=host";
        let lower = GOOD.replace("AWS4-HMAC-SHA256", "aws4-hmac-sha256");
        for good in [GOOD, &tight, &wide, turned, &lower] {
            assert_eq!(outcome(&[good]), Ok(true), "{good}");
        }
    }

    #[test]
    fn refuses_other_algorithms_of_the_family() {
        for scheme in [
            "AWS4-ECDSA-P256-SHA256",
            "AWS4-HMAC-SHA1",
            "AWS4-",
            "AWS4-HMAC-SHA256,",
        ] {
            let line = GOOD.replace("AWS4-HMAC-SHA256", scheme);
            assert_eq!(
                outcome(&[&line]),
                Err(Reason::SignatureAlgorithmRefused),
                "{scheme}"
            );
        }
    }

    #[test]
    fn refuses_two_credentials() {
        let joined = format!("{GOOD},{GOOD}");
        let other = format!("{GOOD},Bearer x");
        let other_with_value = format!("{GOOD}, Digest a=b");
        for lines in [
            &[GOOD, GOOD][..],
            &[GOOD, "Bearer x"],
            &["Bearer x", GOOD],
            &[&joined],
            &[&other],
            &[&other_with_value],
        ] {
            assert_eq!(
                outcome(lines),
                Err(Reason::CredentialsAmbiguous),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn refuses_parameters_that_are_missing_unknown_twice_or_empty() {
        let signature = GOOD.rsplit(", ").next().unwrap();
        let credential = "Credential=AKID/20260131/r/s/aws4_request";
        for bad in [
            "AWS4-HMAC-SHA256".to_owned(),
            "AWS4-HMAC-SHA256 ".to_owned(),
            GOOD.replace(", SignedHeaders=host;x-amz-date", ""),
            GOOD.replace(&format!(", {signature}"), ""),
            GOOD.replace(&format!(" {credential},"), ""),
            GOOD.replace("SignedHeaders=", "signedheaders="),
            GOOD.replace("SignedHeaders=host;x-amz-date", "SignedHeaders="),
            GOOD.replace("SignedHeaders=host;x-amz-date", "SignedHeaders"),
            format!("{GOOD}, {signature}"),
            format!("{GOOD}, {credential}"),
            format!("{GOOD}, Nonce=1"),
            format!("{GOOD},"),
            format!("{GOOD}\u{e9}"),
            format!("{GOOD}{}", " ".repeat(9_000) + "x"),
            GOOD.replace("Signature=", "Signature=\""),
        ] {
            assert_eq!(outcome(&[&bad]), Err(Reason::SignatureMalformed), "{bad}");
        }
        let headers = Headers::new([(
            "authorization",
            [b"AWS4-HMAC-SHA256 ", &[0xff; 9][..]].concat(),
        )]);
        assert!(read(&headers).is_err());
    }
}
