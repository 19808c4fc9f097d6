//! The same text, judged by the interpreter alone over a plain copy of all facts.

use std::collections::HashMap;

use cel::parser::PrattParser;
use cel::{Context, Value as CelValue};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use serde_json::{Map, Value, json};

use super::{PARAMETERS, Scene};
use crate::policy::expression::{Condition, Expression, Outcome};
use crate::policy::field::Text;

/// All that the scene holds, as one would hand it to an interpreter: every root a map.
fn roots(claims: &Value) -> Value {
    json!({
        "request": {
            "method": "GET", "host": "api.example.com", "path": "/orders/42",
            "headers": {"x-tenant": "acme", "content-length": "120", "user-agent": "probe/1.0"},
            "size": 120,
        },
        "principal": {
            "id": "login:alice", "subject": "alice", "kind": "jwt", "scopes": ["orders:read", "orders:write"],
            "claims": claims,
        },
        "consumer": {"name": "acme", "metadata": {"tenant": "acme", "tier": 2, "regions": ["eu", "us"]}},
        "context": {"stage": "blue"},
        "path": {"order_id": "42"},
    })
}

fn plain(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => CelValue::Int(number),
            (None, Some(number)) => CelValue::UInt(number),
            (None, None) => CelValue::Float(number.as_f64().unwrap()),
        },
        Value::String(text) => CelValue::from(text.as_str()),
        Value::Array(items) => CelValue::from(items.iter().map(plain).collect::<Vec<_>>()),
        Value::Object(entries) => CelValue::from(
            entries
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect::<HashMap<String, CelValue>>(),
        ),
    }
}

fn interpreted(text: &str, roots: &Value) -> Result<CelValue, String> {
    let tree = PrattParser::new()
        .parse(text)
        .map_err(|why| why.to_string())?;
    let mut context = Context::default();
    for (name, value) in roots.as_object().unwrap() {
        context.add_variable_from_value(name.as_str(), plain(value));
    }
    CelValue::resolve(&tree, &context).map_err(|why| why.to_string())
}

/// A value of the interpreter as the text of a header.
fn sent(value: &CelValue) -> Text<'static> {
    let scalar = |value: &CelValue| match value {
        CelValue::Int(number) => Some(number.to_string()),
        CelValue::UInt(number) => Some(number.to_string()),
        CelValue::Float(number) => Some(json!(number).to_string()),
        CelValue::String(text) => Some(text.to_string()),
        CelValue::Bool(value) => Some(value.to_string()),
        _ => None,
    };
    match value {
        CelValue::Null => Text::Absent,
        CelValue::List(items) => {
            let texts: Option<Vec<_>> = items
                .iter()
                .map(|item| scalar(item).map(Into::into))
                .collect();
            texts.map_or(Text::Structured, Text::Many)
        }
        value => scalar(value).map_or(Text::Structured, |text| Text::One(text.into())),
    }
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        Just("c d".to_owned())
    ]
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0u64..3).prop_map(|n| Value::from(u64::MAX - n)),
        (-4i32..5).prop_map(|n| json!(f64::from(n) / 2.0)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(names(), inner, 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Paths, mostly into claims.
fn paths() -> impl Strategy<Value = String> {
    let claim = proptest::collection::vec(names(), 1..3).prop_map(|names| {
        let names: String = names.iter().map(|name| format!("[{name:?}]")).collect();
        format!("principal.claims{names}")
    });
    let fixed = proptest::sample::select(
        &[
            "principal.id",
            "principal.subject",
            "request.method",
            "request.path",
            "request.size",
            "request.headers['x-tenant']",
            "request.headers.none",
            "consumer.name",
            "consumer.metadata.tenant",
            "consumer.metadata.tier",
            "consumer.metadata.regions",
            "consumer.metadata.none",
            "context.stage",
            "path.order_id",
        ][..],
    )
    .prop_map(str::to_owned);
    prop_oneof![3 => claim, 2 => fixed]
}

const LITERALS: &[&str] = &[
    "'a'",
    "'acme'",
    "1",
    "2u",
    "0.5",
    "true",
    "null",
    "[]",
    "['a', 'b']",
];

fn values() -> impl Strategy<Value = String> {
    prop_oneof![3 => paths(), 2 => proptest::sample::select(LITERALS).prop_map(str::to_owned)]
}

fn conditions() -> impl Strategy<Value = String> {
    let comparison = (values(), "(==|!=|<|<=|>|>=|in)", values())
        .prop_map(|(a, operator, b)| format!("{a} {operator} {b}"));
    let asked = proptest::collection::vec("[ab]", 1..3)
        .prop_map(|names| format!("has(principal.claims.{})", names.join(".")));
    let walked = (paths(), "(exists|all|exists_one)", values())
        .prop_map(|(path, name, value)| format!("{path}.{name}(x, x == {value})"));
    let leaf = prop_oneof![4 => comparison, 1 => asked, 1 => walked, 1 => paths()];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn scene(claims: &Value) -> (Scene, Value) {
    let scene = Scene::claiming(claims);
    let whole = scene.caller.as_ref().unwrap().claims().into_owned();
    (scene, roots(&whole))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What the checks take means what the interpreter says that it means.
    #[test]
    fn conditions_end_as_the_interpreter_ends_them(
        texts in proptest::collection::vec(conditions(), 12),
        a in json_values(),
        b in json_values(),
    ) {
        let (scene, roots) = scene(&json!({"a": a, "b": b}));
        for text in texts {
            let Ok(condition) = Condition::parse(&text, PARAMETERS) else {
                continue;
            };
            let outcome = match condition.judge(&scene.facts()) {
                Outcome::True => Some(true),
                Outcome::False => Some(false),
                Outcome::Undecided(_) => None,
            };
            let expected = match interpreted(&text, &roots) {
                Ok(CelValue::Bool(value)) => Some(value),
                Ok(_) | Err(_) => None,
            };
            prop_assert_eq!(outcome, expected, "{}", text);
        }
    }

    /// A path that is read without the interpreter gives what it gives with it.
    #[test]
    fn paths_are_read_alike_with_and_without_the_interpreter(
        texts in proptest::collection::vec(paths(), 12),
        a in json_values(),
        b in json_values(),
    ) {
        let (scene, roots) = scene(&json!({"a": a, "b": b}));
        for text in texts {
            let direct = scene.text(&text);
            let by_program = Expression::parse(&format!("[{text}][0]"), PARAMETERS).unwrap();
            let by_program = by_program.text(&scene.facts());
            match interpreted(&text, &roots) {
                Ok(value) => {
                    prop_assert_eq!(&direct, &sent(&value), "{}", text);
                    prop_assert_eq!(&by_program, &direct, "{}", text);
                }
                Err(_) => {
                    prop_assert_eq!(&direct, &Text::Absent, "{}", text);
                    prop_assert!(matches!(by_program, Text::Failed(_)), "{}: {:?}", text, by_program);
                }
            }
        }
    }
}
