//! What holds for every request.

use proptest::prelude::{Strategy, any};
use proptest::{collection::vec, prop_assert, prop_assume, proptest, sample::select};

use super::{Call, NOW, every_scheme, rules};
use crate::authn::webhook::Scheme;

fn index() -> impl Strategy<Value = usize> {
    0..every_scheme().len()
}

proptest! {
    #[test]
    fn an_altered_body_never_verifies(
        index in index(),
        body in vec(any::<u8>(), 1..200),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (scheme, secret, _) = every_scheme().swap_remove(index);
        let rules = rules(scheme.clone(), &[secret]);
        let call = Call::post(body.clone()).signed(&scheme, secret);
        prop_assert!(call.verify(&rules).is_ok());
        let mut altered = body.clone();
        let at = at.index(body.len());
        altered[at] = byte;
        prop_assume!(altered != body);
        prop_assert!(call.clone().body(altered).verify(&rules).is_err());
        prop_assert!(call.clone().body([&body[..], &[byte]].concat()).verify(&rules).is_err());
        prop_assert!(call.body(&body[1..]).verify(&rules).is_err());
    }

    #[test]
    fn an_altered_header_of_the_scheme_never_verifies_as_another_message(
        index in index(),
        which in any::<proptest::sample::Index>(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (scheme, secret, _) = every_scheme().swap_remove(index);
        let rules = rules(scheme.clone(), &[secret]);
        let call = Call::post("{}").signed(&scheme, secret);
        let once = call.verify(&rules).unwrap().once;
        let mut altered = call;
        let which = which.index(altered.headers.len());
        let value = &mut altered.headers[which].1;
        let at = at.index(value.len());
        value[at] = byte;
        if let Ok(accepted) = altered.verify(&rules) {
            // Another spelling of a hexadecimal digit, of the same message.
            prop_assert!(accepted.once == once);
        }
    }

    #[test]
    fn random_headers_and_bodies_never_verify_and_never_panic(
        index in index(),
        values in vec(vec(any::<u8>(), 0..80), 8),
        body in vec(any::<u8>(), 0..80),
    ) {
        let (scheme, secret, _) = every_scheme().swap_remove(index);
        let rules = rules(scheme.clone(), &[secret]);
        let mut call = Call::post(body);
        for (name, value) in scheme.headers().into_iter().zip(values) {
            call = call.with(name, value);
        }
        prop_assert!(call.verify(&rules).is_err());
    }

    #[test]
    fn pieces_of_signatures_never_verify_and_never_panic(
        index in index(),
        pieces in vec(select(vec![
            "t=1796126400", "t=", "v1=", "v0=", "v1,", "v1a,", ",", " ", "=", ".", "sha256=",
            "00000000000000000000000000000000", "AAAAAAAAAAAAAAAAAAAA", "!", "\u{e9}", "\0",
        ]), 0..12),
        others in vec(select(vec!["1796126400", "msg_1", "", "key=,algorithm=HMAC_SHA256"]), 8),
    ) {
        let (scheme, secret, _) = every_scheme().swap_remove(index);
        let rules = rules(scheme.clone(), &[secret]);
        let mut call = Call::post("a=b").with("content-type", "application/x-www-form-urlencoded");
        let signature = pieces.concat();
        for (index, name) in scheme.headers().into_iter().enumerate() {
            let value = if index == 0 { signature.as_str() } else { others[index] };
            call = call.with(name, value);
        }
        prop_assert!(call.verify(&rules).is_err());
    }

    #[test]
    fn twilio_covers_address_and_parameters(
        pairs in vec(("[a-z]{1,4}", "[a-z0-9 +&=%]{0,6}"), 1..6),
        value in "[a-z]{1,8}",
        at in any::<proptest::sample::Index>(),
    ) {
        let write = |pairs: &[(String, String)]| {
            let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={}", escape(v))).collect();
            pairs.join("&")
        };
        let (scheme, secret) = (Scheme::Twilio, super::SECRET);
        let rules = rules(scheme.clone(), &[secret]);
        let call = Call::post(write(&pairs))
            .with("content-type", "application/x-www-form-urlencoded")
            .signed(&scheme, secret);
        prop_assert!(call.verify(&rules).is_ok());
        let mut altered = pairs.clone();
        let at = at.index(pairs.len());
        // Longer than all that can be moved about.
        altered[at].1 = format!("{}{value}", pairs[at].1);
        prop_assume!(call.signed_text(&rules).len() != call.clone().body(write(&altered)).signed_text(&rules).len());
        prop_assert!(call.clone().body(write(&altered)).verify(&rules).is_err());
        let mut elsewhere = call;
        elsewhere.path.extend(value.bytes());
        prop_assert!(elsewhere.verify(&rules).is_err());
    }

    #[test]
    fn a_custom_text_reads_in_one_way(
        path in "/[a-c:.]{0,6}",
        body in "[a-c:.0-9]{0,8}",
        id in "[a-c:]{1,6}",
        other_path in "/[a-c:.]{0,6}",
        other_body in "[a-c:.0-9]{0,8}",
        other_id in "[a-c:]{1,6}",
    ) {
        use crate::authn::webhook::custom::{TimeFormat, TimePlace};
        let scheme = super::custom(|written| {
            written.template = "{path}.{id}::{timestamp}:{body}".into();
            written.id = Some("x-id".into());
            written.timestamp = Some((TimePlace::Header("x-time".into()), TimeFormat::Seconds));
        });
        let rules = rules(scheme, &[super::SECRET]);
        let call = |path: &str, id: &str, body: &str| {
            let mut call = Call::post(body)
                .with("x-signature", "0".repeat(64))
                .with("x-id", id)
                .with("x-time", NOW.to_string());
            call.path = path.into();
            call.judge(|message| crate::authn::webhook::signed_text(message, &rules))
        };
        let one = call(&path, &id, &body);
        let two = call(&other_path, &other_id, &other_body);
        if let (Ok(one), Ok(two)) = (one, two) {
            let same = (path, id, body) == (other_path, other_id, other_body);
            prop_assert!((one == two) == same);
        }
    }
}
