//! From curl's words to the check that Envoy would send.

use std::io::BufRead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::authn::certificate::PeerCertificate;
use crate::cli::explain::ExplainArgs;
use crate::config::yaml::{self, Limits};
use crate::diagnostic::{Diagnostics, SourceFile};
use crate::headers::Headers;
use crate::request::peer;
use crate::request::raw::{RawCheck, RawPeer};
use crate::request::target::form_decode;

/// The longest line of an audit log, in bytes.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// What is asked.
pub(in crate::cli) struct Asked {
    /// The request.
    pub(in crate::cli) raw: RawCheck,
    /// When it is judged, in seconds since the epoch; `None`: now.
    pub(in crate::cli) now: Option<i64>,
    /// What the user should know of how it was read.
    pub(in crate::cli) notes: Vec<String>,
}

const PEM_BEGINS: &str = "-----BEGIN CERTIFICATE-----";
const PEM_ENDS: &str = "-----END CERTIFICATE-----";

/// The parts of a URL, undecoded.
#[derive(Clone)]
pub(in crate::cli) struct Url {
    pub(in crate::cli) scheme: String,
    user: Option<String>,
    pub(in crate::cli) authority: String,
    pub(in crate::cli) target: String,
}

impl Asked {
    /// Reads the request out of the command line, or out of an audit record.
    ///
    /// # Errors
    /// What can't be understood, without the values in it.
    pub(super) fn read(arguments: &ExplainArgs, input: &mut impl BufRead) -> Result<Self, String> {
        let mut notes = Vec::new();
        let mut now = arguments.now.as_deref().map(time).transpose()?;
        let mut method = arguments.method.clone();
        let mut address = arguments.client_address.map(|address| address.to_string());
        let url = if arguments.from_audit {
            let record = audit_record(input)?;
            let text = |name: &str| record.get(name).and_then(Value::as_str);
            let (Some(host), Some(path)) = (text("host"), text("path")) else {
                return Err("the line on standard input has no `host` or no `path`".to_owned());
            };
            method = text("method").map(str::to_owned);
            address = text("client_address").map(str::to_owned);
            if now.is_none() {
                now = text("time").map(time).transpose()?;
            }
            notes.push("the request is that of an audit record, which holds no credential, no other header and no query".to_owned());
            Url {
                scheme: "https".to_owned(),
                user: None,
                authority: host.to_owned(),
                target: path.to_owned(),
            }
        } else {
            split(arguments.url.as_deref().unwrap_or_default())?
        };
        let body = body(arguments)?;
        let method = method.unwrap_or_else(|| {
            let usual = if arguments.head {
                "HEAD"
            } else if body.is_some() {
                "POST"
            } else {
                "GET"
            };
            usual.to_owned()
        });
        let mut lines = lines(arguments, &url, body.as_deref())?;
        let host = take_host(&mut lines).unwrap_or(url.authority);
        let mut all: Vec<(String, Vec<u8>)> = [
            (":authority", &host),
            (":path", &url.target),
            (":method", &method),
            (":scheme", &url.scheme),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone().into_bytes()))
        .into();
        all.append(&mut lines);
        let mut source = RawPeer {
            address: address.unwrap_or_default().into(),
            ..RawPeer::default()
        };
        if let Some(file) = &arguments.cert {
            let certificate = certificate(file)?;
            source.principal = certificate.principal.into();
            source.certificate = certificate.encoded.into();
            notes.push("what Envoy's listener would say to the certificate of --cert is not judged: it is taken as one that was let in".to_owned());
        }
        let raw = RawCheck {
            method: method.into(),
            path: url.target.into(),
            host: host.into(),
            scheme: url.scheme.into(),
            protocol: Bytes::from_static(if arguments.http1 {
                b"HTTP/1.1"
            } else {
                b"HTTP/2"
            }),
            headers: Headers::new(all),
            body: body.unwrap_or_default().into(),
            source,
            context_extensions: context(&arguments.context)?,
            ..RawCheck::default()
        };
        Ok(Self { raw, now, notes })
    }
}

/// A time as policies write it.
pub(in crate::cli) fn time(text: &str) -> Result<i64, String> {
    let file = SourceFile::new("--now", text);
    let mut out = Diagnostics::default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-:+.".contains(&byte);
    let node = yaml::parse(&file, &Limits::default()).ok();
    node.filter(|_| text.bytes().all(plain))
        .and_then(|node| yaml::instant(&node, "`--now`", &mut out))
        .ok_or_else(|| "write the time as in 2027-01-31 or 2027-01-31T12:00:00Z".to_owned())
}

/// Cuts a URL as curl does, but leaves its path as it is.
pub(in crate::cli) fn split(text: &str) -> Result<Url, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("http".to_owned(), text),
    };
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err("the URL begins with http:// or https://".to_owned());
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, authority),
    };
    if authority.is_empty() {
        return Err(
            "the URL names no host; write it as in https://api.example.com/orders".to_owned(),
        );
    }
    let target = match target.strip_prefix('?') {
        Some(_) => format!("/{target}"),
        None if target.is_empty() => "/".to_owned(),
        None => target.to_owned(),
    };
    Ok(Url {
        scheme,
        user: user.map(str::to_owned),
        authority: authority.to_owned(),
        target,
    })
}

fn lines(
    arguments: &ExplainArgs,
    url: &Url,
    body: Option<&[u8]>,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut own: Vec<(String, Vec<u8>)> = Vec::new();
    let mut removed: Vec<String> = vec![];
    for header in &arguments.headers {
        match header.split_once(':') {
            _ if header.starts_with('@') => {
                return Err(
                    "-H @FILE is not read; write each header as -H 'Name: value'".to_owned(),
                );
            }
            Some((name, value)) if value.trim().is_empty() => removed.push(lower(name)?),
            Some((name, value)) => own.push((lower(name)?, value.trim().into())),
            None => match header.strip_suffix(';') {
                Some(name) => own.push((lower(name)?, Vec::new())),
                None => return Err("a header is written as -H 'Name: value'".to_owned()),
            },
        }
    }
    let mut usual: Vec<(&str, Vec<u8>)> = vec![
        ("accept", b"*/*".to_vec()),
        ("x-forwarded-proto", url.scheme.clone().into_bytes()),
    ];
    if let Some(agent) = &arguments.user_agent {
        usual.push(("user-agent", agent.clone().into_bytes()));
    }
    // What -u says goes before what the URL says, as in curl.
    let of_url = url.user.as_ref().map(|user| form_decode_plus(user));
    if let Some(user) = arguments
        .user
        .as_ref()
        .map(|user| user.clone().into_bytes())
        .or(of_url)
    {
        usual.push((
            "authorization",
            format!("Basic {}", STANDARD.encode(with_colon(user))).into(),
        ));
    }
    if let Some(token) = &arguments.oauth2_bearer {
        usual.retain(|(name, _)| *name != "authorization");
        usual.push(("authorization", format!("Bearer {token}").into()));
    }
    if !arguments.cookies.is_empty() {
        if arguments.cookies.iter().any(|cookie| !cookie.contains('=')) {
            return Err("-b FILE is not read; write cookies as -b 'name=value'".to_owned());
        }
        usual.push(("cookie", arguments.cookies.join("; ").into()));
    }
    if let Some(body) = body {
        usual.push(("content-length", body.len().to_string().into()));
        usual.push((
            "content-type",
            b"application/x-www-form-urlencoded".to_vec(),
        ));
    }
    // A header that is given replaces curl's own.
    usual.retain(|(name, _)| {
        !removed.iter().any(|removed| removed == name) && !own.iter().any(|(own, _)| own == name)
    });
    let usual = usual
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Ok(usual.chain(own).collect())
}

/// `user` without a password has an empty one.
fn with_colon(mut user: Vec<u8>) -> Vec<u8> {
    if !user.contains(&b':') {
        user.push(b':');
    }
    user
}

/// Percent-decoded, `+` left as it is.
fn form_decode_plus(text: &str) -> Vec<u8> {
    form_decode(text.replace('+', "%2B").as_bytes()).into_owned()
}

/// One header as `-H` has it.
///
/// # Errors
/// How to write one.
pub(in crate::cli) fn header_line(header: &str) -> Result<(String, Vec<u8>), String> {
    let (name, value) = header
        .split_once(':')
        .ok_or("a header is written as -H 'Name: value'")?;
    Ok((lower(name)?, value.trim().into()))
}

fn lower(name: &str) -> Result<String, String> {
    let name = name.trim().to_ascii_lowercase();
    if crate::headers::is_header_name(&name) {
        Ok(name)
    } else {
        Err(
            "a header's name is 1 to 128 letters, digits and hyphens, as in -H 'Name: value'"
                .to_owned(),
        )
    }
}

/// `-H 'Host: …'` names the host, as in curl.
fn take_host(lines: &mut Vec<(String, Vec<u8>)>) -> Option<String> {
    let at = lines.iter().position(|(name, _)| name == "host")?;
    String::from_utf8(lines.remove(at).1).ok()
}

/// As curl makes it of what it is given: several parts are joined by `&`, and line ends are left out of a file
/// unless it is binary.
fn body(arguments: &ExplainArgs) -> Result<Option<Vec<u8>>, String> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let texts = arguments.data.iter().map(|data| (data, false));
    let binary = arguments.data_binary.iter().map(|data| (data, true));
    for (data, binary) in texts.chain(binary) {
        parts.push(match data.strip_prefix('@') {
            Some(file) => {
                let mut bytes =
                    std::fs::read(file).map_err(|error| format!("-d @{file}: {error}"))?;
                if !binary {
                    bytes.retain(|byte| !matches!(byte, b'\n' | b'\r' | 0));
                }
                bytes
            }
            None => data.clone().into_bytes(),
        });
    }
    let given = !parts.is_empty();
    Ok(given.then(|| parts.join(&b'&')))
}

/// A certificate as Envoy hands it over.
struct Shown {
    principal: String,
    encoded: String,
}

/// The first certificate of a PEM file, as curl sends it.
fn certificate(file: &std::path::Path) -> Result<Shown, String> {
    let shown = file.display();
    let bytes = std::fs::read(file).map_err(|error| format!("--cert {shown}: {error}"))?;
    let none = || format!("--cert {shown}: there is no certificate in PEM in this file");
    let text = String::from_utf8_lossy(&bytes);
    let begins = text.find(PEM_BEGINS).ok_or_else(none)?;
    let ends = text.get(begins..).and_then(|text| text.find(PEM_ENDS));
    let ends = ends.ok_or_else(none)? + begins + PEM_ENDS.len();
    let pem = format!("{}\n", text.get(begins..ends).ok_or_else(none)?);
    let mut encoded = String::new();
    for character in pem.chars() {
        match character {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '-' => encoded.push(character),
            _ => {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    encoded.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    // What cannot be read is for the policies to refuse.
    let read = peer::certificate(encoded.as_bytes()).ok().flatten();
    let read = read.and_then(|der| PeerCertificate::parse(&der).ok());
    let principal = read.map_or_else(|| "client certificate".to_owned(), |read| read.principal());
    Ok(Shown { principal, encoded })
}

fn context(pairs: &[String]) -> Result<Vec<(Bytes, Bytes)>, String> {
    let pair = |pair: &String| {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| "write --context KEY=VALUE".to_owned())?;
        Ok((Bytes::from(key.to_owned()), Bytes::from(value.to_owned())))
    };
    pairs.iter().map(pair).collect()
}

fn audit_record(input: &mut impl BufRead) -> Result<Value, String> {
    let mut line = String::new();
    let read = std::io::Read::take(&mut *input, MAX_LINE_BYTES).read_line(&mut line);
    read.map_err(|error| format!("cannot read standard input: {error}"))?;
    let record = serde_json::from_str(line.trim());
    record.map_err(|_| "there is no line of the audit log on standard input".to_owned())
}
