//! Secrets that policies refer to, read with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::inputs::ReferredFiles;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::compile::Secrets;
use crate::policy::source::signed::SecretSource;
use crate::policy::source::{Located, PolicySet};
use crate::secret::Secret;

/// Reads every secret of a policy set. One that cannot be had is a mistake of the policy, unless they are not
/// `needed`: then another stands in for it. A file that nobody refers to any more but policies that served
/// before is taken from the secrets that were `known` to them.
pub fn read(
    set: &PolicySet,
    files: &ReferredFiles,
    needed: bool,
    known: &Secrets,
    out: &mut Diagnostics,
) -> Secrets {
    let mut secrets = Secrets::default();
    for source in set.secrets() {
        let before = source.value.file().filter(|path| files.is_unread(path));
        if let Some(secret) = before.and_then(|_| known.get(&source.value)) {
            secrets.insert(&source.value, secret.clone());
            continue;
        }
        let mut found = Diagnostics::default();
        let secret = one(source, files, &mut found);
        if needed || matches!(source.value, SecretSource::Literal(_)) {
            out.append(found);
        }
        // In the form that the pickiest kind wants, which is as good as any for the others.
        let secret = secret.or_else(|| (!needed).then(random).flatten());
        if let Some(secret) = secret {
            secrets.insert(&source.value, secret);
        }
    }
    secrets
}

fn random() -> Option<Secret> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(Secret::new(
        format!("whsec_{}", STANDARD.encode(bytes)).into_bytes(),
    ))
}

fn one(
    source: &Located<SecretSource>,
    files: &ReferredFiles,
    out: &mut Diagnostics,
) -> Option<Secret> {
    let mut refuse = |code, message: String, help: &'static str| {
        let error = Diagnostic::error(code, &source.place, message).with_help(help);
        out.push(error.hide_snippet());
        None
    };
    let bytes = match &source.value {
        SecretSource::File(path) => match files.get(path) {
            Ok(bytes) => bytes.to_vec(),
            Err(error) => {
                let message = format!("cannot read the secret {}: {error}", path.display());
                let help = "relative paths start at the directory of the policy file";
                return refuse("unreadable-file", message, help);
            }
        },
        SecretSource::Environment(name) => match variable(name) {
            Some(bytes) => bytes,
            None => {
                let message = format!("the environment has no variable `{name}`");
                let help = "set it for the process that serves, or use `{file: PATH}`";
                return refuse("missing-variable", message, help);
            }
        },
        SecretSource::Literal(secret) => secret.expose().to_vec(),
    };
    // What an editor, `echo` or `kubectl create secret` puts behind it is no part of it.
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    let trimmed = end.and_then(|end| bytes.get(..=end)).unwrap_or_default();
    let secret = Secret::new(trimmed.to_vec());
    drop(Secret::new(bytes));
    if secret.expose().is_empty() {
        let message = "the secret is empty: anybody could sign with it".to_owned();
        return refuse(
            "empty-secret",
            message,
            "put the secret in, or take the reference out",
        );
    }
    Some(secret)
}

#[expect(
    clippy::disallowed_methods,
    reason = "policies name the variable: no setting could know of it before"
)]
fn variable(name: &str) -> Option<Vec<u8>> {
    // A name with `=` or NUL is none, and asking for it panics on some systems.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::read;
    use crate::config::inputs::ReferredFiles;
    use crate::diagnostic::Diagnostics;
    use crate::policy::compile::Secrets;
    use crate::policy::source::signed::SecretSource;
    use crate::test_support;

    /// The secret of a webhook whose `secrets` reads like this, or the codes of what is wrong.
    fn secret(written: &str) -> Result<Vec<u8>, Vec<&'static str>> {
        let mut out = Diagnostics::default();
        let text =
            format!("authenticators: {{a: {{webhook: {{scheme: stripe, secrets: [{written}]}}}}}}");
        let set = test_support::read(&[("policy.yaml", &text)], &mut out);
        let files = ReferredFiles::read(set.referred_files().map(std::path::Path::to_owned));
        let secrets = read(&set, &files, true, &Secrets::default(), &mut out);
        let codes: Vec<&str> = out.iter().map(|mistake| mistake.code).collect();
        assert!(!out.render().contains("hunter2"), "{}", out.render());
        let source = set.secrets().next();
        source
            .and_then(|source| secrets.get(&source.value))
            .map(|secret| secret.expose().to_vec())
            .ok_or(codes)
    }

    #[test]
    fn k3_reads_secrets_without_the_line_end_and_refuses_empty_ones() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path: PathBuf = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            format!("{{file: '{}'}}", path.display())
        };
        for (written, expected) in [
            (file("a", "hunter2"), Ok(&b"hunter2"[..])),
            (file("b", "hunter2\n"), Ok(b"hunter2")),
            (file("c", "hunter2\r\n\n"), Ok(b"hunter2")),
            (file("d", " hunter2 "), Ok(b" hunter2 ")),
            (file("e", ""), Err(vec!["empty-secret"])),
            (file("f", "\n\r\n"), Err(vec!["empty-secret"])),
            (
                "{file: /nowhere/at/all}".to_owned(),
                Err(vec!["unreadable-file"]),
            ),
            ("{insecure_literal: hunter2}".to_owned(), Ok(b"hunter2")),
            (
                "{insecure_literal: ''}".to_owned(),
                Err(vec!["empty-secret"]),
            ),
            (
                "{env: NO_SUCH_VARIABLE_HERE}".to_owned(),
                Err(vec!["missing-variable"]),
            ),
            ("{env: 'A=B'}".to_owned(), Err(vec!["missing-variable"])),
            ("{env: ''}".to_owned(), Err(vec!["missing-variable"])),
            ("hunter2".to_owned(), Err(vec!["secret-written"])),
            ("{file: a, env: B}".to_owned(), Err(vec!["bad-secret"])),
            ("{}".to_owned(), Err(vec!["bad-secret"])),
        ] {
            assert_eq!(
                secret(&written).as_deref(),
                expected.as_deref(),
                "{written}"
            );
        }
        let variable = secret("{env: CARGO_PKG_NAME}");
        assert_eq!(variable.as_deref(), Ok(&b"portcullis"[..]));
    }

    #[test]
    fn a_file_that_nobody_read_is_an_error() {
        let mut out = Diagnostics::default();
        let text = "authenticators: {a: {webhook: {scheme: stripe, secrets: [{file: x}]}}}";
        let set = test_support::read(&[("policy.yaml", text)], &mut out);
        let secrets = read(
            &set,
            &ReferredFiles::default(),
            true,
            &Secrets::default(),
            &mut out,
        );
        let source = SecretSource::File(PathBuf::from("x"));
        assert!(secrets.get(&source).is_none());
        assert!(out.has_errors());
    }
}
