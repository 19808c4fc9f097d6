//! A running Portcullis: the real binary, with what it writes at hand.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::client::{Request, Response};
use super::line_log::LineLog;
use super::wait::{DEADLINE, poll};

/// What to start: the binary, its arguments and environment.
#[derive(Debug)]
pub struct Launch(Command);

impl Launch {
    /// Without the settings of whoever runs the tests.
    pub fn new(binary: impl AsRef<Path>) -> Self {
        let mut command = Command::new(binary.as_ref());
        for (name, _) in std::env::vars_os() {
            if name == "RUST_LOG" || name.to_string_lossy().starts_with("PORTCULLIS_") {
                command.env_remove(name);
            }
        }
        Self(command)
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }
}

/// Ends with the value; if the test is panicking then, its log is printed.
#[derive(Debug)]
pub struct Portcullis {
    child: Child,
    stdout: LineLog,
    stderr: LineLog,
}

impl Portcullis {
    /// Returns once `/readyz` answers 200.
    pub async fn start(launch: Launch) -> Self {
        let portcullis = Self::spawn(launch);
        portcullis.wait_ready().await;
        portcullis
    }

    /// Returns at once, for what is to be seen before it is ready, or instead.
    pub fn spawn(launch: Launch) -> Self {
        let Launch(mut command) = launch;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("Portcullis does not start: {error}"));
        let stdout = LineLog::follow(child.stdout.take().expect("stdout is piped"));
        let stderr = LineLog::follow(child.stderr.take().expect("stderr is piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub async fn wait_ready(&self) {
        let admin = self.admin_addr().await;
        poll(
            "Portcullis is ready",
            || self.everything(),
            async || {
                assert!(
                    !self.stderr.is_closed(),
                    "Portcullis has ended\n{}",
                    self.everything()
                );
                let answer = Request::get("/readyz").try_send_h1(admin).await.ok()?;
                (answer.status == 200).then_some(())
            },
        )
        .await;
    }

    /// Where the admin interface listens, once the log says so.
    pub async fn admin_addr(&self) -> SocketAddr {
        let line = self
            .wait_for_log(|line| text(line, "message") == Some("admin listening"))
            .await;
        self.address_in(&line)
    }

    /// Where checks are taken over TCP, once the log says so.
    pub async fn check_addr(&self) -> SocketAddr {
        let line = self
            .wait_for_log(|line| {
                text(line, "message") == Some("check service listening")
                    && text(line, "transport") == Some("tcp")
            })
            .await;
        self.address_in(&line)
    }

    pub async fn admin_get(&self, path: &str) -> Response {
        Request::get(path).send_h1(self.admin_addr().await).await
    }

    /// The audit lines written so far.
    pub fn audit_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .iter()
            .map(|line| self.audit_line(line))
            .collect()
    }

    /// The first audit line that fits, written already or still to come.
    pub async fn wait_for_audit(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let line = self.stdout.wait_for(|line| {
            let line = self.audit_line(line);
            fits(&line).then_some(line)
        });
        match timeout(DEADLINE, line).await {
            Ok(Ok(line)) => line,
            _ => panic!("no such audit line\n{}", self.everything()),
        }
    }

    /// The first line of the JSON log that fits, written already or still to come.
    pub async fn wait_for_log(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let line = self
            .stderr
            .wait_for(|line| serde_json::from_str(line).ok().filter(|line| fits(line)));
        match timeout(DEADLINE, line).await {
            Ok(Ok(line)) => line,
            _ => panic!("no such line in the log\n{}", self.everything()),
        }
    }

    pub fn stderr_text(&self) -> String {
        self.stderr.lines().join("\n")
    }

    /// Sends a signal by its name: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("Portcullis has not been waited for");
        let status = std::process::Command::new("kill")
            .args([&format!("-{name}"), &id.to_string()])
            .status()
            .expect("kill can be run");
        assert!(
            status.success(),
            "kill -{name} {id}: {status}\n{}",
            self.everything()
        );
    }

    /// How it ended. All it wrote is there by then.
    pub async fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let status = match timeout(deadline, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!(
                "Portcullis still runs after {deadline:?}\n{}",
                self.everything()
            ),
        };
        self.stdout.wait_closed().await;
        self.stderr.wait_closed().await;
        status
    }

    fn audit_line(&self, line: &str) -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("not an audit line, {error}: {line}\n{}", self.everything())
        })
    }

    fn address_in(&self, line: &Value) -> SocketAddr {
        text(line, "address")
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("no address in {line}\n{}", self.everything()))
    }

    fn everything(&self) -> String {
        format!(
            "Portcullis wrote to stderr:\n{}\nand to stdout:\n{}",
            self.stderr_text(),
            self.stdout.lines().join("\n")
        )
    }
}

impl Drop for Portcullis {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.everything());
        }
    }
}

fn text<'a>(line: &'a Value, field: &str) -> Option<&'a str> {
    line.get(field)?.as_str()
}
