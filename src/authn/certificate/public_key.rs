//! The kind and size of a certificate's public key.

use x509_parser::x509::SubjectPublicKeyInfo;

use crate::authn::certificate::der::{Elements, SEQUENCE, only};
use crate::authn::certificate::fault::CertificateFault;

/// The shortest RSA modulus, in bits (NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2048;

/// The longest RSA modulus: what verifying costs grows with its square.
const MAX_RSA_BITS: usize = 8192;

/// A public key, as far as its strength goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA, with the bits of its modulus.
    Rsa(usize),
    /// The NIST curves P-256, P-384 and P-521.
    Ec,
    /// Ed25519.
    Ed25519,
    /// Anything else, or something that can't be read.
    Other,
}

impl PublicKey {
    pub(crate) fn read(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let parameters = info.algorithm.parameters.as_ref();
        match info.algorithm.algorithm.as_bytes() {
            // rsaEncryption
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => {
                rsa_bits(&info.subject_public_key.data).map_or(Self::Other, Self::Rsa)
            }
            // id-ecPublicKey with a named curve
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => match parameters.map(|any| any.data) {
                Some(
                    [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]
                    | [0x2b, 0x81, 0x04, 0x00, 0x22 | 0x23],
                ) => Self::Ec,
                _ => Self::Other,
            },
            [0x2b, 0x65, 0x70] => Self::Ed25519,
            _ => Self::Other,
        }
    }

    /// # Errors
    /// `certificate_key_weak`.
    pub(crate) fn judge(self) -> Result<(), CertificateFault> {
        Err(CertificateFault::KeyWeak(match self {
            Self::Rsa(MIN_RSA_BITS..=MAX_RSA_BITS) | Self::Ec | Self::Ed25519 => return Ok(()),
            Self::Rsa(..MIN_RSA_BITS) => "an RSA key of less than 2,048 bits",
            Self::Rsa(_) => "an RSA key of more than 8,192 bits",
            Self::Other => "it is neither RSA, nor on P-256, P-384 or P-521, nor Ed25519",
        }))
    }
}

/// The bits of the modulus (RFC 8017 appendix A.1.1), without leading zero bits.
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut numbers = Elements(only(key, SEQUENCE)?);
    let modulus = numbers.expect(0x02)?;
    numbers.expect(0x02)?;
    if !numbers.is_empty() {
        return None;
    }
    let zeros = modulus.iter().take_while(|&&byte| byte == 0).count();
    let digits = modulus.get(zeros..)?;
    let first = digits.first()?;
    Some(digits.len() * 8 - usize::try_from(first.leading_zeros()).ok()?)
}
