use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};

use super::{Route, RouteIndex, RouteMethods, RouteTable};
use crate::diagnostic::{Place, SourceFile};
use crate::headers::plan::Managed;
use crate::policy::inject::{InjectPlan, Owned};
use crate::policy::pattern::{HostPattern, PathPattern, Segment};
use crate::request::Request;
use crate::test_support::raw;
use crate::verdict::Reason;

fn route(policy: &str, path: &str) -> Arc<Route> {
    Arc::new(Route {
        external: None,
        tenant: None,
        owned: Arc::new(Owned::new(Managed::new([], ""))),
        position: 0,
        disclose_scopes: false,
        conditions: Vec::new(),
        allow_ips: Vec::new(),
        callers: Vec::new(),
        roles: Vec::new(),
        policy: policy.into(),
        path: path.into(),
        place: Place::new(&SourceFile::new("policy.yaml", ""), 0, 0),
        parameters: Box::default(),
        authn: None,
        environment: "live".into(),
        scopes: Vec::new(),
        cors: None,
        inject: Arc::new(InjectPlan::new(Vec::new(), &Managed::new([], ""))),
    })
}

fn named(methods: &[&str]) -> RouteMethods {
    if methods.is_empty() {
        RouteMethods::Usual
    } else {
        RouteMethods::Named(methods.iter().map(|name| (*name).into()).collect())
    }
}

fn table(policy: &str, routes: &[(&str, &[&str])]) -> RouteTable {
    let mut table = RouteTable::default();
    for (path, methods) in routes {
        let pattern = PathPattern::parse(path).unwrap();
        let inserted = table.insert(&pattern, &named(methods), &route(policy, path));
        assert!(inserted.is_ok(), "{path}");
    }
    table
}

fn index(routes: &[(&str, &[&str])]) -> RouteIndex {
    let mut index = RouteIndex::new(false);
    let table = index.add_table(table("p", routes));
    index.serve(HostPattern::Any, table);
    index
}

fn request(method: &str, host: &str, path: &str) -> Request {
    let mut check = raw(method, path, &[]);
    check.host = Bytes::copy_from_slice(host.as_bytes());
    Request::read(check, &crate::request::Reading::default()).unwrap()
}

/// The path of the route that is chosen, or why none is.
fn choose(index: &RouteIndex, method: &str, path: &str) -> Result<String, Reason> {
    match index.choose(&request(method, "h", path)) {
        Ok(route) => Ok(route.path.to_string()),
        Err(refusal) => Err(refusal.reason),
    }
}

#[test]
fn the_most_specific_path_is_chosen_segment_by_segment() {
    let index = index(&[
        ("/", &[]),
        ("/a", &[]),
        ("/a/**", &[]),
        ("/a/b", &[]),
        ("/a/{x}/c", &[]),
        ("/a/b/d", &[]),
        ("/{x}/b/e", &[]),
        ("/t/", &[]),
        ("/t/{x}", &[]),
        ("/a b", &[]),
    ]);
    for (path, chosen) in [
        ("/", Ok("/")),
        ("/a", Ok("/a")),
        ("/a/", Ok("/a/**")),
        ("/a/b", Ok("/a/b")),
        ("/a/b/c", Ok("/a/{x}/c")),
        ("/a/z/c", Ok("/a/{x}/c")),
        ("/a/b/d", Ok("/a/b/d")),
        ("/a/b/x", Ok("/a/**")),
        // Going back over two levels: `/a` leads nowhere but to `/a/**`, which is more specific.
        ("/a/b/e", Ok("/a/**")),
        ("/z/b/e", Ok("/{x}/b/e")),
        ("/z/b", Err(Reason::RouteUnknown)),
        ("/b", Err(Reason::RouteUnknown)),
        ("/A", Err(Reason::RouteUnknown)),
        ("/t", Err(Reason::RouteUnknown)),
        ("/t/", Ok("/t/")),
        ("/t/1", Ok("/t/{x}")),
        ("/a%20b", Ok("/a b")),
        ("/%61", Ok("/a")),
        ("/a?b=/t/1", Ok("/a")),
    ] {
        assert_eq!(
            choose(&index, "GET", path),
            chosen.map(str::to_owned),
            "{path}"
        );
    }
}

#[test]
fn p7_a_parameter_is_never_empty_and_a_trailing_slash_is_another_path() {
    let index = index(&[("/orders", &[]), ("/orders/{id}", &[])]);
    assert_eq!(choose(&index, "GET", "/orders"), Ok("/orders".to_owned()));
    assert_eq!(choose(&index, "GET", "/orders/"), Err(Reason::RouteUnknown));
    assert_eq!(
        choose(&index, "GET", "/orders/1/"),
        Err(Reason::RouteUnknown)
    );
}

#[test]
fn the_path_is_chosen_before_the_method() {
    let index = index(&[
        ("/a", &["GET", "POST"]),
        ("/b", &[]),
        ("/c", &["GET"]),
        ("/c/**", &["DELETE"]),
        ("/d", &["HEAD"]),
        ("/e", &["CONNECT"]),
    ]);
    for (method, path, chosen) in [
        ("GET", "/a", Ok("/a")),
        ("POST", "/a", Ok("/a")),
        ("HEAD", "/a", Ok("/a")),
        ("PUT", "/a", Err("GET, HEAD, POST")),
        ("get", "/a", Err("GET, HEAD, POST")),
        ("OPTIONS", "/a", Err("GET, HEAD, POST")),
        ("QUERY", "/b", Ok("/b")),
        (
            "TRACE",
            "/b",
            Err("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ),
        (
            "CONNECT",
            "/b",
            Err("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ),
        // `/c/**` covers `/c` too, and yet no choice falls back.
        ("DELETE", "/c", Err("GET, HEAD")),
        ("DELETE", "/c/x", Ok("/c/**")),
        ("GET", "/d", Err("HEAD")),
        ("CONNECT", "/e", Ok("/e")),
        ("GET", "/e", Err("CONNECT")),
    ] {
        match (index.choose(&request(method, "h", path)), chosen) {
            (Ok(route), Ok(expected)) => assert_eq!(&*route.path, expected),
            (Err(refusal), Err(allow)) => {
                assert_eq!(refusal.reason, Reason::MethodNotAllowed);
                assert_eq!(
                    refusal.allowed_methods.as_deref(),
                    Some(allow),
                    "{method} {path}"
                );
            }
            (chosen, expected) => panic!("{method} {path}: {chosen:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_route_of_its_own_for_head_goes_before_the_one_for_get() {
    let mut table = RouteTable::default();
    let pattern = PathPattern::parse("/a").unwrap();
    for (method, name) in [("GET", "get"), ("HEAD", "head")] {
        assert!(
            table
                .insert(&pattern, &named(&[method]), &route("p", name))
                .is_ok()
        );
    }
    let mut index = RouteIndex::new(false);
    let table = index.add_table(table);
    index.serve(HostPattern::Any, table);
    assert_eq!(choose(&index, "HEAD", "/a"), Ok("head".to_owned()));
    assert_eq!(choose(&index, "GET", "/a"), Ok("get".to_owned()));
}

#[test]
fn two_routes_for_one_method_and_path_are_a_conflict() {
    for (first, second, conflict) in [
        (&["GET"][..], &["GET"][..], true),
        (&["GET", "PUT"], &["POST", "PUT"], true),
        (&["GET"], &["POST"], false),
        (&["GET"], &["HEAD"], false),
        (&[], &[], true),
        (&[], &["GET"], true),
        (&["GET"], &[], true),
        (&[], &["TRACE"], false),
        (&["CONNECT", "TRACE"], &[], false),
    ] {
        for (path, twin) in [("/a/{x}", "/a/{y}"), ("/a", "/a"), ("/a/**", "/a/**")] {
            let mut table = RouteTable::default();
            let parse = |path| PathPattern::parse(path).unwrap();
            assert!(
                table
                    .insert(&parse(path), &named(first), &route("p", "first"))
                    .is_ok()
            );
            let inserted = table.insert(&parse(twin), &named(second), &route("p", "second"));
            assert_eq!(inserted.is_err(), conflict, "{first:?} {second:?} {path}");
            if let Err(first) = inserted {
                assert_eq!(&*first.path, "first");
            }
        }
    }
}

#[test]
fn o1_o2_the_most_specific_host_is_chosen_and_no_other() {
    let mut index = RouteIndex::new(false);
    for (host, path) in [
        ("api.example.com", "/exact"),
        ("*.example.com", "/below"),
        ("*.api.example.com", "/deeper"),
        ("*", "/any"),
    ] {
        let table = index.add_table(table("p", &[(path, &[])]));
        index.serve(HostPattern::parse(host).unwrap(), table);
    }
    for (host, path) in [
        ("api.example.com", "/exact"),
        ("API.Example.COM", "/exact"),
        ("api.example.com:8443", "/exact"),
        ("api.example.com.", "/exact"),
        ("www.example.com", "/below"),
        ("a.b.example.com", "/below"),
        ("v1.api.example.com", "/deeper"),
        ("a.v1.api.example.com", "/deeper"),
        ("example.com", "/any"),
        ("badexample.com", "/any"),
        ("example.com.evil.org", "/any"),
        ("com", "/any"),
        ("[::1]:80", "/any"),
    ] {
        for other in ["/exact", "/below", "/deeper", "/any"] {
            let chosen = index.choose(&request("GET", host, other)).is_ok();
            assert_eq!(chosen, other == path, "{host} {other}");
        }
    }
}

#[test]
fn a_host_that_nobody_serves_is_unknown() {
    for (not_found, status) in [(false, None), (true, Some(404))] {
        let mut index = RouteIndex::new(not_found);
        let table = index.add_table(table("p", &[("/a", &[])]));
        index.serve(HostPattern::parse("a.example").unwrap(), table);
        for (host, path) in [("b.example", "/a"), ("a.example", "/b")] {
            let refusal = index.choose(&request("GET", host, path)).unwrap_err();
            assert_eq!(refusal.reason, Reason::RouteUnknown);
            assert_eq!(refusal.status, status);
        }
    }
}

#[test]
fn a_pinned_policy_answers_alone_and_on_its_own_hosts_only() {
    let mut index = RouteIndex::new(false);
    let hosts = |text: &str| vec![HostPattern::parse(text).unwrap()];
    let shared = index.add_table(table("shared", &[("/shared", &[]), ("/one", &[])]));
    index.serve(HostPattern::Any, shared);
    let one = index.add_table(table("one", &[("/one", &[])]));
    index.pin("one", hosts("*.example.com"), one);
    let pinned = |pins: &[&[u8]], host: &str, path: &str| {
        let mut check = raw("GET", path, &[]);
        check.host = Bytes::copy_from_slice(host.as_bytes());
        let key = Bytes::from_static(b"policy");
        let pins = pins
            .iter()
            .map(|pin| (key.clone(), Bytes::copy_from_slice(pin)));
        check.context_extensions = pins.collect();
        let chosen = index
            .choose(&Request::read(check, &crate::request::Reading::default()).unwrap())
            .cloned();
        chosen
            .map(|route| route.policy.to_string())
            .map_err(|refusal| refusal.reason)
    };
    assert_eq!(
        pinned(&[], "a.example.com", "/one"),
        Ok("shared".to_owned())
    );
    assert_eq!(
        pinned(&[b"one"], "a.example.com", "/one"),
        Ok("one".to_owned())
    );
    assert_eq!(
        pinned(&[b"one"], "a.example.com", "/shared"),
        Err(Reason::RouteUnknown)
    );
    assert_eq!(
        pinned(&[b"one"], "a.example.org", "/one"),
        Err(Reason::RouteUnknown)
    );
    for unknown in [&b"two"[..], b"", b"One", b"one ", b"\xff"] {
        assert_eq!(
            pinned(&[unknown], "a.example.com", "/one"),
            Err(Reason::PolicyUnknown)
        );
    }
    // A repeated key of a protobuf map: the last one counts.
    assert_eq!(
        pinned(&[b"two", b"one"], "a.example.com", "/one"),
        Ok("one".to_owned())
    );
    assert_eq!(
        pinned(&[b"one", b"two"], "a.example.com", "/one"),
        Err(Reason::PolicyUnknown)
    );
}

#[test]
fn f6_the_longest_patterns_cost_no_stack() {
    let segments: Vec<Segment> = (0..200_000)
        .map(|n| Segment::Literal(n.to_string().into()))
        .collect();
    let pattern = PathPattern {
        segments,
        below: false,
    };
    let mut table = RouteTable::default();
    assert!(
        table
            .insert(&pattern, &RouteMethods::Usual, &route("p", "/deep"))
            .is_ok()
    );
    drop(table);
}

/// How specific a pattern is: what stands at each segment, then how it ends.
fn rank(pattern: &PathPattern) -> Vec<u8> {
    let mut rank: Vec<u8> = pattern
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(_) => 3,
            Segment::Parameter(_) => 2,
        })
        .collect();
    // The end of the path is reached exactly, or by what covers everything below.
    rank.push(if pattern.below { 1 } else { 4 });
    rank
}

fn covers(pattern: &PathPattern, segments: &[&str]) -> bool {
    let long_enough = if pattern.below {
        segments.len() >= pattern.segments.len()
    } else {
        segments.len() == pattern.segments.len()
    };
    long_enough
        && pattern
            .segments
            .iter()
            .zip(segments)
            .all(|(pattern, segment)| match pattern {
                Segment::Literal(text) => **text == **segment,
                Segment::Parameter(_) => !segment.is_empty(),
            })
}

type Written = (PathPattern, Vec<&'static str>);

/// The reference: looks at every route, keeps those of the most specific path that covers the request,
/// and asks these for the method.
fn reference(routes: &[Written], method: &str, segments: &[&str]) -> Result<usize, Reason> {
    let covering = || {
        let all = routes.iter().enumerate();
        all.filter(|(_, (pattern, _))| covers(pattern, segments))
    };
    let Some(best) = covering().map(|(_, (pattern, _))| rank(pattern)).max() else {
        return Err(Reason::RouteUnknown);
    };
    let here = || covering().filter(|(_, (pattern, _))| rank(pattern) == best);
    let usual = !matches!(method, "CONNECT" | "TRACE");
    let exactly =
        here().find(|(_, (_, methods))| methods.contains(&method) || (methods.is_empty() && usual));
    let as_get = || here().find(|(_, (_, methods))| method == "HEAD" && methods.contains(&"GET"));
    let found = exactly.or_else(as_get);
    found.map(|(n, _)| n).ok_or(Reason::MethodNotAllowed)
}

fn segment() -> impl Strategy<Value = Segment> {
    prop_oneof![
        3 => "[ab]".prop_map(|text| Segment::Literal(text.into())),
        2 => Just(Segment::Parameter("p".into())),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let methods = prop_oneof![
        2 => Just(vec![]),
        2 => Just(vec!["GET"]),
        1 => Just(vec!["POST", "PUT"]),
        1 => Just(vec!["HEAD"]),
        1 => Just(vec!["TRACE"]),
    ];
    let segments = proptest::collection::vec(segment(), 0..5);
    (
        segments,
        proptest::bool::ANY,
        proptest::bool::weighted(0.2),
        methods,
    )
        .prop_map(|(mut segments, below, slash, methods)| {
            if (slash || segments.is_empty()) && !below {
                segments.push(Segment::Literal("".into()));
            }
            (PathPattern { segments, below }, methods)
        })
}

proptest! {
    #[test]
    fn the_index_agrees_with_a_look_at_every_route(
        routes in proptest::collection::vec(written(), 1..14),
        paths in proptest::collection::vec("(/[abc]){0,5}/?", 1..12),
        method in "GET|HEAD|POST|PUT|DELETE|TRACE|CONNECT|get",
    ) {
        let mut table = RouteTable::default();
        let mut kept: Vec<Written> = Vec::new();
        for (pattern, methods) in routes {
            let number = kept.len().to_string();
            if table.insert(&pattern, &named(&methods), &route("p", &number)).is_ok() {
                kept.push((pattern, methods));
            }
        }
        let mut index = RouteIndex::new(false);
        let table = index.add_table(table);
        index.serve(HostPattern::Any, table);
        for path in paths.iter().filter(|path| !path.is_empty()) {
            let segments: Vec<&str> = path.split('/').skip(1).collect();
            let expected = reference(&kept, &method, &segments).map(|n| n.to_string());
            prop_assert_eq!(choose(&index, &method, path), expected, "{} {}", method, path);
        }
    }
}
