use std::sync::Arc;

use proptest::prelude::{any, proptest};

use super::{Diagnostic, Diagnostics, MAX_KEPT, Place, SourceFile, excerpt, nearest, printable};

fn find(file: &Arc<SourceFile>, part: &str) -> Place {
    let start = file.text().find(part).expect("the part is in the text");
    Place::new(file, start, start + part.len())
}

#[test]
fn counts_lines_from_one_and_columns_in_characters() {
    let file = SourceFile::new("a.yaml", "é: 1\r\n\nb: ü x\n");
    let cases = [
        (0, (1, 1)),
        (1, (1, 1)), // within the first character
        (2, (1, 2)),
        (7, (2, 1)),
        (8, (3, 1)),
        (13, (3, 5)),
        (15, (3, 7)),
        (16, (4, 1)),
        (usize::MAX, (4, 1)),
    ];
    for (offset, expected) in cases {
        assert_eq!(file.line_column(offset), expected, "offset {offset}");
    }
}

#[test]
fn renders_a_snippet_with_a_caret_and_help() {
    let text = "\n\n\n\n\n\n\n\n\n\n\n\n\n        scope: [orders:read]\n";
    let file = SourceFile::new("orders.yaml", text);
    let shown = Diagnostic::error(
        "unknown-key",
        &find(&file, "scope"),
        "`scope` is not a key of a route",
    )
    .with_help("did you mean `scopes`?\nor leave it out")
    .render();
    let expected = "\
error[unknown-key]: `scope` is not a key of a route
  --> orders.yaml:14:9
   |
14 |         scope: [orders:read]
   |         ^^^^^
   = help: did you mean `scopes`?
           or leave it out
";
    assert_eq!(shown, expected);
}

#[test]
fn renders_related_places_with_their_words_and_one_gutter() {
    let file = SourceFile::new("a.yaml", "a: 1\n2\n3\n4\n5\n6\n7\n8\n9\nb: 2\n");
    let shown = Diagnostic::warning("duplicate", &find(&file, "b"), "twice")
        .with_related(&find(&file, "a"), "first here")
        .render();
    let expected = "\
warning[duplicate]: twice
  --> a.yaml:10:1
   |
10 | b: 2
   | ^
  ::: a.yaml:1:1
   |
 1 | a: 1
   | - first here
";
    assert_eq!(shown, expected);
}

#[test]
fn renders_without_a_place() {
    let shown = Diagnostic::global_error("unreadable", "cannot read the file")
        .in_file("a\u{1b}.yaml")
        .render();
    assert_eq!(
        shown,
        "error[unreadable]: cannot read the file\n --> a\\u{1b}.yaml\n"
    );
    let shown = Diagnostic::global_error("empty", "no files").render();
    assert_eq!(shown, "error[empty]: no files\n");
}

#[test]
fn shows_only_the_first_line_of_a_long_place_and_escapes_controls() {
    let file = SourceFile::new("a", "\tx: \u{1b}[31m\u{202e}é\r\nsecond\n");
    let place = Place::new(&file, 1, file.text().len());
    let shown = Diagnostic::error("code", &place, "bad \u{9b}thing\n").render();
    let expected = "\
error[code]: bad \\u{9b}thing\\u{a}
 --> a:1:2
  |
1 |  x: \\u{1b}[31m\\u{202e}é
  |  ^^^^^^^^^^^^^^^^^^^^^^
";
    assert_eq!(shown, expected);
}

#[test]
fn shows_a_window_of_a_long_line() {
    let text = format!("{}needle{}", "é".repeat(500), "x".repeat(500));
    let file = SourceFile::new("a", text);
    let shown = Diagnostic::error("code", &find(&file, "needle"), "here").render();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[1], " --> a:1:501");
    let source = lines[3].strip_prefix("1 | ").expect("a source line");
    assert_eq!(source.chars().count(), 162);
    assert!(source.starts_with("…é") && source.ends_with("x…"));
    let under = lines[4].strip_prefix("  | ").expect("an underline");
    let under: String = source
        .chars()
        .zip(under.chars())
        .filter(|(_, mark)| *mark == '^')
        .map(|(it, _)| it)
        .collect();
    assert_eq!(under, "needle");
}

#[test]
fn hides_snippets_where_asked_to() {
    let file = SourceFile::new("a", "key: hunter2\n");
    let shown = Diagnostic::error("code", &find(&file, "hunter2"), "bad")
        .with_related(&find(&file, "key"), "the field")
        .hide_snippet()
        .render();
    assert_eq!(
        shown,
        "error[code]: bad\n --> a:1:6\n ::: a:1:1\n  = note: the field\n"
    );
}

#[test]
fn masks_concealed_ranges_in_every_snippet() {
    let file = SourceFile::new("a", "{key: hunter2, other: 1}\n");
    let before = Diagnostic::error("code", &find(&file, "other"), "bad");
    find(&file, "hunter2").conceal();
    let expected = "\
error[code]: bad
 --> a:1:16
  |
1 | {key: [hidden], other: 1}
  |                 ^^^^^
";
    assert_eq!(before.render(), expected);
    let inside = Diagnostic::error("code", &find(&file, "ter"), "bad").render();
    assert!(inside.contains("\n  |       ^^^^^^^^\n"), "{inside}");
    assert!(!format!("{before:?} {file:?}").contains("hunter2"));
}

#[test]
fn writes_json_without_source_text() {
    let file = SourceFile::new("a.yaml", "a: secret\nb: 1\n");
    let mut all = Diagnostics::default();
    all.push(
        Diagnostic::error("code", &find(&file, "secret"), "bad\u{9b}")
            .with_help("mend it")
            .with_related(&find(&file, "b"), "see"),
    );
    all.push(Diagnostic::global_error("other", "gone").in_file("b.yaml"));
    let expected = serde_json::json!({
        "errors": 2, "warnings": 0,
        "diagnostics": [
            {"severity": "error", "code": "code", "message": "bad\\u{9b}", "help": "mend it",
             "file": "a.yaml", "line": 1, "column": 4, "end_line": 1, "end_column": 10,
             "related": [{"file": "a.yaml", "line": 2, "column": 1, "end_line": 2, "end_column": 2, "message": "see"}]},
            {"severity": "error", "code": "other", "message": "gone", "file": "b.yaml"},
        ],
    });
    assert_eq!(all.to_json(), expected);
}

#[test]
fn sorts_by_file_and_position_with_globals_first() {
    let (a, b) = (SourceFile::new("a", "12345"), SourceFile::new("b", "12345"));
    let mut all = Diagnostics::default();
    all.extend([
        Diagnostic::error("5", &Place::new(&b, 1, 2), ""),
        Diagnostic::error("4", &Place::new(&a, 3, 4), ""),
        Diagnostic::warning("3", &Place::new(&a, 1, 2), ""),
        Diagnostic::global_error("2", "").in_file("a"),
        Diagnostic::global_error("1", ""),
    ]);
    all.sort();
    let codes: Vec<&str> = all.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["1", "2", "3", "4", "5"]);
    assert!(all.render().ends_with("\n\n4 errors, 1 warning\n"));
}

#[test]
fn counts_what_it_does_not_keep_and_keeps_errors_before_warnings() {
    let file = SourceFile::new("a", "x");
    let place = Place::new(&file, 0, 1);
    let mut all = Diagnostics::default();
    assert_eq!(
        (all.render(), all.has_errors(), all.is_empty()),
        (String::new(), false, true)
    );
    all.extend((0..=MAX_KEPT).map(|_| Diagnostic::warning("warned", &place, "")));
    assert!(!all.has_errors());
    let mut joined = Diagnostics::default();
    joined.append(all);
    joined.push(Diagnostic::error("refused", &place, ""));
    assert!(joined.has_errors());
    assert_eq!(
        (joined.error_count(), joined.warning_count()),
        (1, MAX_KEPT + 1)
    );
    assert_eq!(
        joined
            .iter()
            .filter(|diagnostic| diagnostic.code == "refused")
            .count(),
        1
    );
    assert!(
        joined
            .render()
            .ends_with("2 more not shown\n1 error, 1001 warnings\n")
    );
}

#[test]
fn finds_the_nearest_word() {
    let known = [
        "scopes",
        "roles",
        "authenticate",
        "max_age",
        "by",
        "issuer",
        "limit",
    ];
    let cases = [
        ("scope", Some("scopes")),
        ("scpoes", Some("scopes")),
        ("Scopes", Some("scopes")),
        ("role", Some("roles")),
        ("max-age", Some("max_age")),
        ("maxAge", Some("max_age")),
        ("autenticat", Some("authenticate")),
        ("limits", Some("limit")),
        ("bx", None),
        ("", None),
        ("frobnicate", None),
        ("by", Some("by")),
    ];
    for (word, expected) in cases {
        assert_eq!(nearest(word, known), expected, "{word}");
    }
    assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
}

#[test]
fn keeps_excerpts_short_and_printable() {
    assert_eq!(excerpt("a\nb"), "a\\u{a}b");
    assert_eq!(excerpt(&"é".repeat(61)), "é".repeat(60) + "…");
    assert_eq!(printable("a\tb\u{feff}"), "a b\\u{feff}");
}

proptest! {
    #[test]
    fn renders_any_place_of_any_text(
        text in "(?s).{0,300}", start in 0_usize..1_300, end in 0_usize..1_300, hide in any::<(usize, usize)>(),
    ) {
        let file = SourceFile::new("a", text);
        Place::new(&file, hide.0 % 300, hide.1 % 300).conceal();
        let places = [Place::new(&file, start, end), Place { file: Arc::clone(&file), start, end }];
        for place in places {
            let shown = Diagnostic::error("code", &place, "message").with_related(&place, "again").render();
            assert_eq!(shown.lines().count(), 9);
            assert!(!shown.chars().any(|it| it.is_control() && it != '\n'));
            assert!(shown.lines().all(|line| line.chars().count() < 160 * 11));
        }
    }

    #[test]
    fn a_word_with_one_mistake_is_found(at in 0_usize..12, letter in "[a-z]") {
        let mut word = String::from("authenticate");
        word.replace_range(at..=at, &letter);
        assert_eq!(nearest(&word, ["cors", "authenticate"]), Some("authenticate"));
    }
}

#[test]
fn an_annotation_holds_one_line_whatever_the_text() {
    let file = SourceFile::new("a,b:c%/policy.yaml", "one\ntwo needle three\n");
    let place = find(&file, "needle");
    let shown = Diagnostic::error("bad-thing", &place, "50% of\nit: a, b")
        .with_help("do this\nor that")
        .with_related(&find(&file, "one"), "first")
        .to_annotation();
    assert_eq!(
        shown,
        "::error file=a%2Cb%3Ac%25/policy.yaml,line=2,endLine=2,col=5,endColumn=10,title=bad-thing\
         ::50%25 of\\u{a}it: a, b%0Aa,b:c%25/policy.yaml:1:1: first%0Ado this%0Aor that"
    );
    let across = Place::new(&file, 0, 6);
    let shown = Diagnostic::warning("bad-thing", &across, "wide").to_annotation();
    assert_eq!(
        shown,
        "::warning file=a%2Cb%3Ac%25/policy.yaml,line=1,endLine=2,title=bad-thing::wide"
    );
    let nowhere = Diagnostic::global_error("bad-thing", "gone").in_file("a.yaml");
    assert_eq!(
        nowhere.to_annotation(),
        "::error file=a.yaml,title=bad-thing::gone"
    );
}
