//! Certificates made for one test, and a client that shows one of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::client::{NoResponse, Request, Response, exchange_h1};
use super::wait::DEADLINE;

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// A URI name, whatever text it is.
pub fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).expect("ASCII"))
}

/// A DNS name.
pub fn dns(text: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(text).expect("ASCII"))
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("it can be signed");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for client and server with these names.
    pub fn issue(&self, subject: &str, names: Vec<SanType>) -> Identity {
        self.issue_as(subject, names, IsCa::NoCa)
    }

    /// An authority's certificate that is used as a client's own.
    pub fn issue_authority(&self, subject: &str, names: Vec<SanType>) -> Identity {
        self.issue_as(subject, names, IsCa::Ca(BasicConstraints::Unconstrained))
    }

    fn issue_as(&self, subject: &str, names: Vec<SanType>, is_ca: IsCa) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, subject);
        params.subject_alt_names = names;
        params.is_ca = is_ca;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("it can be signed");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// As Envoy takes certificates.
    fn to_json(&self) -> Value {
        json!({
            "certificate_chain": {"inline_string": self.certificate},
            "private_key": {"inline_string": self.key},
        })
    }

    /// As `Client-Cert` (RFC 9440).
    pub fn client_cert(&self) -> String {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("PEM");
        format!(":{}:", STANDARD.encode(&der))
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> String {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("PEM");
        portcullis::secret::Digest::of(&der).to_hex()
    }
}

/// A listener's TLS: it shows `server`, and asks for client certificates that one of `trusted` issued.
pub fn downstream(server: &Identity, trusted: &[&str], required: bool) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": required,
            "common_tls_context": {
                "tls_certificates": [server.to_json()],
                "validation_context": {"trusted_ca": {"inline_string": trusted.concat()}},
            },
        },
    })
}

/// A cluster's TLS: it shows `client`.
pub fn upstream(client: &Identity, trusted: &str) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [client.to_json()],
                "validation_context": {"trusted_ca": {"inline_string": trusted}},
            },
        },
    })
}

/// Sends over HTTP/1.1 and TLS to a server that shows `localhost`, with a client certificate or without.
///
/// # Errors
/// The handshake's, too.
pub async fn try_send(
    request: &Request,
    to: SocketAddr,
    trusted: &str,
    client: Option<&Identity>,
) -> Result<Response, NoResponse> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes())?)?;
    let provider = default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match client {
        Some(client) => config.with_client_auth_cert(
            CertificateDer::pem_slice_iter(client.certificate.as_bytes())
                .collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_slice(client.key.as_bytes())?,
        )?,
        None => config.with_no_client_auth(),
    };
    let exchange = async {
        let stream = TcpStream::connect(to).await?;
        let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        exchange_h1(stream, &request.h1_bytes()).await
    };
    Ok(timeout(DEADLINE, exchange).await??)
}

/// The same for what must be answered.
pub async fn send(
    request: &Request,
    to: SocketAddr,
    trusted: &str,
    client: Option<&Identity>,
) -> Response {
    let answer = try_send(request, to, trusted, client).await;
    answer.unwrap_or_else(|error| panic!("no response over TLS to {request:?}: {error}"))
}

/// Writes a file beside the policies.
pub fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("can be written");
    path
}
