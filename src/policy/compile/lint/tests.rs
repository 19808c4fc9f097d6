//! What is warned of, and what is not. How it reads: `cli::check`.

use super::lint;
use crate::clock::Timestamp;
use crate::diagnostic::Diagnostics;
use crate::test_support::{NOW, compile_with, key_entry, key_sets, mistakes, read};

/// Two authenticators in use, a partner with a key and one with tokens.
fn with(more: &str) -> String {
    let key = key_entry("one", "one");
    format!(
        "authenticators:
  key: {{api_key: {{}}}}
  other-key: {{api_key: {{from: {{header: x-other}}}}}}
  login: {{jwt: {{issuer: 'https://i', audiences: [a], roles: {{claim: r, map: {{c: clerk}}}}}}}}
roles: {{clerk: {{scopes: ['bills:*']}}}}
consumers:
  acme: {{scopes: [orders:read], roles: [clerk], credentials: {{key: [{key}]}}}}
  beta: {{environment: test, scopes: [test], credentials: {{other-key: [{}]}}}}
  web: {{credentials: {{login: [{{claim: azp, value: web}}]}}}}
policies:
  rest: {{hosts: [rest], authenticate: [key, login, other-key], routes: [{{path: /}}]}}
{more}",
        key_entry("two", "two")
    )
}

fn linted(text: &str) -> Diagnostics {
    let mut out = Diagnostics::default();
    let set = read(&[("policy.yaml", text)], &mut out);
    let key_sets = key_sets(&set, &mut out);
    let _ = compile_with(&set, key_sets, &mut out);
    assert!(!out.has_errors(), "{text}\n{}", out.render());
    lint(&set, &[], Timestamp::from_seconds(NOW), &mut out);
    out
}

fn codes(text: &str) -> Vec<&'static str> {
    mistakes(&linted(text))
        .into_iter()
        .map(|(code, _)| code)
        .collect()
}

/// What a policy `p` brings about beside the others.
fn of_policy(policy: &str) -> Vec<&'static str> {
    codes(&with(&format!("  p: {{hosts: [host], {policy}}}")))
}

#[test]
fn a_set_without_oddities_is_not_warned_of() {
    assert!(
        codes(&with("")).is_empty(),
        "{}",
        linted(&with("")).render()
    );
}

#[test]
fn scopes_that_no_key_has_are_warned_of_where_only_keys_open() {
    let nobody = "scope-nobody-grants";
    for (policy, expected) in [
        ("authenticate: key, routes: {/: orders:read}", &[][..]),
        ("authenticate: key, routes: {/: bills:pay:now}", &[]),
        ("authenticate: key, routes: {/: bills}", &[nobody]),
        (
            "authenticate: key, routes: {/: [orders:read, admin]}",
            &[nobody],
        ),
        (
            "authenticate: key, routes: {/: {scopes: {any: [orders:read, admin]}}}",
            &[],
        ),
        (
            "authenticate: key, routes: {/: {scopes: {any: [root, admin]}}}",
            &[nobody],
        ),
        ("authenticate: [key, login], routes: {/: admin}", &[]),
        ("authenticate: {all: [key, login]}, routes: {/: admin}", &[]),
        ("authenticate: [key, other-key], routes: {/: test}", &[]),
        ("authenticate: key, routes: {/: test}", &[nobody]),
        (
            "authenticate: key, scopes: admin, routes: {/a: orders:read, /b: orders:read}",
            &[nobody],
        ),
        (
            "authenticate: key, scopes: admin, routes: {/a: public}",
            &[],
        ),
    ] {
        assert_eq!(of_policy(policy), expected, "{policy}");
    }
}

#[test]
fn environments_and_callers_that_cannot_meet_are_warned_of() {
    for (policy, expected) in [
        (
            "authenticate: key, environment: test, routes: [{path: /}]",
            &["environment-nobody-has"][..],
        ),
        (
            "authenticate: other-key, environment: test, routes: [{path: /}]",
            &[],
        ),
        (
            "authenticate: other-key, routes: [{path: /}]",
            &["environment-nobody-has"],
        ),
        (
            "authenticate: [key, login], environment: test, routes: [{path: /}]",
            &[],
        ),
        (
            "authenticate: key, callers: [{consumer: acme}], routes: [{path: /}]",
            &[],
        ),
        (
            "authenticate: key, callers: [{consumer: web}], routes: [{path: /}]",
            &["caller-without-credential"],
        ),
        // On one of the routes it can.
        (
            "authenticate: key, callers: [{consumer: web}], routes: [{path: /}, {path: /a, authenticate: login}]",
            &[],
        ),
    ] {
        assert_eq!(of_policy(policy), expected, "{policy}");
    }
}

#[test]
fn only_what_no_request_reaches_is_called_so() {
    let nobody = "unreachable-route";
    for (paths, expected) in [
        (&["/a/**", "/a", "/a/", "/a/{b}/**"][..], &[nobody][..]),
        (&["/a/**", "/a", "/a/{b}/**"], &[]),
        (&["/a/**", "/a/", "/a/{b}/**"], &[]),
        (&["/a/**", "/a", "/a/", "/a/b/**"], &[]),
        (&["/a/**", "/a", "/a/", "/a/{b}"], &[]),
        (
            &["/a/**", "/a", "/a/", "/a/{b}", "/a/{b}/", "/a/{b}/{c}/**"],
            &[nobody],
        ),
        (&["/a/**", "/a", "/a/", "/a/{b}", "/a/{b}/{c}/**"], &[]),
        (&["/**", "/", "/{a}/**"], &[nobody]),
        (&["/**", "/{a}/**"], &[]),
        (&["/{x}/**", "/{y}", "/{y}/", "/{y}/{z}/**"], &[nobody]),
    ] {
        let routes: Vec<String> = paths
            .iter()
            .map(|path| format!("{{path: '{path}'}}"))
            .collect();
        let policy = format!("authenticate: key, routes: [{}]", routes.join(", "));
        assert_eq!(of_policy(&policy), expected, "{paths:?}");
    }
    let relaxed = "  p: {hosts: [a], authenticate: key, routes: [{path: /a/**}, {path: /a}, {path: '/a/{b}/**'}]}
defaults: {paths: {trailing_slash: ignore}}";
    assert_eq!(
        codes(&with(relaxed)),
        [nobody],
        "a slash at the end is no path of its own"
    );
}

#[test]
fn public_below_protected_is_told_within_one_host() {
    let told = "public-below-protected";
    let public = "{path: /admin/health, public: true}";
    for (more, expected) in [
        (format!("  p: {{hosts: [a], authenticate: key, routes: [{{path: /admin/**}}, {public}]}}"), &[told][..]),
        (format!("  p: {{hosts: [a], authenticate: key, routes: [{{path: /**}}, {public}]}}"), &[]),
        (format!("  p: {{hosts: [a], authenticate: key, routes: [{{path: '/{{any}}/**'}}, {public}]}}"), &[]),
        (format!("  p: {{hosts: [a], authenticate: key, routes: [{{path: /admin/keys/**}}, {public}]}}"), &[]),
        (format!("  p: {{hosts: [a], public: true, routes: [{{path: /admin/**}}, {public}]}}"), &[]),
        (format!("  p: {{hosts: [a, b], routes: [{public}]}}\n  q: {{hosts: [c, b], authenticate: key, routes: [{{path: /admin/**}}]}}"), &[told]),
        // The most specific host is chosen, and nothing falls back to another.
        (format!("  p: {{hosts: [a.b], routes: [{public}]}}\n  q: {{hosts: ['*.b'], authenticate: key, routes: [{{path: /admin/**}}]}}"), &[]),
        ("  p: {hosts: [a], authenticate: key, routes: [{path: /admin/**}, {path: /admin/pub/**, public: true}]}".to_owned(), &[told]),
    ] {
        assert_eq!(codes(&with(&more)), expected, "{more}");
    }
}

#[test]
fn what_is_used_in_vain_is_warned_of() {
    for (more, expected) in [
        (
            "  p: {hosts: [a], authenticate: key, optional: true, routes: {/: orders:read}}",
            Some("optional-in-vain"),
        ),
        (
            "  p: {hosts: [a], authenticate: key, optional: true, routes: {/: orders:read, /b: {}}}",
            None,
        ),
        (
            "  p: {hosts: [a], authenticate: key, optional: true, routes: {/: {optional: false, scopes: orders:read}, /b: {}}}",
            None,
        ),
        (
            "  p: {hosts: [a], authenticate: key, allow_ips: [0.0.0.0/0], routes: [{path: /}]}",
            Some("any-address"),
        ),
        (
            "  p: {hosts: [a], authenticate: key, allow_ips: [10.0.0.0/8], routes: [{path: /, allow_ips: [10.1.0.0/16, 192.0.2.1]}]}",
            None,
        ),
        (
            "  p: {hosts: [a], authenticate: key, allow_ips: [10.0.0.0/8], routes: [{path: /, allow_ips: [192.0.2.1]}]}",
            Some("disjoint-addresses"),
        ),
    ] {
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_eq!(codes(&with(more)), expected, "{more}");
    }
}

#[test]
fn any_audience_is_fine_where_something_else_is_asked() {
    for (route, warned) in [
        ("{path: /}", true),
        ("{path: /, scopes: a}", false),
        ("{path: /, when: request.method == 'GET'}", false),
        ("{path: /, authenticate: {all: [wide, key]}}", false),
    ] {
        let text = format!(
            "authenticators: {{wide: {{jwt: {{issuer: 'https://i', any_audience: true}}}}, key: {{api_key: {{}}}}}}
policies: {{p: {{hosts: [a], authenticate: wide, routes: [{route}]}}}}"
        );
        let codes = codes(&text);
        assert_eq!(
            codes.contains(&"any-audience-alone"),
            warned,
            "{route}: {codes:?}"
        );
    }
}

#[test]
fn what_has_ended_is_told_once() {
    let text = |consumer: &str, key: &str| {
        let entry = key_entry("one", "one").replace('}', &format!(", {key}}}"));
        format!(
            "authenticators: {{key: {{api_key: {{}}}}}}
consumers: {{acme: {{{consumer}, credentials: {{key: [{entry}]}}}}}}
policies: {{p: {{hosts: [a], authenticate: key, routes: [{{path: /}}]}}}}"
        )
    };
    // The clock of the tests stands at 2027-01-15T08:00:00Z.
    for (consumer, key, expected) in [
        ("expires: 2027-01-16", "expires: 2027-01-16", &[][..]),
        (
            "expires: 2027-01-15",
            "expires: 2027-01-16",
            &["expired-consumer"],
        ),
        (
            "expires: 2027-01-15T08:00:00Z",
            "expires: 2027-01-01",
            &["expired-consumer"],
        ),
        (
            "environment: live",
            "expires: 2027-01-01",
            &["expired-credential"],
        ),
    ] {
        assert_eq!(codes(&text(consumer, key)), expected, "{consumer} {key}");
    }
}

#[test]
fn a_comment_allows_what_is_meant() {
    let text = |above: &str, behind: &str| {
        with(&format!(
            "  p:
    hosts: [a]
    authenticate: key
    routes:
      - {{path: /admin/**}}
{above}      - {{path: /admin/health, public: true}}{behind}
"
        ))
    };
    for (above, behind, allowed) in [
        ("", "", false),
        ("", " # portcullis: allow(public-below-protected)", true),
        (
            "",
            " # for the balancer; portcullis: allow(a, public-below-protected)",
            true,
        ),
        ("", " # portcullis: allow(public)", false),
        (
            "      # portcullis: allow(public-below-protected)\n",
            "",
            true,
        ),
        (
            "      # portcullis: allow(public-below-protected)\n      # the balancer asks\n",
            "",
            true,
        ),
        (
            "      # portcullis: allow(public-below-protected)\n\n",
            "",
            false,
        ),
    ] {
        let codes = codes(&text(above, behind));
        assert_eq!(codes.is_empty(), allowed, "{above:?} {behind:?}: {codes:?}");
    }
}

#[test]
fn nothing_is_concluded_from_what_could_not_be_read() {
    let mut out = Diagnostics::default();
    let text = "authenticators: {key: {api_key: {}}}
consumers: {acme: {expires: 2020-01-01, credentials: {key: [{}]}}}
policies: {p: {hosts: [a], authenticate: kye, routes: {/: a}}}";
    let set = read(&[("policy.yaml", text)], &mut out);
    let key_sets = key_sets(&set, &mut out);
    let _ = compile_with(&set, key_sets, &mut out);
    let errors = out.error_count();
    assert!(errors > 0);
    lint(&set, &[], Timestamp::from_seconds(NOW), &mut out);
    assert_eq!(
        (out.error_count(), out.warning_count()),
        (errors, 1),
        "{}",
        out.render()
    );
}

#[test]
fn what_tenants_use_is_used_and_theirs_is_theirs() {
    let root = "authenticators:
  lent: {api_key: {}}
  required: {api_key: {from: {header: x-gateway}}}
  idle: {api_key: {from: {header: x-idle}}}
tenants: {team: {hosts: [t], use: [lent], scopes: ['team:*']}}
defaults: {environment: test, require: {authenticators: [required]}}
policies: {p: {hosts: [a], public: true, routes: [{path: /}]}}";
    let entry = key_entry("one", "one");
    let team = |scope: &str| {
        format!(
            "authenticators: {{own: {{api_key: {{from: {{header: x-own}}}}}}}}
consumers: {{c: {{scopes: ['team:read'], credentials: {{own: [{entry}]}}}}}}
policies: {{p: {{hosts: [t], authenticate: own, routes: {{/a: {scope}, /b: {{authenticate: lent, scopes: team:other}}}}}}}}"
        )
    };
    for (scope, expected) in [
        ("team:read", &["unused-authenticator"][..]),
        (
            "team:write",
            &["unused-authenticator", "scope-nobody-grants"],
        ),
    ] {
        let mut out = Diagnostics::default();
        let root = read(&[("policy.yaml", root)], &mut out);
        let team = read(&[("team/policy.yaml", &team(scope))], &mut out);
        lint(&root, &[&team], Timestamp::from_seconds(NOW), &mut out);
        let codes: Vec<&str> = mistakes(&out).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, expected, "{}", out.render());
    }
}
