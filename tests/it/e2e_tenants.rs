//! Teams with policies of their own, revocations and routes in shadow, each seen through a real Envoy.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::wait::poll;
use crate::world::{TestKey, World, class, get, mount_config_map, policies_of, policy_directory};

const ROOT: &str = "
tenants:
  payments: {hosts: [api.example.com], paths: [/payments/**], scopes: [\"payments:*\"]}
  stock: {hosts: [api.example.com], paths: [/stock/**], may: [public]}
defaults: {inject: {x-auth-consumer: consumer.name}}
policies:
  root: {hosts: [api.example.com], public: true, routes: [{path: /free}]}
";

fn payments(key: &TestKey, path: &str) -> String {
    format!(
        r#"
authenticators: {{key: {{api_key: {{}}}}}}
consumers: {{shop: {{scopes: [payments:read], credentials: {{key: [{{id: k1, hash: "{}"}}]}}}}}}
policies: {{p: {{hosts: [api.example.com], authenticate: key, scopes: [payments:read], routes: [{{path: {path}}}]}}}}
"#,
        key.hash
    )
}

const STOCK: &str =
    "policies: {s: {hosts: [api.example.com], public: true, routes: [{path: PATH}]}}";

/// The root's file, and each tenant's as a projected volume lays them out.
async fn start(key: &TestKey) -> (World, PathBuf) {
    let directory = policy_directory(ROOT);
    let at = policies_of(directory.path());
    for (tenant, text) in [
        ("payments", payments(key, "/payments/a")),
        ("stock", STOCK.replace("PATH", "/stock/a")),
    ] {
        std::fs::create_dir(at.join(tenant)).expect("can be made");
        mount_config_map(&at.join(tenant), 1, &[("policies.yaml", &text)]);
    }
    (World::of(directory, &[], |config| config).await, at)
}

async fn config(world: &World, what: &str, says: impl Fn(&Value) -> bool) {
    poll(
        what,
        || world.portcullis.stderr_text(),
        async || {
            let config = world.portcullis.admin_get("/config").await.json();
            says(&config).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn a_team_breaks_nobody_but_itself_and_not_even_that() {
    let key = TestKey::new("live", "k1");
    let (world, at) = start(&key).await;
    let status = async |path: &str| {
        let request = || {
            get(path)
                .header("x-api-key", &key.plain)
                .header("x-auth-consumer", "forged")
        };
        let [h1, h2] = world.both(request).await;
        assert_eq!(h1.status, h2.status, "{path}");
        h1.status
    };
    assert_eq!(status("/payments/a").await, 200);
    for seen in world.upstream.take_requests() {
        assert_eq!(seen.headers_all("x-auth-consumer"), ["payments/shop"]);
        assert_eq!(seen.header("x-api-key"), None);
    }
    assert_eq!(status("/stock/a").await, 200);
    assert_eq!(status("/free").await, 200);

    // Out of bounds: the team's last good policies serve on, and the others move on.
    let greedy = payments(&key, "/stock/b");
    mount_config_map(&at.join("payments"), 2, &[("policies.yaml", &greedy)]);
    let broken = |config: &Value| {
        let errors = config["errors"].as_array().expect("a list");
        config["stale"] == true && errors.iter().any(|error| error["code"] == "outside-tenant")
    };
    config(&world, "the tenant's mistake", broken).await;
    let moved = STOCK.replace("PATH", "/stock/c");
    mount_config_map(&at.join("stock"), 2, &[("policies.yaml", &moved)]);
    config(&world, "the other tenant's change", |config| {
        config["generation"] == 3
    })
    .await;
    assert_eq!(status("/payments/a").await, 200);
    assert_eq!(status("/stock/b").await, 403);
    assert_eq!(status("/stock/c").await, 200);
    assert_eq!(status("/stock/a").await, 403);

    let mended = payments(&key, "/payments/z");
    mount_config_map(&at.join("payments"), 3, &[("policies.yaml", &mended)]);
    config(&world, "all is well", |config| config["stale"] == false).await;
    assert_eq!(status("/payments/z").await, 200);
    assert_eq!(status("/payments/a").await, 403);
}

#[tokio::test]
async fn a_team_without_policies_is_answered_503() {
    let key = TestKey::new("live", "k1");
    let directory = policy_directory(&ROOT.replace("path: /free", "path: /**"));
    let world = World::of(directory, &[], |config| config).await;
    let [h1, h2] = world
        .both(|| get("/payments/a").header("x-api-key", &key.plain))
        .await;
    for response in [h1, h2] {
        assert_eq!(response.status, 503);
        assert_eq!(class(&response), "unavailable");
        assert_eq!(response.header("retry-after"), Some("1"));
    }
    assert_eq!(get("/free").send_h1(world.envoy.addr()).await.status, 200);
}

#[tokio::test]
async fn a_revocation_counts_beside_mistakes() {
    let key = TestKey::new("live", "k1");
    let policies = payments(&key, "/payments/a");
    let world = World::start(&policies, |config| config).await;
    let ask = async || {
        let request = get("/payments/a").header("x-api-key", &key.plain);
        request.send_h1(world.envoy.addr()).await
    };
    assert_eq!(ask().await.status, 200);
    let at = policies_of(world.directory.path());
    let revoked = "revocations: [{credential: k1}]\npolices: {a mistake beside it}\n";
    std::fs::write(at.join("revoked.yaml"), revoked).expect("can be written");
    config(&world, "the mistake", |config| config["stale"] == true).await;
    let refused = ask().await;
    assert_eq!(refused.status, 401);
    assert_eq!(class(&refused), "credentials_invalid");
}

#[tokio::test]
async fn a_route_in_shadow_says_what_it_would_do() {
    let key = TestKey::new("live", "k1");
    let policies = format!(
        "{}
  next:
    hosts: [api.example.com]
    mode: shadow
    authenticate: key
    inject: {{x-auth-next: consumer.name}}
    routes: [{{path: /payments/a, scopes: [payments:write]}}, {{path: /new}}]
defaults: {{unenforced: allow}}
",
        payments(&key, "/payments/a")
            .replace("policies: {p: {", "policies:\n  p: {")
            .replace("]}}\n", "]}\n")
    );
    let world = World::start(&policies, |config| config).await;
    for (path, status, reason) in [
        ("/payments/a", 200, "scope_insufficient"),
        ("/new", 200, "allowed"),
    ] {
        let request = || {
            get(path)
                .header("x-api-key", &key.plain)
                .header("x-auth-next", "forged")
        };
        for response in world.both(request).await {
            assert_eq!(response.status, status, "{path}");
        }
        for seen in world.upstream.take_requests() {
            assert_eq!(seen.header("x-auth-next"), None, "{path}");
        }
        let audit = world
            .portcullis
            .wait_for_audit(|line| line["path"] == path)
            .await;
        assert_eq!(audit["decision"], "allow");
        assert_eq!(audit["shadow"]["reason"], reason);
        assert_eq!(audit["shadow"]["policy"], "next");
    }
    let metrics = world.portcullis.admin_get("/metrics").await.text();
    let line = "portcullis_shadow_decisions_total{differs=\"closed\",policy=\"next\",reason=\"scope_insufficient\"} 2";
    assert!(metrics.contains(line), "{metrics}");
}
