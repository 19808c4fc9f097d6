//! The Unix domain socket: who may connect, by the file's permissions and by who the peer is.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, anyhow, bail};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::time::Instant;

use crate::app::account::Account;
use crate::app::seldom::Seldom;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What the settings say of the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSettings {
    /// Where it is.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// The user that it is given to.
    pub owner: Option<Account>,
    /// The group that it is given to.
    pub group: Option<Account>,
    /// Whose processes may connect, if it is asked.
    pub allow_uids: Vec<Account>,
    /// Of which groups processes may connect, if it is asked.
    pub allow_gids: Vec<Account>,
}

/// The same, with every name looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixTerms {
    /// Where it is.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// The user that it is given to.
    pub owner: Option<u32>,
    /// The group that it is given to.
    pub group: Option<u32>,
    /// Which peers may connect; `None`: whoever can.
    pub peers: Option<Peers>,
}

/// Which peers may connect: one of these users, or with one of these primary groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Users.
    pub uids: Vec<u32>,
    /// Groups.
    pub gids: Vec<u32>,
}

impl UnixTerms {
    /// Looks up every name. Blocks.
    ///
    /// # Errors
    /// The text of what is not known here.
    pub fn of(settings: &UnixSettings) -> Result<Self, String> {
        let user = |flag: &'static str| move |account: &Account| account.user(flag);
        let group = |flag: &'static str| move |account: &Account| account.group(flag);
        let all = |accounts: &[Account], of: &dyn Fn(&Account) -> Result<u32, String>| {
            accounts.iter().map(of).collect::<Result<Vec<_>, _>>()
        };
        let peers = Peers {
            uids: all(&settings.allow_uids, &user("--unix-allow-uid"))?,
            gids: all(&settings.allow_gids, &group("--unix-allow-gid"))?,
        };
        Ok(Self {
            path: settings.path.clone(),
            mode: settings.mode,
            owner: settings
                .owner
                .as_ref()
                .map(user("--unix-owner"))
                .transpose()?,
            group: settings
                .group
                .as_ref()
                .map(group("--unix-group"))
                .transpose()?,
            peers: (peers != Peers::default()).then_some(peers),
        })
    }
}

impl Peers {
    /// Whether this peer may connect.
    pub fn admit(&self, uid: u32, gid: u32) -> bool {
        self.uids.contains(&uid) || self.gids.contains(&gid)
    }
}

/// The socket, and who may use it.
pub(super) struct UnixAcceptor {
    listener: UnixListener,
    peers: Option<Peers>,
    /// Counts peers that were refused.
    refused: std::sync::Arc<AtomicU64>,
    seldom: Seldom,
    _file: SocketFile,
}

impl UnixAcceptor {
    /// Accepts the next connection; `None` is one that was refused.
    ///
    /// # Errors
    /// When none can be accepted.
    pub(super) async fn accept(&self) -> io::Result<Option<std::os::unix::net::UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        if let Some(peers) = &self.peers
            && !self.admits(peers, &stream)
        {
            return Ok(None);
        }
        stream.into_std().map(Some)
    }

    fn admits(&self, peers: &Peers, stream: &UnixStream) -> bool {
        // The kernel noted them when the peer called connect (SO_PEERCRED in socket(7) and unix(7)).
        let peer = stream.peer_cred();
        if peer
            .as_ref()
            .is_ok_and(|peer| peers.admit(peer.uid(), peer.gid()))
        {
            return true;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(more) = self.seldom.due(Instant::now()) {
            match peer {
                Ok(peer) => tracing::warn!(
                    uid = peer.uid(),
                    gid = peer.gid(),
                    pid = peer.pid(),
                    more,
                    "a peer of the Unix socket is none of --unix-allow-uid and --unix-allow-gid; it was closed"
                ),
                Err(error) => tracing::warn!(
                    %error,
                    more,
                    "cannot tell who connected to the Unix socket; it was closed"
                ),
            }
        }
        false
    }

    /// Counts peers that were refused; `None` where nobody is.
    pub(super) fn refused(&self) -> Option<std::sync::Arc<AtomicU64>> {
        self.peers.as_ref()?;
        Some(std::sync::Arc::clone(&self.refused))
    }
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
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Binds the socket. A file that a dead process left behind is replaced; one that something answers on, or
/// that is no socket, is not.
///
/// # Errors
/// What is in the way, and what to do about it.
pub(super) async fn bind(terms: &UnixTerms) -> anyhow::Result<UnixAcceptor> {
    clear_stale(&terms.path).await?;
    let (socket, file) = prepare(terms)?;
    let listener = socket
        .listen(BACKLOG)
        .with_context(|| format!("cannot listen on {}", terms.path.display()))?;
    Ok(UnixAcceptor {
        listener,
        peers: terms.peers.clone(),
        refused: std::sync::Arc::default(),
        seldom: Seldom::default(),
        _file: file,
    })
}

/// Makes the socket with its owner, group and mode. It does not listen yet, so whatever the file allows in
/// between, every connect is refused.
fn prepare(terms: &UnixTerms) -> anyhow::Result<(UnixSocket, SocketFile)> {
    let path = terms.path.as_path();
    let shown = path.display();
    let socket = UnixSocket::new_stream()?;
    socket.bind(path).with_context(|| {
        format!("cannot listen on {shown} for checks (--listen-unix); does its directory exist, and may this user write there?")
    })?;
    let file = SocketFile {
        path: path.to_owned(),
        inode: inode(path)?,
    };
    // The owner last: who gave a file away may not change it any more.
    if let Some(group) = terms.group {
        lchown(path, None, Some(group)).map_err(|error| {
            cannot_give(&shown.to_string(), &format!("group {group} (--unix-group)"), "this process must be in that group (in Kubernetes: fsGroup or supplementalGroups), or have CAP_CHOWN", &error)
        })?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(terms.mode))
        .with_context(|| format!("cannot set the permissions of {shown} (--unix-mode)"))?;
    if let Some(owner) = terms.owner {
        lchown(path, Some(owner), None).map_err(|error| {
            cannot_give(&shown.to_string(), &format!("user {owner} (--unix-owner)"), "only root and processes with CAP_CHOWN may give files away; run Portcullis as that user, or share a group with Envoy by --unix-group", &error)
        })?;
    }
    Ok((socket, file))
}

fn cannot_give(shown: &str, whom: &str, way_out: &str, error: &io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        anyhow!("may not give {shown} to {whom}: {error}; {way_out}")
    } else {
        anyhow!("cannot give {shown} to {whom}: {error}")
    }
}

async fn clear_stale(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {shown} (--listen-unix)"));
        }
        Ok(metadata) if !metadata.file_type().is_socket() => {
            bail!(
                "{shown} (--listen-unix) exists and is no socket; remove it or choose another path"
            );
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => bail!(
            "something answers on {shown} (--listen-unix) already; is another Portcullis running?"
        ),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
                .with_context(|| format!("cannot remove the stale socket {shown}"))?;
            tracing::info!(path = %shown, "removed a stale socket");
            Ok(())
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot tell whether something answers on {shown}"))
        }
    }
}

#[cfg(test)]
mod tests;
