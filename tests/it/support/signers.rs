//! Requests signed by programs that are not ours: the SDKs of services, and implementations of standards by others.
//! `tests/signers/README.md` says which.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::client::Request;
use super::upstream::Recorded;
use super::wait::DEADLINE;

/// Lines that a client writes itself.
const OF_THE_CLIENT: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

/// A request as a signer made it, to be sent as it is or with something changed.
#[derive(Debug, Clone)]
pub struct Signed {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Signed {
    /// What a program sent to a recorder, to be sent again to another address.
    pub fn of_recorded(recorded: &Recorded) -> Self {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("it sent text");
        let host = recorded.header("host").expect("a host was sent");
        Self {
            method: recorded.method.clone(),
            url: format!("http://{host}{}", recorded.target),
            headers: recorded
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            body: text(&recorded.body),
        }
    }

    /// With another method.
    pub fn method(&self, method: &str) -> Self {
        let method = method.to_owned();
        Self {
            method,
            ..self.clone()
        }
    }

    /// With `from` in the URL replaced; it has to be there.
    pub fn url(&self, from: &str, to: &str) -> Self {
        assert!(self.url.contains(from), "no {from} in {}", self.url);
        let url = self.url.replacen(from, to, 1);
        Self {
            url,
            ..self.clone()
        }
    }

    /// With another body.
    pub fn body(&self, body: &str) -> Self {
        let body = body.to_owned();
        Self {
            body,
            ..self.clone()
        }
    }

    /// With one more line of a header, also where the name is there already.
    pub fn and_header(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.headers.push((name.to_owned(), value.to_owned()));
        changed
    }

    /// Without a header; it has to be there.
    pub fn without(&self, name: &str) -> Self {
        self.of(name);
        let mut changed = self.clone();
        changed
            .headers
            .retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        changed
    }

    /// With `from` in a header replaced; it has to be there.
    pub fn header(&self, name: &str, from: &str, to: &str) -> Self {
        let value = self.of(name);
        assert!(value.contains(from), "no {from} in {value}");
        let value = value.replacen(from, to, 1);
        self.without(name).and_header(name, &value)
    }

    /// With one character of a header changed, the one at `at` from the end: of a signature, say.
    pub fn flipped(&self, name: &str, at: usize) -> Self {
        let mut value: Vec<char> = self.of(name).chars().collect();
        let place = value.len() - at;
        value[place] = if value[place] == 'a' { 'b' } else { 'a' };
        let value: String = value.into_iter().collect();
        self.without(name).and_header(name, &value)
    }

    /// The one value of a header; panics where it is not there.
    pub fn of(&self, name: &str) -> &str {
        let mut found = self
            .headers
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => value,
            _ => panic!("{name} is not there once: {self:?}"),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// For the client of the tests.
    pub fn request(&self) -> Request {
        let (_, rest) = self.url.split_once("://").expect("the URL has a scheme");
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let target = match target.chars().next() {
            Some('/') => target.to_owned(),
            _ => format!("/{target}"),
        };
        let mut request = Request::new(&self.method, target).authority(authority);
        for (name, value) in &self.headers {
            if !OF_THE_CLIENT.contains(&name.to_ascii_lowercase().as_str()) {
                request = request.header(name, value);
            }
        }
        request.body(&self.body)
    }
}

/// Has one of `tests/signers` sign a request.
pub async fn sign(program: &str, job: &Value) -> Signed {
    let script = root().join("tests/signers").join(program);
    let mut command = match program.rsplit_once('.') {
        Some((_, "py")) => Command::new(python()),
        _ => Command::new(node()),
    };
    command.arg(&script);
    let output = run(command, &job.to_string()).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} on {job}:\n{told}");
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{program} on {job}: {error}\n{told}"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    Signed {
        method: text(&job["method"]),
        url: text(&answer["url"]),
        headers: answer["headers"]
            .as_object()
            .expect("headers")
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        body: text(&answer["body"]),
    }
}

/// A job over another one; a null takes a key out.
pub fn job(base: &Value, more: &Value) -> Value {
    let mut job = base.clone();
    let object = job.as_object_mut().expect("an object");
    for (key, value) in more.as_object().expect("an object") {
        if value.is_null() {
            object.remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
    job
}

/// Runs a program to its end. One that is not installed fails the test.
pub async fn run(mut command: Command, input: &str) -> Output {
    let name = command.as_std().get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{} cannot be run ({error}): {SETUP}", name.display());
        });
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // One that reads nothing may have closed it.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    match timeout(DEADLINE, child.wait_with_output()).await {
        Ok(output) => output.expect("a child can be waited for"),
        Err(_) => panic!("{} still runs after {DEADLINE:?}", name.display()),
    }
}

const SETUP: &str = "scripts/setup-signers.sh says what is missing and installs the rest";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn installed(name: &str) -> PathBuf {
    let path = root().join(".venv/signers/bin").join(name);
    assert!(path.exists(), "no {}: {SETUP}", path.display());
    path
}

/// Python with the packages of `tests/signers`.
pub fn python() -> PathBuf {
    installed("python")
}

/// Node.js.
pub fn node() -> PathBuf {
    installed("node")
}

/// `go run`, which neither fetches anything nor leaves anything outside of the repository.
pub fn go_run(file: &Path) -> Command {
    let signers = root().join(".venv/signers");
    let mut command = Command::new(installed("go"));
    command
        .env("GOCACHE", signers.join("go-cache"))
        .env("GOPATH", signers.join("go"))
        .envs([
            ("GOTOOLCHAIN", "local"),
            ("GOPROXY", "off"),
            ("GOTELEMETRY", "off"),
            ("CGO_ENABLED", "0"),
            ("GOFLAGS", ""),
        ])
        .arg("run")
        .arg(file);
    command
}

/// A pair of keys in PEM: PKCS #8, and what `openssl pkey -pubout` prints.
pub struct Pair {
    pub private: String,
    pub public: String,
}

impl Pair {
    /// For an algorithm by its name in RFC 9421.
    pub fn generate(algorithm: &str) -> Self {
        match algorithm {
            "ed25519" => {
                let pair = Ed25519KeyPair::generate().expect("a key can be generated");
                let private: Pkcs8V1Der<'_> = pair.as_der().expect("it can be written");
                Self::of(private.as_ref(), pair.public_key())
            }
            "ecdsa-p256-sha256" => Self::ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            "ecdsa-p384-sha384" => Self::ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            _ => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be generated");
                let private: Pkcs8V1Der<'_> = pair.as_der().expect("it can be written");
                Self::of(private.as_ref(), pair.public_key())
            }
        }
    }

    fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())
            .expect("a key can be generated");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).expect("it can be read");
        Self::of(document.as_ref(), pair.public_key())
    }

    fn of(private: &[u8], public: &impl AsDer<PublicKeyX509Der<'static>>) -> Self {
        let public = public.as_der().expect("it can be written");
        Self {
            private: pem("PRIVATE KEY", private),
            public: pem("PUBLIC KEY", public.as_ref()),
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// An order with a body, as most tests sign it.
pub fn order() -> Value {
    json!({
        "method": "POST",
        "url": "http://api.example.com/orders/7?b=2&a=x%20y&c=",
        "headers": {"Content-Type": "application/json"},
        "body": "{\"item\":\"t\u{e9}a\",\"count\":2}",
    })
}
