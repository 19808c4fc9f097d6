//! What the services' own packages sign, and what we sign in their place.

use super::vectors::VECTORS;
use super::{Call, rules};
use crate::authn::webhook::Scheme;
use crate::authn::webhook::sign::sign;
use crate::authn::webhook::standard::HeaderNames;
use crate::clock::Timestamp;
use crate::secret::Secret;

#[test]
fn verifies_what_the_services_own_packages_sign() {
    for vector in VECTORS {
        let scheme = match vector.scheme {
            "stripe" => Scheme::Stripe,
            "slack" => Scheme::Slack,
            "github" => Scheme::GitHub,
            "standard" => Scheme::Standard(HeaderNames::Webhook),
            "svix" => Scheme::Standard(HeaderNames::Svix),
            "shopify" => Scheme::Shopify,
            "twilio" => Scheme::Twilio,
            other => panic!("{other}"),
        };
        let timed = scheme.signs_time();
        let rules = rules(scheme, &[vector.secret]);
        let mut call = Call::new(vector.method, vector.url, vector.body);
        for (name, value) in vector.headers {
            call = call.with(name, *value);
        }
        let accepted = call.verify_at(&rules, vector.now);
        let accepted = accepted.unwrap_or_else(|refusal| panic!("{}: {refusal:?}", vector.by));
        assert_eq!(accepted.once.is_some(), timed, "{}", vector.by);
        assert_eq!(accepted.until.is_some(), timed, "{}", vector.by);
        assert_eq!(
            accepted.created.map(Timestamp::seconds),
            timed.then_some(vector.now)
        );

        let altered = match vector.body {
            "" => call.clone().set("content-type", "text/plain").body("x"),
            body => call.clone().body(format!("{body} ")),
        };
        assert!(
            altered.verify_at(&rules, vector.now).is_err(),
            "{}",
            vector.by
        );
    }
}

#[test]
fn our_signer_makes_what_the_services_own_packages_make() {
    for vector in VECTORS {
        let value = |name: &str| {
            let mut headers = vector.headers.iter();
            headers.find(|(other, _)| *other == name).map(|(_, v)| *v)
        };
        let (scheme, signature) = match vector.scheme {
            "stripe" => (Scheme::Stripe, "stripe-signature"),
            "slack" => (Scheme::Slack, "x-slack-signature"),
            "github" => (Scheme::GitHub, "x-hub-signature-256"),
            "standard" => (Scheme::Standard(HeaderNames::Webhook), "webhook-signature"),
            "svix" => (Scheme::Standard(HeaderNames::Svix), "svix-signature"),
            "shopify" => (Scheme::Shopify, "x-shopify-hmac-sha256"),
            _ if vector.by.ends_with("HMAC-SHA256") => continue,
            _ => (Scheme::Twilio, "x-twilio-signature"),
        };
        // Our signer adds the digest of the body to the address by itself.
        let bare = match vector.url.find("bodySHA256") {
            Some(at) => vector.url.get(..at - 1).unwrap(),
            None => vector.url,
        };
        let mut call = Call::new(vector.method, bare, vector.body);
        for (name, value) in vector.headers {
            if *name == "content-type" {
                call = call.with(name, *value);
            }
        }
        let secret = Secret::new(vector.secret.into());
        let now = Timestamp::from_seconds(vector.now);
        let ids = ["webhook-id", "svix-id"];
        let id = vector.headers.iter().find(|(name, _)| ids.contains(name));
        let id = id.map_or("unused", |(_, id)| id);
        let signed = call.judge(|message| sign(message, &scheme, &secret, now, id));
        let signed = signed.unwrap();
        assert_eq!(signed.headers[0].0, signature);
        assert_eq!(
            Some(signed.headers[0].1.as_str()),
            value(signature),
            "{}",
            vector.by
        );
        if let Some(query) = signed.query {
            let query = String::from_utf8(query).unwrap();
            assert!(vector.url.ends_with(&query), "{}", vector.by);
        }
    }
}
