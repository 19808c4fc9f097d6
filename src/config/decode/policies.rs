//! `defaults` and `policies`.

use crate::config::decode::{authenticate, choice, defaults, levels, located, named, texts};
use crate::config::language::{
    DEFAULTS, GRPC, INJECTED, POLICY, REQUIRED_SCOPES, ROUTE, SHORT_ROUTE,
};
use crate::config::yaml::{self, EmptyList, Entry, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, excerpt};
use crate::policy::source::{
    AuthenticateSource, CoversSource, DefaultsSource, InjectSource, LevelSource, Located, Named,
    PolicySource, RouteSource, ScopesSource,
};

pub(super) fn defaults(node: &Node, defaults: &mut DefaultsSource, out: &mut Diagnostics) {
    let Some(fields) = Fields::new(node, &DEFAULTS, out) else {
        return;
    };
    let level = level(&fields, out);
    // Several files may hold `defaults`; each key may be said once.
    let into = &mut defaults.level;
    once(
        &mut into.authenticate,
        level.authenticate,
        "authenticate",
        out,
    );
    once(&mut into.optional, level.optional, "optional", out);
    once(&mut into.public, level.public, "public", out);
    once(&mut into.scopes, level.scopes, "scopes", out);
    once(&mut into.environment, level.environment, "environment", out);
    once(&mut into.roles, level.roles, "roles", out);
    once(&mut into.callers, level.callers, "callers", out);
    once(&mut into.allow_ips, level.allow_ips, "allow_ips", out);
    once(&mut into.when, level.when, "when", out);
    once(&mut into.cors, level.cors, "cors", out);
    once(&mut into.mode, level.mode, "mode", out);
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
    let unknown = fields
        .get("unknown_route")
        .and_then(|node| choice(node, "`unknown_route`", ["forbidden", "not_found"], out));
    let into = &mut defaults.unknown_route_not_found;
    once(into, unknown, "unknown_route", out);
    let unenforced = fields
        .get("unenforced")
        .and_then(|node| choice(node, "`unenforced`", ["deny", "allow"], out));
    let into = &mut defaults.unenforced_allow;
    once(into, unenforced, "unenforced", out);
    let hops = fields
        .get("client_address")
        .and_then(|node| defaults::client_address(node, out));
    once(&mut defaults.trusted_hops, hops, "client_address", out);
    let paths = fields
        .get("paths")
        .and_then(|node| defaults::paths(node, out));
    once(&mut defaults.paths, paths, "paths", out);
    let errors = fields
        .get("errors")
        .and_then(|node| defaults::errors(node, out));
    once(&mut defaults.disclose_scopes, errors, "errors", out);
    let require = fields
        .get("require")
        .and_then(|node| defaults::require(node, out));
    once(&mut defaults.require, require, "require", out);
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

fn report_twice(key: &str, first: &Place, again: &Place, out: &mut Diagnostics) {
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
        external_url: None,
        level: LevelSource::default(),
        routes: Vec::new(),
    };
    let Some(fields) = Fields::new(node, &POLICY, out) else {
        return source;
    };
    source.level = level(&fields, out);
    source.external_url = fields
        .get("external_url")
        .and_then(|node| located(node, "`external_url`", out));
    if let Some(node) = fields.require("hosts", out) {
        source.hosts = texts(node, "`hosts`", out).unwrap_or_default();
    }
    if let Some(node) = fields.require("routes", out) {
        source.routes = routes(node, out);
    }
    source
}

fn routes(node: &Node, out: &mut Diagnostics) -> Vec<RouteSource> {
    if let yaml::Value::Mapping(entries) = &node.value {
        if entries.is_empty() {
            let message = "`routes` is empty: no request would be let through";
            out.push(Diagnostic::error("empty-list", &node.place, message));
        }
        let routes = entries.iter();
        return routes.filter_map(|entry| short_route(entry, out)).collect();
    }
    let Some(items) = yaml::sequence(node, "`routes`", EmptyList::Refused, out) else {
        return Vec::new();
    };
    items.iter().filter_map(|item| route(item, out)).collect()
}

fn route(node: &Node, out: &mut Diagnostics) -> Option<RouteSource> {
    let fields = Fields::new(node, &ROUTE, out)?;
    let level = level(&fields, out);
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

/// A route in the short form: methods and path, then `public`, the required scopes, or the keys of a
/// level.
fn short_route(entry: &Entry, out: &mut Diagnostics) -> Option<RouteSource> {
    let covers = short_covers(&entry.key, &entry.key_place, out)?;
    let node = &entry.value;
    let mut level = LevelSource::default();
    match &node.value {
        yaml::Value::Mapping(_) => {
            level = self::level(&Fields::new(node, &SHORT_ROUTE, out)?, out);
        }
        yaml::Value::Null => {
            let message = format!("the route `{}` says nothing", excerpt(&entry.key));
            out.push(
                Diagnostic::error("missing-value", &entry.key_place, message)
                    .with_help("write a scope, `public`, or `{}` where a credential is enough"),
            );
            return None;
        }
        yaml::Value::Scalar(_) if yaml::text(node, "a route", out)? == "public" => {
            level.public = Some(Located {
                value: true,
                place: node.place.clone(),
            });
        }
        _ => level.scopes = scopes(node, out),
    }
    Some(RouteSource {
        place: entry.key_place.clone(),
        covers: Some(covers),
        level,
    })
}

/// `PUT|DELETE /items/{id}`, or a path alone.
fn short_covers(key: &str, place: &Place, out: &mut Diagnostics) -> Option<CoversSource> {
    let at = |value: &str| Located {
        value: value.to_owned(),
        place: place.clone(),
    };
    let (methods, path) = match key.split_once(' ') {
        Some((methods, path)) => (methods.split('|').map(at).collect(), path),
        None => (Vec::new(), key),
    };
    if !path.starts_with('/') || path.contains(' ') {
        let message = format!("`{}` is no route", excerpt(key));
        out.push(
            Diagnostic::error("bad-route", place, message)
                .with_help("write methods and a path: `GET /items: items:read`, `PUT|DELETE /items/{id}: items:write`"),
        );
        return None;
    }
    Some(CoversSource::Path {
        path: at(path),
        methods,
    })
}

fn grpc(node: &Node, out: &mut Diagnostics) -> Option<CoversSource> {
    let fields = Fields::new(node, &GRPC, out)?;
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
fn level(fields: &Fields<'_>, out: &mut Diagnostics) -> LevelSource {
    LevelSource {
        authenticate: fields
            .get("authenticate")
            .map(|node| authenticate::authenticate(node, out).unwrap_or_else(|| unread(node))),
        optional: fields
            .get("optional")
            .and_then(|node| flag(node, "`optional`", out)),
        public: fields
            .get("public")
            .and_then(|node| flag(node, "`public`", out)),
        scopes: fields.get("scopes").and_then(|node| scopes(node, out)),
        environment: fields
            .get("environment")
            .and_then(|node| environment(node, out)),
        inject: fields
            .get("inject")
            .map(|node| inject(node, out))
            .unwrap_or_default(),
        roles: fields
            .get("roles")
            .and_then(|node| levels::roles(node, out)),
        callers: fields
            .get("callers")
            .and_then(|node| levels::callers(node, out)),
        allow_ips: fields
            .get("allow_ips")
            .and_then(|node| levels::allow_ips(node, out)),
        when: fields
            .get("when")
            .and_then(|node| located(node, "`when`", out)),
        mode: fields.get("mode").and_then(|node| levels::mode(node, out)),
        cors: fields.get("cors").and_then(|node| levels::cors(node, out)),
    }
}

/// Stands where `authenticate` was written and could not be read, so that nobody is told that it is
/// missing.
fn unread(node: &Node) -> Located<AuthenticateSource> {
    Located {
        value: AuthenticateSource::Any(Vec::new()),
        place: node.place.clone(),
    }
}

pub(super) fn environment(node: &Node, out: &mut Diagnostics) -> Option<Located<String>> {
    let environment = located(node, "`environment`", out)?;
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if environment.value.is_empty()
        || environment.value.len() > 64
        || !environment.value.bytes().all(word)
    {
        let message = format!(
            "`{}` cannot name an environment",
            excerpt(&environment.value)
        );
        out.push(
            Diagnostic::error("bad-environment", &environment.place, message)
                .with_help("write 1 to 64 letters, digits and hyphens, as in `live` or `test-2`"),
        );
    }
    Some(environment)
}

fn flag(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Located<bool>> {
    let value = yaml::boolean(node, what, out)?;
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

fn scopes(node: &Node, out: &mut Diagnostics) -> Option<Located<ScopesSource>> {
    let value = match &node.value {
        yaml::Value::Mapping(_) => {
            let fields = Fields::new(node, &REQUIRED_SCOPES, out)?;
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
                let Some(fields) = Fields::new(&entry.value, &INJECTED, out) else {
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
