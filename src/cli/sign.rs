//! `portcullis sign`.

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use clap::ValueEnum;
use serde_json::json;

use crate::authn::http_signature::digest::{CONTENT_DIGEST, content_digest};
use crate::authn::http_signature::key::Algorithm;
use crate::authn::http_signature::sign::{SigningKey, ToSign};
use crate::authn::oauth1::SignatureMethod;
use crate::authn::{hmac, http_signature, oauth1, sigv4, webhook};
use crate::cli::explain::request::{Url, header_line, split, time};
use crate::cli::output::Output;
use crate::cli::{FAILED, Format, OK, USAGE};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::headers::Headers;
use crate::request::raw::RawCheck;
use crate::request::signed::AsSigned;
use crate::request::{Reading, Request};
use crate::secret::Secret;

const AFTER_HELP: &str = "Examples:
  portcullis sign --key-id acme-1 --secret-file acme.secret https://api.example.com/orders
  portcullis sign --scheme http-signature --key-id acme-1 --private-key-file acme.pem \\
      --algorithm ed25519 -X POST --data '{\"total\": 3}' https://api.example.com/orders
  portcullis sign --scheme stripe --secret-file whsec --data '{}' https://api.example.com/hooks

What is printed can be pasted into a shell. A signature holds for some minutes, and once where it has a nonce.";

/// Signs a request as a client would, to try out an authenticator.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SignArgs {
    /// The request's URL, as the client calls it
    #[arg(value_name = "URL")]
    url: String,
    /// How to sign
    #[arg(long, value_enum, default_value_t = Scheme::Hmac)]
    scheme: Scheme,
    /// The name of the key: `key_id`, `access_key_id` or `consumer_key`
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// The file with the shared secret; a line's end behind it is left out
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The file with the private key in PEM, for `http-signature` and for `oauth1` with RSA
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    private_key_file: Option<PathBuf>,
    /// What the private key signs with: ed25519, ecdsa-p256-sha256, …
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// A component or header to cover beside the usual ones; may be repeated
    #[arg(long, value_name = "NAME")]
    cover: Vec<String>,
    /// The tag of an HTTP signature
    #[arg(long)]
    tag: Option<String>,
    /// The service of `sigv4`
    #[arg(long, required_if_eq("scheme", "sigv4"))]
    service: Option<String>,
    /// The region of `sigv4`
    #[arg(long, required_if_eq("scheme", "sigv4"))]
    region: Option<String>,
    /// The token of `oauth1`
    #[arg(long, requires = "token_secret_file")]
    token: Option<String>,
    /// The file with the token's secret
    #[arg(long, value_name = "FILE")]
    token_secret_file: Option<PathBuf>,
    /// The realm of `oauth1`
    #[arg(long)]
    realm: Option<String>,
    /// The method [default: GET, or POST with a body]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// A header of the request, as in 'Content-Type: application/json'
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The body; @FILE takes it from a file as it is
    #[arg(short = 'd', long, value_name = "DATA", alias = "data-binary")]
    data: Option<String>,
    /// When it is signed: an RFC 3339 time [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// The nonce, or the name of a webhook's message [default: random]
    #[arg(long)]
    nonce: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scheme {
    /// Portcullis's own scheme
    Hmac,
    /// HTTP Message Signatures (RFC 9421)
    HttpSignature,
    /// AWS Signature Version 4
    Sigv4,
    /// OAuth 1.0a
    Oauth1,
    /// A webhook of Stripe's
    Stripe,
    /// A webhook of Slack's
    Slack,
    /// A webhook of GitHub's
    Github,
    /// Standard Webhooks
    Standard,
    /// A webhook of Shopify's
    Shopify,
    /// A webhook of Twilio's
    Twilio,
}

pub(super) fn run(arguments: &SignArgs) -> u8 {
    let draft = match Draft::read(arguments) {
        Ok(draft) => draft,
        Err(error) => {
            Output::error(&error);
            return USAGE;
        }
    };
    match sign(arguments, &draft) {
        Ok(signed) => {
            print(arguments.output, &draft, &signed);
            OK
        }
        Err(error) => {
            Output::error(&error);
            FAILED
        }
    }
}

/// The request that is signed.
struct Draft {
    method: String,
    url: Url,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Draft {
    fn read(arguments: &SignArgs) -> Result<Self, String> {
        let body = match arguments.data.as_deref() {
            None => Vec::new(),
            Some(data) => match data.strip_prefix('@') {
                Some(file) => {
                    std::fs::read(file).map_err(|error| format!("--data @{file}: {error}"))?
                }
                None => data.as_bytes().to_vec(),
            },
        };
        let usual = if body.is_empty() { "GET" } else { "POST" };
        let mut headers = Vec::new();
        for header in &arguments.headers {
            headers.push(header_line(header)?);
        }
        Ok(Self {
            method: arguments.method.clone().unwrap_or_else(|| usual.to_owned()),
            url: split(&arguments.url)?,
            headers,
            body,
        })
    }

    /// The request as Portcullis would see it.
    fn request(&self) -> Result<Request, String> {
        let length = self.body.len().to_string();
        let mut lines = self.headers.clone();
        if !lines.iter().any(|(name, _)| name == "content-length") {
            lines.push(("content-length".to_owned(), length.into_bytes()));
        }
        let copy = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let raw = RawCheck {
            method: copy(&self.method),
            path: copy(&self.url.target),
            host: copy(&self.url.authority),
            scheme: copy(&self.url.scheme),
            headers: Headers::new(lines),
            body: self.body.clone().into(),
            ..RawCheck::default()
        };
        Request::read(raw, &Reading::default()).map_err(|error| error.to_string())
    }
}

type Added = Vec<(String, String)>;

fn sign(arguments: &SignArgs, draft: &Draft) -> Result<Added, String> {
    let now = match &arguments.now {
        Some(text) => Timestamp::from_seconds(time(text)?),
        None => SystemClock::new().now(),
    };
    let nonce = match &arguments.nonce {
        Some(nonce) => nonce.clone(),
        None => random()?,
    };
    let request = draft.request()?;
    let message = AsSigned::of(&request, None);
    let told = |error: &dyn std::fmt::Display| error.to_string();
    match arguments.scheme {
        Scheme::Hmac => {
            let key = hmac::Key::new(&secret(arguments)?).map_err(|error| told(&error))?;
            let covered: Vec<&str> = arguments.cover.iter().map(String::as_str).collect();
            let signing = hmac::Signing {
                key_id: key_id(arguments)?,
                signed_headers: &covered,
                created: now.seconds(),
                nonce: &nonce,
            };
            hmac::sign(hmac::Dialect::Own, &message, &key, &signing).map_err(|error| told(&error))
        }
        Scheme::HttpSignature => http(arguments, draft, &nonce, now),
        Scheme::Sigv4 => {
            let covered: Vec<&str> = arguments.cover.iter().map(String::as_str).collect();
            let service = arguments.service.as_deref().unwrap_or_default();
            let signing = sigv4::Signing {
                access_key_id: key_id(arguments)?,
                service,
                region: arguments.region.as_deref().unwrap_or_default(),
                dialect: sigv4::Dialect::of_service(service),
                signed_headers: &covered,
                unsigned_payload: false,
                created: now.seconds(),
            };
            sigv4::sign(&message, &secret(arguments)?, &signing).map_err(|error| told(&error))
        }
        Scheme::Oauth1 => oauth(arguments, &message, &nonce, now),
        hook => {
            let scheme = match hook {
                Scheme::Stripe => webhook::Scheme::Stripe,
                Scheme::Slack => webhook::Scheme::Slack,
                Scheme::Github => webhook::Scheme::GitHub,
                Scheme::Shopify => webhook::Scheme::Shopify,
                Scheme::Twilio => webhook::Scheme::Twilio,
                _ => webhook::Scheme::Standard(webhook::standard::HeaderNames::Webhook),
            };
            let signed = webhook::sign::sign(&message, &scheme, &secret(arguments)?, now, &nonce);
            let signed = signed.map_err(|error| told(&error))?;
            if signed.query.is_some() {
                return Err("Twilio signs a body that is no form by a parameter of the URL, which this command does not change".to_owned());
            }
            Ok(signed.headers)
        }
    }
}

fn http(arguments: &SignArgs, draft: &Draft, nonce: &str, now: Timestamp) -> Result<Added, String> {
    let key = match &arguments.private_key_file {
        Some(file) => {
            let name = arguments
                .algorithm
                .as_deref()
                .ok_or("--private-key-file needs --algorithm: one key fits several")?;
            let known: Vec<&str> = Algorithm::ALL.iter().map(|one| one.name()).collect();
            let algorithm = Algorithm::from_name(name)
                .ok_or_else(|| format!("--algorithm is one of {}", known.join(", ")))?;
            let pem = read(file)?;
            SigningKey::from_pem(algorithm, &String::from_utf8_lossy(pem.expose()))
        }
        None => SigningKey::from_secret(secret(arguments)?.expose()),
    };
    let key = key.map_err(|error| error.to_string())?;
    let mut headers = draft.headers.clone();
    let mut added = Vec::new();
    let has = |headers: &[(String, Vec<u8>)], wanted: &str| {
        headers.iter().any(|(name, _)| name == wanted)
    };
    if !draft.body.is_empty() && !has(&headers, CONTENT_DIGEST) {
        let digest = content_digest(&draft.body);
        headers.push((CONTENT_DIGEST.to_owned(), digest.clone().into_bytes()));
        added.push((CONTENT_DIGEST.to_owned(), digest));
    }
    let mut components = vec!["@method", "@authority", "@path", "@query"];
    if has(&headers, CONTENT_DIGEST) {
        components.push(CONTENT_DIGEST);
    }
    components.extend(arguments.cover.iter().map(String::as_str));
    let with_digest = Draft {
        method: draft.method.clone(),
        url: draft.url.clone(),
        headers,
        body: draft.body.clone(),
    };
    let request = with_digest.request()?;
    let what = ToSign {
        label: "sig1",
        components: &components,
        created: now.seconds(),
        expires: None,
        key_id: key_id(arguments)?,
        alg: false,
        nonce: Some(nonce),
        tag: arguments.tag.as_deref(),
    };
    let message = AsSigned::of(&request, None);
    let signed = http_signature::sign::sign(&message, &what, &key);
    let signed = signed.map_err(|error| error.to_string())?;
    added.extend(signed.map(|(name, value)| (name.to_owned(), value)));
    Ok(added)
}

fn oauth(
    arguments: &SignArgs,
    message: &AsSigned<'_>,
    nonce: &str,
    now: Timestamp,
) -> Result<Added, String> {
    let (key, method) = match &arguments.private_key_file {
        Some(file) => {
            let key = oauth1::sign::SigningKey::rsa(read(file)?.expose());
            (
                key.map_err(|error| error.to_string())?,
                SignatureMethod::RsaSha256,
            )
        }
        None => (
            oauth1::sign::SigningKey::Shared(secret(arguments)?),
            SignatureMethod::HmacSha256,
        ),
    };
    let token_secret = arguments.token_secret_file.as_ref().map(read).transpose()?;
    let token = arguments.token.as_deref().zip(token_secret.as_ref());
    let signer = oauth1::sign::Signer {
        consumer_key: key_id(arguments)?,
        key: &key,
        token,
        method,
        realm: arguments.realm.as_deref(),
        body_hash: true,
    };
    let signed = oauth1::sign::sign(message, &signer, now.seconds(), nonce);
    let signed = signed.map_err(|error| error.to_string())?;
    Ok(signed
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

fn key_id(arguments: &SignArgs) -> Result<&str, String> {
    let missing = || "this scheme names its key: add --key-id".to_owned();
    arguments.key_id.as_deref().ok_or_else(missing)
}

fn secret(arguments: &SignArgs) -> Result<Secret, String> {
    let missing = || "add --secret-file with the shared secret".to_owned();
    read(arguments.secret_file.as_ref().ok_or_else(missing)?)
}

/// A file without the line's end behind what it holds.
fn read(file: &PathBuf) -> Result<Secret, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let bytes = Secret::new(bytes);
    let end = bytes
        .expose()
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    let text = end
        .and_then(|end| bytes.expose().get(..=end))
        .unwrap_or_default();
    if text.is_empty() {
        return Err(format!("{} is empty", file.display()));
    }
    Ok(Secret::new(text.to_vec()))
}

fn random() -> Result<String, String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| "the operating system gave no random bytes".to_owned())?;
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

fn print(format: Format, draft: &Draft, added: &Added) {
    let url = format!(
        "{}://{}{}",
        draft.url.scheme, draft.url.authority, draft.url.target
    );
    match format {
        Format::Json => {
            let headers: serde_json::Map<String, serde_json::Value> = added
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            Output::json(&json!({"method": draft.method, "url": url, "headers": headers}));
        }
        Format::Text => {
            let mut line = format!("curl -X {}", quoted(&draft.method));
            for (name, value) in &draft.headers {
                let _ = write!(
                    line,
                    " -H {}",
                    quoted(&format!("{name}: {}", String::from_utf8_lossy(value)))
                );
            }
            for (name, value) in added {
                let _ = write!(line, " \\\n  -H {}", quoted(&format!("{name}: {value}")));
            }
            match std::str::from_utf8(&draft.body) {
                Ok("") => {}
                Ok(body) => {
                    let _ = write!(line, " \\\n  --data-binary {}", quoted(body));
                }
                Err(_) => Output::note("The body is no text: send it with --data-binary @FILE"),
            }
            let _ = write!(line, " \\\n  {}", quoted(&url));
            Output::line(&line);
        }
    }
}

/// A word for a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests;
