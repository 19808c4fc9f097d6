//! Telling a caller what to sign: `Accept-Signature` (RFC 9421 section 5).

use crate::authn::http_signature::rules::Rules;

/// The label that is asked for where the rules name none.
pub const DEFAULT_LABEL: &str = "sig1";

/// The value of `Accept-Signature` for a request. What describes a body is left out where the request that is
/// answered was known to have none.
///
/// A nonce cannot be asked for: the parameter carries a nonce of the server's own choice, which would have to
/// be kept.
pub fn accept_signature(rules: &Rules, with_body: bool) -> String {
    let label = rules.label.as_deref().unwrap_or(DEFAULT_LABEL);
    let covered: Vec<String> = rules
        .require
        .iter()
        .filter(|required| with_body || !required.is_about_content())
        .map(|required| required.identifier())
        .collect();
    let mut value = format!("{label}=({});created", covered.join(" "));
    // With several algorithms the signer's key decides.
    if let [only] = rules.algorithms.as_slice() {
        value.push_str(&format!(";alg=\"{}\"", only.name()));
    }
    if let Some(tag) = &rules.tag {
        value.push_str(&format!(
            ";tag=\"{}\"",
            tag.replace('\\', "\\\\").replace('"', "\\\"")
        ));
    }
    value
}
