use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{Peers, UnixSettings, UnixTerms, bind, prepare};
use crate::app::account::Account;

fn terms(path: &Path) -> UnixTerms {
    UnixTerms {
        path: path.to_owned(),
        mode: 0o660,
        owner: None,
        group: None,
        peers: None,
    }
}

/// Who runs the tests, as the files say that they make.
fn own(directory: &Path) -> (u32, u32) {
    let metadata = std::fs::metadata(directory).unwrap();
    (metadata.uid(), metadata.gid())
}

#[tokio::test]
async fn nobody_gets_in_before_the_permissions_are_as_they_should() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("check.sock");
    let (uid, gid) = own(directory.path());
    let terms = UnixTerms {
        mode: 0o600,
        owner: Some(uid),
        group: Some(gid),
        ..terms(&path)
    };
    let (socket, file) = prepare(&terms).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    assert_eq!((metadata.uid(), metadata.gid()), (uid, gid));
    let refused = UnixStream::connect(&path).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let listener = socket.listen(1).unwrap();
    assert!(UnixStream::connect(&path).is_ok());
    drop((listener, file));
    assert!(!path.exists(), "it is taken away");
}

#[tokio::test]
async fn what_cannot_be_set_up_leaves_no_socket_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("check.sock");
    // No file system knows such permissions of such a path.
    let nowhere = terms(Path::new("/nowhere/at/all.sock"));
    let error = format!("{:#}", bind(&nowhere).await.err().unwrap());
    assert!(error.contains("does its directory exist"), "{error}");
    if own(directory.path()).0 != 0 {
        let terms = UnixTerms {
            owner: Some(0),
            ..terms(&path)
        };
        let error = format!("{:#}", bind(&terms).await.err().unwrap());
        assert!(error.contains("CAP_CHOWN"), "{error}");
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn peers_are_told_apart_by_the_kernels_word() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("check.sock");
    let (uid, gid) = own(directory.path());
    for (uids, gids, admitted) in [
        (vec![uid], vec![], true),
        (vec![], vec![gid], true),
        (vec![uid + 1], vec![gid], true),
        (vec![uid + 1], vec![], false),
        (vec![uid + 1], vec![gid + 1], false),
    ] {
        let terms = UnixTerms {
            peers: Some(Peers { uids, gids }),
            ..terms(&path)
        };
        let acceptor = bind(&terms).await.unwrap();
        let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
        let accepted = acceptor.accept().await.unwrap();
        assert_eq!(accepted.is_some(), admitted, "{terms:?}");
        let refused = acceptor.refused().unwrap();
        let refused = refused.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(refused, u64::from(!admitted));
        if !admitted {
            let mut byte = [0];
            let read = tokio::io::AsyncReadExt::read(&mut client, &mut byte).await;
            assert_eq!(read.unwrap(), 0, "it is closed at once");
        }
    }
}

#[test]
fn names_are_looked_up_and_those_unknown_are_named() {
    let settings = |allow: &str| UnixSettings {
        path: "/run/check.sock".into(),
        mode: 0o660,
        owner: Some(Account::Name("root".to_owned())),
        group: Some(Account::Id(7)),
        allow_uids: vec![allow.parse().unwrap()],
        allow_gids: Vec::new(),
    };
    let terms = UnixTerms::of(&settings("root")).unwrap();
    assert_eq!((terms.owner, terms.group), (Some(0), Some(7)));
    assert_eq!(terms.peers.unwrap().uids, [0]);
    let error = UnixTerms::of(&settings("no-such-user")).unwrap_err();
    assert!(
        error.contains("no-such-user") && error.contains("--unix-allow-uid"),
        "{error}"
    );
}
