//! Signed requests that somebody may send again or alter, and secrets that stand in policies.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::compile::lint::Findings;
use crate::policy::compile::webhook_scheme;
use crate::policy::source::signed::{SecretSource, SignedKindSource, SignedSource};
use crate::policy::source::{KindSource, Located, PolicySet};

pub(super) fn lint(set: &PolicySet, found: &mut Findings) {
    for authenticator in &set.authenticators {
        if let Some(KindSource::Signed(signed)) = &authenticator.value.kind {
            kind(&authenticator.name, signed, found);
        }
    }
    for secret in set.secrets() {
        // A public key may be written down as it is: it begins so, and no secret does.
        let literal = match &secret.value {
            SecretSource::Literal(text) => !text.expose().starts_with(b"-----BEGIN PUBLIC KEY"),
            SecretSource::File(_) | SecretSource::Environment(_) => false,
        };
        if literal {
            let message = "a secret is written here, where everybody reads it who reads policies";
            found.push(
                Diagnostic::warning("literal-secret", &secret.place, message)
                    .hide_snippet()
                    .with_help("write `{file: PATH}` or `{env: NAME}`"),
            );
        }
    }
}

fn kind(name: &Located<String>, signed: &SignedSource, found: &mut Findings) {
    match &signed.kind {
        SignedKindSource::Webhook(webhook) => {
            // What is wrong with it was told when it was compiled.
            let scheme = webhook_scheme(webhook, &mut Diagnostics::default());
            for note in scheme.iter().flat_map(|scheme| scheme.notes()) {
                found.push(
                    Diagnostic::warning("weak-webhook", &name.place, note).with_help(
                        "where the sender leaves no choice, have the upstream take each message once, and say `# portcullis: allow(weak-webhook)`",
                    ),
                );
            }
        }
        SignedKindSource::Sigv4(aws) if aws.unsigned_payload => {
            let message = "`unsigned_payload: true` lets bodies through that nobody signed";
            found.push(
                Diagnostic::warning("unsigned-body", &name.place, message)
                    .with_help("take it out if the clients can hash what they send"),
            );
        }
        SignedKindSource::Oauth1(oauth) => {
            if oauth.body_hash_optional {
                let message = "`body_hash: optional` lets bodies through that nobody signed, unless they are forms";
                found.push(
                    Diagnostic::warning("unsigned-body", &name.place, message)
                        .with_help("take it out if the clients send `oauth_body_hash`"),
                );
            }
            if let Some(method) = oauth.methods.iter().find(|m| m.value == "PLAINTEXT") {
                let message = "`PLAINTEXT` proves the caller and nothing of the request, and shows the secret to whoever reads it";
                found.push(
                    Diagnostic::warning("plaintext-signature", &method.place, message)
                        .with_help("use HMAC-SHA256"),
                );
            }
        }
        _ => {}
    }
}
