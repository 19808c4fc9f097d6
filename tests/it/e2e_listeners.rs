//! Who may ask for checks: TLS with client certificates, and the Unix socket's permissions and peers.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificates::{Authority, Leaf};
use crate::support::envoy::Envoy;
use crate::support::envoy_config::EnvoyConfig;
use crate::support::portcullis::{Launch, Portcullis};
use crate::support::upstream::Upstream;
use crate::support::wait::poll;
use crate::world::{Usual, World, get, mount_config_map, policies_of, policy_directory, serve};

const ID: &str = "spiffe://example.org/ns/edge/sa/envoy";
const SOON: Duration = Duration::from_secs(20);

/// What Envoy answers where Portcullis does not.
const UNANSWERED: u16 = 503;

/// Portcullis with TLS, over files that a test can change.
struct Secured {
    directory: TempDir,
    portcullis: Portcullis,
    upstream: Upstream,
}

impl Secured {
    /// Its listener shows `server` and takes what `client_ca` has signed.
    async fn start(server: &Leaf, client_ca: &str, arguments: &[&str]) -> Self {
        let directory = policy_directory(&Usual::new().yaml);
        std::fs::create_dir(directory.path().join("tls")).expect("can be made");
        mount(directory.path(), 1, server, client_ca);
        let mut launch = serve(directory.path());
        for argument in flags(directory.path()) {
            launch = launch.arg(argument);
        }
        for argument in arguments {
            launch = launch.arg(argument);
        }
        Self {
            portcullis: Portcullis::start(launch).await,
            upstream: Upstream::start().await,
            directory,
        }
    }

    /// An Envoy that shows this certificate, if any, and trusts what `roots` has signed.
    async fn envoy(&self, certificate: Option<&Leaf>, roots: &str) -> Envoy {
        let at = |name: &str| self.directory.path().join(name);
        std::fs::write(at("roots.crt"), roots).expect("can be written");
        let mut tls = json!({
            "validation_context": {"trusted_ca": {"filename": at("roots.crt")}},
        });
        if let Some(leaf) = certificate {
            std::fs::write(at("envoy.crt"), &leaf.pem).expect("can be written");
            std::fs::write(at("envoy.key"), &leaf.key_pem).expect("can be written");
            tls["tls_certificates"] = json!([{
                "certificate_chain": {"filename": at("envoy.crt")},
                "private_key": {"filename": at("envoy.key")},
            }]);
        }
        self.envoy_of(tls).await
    }

    async fn envoy_of(&self, tls: Value) -> Envoy {
        let authz = self.portcullis.check_addr().await;
        let config = EnvoyConfig::new(authz, self.upstream.addr())
            .status_on_error(UNANSWERED)
            .raw_patch(|config| {
                // Envoy takes secrets from a file only if it knows who it is.
                config["node"] = json!({"id": "edge-1", "cluster": "edge"});
                let cluster = &mut config["static_resources"]["clusters"][0];
                cluster["transport_socket"] = json!({
                    "name": "envoy.transport_sockets.tls",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                        "sni": "localhost",
                        "common_tls_context": tls,
                    },
                });
            });
        Envoy::start(config).await
    }

    async fn wait_for_metric(&self, line: &str) {
        wait_for_metric(&self.portcullis, line).await;
    }
}

async fn wait_for_metric(portcullis: &Portcullis, line: &str) {
    poll(
        line,
        || portcullis.stderr_text(),
        async || {
            let metrics = portcullis.admin_get("/metrics").await.text();
            metrics.lines().any(|other| other == line).then_some(())
        },
    )
    .await;
}

fn failed(reason: &str) -> String {
    format!("portcullis_tls_handshakes_failed_total{{reason=\"{reason}\"}} ")
}

/// As Kubernetes mounts a Secret.
fn mount(directory: &Path, version: u32, server: &Leaf, client_ca: &str) {
    let files = [
        ("tls.crt", server.pem.as_str()),
        ("tls.key", server.key_pem.as_str()),
        ("ca.crt", client_ca),
    ];
    mount_config_map(&directory.join("tls"), version, &files);
}

fn flags(directory: &Path) -> [String; 6] {
    let at = |name: &str| directory.join("tls").join(name).display().to_string();
    [
        "--tls-cert".to_owned(),
        at("tls.crt"),
        "--tls-key".to_owned(),
        at("tls.key"),
        "--tls-client-ca".to_owned(),
        at("ca.crt"),
    ]
}

#[tokio::test]
async fn an_envoy_with_the_right_certificate_is_answered_over_tls() {
    let authority = Authority::new("ca");
    let names = [
        "--tls-client-name",
        "other.example.com",
        "--tls-client-name",
        ID,
    ];
    let secured = Secured::start(&authority.server(), &authority.pem, &names).await;
    let envoy = secured
        .envoy(Some(&authority.client(&[ID])), &authority.pem)
        .await;
    assert_eq!(get("/healthz").send_h1(envoy.addr()).await.status, 200);
    // The certificate is Envoy's: it makes nobody a caller.
    assert_eq!(get("/orders").send_h1(envoy.addr()).await.status, 401);
    assert_eq!(envoy.stat("cluster.authz.ssl.handshake").await, 1);

    let config = secured.portcullis.admin_get("/config").await.json();
    let listener = &config["listeners"][0];
    for (member, value) in [
        ("transport", json!("tcp")),
        ("protection", json!("tls")),
        ("client_certificate", json!("required")),
        ("client_names", json!(["other.example.com", ID])),
        ("not_after", json!("4096-01-01T00:00:00.000Z")),
        ("stale", json!(false)),
    ] {
        assert_eq!(listener[member], value, "{config}");
    }
    let text = secured.portcullis.admin_get("/config?format=text").await;
    assert!(text.text().contains(ID), "{}", text.text());
    for line in [
        "portcullis_tls_certificate_expiry_timestamp_seconds{certificate=\"listener\"} 67090118400",
        "portcullis_tls_stale 0",
        "portcullis_tls_connections_withdrawn_total 0",
        "portcullis_connections_refused_total{listener=\"tcp\",reason=\"too_many_handshakes\"} 0",
        &format!("{}0", failed("no_certificate")),
    ] {
        secured.wait_for_metric(line).await;
    }
}

#[tokio::test]
async fn other_certificates_get_no_answer_and_say_why_in_the_metrics() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let secured = Secured::start(
        &authority.server(),
        &authority.pem,
        &["--tls-client-name", ID],
    )
    .await;
    for (certificate, reason) in [
        (None, "no_certificate"),
        (Some(other.client(&[ID])), "certificate_unknown_issuer"),
        (
            Some(authority.leaf(&[ID], (1990, 2020), ClientAuth)),
            "certificate_expired",
        ),
        (
            Some(authority.client(&["spiffe://example.org/ns/edge/sa/envoy2"])),
            "certificate_name",
        ),
        (
            Some(authority.leaf(&[ID], (1990, 2100), ServerAuth)),
            "certificate_invalid",
        ),
    ] {
        let envoy = secured.envoy(certificate.as_ref(), &authority.pem).await;
        let answer = get("/healthz").send_h1(envoy.addr()).await;
        assert_eq!(answer.status, UNANSWERED, "{reason}");
        let counted = failed(reason);
        poll(
            reason,
            || secured.portcullis.stderr_text(),
            async || {
                let metrics = secured.portcullis.admin_get("/metrics").await.text();
                let counts = |line: &str| line.starts_with(&counted) && !line.ends_with(" 0");
                metrics.lines().any(counts).then_some(())
            },
        )
        .await;
        let told = secured
            .portcullis
            .wait_for_log(|line| {
                line["message"] == "a TLS handshake failed" && line["reason"] == reason
            })
            .await;
        assert_eq!(told["level"], "WARN");
    }
    // Envoy, too, is right to refuse who shows it the wrong one.
    let envoy = secured
        .envoy(Some(&authority.client(&[ID])), &other.pem)
        .await;
    assert_eq!(
        get("/healthz").send_h1(envoy.addr()).await.status,
        UNANSWERED
    );
    secured
        .portcullis
        .wait_for_log(|line| line["reason"] == "refused_by_client")
        .await;
    assert_eq!(secured.upstream.request_count(), 0);
    assert!(
        secured.portcullis.audit_lines().is_empty(),
        "nothing was judged"
    );
}

/// A client that shows nothing and one that says nothing at all hold nobody up.
#[tokio::test]
async fn a_stalled_handshake_holds_nobody_up_and_is_ended() {
    let authority = Authority::new("ca");
    let arguments = ["--workers", "1"];
    let secured = Secured::start(&authority.server(), &authority.pem, &arguments).await;
    let address = secured.portcullis.check_addr().await;
    let mut stalled: Vec<std::net::TcpStream> = (0..20)
        .map(|_| std::net::TcpStream::connect(address).expect("connects"))
        .collect();
    let leaf = authority.client(&[]);
    let envoy = secured.envoy(Some(&leaf), &authority.pem).await;
    assert_eq!(get("/healthz").send_h1(envoy.addr()).await.status, 200);
    let ended = tokio::task::spawn_blocking(move || {
        stalled.iter_mut().all(|stream| {
            stream.set_read_timeout(Some(SOON)).expect("can be set");
            matches!(stream.read(&mut [0; 64]), Ok(0))
        })
    });
    assert!(ended.await.expect("no panic"), "each is closed");
    secured
        .wait_for_metric(&format!("{}20", failed("timeout")))
        .await;
    assert_eq!(get("/healthz").send_h1(envoy.addr()).await.status, 200);
    // A drain does not wait for one either.
    let _stalled = std::net::TcpStream::connect(address).expect("connects");
    let mut secured = secured;
    secured.portcullis.signal("TERM");
    let status = secured.portcullis.wait_exit(Duration::from_secs(4)).await;
    assert_eq!(status.code(), Some(0));
}

/// Callers who never stop.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<u16>>>,
}

impl Load {
    fn start(envoy: &Envoy) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let address = envoy.addr();
        let caller = || {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut others = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = get("/healthz").send_h1(address).await;
                    if answer.status != 200 {
                        others.push(answer.status);
                    }
                    AtomicUsize::fetch_add(&answered, 1, Ordering::Relaxed);
                }
                others
            })
        };
        let tasks = (0..4).map(|_| caller()).collect();
        Self {
            stop,
            answered,
            tasks,
        }
    }

    async fn some_more(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        poll("answers", String::new, async || {
            (self.answered.load(Ordering::Relaxed) > before + 40).then_some(())
        })
        .await;
    }

    /// Every answer but 200.
    async fn end(self) -> Vec<u16> {
        self.stop.store(true, Ordering::Relaxed);
        let mut others = Vec::new();
        for task in self.tasks {
            others.extend(task.await.expect("no panic"));
        }
        others
    }
}

/// Envoy's secret service out of a file, which is swapped whole.
fn write_secret(directory: &Path, version: u32, leaf: &Leaf) -> PathBuf {
    let at = |name: String| directory.join(name);
    let (certificate, key) = (
        at(format!("sds{version}.crt")),
        at(format!("sds{version}.key")),
    );
    std::fs::write(&certificate, &leaf.pem).expect("can be written");
    std::fs::write(&key, &leaf.key_pem).expect("can be written");
    let secret = json!({"resources": [{
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "client",
        "tls_certificate": {
            "certificate_chain": {"filename": certificate},
            "private_key": {"filename": key},
        },
    }]});
    let (next, path) = (at("sds.next".to_owned()), at("sds.json".to_owned()));
    std::fs::write(&next, secret.to_string()).expect("can be written");
    std::fs::rename(next, &path).expect("can be swapped");
    path
}

#[tokio::test]
async fn certificates_and_cas_rotate_under_load_and_nothing_is_dropped() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let both = format!("{}{}", old.pem, new.pem);
    let secured = Secured::start(&old.server(), &old.pem, &[]).await;
    let directory = secured.directory.path();
    let at = |name: &str| directory.join(name);
    std::fs::write(at("roots.crt"), &both).expect("can be written");
    let secret = write_secret(directory, 1, &old.client(&[]));
    let envoy = secured
        .envoy_of(json!({
            "validation_context": {"trusted_ca": {"filename": at("roots.crt")}},
            "tls_certificate_sds_secret_configs": [{
                "name": "client",
                "sds_config": {"resource_api_version": "V3", "path_config_source": {"path": secret}},
            }],
        }))
        .await;
    let load = Load::start(&envoy);
    load.some_more().await;

    // The listener's own certificate, and a second CA.
    mount(directory, 2, &new.server(), &both);
    secured
        .wait_for_metric("portcullis_tls_reloads_total{outcome=\"loaded\"} 1")
        .await;
    load.some_more().await;
    // Envoy's.
    write_secret(directory, 2, &new.client(&[]));
    let updated = "cluster.authz.client_ssl_socket_factory.ssl_context_update_by_sds";
    poll("Envoy has its new certificate", String::new, async || {
        (envoy.stat(updated).await >= 2).then_some(())
    })
    .await;
    load.some_more().await;
    // The old CA goes, and with it the connections that came by it.
    mount(directory, 3, &new.server(), &new.pem);
    secured
        .portcullis
        .wait_for_log(|line| {
            line["reason"] == "certificate_unknown_issuer" && line["level"] == "INFO"
        })
        .await;
    load.some_more().await;
    let handshakes = envoy.stat("cluster.authz.ssl.handshake").await;
    assert!(handshakes >= 2, "{handshakes}");
    assert_eq!(load.end().await, [0; 0], "something was dropped");

    // The CA of a certificate that still is in use: its bearer gets no more answers.
    let newest = Authority::new("newest");
    mount(directory, 4, &new.server(), &newest.pem);
    poll(
        "Envoy is refused",
        || secured.portcullis.stderr_text(),
        async || {
            let answer = get("/healthz").send_h1(envoy.addr()).await;
            (answer.status == UNANSWERED).then_some(())
        },
    )
    .await;
    // And gets them again.
    mount(directory, 5, &new.server(), &both);
    poll(
        "Envoy is answered",
        || secured.portcullis.stderr_text(),
        async || {
            let answer = get("/healthz").send_h1(envoy.addr()).await;
            (answer.status == 200).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn a_broken_pair_leaves_the_last_good_one_serving() {
    let authority = Authority::new("ca");
    let secured = Secured::start(&authority.server(), &authority.pem, &[]).await;
    let directory = secured.directory.path();
    let (one, two) = (authority.server(), authority.server());
    let mixed = Leaf {
        pem: one.pem,
        key_pem: two.key_pem,
    };
    mount(directory, 2, &mixed, &authority.pem);
    let told = secured
        .portcullis
        .wait_for_log(|line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.starts_with("changed certificates cannot be used")
        })
        .await;
    let error = told["error"].as_str().unwrap_or_default();
    assert!(error.contains("is not the key of"), "{told}");
    secured.wait_for_metric("portcullis_tls_stale 1").await;
    let config = secured.portcullis.admin_get("/config").await.json();
    assert_eq!(config["listeners"][0]["stale"], true, "{config}");
    let envoy = secured
        .envoy(Some(&authority.client(&[])), &authority.pem)
        .await;
    assert_eq!(get("/healthz").send_h1(envoy.addr()).await.status, 200);
    mount(directory, 3, &authority.server(), &authority.pem);
    secured.wait_for_metric("portcullis_tls_stale 0").await;
}

#[tokio::test]
async fn what_cannot_be_used_at_the_start_ends_it_with_a_clear_text() {
    let authority = Authority::new("ca");
    let (server, other) = (authority.server(), authority.server());
    let directory = policy_directory(&Usual::new().yaml);
    let path = directory.path();
    std::fs::create_dir(path.join("tls")).expect("can be made");
    let tls = |leaf: &Leaf, version| mount(path, version, leaf, &authority.pem);
    tls(&server, 1);
    let socket = path.join("check.sock").display().to_string();
    let tls_flags = flags(path);
    let tls_flags: Vec<&str> = tls_flags.iter().map(String::as_str).collect();
    let mixed = Leaf {
        pem: server.pem.clone(),
        key_pem: other.key_pem,
    };
    let cut = Leaf {
        pem: server.pem.chars().take(100).collect(),
        key_pem: server.key_pem.clone(),
    };
    let unix = ["--listen-unix", &socket];
    let mut version = 1;
    for (leaf, arguments, said) in [
        (Some(mixed), tls_flags.clone(), "is not the key of"),
        (Some(cut), tls_flags.clone(), "is no whole PEM file"),
        (
            None,
            [
                "--tls-client-auth",
                "none",
                "--tls-cert",
                "/nowhere/a",
                "--tls-key",
                "/nowhere/b",
            ]
            .to_vec(),
            "cannot read /nowhere/a (--tls-cert)",
        ),
        (
            None,
            [&unix[..], &["--unix-owner", "no-such-user"]].concat(),
            "there is no user `no-such-user`",
        ),
        (
            None,
            [&unix[..], &["--unix-allow-gid", "no-such-group"]].concat(),
            "there is no group `no-such-group`",
        ),
    ] {
        if let Some(leaf) = leaf {
            version += 1;
            tls(&leaf, version);
        }
        let launch = arguments.iter().fold(serve(path), Launch::arg);
        let mut portcullis = Portcullis::spawn(launch);
        assert_eq!(portcullis.wait_exit(SOON).await.code(), Some(78), "{said}");
        let log = portcullis.stderr_text();
        assert!(log.contains(said), "{said}: {log}");
        assert!(!log.contains("listening"), "{log}");
    }
}

/// Who runs the tests, as the files say that they make.
fn own(directory: &Path) -> (u32, u32) {
    let metadata = std::fs::metadata(directory).expect("is there");
    (metadata.uid(), metadata.gid())
}

#[tokio::test]
async fn the_unix_socket_has_its_mode_owner_and_group_and_asks_who_connects() {
    let usual = Usual::new();
    let (uid, gid) = own(policy_directory("").path());
    let text = |number: u32| number.to_string();
    let arguments = [
        "--listen-tcp",
        "none",
        "--unix-mode",
        "0600",
        "--unix-owner",
        &text(uid),
        "--unix-group",
        &text(gid),
        "--unix-allow-uid",
        &text(uid),
    ];
    let world = World::launch(&usual.yaml, &arguments, |config| config).await;
    let socket = world.directory.path().join("check.sock");
    let metadata = std::fs::metadata(&socket).expect("is there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!((metadata.uid(), metadata.gid()), (uid, gid));
    assert_eq!(
        get("/healthz").send_h1(world.envoy.addr()).await.status,
        200
    );
    let config = world.portcullis.admin_get("/config").await.json();
    assert_eq!(
        config["listeners"],
        json!([{
            "transport": "unix", "address": socket, "protection": "permissions and peer", "mode": "0600",
            "owner": uid, "group": gid, "allow_uid": [uid], "allow_gid": [],
        }])
    );
}

#[tokio::test]
async fn a_peer_that_is_not_listed_is_closed_and_counted() {
    let usual = Usual::new();
    let (uid, gid) = own(policy_directory("").path());
    let others = [uid + 1, uid + 2].map(|uid| uid.to_string()).join(",");
    let gid = (gid + 1).to_string();
    let arguments = ["--unix-allow-uid", &others, "--unix-allow-gid", &gid];
    let configure = |config: EnvoyConfig| config.status_on_error(UNANSWERED);
    let world = World::launch(&usual.yaml, &arguments, configure).await;
    for _ in 0..3 {
        let answer = get("/healthz").send_h1(world.envoy.addr()).await;
        assert_eq!(answer.status, UNANSWERED);
    }
    let told = world
        .portcullis
        .wait_for_log(|line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.starts_with("a peer of the Unix socket")
        })
        .await;
    assert_eq!((&told["uid"], &told["more"]), (&json!(uid), &json!(0)));
    let metrics = world.portcullis.admin_get("/metrics").await.text();
    let counted = "portcullis_connections_refused_total{listener=\"unix\",reason=\"peer\"} ";
    let counted = metrics.lines().find_map(|line| line.strip_prefix(counted));
    let counted: u64 = counted
        .and_then(|count| count.parse().ok())
        .expect("is counted");
    assert!(counted >= 1);
    let lines = world.portcullis.stderr_text();
    assert_eq!(
        lines.matches("a peer of the Unix socket").count(),
        1,
        "once in a while"
    );
    assert!(lines.contains("the TCP listener asks nobody"), "{lines}");
    assert!(world.portcullis.audit_lines().is_empty());
}

#[tokio::test]
async fn who_may_not_give_the_socket_away_is_told_what_to_do() {
    let directory = policy_directory(&Usual::new().yaml);
    let socket = directory.path().join("check.sock");
    let (uid, _) = own(directory.path());
    for (flag, said) in [
        ("--unix-owner=12345", "CAP_CHOWN"),
        ("--unix-group=12345", "must be in that group"),
    ] {
        // Root may do it: then the process is started without that right.
        let launch = match uid {
            0 => Launch::new("/usr/bin/setpriv")
                .arg("--bounding-set=-chown")
                .arg("--")
                .arg(env!("CARGO_BIN_EXE_portcullis")),
            _ => Launch::new(env!("CARGO_BIN_EXE_portcullis")),
        };
        let mut portcullis = Portcullis::spawn(
            launch
                .arg("serve")
                .arg("--policies")
                .arg(policies_of(directory.path()))
                .arg("--listen-tcp=none")
                .arg("--admin-listen=none")
                .arg("--listen-unix")
                .arg(&socket)
                .arg(flag),
        );
        assert_eq!(portcullis.wait_exit(SOON).await.code(), Some(1));
        let log = portcullis.stderr_text();
        assert!(log.contains("may not give") && log.contains(said), "{log}");
        assert!(!socket.exists(), "{flag}");
    }
}
