use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use super::follow::Follower;
use super::test_certificates::{Authority, Leaf};
use super::{Loaded, MAX_HANDSHAKES_PER_ADDRESS, Peer, Terminator, TlsFiles, TlsSettings};
use crate::clock::{Clock, ManualClock};
use crate::test_support::{NOW, clock};

/// A terminator over files that a test can change.
struct Place {
    directory: tempfile::TempDir,
    authority: Authority,
    clock: Arc<ManualClock>,
    terminator: Arc<Terminator>,
    follower: Follower,
}

fn der(leaf: &Leaf) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(leaf.pem.as_bytes()).unwrap()
}

fn write(directory: &tempfile::TempDir, leaf: &Leaf, client_ca: &str) {
    for (name, text) in [
        ("tls.crt", leaf.pem.as_str()),
        ("tls.key", &leaf.key_pem),
        ("ca.crt", client_ca),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
}

impl Place {
    fn new(names: &[&str]) -> Self {
        Self::with(names, true, |_| {})
    }

    fn with(names: &[&str], client_ca: bool, change: impl FnOnce(&mut Terminator)) -> Self {
        let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("ca"));
        write(&directory, &authority.server(), &authority.pem);
        let clock = clock();
        let at = |name: &str| directory.path().join(name);
        let settings = TlsSettings {
            files: TlsFiles {
                certificate: at("tls.crt"),
                key: at("tls.key"),
                client_ca: client_ca.then(|| at("ca.crt")),
            },
            client_names: names.iter().map(|name| name.parse().unwrap()).collect(),
        };
        let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let loaded = Terminator::load(&settings, &as_clock).unwrap();
        let mut terminator = Arc::try_unwrap(loaded.terminator).ok().unwrap();
        change(&mut terminator);
        let terminator = Arc::new(terminator);
        let follower = Follower::new(Loaded {
            terminator: Arc::clone(&terminator),
            digest: loaded.digest,
        });
        Self {
            directory,
            authority,
            clock,
            terminator,
            follower,
        }
    }

    fn client(&self, certificate: Option<&Leaf>, alpn: &[&[u8]]) -> ClientConfig {
        self.client_of(rustls::DEFAULT_VERSIONS, certificate, alpn)
    }

    fn client_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        certificate: Option<&Leaf>,
        alpn: &[&[u8]],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let chain = vec![der(leaf)];
                let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|one| one.to_vec()).collect();
        config
    }

    /// A handshake with this client; whether it went well, and whose certificate it was.
    async fn meet(&self, config: ClientConfig) -> Option<Option<Peer>> {
        let (client, server) = sockets().await;
        let connecting = tokio::spawn(async move {
            let connector = TlsConnector::from(Arc::new(config));
            let stream = connector.connect("localhost".try_into().unwrap(), client);
            let Ok(mut stream) = stream.await else { return };
            // In TLS 1.3 the client learns of a refusal when it reads.
            let _ = stream.write_all(b"x").await;
            let _ = stream.read(&mut [0; 8]).await;
        });
        let met = self.terminator.handshake(server).await;
        let peer = met.map(|(_stream, peer)| peer);
        connecting.abort();
        peer
    }

    fn count(&self, failure: Failure) -> u64 {
        self.terminator.failed[failure as usize]
            .0
            .load(Ordering::Relaxed)
    }
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    (client.unwrap(), listener.accept().await.unwrap().0)
}

const H2: &[&[u8]] = &[b"h2"];

#[tokio::test]
async fn only_who_shows_a_good_certificate_may_ask() {
    let id = "spiffe://example.org/ns/edge/sa/envoy";
    let place = Place::new(&[id, "envoy.example.com"]);
    let (good, other) = (&place.authority, Authority::new("other"));
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let leaf = |from, to| good.leaf(&[id], (from, to), client.clone());
    for (certificate, failure) in [
        (Some(good.client(&[id])), None),
        (Some(good.client(&["envoy.example.com"])), None),
        (None, Some(Failure::NoCertificate)),
        (Some(other.client(&[id])), Some(Failure::UnknownIssuer)),
        (Some(leaf(1990, 2020)), Some(Failure::Expired)),
        (Some(leaf(2100, 2200)), Some(Failure::NotYetValid)),
        (
            Some(good.client(&["other.example.com"])),
            Some(Failure::Name),
        ),
        (Some(good.client(&[])), Some(Failure::Name)),
        (
            Some(good.client(&[id, "spiffe://example.org/b"])),
            Some(Failure::Name),
        ),
        (
            Some(good.leaf(&[id], (1990, 2100), ExtendedKeyUsagePurpose::ServerAuth)),
            Some(Failure::Certificate),
        ),
    ] {
        let before = failure.map(|failure| place.count(failure));
        let met = place.meet(place.client(certificate.as_ref(), H2)).await;
        let expected = failure.is_none();
        assert_eq!(matches!(met, Some(Some(_))), expected, "{failure:?}");
        if let (Some(failure), Some(before)) = (failure, before) {
            assert_eq!(place.count(failure), before + 1, "{failure:?}");
        }
    }
}

#[tokio::test]
async fn without_names_every_certificate_of_the_ca_may_ask_and_without_a_ca_anybody() {
    let place = Place::new(&[]);
    let leaf = place.authority.client(&[]);
    assert!(place.meet(place.client(Some(&leaf), H2)).await.is_some());
    assert!(place.meet(place.client(None, H2)).await.is_none());
    let open = Place::with(&[], false, |_| {});
    let met = open.meet(open.client(None, H2)).await;
    assert!(matches!(met, Some(None)), "and nobody is anybody's peer");
}

#[tokio::test]
async fn http_2_must_be_offered() {
    let place = Place::new(&[]);
    let leaf = place.authority.client(&[]);
    for alpn in [&[][..], &[&b"http/1.1"[..]]] {
        assert!(place.meet(place.client(Some(&leaf), alpn)).await.is_none());
    }
    assert_eq!(place.count(Failure::Alpn), 2);
    let both: &[&[u8]] = &[b"http/1.1", b"h2"];
    assert!(place.meet(place.client(Some(&leaf), both)).await.is_some());
}

/// A resumed session would show no certificate: one that has expired since would still let in.
#[tokio::test]
async fn every_handshake_is_a_whole_one() {
    let place = Place::new(&[]);
    let leaf = place.authority.client(&[]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = Arc::new(place.client_of(&[version], Some(&leaf), H2));
        for round in 0..2 {
            let (client, server) = sockets().await;
            let connector = TlsConnector::from(Arc::clone(&config));
            let connecting = connector.connect("localhost".try_into().unwrap(), client);
            let (client, met) = tokio::join!(connecting, place.terminator.handshake(server));
            let (mut server, _) = met.expect("it goes well");
            // What the client could resume comes before the first byte.
            server.write_all(b"x").await.unwrap();
            client.unwrap().read_exact(&mut [0]).await.unwrap();
            let kind = server.get_ref().1.handshake_kind();
            assert_eq!(kind, Some(HandshakeKind::Full), "{version:?} {round}");
        }
    }
}

#[tokio::test]
async fn what_is_no_tls_goes_away_or_says_nothing_is_told_apart() {
    let place = Place::with(&[], true, |terminator| {
        terminator.handshake_timeout = Duration::from_millis(50);
    });
    let (mut client, server) = sockets().await;
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    assert!(place.terminator.handshake(server).await.is_none());
    assert_eq!(place.count(Failure::NotTls), 1);
    let (client, server) = sockets().await;
    drop(client);
    assert!(place.terminator.handshake(server).await.is_none());
    assert_eq!(place.count(Failure::Closed), 1);
    let (_client, server) = sockets().await;
    assert!(place.terminator.handshake(server).await.is_none());
    assert_eq!(place.count(Failure::Timeout), 1);
}

#[tokio::test]
async fn one_address_does_not_take_all_places() {
    let place = Place::with(&[], true, |_| ());
    let one = Some([10, 0, 0, 1].into());
    let mut slots: Vec<_> = (0..MAX_HANDSHAKES_PER_ADDRESS)
        .map(|_| place.terminator.slot(one).expect("there is room"))
        .collect();
    assert!(place.terminator.slot(one).is_none());
    assert!(place.terminator.slot(Some([10, 0, 0, 2].into())).is_some());
    slots.pop();
    slots.push(place.terminator.slot(one).expect("a place was given back"));
    drop(slots);
    assert!(place.terminator.by_address.lock().unwrap().is_empty());
    assert_eq!(place.terminator.under_way.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn handshakes_under_way_are_bounded_and_places_are_given_back() {
    let place = Place::with(&[], true, |terminator| terminator.max_handshakes = 1);
    let terminator = Arc::clone(&place.terminator);
    let (client, server) = sockets().await;
    let stalled = tokio::spawn(async move { terminator.handshake(server).await.is_none() });
    while place.terminator.under_way.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let (_other, server) = sockets().await;
    assert!(place.terminator.handshake(server).await.is_none());
    assert_eq!(place.terminator.crowded_out(), 1);
    drop(client);
    assert!(stalled.await.unwrap());
    let leaf = place.authority.client(&[]);
    assert!(place.meet(place.client(Some(&leaf), H2)).await.is_some());
    assert_eq!(place.terminator.under_way.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_newest_good_files_are_used_and_bad_ones_told_once() {
    let mut place = Place::new(&[]);
    let leaf = place.authority.client(&[]);
    let state = |place: &Place| {
        let state = &place.terminator.state;
        (
            state.loaded.load(Ordering::Relaxed),
            state.failed.load(Ordering::Relaxed),
            state.stale.load(Ordering::Relaxed),
        )
    };
    place.follower.look();
    assert_eq!(state(&place), (0, 0, false));
    // A key that belongs to another certificate, as between two writes.
    let next = place.authority.server();
    let kept = fs::read(place.directory.path().join("tls.key")).unwrap();
    fs::write(place.directory.path().join("tls.key"), &next.key_pem).unwrap();
    place.follower.look();
    place.follower.look();
    assert_eq!(state(&place), (0, 1, true));
    assert!(place.meet(place.client(Some(&leaf), H2)).await.is_some());
    // What was there before is there again: nothing is wrong any more.
    fs::write(place.directory.path().join("tls.key"), kept).unwrap();
    place.follower.look();
    assert_eq!(state(&place), (0, 1, false));
    fs::remove_file(place.directory.path().join("ca.crt")).unwrap();
    place.follower.look();
    assert_eq!(state(&place), (0, 2, true));
    let expired = ExtendedKeyUsagePurpose::ServerAuth;
    let expired = place.authority.leaf(&["localhost"], (1990, 2020), expired);
    write(&place.directory, &expired, &place.authority.pem);
    place.follower.look();
    assert_eq!(state(&place), (0, 3, true), "an expired one for a good one");
    write(&place.directory, &next, &place.authority.pem);
    place.follower.look();
    assert_eq!(state(&place), (1, 3, false));
    assert!(place.meet(place.client(Some(&leaf), H2)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_when_its_certificate_expires() {
    let place = Place::new(&[]);
    let year = 2027 + 1;
    let short = place
        .authority
        .leaf(&[], (1990, year), ExtendedKeyUsagePurpose::ClientAuth);
    let peer = Peer(vec![der(&short)]);
    let withdrawn = place.terminator.withdrawn(peer);
    tokio::pin!(withdrawn);
    let hour = Duration::from_secs(3600);
    assert!(
        tokio::time::timeout(hour * 48, &mut withdrawn)
            .await
            .is_err()
    );
    // 2028-01-01T00:00:00Z.
    let end = 1_830_297_600;
    let left = Duration::from_secs(u64::try_from(end - NOW).unwrap());
    place.clock.advance(left);
    assert!(
        tokio::time::timeout(hour * 2, &mut withdrawn)
            .await
            .is_err(),
        "to its last second"
    );
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(withdrawn.await, "certificate_expired");
    assert_eq!(place.terminator.withdrawn.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_goes_when_its_ca_was_taken_away_and_stays_when_another_comes() {
    let mut place = Place::new(&[]);
    let leaf = place.authority.client(&[]);
    let peer = || Peer(vec![der(&leaf)]);
    let terminator = Arc::clone(&place.terminator);
    let stays = peer();
    let waiting = tokio::spawn(async move { terminator.withdrawn(stays).await });
    let other = Authority::new("next");
    let both = format!("{}{}", place.authority.pem, other.pem);
    write(&place.directory, &place.authority.server(), &both);
    place.follower.look();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    write(&place.directory, &place.authority.server(), &other.pem);
    place.follower.look();
    assert_eq!(waiting.await.unwrap(), "certificate_unknown_issuer");
    // So does one whose handshake began before the swap.
    let late = place.terminator.withdrawn(peer());
    assert_eq!(late.await, "certificate_unknown_issuer");
}
