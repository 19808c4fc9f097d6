//! A whole deployment for one test: an upstream, Portcullis and Envoy in front.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::authn::api_key::mint;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Request, Response};
use crate::support::envoy::Envoy;
use crate::support::envoy_config::{Endpoint, EnvoyConfig};
use crate::support::portcullis::{Launch, Portcullis};
use crate::support::upstream::Upstream;

/// The issuer of every test token.
pub const ISSUER: &str = "https://login.example.com";

/// A key that opens what the policies of a test let it open.
pub struct TestKey {
    pub plain: String,
    pub hash: String,
}

impl TestKey {
    pub fn new(environment: &str, id: &str) -> Self {
        let minted = mint("pk_", environment, Some(id)).expect("a key can be minted");
        Self {
            plain: String::from_utf8(minted.plain.expose().to_vec()).expect("a key is text"),
            hash: format!("sha256:{}", minted.digest.to_hex()),
        }
    }
}

/// A signing key with its `kid`.
pub struct Signer {
    pub kid: String,
    key: EcdsaKeyPair,
}

impl Signer {
    pub fn new(kid: &str) -> Self {
        let rng = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng)
            .expect("a key can be generated");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())
            .expect("it can be read");
        Self {
            kid: kid.to_owned(),
            key,
        }
    }

    /// The one that most tests use.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Signer> = OnceLock::new();
        SHARED.get_or_init(|| Self::new("test-1"))
    }

    pub fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .expect("signing works");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// A token of `claims` over the usual ones; a null takes a claim out.
    pub fn token(&self, claims: &Value) -> String {
        let mut all = json!({
            "iss": ISSUER, "aud": "orders-api", "sub": "alice", "scope": "orders:read",
            "iat": now() - 5, "exp": now() + 300, "jti": "token-1",
        });
        let object = all.as_object_mut().expect("an object");
        for (name, value) in claims.as_object().expect("claims are an object") {
            if value.is_null() {
                object.remove(name);
            } else {
                object.insert(name.clone(), value.clone());
            }
        }
        self.sign(
            &json!({"alg": "ES256", "typ": "JWT", "kid": self.kid}),
            &all,
        )
    }
}

/// A second kind of key, for a set of several types.
pub fn ed25519_jwk(kid: &str) -> Value {
    let pair = Ed25519KeyPair::generate().expect("a key can be generated");
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
}

#[expect(
    clippy::disallowed_methods,
    reason = "tokens of a test are judged by the real clock"
)]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

/// The policies that most tests run: keys and tokens, scopes, a public route, a gRPC route.
pub struct Usual {
    pub live: TestKey,
    pub test: TestKey,
    pub expired: TestKey,
    pub yaml: String,
}

impl Usual {
    pub fn new() -> Self {
        let live = TestKey::new("live", "k-live");
        let test = TestKey::new("test", "k-test");
        let expired = TestKey::new("live", "k-expired");
        let jwks = json!({"keys": [Signer::shared().jwk(), ed25519_jwk("other")]});
        let yaml = format!(
            r#"
version: portcullis/v1
authenticators:
  partner-key:
    api_key:
      from: [{{header: x-api-key}}, {{header: authorization, scheme: ApiKey}}, {{query: api_key}}, {{cookie: key}}]
  company-login:
    jwt: {{issuer: "{ISSUER}", audiences: [orders-api], algorithms: [ES256, EdDSA], jwks: {{inline: {jwks}}}}}
consumers:
  acme:
    environment: live
    scopes: ["orders:*", invoices:read]
    metadata: {{tenant: acme-1}}
    credentials:
      partner-key:
        - {{id: k-live, hash: "{}"}}
        - {{id: k-expired, hash: "{}", expires: 2020-01-01}}
  acme-test:
    environment: test
    scopes: ["orders:*"]
    credentials:
      partner-key: [{{id: k-test, hash: "{}"}}]
  app:
    scopes: [orders:read]
    credentials:
      company-login: [{{claim: azp, value: app}}]
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
      - {{path: "/orders/{{order_id}}", methods: [PUT, DELETE], scopes: [orders:write]}}
      - {{path: /public/**, public: true}}
      - {{path: /internal/**, authenticate: company-login, scopes: [internal]}}
      - {{path: /v1.0/x, methods: [GET], public: true}}
      - {{path: /test, methods: [GET], environment: test}}
      - grpc: {{service: orders.v1.OrderService, methods: [Get]}}
        scopes: [orders:read]
  other:
    hosts: [other.example.com]
    authenticate: partner-key
    routes:
      - {{path: /, methods: [GET]}}
"#,
            live.hash, expired.hash, test.hash
        );
        Self {
            live,
            test,
            expired,
            yaml,
        }
    }
}

/// The deployment.
pub struct World {
    pub upstream: Upstream,
    pub portcullis: Portcullis,
    pub envoy: Envoy,
    pub directory: TempDir,
}

impl World {
    /// With the policies of a test, on a Unix domain socket, and Envoy as a test wants it.
    pub async fn start(policies: &str, configure: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Self {
        Self::launch(policies, &[], configure).await
    }

    /// The same with more arguments for Portcullis.
    pub async fn launch(
        policies: &str,
        arguments: &[&str],
        configure: impl FnOnce(EnvoyConfig) -> EnvoyConfig,
    ) -> Self {
        let world = Self::unready(policies, arguments, configure).await;
        world.portcullis.wait_ready().await;
        world
    }

    /// The same for a Portcullis that is not, or never, ready: it listens, and that is all.
    pub async fn unready(
        policies: &str,
        arguments: &[&str],
        configure: impl FnOnce(EnvoyConfig) -> EnvoyConfig,
    ) -> Self {
        Self::of(policy_directory(policies), arguments, configure).await
    }

    /// The same for a directory that a test filled itself.
    pub async fn of(
        directory: TempDir,
        arguments: &[&str],
        configure: impl FnOnce(EnvoyConfig) -> EnvoyConfig,
    ) -> Self {
        let socket = directory.path().join("check.sock");
        let upstream = Upstream::start().await;
        let mut launch = serve(directory.path()).arg("--listen-unix").arg(&socket);
        for argument in arguments {
            launch = launch.arg(argument);
        }
        let portcullis = Portcullis::spawn(launch);
        portcullis
            .wait_for_log(|line| line["message"] == "policies loaded")
            .await;
        let config = EnvoyConfig::new(Endpoint::Unix(socket), upstream.addr());
        let envoy = Envoy::start(configure(config)).await;
        Self {
            upstream,
            portcullis,
            envoy,
            directory,
        }
    }

    /// Sends over HTTP/1.1 and over HTTP/2, and answers with both.
    pub async fn both(&self, request: impl Fn() -> Request) -> [Response; 2] {
        let h1 = request().send_h1(self.envoy.addr()).await;
        let h2 = request().send_h2(self.envoy.addr()).await;
        [h1, h2]
    }
}

/// Writes a policy directory.
pub fn policy_directory(policies: &str) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::create_dir(directory.path().join("policies")).expect("can be written");
    std::fs::write(
        policies_of(directory.path()).join("policies.yaml"),
        policies,
    )
    .expect("can be written");
    directory
}

pub fn policies_of(directory: &Path) -> PathBuf {
    directory.join("policies")
}

/// Writes files as Kubernetes mounts a ConfigMap: links to `..data`, a link to a directory of their own. The
/// next call is the next version: one link is swapped, and the old directory goes.
pub fn mount_config_map(at: &Path, version: u32, files: &[(&str, &str)]) {
    use std::os::unix::fs::symlink;
    let dated = |version: u32| format!("..2026_11_22_10_00_00.{version:09}");
    let data = at.join(dated(version));
    std::fs::create_dir_all(&data).expect("can be made");
    for (name, text) in files {
        std::fs::write(data.join(name), text).expect("can be written");
        if !at.join(name).is_symlink() {
            symlink(Path::new("..data").join(name), at.join(name)).expect("can be linked");
        }
    }
    let next = at.join("..data_tmp");
    symlink(dated(version), &next).expect("can be linked");
    std::fs::rename(next, at.join("..data")).expect("can be swapped");
    if let Some(before) = version.checked_sub(1) {
        // There is none before the first.
        let _ = std::fs::remove_dir_all(at.join(dated(before)));
    }
}

/// `portcullis serve` on free ports, with a check timeout that a busy machine does not reach.
pub fn serve(directory: &Path) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("serve")
        .arg("--policies")
        .arg(policies_of(directory))
        .arg("--listen-tcp")
        .arg("127.0.0.1:0")
        .arg("--admin-listen")
        .arg("127.0.0.1:0")
        .arg("--log-format")
        .arg("json")
        .arg("--check-timeout")
        .arg("1900ms")
        .arg("--drain-delay")
        .arg("0s")
}

/// A GET to the usual host.
pub fn get(path: impl AsRef<[u8]>) -> Request {
    Request::get(path).authority("api.example.com")
}

/// A request to the usual host.
pub fn request(method: &str, path: impl AsRef<[u8]>) -> Request {
    Request::new(method, path).authority("api.example.com")
}

/// The public class of a denial: the last part of its `type`.
pub fn class(response: &Response) -> String {
    let problem = response.json();
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.rsplit(':').next().unwrap_or_default().to_owned()
}

/// The budget in milliseconds that a check outlived, as its audit record says.
pub fn outlived(audit: &Value) -> u64 {
    let detail = audit["detail"].as_str().unwrap_or_default();
    detail
        .strip_prefix("the check outlived its budget of ")
        .and_then(|rest| rest.strip_suffix(" ms")?.parse().ok())
        .unwrap_or_else(|| panic!("no budget in {audit}"))
}
