//! What the benchmarks judge: policies, credentials made anew for each run, and the checks that Envoy
//! would send for them.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use envoy_types::pb::google::protobuf::Timestamp;
use portcullis::authn::api_key::mint;
use portcullis::clock::{Clock, SystemClock};
use prost::Message as _;
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example.com/realms/main";

/// Policies, and one encoded `CheckRequest` for each way to meet them.
pub(crate) struct Fixture {
    policies: String,
    /// With a key in `x-api-key`.
    pub(crate) api_key: Bytes,
    /// With a bearer token signed by ES256.
    pub(crate) es256: Bytes,
    /// With a bearer token signed by RS256.
    pub(crate) rs256: Bytes,
    /// Without any credential.
    pub(crate) nothing: Bytes,
}

impl Fixture {
    /// With fresh keys. Tokens are valid for a day.
    pub(crate) fn new() -> Self {
        let key = mint("pk_", "live", Some("k-bench")).expect("a key can be minted");
        let plain = std::str::from_utf8(key.plain.expose()).expect("a key is text");
        let (es256, rs256) = (Es256::new(), Rs256::new());
        let jwks = json!({"keys": [es256.jwk(), rs256.jwk()]});
        let bearer = |token: String| format!("Bearer {token}");
        Self {
            policies: policies(&key.digest.to_hex(), &jwks),
            api_key: check(Some(("x-api-key", plain))),
            es256: check(Some(("authorization", &bearer(es256.token())))),
            rs256: check(Some(("authorization", &bearer(rs256.token())))),
            nothing: check(None),
        }
    }

    /// Writes the policies into a directory that exists.
    pub(crate) fn write_policies(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::write(directory.join("orders.yaml"), &self.policies)
    }
}

fn policies(key_digest: &str, jwks: &Value) -> String {
    format!(
        r#"
version: portcullis/v1
authenticators:
  partner-key:
    api_key: {{from: [{{header: x-api-key}}]}}
  company-login:
    jwt: {{issuer: "{ISSUER}", audiences: [orders-api], algorithms: [ES256, RS256], jwks: {{inline: {jwks}}}}}
consumers:
  acme:
    scopes: ["orders:*", invoices:read]
    metadata: {{tenant: acme-1}}
    credentials:
      partner-key: [{{id: k-bench, hash: "sha256:{key_digest}"}}]
  web-shop:
    scopes: ["orders:*"]
    metadata: {{tenant: shop-1}}
    credentials:
      company-login: [{{claim: azp, value: web-shop}}]
defaults:
  inject:
    x-auth-principal: principal.id
    x-auth-subject: principal.subject
    x-auth-consumer: consumer.name
    x-auth-scopes: principal.scopes
    x-tenant: consumer.metadata.tenant
policies:
  orders:
    hosts: [api.example.com, "*.shops.example.com"]
    authenticate: [company-login, partner-key]
    routes:
      - {{path: /healthz, methods: [GET], public: true}}
      - {{path: /orders, methods: [GET, POST], scopes: [orders:read]}}
      - {{path: "/orders/{{order_id}}", methods: [GET], scopes: [orders:read]}}
      - {{path: "/orders/{{order_id}}", methods: [PUT, DELETE], scopes: [orders:write]}}
      - {{path: "/orders/{{order_id}}/lines/{{line}}", methods: [GET, PATCH], scopes: [orders:write]}}
      - {{path: /internal/**, scopes: [internal]}}
"#
    )
}

/// The `CheckRequest` that Envoy makes of a browser's request behind an edge proxy: 1.8 KB with an
/// API key.
fn check(credential: Option<(&str, &str)>) -> Bytes {
    let mut headers: Vec<(&str, &str)> = vec![
        (":authority", "api.example.com"),
        (":method", "GET"),
        (":path", "/orders/8137?expand=lines&currency=EUR"),
        (":scheme", "https"),
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
        (
            "baggage",
            "deployment.environment=production,session.id=2f1c0b6a5d0e4b0f8a346f4d8a1be9c0,page=account-orders",
        ),
        ("cache-control", "no-cache"),
        (
            "cookie",
            "consent=necessary%2Canalytics; theme=dark; _ga=GA1.1.1837463529.1796100000; \
             _ga_7XK2M9Q4LT=GS2.1.s1796126000$o14$g1$t1796126390$j22$l0$h0; \
             visit=2f1c0b6a-5d0e-4b0f-8a34-6f4d8a1be9c0; basket=eyJpIjpbODEzNyw0Ml0sInYiOjN9",
        ),
        ("origin", "https://shop.example.com"),
        ("pragma", "no-cache"),
        ("priority", "u=1, i"),
        ("referer", "https://shop.example.com/account/orders"),
        (
            "sec-ch-ua",
            "\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"",
        ),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", "\"Linux\""),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-site"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ),
        ("x-envoy-external-address", "203.0.113.77"),
        (
            "x-forwarded-client-cert",
            "By=spiffe://example.com/ns/orders/sa/api;Hash=8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4;URI=spiffe://example.com/ns/edge/sa/gateway",
        ),
        ("x-forwarded-for", "203.0.113.77"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "6f0b7a4e-38a5-4c86-9d4e-1c2b3a4d5e6f"),
    ];
    headers.extend(credential);
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(peer("203.0.113.77", 51_344, "")),
            destination: Some(peer(
                "10.20.30.40",
                8443,
                "spiffe://example.com/ns/edge/sa/gateway",
            )),
            request: Some(Request {
                time: Some(Timestamp {
                    seconds: 1_796_126_400,
                    nanos: 123_456_000,
                }),
                http: Some(HttpRequest {
                    id: "10493837284917264401".to_owned(),
                    method: "GET".to_owned(),
                    headers: headers
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                    path: "/orders/8137?expand=lines&currency=EUR".to_owned(),
                    host: "api.example.com".to_owned(),
                    scheme: "https".to_owned(),
                    size: -1,
                    protocol: "HTTP/2".to_owned(),
                    ..HttpRequest::default()
                }),
            }),
            ..AttributeContext::default()
        }),
    };
    request.encode_to_vec().into()
}

fn peer(address: &str, port: u32, principal: &str) -> Peer {
    let address = AddressKind::SocketAddress(SocketAddress {
        address: address.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    });
    Peer {
        address: Some(Address {
            address: Some(address),
        }),
        principal: principal.to_owned(),
        ..Peer::default()
    }
}

struct Es256(EcdsaKeyPair);

impl Es256 {
    fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        Self(EcdsaKeyPair::generate(algorithm).expect("a key can be generated"))
    }

    fn jwk(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let coordinates = self.0.public_key().as_ref().iter().skip(1).copied();
        let x: Vec<u8> = coordinates.clone().take(32).collect();
        let y: Vec<u8> = coordinates.skip(32).collect();
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "es256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    fn token(&self) -> String {
        token("ES256", "es256", |text| {
            let signed = self.0.sign(&SystemRandom::new(), text);
            signed.expect("signing works").as_ref().to_vec()
        })
    }
}

struct Rs256(RsaKeyPair);

impl Rs256 {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be generated"))
    }

    fn jwk(&self) -> Value {
        let public = self.0.public_key();
        let (n, e) = (public.modulus(), public.exponent());
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rs256",
            "n": URL_SAFE_NO_PAD.encode(n.big_endian_without_leading_zero()),
            "e": URL_SAFE_NO_PAD.encode(e.big_endian_without_leading_zero()),
        })
    }

    fn token(&self) -> String {
        token("RS256", "rs256", |text| {
            let mut signature = vec![0; self.0.public_modulus_len()];
            let random = SystemRandom::new();
            let signed = self
                .0
                .sign(&RSA_PKCS1_SHA256, &random, text, &mut signature);
            signed.expect("signing works");
            signature
        })
    }
}

/// An access token as identity providers make them.
fn token(algorithm: &str, key: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = SystemClock::new().now().seconds();
    let header = json!({"alg": algorithm, "typ": "at+jwt", "kid": key});
    let claims = json!({
        "iss": ISSUER, "sub": "b0f9c1de-6f0e-4a34-9a3d-0d6b3a0f5c11", "aud": ["orders-api", "account"],
        "azp": "web-shop", "scope": "openid profile orders:read orders:write",
        "iat": now - 60, "exp": now + 86_400, "jti": "5c1b0a52-77c2-4f8e-a5c5-2f5f1d0c9e3b",
        "sid": "e0a9d4b8-1c2d-4e3f-8a5b-6c7d8e9f0a1b", "acr": "1", "email_verified": true,
        "preferred_username": "alice", "roles": ["customer", "beta"],
    });
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
