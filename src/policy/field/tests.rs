use super::{FieldPath, NoField, PrincipalField, RequestField, Text, Who};
use crate::policy::expression::tests::{PARAMETERS, Scene, expression, one};

fn find(root: &str, names: &[&str]) -> Result<(FieldPath, usize), NoField> {
    FieldPath::find(root, names, PARAMETERS)
}

#[test]
fn takes_as_many_names_as_lead_to_a_value() {
    let claim = |names: &[&str]| {
        FieldPath::Claim(
            Who::Caller,
            names.iter().map(|name| (*name).to_owned()).collect(),
        )
    };
    let id = || FieldPath::Principal(Who::Caller, PrincipalField::Id);
    let of_mesh = || Who::Authenticator("mesh".to_owned());
    for (root, names, found) in [
        ("principal", &["id"][..], (id(), 1)),
        ("principal", &["id", "x"], (id(), 1)),
        ("principal", &["claims"], (claim(&[]), 1)),
        ("principal", &["claims", "a", "b"], (claim(&["a", "b"]), 3)),
        ("auth", &[], (FieldPath::Authenticators, 0)),
        (
            "auth",
            &["mesh", "subject"],
            (FieldPath::Principal(of_mesh(), PrincipalField::Subject), 2),
        ),
        (
            "auth",
            &["mesh", "claims", "a"],
            (FieldPath::Claim(of_mesh(), vec!["a".into()]), 3),
        ),
        (
            "request",
            &["size"],
            (FieldPath::Request(RequestField::Size), 1),
        ),
        ("request", &["headers"], (FieldPath::AllHeaders, 1)),
        (
            "request",
            &["headers", "x-a"],
            (FieldPath::Header("x-a".into()), 2),
        ),
        (
            "request",
            &["header_values", "x-a"],
            (FieldPath::HeaderValues("x-a".into()), 2),
        ),
        (
            "path",
            &["order_id"],
            (FieldPath::PathParameter("order_id".into()), 1),
        ),
        ("context", &[], (FieldPath::AllExtensions, 0)),
        (
            "context",
            &["a", "b"],
            (FieldPath::Extension("a".into()), 1),
        ),
    ] {
        assert_eq!(find(root, names), Ok(found), "{root} {names:?}");
    }
}

#[test]
fn says_what_is_no_field() {
    for (root, names, shown, help) in [
        (
            "user",
            &["id"][..],
            "there is no `user`",
            "expressions start with",
        ),
        (
            "principal",
            &[],
            "`principal` is not a single value",
            "name one of its fields",
        ),
        (
            "principal",
            &["nmae"],
            "`principal` has no field `nmae`",
            "it has id",
        ),
        (
            "principal",
            &["subjects"],
            "has no field `subjects`",
            "did you mean `subject`?",
        ),
        (
            "auth",
            &["mesh"],
            "`auth[\"mesh\"]` is not a single value",
            "name one of its fields",
        ),
        (
            "consumer",
            &["meta"],
            "has no field `meta`",
            "name, plan, environment, metadata",
        ),
        (
            "path",
            &["order"],
            "has no field `order`",
            "it has order_id",
        ),
        (
            "request",
            &["headers", "X-A"],
            "no request has a header `X-A`",
            "\"x-a\"",
        ),
    ] {
        let why = find(root, names).unwrap_err();
        assert!(why.to_string().contains(shown), "{why}");
        assert!(why.help().contains(help), "{why}: {}", why.help());
    }
    let nothing = FieldPath::find("path", &["id"], &[]).unwrap_err();
    assert!(
        nothing.help().contains("names no parameters"),
        "{}",
        nothing.help()
    );
}

#[test]
fn is_shown_as_it_is_written() {
    for text in [
        "principal.id",
        "principal.claims.a.b",
        "principal.claims[\"https://example.com/org id\"].name",
        "auth[\"mesh\"].expires_at",
        "consumer.metadata.tenant",
        "consumer.plan",
        "request.headers[\"x-tenant\"]",
        "request.header_values[\"x-many\"]",
        "path.order_id",
        "context.stage",
        "context[\"a b\"]",
        "peer.spiffe_id",
        "route.policy",
    ] {
        let expression = expression(text);
        let field = expression.fields().next().unwrap();
        assert_eq!(field.to_string(), text);
    }
}

#[test]
fn j10_reads_claims_whose_names_hold_dots_and_spaces() {
    let scene = Scene::claiming(&serde_json::json!({"https://example.com/org id": {"name": "o"}}));
    let text = "principal.claims[\"https://example.com/org id\"].name";
    assert_eq!(scene.text(text), one("o"));
}

#[test]
fn fields_are_texts_or_absent() {
    let scene = Scene::new();
    for (text, value) in [
        ("principal.scopes", one("orders:read orders:write")),
        ("principal.expires_at", one("1800003600")),
        ("principal.roles", Text::Many(Vec::new())),
        ("request.size", one("120")),
        ("request.time", one("1800000000")),
        ("request.client_ip", one("203.0.113.9")),
        ("consumer.plan", one("gold")),
        ("peer.dns_names", Text::Many(vec!["a.example.com".into()])),
        ("peer.fingerprint", Text::Absent),
        ("auth[\"key\"].subject", one("robots")),
        ("auth[\"mesh\"].subject", Text::Absent),
        (
            "principal.claims.groups",
            Text::Many(vec!["staff".into(), "billing".into()]),
        ),
        (
            "principal.claims.mixed",
            Text::Many(vec!["a".into(), "1".into(), "true".into()]),
        ),
        ("principal.claims.none", Text::Absent),
        ("principal.claims.org", Text::Structured),
    ] {
        assert_eq!(scene.text(text), value, "{text}");
    }
    let nobody = Scene::anonymous();
    for text in [
        "principal.id",
        "principal.scopes",
        "principal.claims.a",
        "consumer.name",
        "consumer.plan",
        "peer.spiffe_id",
    ] {
        assert_eq!(nobody.text(text), Text::Absent, "{text}");
    }
}

#[test]
fn of_an_extension_that_stands_twice_the_last_one_counts() {
    let mut check = crate::test_support::raw("GET", "/", &[]);
    check.context_extensions = vec![("a".into(), "1".into()), ("a".into(), "2".into())];
    let scene = Scene::of(check);
    assert_eq!(scene.text("context.a"), one("2"));
    assert_eq!(scene.text("[context][0].a"), one("2"));
}
