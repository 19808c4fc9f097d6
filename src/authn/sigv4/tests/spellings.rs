//! Which spellings of headers, queries and paths are one, and which are not.

use super::sample::{Sample, rules, signing};
use crate::authn::sigv4::Signing;
use crate::verdict::Reason;

#[test]
fn header_values_are_signed_trimmed_and_in_order() {
    let signing = Signing {
        signed_headers: &["x-many"],
        ..signing()
    };
    let signed = Sample::new("GET", "/", b"")
        .with("x-many", " a  b ")
        .with("x-many", "c")
        .signed_as(&signing);
    signed.passes();
    // As Envoy joins lines, or another client writes them.
    for values in [&["a b,c"][..], &["a b", "  c"], &["a\t b,c  "]] {
        let mut same = signed.clone().without("x-many");
        for value in values {
            same = same.with("x-many", value);
        }
        assert!(same.verify(&rules()).is_ok(), "{values:?}");
    }
    for values in [
        &["c,a b"][..],
        &["c", "a b"],
        &["a b, c"],
        &["a b"],
        &["ab,c"],
        &["A b,c"],
    ] {
        let mut other = signed.clone().without("x-many");
        for value in values {
            other = other.with("x-many", value);
        }
        other.refused(Reason::SignatureMismatch, "does not match");
    }
    signed
        .set("x-many", "a b,c\nx-other:d")
        .refused(Reason::SignatureComponentRefused, "control character");
}

#[test]
fn spellings_of_one_query_are_one_and_all_others_are_others() {
    let query = "b=%7E%20x&a=1&a=2&c&%C3%A9=%2Fy";
    let signed = Sample::new("GET", &format!("/?{query}"), b"").signed();
    for same in [
        "c=&%c3%a9=/y&a=2&b=~%20x&a=1",
        "b=%7e%20x&%61=1&a=2&c&é=%2fy",
    ] {
        let mut other = signed.clone();
        other.query = Some(same.into());
        assert!(other.verify(&rules()).is_ok(), "{same}");
    }
    for (different, word) in [
        (query.replace("%20", "+"), "a bare `+`"),
        (query.replace("%20", "%2B"), "another secret"),
        (query.replace("a=2", "a=3"), "another secret"),
        (query.replace("&a=2", ""), "another secret"),
        (query.replace("&a=2", "&A=2"), "another secret"),
        (query.replace("%2F", "%252F"), "another secret"),
        (query.replace("&c", ";c"), "a bare `;`"),
        (format!("{query}&"), "another secret"),
        (format!("{query}&d"), "another secret"),
        (String::new(), "another secret"),
    ] {
        let mut other = signed.clone();
        other.query = Some(different.clone().into_bytes());
        let refusal = other.verify(&rules()).unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureMismatch, "{different}");
        assert!(
            refusal.detail.contains(word),
            "{different}: {}",
            refusal.detail
        );
    }
    let mut broken = signed;
    broken.query = Some(b"a=%zz".to_vec());
    broken.refused(Reason::SignatureMalformed, "percent sign");
}

#[test]
fn the_path_is_signed_as_it_was_sent() {
    let signed = Sample::new("GET", "/a%20b/~c", b"").signed();
    for other in [
        "/a%2520b/~c",
        "/a b/~c",
        "/a%20b/%7Ec",
        "/a%20b//~c",
        "/a%20b/~c/",
        "/A%20b/~c",
        "/a+b/~c",
    ] {
        let mut altered = signed.clone();
        altered.path = other.into();
        altered.refused(Reason::SignatureMismatch, "does not match");
    }
    let mut doubled = signed;
    doubled.path = b"/a%20b//~c".to_vec();
    doubled.refused(Reason::SignatureMismatch, "empty segment");
}
