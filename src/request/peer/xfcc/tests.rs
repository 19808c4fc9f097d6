use std::num::NonZeroU8;

use super::{Element, NAME, Trust, parse, read};
use crate::headers::Headers;
use crate::request::peer::pem::BadPem;
use crate::request::peer::{BadPeer, UnverifiedChain};
use crate::secret::Digest;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

const HASH: &str = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";
const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
const OTHER: &str = "-----BEGIN CERTIFICATE-----\nAwQF\n-----END CERTIFICATE-----\n";

/// Lines that a real Envoy 1.40 wrote.
fn seen(file: &str) -> Vec<String> {
    let path = format!("{}/tests/certs/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn hops(count: u8) -> Trust {
    Trust::Hops(NonZeroU8::new(count).unwrap())
}

fn of(value: &str, trust: Trust) -> Result<Vec<Element>, BadPeer> {
    read(&Headers::new([(NAME, value)]), trust).map(Option::unwrap)
}

fn encoded(pem: &str) -> String {
    pem.replace('\n', "%0A").replace(' ', "%20")
}

#[test]
fn reads_the_examples_of_envoys_documentation() {
    let one = format!(
        "By=http://frontend.lyft.com;Hash={HASH};Subject=\"/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=Test Client\";URI=http://testclient.lyft.com;DNS=lyft.com;DNS=www.lyft.com"
    );
    let element = parse(one.as_bytes()).unwrap().remove(0);
    assert_eq!(element.by, ["http://frontend.lyft.com"]);
    assert!(element.hash == Digest::from_hex(HASH));
    assert_eq!(
        element.subject.as_deref(),
        Some("/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=Test Client")
    );
    assert_eq!(element.uris, ["http://testclient.lyft.com"]);
    assert_eq!(element.dns_names, ["lyft.com", "www.lyft.com"]);
    let two = format!("By=http://a;Hash={HASH};URI=http://b,By=http://c;Hash={HASH};URI=http://d");
    let uris: Vec<_> = parse(two.as_bytes())
        .unwrap()
        .into_iter()
        .map(|e| e.uris)
        .collect();
    assert_eq!(uris, [["http://b"], ["http://d"]]);
}

#[test]
fn reads_both_forms_as_a_real_envoy_writes_them_alike() {
    let (text, json) = (seen("xfcc_text2.txt"), seen("xfcc_json2.txt"));
    assert_eq!((text.len(), json.len()), (3, 3));
    // The first two; the third has a space in a URI, which the text form can't carry.
    for (text, json) in text.iter().zip(&json).take(2) {
        let from_text = of(text, Trust::SanitizeSet).unwrap();
        assert_eq!(from_text, of(json, Trust::SanitizeSet).unwrap());
        let chain = from_text[0].certificates().unwrap().unwrap();
        assert!(from_text[0].hash == Some(Digest::of(&chain.leaf)));
        assert_eq!(chain.intermediates.len(), 1);
    }
    let read = |at: usize| of(&text[at], Trust::SanitizeSet).unwrap().remove(0);
    assert_eq!((read(0).subject, read(0).uris.len()), (None, 1));
    // A backslash before the closing quote belongs to the one before it.
    assert_eq!(
        (read(1).subject.as_deref(), read(1).uris.len()),
        (Some(r"CN=x\\"), 0)
    );
    assert!(of(&text[2], Trust::SanitizeSet).is_err());
    assert!(of(&json[2], Trust::SanitizeSet).is_err());
}

#[test]
fn c2_a_forged_header_before_envoys_own_element_gains_nothing() {
    // A real Envoy with APPEND_FORWARD; the client sent: nothing; an element; JSON; broken JSON; an object;
    // a lone quote. Its certificate has a second URI with `;`, `,` and a quote.
    for line in seen("xfcc_text.txt").iter().chain(&seen("xfcc_json.txt")) {
        match of(line, hops(1)) {
            // The text form can't carry such a URI.
            Err(BadPeer::Xfcc(_)) => {}
            Ok(elements) => {
                assert!(line.starts_with('['), "{line}");
                assert_eq!(elements.len(), 1);
                assert_eq!(
                    elements[0].uris,
                    [
                        "spiffe://td/ns/a/sa/b",
                        "spiffe://td/x;URI=spiffe://td/a,dmin\"q\\b"
                    ]
                );
            }
            Err(other) => panic!("{other}"),
        }
    }
    // A forged element that is well-formed stands before Envoy's, and does not count.
    let lines = seen("xfcc_json.txt");
    let forged = lines[2].replace("\"ab\"", &format!("\"{HASH}\""));
    let own = of(&lines[0], hops(1)).unwrap();
    assert_eq!(of(&forged, hops(9)).unwrap().len(), 2);
    assert_eq!(of(&forged, hops(1)).unwrap(), own);
    assert!(matches!(
        of(&forged, Trust::SanitizeSet),
        Err(BadPeer::Xfcc(_))
    ));
}

#[test]
fn c2_counts_trusted_elements_from_the_right() {
    let header = "URI=spiffe://forged/a,URI=spiffe://td/outer,URI=spiffe://td/gateway";
    let uris = |trust| -> Vec<String> {
        let elements = of(header, trust).unwrap();
        elements
            .into_iter()
            .flat_map(|element| element.uris)
            .collect()
    };
    assert_eq!(uris(hops(1)), ["spiffe://td/gateway"]);
    assert_eq!(uris(hops(2)), ["spiffe://td/outer", "spiffe://td/gateway"]);
    assert_eq!(uris(hops(9)).len(), 3);
    assert!(matches!(
        of(header, Trust::SanitizeSet),
        Err(BadPeer::Xfcc(_))
    ));
    assert_eq!(
        of("URI=spiffe://td/a", Trust::SanitizeSet).unwrap().len(),
        1
    );
}

#[test]
fn keys_are_of_any_case_and_values_are_not() {
    let upper = format!("BY=a;hash={};URI=spiffe://td/A;dNs=b", HASH.to_uppercase());
    let element = of(&upper, hops(1)).unwrap().remove(0);
    assert_eq!((element.by.len(), element.dns_names.len()), (1, 1));
    assert_eq!(element.uris, ["spiffe://td/A"]);
    assert!(element.hash == Digest::from_hex(HASH));
}

#[test]
fn reads_quotes_escapes_and_spaces_around_commas() {
    for (text, subject) in [
        (r#"Subject="CN=a""#, Some("CN=a")),
        (r#"Subject="CN=a, b; c=d""#, Some("CN=a, b; c=d")),
        (r#"Subject="O=\"q\"""#, Some(r#"O=\"q\""#)),
        (r#"Subject="O=x\\""#, Some(r"O=x\\")),
        (r#"Subject="O=\\\"x""#, Some(r#"O=\\\"x"#)),
        (r#"Subject="""#, None),
        ("URI=a , Subject=\"CN=é\"", Some("CN=é")),
        ("URI=a,  Subject=\"CN=a\" ", Some("CN=a")),
        (r#"URI="spiffe://td/a";Subject="CN=a""#, Some("CN=a")),
    ] {
        let element = of(text, hops(1)).unwrap().remove(0);
        assert_eq!(element.subject.as_deref(), subject, "{text}");
    }
}

#[test]
fn c2_refuses_what_is_not_of_the_grammar() {
    for bad in [
        "",
        " ",
        ",",
        ";",
        "=",
        "URI",
        "URI=a;",
        "URI=a,",
        ",URI=a",
        "URI=a;;DNS=b",
        "URI=a,,DNS=b",
        "x=y",
        "URI =a",
        " ;URI=a",
        "URI=a; DNS=b",
        "URI=a ;DNS=b",
        "URI= a",
        "URI=a b",
        "URI=a\"b",
        "URI=a\\b",
        "URI=ä",
        "URI=\"a",
        "URI=\"a\\\"",
        "URI=\"a\"b",
        "URI=\"a\" b",
        "URI=\"a\"\"b\"",
        "URI=\"a\\\\\"",
        "URI=\"a b\"",
        "Subject=CN=a",
        "Subject=\"CN=a\\\"",
        "Subject=\"a\";Subject=\"a\"",
        "Subject=\"\";Subject=\"a\"",
        "Hash=ab",
        "Hash=",
        "Cert=\"\"",
        "Chain=\"\"",
        "Cert=\"%\"",
        "Cert=\"x\"",
        "{\"uri\":[\"a\"]}",
        "[",
        "[]",
        "[1]",
        "[{}",
        "[{}]x",
        "[null]",
        "[[]]",
        "[{\"uri\":\"a\"}]",
        "[{\"URI\":[\"a\"]}]",
        "[{\"uri\":[\"a\"],\"uri\":[\"b\"]}]",
        "[{\"uri\":[\"\"]}]",
        "[{\"uri\":[\"a\\u0000b\"]}]",
        "[{\"uri\":[\"a\\nb\"]}]",
        "[{\"subject\":\"a\\u0007\"}]",
        "[{\"hash\":\"ab\"}]",
        "[{\"cert\":\"x\"}]",
        "[{\"chain\":[\"x\"]}]",
        "[{\"chain\":\"x\"}]",
        "[{\"uri\":[\"a\"]},]",
        "[{\"uri\":[\"a\"]}],URI=b",
        "[{\"x\":1}]",
        "[{\"hash\":1}]",
        "[{\"uri\":null}]",
    ] {
        assert!(of(bad, hops(1)).is_err(), "{bad}");
    }
    for control in [
        "URI=a\tb",
        "URI=a\0",
        "Subject=\"a\nb\"",
        "Subject=\"a\u{85}\"",
        "[{\"uri\":[\"a\"]}]\n",
    ] {
        assert_eq!(
            of(control, hops(1)),
            Err(BadPeer::Characters(NAME)),
            "{control:?}"
        );
    }
    let headers = Headers::new([(NAME, &b"URI=\xff"[..])]);
    assert_eq!(read(&headers, hops(1)), Err(BadPeer::Characters(NAME)));
    let headers = Headers::new([(NAME, "URI=a"), (NAME, "URI=a")]);
    assert_eq!(read(&headers, hops(1)), Err(BadPeer::Several(NAME)));
    assert_eq!(read(&Headers::default(), hops(1)), Ok(None));
}

#[test]
fn is_bounded() {
    let elements = |count| vec!["URI=a"; count].join(",");
    assert_eq!(of(&elements(16), hops(16)).unwrap().len(), 16);
    assert!(of(&elements(17), hops(1)).is_err());
    let objects = |count| format!("[{}]", vec!["{\"uri\":[\"a\"]}"; count].join(","));
    assert_eq!(of(&objects(16), hops(16)).unwrap().len(), 16);
    assert!(of(&objects(17), hops(1)).is_err());
    let names = |count| vec!["DNS=a"; count].join(";");
    assert_eq!(of(&names(128), hops(1)).unwrap()[0].dns_names.len(), 128);
    assert!(of(&names(129), hops(1)).is_err());
    assert_eq!(
        of(&"a".repeat(70_000), hops(1)),
        Err(BadPeer::TooLong(NAME))
    );
    let deep = "[".repeat(60_000);
    assert!(matches!(of(&deep, hops(1)), Err(BadPeer::Xfcc(_))));
    let chain = format!("Chain=\"{}\"", encoded(PEM).repeat(9));
    let name = "x-forwarded-client-cert Chain";
    assert_eq!(
        of(&chain, hops(1)),
        Err(BadPeer::Pem(name, BadPem::TooMany))
    );
}

#[test]
fn hash_certificate_and_chain_tell_of_one() {
    let hash = Digest::of(&[0, 1, 2]).to_hex();
    let (one, other) = (encoded(PEM), encoded(OTHER));
    let chain = |intermediates: usize| {
        Ok(Some(UnverifiedChain {
            leaf: vec![0, 1, 2],
            intermediates: vec![vec![3, 4, 5]; intermediates],
        }))
    };
    let json = |text: &str| text.replace('\n', "\\n");
    for (text, expected) in [
        ("URI=a".to_owned(), Ok(None)),
        (format!("Cert=\"{one}\""), chain(0)),
        (format!("Chain=\"{one}{other}\""), chain(1)),
        (
            format!("Hash={hash};Cert=\"{one}\";Chain=\"{one}{other}\""),
            chain(1),
        ),
        (
            format!(
                "[{{\"cert\":\"{}\",\"chain\":[\"{}\",\"{}\"]}}]",
                json(PEM),
                json(PEM),
                json(OTHER)
            ),
            chain(1),
        ),
        (format!("Cert=\"{other}\";Chain=\"{one}\""), Err(())),
        (format!("Hash={HASH};Cert=\"{one}\""), Err(())),
        (format!("Hash={HASH};Chain=\"{one}\""), Err(())),
    ] {
        let element = of(&text, hops(1)).unwrap().remove(0);
        let certificates = element.certificates().map_err(|bad| {
            assert!(matches!(bad, BadPeer::Disagree(_)));
        });
        assert_eq!(certificates, expected, "{text}");
    }
    assert_eq!(
        of(&format!("Cert=\"{one}{other}\""), hops(1)),
        Err(BadPeer::SeveralCertificates("x-forwarded-client-cert Cert"))
    );
}

#[test]
fn c2_envoys_own_element_agrees_with_the_principal() {
    let id = "spiffe://td/a";
    let cert = format!("Cert=\"{}\"", encoded(PEM));
    for (element, principal, agrees) in [
        ("URI=spiffe://td/a", id, true),
        ("URI=spiffe://td/a;URI=spiffe://td/b;DNS=x", id, true),
        ("URI=spiffe://td/b;URI=spiffe://td/a", id, false),
        ("URI=spiffe://td/A", id, false),
        ("URI=;DNS=x;Subject=\"CN=a\"", "x", true),
        ("URI=;DNS=x;Subject=\"CN=a\"", "CN=a", false),
        ("URI=;Subject=\"CN=a\"", "CN=a", true),
        ("URI=spiffe://td/a", "", false),
        (cert.as_str(), id, true),
        // What a certificate's own odd name can make of the last element.
        (
            "Subject=\"\";URI=spiffe://td/x,By=y;URI=spiffe://td/admin",
            "spiffe://td/x,By=y;URI=spiffe://td/admin",
            false,
        ),
        (
            "URI=spiffe://td/x,DNS=admin",
            "spiffe://td/x,DNS=admin",
            false,
        ),
        ("DNS=admin", id, false),
        ("Subject=\"CN=admin\"", id, false),
        (&format!("Hash={HASH}"), id, false),
    ] {
        let own = of(element, hops(1)).unwrap().pop().unwrap();
        assert_eq!(
            own.agree_with_principal(principal.as_bytes()).is_ok(),
            agrees,
            "{element}"
        );
    }
}

/// What a client sends before Envoy adds its own element.
fn forged() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("URI=spiffe://td/admin".to_owned()),
        Just("Subject=\"".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just(",".to_owned()),
        Just(";".to_owned()),
        Just("[{\"uri\":[\"".to_owned()),
        Just("\"]}]".to_owned()),
        Just("Cert=".to_owned()),
        any::<char>()
            .prop_filter("no header holds one", |c| !c.is_control())
            .prop_map(|c| c.to_string()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever stands before Envoy's own element, it is that element that counts, or nothing does.
    #[test]
    fn c2_what_a_client_sends_never_changes_envoys_element(forged in forged()) {
        let own = format!("By=spiffe://td/server;Hash={HASH};Subject=\"CN=x\\\\\";URI=spiffe://td/web;DNS=web");
        let alone = of(&own, hops(1)).unwrap();
        if let Ok(read) = of(&format!("{forged},{own}"), hops(1)) {
            assert_eq!(read, alone);
        }
        // Envoy puts its object before the last bracket.
        let object = "{\"by\":[\"spiffe://td/server\"],\"uri\":[\"spiffe://td/web\"]}";
        let alone = of(&format!("[{object}]"), hops(1)).unwrap();
        if let Ok(read) = of(&format!("[{forged},{object}]"), hops(1)) {
            assert_eq!(read, alone);
        }
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), forged in forged()) {
        let _ = parse(&bytes);
        let _ = parse(forged.as_bytes());
    }
}
