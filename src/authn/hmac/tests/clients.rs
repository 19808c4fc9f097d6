//! Requests that the programs of `docs/clients/own` sent, as a server received them.

use super::foreign::vectors;
use super::{Sent, rules};
use crate::verdict::Reason;

#[test]
fn accepts_what_the_published_clients_send() {
    let vectors = vectors(include_str!("clients.json"));
    assert!(vectors.len() >= 16, "{}", vectors.len());
    for (name, sent, vector) in vectors {
        let received: i64 = vector["received"].as_i64().unwrap();
        let accepted = sent.verify(&rules(), received);
        assert!(accepted.is_ok(), "{name}: {accepted:?}");
        let mut altered: Sent = sent.clone();
        altered.authority = "other.example".into();
        assert_eq!(
            altered.verify(&rules(), received).unwrap_err().reason,
            Reason::SignatureMismatch,
            "{name}"
        );
    }
}
