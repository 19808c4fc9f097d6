//! Webhooks, as the services' own SDKs sign them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Over, SECRET, Scene, assert_identity, assert_told, policies};
use crate::support::signers::{Signed, job, order, sign};
use crate::world::now;

/// What may be done with a message that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signs {
    /// A time: it passes once.
    Time,
    /// No time: nothing keeps it from being sent again.
    NoTime,
}

/// A service and its SDK.
struct Service {
    /// Without `secrets`.
    settings: &'static str,
    program: &'static str,
    job: Value,
    /// The headers that hold the signature.
    gone: &'static [&'static str],
    signs: Signs,
}

fn service(
    settings: &'static str,
    program: &'static str,
    job: Value,
    gone: &'static [&'static str],
    signs: Signs,
) -> Service {
    Service {
        settings,
        program,
        job,
        gone,
        signs,
    }
}

fn standard_secret(of: &str) -> String {
    format!("whsec_{}", STANDARD.encode(of))
}

/// As [`order`], to the path of a webhook.
fn message() -> Value {
    job(
        &order(),
        &json!({"url": "http://api.example.com/orders/hook?from=shop"}),
    )
}

fn form(more: &Value) -> Value {
    let form = json!({
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        "body": "From=%2B49123&Body=t%C3%A9a+and+cake&Empty=",
    });
    job(&form, more)
}

fn services() -> Vec<Service> {
    let hub = &["x-hub-signature-256"];
    let standard = json!({"scheme": "standard", "id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"});
    let twilio = json!({"scheme": "twilio"});
    vec![
        service(
            "scheme: stripe",
            "webhook.py",
            json!({"scheme": "stripe"}),
            &["stripe-signature"],
            Signs::Time,
        ),
        service(
            "scheme: stripe",
            "webhook.mjs",
            json!({"scheme": "stripe"}),
            &["stripe-signature"],
            Signs::Time,
        ),
        service(
            "scheme: slack",
            "webhook.py",
            json!({"scheme": "slack"}),
            &["x-slack-signature"],
            Signs::Time,
        ),
        service(
            "scheme: standard",
            "webhook.py",
            standard.clone(),
            &["webhook-signature"],
            Signs::Time,
        ),
        service(
            "scheme: standard, headers: webhook",
            "webhook.mjs",
            standard.clone(),
            &["webhook-signature"],
            Signs::Time,
        ),
        service(
            "scheme: standard, headers: svix",
            "webhook.py",
            job(&standard, &json!({"svix": true})),
            &["svix-signature"],
            Signs::Time,
        ),
        service(
            "scheme: github",
            "webhook.py",
            json!({"scheme": "github"}),
            hub,
            Signs::NoTime,
        ),
        service(
            "scheme: github",
            "webhook.mjs",
            json!({"scheme": "github"}),
            hub,
            Signs::NoTime,
        ),
        service(
            "scheme: shopify",
            "webhook.py",
            json!({"scheme": "shopify"}),
            &["x-shopify-hmac-sha256"],
            Signs::NoTime,
        ),
        service(
            "scheme: twilio",
            "webhook.py",
            twilio.clone(),
            &["x-twilio-signature"],
            Signs::NoTime,
        ),
        service(
            "scheme: twilio",
            "webhook.py",
            form(&twilio),
            &["x-twilio-signature"],
            Signs::NoTime,
        ),
        service(
            "scheme: twilio",
            "webhook.py",
            form(&job(&twilio, &json!({"algorithm": "HMAC_SHA256"}))),
            &["x-twilio-signature"],
            Signs::NoTime,
        ),
        service(
            "custom: {header: x-acme-signature, element: v1, template: '{timestamp}.{body}', timestamp: {element: t}}",
            "webhook.py",
            json!({"scheme": "stripe", "header": "X-Acme-Signature"}),
            &["x-acme-signature"],
            Signs::Time,
        ),
        service(
            "custom: {header: x-acme-signature, prefix: v0=, template: 'v0:{timestamp}:{body}', timestamp: {header: x-acme-time}}",
            "webhook.py",
            json!({"scheme": "slack", "header": "X-Acme-Signature", "timestamp_header": "X-Acme-Time"}),
            &["x-acme-signature"],
            Signs::Time,
        ),
        service(
            "custom: {header: x-acme-signature, encoding: base64, template: '{id}.{timestamp}.{body}', timestamp: {header: webhook-timestamp}, id: webhook-id}",
            "webhook.py",
            job(&standard, &json!({"header": "X-Acme-Signature"})),
            &["x-acme-signature"],
            Signs::Time,
        ),
        service(
            "custom: {header: x-shopify-hmac-sha256, encoding: base64}",
            "webhook.py",
            json!({"scheme": "shopify"}),
            &["x-shopify-hmac-sha256"],
            Signs::NoTime,
        ),
        service(
            "custom: {header: x-hub-signature-256, prefix: sha256=}",
            "webhook.mjs",
            json!({"scheme": "github"}),
            hub,
            Signs::NoTime,
        ),
    ]
}

impl Service {
    fn is_custom(&self) -> bool {
        self.settings.starts_with("custom")
    }

    fn scheme(&self) -> &str {
        match self.is_custom() {
            true => "custom",
            false => self.job["scheme"].as_str().expect("a scheme"),
        }
    }

    /// The secret as this service shows it, to its SDK and to the policy.
    fn secret(&self, of: &str) -> (String, String) {
        let standard = self.job["scheme"] == "standard";
        let shown = match standard {
            true => standard_secret(of),
            false => of.to_owned(),
        };
        match standard && self.is_custom() {
            true => (shown, of.to_owned()),
            false => (shown.clone(), shown),
        }
    }

    fn policies(&self, secrets: &[&str]) -> String {
        let secrets: Vec<Value> = secrets
            .iter()
            .map(|of| json!({"insecure_literal": self.secret(of).1}))
            .collect();
        let (settings, secrets) = (self.settings, json!(secrets));
        let timed = match self.signs {
            Signs::Time => ", max_age: 60s, clock_skew: 20s",
            Signs::NoTime => "",
        };
        policies(
            &format!("{{webhook: {{{settings}, secrets: {secrets}{timed}}}}}"),
            "{}",
        )
    }

    async fn signed(&self, secret: &str, more: &Value) -> Signed {
        let secret = json!({"secret": self.secret(secret).0});
        let job = job(&job(&job(&message(), &self.job), &secret), more);
        sign(self.program, &job).await
    }

    /// Whatever the service signs, changed, with the reason that it is refused for.
    fn alterations(&self, signed: &Signed) -> Vec<(Signed, &'static str)> {
        let mismatch = "signature_mismatch";
        let header = self.gone[0];
        let mut altered = vec![
            (signed.without(header), "credentials_missing"),
            (signed.flipped(header, 8), mismatch),
        ];
        match self.job["scheme"].as_str() {
            Some("twilio") if signed.url.contains("bodySHA256") => altered.extend([
                (signed.body("{}"), "body_digest_mismatch"),
                (
                    signed.url("bodySHA256=", "bodySHA25="),
                    "signature_incomplete",
                ),
            ]),
            Some("twilio") => altered.extend([
                (
                    signed.body("From=%2B49666&Body=t%C3%A9a+and+cake&Empty="),
                    mismatch,
                ),
                (signed.body(&format!("{}&More=1", signed.body)), mismatch),
                (
                    signed.header(
                        "content-type",
                        "application/x-www-form-urlencoded",
                        "application/json",
                    ),
                    "signature_incomplete",
                ),
            ]),
            _ => altered.extend([
                (signed.body("{\"item\":\"gold\"}"), mismatch),
                (signed.body(""), mismatch),
            ]),
        }
        if self.job["scheme"] == "twilio" {
            altered.extend([
                (signed.url("/orders/hook", "/orders/hooks"), mismatch),
                (signed.url("from=shop", "from=shed"), mismatch),
                (signed.url("api.example.com", "other.example.com"), mismatch),
            ]);
        }
        if self.signs == Signs::Time {
            let stamp = signed
                .headers
                .iter()
                .find(|(name, value)| {
                    name.to_ascii_lowercase().contains("time") || value.contains("t=1")
                })
                .map(|(name, _)| name.clone())
                .expect("a time");
            let earlier = match signed.of(&stamp).contains("t=1") {
                true => signed.header(&stamp, "t=1", "t=2"),
                false => signed.header(&stamp, "1", "2"),
            };
            altered.push((earlier, mismatch));
        }
        if self.job["scheme"] == "standard" {
            let id = if signed.has("svix-id") {
                "svix-id"
            } else {
                "webhook-id"
            };
            altered.push((signed.header(id, "msg", "msf"), mismatch));
        }
        altered
    }
}

#[tokio::test]
async fn every_service_passes_and_no_altered_message_does() {
    for (turn, service) in services().into_iter().enumerate() {
        // Two secrets, as while one is replaced by the next.
        let newer = SECRET.to_uppercase();
        let yaml = service.policies(&[SECRET, &newer]);
        let scene = match turn % 2 {
            0 => Scene::start(&yaml).await,
            _ => Scene::start_raw(&yaml).await,
        };
        let who = (service.settings, service.program);
        for (over, secret) in [(Over::H1, SECRET), (Over::H2, newer.as_str())] {
            let body = format!("{{\"over\":\"{over:?}\",\"item\":\"t\u{e9}a\"}}");
            let more = match service.job.get("body") {
                Some(_) => json!({}),
                None => json!({"body": body, "id": format!("msg_{over:?}")}),
            };
            let signed = service.signed(secret, &more).await;
            for (altered, reason) in service.alterations(&signed) {
                scene.refused_for(&altered, over, reason, &who).await;
            }
            let seen = scene.passes_for(&signed, over, &who).await;
            let principal = format!("signed:{}", service.scheme());
            assert_identity(&seen, &principal, None, service.gone);
            assert_eq!(seen.body, signed.body.as_bytes());
            for over in Over::BOTH {
                match service.signs {
                    Signs::Time => {
                        let reason = "signature_replayed";
                        drop(scene.refused_for(&signed, over, reason, &who).await);
                    }
                    Signs::NoTime => drop(scene.passes_for(&signed, over, &who).await),
                }
            }
        }
        let third = service
            .signed("an old secret, long gone: 0123456", &json!({}))
            .await;
        let reason = "signature_mismatch";
        scene.refused_for(&third, Over::H2, reason, &who).await;
    }
}

#[tokio::test]
async fn only_what_is_fresh_passes() {
    for service in services() {
        if service.signs == Signs::NoTime {
            continue;
        }
        let scene = Scene::start(&service.policies(&[SECRET])).await;
        for (turn, (ago, outcome)) in [
            (300, Some("signature_expired")),
            (-120, Some("signature_not_yet_valid")),
            (40, None),
            (-10, None),
        ]
        .into_iter()
        .enumerate()
        {
            let who = (service.settings, service.program, ago);
            let more = json!({"now": now() - ago, "id": format!("msg_{turn}")});
            let signed = service.signed(SECRET, &more).await;
            let over = Over::by_turns(turn);
            match outcome {
                Some(reason) => drop(scene.refused_for(&signed, over, reason, &who).await),
                None => drop(scene.passes_for(&signed, over, &who).await),
            }
        }
    }
}

#[tokio::test]
async fn of_two_at_once_exactly_one_passes() {
    for service in services() {
        if service.signs == Signs::NoTime {
            continue;
        }
        let scene = Scene::start(&service.policies(&[SECRET])).await;
        for over in Over::BOTH {
            let body = format!("{{\"over\":\"{over:?}\"}}");
            let more = json!({"body": body, "id": format!("msg_{over:?}")});
            let signed = service.signed(SECRET, &more).await;
            scene.one_of_two_passes(&signed, over).await;
        }
    }
}

#[tokio::test]
async fn a_message_stays_the_same_one_when_one_of_its_signatures_is_dropped() {
    let service = &services()[0];
    let scene = Scene::start(&service.policies(&[SECRET, &SECRET.to_uppercase()])).await;
    let at = json!({"now": now()});
    let (old, new) = (
        service.signed(SECRET, &at).await,
        service.signed(&SECRET.to_uppercase(), &at).await,
    );
    let newer = new
        .of("stripe-signature")
        .split_once(",v1=")
        .expect("a signature")
        .1
        .to_owned();
    let both = old.header("stripe-signature", ",v1=", &format!(",v1={newer},v1="));
    scene.passes(&both, Over::H2).await;
    for again in [&both, &old, &new] {
        scene.refused(again, Over::H1, "signature_replayed").await;
    }
}

#[tokio::test]
async fn twilio_signs_the_address_that_it_was_told_to_call() {
    let service = services()
        .into_iter()
        .find(|service| service.job["scheme"] == "twilio")
        .expect("there is one");
    let yaml = service.policies(&[SECRET]).replace(
        "  api:\n",
        "  api:\n    external_url: https://hooks.example.net/in\n",
    );
    let scene = Scene::start(&yaml).await;
    for port in ["", ":443"] {
        let url = format!("https://hooks.example.net{port}/in/orders/hook");
        let signed = service.signed(SECRET, &form(&json!({"url": url}))).await;
        let sent = signed.url(
            &format!("https://hooks.example.net{port}/in"),
            "http://api.example.com",
        );
        for over in Over::BOTH {
            scene.passes(&sent, over).await;
        }
    }
    let inside = service.signed(SECRET, &form(&json!({}))).await;
    let audit = scene.refused(&inside, Over::H2, "signature_mismatch").await;
    assert_told(&audit, "external_url");
}

#[tokio::test]
async fn what_a_service_does_not_sign_it_does_not_prove() {
    let service = services()
        .into_iter()
        .find(|service| service.scheme() == "github")
        .expect("there is one");
    let scene = Scene::start(&service.policies(&[SECRET])).await;
    let signed = service.signed(SECRET, &json!({})).await;
    for other in [
        signed.url("/orders/hook", "/orders/other"),
        signed.method("PUT"),
        signed.and_header("x-github-event", "push"),
    ] {
        scene.passes(&other, Over::H1).await;
    }
    // The header of the older SHA-1 does not help anybody.
    let sha1 = signed.without("x-hub-signature-256").and_header(
        "x-hub-signature",
        "sha1=0123456789012345678901234567890123456789",
    );
    let response = scene.send(&sha1, Over::H2).await;
    assert_eq!(response.status, 401, "{}", scene.audit(&response).await);
}
