//! A running Envoy.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::client::{NoResponse, Response, exchange_h1};
use super::envoy_config::EnvoyConfig;
use super::wait::{DEADLINE, poll};

/// How much of Envoy's log a failure shows.
const LOG_TAIL_LINES: usize = 40;

/// The Envoy to test against: what `PORTCULLIS_ENVOY` names, else what the set-up script has installed. A missing one
/// fails the test.
#[expect(
    clippy::disallowed_methods,
    reason = "the settings of a test run have no `cli` to come through"
)]
pub fn envoy_binary() -> PathBuf {
    let binary = std::env::var_os("PORTCULLIS_ENVOY").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/envoy"),
        PathBuf::from,
    );
    assert!(
        binary.is_file(),
        "no Envoy at {}: run scripts/setup-envoy.sh",
        binary.display()
    );
    binary
}

/// Ends with the value; if the test is panicking then, the end of Envoy's log is printed.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    address: SocketAddr,
}

impl Envoy {
    /// Returns once Envoy takes connections.
    pub async fn start(config: EnvoyConfig) -> Self {
        let mut process = Process::spawn(&config);
        let address = process.wait_until_listening().await;
        Self { process, address }
    }

    /// The listener that clients talk to.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    pub async fn admin_get(&self, path: &str) -> Response {
        self.process.admin_get(path).await.unwrap_or_else(|error| {
            panic!(
                "Envoy's admin interface, {path}: {error}\n{}",
                self.log_tail()
            )
        })
    }

    /// A counter or gauge by its full name, such as `http.ingress.ext_authz.denied`. An unknown name panics: a typo
    /// must not read as zero.
    pub async fn stat(&self, name: &str) -> u64 {
        let stats = self.admin_get("/stats").await.text();
        stats
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(stat, _)| *stat == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or_else(|| panic!("Envoy has no number {name} among\n{stats}"))
    }

    /// The last lines of Envoy's log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

/// The child process with the directory it lives in.
#[derive(Debug)]
struct Process {
    child: Child,
    directory: TempDir,
}

impl Process {
    fn spawn(config: &EnvoyConfig) -> Self {
        // Short, as the path of a Unix socket is at most 108 bytes long.
        let directory = tempfile::Builder::new()
            .prefix("envoy")
            .tempdir()
            .expect("a temporary directory can be made");
        let bootstrap = directory.path().join("envoy.json");
        std::fs::write(
            &bootstrap,
            config.bootstrap(&admin_socket(&directory)).to_string(),
        )
        .expect("the bootstrap can be written");
        let log = File::create(log_file(&directory)).expect("the log can be created");
        let log_too = log.try_clone().expect("the log can be shared");

        let binary = envoy_binary();
        let child = Command::new(&binary)
            .arg("--config-path")
            .arg(&bootstrap)
            // Hot restart would claim shared memory by a number that Envoys in parallel tests would fight for.
            .args([
                "--disable-hot-restart",
                "--concurrency",
                "1",
                "--log-level",
                "warning",
            ])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        Self { child, directory }
    }

    /// The port is Envoy's choice. Live comes before the workers, and only they listen.
    async fn wait_until_listening(&mut self) -> SocketAddr {
        let log = log_file(&self.directory);
        let known = || format!("Envoy's log:\n{}", tail(&log));
        poll("Envoy takes connections", known, async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("Envoy ended with {status}\n{}", self.log_tail());
            }
            let ready = self.admin_get("/ready").await.ok()?;
            let workers = self
                .admin_get("/stats?filter=^listener_manager.workers_started$")
                .await
                .ok()?;
            if ready.status != 200 || workers.text().trim() != "listener_manager.workers_started: 1"
            {
                return None;
            }
            listener_address(&self.admin_get("/listeners?format=json").await.ok()?)
        })
        .await
    }

    async fn admin_get(&self, path: &str) -> Result<Response, NoResponse> {
        let stream = UnixStream::connect(admin_socket(&self.directory)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n");
        Ok(timeout(DEADLINE, exchange_h1(stream, request.as_bytes())).await??)
    }

    fn log_tail(&self) -> String {
        format!("Envoy's log:\n{}", tail(&log_file(&self.directory)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either fails only if Envoy has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

fn listener_address(listeners: &Response) -> Option<SocketAddr> {
    let listeners = listeners.json();
    let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
    let ip = address.get("address")?.as_str()?.parse().ok()?;
    let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
    (port != 0).then(|| SocketAddr::new(ip, port))
}

fn admin_socket(directory: &TempDir) -> PathBuf {
    directory.path().join("admin.sock")
}

fn log_file(directory: &TempDir) -> PathBuf {
    directory.path().join("envoy.log")
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
