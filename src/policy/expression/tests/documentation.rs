//! The reference page is held to the checks: its examples are taken, its lists are whole.

use std::collections::BTreeSet;

use super::{PARAMETERS, Scene};
use crate::policy::expression::types::{FUNCTIONS, MACROS, Type};
use crate::policy::expression::{
    Condition, Expression, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, MAX_FUEL, MAX_NODES,
    MAX_PATTERN_BYTES, MAX_TEXT_BYTES, Outcome, compile,
};
use crate::policy::field::{
    ConsumerField, PeerField, PrincipalField, ROOTS, RequestField, RouteField,
};

const PAGE: &str = include_str!("../../../../docs/expressions.md");

/// The part under a heading.
fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE
        .split_once(&format!("\n## {heading}\n"))
        .expect(heading);
    rest.split("\n## ").next().unwrap()
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn taken(text: &str) {
    let program = compile(text, PARAMETERS).unwrap_or_else(|why| panic!("{text}: {why}"));
    if program.gives == Type::Bool {
        assert!(Condition::parse(text, PARAMETERS).is_ok(), "{text}");
    }
    assert!(Expression::parse(text, PARAMETERS).is_ok(), "{text}");
}

#[test]
fn every_printed_expression_is_taken() {
    let mut count = 0;
    for block in PAGE.split("```").skip(1).step_by(2) {
        let lines = block.strip_prefix("cel\n").expect("blocks are CEL");
        for line in lines.lines() {
            taken(line);
            count += 1;
        }
    }
    assert!(count >= 7, "{count}");
}

#[test]
fn every_function_has_an_example_that_calls_it() {
    let mut listed = BTreeSet::new();
    for row in section("Functions")
        .lines()
        .filter(|line| line.starts_with("| `"))
    {
        let words = quoted(row);
        let (name, example) = (words[0], words[words.len() - 1]);
        assert!(example.contains(&format!("{name}(")), "{row}");
        taken(example);
        listed.insert(name);
    }
    let known = FUNCTIONS.iter().map(|known| known.name);
    let known: BTreeSet<&str> = known.chain(MACROS.iter().copied()).collect();
    assert_eq!(listed, known);
}

#[test]
fn every_field_is_listed() {
    let listed: BTreeSet<&str> = quoted(section("What can be read")).into_iter().collect();
    let fields = [
        RequestField::NAMES,
        PrincipalField::NAMES,
        ConsumerField::NAMES,
        PeerField::NAMES,
        RouteField::NAMES,
        ROOTS,
        &["headers", "header_values", "claims", "metadata"],
    ];
    for name in fields.into_iter().flatten() {
        assert!(listed.contains(name), "{name}");
    }
}

#[test]
fn the_bounds_are_those_that_hold() {
    let bounds = section("Bounds");
    for (what, bound, printed) in [
        ("an expression", MAX_BYTES, "4 KiB"),
        ("names, literals", MAX_NODES, "256"),
        ("parts within", MAX_DEPTH, "32 deep"),
        ("elements of what", MAX_ELEMENTS, "1,000"),
        ("a string that", MAX_TEXT_BYTES, "16 KiB"),
        ("a pattern of", MAX_PATTERN_BYTES, "64 KiB"),
        ("elements, or 16", MAX_FUEL, "65,536"),
    ] {
        let row = bounds
            .lines()
            .find(|line| line.starts_with(&format!("| {what}")));
        assert!(row.unwrap().contains(printed), "{what}");
        let number: usize = printed
            .chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap();
        let unit = if printed.ends_with("KiB") { 1024 } else { 1 };
        assert_eq!(number * unit, bound, "{what}");
    }
}

#[test]
fn what_it_says_of_errors_holds() {
    let scene = Scene::new();
    let error = "principal.claims.nobody";
    for (text, outcome) in [
        (format!("true || {error}"), Some(Outcome::True)),
        (format!("{error} || true"), Some(Outcome::True)),
        (format!("{error} || false"), None),
        ("!(principal.claims.blocked == true)".to_owned(), None),
        (
            "!has(principal.claims.blocked) || principal.claims.blocked == false".to_owned(),
            Some(Outcome::True),
        ),
        (
            "!('x-debug' in request.headers)".to_owned(),
            Some(Outcome::True),
        ),
    ] {
        let found = scene.judge(&text);
        match outcome {
            Some(outcome) => assert_eq!(found, outcome, "{text}"),
            None => assert!(matches!(found, Outcome::Undecided(_)), "{text}: {found:?}"),
        }
    }
}
