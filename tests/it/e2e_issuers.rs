//! Key sets over the network: slow, absent, rotating and hostile issuers.

use serde_json::json;

use crate::issuer::{Issuer, Mood};
use crate::support::envoy_config::EnvoyConfig;
use crate::support::portcullis::Portcullis;
use crate::world::{Signer, World, class, get, serve};

fn policies(issuer: &str, jwks: &str) -> String {
    format!(
        r#"
authenticators:
  login: {{jwt: {{issuer: "{issuer}", audiences: [orders-api]{jwks}}}}}
defaults:
  inject: {{x-auth-subject: principal.subject}}
policies:
  orders:
    hosts: [api.example.com]
    authenticate: login
    routes:
      - {{path: /orders}}
      - {{path: /public, public: true}}
"#
    )
}

fn keys(signers: &[&Signer]) -> Mood {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    Mood::Keys(json!({"keys": keys}))
}

fn plain(config: EnvoyConfig) -> EnvoyConfig {
    config
}

fn bearer(signer: &Signer, issuer: &str) -> String {
    format!("Bearer {}", signer.token(&json!({"iss": issuer})))
}

#[tokio::test]
async fn keys_are_found_by_discovery_and_rotated_without_a_restart() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(keys(&[&old])).await;
    let url = issuer.url();
    let world = World::start(&policies(&url, ""), plain).await;
    let status = async |signer: &Signer| {
        get("/orders")
            .header("authorization", bearer(signer, &url))
            .send_h1(world.envoy.addr())
            .await
            .status
    };
    assert_eq!(status(&old).await, 200);
    assert_eq!(issuer.fetches(), 1);
    // A token of a key that the issuer has not published yet: refused. The first fetch is too recent
    // for a second one.
    for _ in 0..5 {
        assert_eq!(status(&new).await, 401);
    }
    assert_eq!(
        issuer.fetches(),
        1,
        "invented key ids cost the issuer nothing"
    );
    let audit = world
        .portcullis
        .wait_for_audit(|line| line["reason"] == "token_key_unknown")
        .await;
    assert_eq!(audit["authenticator"], "login");
    assert_eq!(status(&old).await, 200);
}

#[tokio::test]
async fn j6_an_issuer_that_is_down_at_the_start_denies_and_keeps_the_process_unready() {
    let signer = Signer::new("k");
    let issuer = Issuer::start(Mood::Broken(500, "down")).await;
    let url = issuer.url();
    let jwks = format!(", jwks: {{url: \"{url}/jwks\"}}");
    let world = World::unready(&policies(&url, &jwks), &[], |c| c.failure_mode_allow(true)).await;
    let ready = world.portcullis.admin_get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("login"), "{}", ready.text());
    assert_eq!(world.portcullis.admin_get("/livez").await.status, 200);
    let send = async || {
        get("/orders")
            .header("authorization", bearer(&signer, &url))
            .send_h1(world.envoy.addr())
            .await
    };
    let denied = send().await;
    assert_eq!(
        (denied.status, class(&denied).as_str()),
        (503, "unavailable")
    );
    let audit = world
        .portcullis
        .wait_for_audit(|line| line["reason"] == "dependency_unavailable")
        .await;
    assert_eq!(audit["authenticator"], "login");
    let warning = world
        .portcullis
        .wait_for_log(|line| line["level"] == "WARN")
        .await;
    assert!(
        warning["error"]
            .as_str()
            .is_some_and(|error| error.contains("500")),
        "{warning}"
    );
    issuer.set(keys(&[&signer]));
    world.portcullis.wait_ready().await;
    assert_eq!(send().await.status, 200);
    // Away again: the last good keys serve on.
    issuer.set(Mood::Broken(500, "down"));
    assert_eq!(send().await.status, 200);
}

#[tokio::test]
async fn documents_that_are_no_key_sets_are_never_believed() {
    for (answer, said) in [
        (Mood::Broken(200, "<html>"), "not a JSON document"),
        (Mood::Broken(200, "{}"), "no `keys` array"),
        (
            Mood::Broken(200, "{\"keys\": []}"),
            "no key that can verify",
        ),
        (
            Mood::Broken(200, "{\"keys\": [], \"keys\": []}"),
            "not a JSON document",
        ),
        (Mood::Broken(302, ""), "redirects are not followed"),
        (Mood::Broken(404, ""), "404"),
    ] {
        let issuer = Issuer::start(answer).await;
        let url = issuer.url();
        let directory = crate::world::policy_directory(&policies(
            &url,
            &format!(", jwks: {{url: \"{url}/jwks\"}}"),
        ));
        let portcullis = Portcullis::spawn(serve(directory.path()));
        let warning = portcullis
            .wait_for_log(|line| line["level"] == "WARN")
            .await;
        let error = warning["error"].as_str().unwrap_or_default();
        assert!(error.contains(said), "{said}: {error}");
        assert_eq!(portcullis.admin_get("/readyz").await.status, 503);
    }
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let signer = Signer::new("k");
    let issuer = Issuer::start(keys(&[&signer])).await;
    issuer.call_itself("https://evil.example");
    let url = issuer.url();
    let directory = crate::world::policy_directory(&policies(&url, ""));
    let portcullis = Portcullis::spawn(serve(directory.path()));
    let warning = portcullis
        .wait_for_log(|line| line["level"] == "WARN")
        .await;
    assert!(
        warning["error"]
            .as_str()
            .unwrap_or_default()
            .contains("evil.example"),
        "{warning}"
    );
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn a_key_set_in_a_file_is_read_and_a_bad_one_is_a_mistake_of_the_policy() {
    let signer = Signer::new("k");
    let directory = crate::world::policy_directory(&policies(
        crate::world::ISSUER,
        ", jwks: {file: keys.json}",
    ));
    let file = crate::world::policies_of(directory.path()).join("keys.json");
    std::fs::write(&file, json!({"keys": [signer.jwk()]}).to_string()).expect("can be written");
    let portcullis = Portcullis::start(serve(directory.path())).await;
    assert_eq!(portcullis.admin_get("/readyz").await.status, 200);
    drop(portcullis);
    std::fs::write(&file, "{}").expect("can be written");
    let mut broken = Portcullis::spawn(serve(directory.path()));
    let status = broken.wait_exit(std::time::Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(78));
    assert!(
        broken.stderr_text().contains("bad-key-set"),
        "{}",
        broken.stderr_text()
    );
}

#[tokio::test]
async fn a_secret_in_the_address_of_keys_is_told_to_nobody() {
    let dead = crate::support::ports::DeadAddress::reserve();
    let query = format!(
        ", jwks: {{url: \"http://{}/jwks?token=s3cret\"}}",
        dead.addr()
    );
    let directory = crate::world::policy_directory(&policies(crate::world::ISSUER, &query));
    let portcullis = Portcullis::spawn(serve(directory.path()));
    portcullis
        .wait_for_log(|line| line["level"] == "WARN")
        .await;
    assert!(
        !portcullis.stderr_text().contains("s3cret"),
        "{}",
        portcullis.stderr_text()
    );
    let user = ", jwks: {url: \"https://bob:hunter2@login.example.com/jwks\"}";
    let directory = crate::world::policy_directory(&policies(crate::world::ISSUER, user));
    let mut refused = Portcullis::spawn(serve(directory.path()));
    let status = refused.wait_exit(std::time::Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(78));
    assert!(
        refused.stderr_text().contains("secret-in-url"),
        "{}",
        refused.stderr_text()
    );
    assert!(
        !refused.stderr_text().contains("hunter2"),
        "{}",
        refused.stderr_text()
    );
}
