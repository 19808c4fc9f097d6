//! What proving a request of 1 KiB costs beside the bare hash, and what remembering its nonce does among a
//! million others.
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use portcullis::authn::hmac::{Dialect, Key, Rules, Signing, read, sign};
use portcullis::authn::replay::{ReplayMemories, Replays};
use portcullis::authn::signature::{Freshness, Once};
use portcullis::authn::webhook;
use portcullis::clock::Timestamp;
use portcullis::headers::Headers;
use portcullis::request::body::Body;
use portcullis::request::signed::AsSigned;
use portcullis::secret::Secret;

/// The same allocator as the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: i64 = 1_796_126_400;

fn hmac(criterion: &mut Criterion) {
    let secret = vec![b's'; 32];
    let bare = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
    let key = Key::new(&Secret::new(secret)).expect("long enough");
    let rules = Rules {
        dialects: Dialect::ALL.into(),
        ..Rules::own(Freshness {
            max_age: Duration::from_secs(300),
            clock_skew: Duration::from_secs(30),
        })
    };
    let body = Bytes::from(vec![b'b'; 1024]);
    let mut lines: Vec<(String, String)> = (0..18)
        .map(|number| {
            (
                format!("x-header-number-{number}"),
                "a value of this length".into(),
            )
        })
        .collect();
    lines.push(("content-type".into(), "application/json".into()));
    let mut group = criterion.benchmark_group("hmac");
    group.bench_function("bare HMAC-SHA256 of 1 KiB", |bencher| {
        let tag = aws_lc_rs::hmac::sign(&bare, &body);
        bencher.iter(|| aws_lc_rs::hmac::verify(&bare, black_box(&body), tag.as_ref()));
    });
    for dialect in Dialect::ALL.iter().copied() {
        let headers = Headers::new(lines.iter().map(|(name, value)| (name, value)));
        let signing = Signing {
            key_id: "acme-1",
            signed_headers: &["content-type"],
            created: NOW,
            nonce: "b4b0d4a0c1e94a6f8f0d2f7b6a5c4e3d",
        };
        let added = sign(dialect, &message(&headers, &body), &key, &signing).expect("signs");
        let all = lines.iter().chain(&added);
        let headers = Headers::new(all.map(|(name, value)| (name, value)));
        let (_, authorization) = added.last().expect("the signature");
        let (scheme, credentials) = authorization.split_once(' ').expect("a scheme");
        let message = message(&headers, &body);
        let now = Timestamp::from_seconds(NOW);
        let parsed = || read(scheme.as_bytes(), black_box(credentials.as_bytes()), &rules);
        parsed()
            .and_then(|unverified| unverified.verify(&message, &key, &rules, now))
            .expect("verifies");
        group.bench_function(
            format!("{}: read and verify 1 KiB", dialect.as_str()),
            |bencher| {
                bencher.iter(|| {
                    parsed().and_then(|unverified| {
                        unverified.verify(black_box(&message), &key, &rules, now)
                    })
                });
            },
        );
        group.bench_function(format!("{}: read", dialect.as_str()), |bencher| {
            bencher.iter(parsed);
        });
        let unverified = parsed().expect("reads");
        group.bench_function(format!("{}: verify 1 KiB", dialect.as_str()), |bencher| {
            bencher.iter(|| unverified.verify(black_box(&message), &key, &rules, now));
        });
    }
    let headers = Headers::new(lines.iter().map(|(name, value)| (name, value)));
    let secret = Secret::new(vec![b's'; 32]);
    let plain = message(&headers, &body);
    let now = Timestamp::from_seconds(NOW);
    let signed = webhook::sign::sign(&plain, &webhook::Scheme::GitHub, &secret, now, "1");
    let signed = signed.expect("signs").headers;
    let headers = Headers::new(
        lines
            .iter()
            .chain(&signed)
            .map(|(name, value)| (name, value)),
    );
    let message = message(&headers, &body);
    let freshness = rules.freshness;
    let rules = webhook::Rules::new(webhook::Scheme::GitHub, &[secret], freshness);
    let rules = rules.expect("a good secret");
    group.bench_function("a webhook of GitHub's: read and verify 1 KiB", |bencher| {
        bencher.iter(|| webhook::verify(black_box(&message), &rules, now));
    });
    group.finish();
}

/// A credential's memory with a million nonces in it.
fn replays(criterion: &mut Criterion) {
    let before = resident();
    let memory = ReplayMemories::default().of("bench");
    let now = Timestamp::from_seconds(NOW);
    let once = |number: u64| Once {
        value: [b"nonce:", &number.to_be_bytes()[..]].concat(),
        until: Timestamp::from_seconds(NOW + 300),
    };
    for number in 0..999_000 {
        let used = memory.use_once(&once(number), now).now_or_never();
        used.expect("memory does not wait").expect("a new nonce");
    }
    eprintln!(
        "replay memory: {} nonces in {:.1} MiB",
        memory.held(),
        (resident() - before) / 1_048_576.0
    );
    let mut group = criterion.benchmark_group("replay");
    let mut next = 0;
    group.bench_function("a nonce that was used, among a million", |bencher| {
        bencher.iter(|| {
            next = (next + 7_919) % 999_000;
            memory.use_once(&once(black_box(next)), now).now_or_never()
        });
    });
    let mut later = NOW;
    let mut number = 1_000_000;
    group.bench_function("a new nonce, as old ones end", |bencher| {
        bencher.iter(|| {
            number += 1;
            // A thousand in a second: what holds for five minutes is then a third of the bound.
            if number % 1_000 == 0 {
                later += 1;
            }
            let once = Once {
                value: [b"nonce:", &u64::to_be_bytes(number)[..]].concat(),
                until: Timestamp::from_seconds(later + 300),
            };
            let now = Timestamp::from_seconds(later + 400);
            memory.use_once(&once, now).now_or_never()
        });
    });
    group.finish();
}

/// Bytes that the process holds, as Linux counts them; 0 elsewhere.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    number.unwrap_or_default() * 1024.0
}

fn message<'a>(headers: &'a Headers, body: &Bytes) -> AsSigned<'a> {
    AsSigned {
        method: "POST",
        scheme: "https".into(),
        authority: "api.example.com".into(),
        path: b"/orders/7".into(),
        query: Some(b"page=2"),
        headers,
        body: Body::Whole(body.clone()),
    }
}

criterion_group!(benches, hmac, replays);
criterion_main!(benches);
