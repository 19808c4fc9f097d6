//! How OAuth 1.0 requests are signed.

use aws_lc_rs::{digest, hmac};

/// A signature method (RFC 5849 section 3.4, and the forms with SHA-256 that came into use later).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureMethod {
    /// `HMAC-SHA1` (section 3.4.2).
    HmacSha1,
    /// `HMAC-SHA256`: the same with SHA-256.
    HmacSha256,
    /// `RSA-SHA1` (section 3.4.3): RSASSA-PKCS1-v1_5.
    RsaSha1,
    /// `RSA-SHA256`: the same with SHA-256.
    RsaSha256,
    /// `PLAINTEXT` (section 3.4.4): the secrets themselves. Proves the caller and nothing of the request.
    Plaintext,
}

impl SignatureMethod {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::HmacSha1,
        Self::HmacSha256,
        Self::RsaSha1,
        Self::RsaSha256,
        Self::Plaintext,
    ];

    /// The value of `oauth_signature_method`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::RsaSha1 => "RSA-SHA1",
            Self::RsaSha256 => "RSA-SHA256",
            Self::Plaintext => "PLAINTEXT",
        }
    }

    /// The method of this name; names have one case only (section 3.1).
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|method| method.name().as_bytes() == name)
    }

    /// The HMAC, where it is one.
    pub(super) const fn hmac(self) -> Option<hmac::Algorithm> {
        match self {
            Self::HmacSha1 => Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Self::HmacSha256 => Some(hmac::HMAC_SHA256),
            Self::RsaSha1 | Self::RsaSha256 | Self::Plaintext => None,
        }
    }

    /// The hash for `oauth_body_hash`: the method's own, and SHA-1 where it has none (OAuth Request Body Hash
    /// section 3.1).
    pub(super) fn body_hash(self) -> &'static digest::Algorithm {
        match self {
            Self::HmacSha1 | Self::RsaSha1 | Self::Plaintext => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 | Self::RsaSha256 => &digest::SHA256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SignatureMethod;

    #[test]
    fn knows_each_by_its_name_and_in_one_case_only() {
        for method in SignatureMethod::ALL {
            let name = method.name();
            assert_eq!(SignatureMethod::from_name(name.as_bytes()), Some(method));
            let lower = name.to_lowercase();
            assert_eq!(SignatureMethod::from_name(lower.as_bytes()), None);
        }
        for none in ["", "HMAC-SHA512", "HMAC-SHA1 ", "none", "HMAC-MD5"] {
            assert_eq!(SignatureMethod::from_name(none.as_bytes()), None, "{none}");
        }
    }
}
