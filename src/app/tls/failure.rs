//! Why handshakes fail, as a closed list of words for metrics and the log.

use std::io;

use rustls::{CertificateError, Error};

/// Why a connection came to nothing before it could ask for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It took too long.
    Timeout,
    /// The other end went away.
    Closed,
    /// What came is no TLS.
    NotTls,
    /// No version, cipher or signature in common.
    Incompatible,
    /// It does not offer HTTP/2 by ALPN (RFC 7301), without which there is no gRPC.
    Alpn,
    /// The other end refused our certificate, or something else of ours.
    Alert,
    /// It showed no certificate.
    NoCertificate,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// Its certificate comes from none of the client CAs.
    UnknownIssuer,
    /// Its certificate is good, and bears no name that may ask.
    Name,
    /// Its certificate is wrong in another way: purpose, signature, encoding.
    Certificate,
    /// Anything else.
    Other,
}

impl Failure {
    /// All of them, each at the place of its number.
    pub(super) const ALL: [Self; 13] = [
        Self::Timeout,
        Self::Closed,
        Self::NotTls,
        Self::Incompatible,
        Self::Alpn,
        Self::Alert,
        Self::NoCertificate,
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownIssuer,
        Self::Name,
        Self::Certificate,
        Self::Other,
    ];

    /// The label of metrics and the word in the log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::Alpn => "alpn",
            Self::Alert => "refused_by_client",
            Self::NoCertificate => "no_certificate",
            Self::Expired => "certificate_expired",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::UnknownIssuer => "certificate_unknown_issuer",
            Self::Name => "certificate_name",
            Self::Certificate => "certificate_invalid",
            Self::Other => "other",
        }
    }

    /// What an error of the handshake is.
    pub(super) fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(error) => Self::of_tls(error),
            None => Self::Closed,
        }
    }

    /// What an error of the library is.
    pub(super) const fn of_tls(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::UnknownIssuer => Self::UnknownIssuer,
                CertificateError::ApplicationVerificationFailure => Self::Name,
                _ => Self::Certificate,
            },
            Error::NoApplicationProtocol => Self::Alpn,
            Error::AlertReceived(_) => Self::Alert,
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::{CertificateError, Error, InvalidMessage};

    use super::Failure;

    #[test]
    fn each_has_a_number_and_a_word_of_its_own() {
        for (number, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, number, "{failure:?}");
            let same = |other: &Failure| other.as_str() == failure.as_str();
            assert_eq!(Failure::ALL.iter().filter(|other| same(other)).count(), 1);
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let tls = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        for (error, failure) in [
            (io::ErrorKind::UnexpectedEof.into(), Failure::Closed),
            (io::ErrorKind::ConnectionReset.into(), Failure::Closed),
            (tls(Error::NoCertificatesPresented), Failure::NoCertificate),
            (
                tls(Error::InvalidMessage(InvalidMessage::InvalidContentType)),
                Failure::NotTls,
            ),
            (
                tls(CertificateError::UnknownIssuer.into()),
                Failure::UnknownIssuer,
            ),
            (
                tls(CertificateError::InvalidPurpose.into()),
                Failure::Certificate,
            ),
            (tls(Error::DecryptError), Failure::Other),
        ] {
            assert_eq!(Failure::of(&error), failure, "{error:?}");
        }
    }
}
