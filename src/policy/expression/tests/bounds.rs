//! Bounds at load and at run. What could overflow the stack is tried in a process of its own.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use serde_json::json;

use super::{PARAMETERS, Scene};
use crate::clock::{Clock as _, SystemClock};
use crate::policy::expression::{
    Condition, Expression, MAX_BYTES, MAX_DEPTH, MAX_NODES, Mistake, Outcome,
};
use crate::policy::field::Text;

/// What a hostile hand writes: one part again and again, up to the bound on the length.
fn hostile() -> Vec<String> {
    let repeated = [
        "(",
        "[",
        "{",
        "!",
        "-",
        "!-",
        "a.b.",
        "a?b:",
        "1+",
        "1-",
        "a[",
        "a[0]",
        "x.y()",
        "f(",
        "a||",
        "a&&",
        "!(",
        "-(",
        "[[",
        "({[",
        "{'a':",
        "a.b(",
        "a in ",
        "has(a.",
        "'a'+",
        "1==",
        "1<",
        "(1)+",
        "[1].map(x,",
        "[1].all(x,",
        "a.exists(x, ",
        "a?(",
        "(a?b:",
        "a{",
        "a{b:",
        "?",
        ":",
        "\"",
        "'",
        "\\",
        "`",
        "//",
        "@",
        "r'",
        "b'",
        "'''",
        "\u{e9}",
        "\u{0}",
        "\n",
        "0x",
        "1e",
        "1u",
        ".",
        "..",
        "size(",
        "true||",
        "{{",
        "request.path.matches('",
        "request.method+",
        "a[?",
        "a.?",
        "[?",
    ];
    let endings = ["", "1", "a", ")", "]", "}", "true"];
    let mut texts = Vec::new();
    for part in repeated {
        for ending in endings {
            let mut text = part.repeat(MAX_BYTES / part.len());
            while text.len() + ending.len() > MAX_BYTES {
                text.pop();
            }
            text.push_str(ending);
            texts.push(text);
        }
    }
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!(", ")"),
        ("-(", ")"),
        ("a[", "]"),
        ("size(", ")"),
    ] {
        for depth in [30, 31, 32, 33, 34, 96, 97, 500, 1_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            if text.len() <= MAX_BYTES {
                texts.push(text);
            }
        }
    }
    texts
}

/// What fills the bounds, and is taken.
fn large() -> Vec<String> {
    let alternatives = |count: usize| {
        let sides = (0..count).map(|n| format!("request.path == '/{n}'"));
        sides.collect::<Vec<_>>().join(" || ")
    };
    let mut ternary = String::new();
    for n in 0..20 {
        write!(ternary, "request.size == {n} ? true : ").unwrap();
    }
    let parens = 31;
    vec![
        alternatives(50),
        format!("{ternary}false"),
        format!(
            "{}request.size > 1{}",
            "(".repeat(parens),
            ")".repeat(parens)
        ),
        format!("request.size{} > 1", " + 1".repeat(29)),
        format!("principal.claims.l{} == 1", "[0]".repeat(29)),
        format!(
            "{}principal.claims.admin{}",
            "!(".repeat(29),
            ")".repeat(29)
        ),
    ]
}

/// Three quarters of what a worker has, for a build that is not optimised.
const STACK_BYTES: usize = 1_536 * 1024;

#[test]
fn hostile_texts_do_not_end_the_process() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("policy::expression::tests::bounds::child_takes_hostile_texts")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by hostile_texts_do_not_end_the_process in a process of its own"]
fn child_takes_hostile_texts() {
    let scene = Scene::new();
    std::thread::scope(|scope| {
        let work = || {
            for text in hostile().iter().chain(&large()) {
                if let Ok(condition) = Condition::parse(text, PARAMETERS) {
                    drop(condition.judge(&scene.facts()));
                }
                if let Ok(expression) = Expression::parse(text, PARAMETERS) {
                    drop(expression.text(&scene.facts()));
                }
            }
        };
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
}

#[test]
fn what_fills_the_bounds_is_taken() {
    let scene = Scene::claiming(&json!({"admin": true, "l": [[1]]}));
    for text in large() {
        let condition = Condition::parse(&text, PARAMETERS);
        let condition = condition.unwrap_or_else(|why| panic!("{text}: {why}"));
        condition.judge(&scene.facts());
    }
}

#[test]
fn what_is_over_a_bound_is_refused_by_name() {
    let mistake = |text: &str| {
        Condition::parse(text, PARAMETERS)
            .unwrap_err()
            .mistake()
            .clone()
    };
    let long = format!("request.path == '{}'", "a".repeat(MAX_BYTES));
    assert_eq!(mistake(&long), Mistake::TooLong);
    let many = format!("request.size in [{}1]", "1, ".repeat(MAX_NODES));
    assert_eq!(mistake(&many), Mistake::TooManyNodes);
    let deep = format!("request.size{} > 1", " + 1".repeat(MAX_DEPTH));
    assert_eq!(mistake(&deep), Mistake::TooDeep);
    let brackets = format!("{}true{}", "(".repeat(33), ")".repeat(33));
    assert_eq!(mistake(&brackets), Mistake::TooDeep);
    let at_most = format!("request.path == '{}'", "a".repeat(MAX_BYTES - 18));
    assert!(Condition::parse(&at_most, PARAMETERS).is_ok());
}

#[test]
fn more_than_a_thousand_elements_are_not_walked() {
    for (count, outcome) in [
        (1_000, Outcome::True),
        (1_001, Outcome::Undecided(String::new())),
    ] {
        let scene = Scene::claiming(&json!({"l": vec![1; count]}));
        let found = scene.judge("principal.claims.l.all(x, x == 1)");
        match (&found, &outcome) {
            (Outcome::Undecided(why), Outcome::Undecided(_)) => {
                assert!(why.contains("1,000"), "{why}")
            }
            _ => assert_eq!(found, outcome),
        }
    }
    let scene = Scene::claiming(&json!({"l": vec![1; 600]}));
    let found = scene.judge("size(principal.claims.l + principal.claims.l) == 1200");
    assert!(matches!(found, Outcome::Undecided(why) if why.contains("1,000")));
}

#[test]
fn long_texts_are_not_made() {
    let scene = Scene::noting(&json!({"t": "x".repeat(10_000), "l": vec!["x".repeat(20); 1_000]}));
    for text in [
        "consumer.metadata.t + consumer.metadata.t",
        "consumer.metadata.l.map(x, x)",
        "consumer.metadata.l.map(x, x + consumer.metadata.t)",
    ] {
        let sent = scene.text(text);
        assert!(matches!(sent, Text::Failed(_)), "{text}");
    }
}

#[test]
fn a_run_costs_no_more_than_its_bound() {
    let clock = SystemClock::new();
    let l: Vec<String> = (0..1_000)
        .map(|n| format!("{n}-{}", "x".repeat(40)))
        .collect();
    let scene = Scene::noting(&json!({"l": l, "t": "y".repeat(30_000)}));
    let lists = vec!["consumer.metadata.l"; 60].join(", ");
    let searched = vec!["x in consumer.metadata.l"; 30].join(" && ");
    for text in [
        format!("consumer.metadata.l.exists(x, [{lists}] == [[x]])"),
        format!("consumer.metadata.l.all(x, {searched})"),
        "consumer.metadata.l.exists(x, consumer.metadata.t.matches('z+$'))".to_owned(),
        "consumer.metadata.l.all(x, size(x + consumer.metadata.t.lowerAscii()) == 1)".to_owned(),
    ] {
        let condition = super::condition(&text);
        let before = clock.monotonic();
        let outcome = condition.judge(&scene.facts());
        let took = clock.monotonic().saturating_sub(before);
        assert!(
            matches!(&outcome, Outcome::Undecided(why) if why.contains("costs too much") || why.contains("16 KiB")),
            "{text}: {outcome:?}"
        );
        // Generous: an unoptimised build beside others. Without the bound it is minutes.
        assert!(took < Duration::from_secs(5), "{text}: {took:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_taken_or_refused(text in any::<String>()) {
        drop(Condition::parse(&text, PARAMETERS));
        drop(Expression::parse(&text, PARAMETERS));
    }

    #[test]
    fn any_heap_of_tokens_is_taken_or_refused(
        parts in proptest::collection::vec(proptest::sample::select(TOKENS), 0..40),
        spaced in any::<bool>(),
    ) {
        let text = parts.join(if spaced { " " } else { "" });
        let scene = SCENE.with(std::rc::Rc::clone);
        if let Ok(condition) = Condition::parse(&text, PARAMETERS) {
            let outcome = condition.judge(&scene.facts());
            if let Some(constant) = condition.constant() {
                let known = if constant { Outcome::True } else { Outcome::False };
                prop_assert!(outcome == known, "{}: {:?}", text, outcome);
            }
        }
        if let Ok(expression) = Expression::parse(&text, PARAMETERS) {
            drop(expression.text(&scene.facts()));
        }
    }
}

thread_local! {
    static SCENE: std::rc::Rc<Scene> = std::rc::Rc::new(Scene::new());
}

const TOKENS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ":",
    "?",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "in",
    "1",
    "2u",
    "0.5",
    "'a'",
    "\"b\"",
    "r'c'",
    "b'd'",
    "'''e'''",
    "true",
    "false",
    "null",
    "é",
    "request",
    "principal",
    "claims",
    "id",
    "x",
    "has",
    "exists",
    "map",
    "size",
    "matches",
    "principal.claims.a",
    "request.method",
    "request.size",
    "[1, 2].exists(x, ",
    "timestamp('2026-01-01T00:00:00Z')",
    "9223372036854775807",
    "-9223372036854775808",
    "duration('1s')",
    "request.time",
    "principal.claims.groups",
    "\\",
    "`",
    "@",
    "\n",
    "// note\n",
    "==",
    "1",
    "(",
    ")",
    "[",
    "]",
];
