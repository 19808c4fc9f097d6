//! The process: how it starts, refuses to start, and ends.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Output;
use std::time::Duration;

use serde_json::json;

use crate::issuer::{Issuer, Mood};
use crate::support::portcullis::Portcullis;
use crate::world::{
    Signer, Usual, World, get, mount_config_map, policies_of, policy_directory, serve,
};

const SOON: Duration = Duration::from_secs(20);

fn run(arguments: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .output()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn keeps_answering_through_a_drain_and_ends_well() {
    let usual = Usual::new();
    let mut world = World::launch(&usual.yaml, &["--drain-delay", "2s"], |config| config).await;
    assert_eq!(
        get("/healthz").send_h1(world.envoy.addr()).await.status,
        200
    );
    world.portcullis.signal("TERM");
    world
        .portcullis
        .wait_for_log(|line| line["message"] == "told to stop: unready, still answering")
        .await;
    assert_eq!(world.portcullis.admin_get("/readyz").await.status, 503);
    assert_eq!(
        get("/healthz").send_h1(world.envoy.addr()).await.status,
        200
    );
    // A connection that is new to it is accepted, too.
    let socket = world.directory.path().join("check.sock");
    assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let status = world.portcullis.wait_exit(SOON).await;
    assert_eq!(status.code(), Some(0));
    assert!(!socket.exists(), "the socket is taken away");
    let answered = world.portcullis.audit_lines();
    assert_eq!(
        answered.len(),
        2,
        "every decision was written before the end: {answered:?}"
    );
}

#[tokio::test]
async fn answers_what_is_in_flight_when_it_is_told_to_go() {
    let issuer = Issuer::start(Mood::Silent).await;
    let policies = format!(
        "authenticators: {{login: {{jwt: {{issuer: \"{}\", audiences: [orders-api], jwks: {{url: \"{}/jwks\"}}}}}}}}\n\
         policies: {{p: {{hosts: [api.example.com], authenticate: login, routes: [{{path: /orders}}]}}}}\n",
        crate::world::ISSUER,
        issuer.url()
    );
    let mut world = World::unready(&policies, &[], |config| config).await;
    let address = world.envoy.addr();
    let token = format!("Bearer {}", Signer::shared().token(&json!({})));
    let waiting = tokio::spawn(async move {
        get("/orders")
            .header("authorization", token)
            .send_h1(address)
            .await
    });
    crate::support::wait::poll(
        "a check in flight",
        || world.portcullis.stderr_text(),
        async || {
            let metrics = world.portcullis.admin_get("/metrics").await.text();
            metrics
                .lines()
                .any(|line| line == "portcullis_checks_in_flight 1")
                .then_some(())
        },
    )
    .await;
    world.portcullis.signal("TERM");
    world
        .portcullis
        .wait_for_log(|line| {
            line["message"] == "no longer accepting; connections are told to go away"
        })
        .await;
    issuer.set(Mood::Keys(json!({"keys": [Signer::shared().jwk()]})));
    let response = waiting.await.expect("an answer");
    assert!(
        matches!(response.status, 200 | 503),
        "{} {}",
        response.status,
        response.text()
    );
    assert_eq!(world.portcullis.wait_exit(SOON).await.code(), Some(0));
    assert_eq!(world.portcullis.audit_lines().len(), 1);
}

#[tokio::test]
async fn closes_what_is_still_open_when_the_drain_timeout_is_over() {
    let usual = Usual::new();
    let arguments = ["--drain-timeout", "300ms"];
    let mut world = World::launch(&usual.yaml, &arguments, |config| config).await;
    // A connection that never says anything and never ends.
    let address = world.portcullis.check_addr().await;
    let _idle = std::net::TcpStream::connect(address).expect("connects");
    world.portcullis.signal("TERM");
    assert_eq!(world.portcullis.wait_exit(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let usual = Usual::new();
    let directory = policy_directory(&usual.yaml);
    let socket = directory.path().join("check.sock");
    drop(UnixListener::bind(&socket).expect("binds"));
    assert!(socket.exists(), "what a killed process leaves behind");
    let first = Portcullis::start(
        serve(directory.path())
            .arg("--listen-unix")
            .arg(&socket)
            .arg("--unix-mode")
            .arg("0600"),
    )
    .await;
    let mode = std::fs::metadata(&socket)
        .expect("exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut second = Portcullis::spawn(serve(directory.path()).arg("--listen-unix").arg(&socket));
    assert_eq!(second.wait_exit(SOON).await.code(), Some(1));
    assert!(
        second.stderr_text().contains("something answers on"),
        "{}",
        second.stderr_text()
    );
    assert!(
        std::os::unix::net::UnixStream::connect(&socket).is_ok(),
        "the first one serves on"
    );
    drop(first);
    let file = directory.path().join("precious");
    std::fs::write(&file, "data").expect("can be written");
    let mut third = Portcullis::spawn(serve(directory.path()).arg("--listen-unix").arg(&file));
    assert_eq!(third.wait_exit(SOON).await.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "data");
}

#[tokio::test]
async fn broken_policies_are_all_told_and_nothing_is_served() {
    let directory = policy_directory(
        "policies:\n  a:\n    hosts: [x:1]\n    routes: [{path: orders}]\n  b:\n    hots: [z]\n    routes: []\n",
    );
    let mut portcullis = Portcullis::spawn(serve(directory.path()));
    assert_eq!(portcullis.wait_exit(SOON).await.code(), Some(78));
    let log = portcullis.stderr_text();
    for code in [
        "bad-host",
        "bad-path",
        "unknown-key",
        "missing-key",
        "empty-list",
    ] {
        assert!(log.contains(code), "{code} is missing:\n{log}");
    }
    assert!(
        log.contains("policies.yaml:3:13") && log.contains('^'),
        "{log}"
    );
    assert!(!log.contains("listening"), "{log}");
    let check = run(&[
        "check",
        &policies_of(directory.path()).display().to_string(),
    ]);
    assert_eq!(check.status.code(), Some(78));
    assert!(text(&check.stderr).contains("bad-host"));
    let json = run(&[
        "check",
        "--output",
        "json",
        &policies_of(directory.path()).display().to_string(),
    ]);
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(
        answer["errors"].as_u64().is_some_and(|errors| errors >= 5),
        "{answer}"
    );
}

#[test]
fn says_what_is_wrong_with_the_command_line_and_the_settings() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("can be written");
        path.display().to_string()
    };
    let unknown = write("unknown.yaml", "listen_tpc: 127.0.0.1:1\n");
    let wrong = write("wrong.yaml", "drain_delay: 5\n");
    let list = write("list.yaml", "workers: [1]\n");
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec![], 2, "Usage"),
        (
            vec!["serve", "--listen-tcp", "nowhere"],
            2,
            "127.0.0.1:9001",
        ),
        (
            vec!["serve", "--listen-tcp", "none"],
            2,
            "nothing to listen on",
        ),
        (vec!["serve", "--drain-delay", "30s"], 2, "--drain-timeout"),
        (vec!["serve", "--unix-mode", "999"], 2, "octal"),
        (vec!["serve", "--log-level", "=="], 2, "--log-level"),
        (
            vec!["serve", "--tls-cert", "a.pem"],
            2,
            "--tls-cert and --tls-key go together",
        ),
        (
            vec!["serve", "--tls-cert", "a.pem", "--tls-key", "b.pem"],
            2,
            "--tls-client-auth none",
        ),
        (
            vec!["serve", "--tls-client-ca", "ca.pem"],
            2,
            "does nothing without TLS",
        ),
        (
            vec![
                "serve",
                "--listen-tcp=none",
                "--listen-unix=/x",
                "--tls-cert=a",
                "--tls-key=b",
            ],
            2,
            "--listen-tcp is none",
        ),
        (
            vec![
                "serve",
                "--tls-cert=a",
                "--tls-key=b",
                "--tls-client-ca=c",
                "--tls-client-auth=none",
            ],
            2,
            "contradicts",
        ),
        (
            vec!["serve", "--tls-client-name", "*.example.com"],
            2,
            "without wildcards",
        ),
        (
            vec!["serve", "--unix-allow-uid", "1,,2"],
            2,
            "write a number",
        ),
        (
            vec!["serve", "--unix-owner", "envoy"],
            2,
            "does nothing without --listen-unix",
        ),
        (
            vec!["serve", "--settings", "/nowhere"],
            2,
            "cannot read the settings file",
        ),
        (
            vec!["serve", "--settings", &unknown],
            2,
            "did you mean `listen_tcp`?",
        ),
        (vec!["serve", "--settings", &wrong], 2, "wrong.yaml"),
        (vec!["serve", "--settings", &list], 2, "takes one value"),
        (
            vec!["serve", "--policies", "/nowhere/at/all"],
            78,
            "cannot read the policy directory",
        ),
        (
            vec!["check", "/nowhere/at/all"],
            78,
            "cannot read the policy directory",
        ),
        (
            vec!["keys", "new", "--environment", "a_b"],
            2,
            "letters, digits and hyphens",
        ),
        (vec!["keys", "new", "--scopes", "a b"], 2, "is no scope"),
    ];
    for (arguments, status, said) in cases {
        let output = run(&arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_settings_file_counts_less_than_the_environment_and_that_less_than_a_flag() {
    let directory = policy_directory(&Usual::new().yaml);
    let settings = directory.path().join("settings.yaml");
    std::fs::write(
        &settings,
        "# every setting by its flag's name\ndrain_timeout: 3s\ndrain_delay: 1s\nlog_format: json\naudit: none\n",
    )
    .expect("can be written");
    let launch = serve(directory.path())
        .arg("--settings")
        .arg(&settings)
        .env("PORTCULLIS_DRAIN_TIMEOUT", "2s")
        .env("PORTCULLIS_DRAIN_DELAY", "2s");
    let mut portcullis = Portcullis::start(launch).await;
    portcullis.signal("TERM");
    let told = portcullis
        .wait_for_log(|line| line["message"] == "told to stop: unready, still answering")
        .await;
    assert_eq!(
        told["drain_timeout_seconds"],
        json!(2.0),
        "from the environment"
    );
    assert_eq!(told["drain_delay_seconds"], json!(0.0), "from the flag");
    assert_eq!(portcullis.wait_exit(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let directory = policy_directory(&Usual::new().yaml);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for flag in ["--listen-tcp", "--admin-listen"] {
        let mut portcullis = Portcullis::spawn(serve(directory.path()).arg(flag).arg(&address));
        assert_eq!(portcullis.wait_exit(SOON).await.code(), Some(1), "{flag}");
        let log = portcullis.stderr_text();
        assert!(log.contains(&address) && log.contains(flag), "{log}");
    }
}

#[tokio::test]
async fn a_config_map_is_read_once() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let policies = policies_of(directory.path());
    std::fs::create_dir(&policies).expect("can be made");
    mount_config_map(&policies, 1, &[("policies.yaml", &Usual::new().yaml)]);
    let portcullis = Portcullis::start(serve(directory.path())).await;
    let loaded = portcullis
        .wait_for_log(|line| line["message"] == "policies loaded")
        .await;
    assert_eq!(loaded["policies"], 2);
}

#[test]
fn a_minted_key_comes_with_yaml_that_loads() {
    let output = run(&[
        "keys",
        "new",
        "--consumer",
        "acme",
        "--authenticator",
        "partner",
        "--scopes",
        "orders:read,orders:*",
        "--expires",
        "2030-01-31",
        "--output",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let minted: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let key = minted["key"].as_str().expect("a key");
    assert!(key.starts_with("pk_live_"), "{key}");
    let yaml = format!(
        "authenticators: {{partner: {{api_key: {{}}}}}}\n\
         policies: {{p: {{hosts: [\"*\"], authenticate: partner, routes: [{{path: /}}]}}}}\n{}\n",
        minted["yaml"].as_str().expect("YAML")
    );
    let directory = policy_directory(&yaml);
    let check = run(&[
        "check",
        &policies_of(directory.path()).display().to_string(),
    ]);
    assert_eq!(
        check.status.code(),
        Some(0),
        "{}\n{yaml}",
        text(&check.stderr)
    );
    // The key itself stands only where it was asked for.
    assert!(!yaml.contains(key));
}
