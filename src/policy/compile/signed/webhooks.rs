//! Webhooks: whose they are, or how they are described.

use std::sync::Arc;

use super::{Context, warn_short};
use crate::authn::signature::Freshness;
use crate::authn::signed::{Keyed, Signed, Signer};
use crate::authn::webhook;
use crate::authn::webhook::custom::{self, Custom, Encoding, TimeFormat, TimePlace, Written};
use crate::authn::webhook::standard::HeaderNames;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::scope::ScopeSet;
use crate::policy::source::Located;
use crate::policy::source::signed::{CustomSource, SignedSource, WebhookSource};

/// Compiles one authenticator of webhooks. Mistakes are pushed to `out`.
pub(super) fn rules(
    source: &SignedSource,
    webhook: &WebhookSource,
    freshness: Freshness,
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Signed> {
    let scheme = webhook_scheme(webhook, out)?;
    if !scheme.signs_time() {
        for (key, said) in [
            ("max_age", &source.max_age),
            ("clock_skew", &source.clock_skew),
        ] {
            if let Some(said) = said {
                let message = format!(
                    "`{key}` has no meaning: `{}` signs no time",
                    scheme.as_str()
                );
                out.push(
                    Diagnostic::error("no-time-signed", &said.place, message).with_help(
                        "take it out: nothing here keeps a message from being sent again",
                    ),
                );
            }
        }
    }
    if webhook.secrets.is_empty() {
        // What is wrong with them was told.
        return None;
    }
    let mut secrets = Vec::new();
    for source in &webhook.secrets {
        let secret = context.ports.secrets.get(&source.value)?;
        warn_short(secret, Some(source), out);
        secrets.push(secret.clone());
    }
    let (_, unique) = context.name;
    let subject = scheme.as_str();
    let rules = match webhook::Rules::new(scheme, &secrets, freshness) {
        Ok(rules) => rules,
        Err(error) => {
            out.push(
                Diagnostic::error("bad-secret", &source.place, format!("`secrets`: {error}"))
                    .hide_snippet(),
            );
            return None;
        }
    };
    for (_, credential) in &context.credentials {
        out.push(
            Diagnostic::error(
                "wrong-credential",
                &credential.place,
                "webhooks have no consumers: their secrets stand under `secrets` of the authenticator",
            )
            .hide_snippet(),
        );
    }
    let signer = Signer {
        kind: "webhook",
        id: subject.into(),
        principal_id: format!("{unique}:{subject}").into(),
        subject: subject.into(),
        consumer: None,
        scopes: ScopeSet::default(),
        expires: None,
    };
    let memory = context.ports.replays.of(&format!("{unique}\n"));
    let keyed = Keyed {
        signer: Arc::new(signer),
        memory,
        key: (),
    };
    Some(Signed::Webhook(rules, keyed))
}

/// Whose webhooks they are. Mistakes are pushed to `out`.
pub fn webhook_scheme(webhook: &WebhookSource, out: &mut Diagnostics) -> Option<webhook::Scheme> {
    let names = webhook.headers.as_ref().map(|names| names.value.as_str());
    let standard = match names {
        Some("webhook") => HeaderNames::Webhook,
        Some("svix") => HeaderNames::Svix,
        _ => HeaderNames::Either,
    };
    let scheme = webhook.scheme.as_ref().map(|scheme| scheme.value.as_str());
    if let Some(names) = webhook
        .headers
        .as_ref()
        .filter(|_| scheme != Some("standard"))
    {
        let message = "`headers` goes with `scheme: standard` only";
        out.push(Diagnostic::error("bad-webhook", &names.place, message));
    }
    Some(match (scheme, &webhook.custom) {
        (Some("stripe"), _) => webhook::Scheme::Stripe,
        (Some("slack"), _) => webhook::Scheme::Slack,
        (Some("github"), _) => webhook::Scheme::GitHub,
        (Some("standard"), _) => webhook::Scheme::Standard(standard),
        (Some("shopify"), _) => webhook::Scheme::Shopify,
        (Some("twilio"), _) => webhook::Scheme::Twilio,
        (_, Some(written)) => webhook::Scheme::Custom(Box::new(custom(written, out)?)),
        // What it is was told to be none.
        _ => return None,
    })
}

fn custom(source: &CustomSource, out: &mut Diagnostics) -> Option<Custom> {
    let lower = |text: &Located<String>| text.value.to_ascii_lowercase();
    let word = |text: &Option<Located<String>>| text.as_ref().map(|text| text.value.clone());
    let mut written = Written::over_body(&lower(&source.header));
    written.prefix = word(&source.prefix).unwrap_or_default();
    written.element = word(&source.element);
    if let Some(separator) = &source.separator {
        let mut characters = separator.value.chars();
        match (characters.next(), characters.next()) {
            (Some(one), None) => written.separator = one,
            _ => {
                let message = "`separator` is one character";
                out.push(Diagnostic::error("bad-webhook", &separator.place, message));
            }
        }
    }
    if word(&source.encoding).as_deref() == Some("base64") {
        written.encoding = Encoding::Base64;
    }
    if let Some(algorithm) = word(&source.algorithm)
        && let Some(algorithm) = custom::Algorithm::from_name(&algorithm)
    {
        written.algorithm = algorithm;
    }
    if let Some(template) = word(&source.template) {
        written.template = template;
    }
    let format = match word(&source.timestamp_format).as_deref() {
        Some("milliseconds") => TimeFormat::Milliseconds,
        Some("rfc3339") => TimeFormat::Rfc3339,
        _ => TimeFormat::Seconds,
    };
    let place = match (&source.timestamp, &source.timestamp_element) {
        (Some(header), _) => Some(TimePlace::Header(lower(header))),
        (None, Some(element)) => Some(TimePlace::Element(element.value.clone())),
        (None, None) => None,
    };
    written.timestamp = place.map(|place| (place, format));
    written.id = source.id.as_ref().map(lower);
    match Custom::new(written) {
        Ok(custom) => Some(custom),
        Err(error) => {
            let message = format!("this describes no signature: {error}");
            out.push(Diagnostic::error("bad-webhook", &source.place, message));
            None
        }
    }
}
