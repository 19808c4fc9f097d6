//! Signed requests while policies and secrets change.

use serde_json::json;

use super::{Over, SECRET, Scene, acme, policies, with_bodies};
use crate::support::signers::{Signed, job, order, sign};
use crate::support::wait::poll;
use crate::world::{World, policies_of, policy_directory};

impl Scene {
    /// Puts a file among the policies in one step, and waits until it counts.
    async fn put(&self, name: &str, text: &str, generation: u64) {
        let next = self.0.directory.path().join("next");
        std::fs::write(&next, text).expect("can be written");
        let file = policies_of(self.0.directory.path()).join(name);
        std::fs::rename(next, file).expect("can be moved");
        poll(
            &format!("generation {generation}"),
            || self.0.portcullis.stderr_text(),
            async || {
                let config = self.0.portcullis.admin_get("/config").await.json();
                let there = config["generation"] == generation && config["stale"] == false;
                there.then_some(())
            },
        )
        .await;
    }
}

async fn signed(path: &str, secret: &str) -> Signed {
    let more = json!({
        "url": format!("http://api.example.com{path}"),
        "key_id": "acme-1", "algorithm": "hmac-sha256", "secret": secret,
    });
    sign("http_signature.mjs", &job(&order(), &more)).await
}

#[tokio::test]
async fn what_was_used_stays_used() {
    let credentials = json!([{"key_id": "acme-1", "secret": {"insecure_literal": SECRET}}]);
    let credentials = credentials.to_string();
    let before = policies("{http_signature: {}}", &acme(&credentials));
    let scene = Scene::start(&before).await;
    let used = signed("/orders/7", SECRET).await;
    scene.passes(&used, Over::H2).await;

    // Another route; then the key moves to a consumer of another name, and back.
    let wider = format!("{before}      - {{path: /invoices/**}}\n");
    scene.put("policies.yaml", &wider, 2).await;
    scene
        .passes(&signed("/invoices/7", SECRET).await, Over::H1)
        .await;
    scene.refused(&used, Over::H1, "signature_replayed").await;
    let renamed = before.replace("acme:", "acme-limited:");
    scene.put("policies.yaml", &renamed, 3).await;
    scene.refused(&used, Over::H2, "signature_replayed").await;
    scene.put("policies.yaml", &before, 4).await;
    scene.refused(&used, Over::H1, "signature_replayed").await;
}

#[tokio::test]
async fn a_secret_that_is_replaced_in_its_file_counts_from_then_on() {
    let credentials = json!([{"key_id": "acme-1", "secret": {"file": "acme.secret"}}]);
    let yaml = policies("{http_signature: {}}", &acme(&credentials.to_string()));
    let directory = policy_directory(&yaml);
    let file = policies_of(directory.path()).join("acme.secret");
    std::fs::write(file, format!("{SECRET}\n")).expect("can be written");
    let world = World::of(directory, &[], with_bodies).await;
    world.portcullis.wait_ready().await;
    let scene = Scene(world);
    let new = SECRET.to_uppercase();
    scene
        .passes(&signed("/orders/1", SECRET).await, Over::H1)
        .await;
    let early = signed("/orders/2", &new).await;
    scene.refused(&early, Over::H1, "signature_mismatch").await;

    scene.put("acme.secret", &format!("{new}\n"), 2).await;
    let late = signed("/orders/3", SECRET).await;
    scene.refused(&late, Over::H2, "signature_mismatch").await;
    scene.passes(&early, Over::H2).await;
    scene.refused(&early, Over::H2, "signature_replayed").await;
}
