//! Consumers and credentials that have ended.

use crate::clock::Timestamp;
use crate::diagnostic::Diagnostic;
use crate::policy::compile::lint::Findings;
use crate::policy::source::{CredentialKind, PolicySet};

pub(super) fn lint(set: &PolicySet, now: Timestamp, found: &mut Findings) {
    for consumer in &set.consumers {
        let name = &consumer.name;
        if let Some(end) = consumer.value.expires.filter(|end| *end <= now) {
            let message = format!(
                "the consumer `{}` expired {}: its credentials are refused",
                name.value,
                on(end)
            );
            found.push(
                Diagnostic::warning("expired-consumer", &name.place, message)
                    .with_help("move `expires` into the future, or take the consumer out"),
            );
            continue;
        }
        let credentials = consumer.value.credentials.iter();
        for credential in credentials.flat_map(|list| &list.value) {
            let (id, end) = match &credential.kind {
                CredentialKind::Key { id, expires, .. } => (id, expires),
                CredentialKind::Signer(signer) => (&signer.id, &signer.expires),
                CredentialKind::Claim { .. } | CredentialKind::Peer(_) => continue,
            };
            if let Some(end) = end.as_ref().filter(|end| **end <= now) {
                let message = format!(
                    "the key `{}` of `{}` expired {}: it is refused",
                    id.value,
                    name.value,
                    on(*end)
                );
                found.push(
                    Diagnostic::warning("expired-credential", &id.place, message)
                        .with_help("take it out, or make a new one with `portcullis keys new`"),
                );
            }
        }
    }
}

/// `on 2026-12-01` at midnight, else `at 2026-12-01T12:00:00Z`; in UTC, to the second.
fn on(end: Timestamp) -> String {
    let text = end.to_rfc3339();
    let second = text.split('.').next().unwrap_or(&text);
    match second.strip_suffix("T00:00:00") {
        Some(day) => format!("on {day}"),
        None => format!("at {second}Z"),
    }
}
