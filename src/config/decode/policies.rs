//! `defaults` and `policies`.

use crate::config::decode::{located, named, not_yet, texts};
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::{
    CoversSource, DefaultsSource, InjectSource, LevelSource, Located, Named, PolicySource,
    RouteSource, ScopesSource,
};

/// The keys of every level that this version honours.
const LEVEL: [&str; 5] = ["authenticate", "public", "scopes", "environment", "inject"];

/// The keys of every level that the language has and this version has not.
const LATER: [&str; 8] = [
    "optional",
    "cors",
    "mode",
    "roles",
    "when",
    "callers",
    "allow_ips",
    "limit",
];

pub(super) fn defaults(node: &Node, defaults: &mut DefaultsSource, out: &mut Diagnostics) {
    let own = ["reserved_prefix", "unknown_route"];
    let later = ["client_address", "paths", "errors", "require", "unenforced"];
    let keys: Vec<&str> = LEVEL
        .into_iter()
        .chain(LATER)
        .chain(own)
        .chain(later)
        .collect();
    let Some(fields) = Fields::new(node, "`defaults`", &keys, out) else {
        return;
    };
    not_yet(&fields, &later, "`defaults`", out);
    let level = level(&fields, "`defaults`", out);
    // Several files may hold `defaults`; each key may be said once.
    let into = &mut defaults.level;
    once(
        &mut into.authenticate,
        level.authenticate,
        "authenticate",
        out,
    );
    once(&mut into.public, level.public, "public", out);
    once(&mut into.scopes, level.scopes, "scopes", out);
    once(&mut into.environment, level.environment, "environment", out);
    for inject in level.inject {
        if let Some(first) = into
            .inject
            .iter()
            .find(|other| other.name.value == inject.name.value)
        {
            report_twice(
                &inject.name.value,
                &first.name.place,
                &inject.name.place,
                out,
            );
        } else {
            into.inject.push(inject);
        }
    }
    let prefix = fields
        .get("reserved_prefix")
        .and_then(|node| located(node, "`reserved_prefix`", out));
    once(
        &mut defaults.reserved_prefix,
        prefix,
        "reserved_prefix",
        out,
    );
    let unknown = fields.get("unknown_route").and_then(|node| {
        let text = yaml::text(node, "`unknown_route`", out)?;
        if !matches!(text, "not_found" | "forbidden") {
            let message = format!("`{text}` is not a way to answer unknown routes");
            out.push(
                Diagnostic::error("bad-value", &node.place, message)
                    .with_help("write `forbidden` (403, the default) or `not_found` (404)"),
            );
        }
        Some(Located {
            value: text == "not_found",
            place: node.place.clone(),
        })
    });
    once(
        &mut defaults.unknown_route_not_found,
        unknown,
        "unknown_route",
        out,
    );
}

fn once<T>(
    into: &mut Option<Located<T>>,
    said: Option<Located<T>>,
    key: &str,
    out: &mut Diagnostics,
) {
    match (&into, said) {
        (_, None) => {}
        (Some(first), Some(again)) => report_twice(key, &first.place, &again.place, out),
        (None, said) => *into = said,
    }
}

fn report_twice(
    key: &str,
    first: &crate::diagnostic::Place,
    again: &crate::diagnostic::Place,
    out: &mut Diagnostics,
) {
    out.push(
        Diagnostic::error(
            "duplicate-default",
            again,
            format!("`{key}` of `defaults` is said twice"),
        )
        .with_related(first, "first said here")
        .with_help("keep one of the two: the order of files never decides"),
    );
}

pub(super) fn section(node: &Node, policies: &mut Vec<Named<PolicySource>>, out: &mut Diagnostics) {
    policies.extend(named(node, "`policies`", out, policy));
}

fn policy(node: &Node, out: &mut Diagnostics) -> PolicySource {
    let mut source = PolicySource {
        hosts: Vec::new(),
        level: LevelSource::default(),
        routes: Vec::new(),
    };
    let later = ["external_url"];
    let keys: Vec<&str> = LEVEL
        .into_iter()
        .chain(LATER)
        .chain(["hosts", "routes"])
        .chain(later)
        .collect();
    let Some(fields) = Fields::new(node, "a policy", &keys, out) else {
        return source;
    };
    not_yet(&fields, &later, "a policy", out);
    source.level = level(&fields, "a policy", out);
    if let Some(node) = fields.require("hosts", out) {
        source.hosts = texts(node, "`hosts`", out).unwrap_or_default();
    }
    if let Some(node) = fields.require("routes", out) {
        source.routes = routes(node, out);
    }
    source
}

fn routes(node: &Node, out: &mut Diagnostics) -> Vec<RouteSource> {
    if let yaml::Value::Mapping(_) = node.value {
        out.push(
            Diagnostic::error(
                "not-available",
                &node.place,
                "the short form of routes is not available in this version",
            )
            .with_help("write a list: `- {path: /items, methods: [GET], scopes: [items:read]}`"),
        );
        return Vec::new();
    }
    let Some(items) = yaml::sequence(node, "`routes`", EmptyList::Refused, out) else {
        return Vec::new();
    };
    items.iter().filter_map(|item| route(item, out)).collect()
}

fn route(node: &Node, out: &mut Diagnostics) -> Option<RouteSource> {
    let keys: Vec<&str> = LEVEL
        .into_iter()
        .chain(LATER)
        .chain(["path", "methods", "grpc"])
        .collect();
    let fields = Fields::new(node, "a route", &keys, out)?;
    let level = level(&fields, "a route", out);
    let covers = match (fields.get("path"), fields.get("grpc")) {
        (Some(path), None) => located(path, "`path`", out).and_then(|path| {
            let methods = match fields.get("methods") {
                Some(node) => texts(node, "`methods`", out)?,
                None => Vec::new(),
            };
            Some(CoversSource::Path { path, methods })
        }),
        (None, Some(node)) => {
            if let Some(entry) = fields.entry("methods") {
                out.push(
                    Diagnostic::error("bad-route", &entry.key_place, "a gRPC route is always POST")
                        .with_help("the service's own methods go inside: `grpc: {service: …, methods: […]}`"),
                );
            }
            grpc(node, out)
        }
        _ => {
            let message = "a route names exactly one of `path` and `grpc`";
            out.push(Diagnostic::error("bad-route", fields.place(), message));
            None
        }
    };
    Some(RouteSource {
        place: fields.place().clone(),
        covers,
        level,
    })
}

fn grpc(node: &Node, out: &mut Diagnostics) -> Option<CoversSource> {
    let fields = Fields::new(node, "`grpc`", &["service", "methods"], out)?;
    let service = fields
        .require("service", out)
        .and_then(|node| located(node, "`service`", out));
    let methods = match fields.get("methods") {
        Some(node) => texts(node, "`methods`", out)?,
        None => Vec::new(),
    };
    Some(CoversSource::Grpc {
        service: service?,
        methods,
    })
}

/// The keys that `defaults`, policies and routes share.
fn level(fields: &Fields<'_>, what: &str, out: &mut Diagnostics) -> LevelSource {
    not_yet(fields, &LATER, what, out);
    LevelSource {
        authenticate: fields
            .get("authenticate")
            .and_then(|node| authenticate(node, out)),
        public: fields.get("public").and_then(|node| {
            let value = yaml::boolean(node, "`public`", out)?;
            Some(Located {
                value,
                place: node.place.clone(),
            })
        }),
        scopes: fields.get("scopes").and_then(|node| scopes(node, out)),
        environment: fields
            .get("environment")
            .and_then(|node| environment(node, out)),
        inject: fields
            .get("inject")
            .map(|node| inject(node, out))
            .unwrap_or_default(),
    }
}

pub(super) fn environment(node: &Node, out: &mut Diagnostics) -> Option<Located<String>> {
    let environment = located(node, "`environment`", out)?;
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if environment.value.is_empty()
        || environment.value.len() > 64
        || !environment.value.bytes().all(word)
    {
        let message = "an environment is 1 to 64 letters, digits and hyphens";
        out.push(Diagnostic::error(
            "bad-environment",
            &environment.place,
            message,
        ));
    }
    Some(environment)
}

fn authenticate(node: &Node, out: &mut Diagnostics) -> Option<Located<Vec<Located<String>>>> {
    if let yaml::Value::Mapping(_) = node.value {
        out.push(
            Diagnostic::error(
                "not-available",
                &node.place,
                "`any` and `all` are not available in this version",
            )
            .with_help("write a name, or a list of names of which any one will do"),
        );
        return None;
    }
    let value = texts(node, "`authenticate`", out)?;
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

fn scopes(node: &Node, out: &mut Diagnostics) -> Option<Located<ScopesSource>> {
    let value = match &node.value {
        yaml::Value::Mapping(_) => {
            let fields = Fields::new(node, "`scopes`", &["any", "all"], out)?;
            match (fields.get("any"), fields.get("all")) {
                (Some(any), None) => ScopesSource::Any(texts(any, "`any`", out)?),
                (None, Some(all)) => ScopesSource::All(texts(all, "`all`", out)?),
                _ => {
                    let message = "`scopes` says exactly one of `any` and `all`";
                    out.push(Diagnostic::error("bad-scopes", &node.place, message));
                    return None;
                }
            }
        }
        _ => ScopesSource::All(texts(node, "`scopes`", out)?),
    };
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

fn inject(node: &Node, out: &mut Diagnostics) -> Vec<Named<InjectSource>> {
    let Some(entries) = yaml::mapping(node, "`inject`", out) else {
        return Vec::new();
    };
    let mut injected = Vec::new();
    for entry in entries {
        let source = match &entry.value.value {
            yaml::Value::Mapping(_) => {
                let what = "an injected header";
                let Some(fields) = Fields::new(&entry.value, what, &["value", "required"], out)
                else {
                    continue;
                };
                let expression = fields
                    .require("value", out)
                    .and_then(|node| located(node, "`value`", out));
                let required = fields
                    .get("required")
                    .and_then(|node| yaml::boolean(node, "`required`", out));
                expression.map(|expression| InjectSource {
                    expression,
                    required: required.unwrap_or(false),
                })
            }
            _ => located(&entry.value, "an injected value", out).map(|expression| InjectSource {
                expression,
                required: false,
            }),
        };
        if let Some(source) = source {
            let name = Located {
                value: entry.key.clone(),
                place: entry.key_place.clone(),
            };
            injected.push(Named {
                name,
                value: source,
            });
        }
    }
    injected
}
