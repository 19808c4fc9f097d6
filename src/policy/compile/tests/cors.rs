//! What `cors` must not say.

use crate::test_support::{compile, mistakes};

const APP: &str = "https://app.example.com";

#[test]
fn what_opens_too_much_or_cannot_be_meant_does_not_load() {
    let app = format!("origins: ['{APP}']");
    for (cors, codes) in [
        ("origins: [null]".to_owned(), &["quote-it"][..]),
        ("origins: ['null']".to_owned(), &["bad-origin"]),
        (
            "origins: ['*'], credentials: true".to_owned(),
            &["bad-cors"],
        ),
        (format!("origins: ['*', '{APP}']"), &["bad-cors"]),
        (
            format!("origins: ['{APP}/', app.example.com]"),
            &["bad-origin", "bad-origin"],
        ),
        (
            format!("{app}, headers: '*', expose: '*', credentials: true"),
            &["bad-cors", "bad-cors"],
        ),
        (
            format!("{app}, headers: ['a b', x-a], expose: ['x:']"),
            &["bad-header", "bad-header"],
        ),
        (format!("{app}, max_age: 25h"), &["out-of-range"]),
        (format!("{app}, max_age: 24h"), &[]),
        (format!("{app}, max_age: 0s"), &[]),
        ("headers: [x-a]".to_owned(), &["missing-key"]),
        ("origins: []".to_owned(), &["empty-list"]),
        (format!("{app}, methods: [GET]"), &["unknown-key"]),
        (
            format!("origins: [{}]", vec!["'https://a.example'"; 257].join(", ")),
            &["out-of-range"],
        ),
    ] {
        // Inherited by two routes, and said once; also where no route is left to inherit it.
        for text in [
            format!(
                "policies: {{p: {{hosts: [a], public: true, cors: {{{cors}}}, routes: [{{path: /}}, {{path: /b}}]}}}}"
            ),
            format!(
                "{{defaults: {{cors: {{{cors}}}}}, policies: {{p: {{hosts: [a], public: true, routes: [{{path: /, cors: {{{app}}}}}]}}}}}}"
            ),
        ] {
            let (table, out) = compile(&[("policy.yaml", &text)]);
            let found: Vec<&str> = mistakes(&out).iter().map(|(code, _)| *code).collect();
            assert_eq!(found, codes, "{text}");
            assert_eq!(table.is_some(), codes.is_empty(), "{text}");
        }
    }
}
