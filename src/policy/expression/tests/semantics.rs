//! What expressions mean, and where that departs from the interpreter's own ways.

use serde_json::json;

use super::{Scene, condition, key_caller, one};
use crate::policy::expression::Outcome;
use crate::policy::field::Text;
use crate::test_support::{raw, raw_bytes};

fn check(scene: &Scene, cases: &[(&str, bool)]) {
    for (text, holds) in cases {
        let outcome = if *holds {
            Outcome::True
        } else {
            Outcome::False
        };
        assert_eq!(scene.judge(text), outcome, "{text}");
    }
}

fn undecided(scene: &Scene, cases: &[(&str, &str)]) {
    for (text, part) in cases {
        match scene.judge(text) {
            Outcome::Undecided(why) => assert!(why.contains(part), "{text}: {why}"),
            outcome => panic!("{text}: {outcome:?}"),
        }
    }
}

#[test]
fn every_root_has_its_fields() {
    check(
        &Scene::new(),
        &[
            ("request.method == 'GET'", true),
            ("request.scheme == 'https'", true),
            ("request.host == 'api.example.com'", true),
            ("request.path == '/orders/42'", true),
            ("request.query == 'page=2&q=a%20b'", true),
            ("request.client_ip == '203.0.113.9'", true),
            ("request.size == 120", true),
            ("request.time == timestamp('2027-01-15T08:00:00Z')", true),
            ("request.headers['x-tenant'] == 'acme'", true),
            ("request.header_values['x-many'] == ['1', '2']", true),
            ("path.order_id == '42'", true),
            ("path['order_id'] == '42'", true),
            ("principal.id == 'login:alice'", true),
            ("principal.subject == 'alice'", true),
            ("principal.kind == 'jwt'", true),
            ("principal.authenticator == 'login'", true),
            ("principal.scopes == ['orders:read', 'orders:write']", true),
            ("principal.roles == []", true),
            ("principal.credential_id == 't-1'", true),
            ("principal.environment == consumer.environment", true),
            (
                "principal.expires_at - request.time == duration('1h')",
                true,
            ),
            ("principal.claims.org.id == 'o-1'", true),
            ("principal.claims['org']['a b'] == 'spaced'", true),
            ("auth['login'].subject == principal.subject", true),
            ("auth.key.subject == 'robots'", true),
            ("auth['key'].scopes == ['ping', 'orders:*']", true),
            ("'key' in auth && !('mesh' in auth)", true),
            ("consumer.name == 'acme' && consumer.plan == 'gold'", true),
            ("consumer.metadata.tier == 2", true),
            ("'eu' in consumer.metadata.regions", true),
            ("peer.spiffe_id == 'spiffe://example.com/a'", true),
            ("peer.dns_names == ['a.example.com']", true),
            ("peer.subject == 'CN=a'", true),
            (
                "context.stage == 'blue' && context['a b'] == 'spaced'",
                true,
            ),
            (
                "route.policy == 'orders' && route.path == '/orders/{order_id}'",
                true,
            ),
        ],
    );
}

#[test]
fn a_missing_value_is_an_error_and_has_asks_for_it() {
    let scene = Scene::new();
    undecided(
        &scene,
        &[
            (
                "principal.claims.nobody == 'x'",
                "`principal.claims.nobody` is absent",
            ),
            ("principal.claims.nobody != 'x'", "is absent"),
            ("!(principal.claims.nobody == 'x')", "is absent"),
            (
                "principal.claims.org.none.id == 'x'",
                "`principal.claims.org.none.id` is absent",
            ),
            ("request.headers['x-none'] == 'x'", "is absent"),
            ("context.none == 'x'", "is absent"),
            ("peer.fingerprint == 'x'", "`peer.fingerprint` is absent"),
            ("auth['mesh'].id == 'x'", "`auth[\"mesh\"].id` is absent"),
            (
                "has(principal.claims.nobody.id)",
                "asked of something that is absent",
            ),
            ("has(principal.claims.tenant.id)", "has no fields"),
            ("principal.claims.groups[7] == 'x'", "no element"),
            ("principal.claims[request.method] == 'x'", "key is missing"),
        ],
    );
    check(
        &scene,
        &[
            ("has(principal.claims.tenant)", true),
            ("has(principal.claims.none)", true),
            ("principal.claims.none == null", true),
            ("has(principal.claims.nobody)", false),
            ("has(principal.claims.org.id)", true),
            ("has(principal.claims.org.name)", false),
            ("has(consumer.metadata.tenant)", true),
            ("has(consumer.metadata.none)", false),
            ("has(peer.fingerprint)", false),
            ("has(auth.mesh.id)", false),
            ("has(request.headers.host)", false),
            ("'x-tenant' in request.headers", true),
            ("'x-none' in request.headers", false),
            ("'tenant' in principal.claims", true),
            ("'stage' in context", true),
            (
                "has(principal.claims.nobody) && principal.claims.nobody == 'x'",
                false,
            ),
        ],
    );
}

#[test]
fn where_nobody_is_known_there_is_nothing_and_no_error_in_asking() {
    let scene = Scene::anonymous();
    check(
        &scene,
        &[
            ("has(principal.id)", false),
            ("has(principal.claims.a)", false),
            ("has(principal.claims.a.b)", false),
            ("has(consumer.name)", false),
            ("has(consumer.metadata.a)", false),
            ("has(peer.subject)", false),
            ("'login' in auth", false),
            ("!has(principal.id) || principal.kind == 'jwt'", true),
        ],
    );
    undecided(
        &scene,
        &[
            ("principal.id != 'x'", "`principal.id` is absent"),
            ("'a' in principal.claims", "`principal.claims` is absent"),
            ("'a' in principal.scopes", "`principal.scopes` is absent"),
        ],
    );
}

#[test]
fn a_repeated_header_is_an_error_and_its_values_are_a_list() {
    let scene = Scene::new();
    undecided(
        &scene,
        &[
            ("request.headers['x-many'] == '1'", "stands more than once"),
            ("request.headers['x-many'] != '3'", "stands more than once"),
            (
                "request.headers.exists(n, request.headers[n] == 'none')",
                "is repeated",
            ),
            (
                "{'n': 'x-many'}.exists(k, request.headers[{'n': 'x-many'}[k]] == '1')",
                "is repeated",
            ),
        ],
    );
    check(
        &scene,
        &[
            ("'x-many' in request.headers", true),
            ("has(request.headers.x)", false),
            ("'2' in request.header_values['x-many']", true),
            ("request.header_values['x-tenant'] == ['acme']", true),
            ("has(request.header_values.none)", false),
            (
                "request.header_values.exists(n, size(request.header_values[n]) == 2)",
                true,
            ),
            ("request.headers.exists_one(n, n.startsWith('x-m'))", true),
            ("size(request.header_values) == 4", true),
        ],
    );
    assert_eq!(
        scene.text("request.headers['x-many']"),
        Text::Failed("`request.headers[\"x-many\"]` stands more than once in the request".into())
    );
    assert_eq!(scene.text("request.headers['x-none']"), Text::Absent);
    let bad = Scene::of(raw_bytes("GET", b"/", &[("x-tenant", b"\xff")]));
    undecided(
        &bad,
        &[
            ("request.headers['x-tenant'] != 'a'", "no UTF-8"),
            (
                "request.headers.exists(n, request.headers[n] == 'a')",
                "no UTF-8",
            ),
            ("request.header_values['x-tenant'] != ['a']", "no UTF-8"),
            (
                "request.header_values.exists(n, n == 'a')",
                "can't be compared",
            ),
        ],
    );
}

#[test]
fn a_size_that_is_no_number_is_an_error() {
    for (lines, part) in [
        (vec![("content-length", &b"1,2"[..])], "can't be read"),
        (vec![("content-length", b"-1")], "can't be read"),
        (vec![("content-length", b"+1")], "can't be read"),
        (
            vec![("content-length", b"99999999999999999999")],
            "can't be read",
        ),
        (
            vec![("content-length", b"1"), ("content-length", b"2")],
            "repeated",
        ),
        (vec![], "is absent"),
    ] {
        let scene = Scene::of(raw_bytes("GET", b"/", &lines));
        undecided(&scene, &[("request.size < 10", part)]);
    }
}

#[test]
fn errors_are_absorbed_by_the_side_that_decides() {
    let scene = Scene::new();
    let error = "principal.claims.nobody == 'x'";
    let (yes, no) = ("request.method == 'GET'", "request.method == 'PUT'");
    let text = |shape: &str| {
        let shape = shape.replace('E', error);
        shape.replace('T', yes).replace('F', no)
    };
    for shape in ["E || T", "T || E", "F || E || T", "!(E && F)", "!(F && E)"] {
        assert_eq!(scene.judge(&text(shape)), Outcome::True, "{shape}");
    }
    for shape in ["E && F", "F && E", "!(E || T)", "T && (E && F)"] {
        assert_eq!(scene.judge(&text(shape)), Outcome::False, "{shape}");
    }
    for shape in [
        "E",
        "!(E)",
        "E || F",
        "F || E",
        "E && T",
        "T && E",
        "E || E",
        "E && E",
        "(E) ? T : T",
        "(T) ? (E) : (T)",
    ] {
        let outcome = scene.judge(&text(shape));
        assert!(
            matches!(outcome, Outcome::Undecided(_)),
            "{shape}: {outcome:?}"
        );
    }
    check(
        &scene,
        &[
            (
                "['x', 'acme'].exists(t, principal.claims[t] == 'x' || t == 'acme')",
                true,
            ),
            (
                "['x', 'acme'].all(t, principal.claims[t] == 'x' && t != 'acme')",
                false,
            ),
        ],
    );
    undecided(
        &scene,
        &[
            (
                "['x', 'y'].exists(t, principal.claims[t] == 'x')",
                "missing",
            ),
            ("['x', 'y'].all(t, principal.claims[t] == 'x')", "missing"),
        ],
    );
}

#[test]
fn what_is_no_bool_is_undecided() {
    let scene = Scene::new();
    undecided(
        &scene,
        &[
            ("principal.claims.tenant", "no bool"),
            ("principal.claims.level", "no bool"),
            ("principal.claims.none", "no bool"),
            ("principal.claims.groups", "no bool"),
            ("principal.claims.org", "no bool"),
            ("!principal.claims.level", "`!_`"),
            (
                "principal.claims.level && request.method == 'GET'",
                "`_&&_`",
            ),
            ("principal.claims.tenant ? true : true", "bool"),
            (
                "request.method == 'GET' ? principal.claims.level : false",
                "no bool",
            ),
        ],
    );
    check(
        &scene,
        &[
            ("principal.claims.admin", true),
            ("!principal.claims.admin", false),
        ],
    );
}

#[test]
fn numbers_are_compared_as_numbers_or_not_at_all() {
    let scene = Scene::claiming(&json!({
        "level": 3, "float": 3.0, "share": 0.5, "big": 18_446_744_073_709_551_615_u64,
        "exact": 9_007_199_254_740_992_i64, "next": 9_007_199_254_740_993_i64, "huge": 1e300, "text": "3",
        "list": [1, 1e300],
    }));
    check(
        &scene,
        &[
            (
                "principal.claims.level == 3 && principal.claims.level == 3u",
                true,
            ),
            (
                "principal.claims.level == 3.0 && principal.claims.float == 3",
                true,
            ),
            ("principal.claims.float == principal.claims.level", true),
            (
                "principal.claims.share < 1 && principal.claims.share > 0u",
                true,
            ),
            (
                "principal.claims.big > 3 && principal.claims.big == 18446744073709551615u",
                true,
            ),
            ("principal.claims.next == 9007199254740993", true),
            ("principal.claims.next == principal.claims.exact", false),
            // A text is no number, and equals none.
            ("principal.claims.text == 3", false),
            ("principal.claims.text != 3", true),
            ("int(principal.claims.text) == 3", true),
            ("principal.claims.level in [1, 2, 3]", true),
            ("principal.claims.level in ['3']", false),
        ],
    );
    undecided(
        &scene,
        &[
            // The interpreter would compare by doubles, where 2^53 and 2^53 + 1 are one.
            ("principal.claims.huge == 3", "can't be compared exactly"),
            ("principal.claims.huge != 3", "can't be compared exactly"),
            ("1 in principal.claims.list", "can't be compared exactly"),
            ("principal.claims.text < 4", "`_<_`"),
            (
                "principal.claims.level + principal.claims.text == 6",
                "operator",
            ),
            ("principal.claims.level / 0 == 1", "division by zero"),
            ("principal.claims.level % 0 == 1", "division by zero"),
            ("principal.claims.next * 9007199254740993 > 1", "too large"),
            ("int(principal.claims.big) > 1", "can't read"),
            ("int('a' + principal.claims.text) == 1", "can't read"),
        ],
    );
}

#[test]
fn times_are_timestamps_in_utc() {
    check(
        &Scene::new(),
        &[
            ("request.time < principal.expires_at", true),
            (
                "request.time + duration('1h') == principal.expires_at",
                true,
            ),
            ("request.time.getFullYear() == 2027", true),
            (
                "request.time.getMonth() == 0 && request.time.getDate() == 15",
                true,
            ),
            ("request.time.getDayOfWeek() == 5", true),
            ("request.time.getHours() == 8", true),
            ("request.time.getHours('Europe/Berlin') == 9", true),
            ("request.time.getHours('-05:00') == 3", true),
            ("int(request.time) == 1800000000", true),
            ("timestamp(1800000000) == request.time", true),
            (
                "(principal.expires_at - request.time).getMinutes() == 60",
                true,
            ),
            // An offset is another way to write a moment, not another moment.
            (
                "timestamp('2027-01-15T10:00:00+02:00') == request.time",
                true,
            ),
            (
                "timestamp('2027-01-15T10:00:00+02:00').getHours() == 8",
                true,
            ),
        ],
    );
}

#[test]
fn addresses_are_found_in_ranges() {
    for (address, text, holds) in [
        (
            "203.0.113.9",
            "in_cidr(request.client_ip, '203.0.113.0/24')",
            true,
        ),
        (
            "203.0.114.9",
            "in_cidr(request.client_ip, '203.0.113.0/24')",
            false,
        ),
        (
            "203.0.113.9",
            "in_cidr(request.client_ip, '203.0.113.9')",
            true,
        ),
        (
            "::ffff:203.0.113.9",
            "in_cidr(request.client_ip, '203.0.113.0/24')",
            true,
        ),
        (
            "2001:db8::1",
            "in_cidr(request.client_ip, '2001:db8::/32')",
            true,
        ),
        (
            "2001:db9::1",
            "in_cidr(request.client_ip, '2001:db8::/32')",
            false,
        ),
        (
            "2001:db8::1",
            "in_cidr(request.client_ip, '0.0.0.0/0')",
            false,
        ),
        ("203.0.113.9", "in_cidr(request.client_ip, '::/0')", false),
    ] {
        check(&Scene::at(address), &[(text, holds)]);
    }
    let nowhere = Scene::at("");
    check(&nowhere, &[("has(request.client_ip)", false)]);
    let asked = "in_cidr(request.client_ip, '0.0.0.0/0')";
    undecided(&nowhere, &[(asked, "`request.client_ip` is absent")]);
    for value in ["", "203.0.113.9:80", "/var/run/envoy.sock", "203.0.113.09"] {
        let scene = Scene::of(raw("GET", "/", &[("x-from", value)]));
        undecided(
            &scene,
            &[(
                "in_cidr(request.headers['x-from'], '0.0.0.0/0')",
                "no address",
            )],
        );
    }
}

#[test]
fn a_wildcard_covers_the_scopes_that_are_asked_for() {
    let mut scene = Scene::new();
    scene.caller = Some(key_caller());
    check(
        &scene,
        &[
            ("'orders:read' in principal.scopes", true),
            ("'orders:read:all' in principal.scopes", true),
            ("'ping' in auth.key.scopes", true),
            ("'invoices:read' in principal.scopes", false),
            ("!('orders:write' in principal.scopes)", false),
            ("principal.scopes.exists(s, s == 'orders:*')", true),
            ("'a' in principal.claims", false),
        ],
    );
}

#[test]
fn texts_have_their_functions() {
    check(
        &Scene::new(),
        &[
            ("request.path.startsWith('/orders/')", true),
            ("request.path.endsWith('/42')", true),
            ("request.path.contains('ders')", true),
            ("request.path.matches('^/orders/[0-9]+$')", true),
            ("matches(request.path, '^/[0-9]+$')", false),
            (
                "principal.claims.email.lowerAscii() == 'ann@example.com'",
                true,
            ),
            (
                "size(path.order_id) == 2 && path.order_id.size() == 2",
                true,
            ),
            ("size(principal.claims.groups) == 2", true),
            ("size(principal.claims.org) == 3", true),
            ("'tenant-' + principal.claims.tenant == 'tenant-acme'", true),
            ("string(principal.claims.level) == '3'", true),
            ("double(principal.claims.level) == 3.0", true),
            ("uint(principal.claims.level) == 3u", true),
        ],
    );
}

#[test]
fn macros_walk_lists_and_the_keys_of_maps() {
    let scene = Scene::new();
    check(
        &scene,
        &[
            ("principal.claims.groups.exists(g, g == 'billing')", true),
            ("principal.claims.groups.all(g, g.size() > 3)", true),
            (
                "principal.claims.groups.exists_one(g, g.startsWith('s'))",
                true,
            ),
            ("principal.claims.org.exists(k, k == 'id')", true),
            ("principal.claims.objects.exists(o, o.k == 'v')", true),
            ("principal.claims.objects.exists(o, has(o.none))", false),
            ("principal.claims.empty.all(g, g == 'x')", true),
            ("principal.claims.empty.exists(g, g == 'x')", false),
        ],
    );
    undecided(
        &scene,
        &[
            (
                "principal.claims.tenant.exists(g, g == 'x')",
                "can't be applied to string",
            ),
            (
                "principal.claims.level.exists(g, g == 'x')",
                "can't be applied to int",
            ),
        ],
    );
    assert_eq!(
        scene.text("principal.scopes.map(s, s + '!')"),
        Text::Many(vec!["orders:read!".into(), "orders:write!".into()])
    );
    assert_eq!(
        scene.text("principal.claims.numbers.filter(n, n > 1)"),
        Text::Many(vec!["2".into(), "3".into()])
    );
}

#[test]
fn a_value_becomes_the_text_of_a_header() {
    let scene = Scene::new();
    for (text, sent) in [
        ("'fixed'", one("fixed")),
        (
            "principal.claims.tenant + '/' + path.order_id",
            one("acme/42"),
        ),
        ("has(principal.claims.admin) ? 'yes' : 'no'", one("yes")),
        ("1 + 2", one("3")),
        ("3u", one("3")),
        ("-1", one("-1")),
        ("0.5", one("0.5")),
        ("1.0 + 2.0", one("3.0")),
        ("true", one("true")),
        ("principal.claims.big", one("18446744073709551615")),
        ("principal.expires_at", one("1800003600")),
        ("principal.expires_at + duration('1s')", one("1800003601")),
        ("string(request.time)", one("2027-01-15T08:00:00Z")),
        (
            "['a', 'b'] + ['c']",
            Text::Many(vec!["a".into(), "b".into(), "c".into()]),
        ),
        ("principal.claims.none", Text::Absent),
        ("principal.claims.nobody", Text::Absent),
        (
            "principal.claims.admin ? principal.claims.none : 'x'",
            Text::Absent,
        ),
        ("principal.claims.org", Text::Structured),
        ("principal.claims.objects", Text::Structured),
        ("principal.claims.objects[0]", Text::Structured),
        (
            "'t-' + principal.claims.nobody",
            Text::Failed("`principal.claims.nobody` is absent".into()),
        ),
    ] {
        assert_eq!(scene.text(text), sent, "{text}");
    }
}

#[test]
fn what_can_only_end_in_one_way_is_known() {
    for (text, constant) in [
        ("true", Some(true)),
        ("1 == 2", Some(false)),
        ("'a' in ['a']", Some(true)),
        ("'abc'.matches('b')", Some(true)),
        ("true || request.method == 'GET'", Some(true)),
        ("request.method == 'GET' || !false", Some(true)),
        ("request.method == 'GET' && 1 > 2", Some(false)),
        ("!(request.method == 'GET' && false)", Some(true)),
        ("true ? request.method == 'GET' : false", None),
        ("false ? request.method == 'GET' : false", Some(false)),
        ("request.method == 'GET'", None),
        ("request.method == 'GET' || false", None),
        ("request.time > timestamp('2026-01-01T00:00:00Z')", None),
    ] {
        assert_eq!(condition(text).constant(), constant, "{text}");
    }
}

#[test]
fn says_what_it_reads() {
    for (text, needs) in [
        ("request.method == 'GET'", false),
        ("'key' in auth", true),
        ("principal.id == 'x'", true),
        ("has(consumer.name)", true),
        ("'a' in principal.scopes", true),
        ("peer.subject == 'x'", false),
    ] {
        assert_eq!(condition(text).needs_principal(), needs, "{text}");
    }
    for (text, reads) in [
        ("path.order_id", true),
        ("'o-' + path.order_id", true),
        ("principal.id", false),
        ("'fixed'", false),
    ] {
        assert_eq!(
            super::expression(text).reads_path_parameters(),
            reads,
            "{text}"
        );
    }
}

#[test]
fn what_is_undecided_tells_no_values() {
    let scene = Scene::claiming(&json!({"secret": "hunter2", "n": 4_711}));
    for text in [
        "principal.claims.secret < 4",
        "principal.claims.secret + 4 == 'x'",
        "principal.claims.secret",
        "timestamp(principal.claims.secret) > request.time",
        "duration(principal.claims.secret) > duration('1s')",
        "int(principal.claims.secret) > 1",
        "request.time.getHours(principal.claims.secret) > 1",
        "{'a': true}[principal.claims.secret]",
        "[true][principal.claims.n]",
        "principal.claims.n / 0 > 1",
        "-principal.claims.secret == 1",
        "in_cidr(principal.claims.secret, '10.0.0.0/8')",
        "principal.claims[principal.claims.secret] == 1",
        "principal.claims.secret.matches('x') && principal.claims.n.matches('x')",
    ] {
        match scene.judge(text) {
            Outcome::Undecided(why) => {
                assert!(!why.contains("hunter2") && !why.contains("4711"), "{why}");
            }
            // Decided by another side.
            outcome => assert_eq!(outcome, Outcome::False, "{text}"),
        }
    }
}
