//! Authenticators by client certificate that are configured otherwise.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::policy::diff::authenticators::compare_sets;
use crate::policy::diff::{Difference, Effect, Side};
use crate::policy::source::Located;
use crate::policy::source::mtls::{MtlsSource, PeerSource};

/// Compares two definitions of one authenticator.
pub(super) fn compare(
    was: &MtlsSource,
    is: &MtlsSource,
    (old, new): (&Side<'_>, &Side<'_>),
    out: &mut Vec<Difference>,
) {
    let MtlsSource {
        trust_domains,
        identity,
        allow,
        except,
        any_workload: _,
        any_certificate: _,
        bundles: _,
        ca: _,
        crls: _,
        unknown_revocation_accept,
        pins,
        verified_by_envoy: _,
        place: _,
    } = is;
    let domains = |source: &Option<Vec<Located<String>>>| -> BTreeSet<String> {
        let all = source.iter().flatten();
        all.map(|domain| domain.value.clone()).collect()
    };
    compare_sets(
        &domains(&was.trust_domains),
        &domains(trust_domains),
        "the trust domain",
        out,
    );
    let name = |source: &MtlsSource| source.identity.as_ref().map(|one| one.value.clone());
    if name(was) != identity.as_ref().map(|one| one.value.clone()) {
        let text = "holders of certificates are called by something else (`identity`)";
        out.push(Difference::new(Effect::Changed, text));
    }
    match (&was.allow, allow) {
        (None, None) => {}
        (Some(_), None) => {
            let text = "every certificate that is trusted is meant";
            out.push(Difference::new(Effect::Opened, text));
        }
        (None, Some(allow)) => {
            let text = format!("means {} only", listed(&told(&allow.value)));
            out.push(Difference::new(Effect::Closed, text));
        }
        (Some(before), Some(after)) => {
            compare_sets(
                &told(&before.value),
                &told(&after.value),
                "certificates of",
                out,
            );
        }
    }
    let (before, after) = (told(&was.except), told(except));
    for one in after.difference(&before) {
        let text = format!("leaves out `{one}`");
        out.push(Difference::new(Effect::Closed, text));
    }
    for one in before.difference(&after) {
        let text = format!("does not leave out `{one}` any more");
        out.push(Difference::new(Effect::Opened, text));
    }
    let pinned = |pins: &Option<Vec<PeerSource>>| told(pins.as_deref().unwrap_or_default());
    compare_sets(&pinned(&was.pins), &pinned(pins), "the pin", out);
    let (before, after) = (authorities(was, old), authorities(is, new));
    if before != after {
        let text =
            "certificates are vouched for by others (`bundles`, `ca`, `pins`, `verified_by`)";
        out.push(Difference::new(Effect::Changed, text));
    }
    if lists(was, old) != lists(is, new) {
        let text = "other revocation lists are judged (`crls`)";
        out.push(Difference::new(Effect::Changed, text));
    }
    let accepts = |said: &Option<Located<bool>>| said.as_ref().is_some_and(|said| said.value);
    match (
        accepts(&was.unknown_revocation_accept),
        accepts(unknown_revocation_accept),
    ) {
        (false, true) => {
            let text = "certificates of which no revocation list speaks are accepted";
            out.push(Difference::new(Effect::Opened, text));
        }
        (true, false) => {
            let text = "certificates of which no revocation list speaks are not accepted any more";
            out.push(Difference::new(Effect::Closed, text));
        }
        _ => {}
    }
}

/// What names peers, each as it is written.
fn told(list: &[PeerSource]) -> BTreeSet<String> {
    list.iter().map(PeerSource::told).collect()
}

fn listed(words: &BTreeSet<String>) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// Who vouches. A file is what it holds, wherever it stands.
fn authorities(source: &MtlsSource, side: &Side<'_>) -> BTreeSet<String> {
    let bundles = source.bundles.iter().flatten();
    let bundles = bundles.map(|(name, path)| format!("{} {}", name.value, file(path, side)));
    let ca = source.ca.iter().map(|path| file(path, side));
    let envoy = source.bundles.is_none() && source.ca.is_none() && source.pins.is_none();
    let envoy = envoy.then(|| "envoy".to_owned());
    bundles.chain(ca).chain(envoy).collect()
}

fn lists(source: &MtlsSource, side: &Side<'_>) -> BTreeSet<String> {
    source.crls.iter().map(|path| file(path, side)).collect()
}

fn file(path: &Located<PathBuf>, side: &Side<'_>) -> String {
    match side.files.get(&path.value) {
        Some(digest) => digest.to_hex(),
        None => format!("unread {}", path.value.display()),
    }
}
