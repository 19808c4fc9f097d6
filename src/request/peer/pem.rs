//! Certificates in text form (RFC 7468), as strictly as its section 3 has it ("stricttextualmsg"): what two
//! readers could cut differently is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::request::peer::{MAX_CERTIFICATE_BYTES, MAX_CHAIN};

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// The longest line of base 64. RFC 7468 says 64; 76 is what MIME writers produce.
const MAX_LINE_BYTES: usize = 76;

/// Why a text is no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPem {
    /// No block at all.
    #[error("it is empty")]
    Empty,
    /// Anything but a block where one has to begin.
    #[error("there is text outside `-----BEGIN CERTIFICATE-----` and its end")]
    Outside,
    /// No end, or another one.
    #[error("`-----END CERTIFICATE-----` is missing")]
    NoEnd,
    /// Not the canonical form of RFC 4648 section 4.
    #[error("its base 64 is broken")]
    Base64,
    /// More than [`MAX_CERTIFICATE_BYTES`].
    #[error("it is larger than 16 KiB")]
    TooLarge,
    /// More than [`MAX_CHAIN`].
    #[error("there are more than 8 certificates")]
    TooMany,
}

/// The certificates of a text, in DER and in order; at least one.
///
/// # Errors
/// [`BadPem`].
pub fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, BadPem> {
    let mut lines = text
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        // What follows the last line break.
        if line.is_empty() && lines.peek().is_none() {
            break;
        }
        if line != BEGIN {
            return Err(BadPem::Outside);
        }
        if found.len() == MAX_CHAIN {
            return Err(BadPem::TooMany);
        }
        let mut digits = Vec::new();
        loop {
            let line = lines.next().ok_or(BadPem::NoEnd)?;
            if line == END {
                break;
            }
            if line.starts_with(b"-") {
                return Err(BadPem::NoEnd);
            }
            if line.is_empty() || line.len() > MAX_LINE_BYTES {
                return Err(BadPem::Base64);
            }
            if digits.len() > MAX_CERTIFICATE_BYTES * 4 / 3 {
                return Err(BadPem::TooLarge);
            }
            digits.extend_from_slice(line);
        }
        let der = STANDARD.decode(&digits).map_err(|_| BadPem::Base64)?;
        match der.len() {
            0 => return Err(BadPem::Base64),
            1..=MAX_CERTIFICATE_BYTES => found.push(der),
            _ => return Err(BadPem::TooLarge),
        }
    }
    if found.is_empty() {
        return Err(BadPem::Empty);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{BadPem, certificates};

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";

    #[test]
    fn reads_one_and_several() {
        let crlf = ONE.replace('\n', "\r\n");
        let folded = ONE.replace("AAEC", "AA\nEC");
        for (text, count) in [
            (ONE.to_owned(), 1),
            (ONE.trim_end().to_owned(), 1),
            (crlf, 1),
            (folded, 1),
            (ONE.repeat(8), 8),
        ] {
            let read = certificates(text.as_bytes()).unwrap();
            assert_eq!(read, vec![vec![0, 1, 2]; count], "{text}");
        }
    }

    #[test]
    fn refuses_broken_text() {
        for (text, why) in [
            (String::new(), BadPem::Empty),
            ("\n".to_owned(), BadPem::Outside),
            ("AAEC".to_owned(), BadPem::Outside),
            (format!(" {ONE}"), BadPem::Outside),
            (format!("subject=/CN=x\n{ONE}"), BadPem::Outside),
            (format!("{ONE}trailing"), BadPem::Outside),
            (format!("{ONE}\n{ONE}"), BadPem::Outside),
            (format!("{ONE}\0"), BadPem::Outside),
            (ONE.replace("CERTIFICATE", "X509 CRL"), BadPem::Outside),
            (
                ONE.replace("BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE----"),
                BadPem::Outside,
            ),
            (
                ONE.replace("-----END CERTIFICATE-----\n", ""),
                BadPem::Base64,
            ),
            (
                ONE.replace("\n-----END CERTIFICATE-----\n", ""),
                BadPem::NoEnd,
            ),
            (
                ONE.replace("END CERTIFICATE", "END PUBLIC KEY"),
                BadPem::NoEnd,
            ),
            (ONE.replace("AAEC", "AAE"), BadPem::Base64),
            (ONE.replace("AAEC", "AAF="), BadPem::Base64),
            (ONE.replace("AAEC", "AA==AA=="), BadPem::Base64),
            (ONE.replace("AAEC", "AA EC"), BadPem::Base64),
            (ONE.replace("AAEC", "AA-_"), BadPem::Base64),
            (ONE.replace("AAEC", "AAEC\n"), BadPem::Base64),
            (ONE.replace("AAEC\n", ""), BadPem::Base64),
            (ONE.replace("AAEC", &"A".repeat(80)), BadPem::Base64),
            (
                ONE.replace("AAEC", &"AAAA\n".repeat(6000)),
                BadPem::TooLarge,
            ),
            (ONE.repeat(9), BadPem::TooMany),
        ] {
            let shown = text.get(..80).unwrap_or(&text);
            assert_eq!(certificates(text.as_bytes()), Err(why), "{shown:?}");
        }
    }
}
