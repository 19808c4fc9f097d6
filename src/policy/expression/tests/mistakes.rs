//! What is refused at load, and in which words.

use super::PARAMETERS;
use crate::policy::expression::{BadExpression, Condition, Expression, Position};

fn refused(text: &str) -> BadExpression {
    match Condition::parse(text, PARAMETERS) {
        Err(why) => why,
        Ok(_) => panic!("{text} was taken"),
    }
}

#[test]
fn each_mistake_has_its_message() {
    for (text, message) in [
        ("", "can't be read"),
        ("request.method ==", "can't be read"),
        ("request.method = 'GET'", "can't be read"),
        ("request.method == 'GET' request.path", "can't be read"),
        ("(request.method == 'GET'", "can't be read"),
        ("request.?method == 'GET'", "unsupported syntax"),
        ("has(request.headers['x'])", "invalid argument to has()"),
        ("user.id == 'x'", "there is no `user`"),
        ("size == 1", "there is no `size`"),
        (".request.method == 'x'", "there is no `.request`"),
        ("principal == 'x'", "`principal` is not a single value"),
        ("auth['a'] == 'x'", "`auth[\"a\"]` is not a single value"),
        ("auth == ['x']", "`auth` is not a single value"),
        (
            "request.headers == {'a': 'b'}",
            "`request.headers` is not a single value",
        ),
        (
            "[request.headers] == []",
            "`request.headers` is not a single value",
        ),
        ("principal.nmae == 'x'", "`principal` has no field `nmae`"),
        (
            "auth.mesh.nmae == 'x'",
            "`auth[\"mesh\"]` has no field `nmae`",
        ),
        ("consumer.id == 'x'", "`consumer` has no field `id`"),
        ("request.body == 'x'", "`request` has no field `body`"),
        ("peer.name == 'x'", "`peer` has no field `name`"),
        ("route.x == 'x'", "`route` has no field `x`"),
        ("path.orders_id == 'x'", "`path` has no field `orders_id`"),
        ("principal.id.x == 'x'", "a string has no field `x`"),
        ("has(principal.id.x)", "a string has no field `x`"),
        ("has(principal.nmae)", "`principal` has no field `nmae`"),
        (
            "request.headers['X-Tenant'] == 'x'",
            "no request has a header `X-Tenant`",
        ),
        ("request.headers[':path'] == 'x'", "letters, digits"),
        ("request.method()", "there is no function `method`"),
        (
            "starts_with(request.path, '/')",
            "there is no function `starts_with`",
        ),
        (
            "request.path.startWith('/')",
            "there is no function `startWith`",
        ),
        (
            "startsWith(request.path, '/')",
            "`startsWith` is written behind a value and a dot",
        ),
        (
            "request.client_ip.in_cidr('10.0.0.0/8')",
            "`in_cidr` is written without a value and a dot",
        ),
        (
            "request.path.startsWith('/', 1)",
            "`startsWith` takes 1 arguments, not 2",
        ),
        ("size() == 1", "`size` takes 1 arguments, not 0"),
        (
            "request.path.startsWith(1)",
            "`startsWith` can't be applied to string, int",
        ),
        (
            "request.size.startsWith('/')",
            "`startsWith` can't be applied to int, string",
        ),
        (
            "size(request.time) == 1",
            "`size` can't be applied to timestamp",
        ),
        (
            "request.method == 1",
            "`==` can't be applied to string and int",
        ),
        (
            "request.size == '1'",
            "`==` can't be applied to int and string",
        ),
        (
            "request.method != null",
            "`!=` can't be applied to string and null",
        ),
        (
            "principal.expires_at > 5",
            "`>` can't be applied to timestamp and int",
        ),
        (
            "principal.scopes == 'x'",
            "`==` can't be applied to list(string) and string",
        ),
        (
            "request.method + 1 == 'x'",
            "`+` can't be applied to string and int",
        ),
        ("request.method - 'x' == 'x'", "`-` can't be applied"),
        ("1 + 1.0 == 2.0", "`+` can't be applied to int and double"),
        ("-request.method == 'x'", "`-` can't be applied to string"),
        (
            "1 in principal.scopes",
            "`in` can't be applied to int and list(string)",
        ),
        (
            "'a' in request.method",
            "`in` can't be applied to string and string",
        ),
        ("principal.scopes['a'] == 'x'", "`[]` can't be applied"),
        (
            "auth[request.method].id == 'x'",
            "`auth` takes a name that is written out",
        ),
        ("request.method && true", "`&&` can't be applied to string"),
        ("!request.method", "`!` can't be applied to string"),
        (
            "request.method ? true : false",
            "`?:` can't be applied to string",
        ),
        (
            "request.method",
            "a condition is true or false, and this gives string",
        ),
        ("principal.scopes", "this gives list(string)"),
        (
            "request.path.matches(request.method)",
            "`matches` is to be a literal",
        ),
        ("request.path.matches('(')", "no regular expression"),
        (
            "request.path.matches('a{1000}{1000}')",
            "too large when compiled",
        ),
        ("request.path.matches('(?=a)')", "no regular expression"),
        (
            "in_cidr(request.client_ip, '10.0.0.0/33')",
            "no range of addresses",
        ),
        ("in_cidr(request.client_ip, 'ten')", "no range of addresses"),
        (
            "in_cidr(request.client_ip, '10.0.0.1/8')",
            "bits set beyond its prefix",
        ),
        (
            "in_cidr(request.client_ip, request.method)",
            "is to be a literal",
        ),
        (
            "request.time > timestamp('tomorrow')",
            "`timestamp` can't read this literal",
        ),
        (
            "request.time - request.time > duration('1d')",
            "`duration` can't read this literal",
        ),
        ("b'a' == b'a'", "bytes can't be used here"),
        ("Message{a: 1}.a == 1", "messages can't be used here"),
        (
            "{1: 'a'}[1] == 'a'",
            "keys of maps are strings here, not int",
        ),
        ("[1].exists(x, [1].exists(y, x == y))", "one `all`"),
        (
            "[1].exists(x, x == 1) && [1].exists(x, x == 1)",
            "one `all`",
        ),
        ("[1].map(x, x).exists(x, x == 1)", "one `all`"),
        ("[1].exists(request, request == 1)", "`request` is taken"),
        ("[1].exists(a.b, true)", "must be a simple name"),
        (
            "request.method.exists(x, x == 'a')",
            "a string has no elements",
        ),
        (
            "principal.scopes.exists(s, s == 1)",
            "`==` can't be applied to string and int",
        ),
        ("principal.scopes.exists(s, t == 's')", "there is no `t`"),
        (
            "principal.scopes.exists(s, s)",
            "`||` can't be applied to string",
        ),
        ("1 / 0 == 1", "can never be decided: a division by zero"),
        ("[1][3] == 1", "can never be decided"),
        ("request", "`request` is not a single value"),
    ] {
        let why = refused(text);
        let shown = format!("{why} {}", why.help().unwrap_or_default());
        assert!(shown.contains(message), "{text}: {shown}");
    }
}

#[test]
fn says_what_was_probably_meant() {
    for (text, help) in [
        ("principle.id == 'x'", "did you mean `principal`?"),
        ("principal.subjet == 'x'", "did you mean `subject`?"),
        ("path.orderid == 'x'", "did you mean `order_id`?"),
        ("request.path.startWith('/')", "did you mean `startsWith`?"),
        ("request.headers['X-Tenant'] == 'x'", "write \"x-tenant\""),
        ("request.size == '1'", "write the number in quotes"),
        ("orange == 'x'", "a text stands in quotes: \"orange\""),
        ("principal.zzz == 'x'", "it has id, subject"),
        (
            "principal.claims.a.exists(1)",
            "list.exists(name, condition)",
        ),
    ] {
        let why = refused(text);
        assert!(
            why.help().unwrap_or_default().contains(help),
            "{text}: {why:?}"
        );
    }
}

#[test]
fn says_where() {
    for (text, line, column) in [
        ("request.method == 'GET' && principal.nmae == 'x'", 1, 38),
        ("request.method == 'GET' &&\n  user.id == 'x'", 2, 3),
        ("'é' == request.nmae", 1, 16),
        ("request.method == == 'x'", 1, 19),
        ("'é' == == 'x'", 1, 8),
        ("request.path.startWith('/')", 1, 14),
    ] {
        let position = Position { line, column };
        assert_eq!(refused(text).position(), Some(position), "{text}");
    }
    assert_eq!(
        refused("principal.nmae == 'x'").to_string(),
        "`principal` has no field `nmae` (at column 11)"
    );
}

#[test]
fn what_no_header_can_carry_is_refused() {
    for (text, message) in [
        ("principal.claims", "not a single value"),
        ("consumer.metadata", "not a single value"),
        ("context", "not a single value"),
        ("request.headers", "not a single value"),
        ("auth", "not a single value"),
        ("{'a': 'b'}", "which a header can't carry"),
        ("null", "which a header can't carry"),
        ("duration('1s')", "which a header can't carry"),
    ] {
        let why = Expression::parse(text, PARAMETERS).expect_err(text);
        assert!(why.to_string().contains(message), "{text}: {why}");
    }
}
