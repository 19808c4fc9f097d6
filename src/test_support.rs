//! What the tests of several modules share: requests, policies compiled from a string, signers whose
//! keys are made on the spot, and a recorder that keeps what it is given.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::audit::{Record, Recorder};
use crate::authn::jwt::token_cache;
use crate::authn::key_set::KeySetCell;
use crate::authn::mtls::known::peer_cache;
use crate::authn::replay::ReplayMemories;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::config::inputs::ReferredFiles;
use crate::config::{certificates, secrets};
use crate::config::{decode, yaml};
use crate::diagnostic::Diagnostics;
use crate::headers::Headers;
use crate::jwks::{self, KeySets};
use crate::pipeline::Pipeline;
use crate::policy::compile::{self, PolicyTable, Ports};
use crate::policy::revocation::Revocations;
use crate::policy::source::PolicySet;
use crate::request::Request;
use crate::request::raw::RawCheck;
use crate::secret::Digest;
use crate::snapshot::Snapshot;
use crate::verdict::{Reason, Verdict};

/// What the clock says when a test begins, in seconds since the epoch.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)))
}

/// A check for `https://api.example.com` and `target`.
pub(crate) fn raw(method: &str, target: &str, headers: &[(&str, &str)]) -> RawCheck {
    let lines: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
    raw_bytes(method, target.as_bytes(), &lines)
}

pub(crate) fn raw_bytes(method: &str, target: &[u8], headers: &[(&str, &[u8])]) -> RawCheck {
    let copy = Bytes::copy_from_slice;
    RawCheck {
        method: copy(method.as_bytes()),
        path: copy(target),
        host: Bytes::from_static(b"api.example.com"),
        scheme: Bytes::from_static(b"https"),
        protocol: Bytes::from_static(b"HTTP/2"),
        headers: Headers::new(headers.iter().copied()),
        ..RawCheck::default()
    }
}

pub(crate) fn get(target: &str, headers: &[(&str, &str)]) -> Request {
    Request::read(
        raw("GET", target, headers),
        &crate::request::Reading::default(),
    )
    .unwrap()
}

/// Reads policy files, each a name and a text.
pub(crate) fn read(files: &[(&str, &str)], out: &mut Diagnostics) -> PolicySet {
    let mut set = PolicySet::default();
    for (name, text) in files {
        match yaml::decode_utf8(name, text.as_bytes()) {
            Err(diagnostic) => out.push(diagnostic),
            Ok(file) => match yaml::parse(&file, &yaml::Limits::default()) {
                Ok(node) => decode::file(&node, Path::new("/"), &mut set, out),
                Err(diagnostics) => out.extend(diagnostics),
            },
        }
    }
    set
}

/// Reads and compiles policy files as `serve` does.
pub(crate) fn compile(files: &[(&str, &str)]) -> (Option<PolicyTable>, Diagnostics) {
    let mut out = Diagnostics::default();
    let set = read(files, &mut out);
    let key_sets = key_sets(&set, &mut out);
    let table = compile_with(&set, key_sets, &mut out);
    (table, out)
}

/// The key sets of a first load.
pub(crate) fn key_sets(set: &PolicySet, out: &mut Diagnostics) -> HashMap<String, Arc<KeySetCell>> {
    let files = ReferredFiles::read(set.referred_files().map(Path::to_owned));
    jwks::prepare(set, &files, &KeySets::default(), out).by_authenticator
}

pub(crate) fn compile_with(
    set: &PolicySet,
    key_sets: HashMap<String, Arc<KeySetCell>>,
    out: &mut Diagnostics,
) -> Option<PolicyTable> {
    let ports = Ports {
        key_sets,
        token_cache: token_cache(1 << 20),
        secrets: secrets::read(
            set,
            &ReferredFiles::read(set.referred_files().map(Path::to_owned)),
            true,
            &compile::Secrets::default(),
            out,
        ),
        replays: ReplayMemories::default(),
        certificates: certificates::read(
            set,
            &ReferredFiles::read(set.referred_files().map(Path::to_owned)),
            out,
        ),
        peers: peer_cache(),
    };
    compile::compile(set, &ports, out)
}

/// The table of a policy that must have no mistakes.
pub(crate) fn table(text: &str) -> PolicyTable {
    let (table, out) = compile(&[("policy.yaml", text)]);
    table.unwrap_or_else(|| panic!("{}", out.render()))
}

/// Every mistake of a load: its code, its file's name and its line (0: no place).
pub(crate) fn mistakes(out: &Diagnostics) -> Vec<(&'static str, usize)> {
    let mut out = out.clone();
    out.sort();
    out.iter()
        .map(|d| {
            let place = d.place.as_ref();
            (
                d.code,
                place.map_or(0, |place| place.file.line_column(place.start).0),
            )
        })
        .collect()
}

/// The line of a policy that registers `key` under the id `id`.
pub(crate) fn key_entry(id: &str, key: &str) -> String {
    let hash = Digest::of(key.as_bytes()).to_hex();
    format!("{{id: {id}, hash: \"sha256:{hash}\"}}")
}

/// What a recorder was given.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) reason: Reason,
    pub(crate) status: u16,
    pub(crate) authenticator: Option<String>,
    pub(crate) line: String,
}

#[derive(Default)]
pub(crate) struct Records(Mutex<Vec<Recorded>>);

impl Records {
    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Recorded {
        self.all().pop().expect("nothing was recorded")
    }
}

impl Recorder for Records {
    fn record(&self, record: &Record<'_>) {
        let mut line = Vec::new();
        record.write_line(&mut line);
        self.0.lock().unwrap().push(Recorded {
            reason: record.reason,
            status: record.status,
            authenticator: record.authenticator().map(|name| name.to_string()),
            line: String::from_utf8(line).unwrap(),
        });
    }
}

/// A whole pipeline over a policy, with its clock and its records.
pub(crate) struct World {
    pub(crate) pipeline: Pipeline,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) records: Arc<Records>,
}

impl World {
    pub(crate) fn new(policy: &str) -> Self {
        let mut out = Diagnostics::default();
        let set = read(&[("policy.yaml", policy)], &mut out);
        let revocations = Arc::new(Revocations::new(set.revocations));
        Self::with_revocations(table(policy), revocations)
    }

    pub(crate) fn of(table: PolicyTable) -> Self {
        Self::with_revocations(table, Arc::default())
    }

    pub(crate) fn with_revocations(table: PolicyTable, revocations: Arc<Revocations>) -> Self {
        let mut snapshot = Snapshot::of_table(table);
        snapshot.revocations = revocations;
        Self::serving(Arc::new(snapshot))
    }

    pub(crate) fn serving(snapshot: Arc<Snapshot>) -> Self {
        let (clock, records) = (clock(), Arc::new(Records::default()));
        let ticking: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let recorder: Arc<dyn Recorder> = Arc::<Records>::clone(&records);
        Self {
            pipeline: Pipeline::new(snapshot, ticking, recorder, false),
            clock,
            records,
        }
    }

    /// With candidate policies beside it.
    pub(crate) fn with_candidate(policy: &str, candidate: &str) -> Self {
        let world = Self::new(policy);
        let pipeline = world.pipeline.with_candidate();
        pipeline.replace_candidate(Arc::new(Snapshot::of_table(table(candidate))));
        Self { pipeline, ..world }
    }

    /// Judges one check to its end.
    pub(crate) fn judge(&self, raw: RawCheck) -> Verdict {
        let budget = std::time::Duration::from_secs(5);
        runtime().block_on(self.pipeline.check(raw, budget, None))
    }

    /// How the check of `GET target` ends.
    pub(crate) fn get(&self, target: &str, headers: &[(&str, &str)]) -> Reason {
        self.judge(raw("GET", target, headers)).reason()
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// A signing key that lives as long as one test.
pub(crate) struct Signer {
    pub(crate) kid: &'static str,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(crate) fn ed25519(kid: &'static str) -> Self {
        let pair = Pair::Ed25519(Ed25519KeyPair::generate().unwrap());
        Self { kid, pair }
    }

    pub(crate) fn p256(kid: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            kid,
            pair: Pair::P256(pair),
        }
    }

    /// RSA of 2048 bits.
    pub(crate) fn rsa(kid: &'static str) -> Self {
        let pair = Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        Self { kid, pair }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ed25519(_) => "EdDSA",
            Pair::P256(_) => "ES256",
            Pair::Rsa(_) => "RS256",
        }
    }

    pub(crate) fn sign(&self, message: &str) -> Vec<u8> {
        let (random, message) = (SystemRandom::new(), message.as_bytes());
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// The public key as others publish it: a modulus, a point or a DER document.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::P256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Ed25519(pair) => {
                let x = base64url(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x})
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref().to_vec();
                let (x, y) = (base64url(&point[1..33]), base64url(&point[33..65]));
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": x, "y": y})
            }
            Pair::Rsa(pair) => {
                // RSAPublicKey (RFC 8017 appendix A.1.1) of 2048 bits: the modulus stands behind nine
                // bytes of headers and a zero.
                let der = pair.public_key().as_ref();
                let n = base64url(&der[9..265]);
                json!({"kty": "RSA", "kid": self.kid, "n": n, "e": "AQAB"})
            }
        }
    }

    /// A token with these claims and the header that an honest issuer writes.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": self.kid, "typ": "at+jwt"});
        self.token_with(&header, claims)
    }

    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// A token of these two texts, whatever they are.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let mut token = format!("{}.{}", base64url(header), base64url(claims));
        let signature = base64url(self.sign(&token));
        write!(token, ".{signature}").unwrap();
        token
    }
}

/// A JWK Set of these keys.
pub(crate) fn jwk_set(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// Claims that `issuer` would make for the API, valid for an hour.
pub(crate) fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": "orders-api", "sub": "alice", "scope": "orders:read",
        "iat": NOW, "exp": NOW + 3600, "jti": "t-1",
    })
}

/// `claims` with one of them changed; `null` takes it out.
pub(crate) fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    let members = claims.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
    claims
}

/// A route that serves an environment, and nothing else that bears on proving.
pub(crate) fn on(environment: &str) -> crate::authn::On<'_> {
    crate::authn::On {
        environment,
        external: None,
        uses_up: true,
    }
}
