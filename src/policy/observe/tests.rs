use super::shown::names_a_secret;
use super::{Notes, Observe as _, Unobserved};
use crate::policy::field::FieldPath;
use crate::test_support::table;

#[test]
fn who_serves_carries_nothing() {
    assert_eq!(size_of::<Unobserved>(), 0);
    let mut made = false;
    Unobserved.note(|| {
        made = true;
        super::event::Event::PlacesRead
    });
    assert!(!made);
}

#[test]
fn names_of_headers_say_that_a_secret_stands_in_them() {
    for name in [
        "authorization",
        "Proxy_Authorization",
        "cookie",
        "x-api-key",
        "X-ApiKey",
        "x-csrf-token",
        "x-shared-secret",
        "x-password",
        "x-session-id",
        "x-hub-signature-256",
        "x-forwarded-client-cert",
        "x-user-pin",
    ] {
        assert!(names_a_secret(name), "{name}");
    }
    for name in ["x-tenant", "accept", "user-agent", "x-request-id", "host"] {
        assert!(!names_a_secret(name), "{name}");
    }
}

#[test]
fn hides_what_any_authenticator_reads_and_the_query() {
    let table = table(
        "authenticators: {keys: {api_key: {from: [{header: x-partner}]}}}
policies: {p: {hosts: ['*'], public: true, routes: [{path: /}]}}",
    );
    let notes = Notes::new(table.authenticators.iter().map(AsRef::as_ref));
    for (root, names, hidden) in [
        ("request", &["headers", "x-partner"][..], true),
        ("request", &["header_values", "x-partner"], true),
        ("request", &["headers", "authorization"], true),
        ("request", &["headers"], true),
        ("request", &["header_values"], true),
        ("request", &["query"], true),
        ("request", &["headers", "x-tenant"], false),
        ("request", &["path"], false),
        ("principal", &["claims", "tenant"], false),
    ] {
        let (field, _) = FieldPath::find(root, names, &[]).unwrap();
        assert_eq!((&notes).hides(&field), hidden, "{field}");
        assert!(Unobserved.hides(&field));
    }
}
