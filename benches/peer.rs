//! What a client certificate costs: one that is known, and one that is new.

#![expect(clippy::unwrap_used, reason = "a benchmark may end in a panic")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::authn::certificate::PeerCertificate;
use portcullis::authn::chain::Bundles;
use portcullis::authn::chain::bundle::TrustBundle;
use portcullis::authn::mtls::known::peer_cache;
use portcullis::authn::mtls::rules::{BundleCell, Rules, Selection, Workloads};
use portcullis::authn::mtls::{Mtls, PeerConsumers};
use portcullis::authn::spiffe::{TrustDomain, TrustDomains};
use portcullis::clock::Timestamp;
use portcullis::headers::Headers;
use portcullis::request::peer;
use portcullis::request::peer::sources::{Handed, PeerSources};
use portcullis::request::raw::RawPeer;
use portcullis::secret::Digest;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/certs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// As it stands in `source.certificate`.
fn source(name: &str) -> Vec<u8> {
    let pem = String::from_utf8(file(name)).unwrap();
    pem.replace('\n', "%0A")
        .replace(' ', "%20")
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
        .into()
}

fn run(c: &mut Criterion) {
    let root = TrustBundle::from_pem(&file("root.pem")).unwrap();
    let bundles = Bundles::new([(TrustDomain::parse(b"td").unwrap(), Arc::new(root))]);
    let inter = peer::pem::certificates(&file("inter.pem")).unwrap();
    let raw = source("svid.pem");
    let der = peer::certificate(&raw).unwrap().unwrap();
    let known = HashMap::from([(Digest::of(&raw), PeerCertificate::parse(&der).unwrap())]);

    c.bench_function("known: digest and look-up", |b| {
        b.iter(|| {
            known
                .get(&Digest::of(black_box(&raw)))
                .is_some_and(|leaf| leaf.judge_time(NOW).is_ok())
        });
    });
    let mesh = Mtls::new(
        "mesh".into(),
        Rules::Workloads(Workloads {
            trust_domains: TrustDomains::new([TrustDomain::parse(b"td").unwrap()]),
            selection: Selection {
                allow: None,
                except: Vec::new(),
            },
            bundles: Some(BundleCell::new(bundles.clone(), 1)),
            revocation: None,
        }),
        PeerConsumers::default(),
        peer_cache(),
        1,
    );
    let peer = RawPeer {
        certificate: raw.clone().into(),
        principal: "spiffe://td/ns/billing/sa/worker".into(),
        ..RawPeer::default()
    };
    let headers = Headers::default();
    c.bench_function("known: as a request has it judged", |b| {
        b.iter(|| {
            let handed = Handed::new(black_box(&peer), &headers, PeerSources::default());
            mesh.judge(&handed, handed.digest(), NOW).unwrap()
        });
    });
    c.bench_function("new: decode and parse", |b| {
        b.iter(|| {
            PeerCertificate::parse(&peer::certificate(black_box(&raw)).unwrap().unwrap()).unwrap()
        });
    });
    for (name, file, intermediates) in [
        ("new: leaf under the root, P-256", "svid.pem", &[][..]),
        (
            "new: leaf under an intermediate, P-256",
            "svid_by_inter.pem",
            &inter,
        ),
    ] {
        let raw = source(file);
        c.bench_function(name, |b| {
            b.iter(|| {
                let der = peer::certificate(black_box(&raw)).unwrap().unwrap();
                let leaf = PeerCertificate::parse(&der).unwrap();
                bundles
                    .verify_svid(&leaf, intermediates, None, NOW)
                    .unwrap()
            });
        });
    }
}

criterion_group!(benches, run);
criterion_main!(benches);
