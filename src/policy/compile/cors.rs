//! `cors`: origins and header names read, contradictions found.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, excerpt};
use crate::headers::is_header_name;
use crate::policy::cors::origin::{OriginPattern, Origins};
use crate::policy::cors::{Cors, HeaderNames};
use crate::policy::source::{CorsSource, Located};

/// The most entries of one list.
const MAX_ENTRIES: usize = 256;

/// The longest `max_age`, in seconds: browsers remember no preflight for longer.
const MAX_AGE: u64 = 24 * 60 * 60;

/// Each `cors` that was met, compiled once: routes that inherit it share it.
#[derive(Default)]
pub(super) struct CorsLevels(HashMap<usize, Option<Arc<Cors>>>);

impl CorsLevels {
    /// The compiled form. Mistakes are reported the first time.
    pub(super) fn compile(
        &mut self,
        source: &Located<CorsSource>,
        out: &mut Diagnostics,
    ) -> Option<Arc<Cors>> {
        let key = std::ptr::from_ref(source).addr();
        let known = self.0.entry(key);
        known
            .or_insert_with(|| compile(&source.value, out).map(Arc::new))
            .clone()
    }
}

fn compile(source: &CorsSource, out: &mut Diagnostics) -> Option<Cors> {
    let mut patterns = Vec::new();
    bound("origins", &source.origins, out);
    for origin in &source.origins {
        match OriginPattern::parse(&origin.value) {
            Ok(OriginPattern::Any) if source.origins.len() > 1 => {
                let message = "`*` admits every origin; the others beside it say nothing";
                out.push(
                    Diagnostic::error("bad-cors", &origin.place, message)
                        .with_help("write `origins: [\"*\"]`, or leave the `*` out"),
                );
            }
            Ok(OriginPattern::Any) if source.credentials => {
                let message = "`*` cannot stand with `credentials: true`: any page could act for whoever is logged in";
                out.push(
                    Diagnostic::error("bad-cors", &origin.place, message)
                        .with_help("list the origins, as in `https://app.example.com`"),
                );
            }
            Ok(pattern) => patterns.push(pattern),
            Err(why) => {
                let message = format!("`{}` is no origin", excerpt(&origin.value));
                out.push(Diagnostic::error("bad-origin", &origin.place, message).with_help(why));
            }
        }
    }
    let headers = names("headers", &source.headers, source.credentials, out);
    let expose = names("expose", &source.expose, source.credentials, out);
    if let Some(age) = source.max_age.as_ref().filter(|age| age.value > MAX_AGE) {
        let message = "`max_age` is longer than browsers remember a preflight";
        out.push(
            Diagnostic::error("out-of-range", &age.place, message)
                .with_help("write a duration up to `24h`"),
        );
    }
    if patterns.is_empty() {
        return None;
    }
    Some(Cors::new(
        Origins::new(patterns),
        headers,
        &expose,
        source.credentials,
        source.max_age.as_ref().map(|age| age.value),
    ))
}

fn names(
    key: &str,
    written: &[Located<String>],
    credentials: bool,
    out: &mut Diagnostics,
) -> HeaderNames {
    let mut names = HeaderNames::default();
    bound(key, written, out);
    for name in written {
        let lower = name.value.to_ascii_lowercase();
        if lower == "*" {
            if credentials {
                // With credentials a browser takes `*` for a header of that name.
                let message = format!("`*` in `{key}` means nothing with `credentials: true`");
                out.push(
                    Diagnostic::error("bad-cors", &name.place, message)
                        .with_help("list the headers by name"),
                );
            }
            names.any = true;
        } else if is_header_name(&lower) {
            names.named.push(lower.into());
        } else {
            let message = format!("`{}` is no header name", excerpt(&name.value));
            out.push(Diagnostic::error("bad-header", &name.place, message));
        }
    }
    names
}

fn bound(key: &str, written: &[Located<String>], out: &mut Diagnostics) {
    if let Some(beyond) = written.get(MAX_ENTRIES) {
        let message = format!("`{key}` has more than {MAX_ENTRIES} entries");
        out.push(Diagnostic::error("out-of-range", &beyond.place, message));
    }
}
