//! Policies that change under traffic.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::issuer::{Issuer, Mood};
use crate::support::portcullis::Portcullis;
use crate::support::wait::poll;
use crate::world::{
    ISSUER, Signer, TestKey, World, class, get, mount_config_map, policies_of, policy_directory,
};

async fn config(portcullis: &Portcullis) -> Value {
    portcullis.admin_get("/config").await.json()
}

/// Waits until `/config` says so.
async fn wait_config(portcullis: &Portcullis, what: &str, says: impl Fn(&Value) -> bool) -> Value {
    poll(
        what,
        || portcullis.stderr_text(),
        async || Some(config(portcullis).await).filter(&says),
    )
    .await
}

async fn wait_generation(portcullis: &Portcullis, generation: u64) {
    let says = |config: &Value| config["generation"] == generation && config["stale"] == false;
    wait_config(portcullis, &format!("generation {generation}"), says).await;
}

async fn wait_stale(portcullis: &Portcullis, code: &str) -> Value {
    let says = |config: &Value| {
        let errors = config["errors"].as_array().expect("a list");
        config["stale"] == true && errors.iter().any(|error| error["code"] == code)
    };
    wait_config(portcullis, code, says).await
}

fn file(world: &World) -> PathBuf {
    policies_of(world.directory.path()).join("policies.yaml")
}

/// Puts the policies in place in one step.
fn put(world: &World, policies: &str) {
    let next = world.directory.path().join("next");
    std::fs::write(&next, policies).expect("can be written");
    std::fs::rename(next, file(world)).expect("can be moved");
}

/// The value of a metric's line, such as `portcullis_config_stale{set="enforced"}`.
async fn metric(portcullis: &Portcullis, line: &str) -> Option<f64> {
    let metrics = portcullis.admin_get("/metrics").await.text();
    let found = metrics.lines().find_map(|other| {
        other
            .strip_prefix(line)?
            .strip_prefix(' ')
            .map(str::to_owned)
    });
    found.map(|value| value.parse().expect("a number"))
}

/// Three consumers: of the first generation's scope, of the second's, of both.
struct Keys([TestKey; 3]);

impl Keys {
    fn new() -> Self {
        Self([1, 2, 3].map(|number| TestKey::new("live", &format!("k{number}"))))
    }

    /// What a generation asks for and what it injects belong together.
    fn policies(&self, generation: &str, more: &str) -> String {
        let [one, two, both] = &self.0;
        format!(
            r#"
authenticators:
  key: {{api_key: {{}}}}
  {more}
consumers:
  one: {{scopes: [one], credentials: {{key: [{{id: k1, hash: "{}"}}]}}}}
  two: {{scopes: [two], credentials: {{key: [{{id: k2, hash: "{}"}}]}}}}
  both: {{scopes: [one, two], credentials: {{key: [{{id: k3, hash: "{}"}}]}}}}
policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    scopes: [{generation}]
    inject: {{x-generation-{generation}: consumer.name}}
    routes: [{{path: /a}}]
"#,
            one.hash, two.hash, both.hash
        )
    }
}

/// Asks over and over with each key in turn until it is told to stop; answers with how often. Panics at the
/// first answer that no one generation would give.
async fn ask_on(address: std::net::SocketAddr, keys: Arc<Keys>, stop: Arc<AtomicBool>) -> usize {
    let mut asked = 0;
    while !stop.load(Ordering::SeqCst) {
        for (number, key) in keys.0.iter().enumerate() {
            let response = get("/a")
                .header("x-api-key", &key.plain)
                .send_h1(address)
                .await;
            let seen = |header: &str| {
                response.status == 200
                    && response.json()["headers"]
                        .as_array()
                        .expect("an echo")
                        .iter()
                        .any(|line| line[0] == header)
            };
            let injected = (seen("x-generation-one"), seen("x-generation-two"));
            let good = match (number, response.status) {
                (0, 200) => injected == (true, false),
                (1, 200) => injected == (false, true),
                (0 | 1, 403) => class(&response) == "insufficient_scope",
                (2, 200) => injected.0 != injected.1,
                _ => false,
            };
            assert!(
                good,
                "key {number}: {} {injected:?} {}",
                response.status,
                response.text()
            );
            asked += 1;
        }
    }
    asked
}

/// How the files of a test change.
#[derive(Clone, Copy)]
enum Change {
    /// As Kubernetes changes a mounted ConfigMap.
    Mounted,
    /// As an editor does it that writes into the file that is there.
    Written,
}

impl Change {
    fn make(self, directory: &Path, version: u32, policies: &str) {
        match self {
            Self::Mounted => mount_config_map(directory, version, &[("a.yaml", policies)]),
            Self::Written => {
                std::fs::write(directory.join("a.yaml"), policies).expect("can be written");
            }
        }
    }
}

async fn change_under_traffic(change: Change) {
    let keys = Arc::new(Keys::new());
    let signer = Signer::new("k");
    let issuer = Issuer::start(Mood::Keys(json!({"keys": [signer.jwk()]}))).await;
    let login = format!(
        "login: {{jwt: {{issuer: \"{ISSUER}\", any_audience: true, jwks: {{url: \"{}/jwks\"}}}}}}",
        issuer.url()
    );
    let versions = ["one", "two"].map(|generation| {
        let policies = keys.policies(generation, &login);
        format!("{policies}  q: {{hosts: [login.example.com], authenticate: login, routes: [{{path: /}}]}}\n")
    });
    let directory = TempDir::new().expect("a directory");
    let policies = policies_of(directory.path());
    std::fs::create_dir(&policies).expect("can be made");
    let mut made = 0;
    let mut make = |text: &str| {
        made += 1;
        change.make(&policies, made, text);
    };
    make(&versions[1]);
    let world = World::of(directory, &[], |config| config).await;
    world.portcullis.wait_ready().await;
    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn(ask_on(
                world.envoy.addr(),
                Arc::clone(&keys),
                Arc::clone(&stop),
            ))
        })
        .collect();

    let mut generation = 1;
    for version in 2..14 {
        let next = &versions[version % 2];
        if version % 4 == 0 {
            // What cannot be used in between.
            let half: String = next.chars().take(next.len() / 2).collect();
            make(&half);
            let stale = |config: &Value| config["stale"] == true;
            wait_config(&world.portcullis, "stale", stale).await;
        }
        make(next);
        generation += 1;
        wait_generation(&world.portcullis, generation).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut asked = 0;
    for task in asking {
        asked += task.await.expect("every answer was one generation's");
    }
    assert!(asked > 100, "only {asked} requests");
    assert_eq!(issuer.fetches(), 1, "nothing about the issuer changed");
    let lines = world.portcullis.audit_lines();
    for line in &lines {
        let reason = line["reason"].as_str().expect("a word");
        assert!(matches!(reason, "allowed" | "scope_insufficient"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_or_sees_two_generations_while_a_config_map_changes() {
    change_under_traffic(Change::Mounted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_or_sees_two_generations_while_a_file_is_edited() {
    change_under_traffic(Change::Written).await;
}

#[tokio::test]
async fn keeps_last_good_policies_and_says_what_is_wrong() {
    let keys = Keys::new();
    let good = keys.policies("one", "");
    let world = World::start(&good, |config| config).await;
    let portcullis = &world.portcullis;
    let status = async || {
        let key = &keys.0[0].plain;
        get("/a")
            .header("x-api-key", key)
            .send_h1(world.envoy.addr())
            .await
            .status
    };
    let stale = "portcullis_config_stale{set=\"enforced\"}";
    assert_eq!(metric(portcullis, stale).await, Some(0.0));
    assert_eq!(status().await, 200);

    let typing_error = good.replace("    routes:", "    ruotes:");
    put(&world, &typing_error);
    let config = wait_stale(portcullis, "unknown-key").await;
    let errors = config["errors"].as_array().expect("a list");
    let error = errors
        .iter()
        .find(|error| error["code"] == "unknown-key")
        .expect("it was waited for");
    let line = typing_error
        .lines()
        .position(|line| line.contains("ruotes"))
        .expect("is there")
        + 1;
    assert_eq!(
        (&error["line"], &error["column"]),
        (&json!(line), &json!(5)),
        "{error}"
    );
    assert!(
        error["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("policies.yaml"))
    );
    assert!(
        error["help"]
            .as_str()
            .is_some_and(|help| help.contains("routes")),
        "{error}"
    );
    assert_eq!(
        (&config["generation"], &config["routes"]),
        (&json!(1), &json!(1))
    );
    let text = portcullis.admin_get("/config?format=text").await.text();
    assert!(text.contains("^^^^^^"), "{text}");
    assert_eq!(metric(portcullis, stale).await, Some(1.0));
    assert_eq!(portcullis.admin_get("/readyz").await.status, 200);
    assert_eq!(status().await, 200);

    // The same mistake in a file that was touched is not told again.
    put(&world, &typing_error);
    poll(
        "the file was read again",
        || portcullis.stderr_text(),
        async || {
            let line = "portcullis_config_reloads_total{outcome=\"unchanged\",set=\"enforced\"}";
            metric(portcullis, line).await.filter(|&count| count >= 1.0)
        },
    )
    .await;
    let told = portcullis.stderr_text().matches("`ruotes`").count();
    assert_eq!(told, 1, "{}", portcullis.stderr_text());

    std::fs::remove_file(file(&world)).expect("can be removed");
    wait_stale(portcullis, "no-policies").await;
    assert_eq!(status().await, 200);
    let mounted = policies_of(world.directory.path());
    std::fs::remove_dir(&mounted).expect("can be removed");
    wait_stale(portcullis, "unreadable-directory").await;
    assert_eq!(status().await, 200);

    std::fs::create_dir(&mounted).expect("can be made");
    put(&world, &keys.policies("two", ""));
    wait_generation(portcullis, 2).await;
    assert_eq!(status().await, 403);
    assert_eq!(metric(portcullis, stale).await, Some(0.0));
    assert_eq!(
        metric(portcullis, "portcullis_config_generation{set=\"enforced\"}").await,
        Some(2.0)
    );
    let loaded = metric(
        portcullis,
        "portcullis_config_loaded_timestamp_seconds{set=\"enforced\"}",
    )
    .await;
    let since = crate::world::now() as f64 - loaded.expect("is there");
    assert!((0.0..60.0).contains(&since), "{since}");
    let reloads = |outcome: &str| {
        format!("portcullis_config_reloads_total{{outcome=\"{outcome}\",set=\"enforced\"}}")
    };
    assert_eq!(metric(portcullis, &reloads("loaded")).await, Some(1.0));
    assert!(metric(portcullis, &reloads("failed")).await >= Some(3.0));
    let line = portcullis
        .wait_for_log(|line| line["message"] == "policies reloaded")
        .await;
    assert_eq!(
        (&line["was_stale"], &line["generation"]),
        (&json!(true), &json!(2))
    );
}

#[tokio::test]
async fn reloads_when_it_is_told_to() {
    let keys = Keys::new();
    let world = World::start(&keys.policies("one", ""), |config| config).await;
    let fingerprint = config(&world.portcullis).await["fingerprint"].clone();
    for generation in 2..4 {
        world.portcullis.signal("HUP");
        wait_generation(&world.portcullis, generation).await;
    }
    assert_eq!(config(&world.portcullis).await["fingerprint"], fingerprint);
}

#[tokio::test]
async fn a_new_issuer_that_is_away_takes_nothing_out_of_service() {
    let keys = Keys::new();
    let signer = Signer::new("k");
    let issuer = Issuer::start(Mood::Broken(500, "down")).await;
    let world = World::start(&keys.policies("one", ""), |config| config).await;
    let login = format!(
        "login: {{jwt: {{issuer: \"{ISSUER}\", any_audience: true, jwks: {{url: \"{}/jwks\"}}}}}}",
        issuer.url()
    );
    let policies = format!(
        "{}      - {{path: /b, authenticate: login}}\n",
        keys.policies("one", &login)
            .replace("routes: [{path: /a}]", "routes:\n      - {path: /a}")
    )
    .replace("scopes: [one]\n", "\n");
    put(&world, &policies);
    wait_generation(&world.portcullis, 2).await;
    assert_eq!(
        config(&world.portcullis).await["waiting_for_keys"],
        json!(["login"])
    );
    let token = format!("Bearer {}", signer.token(&json!({})));
    let with_token = async || {
        let request = get("/b").header("authorization", &token);
        request.send_h1(world.envoy.addr()).await.status
    };
    let with_key = async || {
        let request = get("/a").header("x-api-key", &keys.0[0].plain);
        request.send_h1(world.envoy.addr()).await.status
    };
    assert_eq!((with_token().await, with_key().await), (503, 200));
    assert_eq!(
        world.portcullis.admin_get("/readyz").await.status,
        200,
        "ready stays ready"
    );
    assert_eq!(
        metric(&world.portcullis, "portcullis_ready").await,
        Some(1.0)
    );
    issuer.set(Mood::Keys(json!({"keys": [signer.jwk()]})));
    wait_config(&world.portcullis, "its keys", |config| {
        config["waiting_for_keys"] == json!([])
    })
    .await;
    assert_eq!((with_token().await, with_key().await), (200, 200));
}

#[tokio::test]
async fn candidate_policies_are_judged_beside_and_fail_alone() {
    let keys = Keys::new();
    let candidates = policy_directory(&keys.policies("two", ""));
    let directory = policies_of(candidates.path());
    let world = World::launch(
        &keys.policies("one", ""),
        &["--candidate-policies", &directory.display().to_string()],
        |config| config,
    )
    .await;
    let portcullis = &world.portcullis;
    for (key, status, differs, told) in [
        (0, 200, "closed", Some("scope_insufficient")),
        (1, 403, "opened", Some("allowed")),
        (2, 200, "same", None),
    ] {
        let request = get("/a").header("x-api-key", &keys.0[key].plain);
        let response = request.send_h1(world.envoy.addr()).await;
        assert_eq!(response.status, status, "{differs}");
        assert!(
            !response.text().contains("x-generation-two"),
            "{}",
            response.text()
        );
        let id = format!("k{}", key + 1);
        let audit = portcullis
            .wait_for_audit(|line| line["credential_id"] == *id)
            .await;
        let reason = audit
            .get("candidate")
            .map(|candidate| candidate["reason"].as_str());
        assert_eq!(reason, told.map(Some), "{audit}");
        let line =
            format!("portcullis_candidate_decisions_total{{differs=\"{differs}\",policy=\"p\"}}");
        assert_eq!(metric(portcullis, &line).await, Some(1.0), "{differs}");
    }

    std::fs::write(directory.join("policies.yaml"), "policies: [").expect("can be written");
    wait_config(portcullis, "stale", |config| {
        config["candidate"]["stale"] == true
    })
    .await;
    assert_eq!(config(portcullis).await["stale"], false);
    let stale = |set: &str| format!("portcullis_config_stale{{set=\"{set}\"}}");
    assert_eq!(metric(portcullis, &stale("candidate")).await, Some(1.0));
    assert_eq!(metric(portcullis, &stale("enforced")).await, Some(0.0));
    std::fs::write(directory.join("policies.yaml"), keys.policies("one", ""))
        .expect("can be written");
    wait_config(portcullis, "the candidate", |config| {
        config["candidate"]["generation"] == 2 && config["candidate"]["stale"] == false
    })
    .await;
    assert_eq!(config(portcullis).await["generation"], 1);
}

#[tokio::test]
async fn candidate_policies_that_never_compiled_keep_nobody_from_starting() {
    let keys = Keys::new();
    let world = World::launch(
        &keys.policies("one", ""),
        &["--candidate-policies", "/nowhere/at/all"],
        |config| config,
    )
    .await;
    let request = get("/a").header("x-api-key", &keys.0[0].plain);
    assert_eq!(request.send_h1(world.envoy.addr()).await.status, 200);
    let config = config(&world.portcullis).await;
    assert_eq!(
        config["candidate"]["errors"][0]["code"],
        "unreadable-directory"
    );
    assert_eq!(config["candidate"]["generation"], 0);
}
