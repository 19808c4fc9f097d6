use crate::config::shape::{Shape, Type, key};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::{Strategy, any, prop, proptest};
use serde_json::json;

use crate::diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};

use super::{
    EmptyList, Entry, Fields, Limits, Node, Scalar, ScalarKind, Value, boolean, decode_utf8,
    duration, external_tag, instant, integer, mapping, one_or_many, parse, secret_text, sequence,
    text, to_json,
};

static THING: Shape = Shape::new("thing", "a thing", &[key("v", &Type::Text, "")]);
static PAIR: Shape = Shape::new(
    "pair",
    "it",
    &[key("a", &Type::Text, ""), key("b", &Type::Text, "")],
);
static PATH_SHAPE: Shape = Shape::new(
    "route",
    "a route",
    &[
        key("path", &Type::Text, ""),
        key("scopes", &Type::Text, ""),
        key("methods", &Type::Text, ""),
    ],
);

fn read(source: &str) -> Result<Node, Vec<Diagnostic>> {
    read_within(source, &Limits::default())
}

fn read_within(source: &str, limits: &Limits) -> Result<Node, Vec<Diagnostic>> {
    parse(&SourceFile::new("policy.yaml", source), limits)
}

fn tree(source: &str) -> Node {
    read(source).unwrap_or_else(|problems| panic!("{source:?} is refused: {}", rendered(&problems)))
}

fn problems(source: &str) -> Vec<Diagnostic> {
    match read(source) {
        Ok(node) => panic!("{source:?} is accepted: {}", to_json(&node)),
        Err(problems) => problems,
    }
}

fn rendered(problems: &[Diagnostic]) -> String {
    problems.iter().map(Diagnostic::render).collect()
}

fn at(place: &Place) -> String {
    let (line, column) = place.file.line_column(place.start);
    format!("{line}:{column}")
}

/// The value of the key `v`, read by one of the readers, and what was reported.
fn with_value<T>(
    source: &str,
    reader: impl Fn(&Node, &mut Diagnostics) -> Option<T>,
) -> (Option<T>, String) {
    let node = tree(source);
    let mut out = Diagnostics::default();
    let value = match &node.value {
        Value::Mapping(entries) => reader(&entries[0].value, &mut out),
        _ => panic!("{source:?} is no mapping"),
    };
    assert_eq!(
        value.is_none(),
        out.has_errors(),
        "{source:?}: {}",
        out.render()
    );
    (value, out.render())
}

#[test]
fn reads_what_policies_are_written_in() {
    let source = "\
version: portcullis/v1
policies:
  catalogue:
    hosts: [\"*.example.com\", shop.example.com]   # two
    routes:
      GET /items/{id}: items:read
      PUT|DELETE /items/{id}: {scopes: [items:write], limit: {rate: 10/minute}}
      GET /health: public
    when: principal.claims.tenant == request.headers[\"x-tenant\"]
    note: |
      two
      lines
    folded: >-
      one
      line
    empty:
    same: &same {a: 1}
    again: *same
007: yes
";
    let expected = json!({
        "version": "portcullis/v1",
        "policies": {"catalogue": {
            "hosts": ["*.example.com", "shop.example.com"],
            "routes": {
                "GET /items/{id}": "items:read",
                "PUT|DELETE /items/{id}": {"scopes": ["items:write"], "limit": {"rate": "10/minute"}},
                "GET /health": "public",
            },
            "when": "principal.claims.tenant == request.headers[\"x-tenant\"]",
            "note": "two\nlines\n", "folded": "one line", "empty": null,
            "same": {"a": 1}, "again": {"a": 1},
        }},
        "007": "yes",
    });
    assert_eq!(to_json(&tree(source)), expected);
    assert_eq!(to_json(&tree(&source.replace('\n', "\r\n"))), expected);
}

#[test]
fn an_empty_text_is_null() {
    for source in [
        "",
        "\n",
        "# only a comment\n",
        "---\n",
        "~",
        "null",
        "---\n...\n",
    ] {
        assert!(matches!(tree(source).value, Value::Null), "{source:?}");
    }
}

#[test]
fn knows_where_everything_is() {
    let node = tree("a:\n  b: x y # c\n  c:\n  - 1\n  -\nd: {e: \"f\"}\ng:\n");
    let Value::Mapping(entries) = &node.value else {
        panic!("no mapping")
    };
    let [a, d, g] = entries.as_slice() else {
        panic!("not three entries")
    };
    let places = [
        &node.place,
        &a.key_place,
        &a.value.place,
        &d.value.place,
        &g.value.place,
    ];
    let texts: Vec<&str> = places.iter().map(|place| place.text()).collect();
    let whole = "a:\n  b: x y # c\n  c:\n  - 1\n  -\nd: {e: \"f\"}\ng";
    assert_eq!(
        texts,
        [
            whole,
            "a",
            "b: x y # c\n  c:\n  - 1\n  -",
            "{e: \"f\"}",
            "g"
        ]
    );
    let Value::Mapping(inner) = &a.value.value else {
        panic!("no mapping")
    };
    assert_eq!(inner[0].value.place.text(), "x y");
    assert_eq!(
        (
            at(&inner[1].value.place).as_str(),
            inner[1].value.place.text()
        ),
        ("4:5", "1\n  -")
    );
}

#[test]
fn refuses_what_a_policy_file_must_not_hold() {
    let cases = [
        ("a: 1\na: 2\n", "duplicate-key", "2:1"),
        ("{\"a\": 1, a: 2}", "duplicate-key", "1:10"),
        ("x:\n- {b: 1, b: 1}", "duplicate-key", "2:10"),
        ("a: &a {b: 1}\nc: {<<: *a}", "merge-key", "2:5"),
        ("? [a]\n: b", "key-not-text", "1:3"),
        ("{{a: 1}: 2}", "key-not-text", "1:2"),
        (": b", "empty-key", "1:1"),
        ("a: 1\n---\nb: 2", "second-document", "2:1"),
        ("a: 1\n...\n---\n", "second-document", "3:1"),
        ("hosts: [*.example.com]", "unknown-anchor", "1:9"),
        ("a: &a [*a]", "recursive-alias", "1:8"),
        ("a: &a {b: *a}", "recursive-alias", "1:11"),
        ("a: !env X", "unsupported-tag", "1:4"),
        ("when: !principal.claims.x", "unsupported-tag", "1:7"),
        ("a: ! x", "unsupported-tag", "1:4"),
        ("a: !!binary aGk=", "unsupported-tag", "1:4"),
        ("a: !!set {b, c}", "unsupported-tag", "1:4"),
        ("a: !!int x", "tag-mismatch", "1:4"),
        ("a: !!bool yes", "tag-mismatch", "1:4"),
        ("a: !!seq {b: 1}", "tag-mismatch", "1:4"),
        ("a: !!map x", "tag-mismatch", "1:4"),
        ("a: \u{1}", "forbidden-character", "1:4"),
        ("a: 1\n\0b: 2", "forbidden-character", "2:1"),
        ("a: x\u{202e}y", "forbidden-character", "1:5"),
        ("a\u{feff}: x", "forbidden-character", "1:2"),
        ("%YAML 1.1\n---\na: 1", "syntax", "1:1"),
        ("a:\n\tb: 1", "syntax", "2:2"),
        ("a: @x", "syntax", "1:4"),
        ("a: *", "syntax", "1:4"),
        ("a: b: c", "syntax", "1:5"),
        ("a: \"x\" == y", "syntax", "1:8"),
        ("a: \"x", "syntax", "1:4"),
        ("a: \"\\q\"", "syntax", "1:4"),
        ("a: {path: /x/{id}, b: 1}", "syntax", "1:14"),
        ("a: [1", "syntax", "1:4"),
        ("a: ]", "syntax", "1:4"),
        ("- a\nb: 1", "syntax", "2:1"),
    ];
    for (source, code, place) in cases {
        let found = problems(source);
        let [problem] = found.as_slice() else {
            panic!("{source:?}: {}", rendered(&found))
        };
        assert_eq!(problem.code, code, "{source:?}");
        assert!(problem.help.is_some(), "{source:?} has no way out");
        assert_eq!(
            problem.place.as_ref().map(at).as_deref(),
            Some(place),
            "{source:?}\n{}",
            problem.render()
        );
    }
}

#[test]
fn accepts_tags_of_the_core_schema() {
    let source = "{a: !!str 7, b: !!int \"7\", c: !!bool true, d: !!null , e: !!seq [x], f: !!map {}, g: !!float 1.5}";
    let expected = json!({"a": "7", "b": 7, "c": true, "d": null, "e": ["x"], "f": {}, "g": 1.5});
    assert_eq!(to_json(&tree(source)), expected);
    assert!(matches!(
        &tree("!!str 007").value,
        Value::Scalar(Scalar { text, style: ScalarKind::Quoted }) if text == "007"
    ));
}

#[test]
fn reports_several_problems_of_one_text_and_cites_the_first_key() {
    let found = problems("a: 1\na: 2\nb: {c: *x, c: 1}\na: 3\n");
    let codes: Vec<_> = found.iter().map(|problem| problem.code).collect();
    assert_eq!(
        codes,
        [
            "duplicate-key",
            "unknown-anchor",
            "duplicate-key",
            "duplicate-key"
        ]
    );
    for duplicate in [&found[0], &found[3]] {
        assert_eq!(at(&duplicate.related[0].0), "1:1");
    }
    let many: String = (0..500).map(|_| "k: 1\n").collect();
    assert_eq!(problems(&many).len(), 100);
    let unseen = problems("a: 1\na: 2\nb: [");
    assert_eq!(
        unseen.len(),
        2,
        "a duplicate before an error of syntax is reported with it"
    );
}

#[test]
fn keeps_its_limits() {
    let small = Limits {
        max_bytes: 64,
        max_nodes: 12,
        max_depth: 3,
    };
    let code = |source: &str| {
        read_within(source, &small)
            .err()
            .map(|problems| problems[0].code)
    };
    let cases = [
        ("[[[1]]]", None),
        ("[[[[1]]]]", Some("too-deep")),
        ("a: {b: {c: {}}}", Some("too-deep")),
        ("- &a [[1]]\n- [[*a]]", Some("too-deep")),
        ("[1,2,3,4,5,6,7,8,9,10,11]", None),
        ("[1,2,3,4,5,6,7,8,9,10,11,12]", Some("too-many-nodes")),
        ("{a: 1, b: 2, c: 3, d: 4, e: 5}", None),
        (
            "{a: 1, b: 2, c: 3, d: 4, e: 5, f: 6}",
            Some("too-many-nodes"),
        ),
        ("[&a [1,2,3], *a, *a]", Some("alias-bomb")),
        ("[&a [1,2,3], *a]", None),
        ("[&a xxxxxxxxxxxxxxxxxxxxxxxxxxxx, *a, *a]", None),
        (
            "[&a xxxxxxxxxxxxxxxxxxxxxxxxxxxx, *a, *a, *a]",
            Some("alias-bomb"),
        ),
        (
            "# a comment that is as long as the limit of this case allows it\n",
            None,
        ),
        (
            "# a comment that is longer than the limit of this case allows it\n",
            Some("too-large"),
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(code(source), expected, "{source:?}");
    }
    let wild = Limits {
        max_depth: usize::MAX,
        ..Limits::default()
    };
    for nested in [
        "[".repeat(100_000),
        "- ".repeat(100_000),
        "{a: ".repeat(1_000),
    ] {
        let found = read_within(&nested, &wild).expect_err("nested too deeply");
        assert_eq!(found[0].code, "too-deep");
    }
}

#[test]
fn refuses_a_billion_laughs_without_building_them() {
    let mut source = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..40 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        source.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let found = problems(&source);
    assert_eq!(found[0].code, "alias-bomb");
    assert!(found[0].message.contains("1000000"));
}

#[test]
fn never_shows_a_literal_secret() {
    let cases = [
        "{insecure_literal: \"hunter2\", insecure_litteral: hunter2, insecure_literal: hunter2}",
        "a: {insecure_literal: hunter2, b: 1, b: 1}",
        "x: &x hunter2\na: {insecure_literal: *x}\nx: hunter1",
        "a: {b: 1, b: 1, insecure_literal: [x, hunter2]}",
        "a:\n  insecure_literal: \"hunter2\nb: 1",
        "a:\n  insecure_literal: hunter2: x",
        "a:\n  insecure_literal: x: hunter2",
        "a:\n  insecure_literal:\n    x\n    hunter2: y",
        "a:\n  insecure_literal:\n\n    @hunter2",
        "a: {insecure_literal: x\u{1}hunter2}",
        "a: {insecure_literal: |\n\n hunter2}",
        "[insecure_literal, @hunter2",
        "a: {insecure_literal: hunter2\n",
        "a:\n  insecure_literal: !x hunter2\n",
        "a:\n  insecure_literal: [hunter2\n\n",
        "? insecure_literal: [hunter2\n\n",
        "a:\n  insecure_literal: |\n      x\n    hunter2\n",
    ];
    for source in cases {
        let shown = rendered(&problems(source));
        assert!(!shown.contains("hunter2"), "{source:?}\n{shown}");
    }
    let after = rendered(&problems("a:\n  insecure_literal: hunter2\nb: @x\n"));
    assert!(
        after.contains("b: @x"),
        "an error below a masked secret keeps its snippet:\n{after}"
    );
}

#[test]
fn decodes_bytes_or_says_what_they_are() {
    let accepted: [(&[u8], &str); 4] = [
        (b"a: 1\r\n", "a: 1\r\n"),
        (b"\xef\xbb\xbfa: 1", "a: 1"),
        (b"", ""),
        ("é".as_bytes(), "é"),
    ];
    for (bytes, expected) in accepted {
        assert_eq!(
            decode_utf8("a.yaml", bytes).expect("valid").text(),
            expected
        );
    }
    let refused: [(&[u8], &str); 7] = [
        (b"\xff\xfea\0", "UTF-16"),
        (b"\xfe\xff\0a", "UTF-16"),
        (b"a\0:\0", "UTF-16"),
        (b"\0a\0:", "UTF-16"),
        (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
        (b"a: 1\nb: caf\xe9\n", "byte 0xe9 at offset 11, in line 2"),
        (b"\xef\xbb\xbfa\xff", "byte 0xff at offset 4, in line 1"),
    ];
    for (bytes, expected) in refused {
        let problem = decode_utf8("a.yaml", bytes).expect_err("no UTF-8");
        assert!(
            problem.message.contains(expected),
            "{bytes:?}: {}",
            problem.message
        );
        assert_eq!(
            (problem.file.as_deref(), problem.code),
            (Some("a.yaml"), "not-utf8")
        );
    }
}

#[test]
fn text_that_readers_disagree_about_must_be_quoted() {
    let mistakable = [
        "yes",
        "No",
        "ON",
        "off",
        "y",
        "N",
        "true",
        "FALSE",
        "TrUe",
        "007",
        "12",
        "-1",
        "+1",
        "1_000",
        "1e3",
        "12e45",
        "1.5",
        ".5",
        "5.",
        "0x1F",
        "0o17",
        "0b101",
        "-0x1f",
        "12:30:45",
        "1:30",
        "190:20:30.15",
        ".inf",
        "-.INF",
        ".NaN",
        "~",
        "null",
        "Null",
        "1_0.5",
        "0_7",
    ];
    for word in mistakable {
        let (value, shown) = with_value(&format!("v: {word}"), |node, out| {
            text(node, "the name", out).map(str::to_owned)
        });
        assert_eq!(value, None, "{word}");
        assert!(
            shown.contains("error[quote-it]: the name is text"),
            "{shown}"
        );
        assert!(
            shown.contains(&format!("= help: quote it: `\"{word}\"`")),
            "{shown}"
        );
        let quoted = format!("v: '{word}'");
        let (value, _) = with_value(&quoted, |node, out| {
            text(node, "the name", out).map(str::to_owned)
        });
        assert_eq!(value.as_deref(), Some(word));
    }
    let plain = [
        "a",
        "orders:read",
        "10/minute",
        "1.2.3",
        "10.0.0.1",
        "10.0.0.0/8",
        "::1",
        "2001:db8::1",
        "2027-01-31",
        "2026-12-01T12:00:00Z",
        "30s",
        "nope",
        "e3",
        "1e",
        "0xg",
        "1:60",
        "8080:80",
        "_1",
        "--",
        "+",
        ".",
        "..",
        "sha256:9f86d0",
        "0b",
        "0x",
        "1.2e",
        "é",
        "1 2",
        "nan",
        "inf",
        "1:2:x",
        "k7Yt2Q",
    ];
    for word in plain {
        let (value, shown) = with_value(&format!("v: {word}"), |node, out| {
            text(node, "it", out).map(str::to_owned)
        });
        assert_eq!(value.as_deref(), Some(word), "{shown}");
    }
}

#[test]
fn text_is_a_single_value() {
    let cases = [
        ("v: ''", Some("")),
        ("v: \"a\\tb\"", Some("a\tb")),
        ("v: |\n  007", Some("007\n")),
        ("v: !!str 007", Some("007")),
        ("v:", None),
        ("v: [a]", None),
        ("v: {a: b}", None),
    ];
    for (source, expected) in cases {
        let (value, shown) =
            with_value(source, |node, out| text(node, "it", out).map(str::to_owned));
        assert_eq!(value.as_deref(), expected, "{source}: {shown}");
        assert!(
            expected.is_some() || shown.contains("wrong-type"),
            "{shown}"
        );
    }
    let (_, shown) = with_value("v:", |node, out| {
        text(node, "the name", out).map(str::to_owned)
    });
    let expected = "\
error[wrong-type]: the name has no value, and must be text
 --> policy.yaml:1:1
  |
1 | v:
  | ^
";
    assert!(shown.starts_with(expected), "{shown}");
}

#[test]
fn secret_text_is_never_repeated() {
    for source in [
        "v: 12345678",
        "v: 0x1f",
        "v: [hunter2]",
        "v: {hunter: 2}",
        "v: ~",
    ] {
        let (value, shown) = with_value(source, |node, out| {
            secret_text(node, "the secret", out).map(str::to_owned)
        });
        assert_eq!(value, None);
        let secret = source.trim_start_matches("v: ");
        assert!(secret == "~" || !shown.contains(secret), "{shown}");
    }
    let node = tree("{v: hunter2, w: 1}");
    let mut out = Diagnostics::default();
    let fields = Fields::new(&node, &THING, &mut out).expect("a mapping");
    assert_eq!(
        secret_text(fields.get("v").expect("there"), "the secret", &mut out),
        Some("hunter2")
    );
    assert!(
        out.render().contains("1 | {v: [hidden], w: 1}"),
        "{}",
        out.render()
    );
}

#[test]
fn booleans_are_true_or_false() {
    let cases = [
        ("true", Some(true), ""),
        ("false", Some(false), ""),
        ("!!bool true", Some(true), ""),
        ("True", None, "write `true`"),
        ("yes", None, "write `true`"),
        ("off", None, "write `false`"),
        ("'false'", None, "write `false`, without quotes"),
        ("1", None, "`true` or `false`"),
        ("", None, "no value"),
        ("[true]", None, "not a list"),
    ];
    for (word, expected, hint) in cases {
        let (value, shown) = with_value(&format!("v: {word}"), |node, out| {
            boolean(node, "`public`", out)
        });
        assert_eq!(value, expected, "{word}");
        assert!(shown.contains(hint), "{word}: {shown}");
    }
}

#[test]
fn integers_are_decimal_and_in_range() {
    let cases = [
        ("1", Some(1), ""),
        ("100", Some(100), ""),
        ("-5", Some(-5), ""),
        ("0", Some(0), ""),
        ("101", None, "out-of-range"),
        ("-6", None, "from -5 to 100"),
        ("99999999999999999999", None, "out-of-range"),
        ("0x1f", None, "wrong-type"),
        ("1_0", None, "wrong-type"),
        ("010", None, "without leading zeros"),
        ("+1", None, "wrong-type"),
        ("1.0", None, "wrong-type"),
        ("'1'", None, "write `1` without quotes"),
        ("ten", None, "`ten` is none"),
        ("", None, "no value"),
    ];
    for (word, expected, hint) in cases {
        let (value, shown) = with_value(&format!("v: {word}"), |node, out| {
            integer(node, "it", -5..=100, out)
        });
        assert_eq!(value, expected, "{word}");
        assert!(shown.contains(hint), "{word}: {shown}");
    }
}

#[test]
fn durations_say_their_unit() {
    let cases = [
        ("250ms", Some(250), ""),
        ("30s", Some(30_000), ""),
        ("5m", Some(300_000), ""),
        ("24h", Some(86_400_000), ""),
        ("90d", Some(7_776_000_000), ""),
        ("0s", Some(0), ""),
        ("\"30s\"", Some(30_000), ""),
        ("36500d", Some(3_153_600_000_000), ""),
        ("36501d", None, "up to `36500d`"),
        ("30", None, "such as `30s`"),
        ("18446744073709551615d", None, "longer than"),
        ("18446744073709551616ms", None, "longer than"),
        ("1.5s", None, "bad-duration"),
        ("1h30m", None, "bad-duration"),
        ("-1s", None, "bad-duration"),
        ("s", None, "bad-duration"),
        ("5 m", None, "bad-duration"),
        ("5M", None, "bad-duration"),
        ("''", None, "bad-duration"),
        ("[5m]", None, "wrong-type"),
    ];
    for (word, expected, hint) in cases {
        let (value, shown) = with_value(&format!("v: {word}"), |node, out| {
            duration(node, "`max_age`", out)
        });
        assert_eq!(value, expected.map(Duration::from_millis), "{word}");
        assert!(shown.contains(hint), "{word}: {shown}");
    }
}

#[test]
fn instants_are_dates_or_times_with_an_offset() {
    let cases = [
        ("1970-01-01", Some(0), ""),
        ("1970-01-02", Some(86_400), ""),
        ("2000-02-29", Some(951_782_400), ""),
        ("2000-03-01", Some(951_868_800), ""),
        ("2024-02-29", Some(1_709_164_800), ""),
        ("2027-01-31", Some(1_801_353_600), ""),
        ("2038-01-19T03:14:07Z", Some(2_147_483_647), ""),
        ("2100-03-01", Some(4_107_542_400), ""),
        ("9999-12-31T23:59:59Z", Some(253_402_300_799), ""),
        ("2026-11-01T00:00:00Z", Some(1_793_491_200), ""),
        ("2026-11-01t02:00:00.999999+02:00", Some(1_793_491_200), ""),
        ("2026-10-31T18:30:00-05:30", Some(1_793_491_200), ""),
        ("\"2026-11-01\"", Some(1_793_491_200), ""),
        ("2026-11-01T00:00:00", None, "`2026-11-01T00:00:00Z`"),
        ("2023-02-29", None, "does not exist"),
        ("2100-02-29", None, "does not exist"),
        ("2026-13-01", None, "does not exist"),
        ("2026-00-01", None, "does not exist"),
        ("2026-04-31", None, "does not exist"),
        ("2026-04-00", None, "does not exist"),
        ("2026-11-01T24:00:00Z", None, "does not exist"),
        ("2026-11-01T23:60:00Z", None, "does not exist"),
        ("2026-12-31T23:59:60Z", None, "does not exist"),
        ("2026-11-01T00:00:00+24:00", None, "does not exist"),
        ("1969-12-31", None, "1970 to 9999"),
        ("1970-01-01T00:00:00+01:00", None, "1970 to 9999"),
        ("9999-12-31T23:59:59-01:00", None, "1970 to 9999"),
        ("2026-11-01 00:00:00Z", None, "bad-time"),
        ("2026-11-01T00:00Z", None, "bad-time"),
        ("2026-11-01T00:00:00.Z", None, "bad-time"),
        ("2026-11-01T00:00:00+0200", None, "bad-time"),
        ("2026-11-01T00-00-00Z", None, "bad-time"),
        ("2026-11-01T00:00-00Z", None, "bad-time"),
        ("2026-1-1", None, "bad-time"),
        ("10000-01-01", None, "bad-time"),
        ("1700000000", None, "bad-time"),
        ("tomorrow", None, "bad-time"),
        ("été-2026-11-01", None, "bad-time"),
    ];
    for (word, expected, hint) in cases {
        let (value, shown) = with_value(&format!("v: {word}"), |node, out| {
            instant(node, "`expires`", out)
        });
        assert_eq!(value, expected, "{word}: {shown}");
        assert!(shown.contains(hint), "{word}: {shown}");
    }
}

#[test]
fn lists_are_not_empty_by_accident() {
    let count = |source: &str, empty| {
        with_value(source, |node, out| {
            sequence(node, "`scopes`", empty, out).map(<[Node]>::len)
        })
    };
    assert_eq!(count("v: [a, b]", EmptyList::Refused).0, Some(2));
    assert_eq!(count("v: []", EmptyList::Allowed).0, Some(0));
    assert!(
        count("v: []", EmptyList::Refused)
            .1
            .contains("error[empty-list]: `scopes` is an empty list")
    );
    assert!(
        count("v: a", EmptyList::Allowed)
            .1
            .contains("must be a list, not a single value")
    );
    assert!(count("v:", EmptyList::Allowed).1.contains("has no value"));

    let many = |source: &str| {
        with_value(source, |node, out| {
            one_or_many(node, "`limit`", EmptyList::Refused, out).map(|items| items.len())
        })
    };
    assert_eq!(many("v: a").0, Some(1));
    assert_eq!(many("v: {a: 1, b: 2}").0, Some(1));
    assert_eq!(many("v: [a, {b: 2}, c]").0, Some(3));
    assert!(many("v: []").1.contains("empty-list"));
    assert!(many("v:").1.contains("has no value"));

    let names = |source: &str| {
        with_value(source, |node, out| {
            mapping(node, "`roles`", out).map(<[Entry]>::len)
        })
    };
    assert_eq!(names("v: {a: 1, b: 2}").0, Some(2));
    assert!(
        names("v: [a]")
            .1
            .contains("`roles` must be a mapping, not a list")
    );
}

#[test]
fn fields_report_unknown_and_missing_keys_together() {
    let node = tree("path: /x\nscope: [a]\nfrobnicate: 1\nmethods:\n");
    let mut out = Diagnostics::default();
    let fields = Fields::new(&node, &PATH_SHAPE, &mut out).expect("a mapping");
    assert!(fields.get("path").is_some() && fields.get("scopes").is_none());
    assert!(matches!(
        fields.get("methods").map(|node| &node.value),
        Some(Value::Null)
    ));
    assert_eq!(
        fields
            .entry("path")
            .map(|entry| at(&entry.key_place))
            .as_deref(),
        Some("1:1")
    );
    assert!(fields.require("scopes", &mut out).is_none());
    assert!(fields.require("path", &mut out).is_some());
    assert_eq!(
        (fields.entries().len(), at(fields.place()).as_str()),
        (4, "1:1")
    );
    let expected = "\
error[unknown-key]: `scope` is not a key of a route
 --> policy.yaml:2:1
  |
2 | scope: [a]
  | ^^^^^
  = help: did you mean `scopes`?

error[unknown-key]: `frobnicate` is not a key of a route
 --> policy.yaml:3:1
  |
3 | frobnicate: 1
  | ^^^^^^^^^^
  = help: known keys: `path`, `scopes`, `methods`

error[missing-key]: a route needs the key `scopes`
 --> policy.yaml:1:1
  |
1 | path: /x
  | ^^^^^^^^
  = help: add `scopes: …`

3 errors
";
    assert_eq!(out.render(), expected);
    assert!(Fields::new(&tree("[a]"), &PATH_SHAPE, &mut out).is_none());
}

#[test]
fn a_kind_is_the_only_key() {
    let cases = [
        ("v: {jwt: {}}", Some("jwt"), ""),
        ("v: {jwt:}", Some("jwt"), ""),
        ("v: {jvt: {}}", None, "did you mean `jwt`?"),
        ("v: {saml: {}}", None, "known kinds: `jwt`, `mtls`"),
        (
            "v: {jwt: {}, mtls: {}}",
            None,
            "error[several-kinds]: an authenticator has exactly one kind",
        ),
        (
            "v: {jwt: {}, issuer: x}",
            None,
            "error[unknown-kind]: `issuer`",
        ),
        ("v: {}", None, "error[missing-kind]"),
        (
            "v: jwt",
            None,
            "must be a mapping with one key that names its kind",
        ),
        ("v:", None, "has no value"),
    ];
    for (source, expected, hint) in cases {
        let (kind, shown) = with_value(source, |node, out| {
            external_tag(node, "an authenticator", &["jwt", "mtls"], out).map(|(kind, place, _)| {
                assert_eq!(place.text(), kind);
                kind.to_owned()
            })
        });
        assert_eq!(kind.as_deref(), expected, "{source}");
        assert!(shown.contains(hint), "{source}: {shown}");
    }
}

#[test]
fn free_form_data_follows_the_core_schema() {
    let cases = [
        ("~", json!(null)),
        ("True", json!(true)),
        ("yes", json!("yes")),
        ("'true'", json!("true")),
        ("12", json!(12)),
        ("+12", json!(12)),
        ("-12", json!(-12)),
        ("007", json!(7)),
        ("0x1f", json!(31)),
        ("0o17", json!(15)),
        ("0b1", json!("0b1")),
        ("1_000", json!("1_000")),
        ("1e3", json!(1000.0)),
        ("-.5", json!(-0.5)),
        ("5.", json!(5.0)),
        (".inf", json!(".inf")),
        ("1e999", json!("1e999")),
        (
            "18446744073709551615",
            json!(18_446_744_073_709_551_615_u64),
        ),
        ("18446744073709551616", json!("18446744073709551616")),
        ("-9223372036854775808", json!(i64::MIN)),
        ("-9223372036854775809", json!("-9223372036854775809")),
        ("2027-01-31", json!("2027-01-31")),
        ("[a, {b: 1}]", json!(["a", {"b": 1}])),
    ];
    for (source, expected) in cases {
        assert_eq!(to_json(&tree(source)), expected, "{source}");
    }
}

#[test]
fn debug_output_holds_no_values() {
    let shown = format!("{:?}", tree("{a: hunter2}"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

fn check_places(node: &Node) {
    check_place(&node.place);
    match &node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter().for_each(check_places),
        Value::Mapping(entries) => entries.iter().for_each(|entry| {
            check_place(&entry.key_place);
            check_places(&entry.value);
        }),
    }
}

fn check_place(place: &Place) {
    assert!(place.start <= place.end);
    assert!(place.file.text().get(place.start..place.end).is_some());
}

/// Reads a text and uses every reader on what comes out.
fn exercise(file: &Arc<SourceFile>) {
    match parse(
        file,
        &Limits {
            max_nodes: 10_000,
            ..Limits::default()
        },
    ) {
        Ok(node) => {
            check_places(&node);
            to_json(&node);
            let mut out = Diagnostics::default();
            exercise_readers(&node, &mut out);
            out.sort();
            out.render();
            out.to_json();
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                check_place(
                    problem
                        .place
                        .as_ref()
                        .expect("problems of a text have a place"),
                );
                problem.render();
            }
        }
    }
}

fn exercise_readers(node: &Node, out: &mut Diagnostics) {
    text(node, "it", out);
    boolean(node, "it", out);
    integer(node, "it", i64::MIN..=i64::MAX, out);
    duration(node, "it", out);
    instant(node, "it", out);
    external_tag(node, "it", &["a", "b"], out);
    Fields::new(node, &PAIR, out);
    for item in one_or_many(node, "it", EmptyList::Refused, out).unwrap_or_default() {
        if !std::ptr::eq(item, node) {
            exercise_readers(item, out);
        }
    }
    for entry in mapping(node, "it", out).unwrap_or_default() {
        exercise_readers(&entry.value, out);
    }
    secret_text(node, "it", out);
}

/// Texts made of what YAML gives a meaning to.
fn yamlish() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b",
        "é",
        "k: ",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "\r\n",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&x ",
        "*x",
        "&y ",
        "*y ",
        "\"",
        "'",
        "\\",
        "|\n",
        ">-\n",
        "? ",
        "# c\n",
        "---\n",
        "...\n",
        "!!str ",
        "!t ",
        "<<: ",
        "~",
        "007",
        "1e3",
        "2027-01-31",
        "30s",
        "insecure_literal: ",
        "%",
        "@",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "10h",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(source in "(?s).{0,200}") {
        exercise(&SourceFile::new("a", source));
    }

    #[test]
    fn any_text_that_looks_like_yaml_is_read_or_refused(source in yamlish()) {
        exercise(&SourceFile::new("a", source));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(file) = decode_utf8("a", &bytes) {
            exercise(&file);
        }
    }

    #[test]
    fn quoted_text_comes_back(value in "(?s).{0,40}") {
        let forbidden = value.chars().any(|it| it.is_control() || matches!(it, '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
        if !forbidden {
            let source = format!("v: '{}'", value.replace('\'', "''"));
            let (read, _) = with_value(&source, |node, out| text(node, "it", out).map(str::to_owned));
            assert_eq!(read, Some(value));
        }
    }

    #[test]
    fn every_day_follows_the_one_before(day in 0_i64..2_932_896) {
        // The calendar the other way round: from a day's number to its date, by counting years and months.
        let (mut year, mut rest) = (1970, day);
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        while rest >= 365 + i64::from(leap(year)) {
            rest -= 365 + i64::from(leap(year));
            year += 1;
        }
        let months = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while rest >= months[month] {
            rest -= months[month];
            month += 1;
        }
        let source = format!("v: {year:04}-{:02}-{:02}", month + 1, rest + 1);
        assert_eq!(with_value(&source, |node, out| instant(node, "it", out)).0, Some(day * 86_400));
    }
}
