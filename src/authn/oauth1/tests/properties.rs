use proptest::collection::vec;
use proptest::prelude::*;

use crate::authn::oauth1::SignatureMethod;
use crate::authn::oauth1::tests::sample::{FORM, Sample, rules};
use crate::request::body::Body;

fn base() -> Sample {
    Sample::new("POST", "https://api.example.com/a/b?x=1&yy=2%20z&z=+")
        .body(FORM, "status=Hello&note=%C3%A9")
        .signed(SignatureMethod::HmacSha256, true)
}

fn accepted(sample: &Sample) -> bool {
    matches!(sample.read(), Ok(Some(_))) && sample.verify(&rules()).is_ok()
}

/// The parameters of query and form as somebody reads them who knows nothing of signatures, in the order that
/// the standard signs. Written anew, so as not to lean on the code that is tested.
fn meaning(sample: &Sample) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let body = match &sample.body {
        Body::Whole(body) => body.to_vec(),
        _ => return None,
    };
    let mut pairs = Vec::new();
    for text in [sample.query.clone().unwrap_or_default(), body] {
        for pair in text.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |&b| b == b'=');
            let half = |half: Option<&[u8]>| {
                let text = half.unwrap_or_default();
                crate::request::target::form_decode(text).into_owned()
            };
            pairs.push((half(halves.next()), half(halves.next())));
        }
    }
    pairs.sort();
    Some(pairs)
}

proptest! {
    #[test]
    fn a_changed_byte_of_query_or_form_verifies_only_if_it_means_the_same(
        in_body: bool, at in 0usize..64, byte: u8, insert: bool,
    ) {
        let good = base();
        let mut other = good.clone();
        let Body::Whole(body) = &good.body else { unreachable!() };
        let mut text = if in_body { body.to_vec() } else { good.query.clone().unwrap() };
        let at = at % text.len();
        if insert { text.insert(at, byte) } else { text[at] = byte }
        if in_body { other.body = Body::Whole(text.into()) } else { other.query = Some(text) }
        if accepted(&other) {
            prop_assert_eq!(meaning(&other), meaning(&good));
        }
    }

    #[test]
    fn a_changed_byte_of_the_path_never_verifies(at in 0usize..4, byte: u8, insert: bool) {
        let mut other = base();
        if insert { other.path.insert(at, byte) } else { other.path[at] = byte }
        prop_assume!(other.path != base().path);
        prop_assert!(!accepted(&other));
    }

    #[test]
    fn a_changed_byte_of_the_header_never_verifies(at in 0usize..1000, byte in 0x20u8..0x7f) {
        let good = base();
        let mut other = good.clone();
        let value = &mut other.headers.last_mut().unwrap().1;
        let at = at % value.len();
        value[at] = byte;
        if accepted(&other) {
            // The scheme's letters, white space, and a name's or an escape's own letters of either case
            // have two spellings; nothing else has.
            let fold = |sample: &Sample| {
                let value = sample.headers.last().unwrap().1.to_ascii_lowercase();
                String::from_utf8(value).unwrap().replace(' ', "")
            };
            prop_assert_eq!(fold(&other), fold(&good));
        }
    }

    #[test]
    fn random_bytes_never_panic_and_never_verify(
        line in vec(any::<u8>(), 0..200), query in vec(any::<u8>(), 0..100),
        body in vec(any::<u8>(), 0..100), kind in vec(any::<u8>(), 0..60),
    ) {
        let mut sample = Sample::new("POST", "https://api.example.com/");
        sample.headers.push(("authorization".to_owned(), [b"OAuth ", line.as_slice()].concat()));
        sample.headers.push(("content-type".to_owned(), kind));
        sample.query = Some(query);
        sample.body = Body::Whole(body.into());
        prop_assert!(!accepted(&sample));
    }

    #[test]
    fn random_parameters_never_panic(
        pairs in vec((prop::sample::select(crate::authn::oauth1::NAMES.to_vec()), "[ -~]{0,40}"), 0..12),
    ) {
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut sample = Sample::new("GET", "https://api.example.com/");
        sample.query = Some(query.join("&").into_bytes());
        prop_assert!(!accepted(&sample));
    }

    #[test]
    fn what_we_sign_we_accept(
        path in "/[a-zA-Z0-9/%.~_-]{0,20}", names in vec(("[a-z \u{e9}&=+%]{0,6}", "[ -~\u{2603}]{0,8}"), 0..6),
    ) {
        let encode = |text: &str| String::from_utf8(crate::authn::oauth1::encoding::encode(text.as_bytes())).unwrap();
        let query: Vec<String> = names.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let url = format!("https://api.example.com{path}?{}", query.join("&"));
        let sample = Sample::new("GET", &url).signed(SignatureMethod::HmacSha1, true);
        sample.verify(&rules()).unwrap();
    }
}
