//! Listens for Envoy, over TCP and on a Unix domain socket at once.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::app::io::Accepted;
use crate::app::settings::Settings;
use crate::app::workers::WorkerHandle;

/// The pause after a failed accept: without it, a process that is out of file descriptors would spin.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Everything that is listened on.
pub struct Listeners {
    tcp: Option<TcpListener>,
    unix: Option<(UnixListener, SocketFile)>,
}

/// Removes the socket's file at the end, if it is still ours.
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Listeners {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// What cannot be bound, and what to do about it.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let tcp = match settings.listen_tcp {
            None => None,
            Some(address) => {
                let listener = TcpListener::bind(address).await.with_context(|| {
                    format!("cannot listen on {address} for checks (--listen-tcp)")
                })?;
                tracing::info!(transport = "tcp", address = %listener.local_addr()?, "check service listening");
                Some(listener)
            }
        };
        let unix = match &settings.listen_unix {
            None => None,
            Some(path) => {
                let bound = bind_unix(path, settings.unix_mode).await?;
                tracing::info!(transport = "unix", address = %path.display(), "check service listening");
                Some(bound)
            }
        };
        if tcp.is_none() && unix.is_none() {
            bail!("nothing to listen on: set --listen-tcp or --listen-unix");
        }
        Ok(Self { tcp, unix })
    }

    /// Accepts connections and hands them to workers until the answer is dropped.
    pub fn accept_into(self, workers: WorkerHandle) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some(listener) = self.tcp {
            let workers = workers.clone();
            tasks.spawn(async move {
                loop {
                    match accept_tcp(&listener).await {
                        Ok(accepted) => workers.give(accepted),
                        Err(error) => back_off(&error).await,
                    }
                }
            });
        }
        if let Some((listener, file)) = self.unix {
            tasks.spawn(async move {
                let _file = file;
                loop {
                    match accept_unix(&listener).await {
                        Ok(accepted) => workers.give(accepted),
                        Err(error) => back_off(&error).await,
                    }
                }
            });
        }
        tasks
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<Accepted> {
    let (stream, _) = listener.accept().await?;
    // An answer is one small write: without this it would wait for the peer's delayed acknowledgement.
    stream.set_nodelay(true)?;
    Ok(Accepted::Tcp(stream.into_std()?))
}

async fn accept_unix(listener: &UnixListener) -> io::Result<Accepted> {
    let (stream, _) = listener.accept().await?;
    Ok(Accepted::Unix(stream.into_std()?))
}

async fn back_off(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection; trying again shortly");
    tokio::time::sleep(BACK_OFF).await;
}

/// Binds a Unix domain socket. A file that a dead process left behind is replaced; one that something
/// answers on, or that is no socket, is not.
async fn bind_unix(path: &Path, mode: u32) -> anyhow::Result<(UnixListener, SocketFile)> {
    let shown = path.display();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {shown} (--listen-unix)"));
        }
        Ok(metadata) if !metadata.file_type().is_socket() => {
            bail!(
                "{shown} (--listen-unix) exists and is no socket; remove it or choose another path"
            );
        }
        Ok(_) => match UnixStream::connect(path).await {
            Ok(_) => bail!(
                "something answers on {shown} (--listen-unix) already; is another Portcullis running?"
            ),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
                    .with_context(|| format!("cannot remove the stale socket {shown}"))?;
                tracing::info!(path = %shown, "removed a stale socket");
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot tell whether something answers on {shown}"));
            }
        },
    }
    let listener = UnixListener::bind(path).with_context(|| {
        format!("cannot listen on {shown} for checks (--listen-unix); does its directory exist, and may this user write there?")
    })?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the permissions of {shown}"))?;
    let file = SocketFile {
        path: path.to_owned(),
        inode: inode(path)?,
    };
    Ok((listener, file))
}
