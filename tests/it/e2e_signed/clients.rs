//! The programs of `docs/clients`, run as they stand: what a partner pastes has to work at the first try.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::{SECRET, Scene, acme, policies};
use crate::support::signers::{Pair, Signed, go_run, node, python, run};
use crate::support::upstream::Upstream;

/// A language that the clients are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Bash,
    Python,
    JavaScript,
    Go,
}

impl Client {
    pub(super) const ALL: [Self; 4] = [Self::Bash, Self::Python, Self::JavaScript, Self::Go];

    fn command(self, scheme: &str) -> Command {
        let file = |name: &str| documents().join(scheme).join(name);
        let with = |program: PathBuf, name: &str| {
            let mut command = Command::new(program);
            command.arg(file(name));
            command
        };
        match self {
            Self::Bash => with("bash".into(), "sign.sh"),
            Self::Python => with(python(), "sign.py"),
            Self::JavaScript => with(node(), "sign.mjs"),
            Self::Go => go_run(&file("sign.go")),
        }
    }

    /// Its language, as fences of the pages name it, and the ending of its file.
    const fn language(self) -> (&'static str, &'static str) {
        match self {
            Self::Bash => ("bash", "sh"),
            Self::Python => ("python", "py"),
            Self::JavaScript => ("javascript", "mjs"),
            Self::Go => ("go", "go"),
        }
    }
}

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients")
}

/// What a client prints: a status, and the body of the answer.
async fn answer_of(
    client: Client,
    scheme: &str,
    (method, url, body): (&str, &str, Option<&str>),
    (key_id, key): (&str, &str),
) -> (String, String) {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("key");
    std::fs::write(&file, key).expect("can be written");
    let mut command = client.command(scheme);
    command.args([url, method, key_id]).arg(&file).args(body);
    let output = run(command, "").await;
    let case = format!("{client:?} of {scheme}: {method} {url} {body:?}");
    assert!(
        output.status.success(),
        "{case}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).expect("it prints text");
    let (status, body) = printed.split_once('\n').unwrap_or((&printed, ""));
    (status.to_owned(), body.to_owned())
}

/// What a client sends to 127.0.0.1, kept to be sent to Envoy with something changed.
pub(super) async fn recorded(
    client: Client,
    scheme: &str,
    method: &str,
    target: &str,
    body: Option<&str>,
) -> Signed {
    let recorder = Upstream::start().await;
    let url = format!("http://{}{target}", recorder.addr());
    let request = (method, url.as_str(), body);
    let (status, _) = answer_of(client, scheme, request, ("acme-1", SECRET)).await;
    assert_eq!(status, "200", "{client:?} of {scheme}");
    Signed::of_recorded(&recorder.take_requests()[0])
}

const REQUESTS: [(&str, &str, Option<&str>); 6] = [
    ("GET", "/orders/7?b=2&a=%20&c=", None),
    ("GET", "/orders/7?", None),
    (
        "POST",
        "/orders/7",
        Some("{\"item\":\"t\u{e9}a!\",\"note\":\"a'b\\\"\\n\"}"),
    ),
    ("POST", "/orders/7?x=a+b~%7E", None),
    ("PUT", "/orders/7", Some("[\n]\n")),
    ("DELETE", "/orders/7", None),
];

/// Every client and request with the right key, then with a wrong one.
async fn works_at_the_first_try(
    scheme: &str,
    authenticator: &str,
    keys: &[(&str, &str, &str)],
    credentials: &Value,
) {
    let scene = Scene::start(&policies(authenticator, &acme(&credentials.to_string()))).await;
    let base = format!("http://{}", scene.0.envoy.addr());
    for client in Client::ALL {
        for (id, right, wrong) in keys {
            for (method, target, body) in REQUESTS {
                let url = format!("{base}{target}");
                let request = (method, url.as_str(), body);
                let case = format!("{client:?} of {scheme} with {id}: {request:?}");
                let (status, echo) = answer_of(client, scheme, request, (id, right)).await;
                assert_eq!(
                    status,
                    "200",
                    "{case}\n{echo}\n{:?}",
                    scene.0.portcullis.audit_lines().last()
                );
                let seen = scene.0.upstream.take_requests();
                assert_eq!(seen.len(), 1, "{case}");
                assert_eq!(
                    seen[0].header("x-auth-principal"),
                    Some("signed:acme"),
                    "{case}"
                );
                assert_eq!(seen[0].body, body.unwrap_or_default().as_bytes(), "{case}");
                // Node leaves out the mark of an empty query, and signs it so.
                let sent = target.trim_end_matches('?');
                assert_eq!(seen[0].target.trim_end_matches('?'), sent, "{case}");
                let told: Value =
                    serde_json::from_str(echo.trim_end()).expect("the upstream's echo");
                assert_eq!(told["method"], method, "{case}");
            }
            let url = format!("{base}/orders/7");
            let request = ("POST", url.as_str(), Some("{}"));
            let (status, problem) = answer_of(client, scheme, request, (id, wrong)).await;
            assert_eq!(status, "401", "{client:?} of {scheme}: {problem}");
            let problem: Value = serde_json::from_str(problem.trim_end()).expect("a problem");
            let decision = problem["decision_id"].clone();
            let audit = scene
                .0
                .portcullis
                .wait_for_audit(|line| line["decision_id"] == decision)
                .await;
            assert_eq!(audit["reason"], "signature_mismatch", "{audit}");
            assert_eq!(scene.0.upstream.request_count(), 0);
        }
    }
}

#[tokio::test]
async fn clients_of_the_own_scheme_work_at_the_first_try() {
    let with_line_end = format!("{SECRET}\n");
    let wrong = SECRET.to_uppercase();
    let keys = [("acme-1", with_line_end.as_str(), wrong.as_str())];
    let credentials = json!([{"key_id": "acme-1", "secret": {"insecure_literal": SECRET}}]);
    works_at_the_first_try("own", "{hmac: {}}", &keys, &credentials).await;
}

#[tokio::test]
async fn clients_of_rfc_9421_work_at_the_first_try() {
    let (right, wrong) = (Pair::generate("ed25519"), Pair::generate("ed25519"));
    let (secret, other) = (format!("{SECRET}\n"), SECRET.to_uppercase());
    let keys = [
        ("acme-1", secret.as_str(), other.as_str()),
        ("acme-2", right.private.as_str(), wrong.private.as_str()),
    ];
    let credentials = json!([
        {"key_id": "acme-1", "secret": {"insecure_literal": SECRET}},
        {"key_id": "acme-2", "algorithm": "ed25519", "public_key": right.public},
    ]);
    let authenticator = "{http_signature: {nonce: required}}";
    works_at_the_first_try("rfc9421", authenticator, &keys, &credentials).await;
}

#[test]
fn the_pages_print_the_programs_that_are_tested() {
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    for (page, scheme) in [("hmac.md", "own"), ("http-signatures.md", "rfc9421")] {
        let page = read(documents().join(page));
        for client in Client::ALL {
            let (language, ending) = client.language();
            let program = read(documents().join(scheme).join(format!("sign.{ending}")));
            let printed = format!("```{language}\n{program}```\n");
            assert!(
                page.contains(&printed),
                "{client:?} of {scheme} is printed otherwise"
            );
        }
    }
}
