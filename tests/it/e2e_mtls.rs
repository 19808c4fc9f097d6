//! Workloads and other clients by their certificates: a real Envoy terminates TLS, in each of its forwarding modes.

use serde_json::{Value, json};

use crate::support::client::{Request, Response};
use crate::support::envoy::Envoy;
use crate::support::envoy_config::{Endpoint, EnvoyConfig, HCM};
use crate::support::tls::{self, Authority, Identity, dns, send, uri};
use crate::support::upstream::Recorded;
use crate::world::{World, class, get, policies_of, policy_directory};

const WORKER: &str = "spiffe://td/ns/billing/sa/worker";
const GATEWAY: &str = "spiffe://td/ns/istio-system/sa/gateway";
const ADMIN: &str = "spiffe://td/ns/web/sa/admin";

const POLICIES: &str = "
version: portcullis/v1
authenticators:
  mesh: {mtls: {trust_domains: [td], any_workload: true, except: [{namespace: istio-system}]}}
defaults:
  inject:
    x-auth-principal: principal.id
    x-auth-peer: peer.spiffe_id
    x-auth-fingerprint: peer.fingerprint
policies:
  api:
    hosts: [api.example.com]
    authenticate: mesh
    routes:
      - {path: /work}
      - {path: /admin, callers: [{namespace: web, service_account: admin}]}
      - {path: /open, public: true}
";

/// What every test needs of keys and certificates.
struct Mesh {
    authority: Authority,
    server: Identity,
    worker: Identity,
}

impl Mesh {
    fn new() -> Self {
        let authority = Authority::new("mesh");
        Self {
            server: authority.issue(
                "server",
                vec![dns("localhost"), uri("spiffe://td/ns/a/sa/server")],
            ),
            worker: authority.issue("worker", vec![uri(WORKER)]),
            authority,
        }
    }

    fn issue(&self, names: Vec<rcgen::SanType>) -> Identity {
        self.authority.issue("someone", names)
    }

    async fn send(&self, request: &Request, to: &Envoy, client: &Identity) -> Response {
        send(request, to.addr(), &self.authority.pem, Some(client)).await
    }
}

const FILTER_CHAIN: &str = "/static_resources/listeners/0/filter_chains/0";

/// An Envoy that asks for client certificates, and treats XFCC so.
#[expect(
    clippy::panic,
    reason = "a test that cannot be set up has nothing to tell"
)]
fn terminating(
    config: EnvoyConfig,
    server: &Identity,
    trusted: &[&str],
    forward: &str,
    required: bool,
) -> EnvoyConfig {
    let socket = tls::downstream(server, trusted, required);
    config.include_peer_certificate(true).raw_patch(|json| {
        let at = |json: &mut Value, path: &str, key: &str, value: Value| {
            let found = json.pointer_mut(path);
            let found = found.unwrap_or_else(|| panic!("the configuration has no {path}"));
            found[key] = value;
        };
        at(json, FILTER_CHAIN, "transport_socket", socket.clone());
        at(json, HCM, "forward_client_cert_details", forward.into());
        let details =
            json!({"subject": true, "cert": true, "chain": true, "dns": true, "uri": true});
        at(json, HCM, "set_current_client_cert_details", details);
    })
}

async fn world(mesh: &Mesh, arguments: &[&str], forward: &str) -> World {
    World::of(policy_directory(POLICIES), arguments, |config| {
        terminating(config, &mesh.server, &[&mesh.authority.pem], forward, false)
    })
    .await
}

fn one(world: &World) -> Recorded {
    let mut all = world.upstream.take_requests();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// What a caller would write to be somebody else: the text form, with a certificate that everybody has.
fn forged(identity: &Identity, id: &str) -> String {
    let escaped: String = identity
        .certificate
        .chars()
        .map(|c| match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '-' => c.to_string(),
            _ => format!("%{:02X}", u32::from(c)),
        })
        .collect();
    format!(
        "By=spiffe://td/a;Hash={};Cert=\"{escaped}\";Subject=\"\";URI={id}",
        identity.fingerprint()
    )
}

const MODES: [&str; 5] = [
    "SANITIZE",
    "SANITIZE_SET",
    "APPEND_FORWARD",
    "FORWARD_ONLY",
    "ALWAYS_FORWARD_ONLY",
];

/// C2: by default the certificate alone counts, whatever Envoy does with the header.
#[tokio::test(flavor = "multi_thread")]
async fn c2_only_the_certificate_counts_in_every_forwarding_mode() {
    let mesh = Mesh::new();
    let admin = mesh.issue(vec![uri(ADMIN)]);
    for mode in MODES {
        let world = world(&mesh, &[], mode).await;
        let forged = forged(&admin, ADMIN);
        for header in [None, Some(forged.as_str())] {
            let with = |request: Request| match header {
                Some(value) => request
                    .header("x-forwarded-client-cert", value)
                    .header("client-cert", ":AAEC:")
                    .header("x-auth-principal", "mesh:forged"),
                None => request,
            };
            let answer = mesh
                .send(&with(get("/work")), &world.envoy, &mesh.worker)
                .await;
            assert_eq!(answer.status, 200, "{mode} {}", answer.text());
            let upstream = one(&world);
            let fingerprint = mesh.worker.fingerprint();
            for (name, value) in [
                ("x-auth-principal", Some(format!("mesh:{WORKER}"))),
                ("x-auth-peer", Some(WORKER.to_owned())),
                ("x-auth-fingerprint", Some(fingerprint)),
                ("x-forwarded-client-cert", None),
                ("client-cert", None),
            ] {
                assert_eq!(upstream.header(name), value.as_deref(), "{mode} {name}");
            }
            let refused = mesh
                .send(&with(get("/admin")), &world.envoy, &mesh.worker)
                .await;
            assert_eq!(
                (refused.status, class(&refused).as_str()),
                (403, "forbidden"),
                "{mode}"
            );
            // Without a certificate the header is nobody's word either.
            let pem = &mesh.authority.pem;
            let nobody = send(&with(get("/work")), world.envoy.addr(), pem, None).await;
            assert_eq!(nobody.status, 401, "{mode}");
            assert_eq!(class(&nobody), "credentials_missing", "{mode}");
            let open = send(&with(get("/open")), world.envoy.addr(), pem, None).await;
            assert_eq!(open.status, 200, "{mode}");
            let upstream = one(&world);
            assert_eq!(upstream.header("x-forwarded-client-cert"), None, "{mode}");
            assert_eq!(upstream.header("x-auth-principal"), None, "{mode}");
        }
    }
}

/// Each mode with the setting that its guide gives: the header then says the same as the certificate.
#[tokio::test(flavor = "multi_thread")]
async fn xfcc_counts_where_envoy_writes_it() {
    let mesh = Mesh::new();
    let admin = mesh.issue(vec![uri(ADMIN)]);
    for (mode, how) in [
        ("SANITIZE_SET", "sanitize_set"),
        ("SANITIZE_SET", "hops=1"),
        ("APPEND_FORWARD", "hops=1"),
    ] {
        let arguments = ["--peer-sources", "xfcc", "--peer-xfcc", how];
        let world = world(&mesh, &arguments, mode).await;
        for header in [None, Some(forged(&admin, ADMIN))] {
            let with = |request: Request| match &header {
                Some(value) => request.header("x-forwarded-client-cert", value),
                None => request,
            };
            let answer = mesh
                .send(&with(get("/work")), &world.envoy, &mesh.worker)
                .await;
            assert_eq!(answer.status, 200, "{mode} {how} {}", answer.text());
            let upstream = one(&world);
            assert_eq!(upstream.header("x-auth-peer"), Some(WORKER), "{mode} {how}");
            let refused = mesh
                .send(&with(get("/admin")), &world.envoy, &mesh.worker)
                .await;
            assert_eq!(refused.status, 403, "{mode} {how}");
        }
    }
    // The wrong setting for the mode: what the caller wrote is not believed, and nothing passes by it.
    for (mode, how) in [
        ("APPEND_FORWARD", "sanitize_set"),
        ("FORWARD_ONLY", "sanitize_set"),
        ("FORWARD_ONLY", "hops=1"),
        ("ALWAYS_FORWARD_ONLY", "hops=1"),
    ] {
        let arguments = ["--peer-sources", "xfcc", "--peer-xfcc", how];
        let world = world(&mesh, &arguments, mode).await;
        let request = get("/admin").header("x-forwarded-client-cert", forged(&admin, ADMIN));
        let answer = mesh.send(&request, &world.envoy, &mesh.worker).await;
        assert_ne!(answer.status, 200, "{mode} {how}");
        assert_eq!(world.upstream.request_count(), 0, "{mode} {how}");
    }
}

/// C3: what Envoy's TLS lets in and is no workload's certificate.
#[tokio::test(flavor = "multi_thread")]
async fn c3_certificates_that_envoy_lets_in_and_that_prove_nothing() {
    let mesh = Mesh::new();
    let world = world(&mesh, &[], "SANITIZE").await;
    for (names, reason) in [
        (vec![uri(WORKER), uri(ADMIN)], "certificate_not_svid"),
        (vec![dns("worker")], "certificate_not_svid"),
        (vec![uri("spiffe://td")], "certificate_not_svid"),
        (vec![uri("spiffe://td/")], "spiffe_id_malformed"),
        (
            vec![uri("spiffe://TD/ns/web/sa/admin")],
            "spiffe_id_malformed",
        ),
        (
            vec![uri("spiffe://td/ns/a/../web/sa/admin")],
            "spiffe_id_malformed",
        ),
        (
            vec![uri("spiffe://td/x;URI=spiffe://td/ns/web/sa/admin")],
            "spiffe_id_malformed",
        ),
        (
            vec![uri("spiffe://td/x,URI=spiffe://td/ns/web/sa/admin")],
            "spiffe_id_malformed",
        ),
        (
            vec![uri("spiffe://other/ns/web/sa/admin")],
            "trust_domain_refused",
        ),
        (vec![uri(GATEWAY)], "certificate_refused"),
    ] {
        let told = format!("{names:?}");
        let client = mesh.issue(names);
        let answer = mesh.send(&get("/work"), &world.envoy, &client).await;
        assert_eq!(answer.status, 401, "{told}");
        let record = world
            .portcullis
            .wait_for_audit(|line| line["reason"] == reason)
            .await;
        assert_eq!(record["reason"], reason, "{told}");
    }
    let authority = mesh.authority.issue_authority("ca", vec![uri(WORKER)]);
    let answer = mesh.send(&get("/work"), &world.envoy, &authority).await;
    assert_eq!(answer.status, 401);
    assert_eq!(world.upstream.request_count(), 0);
}

/// One pooled file lets a partner's authority into Envoy; a bundle for each trust domain does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_partners_authority_vouches_for_its_own_trust_domain_only() {
    let mesh = Mesh::new();
    let partner = Authority::new("partner");
    let policies = POLICIES.replace(
        "trust_domains: [td],",
        "trust_domains: [td, partner], bundles: {td: {file: td.pem}, partner: {file: partner.pem}},",
    );
    // Of several trust domains each may have a namespace of that name.
    let policies = policies.replace(
        "{namespace: web, service_account: admin}",
        "{namespace: web, service_account: admin, trust_domain: td}",
    );
    let directory = policy_directory(&policies);
    tls::write(
        &policies_of(directory.path()),
        "td.pem",
        &mesh.authority.pem,
    );
    tls::write(&policies_of(directory.path()), "partner.pem", &partner.pem);
    let world = World::of(directory, &[], |config| {
        let trusted = [mesh.authority.pem.as_str(), &partner.pem];
        terminating(config, &mesh.server, &trusted, "SANITIZE", true)
    })
    .await;
    let theirs = partner.issue("theirs", vec![uri("spiffe://partner/ns/a/sa/b")]);
    let stolen = partner.issue("stolen", vec![uri(WORKER)]);
    for (client, status) in [(&mesh.worker, 200), (&theirs, 200), (&stolen, 401)] {
        let answer = mesh.send(&get("/work"), &world.envoy, client).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let record = world
        .portcullis
        .wait_for_audit(|line| line["reason"] == "certificate_untrusted")
        .await;
    assert!(record["principal"].is_null());
}

/// C4: a listener that lets everybody in and leaves the judgement to others.
#[tokio::test(flavor = "multi_thread")]
async fn c4_an_unverified_chain_is_refused_where_bundles_are_given() {
    let mesh = Mesh::new();
    let stranger = Authority::new("mesh");
    let forger = stranger.issue("worker", vec![uri(WORKER)]);
    let policies = POLICIES.replace(
        "trust_domains: [td],",
        "trust_domains: [td], bundles: {td: {file: td.pem}},",
    );
    let directory = policy_directory(&policies);
    tls::write(
        &policies_of(directory.path()),
        "td.pem",
        &mesh.authority.pem,
    );
    let world = World::of(directory, &[], |config| {
        let trusted = [mesh.authority.pem.as_str()];
        terminating(config, &mesh.server, &trusted, "SANITIZE", false).raw_patch(|json| {
            let context = json.pointer_mut(&format!(
                "{FILTER_CHAIN}/transport_socket/typed_config/common_tls_context/validation_context"
            ));
            context.expect("a validation context")["trust_chain_verification"] =
                "ACCEPT_UNTRUSTED".into();
        })
    })
    .await;
    for (client, status) in [(&mesh.worker, 200), (&forger, 401)] {
        let answer = mesh.send(&get("/work"), &world.envoy, client).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let record = world
        .portcullis
        .wait_for_audit(|line| line["reason"] == "certificate_untrusted")
        .await;
    assert!(record["principal"].is_null());
}

/// An edge Envoy that asks for certificates in front of one that knows the edge by its own.
#[tokio::test(flavor = "multi_thread")]
async fn two_envoys_in_a_chain() {
    let mesh = Mesh::new();
    let admin = mesh.issue(vec![uri(ADMIN)]);
    let gateway = mesh.issue(vec![uri(GATEWAY)]);
    for (arguments, outcome) in [
        // The gateway is all that is seen, and the policies leave it out.
        (&[][..], (401, None)),
        (
            &["--peer-sources", "xfcc", "--peer-xfcc", "hops=2"],
            (200, Some(WORKER)),
        ),
    ] {
        let world = World::of(policy_directory(POLICIES), arguments, |config| {
            terminating(
                config,
                &mesh.server,
                &[&mesh.authority.pem],
                "APPEND_FORWARD",
                true,
            )
        })
        .await;
        for (edge_mode, status) in [("SANITIZE_SET", outcome.0), ("APPEND_FORWARD", outcome.0)] {
            let edge = EnvoyConfig::new(Endpoint::Tcp(world.envoy.addr()), world.envoy.addr());
            let edge = terminating(edge, &mesh.server, &[&mesh.authority.pem], edge_mode, false);
            let socket = tls::upstream(&gateway, &mesh.authority.pem);
            let edge = edge.raw_patch(|json| {
                json["static_resources"]["clusters"][1]["transport_socket"] = socket;
                let filters = json.pointer_mut(&format!("{HCM}/http_filters"));
                filters
                    .and_then(Value::as_array_mut)
                    .expect("filters")
                    .remove(0);
            });
            let edge = Envoy::start(edge).await;
            let answer = mesh.send(&get("/work"), &edge, &mesh.worker).await;
            assert_eq!(answer.status, status, "{edge_mode} {}", answer.text());
            if let Some(id) = outcome.1 {
                assert_eq!(one(&world).header("x-auth-peer"), Some(id));
            }
            // A forged header in front of the edge: replaced there, or one element too many.
            let request = get("/admin").header("x-forwarded-client-cert", forged(&admin, ADMIN));
            let answer = mesh.send(&request, &edge, &mesh.worker).await;
            assert_ne!(answer.status, 200, "{edge_mode}");
            // Nobody at the edge: what is left names the gateway, and no caller.
            let pem = &mesh.authority.pem;
            let nobody = send(&get("/work"), edge.addr(), pem, None).await;
            assert_eq!(nobody.status, 401, "{edge_mode}");
            let nobody = send(&request, edge.addr(), pem, None).await;
            assert_ne!(nobody.status, 200, "{edge_mode}");
            assert_eq!(world.upstream.request_count(), 0, "{edge_mode}");
        }
    }
}

/// Envoy's name for the peer, and the header of RFC 9440: believed only where the settings say so.
#[tokio::test(flavor = "multi_thread")]
async fn names_and_rfc_9440_count_only_by_name() {
    let mesh = Mesh::new();
    for (sources, status) in [
        ("certificate", 401),
        ("principal", 200),
        ("certificate,principal", 200),
    ] {
        let world = World::of(
            policy_directory(POLICIES),
            &["--peer-sources", sources],
            |config| {
                let trusted = [mesh.authority.pem.as_str()];
                terminating(config, &mesh.server, &trusted, "SANITIZE", true)
                    .include_peer_certificate(false)
            },
        )
        .await;
        let answer = mesh.send(&get("/work"), &world.envoy, &mesh.worker).await;
        assert_eq!(answer.status, status, "{sources}");
        if status == 200 {
            let upstream = one(&world);
            assert_eq!(upstream.header("x-auth-peer"), Some(WORKER));
            assert_eq!(upstream.header("x-auth-fingerprint"), None);
        } else {
            let record = world
                .portcullis
                .wait_for_audit(|line| line["reason"] == "credentials_missing")
                .await;
            let detail = record["detail"].as_str().unwrap_or_default();
            assert!(detail.contains("include_peer_certificate"), "{detail}");
        }
    }
    let value = mesh.worker.client_cert();
    for (sources, status) in [("certificate", 401), ("client_cert", 200)] {
        let world = World::of(
            policy_directory(POLICIES),
            &["--peer-sources", sources],
            |config| config,
        )
        .await;
        let request = get("/work").header("client-cert", &value);
        let answer = request.send_h1(world.envoy.addr()).await;
        assert_eq!(answer.status, status, "{sources}");
    }
}
