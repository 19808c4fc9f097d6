mod agreement;
mod bounds;
mod documentation;
mod mistakes;
mod semantics;

use crate::authn::Progress;
use crate::policy::observe::Unobserved;

use serde_json::{Value, json};

use super::{Condition, Expression, Outcome};
use crate::authn::principal::Principal;
use crate::clock::{Clock as _, Timestamp};
use crate::policy::authorise::Routed;
use crate::policy::field::{Facts, Peer, Text};
use crate::request::raw::RawCheck;
use crate::request::{Reading, Request};
use crate::test_support::{
    NOW, Signer, claims, clock, get, jwk_set, key_entry, raw, runtime, table, with,
};

const ISSUER: &str = "https://login.example.com";

/// Everything that expressions can read, all of it there.
pub(crate) struct Scene {
    pub(crate) request: Request,
    pub(crate) caller: Option<Principal>,
    pub(crate) others: Vec<Principal>,
    pub(crate) plan: Option<&'static str>,
    pub(crate) peer: Option<Peer<'static>>,
    parameters: Vec<(usize, Box<str>)>,
    dns_names: Vec<Box<str>>,
}

/// The names in the path of the scene's route.
pub(crate) const PARAMETERS: &[&str] = &["order_id"];

impl Scene {
    /// A request of somebody with a token and a consumer, beside a key.
    pub(crate) fn new() -> Self {
        Self::claiming(&json!({
            "tenant": "acme", "admin": true, "level": 3, "share": 0.5, "big": 18_446_744_073_709_551_615_u64,
            "none": null, "empty": [], "groups": ["staff", "billing"], "mixed": ["a", 1, true],
            "org": {"id": "o-1", "tags": ["x", "y"], "a b": "spaced"}, "email": "Ann@Example.com",
            "numbers": [1, 2, 3], "objects": [{"k": "v"}],
        }))
    }

    /// The same with these claims.
    pub(crate) fn claiming(more: &Value) -> Self {
        let mut check = raw(
            "GET",
            "/orders/42?page=2&q=a%20b",
            &[
                ("x-tenant", "acme"),
                ("x-many", "1"),
                ("x-many", "2"),
                ("content-length", "120"),
                ("user-agent", "probe/1.0"),
            ],
        );
        check.source.address = "203.0.113.9".into();
        check.context_extensions = vec![
            ("stage".into(), "blue".into()),
            ("a b".into(), "spaced".into()),
        ];
        Self {
            request: Request::read(check, &Reading::default()).unwrap(),
            caller: Some(token_caller(more)),
            others: vec![key_caller()],
            plan: Some("gold"),
            peer: Some(Peer {
                spiffe_id: Some("spiffe://example.com/a"),
                subject: Some("CN=a"),
                fingerprint: None,
                dns_names: &[],
            }),
            parameters: vec![(1, "order_id".into())],
            dns_names: vec!["a.example.com".into()],
        }
    }

    /// A request of a consumer with this metadata.
    pub(crate) fn noting(metadata: &Value) -> Self {
        Self {
            caller: Some(key_caller_with(metadata)),
            ..Self::claiming(&json!({}))
        }
    }

    /// A request that nobody is known to make.
    pub(crate) fn anonymous() -> Self {
        Self {
            caller: None,
            others: Vec::new(),
            plan: None,
            peer: None,
            ..Self::claiming(&json!({}))
        }
    }

    /// A request from this address.
    pub(crate) fn at(address: &'static str) -> Self {
        let mut check = raw("GET", "/", &[]);
        check.source.address = address.into();
        Self::of(check)
    }

    pub(crate) fn of(request: RawCheck) -> Self {
        Self {
            request: Request::read(request, &Reading::default()).unwrap(),
            ..Self::new()
        }
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            request: &self.request,
            principal: self.caller.as_ref(),
            auth: &self.others,
            plan: self.plan,
            peer: self.peer.map(|peer| Peer {
                dns_names: &self.dns_names,
                ..peer
            }),
            now: Timestamp::from_seconds(NOW),
            policy: "orders",
            path: "/orders/{order_id}",
            parameters: &self.parameters,
        }
    }

    pub(crate) fn judge(&self, text: &str) -> Outcome {
        condition(text).judge(&self.facts())
    }

    /// The value of an expression, as it would be sent.
    pub(crate) fn text(&self, text: &str) -> Text<'static> {
        match expression(text).text(&self.facts()) {
            Text::Absent => Text::Absent,
            Text::One(text) => Text::One(text.into_owned().into()),
            Text::Many(texts) => {
                Text::Many(texts.iter().map(|text| text.to_string().into()).collect())
            }
            Text::Structured => Text::Structured,
            Text::Failed(why) => Text::Failed(why),
        }
    }
}

pub(crate) fn condition(text: &str) -> Condition {
    Condition::parse(text, PARAMETERS).unwrap_or_else(|why| panic!("{text}: {why}"))
}

pub(crate) fn expression(text: &str) -> Expression {
    Expression::parse(text, PARAMETERS).unwrap_or_else(|why| panic!("{text}: {why}"))
}

pub(crate) fn one(text: &str) -> Text<'static> {
    Text::One(text.to_owned().into())
}

/// Who is proven by this header of a request.
fn caller(policy: &str, header: (&str, &str)) -> Principal {
    let table = table(policy);
    let Ok(routed) = Routed::choose(get("/", &[header]), &table, Unobserved) else {
        panic!("no route");
    };
    let clock = clock();
    assert_eq!(clock.now(), Timestamp::from_seconds(NOW));
    let mut progress = Progress::default();
    let caller = runtime().block_on(routed.authenticate(clock.as_ref(), &mut progress, Unobserved));
    let Ok(caller) = caller else {
        panic!("nobody was proven");
    };
    let principal = caller.identity().principal();
    principal.expect("a principal").clone()
}

/// Alice of the consumer `acme`, with claims besides the usual ones.
fn token_caller(more: &Value) -> Principal {
    let signer = Signer::ed25519("k1");
    let policy = format!(
        "
authenticators: {{login: {{jwt: {{issuer: '{ISSUER}', audiences: [orders-api], jwks: {{inline: {}}}}}}}}}
consumers:
  acme:
    metadata: {{tenant: acme, tier: 2, regions: [eu, us]}}
    credentials: {{login: [{{claim: azp, value: acme-app}}]}}
policies: {{api: {{hosts: ['*'], authenticate: login, routes: [{{path: /**}}]}}}}
",
        jwk_set(&[&signer])
    );
    let mut made = with(&claims(ISSUER), "azp", json!("acme-app"));
    made = with(&made, "scope", json!("orders:read orders:write"));
    for (name, value) in more.as_object().unwrap() {
        made.as_object_mut()
            .unwrap()
            .insert(name.clone(), value.clone());
    }
    let bearer = format!("Bearer {}", signer.token(&made));
    caller(&policy, ("authorization", &bearer))
}

/// A key of the consumer `robots`, with a wildcard among its scopes.
pub(crate) fn key_caller() -> Principal {
    key_caller_with(&json!({}))
}

fn key_caller_with(metadata: &Value) -> Principal {
    let policy = format!(
        "
authenticators: {{key: {{api_key: {{}}}}}}
consumers:
  robots:
    scopes: ['orders:*', ping]
    metadata: {metadata}
    credentials: {{key: [{}]}}
policies: {{api: {{hosts: ['*'], authenticate: key, routes: [{{path: /**}}]}}}}
",
        key_entry("k7Yt2Q", "secret")
    );
    caller(&policy, ("x-api-key", "secret"))
}
