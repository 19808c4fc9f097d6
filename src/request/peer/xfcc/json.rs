//! The JSON form (Envoy 1.38): an array of objects, whose certificates are plain PEM.
//!
//! Envoy adds its own object before the last `]` of a header that begins with `[` and ends with `]`, and
//! reads no more of it. Since the whole has to be JSON, that last bracket closes the array, and the last
//! object is Envoy's whatever stands before it.

use serde::Deserialize;

use crate::request::peer::xfcc::{Element, MAX_ELEMENTS, MAX_NAMES, hash};
use crate::request::peer::{BadPeer, MAX_CHAIN, one_certificate, pem};

/// One object; a key that is not here, or stands twice, is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(default)]
    by: Vec<String>,
    hash: Option<String>,
    cert: Option<String>,
    #[serde(default)]
    chain: Vec<String>,
    subject: Option<String>,
    issuer: Option<String>,
    #[serde(default)]
    uri: Vec<String>,
    #[serde(default)]
    dns: Vec<String>,
}

/// Reads a header that begins with `[`.
pub(super) fn parse(raw: &str) -> Result<Vec<Element>, BadPeer> {
    let objects: Vec<Object> = serde_json::from_str(raw).map_err(|_| {
        BadPeer::Xfcc("this is no JSON array of objects with the keys that Envoy writes")
    })?;
    match objects.len() {
        0 => Err(BadPeer::Xfcc("the JSON array is empty")),
        1..=MAX_ELEMENTS => objects.into_iter().map(element).collect(),
        _ => Err(BadPeer::Xfcc("there are more than 16 elements")),
    }
}

fn element(object: Object) -> Result<Element, BadPeer> {
    const CERT: &str = "x-forwarded-client-cert cert";
    const CHAIN: &str = "x-forwarded-client-cert chain";
    if object.chain.len() > MAX_CHAIN {
        return Err(BadPeer::Pem(CHAIN, pem::BadPem::TooMany));
    }
    let cert = object.cert.as_deref();
    let chain = object.chain.iter();
    Ok(Element {
        hash: object.hash.as_deref().map(hash).transpose()?,
        cert: cert
            .map(|cert| one_certificate(cert.as_bytes(), CERT))
            .transpose()?,
        chain: chain
            .map(|cert| one_certificate(cert.as_bytes(), CHAIN))
            .collect::<Result<_, _>>()?,
        subject: object
            .subject
            .map(distinguished_name)
            .transpose()?
            .flatten(),
        issuer: object.issuer.map(distinguished_name).transpose()?.flatten(),
        by: names(object.by)?,
        uris: names(object.uri)?,
        dns_names: names(object.dns)?,
    })
}

fn names(names: Vec<String>) -> Result<Vec<String>, BadPeer> {
    if names.len() > MAX_NAMES {
        return Err(BadPeer::Xfcc(
            "an element holds more than 128 names of one kind",
        ));
    }
    let good = |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if !names.iter().all(good) {
        return Err(BadPeer::Xfcc(
            "a name is empty, holds a space, or is no ASCII",
        ));
    }
    Ok(names)
}

fn distinguished_name(text: String) -> Result<Option<String>, BadPeer> {
    if text.chars().any(char::is_control) {
        return Err(BadPeer::Xfcc(
            "a `subject` or `issuer` holds a control character",
        ));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}
