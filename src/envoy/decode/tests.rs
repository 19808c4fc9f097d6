//! What Envoy sends is read as Envoy means it, and nothing that anybody sends does harm.

mod model;

use std::collections::HashMap;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::auth::v3 as auth;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use prost::Message as _;

use super::{Undecodable, check};
use crate::headers::Single;
use crate::request::raw::RawCheck;

/// What a client sent and Envoy knows.
#[derive(Clone, Debug, Default)]
struct Sent {
    texts: [String; 10],
    headers: Vec<(String, String)>,
    extensions: Vec<(String, String)>,
    body: Vec<u8>,
    noise: i64,
}

/// How Envoy can be told to put it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// Headers as a map of texts, the body as text.
    Map,
    /// `encode_raw_headers` and `pack_as_bytes`.
    Raw,
}

fn sent() -> impl Strategy<Value = Sent> {
    let text = || "\\PC{0,12}|[ -~]{0,140}";
    let pairs = || {
        // A map holds a name once.
        proptest::collection::hash_map("[a-z0-9:-]{1,12}", "[ -~]{0,20}|\\PC{0,9}", 0..6)
            .prop_map(|map: HashMap<String, String>| map.into_iter().collect::<Vec<_>>())
    };
    let texts = proptest::collection::vec(text(), 10);
    (texts, pairs(), pairs(), "\\PC{0,40}", any::<i64>()).prop_map(
        |(texts, headers, extensions, body, noise)| Sent {
            texts: texts.try_into().unwrap(),
            headers,
            extensions,
            body: body.into_bytes(),
            noise,
        },
    )
}

/// The message as Envoy builds it, with fields that nothing here reads filled in as well.
fn message(sent: &Sent, mode: Mode) -> auth::CheckRequest {
    use auth::attribute_context as attributes;
    let [
        method,
        path,
        host,
        scheme,
        protocol,
        address,
        principal,
        certificate,
        query,
        fragment,
    ] = sent.texts.clone();
    let peer = |principal: String, certificate: String, address: String| attributes::Peer {
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(core::SocketAddress {
                address,
                port_specifier: Some(core::socket_address::PortSpecifier::PortValue(443)),
                resolver_name: "noise".to_owned(),
                ..core::SocketAddress::default()
            })),
        }),
        service: "noise".to_owned(),
        principal,
        certificate,
        labels: HashMap::from([("noise".to_owned(), "noise".to_owned())]),
    };
    let header_map = core::HeaderMap {
        headers: sent
            .headers
            .iter()
            .map(|(key, value)| core::HeaderValue {
                key: key.clone(),
                raw_value: value.clone().into_bytes(),
                ..core::HeaderValue::default()
            })
            .collect(),
    };
    let raw = mode == Mode::Raw;
    let http = attributes::HttpRequest {
        id: "noise".to_owned(),
        method,
        headers: if raw {
            HashMap::new()
        } else {
            sent.headers.iter().cloned().collect()
        },
        header_map: raw.then_some(header_map),
        path,
        host,
        scheme,
        query,
        fragment,
        size: sent.noise,
        protocol,
        body: if raw {
            String::new()
        } else {
            String::from_utf8(sent.body.clone()).unwrap()
        },
        raw_body: if raw {
            sent.body.clone()
        } else {
            Default::default()
        },
    };
    auth::CheckRequest {
        attributes: Some(auth::AttributeContext {
            source: Some(peer(principal, certificate, address)),
            destination: Some(peer(
                "noise".to_owned(),
                "noise".to_owned(),
                "noise".to_owned(),
            )),
            request: Some(attributes::Request {
                time: Some(envoy_types::pb::google::protobuf::Timestamp {
                    seconds: sent.noise,
                    nanos: 1,
                }),
                http: Some(http),
            }),
            context_extensions: sent.extensions.iter().cloned().collect(),
            metadata_context: Some(core::Metadata::default()),
            route_metadata_context: Some(core::Metadata::default()),
            tls_session: Some(attributes::TlsSession {
                sni: "noise".to_owned(),
            }),
        }),
    }
}

fn sorted(pairs: impl IntoIterator<Item = (Bytes, Bytes)>) -> Vec<(Bytes, Bytes)> {
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort();
    pairs
}

fn as_bytes(pairs: &[(String, String)]) -> Vec<(Bytes, Bytes)> {
    sorted(
        pairs
            .iter()
            .map(|(n, v)| (Bytes::from(n.clone()), Bytes::from(v.clone()))),
    )
}

fn lines(raw: &RawCheck) -> Vec<(Bytes, Bytes)> {
    raw.headers
        .iter()
        .map(|(n, v)| (Bytes::copy_from_slice(n), Bytes::copy_from_slice(v)))
        .collect()
}

/// Everything but the headers.
fn everything(raw: &RawCheck) -> (Vec<Bytes>, Vec<(Bytes, Bytes)>) {
    let texts = [
        &raw.method,
        &raw.path,
        &raw.host,
        &raw.scheme,
        &raw.protocol,
        &raw.query,
        &raw.fragment,
        &raw.body,
        &raw.source.address,
        &raw.source.principal,
        &raw.source.certificate,
    ];
    let texts = texts.into_iter().cloned().collect();
    (texts, raw.context_extensions.clone())
}

fn decode(message: &auth::CheckRequest) -> Result<RawCheck, Undecodable> {
    check(message.encode_to_vec().as_slice())
}

proptest! {
    #[test]
    fn reads_what_envoy_writes(sent in sent()) {
        for mode in [Mode::Map, Mode::Raw] {
            let read = decode(&message(&sent, mode)).unwrap();
            let texts = [
                &read.method, &read.path, &read.host, &read.scheme, &read.protocol,
                &read.source.address, &read.source.principal, &read.source.certificate,
                &read.query, &read.fragment,
            ];
            for (read, sent) in texts.into_iter().zip(&sent.texts) {
                prop_assert_eq!(read.as_ref(), sent.as_bytes());
            }
            prop_assert_eq!(sorted(lines(&read)), as_bytes(&sent.headers));
            prop_assert_eq!(sorted(read.context_extensions.clone()), as_bytes(&sent.extensions));
            prop_assert_eq!(read.body.as_ref(), sent.body.as_slice());
        }
    }

    #[test]
    fn never_panics_on_arbitrary_bytes(bytes in any::<Vec<u8>>()) {
        let _ = check(bytes.as_slice());
    }

    /// Whatever was damaged: what is read, is read as another reader of the same messages reads it.
    #[test]
    fn reads_damaged_messages_as_prost_does(
        sent in sent(),
        raw in any::<bool>(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        twice in any::<bool>(),
    ) {
        let mode = if raw { Mode::Raw } else { Mode::Map };
        let mut bytes = message(&sent, mode).encode_to_vec();
        if twice {
            bytes.extend(bytes.clone());
        }
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let (read, model) = (check(bytes.as_slice()), model::check(&bytes));
        match (read, model) {
            (Ok(read), Ok(model)) => {
                prop_assert_eq!(lines(&read), lines(&model));
                prop_assert_eq!(everything(&read), everything(&model));
            }
            (Err(Undecodable::Message(_)), Err(None)) => {}
            (Err(read), Err(Some(model))) => prop_assert_eq!(read, model),
            (read, model) => prop_assert!(false, "{read:?} but {model:?}"),
        }
    }

    /// Damaged messages are still answered, and never read as a request with two header sets' worth.
    #[test]
    fn never_panics_on_a_damaged_message(
        sent in sent(),
        at in any::<proptest::sample::Index>(),
        bit in 0..8u8,
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = message(&sent, Mode::Raw).encode_to_vec();
        let _ = check(&bytes[..cut.index(bytes.len())]);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = check(bytes.as_slice());
    }

    /// Whatever pieces a buffer comes in.
    #[test]
    fn reads_a_message_that_comes_in_pieces(sent in sent(), cut in any::<proptest::sample::Index>()) {
        use bytes::Buf as _;
        let bytes = message(&sent, Mode::Raw).encode_to_vec();
        let (first, second) = bytes.split_at(cut.index(bytes.len()));
        let read = check(first.chain(second)).unwrap();
        prop_assert_eq!(read.path.as_ref(), sent.texts[1].as_bytes());
        prop_assert!(sorted(lines(&read)) == as_bytes(&sent.headers));
    }
}

/// H8: each field in turn holds bytes that are no UTF-8, which protobuf forbids and clients send.
#[test]
fn h8_bytes_that_are_no_text_arrive_as_they_were_sent() {
    const MARK: &str = "MARK";
    const BAD: &[u8] = b"\xff\xc0\xaf\x80";
    let plain = || Sent {
        headers: vec![("a".into(), "b".into())],
        ..Sent::default()
    };
    let mut cases: Vec<Sent> = (0..10)
        .map(|field| {
            let mut sent = plain();
            sent.texts[field] = MARK.to_owned();
            sent
        })
        .collect();
    cases.push(Sent {
        headers: vec![("a".into(), MARK.into())],
        ..plain()
    });
    cases.push(Sent {
        headers: vec![(MARK.into(), "b".into())],
        ..plain()
    });
    cases.push(Sent {
        extensions: vec![("policy".into(), MARK.into())],
        ..plain()
    });
    cases.push(Sent {
        extensions: vec![(MARK.into(), "b".into())],
        ..plain()
    });
    cases.push(Sent {
        body: MARK.as_bytes().to_vec(),
        ..plain()
    });
    for (case, sent) in cases.iter().enumerate() {
        for mode in [Mode::Map, Mode::Raw] {
            let mut bytes = message(sent, mode).encode_to_vec();
            let at = bytes
                .windows(4)
                .position(|window| window == MARK.as_bytes())
                .unwrap();
            bytes[at..at + 4].copy_from_slice(BAD);
            let read = check(bytes.as_slice()).unwrap();
            let mut everything = vec![
                read.method.clone(),
                read.path.clone(),
                read.host.clone(),
                read.scheme.clone(),
                read.protocol.clone(),
                read.source.address.clone(),
                read.source.principal.clone(),
                read.source.certificate.clone(),
                read.query.clone(),
                read.fragment.clone(),
                read.body.clone(),
            ];
            everything.extend(lines(&read).into_iter().flat_map(|(n, v)| [n, v]));
            everything.extend(
                read.context_extensions
                    .into_iter()
                    .flat_map(|(n, v)| [n, v]),
            );
            let found = everything
                .iter()
                .filter(|bytes| bytes.as_ref() == BAD)
                .count();
            assert_eq!(found, 1, "case {case}, {mode:?}");
        }
    }
}

#[test]
fn refuses_what_is_no_check() {
    use auth::attribute_context::{HttpRequest, Request};
    let with_request = |request: Option<Request>| auth::CheckRequest {
        attributes: Some(auth::AttributeContext {
            request,
            ..Default::default()
        }),
    };
    for message in [
        auth::CheckRequest::default(),
        with_request(None),
        with_request(Some(Request::default())),
    ] {
        assert_eq!(decode(&message).err(), Some(Undecodable::NoRequest));
    }
    let http = HttpRequest {
        headers: HashMap::from([("a".to_owned(), "b".to_owned())]),
        header_map: Some(core::HeaderMap::default()),
        ..Default::default()
    };
    let both = with_request(Some(Request {
        http: Some(http),
        time: None,
    }));
    assert_eq!(decode(&both).err(), Some(Undecodable::TwoHeaderSets));
    for bytes in [&[0xff][..], &[0x0a, 0x05, 0x00], b"GET / HTTP/1.1\r\n\r\n"] {
        let refused = check(bytes).err();
        assert!(
            matches!(refused, Some(Undecodable::Message(_))),
            "{bytes:?}"
        );
    }
}

#[test]
fn f6_nested_groups_do_not_exhaust_the_stack() {
    assert!(check(vec![0x0b; 1 << 20].as_slice()).is_err());
    // Messages within messages within an unknown field are skipped, not descended into.
    let mut nested = Vec::new();
    for _ in 0..64 {
        let mut outer = vec![0x7a];
        prost::encoding::encode_varint(nested.len() as u64, &mut outer);
        outer.extend(nested);
        nested = outer;
    }
    assert_eq!(check(nested.as_slice()).err(), Some(Undecodable::NoRequest));
}

/// Protobuf lets a map's key come twice on the wire, and says that the last one counts. Another reader
/// may have believed the first.
#[test]
fn h1_a_header_that_comes_twice_in_the_map_is_seen_twice() {
    let once = |value: &str| {
        let headers = vec![("authorization".to_owned(), value.to_owned())];
        message(
            &Sent {
                headers,
                ..Sent::default()
            },
            Mode::Map,
        )
        .encode_to_vec()
    };
    let read = check([once("first"), once("second")].concat().as_slice()).unwrap();
    assert_eq!(read.headers.single("authorization"), Single::Several);
    let values: Vec<&[u8]> = read.headers.all("authorization").collect();
    assert_eq!(values, [b"first".as_slice(), b"second"]);
}

#[test]
fn h1_lines_of_the_header_map_keep_their_order_and_repeats() {
    let headers = vec![
        ("x-b".to_owned(), "1".to_owned()),
        ("x-a".to_owned(), "2".to_owned()),
        ("x-b".to_owned(), "3".to_owned()),
    ];
    let read = decode(&message(
        &Sent {
            headers: headers.clone(),
            ..Sent::default()
        },
        Mode::Raw,
    ));
    let expected: Vec<(Bytes, Bytes)> = headers
        .into_iter()
        .map(|(n, v)| (n.into(), v.into()))
        .collect();
    assert_eq!(lines(&read.unwrap()), expected);
}

#[test]
fn h10_names_are_lower_case_whoever_sends_them() {
    let headers = vec![("X-Api-KEY".to_owned(), "k".to_owned())];
    for mode in [Mode::Map, Mode::Raw] {
        let message = message(
            &Sent {
                headers: headers.clone(),
                ..Sent::default()
            },
            mode,
        );
        let read = decode(&message).unwrap();
        assert_eq!(read.headers.all("x-api-key").count(), 1, "{mode:?}");
    }
}

/// Clients other than Envoy fill `value` of a `header_map`'s lines.
#[test]
fn reads_a_header_lines_text_where_there_are_no_bytes() {
    let sent = Sent {
        headers: vec![("a".into(), "bytes".into())],
        ..Sent::default()
    };
    for (raw_value, value) in [("", "text"), ("bytes", "text")] {
        let mut message = message(&sent, Mode::Raw);
        let request = message
            .attributes
            .as_mut()
            .unwrap()
            .request
            .as_mut()
            .unwrap();
        let map = request.http.as_mut().unwrap().header_map.as_mut().unwrap();
        map.headers[0].value = value.to_owned();
        map.headers[0].raw_value = raw_value.as_bytes().to_vec();
        let read = decode(&message).unwrap();
        let expected = if raw_value.is_empty() {
            value
        } else {
            raw_value
        };
        assert_eq!(lines(&read)[0].1, expected);
    }
}
