use crate::authn::http_signature::components::Derived;
use crate::authn::http_signature::rules::Required;

#[test]
fn reads_what_policies_require() {
    for (text, required) in [
        ("@method", Required::Derived(Derived::Method)),
        ("@target-uri", Required::Derived(Derived::TargetUri)),
        ("host", Required::Derived(Derived::Authority)),
        ("content-digest", Required::Field("content-digest".into())),
        (
            "\"@query-param\";name=\"a%20b\"",
            Required::QueryParameter("a%20b".into()),
        ),
    ] {
        assert_eq!(Required::parse(text), Ok(required.clone()), "{text}");
        assert_eq!(
            Required::parse(required.identifier().trim_matches('"')).is_ok(),
            !text.starts_with('"')
        );
    }
    for bad in [
        "",
        "Content-Type",
        "@status",
        "@signature-params",
        "@query-param",
        "@nonsense",
        "signature",
        "signature-input",
        "\"content-digest\";key=\"sha-256\"",
        "\"date\"",
        "\"@query-param\"",
        "\"@query-param\";name=a",
        "a b",
        ":path",
    ] {
        assert!(Required::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn identifiers_read_back() {
    let required = Required::QueryParameter("a\"b\\".into());
    assert_eq!(Required::parse(&required.identifier()), Ok(required));
}
