//! Certificates and keys: read from files, checked, and made into terms for handshakes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{Error as Pem, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use crate::app::tls::name::{self, ClientName};
use crate::clock::{Clock, Timestamp};
use crate::config::load::whole_file;
use crate::secret::{Digest, Secret};

/// The longest file of certificates, in bytes: some thousand of them.
const MAX_BYTES: usize = 1024 * 1024;

/// How often files that change while they are read are read again.
const ATTEMPTS: usize = 5;

/// What is spoken inside of TLS: HTTP/2 and nothing else.
pub(super) const ALPN: &[u8] = b"h2";

/// Where certificates and keys are, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The listener's certificate, with the intermediate ones behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CAs that sign certificates of those who ask; without them, anybody may ask.
    pub client_ca: Option<PathBuf>,
}

/// Why the files cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    Unreadable(File, String),
    /// A file is no PEM, or ends in the middle of it.
    #[error("{0} is no whole PEM file: {1}")]
    NoPem(File, &'static str),
    /// A file holds nothing of what is looked for.
    #[error("{0} holds no {1}")]
    Empty(File, &'static str),
    /// A certificate cannot be read.
    #[error("certificate {1} in {0} cannot be read: {2}")]
    Malformed(File, usize, String),
    /// A certificate that signs nothing is given as one that does.
    #[error(
        "certificate {1} in {0} is no CA certificate; give the one that signed Envoy's, and not Envoy's own"
    )]
    NoAuthority(File, usize),
    /// The key is another certificate's.
    #[error("{1} is not the key of the first certificate in {0}")]
    Mismatch(File, File),
    /// The key or the certificate cannot be used.
    #[error("{0} and {1} cannot be used: {2}")]
    Pair(File, File, String),
    /// The client CAs cannot be used.
    #[error("{0} cannot be used: {1}")]
    Anchors(File, String),
    /// The new certificate has expired, and the one in use has not.
    #[error("{0} expired at {1}")]
    Expired(File, String),
}

/// A file, by the setting that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    flag: &'static str,
    path: PathBuf,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.flag)
    }
}

impl TlsFiles {
    pub(super) fn certificate(&self) -> File {
        file("--tls-cert", &self.certificate)
    }

    fn key(&self) -> File {
        file("--tls-key", &self.key)
    }

    /// All of them.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key]
            .into_iter()
            .chain(&self.client_ca)
            .map(PathBuf::as_path)
    }
}

fn file(flag: &'static str, path: &Path) -> File {
    File {
        flag,
        path: path.to_owned(),
    }
}

/// The files' bytes as they were at one moment.
pub(super) struct Contents {
    certificate: Secret,
    key: Secret,
    client_ca: Option<Secret>,
}

impl Contents {
    /// Reads all files, and again if they change meanwhile, so that two versions are seldom mixed. Blocks.
    ///
    /// # Errors
    /// The first file that cannot be read.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, Unusable> {
        let mut read = Self::read_once(files)?;
        for _ in 1..ATTEMPTS {
            let again = Self::read_once(files)?;
            if again.digest() == read.digest() {
                break;
            }
            read = again;
        }
        Ok(read)
    }

    fn read_once(files: &TlsFiles) -> Result<Self, Unusable> {
        let read = |file: File| {
            whole_file(&file.path, MAX_BYTES)
                .map(Secret::new)
                .map_err(|error| Unusable::Unreadable(file, error))
        };
        let client_ca = files.client_ca.as_deref();
        Ok(Self {
            certificate: read(files.certificate())?,
            key: read(files.key())?,
            client_ca: client_ca
                .map(|path| read(file("--tls-client-ca", path)))
                .transpose()?,
        })
    }

    /// Equal where the contents of all files are equal.
    pub(super) fn digest(&self) -> Digest {
        let parts = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        let digests: Vec<u8> = parts
            .into_iter()
            .flatten()
            .flat_map(|part| *Digest::of(part.expose()).bytes())
            .collect();
        Digest::of(&digests)
    }
}

/// What a handshake is held to.
pub(super) struct Terms {
    /// For the library.
    pub(super) config: Arc<ServerConfig>,
    /// Judges who may ask; `None` where anybody may.
    pub(super) callers: Option<Arc<dyn ClientCertVerifier>>,
    /// When the first certificate of the listener's own chain expires.
    pub(super) not_after: Timestamp,
    /// When the last of the client CAs expires.
    pub(super) client_ca_not_after: Option<Timestamp>,
}

impl Terms {
    /// Terms of what the files hold.
    ///
    /// # Errors
    /// What cannot be used, and where it stands.
    pub(super) fn of(
        files: &TlsFiles,
        contents: &Contents,
        names: &Arc<[ClientName]>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Unusable> {
        let chain = certificates(files.certificate(), &contents.certificate)?;
        let ends = validity_ends(&files.certificate(), &chain, false)?;
        let key = private_key(files.key(), &contents.key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut callers = None;
        let mut client_ca_not_after = None;
        if let Some((path, bytes)) = files.client_ca.as_deref().zip(contents.client_ca.as_ref()) {
            let file = file("--tls-client-ca", path);
            let anchors = certificates(file.clone(), bytes)?;
            client_ca_not_after = validity_ends(&file, &anchors, true)?.into_iter().max();
            let verifier = verifier(anchors, names, Arc::clone(&provider));
            callers = Some(verifier.map_err(|error| Unusable::Anchors(file, error))?);
        }
        let config = config(provider, callers.clone(), clock, chain, key);
        let config = config.map_err(|error| match error {
            Error::InconsistentKeys(_) => Unusable::Mismatch(files.certificate(), files.key()),
            error => Unusable::Pair(files.certificate(), files.key(), error.to_string()),
        })?;
        Ok(Self {
            config: Arc::new(config),
            callers,
            not_after: ends.into_iter().min().unwrap_or(Timestamp::from_seconds(0)),
            client_ca_not_after,
        })
    }
}

fn certificates(file: File, bytes: &Secret) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes.expose()).collect();
    let read = read.map_err(|error| Unusable::NoPem(file.clone(), why_no_pem(&error)))?;
    if read.is_empty() {
        return Err(Unusable::Empty(file, "certificate in PEM"));
    }
    Ok(read)
}

fn private_key(file: File, bytes: &Secret) -> Result<PrivateKeyDer<'static>, Unusable> {
    PrivateKeyDer::from_pem_slice(bytes.expose()).map_err(|error| match error {
        Pem::NoItemsFound => Unusable::Empty(
            file,
            "private key in PEM that is not encrypted (PKCS #8, PKCS #1 or SEC 1)",
        ),
        error => Unusable::NoPem(file, why_no_pem(&error)),
    })
}

/// In words of ours: the library's repeat lines of the file.
const fn why_no_pem(error: &Pem) -> &'static str {
    match error {
        Pem::MissingSectionEnd { .. } => "its last section has no end",
        Pem::IllegalSectionStart { .. } => "a section does not begin as it should",
        Pem::Base64Decode(_) => "a section is no base64",
        _ => "it cannot be read",
    }
}

/// When each certificate expires; with `authorities`, each must be one that may sign others.
fn validity_ends(
    file: &File,
    certificates: &[CertificateDer<'_>],
    authorities: bool,
) -> Result<Vec<Timestamp>, Unusable> {
    let one = |(number, der): (usize, &CertificateDer<'_>)| {
        let malformed = |error: String| Unusable::Malformed(file.clone(), number, error);
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| malformed(error.to_string()))?;
        if authorities && certificate.version() == X509Version::V3 {
            let constraints = certificate
                .basic_constraints()
                .map_err(|error| malformed(error.to_string()))?;
            if !constraints.is_some_and(|constraints| constraints.value.ca) {
                return Err(Unusable::NoAuthority(file.clone(), number));
            }
        }
        let end = certificate.validity().not_after.timestamp();
        Ok(Timestamp::from_seconds(end))
    };
    (1..).zip(certificates).map(one).collect()
}

/// When a certificate expires, as far as it can be read.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let end = certificate.validity().not_after.timestamp();
    Some(Timestamp::from_seconds(end))
}

fn verifier(
    anchors: Vec<CertificateDer<'static>>,
    names: &Arc<[ClientName]>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut store = RootCertStore::empty();
    for anchor in anchors {
        store.add(anchor).map_err(|error| error.to_string())?;
    }
    let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|error| error.to_string())?;
    if names.is_empty() {
        return Ok(chain);
    }
    Ok(Arc::new(Named {
        chain,
        names: Arc::clone(names),
    }))
}

fn config(
    provider: Arc<CryptoProvider>,
    callers: Option<Arc<dyn ClientCertVerifier>>,
    clock: &Arc<dyn Clock>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, Error> {
    let time = Arc::new(Time(Arc::clone(clock)));
    let builder =
        ServerConfig::builder_with_details(provider, time).with_safe_default_protocol_versions()?;
    let builder = match callers {
        Some(callers) => builder.with_client_cert_verifier(callers),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would not show its certificate anew: one that has expired since, or whose CA was
    // taken away, would be let in. Envoy's connections live long, so full handshakes are rare.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The process's clock for the library.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

/// A moment as the library has it, in whole seconds; nothing lies before 1970.
pub(super) fn unix_time(now: Timestamp) -> UnixTime {
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// A chain to a client CA, and then one of these names.
#[derive(Debug)]
struct Named {
    chain: Arc<dyn ClientCertVerifier>,
    names: Arc<[ClientName]>,
}

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        if name::bears_one_of(end_entity, &self.names)? {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
