//! What a route covers: paths and methods.

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::headers::is_header_name;
use crate::policy::pattern::{PathPattern, Segment};
use crate::policy::route::RouteMethods;
use crate::policy::source::{CoversSource, Located};

/// The paths that a route covers, each with its methods. With `ignore_slash`, a slash at the end of a
/// path is not part of it.
pub(super) fn covered<'a>(
    covers: &'a CoversSource,
    ignore_slash: bool,
    out: &mut Diagnostics,
) -> Vec<(String, &'a Place, PathPattern, RouteMethods)> {
    match covers {
        CoversSource::Path { path, methods } => match PathPattern::parse(&path.value) {
            Ok(mut pattern) => {
                let slash = Segment::Literal("".into());
                if ignore_slash && pattern.segments.len() > 1 {
                    pattern.segments.pop_if(|last| *last == slash);
                }
                let methods = route_methods(methods, out);
                vec![(path.value.clone(), &path.place, pattern, methods)]
            }
            Err(why) => {
                let message = format!("`{}` is no path pattern", path.value);
                out.push(Diagnostic::error("bad-path", &path.place, message).with_help(why));
                Vec::new()
            }
        },
        CoversSource::Grpc { service, methods } => {
            check_grpc_name(service, true, out);
            let literal = |text: &str| Segment::Literal(text.into());
            let post = || RouteMethods::Named(vec!["POST".into()]);
            if methods.is_empty() {
                let segments = vec![literal(&service.value), Segment::Parameter("method".into())];
                let path = format!("/{}/{{method}}", service.value);
                let pattern = PathPattern {
                    segments,
                    below: false,
                };
                return vec![(path, &service.place, pattern, post())];
            }
            let mut paths = Vec::new();
            for method in methods {
                check_grpc_name(method, false, out);
                let segments = vec![literal(&service.value), literal(&method.value)];
                let path = format!("/{}/{}", service.value, method.value);
                paths.push((
                    path,
                    &method.place,
                    PathPattern {
                        segments,
                        below: false,
                    },
                    post(),
                ));
            }
            paths
        }
    }
}

fn check_grpc_name(name: &Located<String>, dots: bool, out: &mut Diagnostics) {
    let word = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let good = if dots {
        name.value.split('.').all(word)
    } else {
        word(&name.value)
    };
    if !good {
        let (what, example) = if dots {
            ("gRPC service", "orders.v1.OrderService")
        } else {
            ("gRPC method", "GetOrder")
        };
        let message = format!("`{}` is no {what}", name.value);
        out.push(
            Diagnostic::error("bad-grpc-name", &name.place, message)
                .with_help(format!("write it as in the .proto file: `{example}`")),
        );
    }
}

fn route_methods(methods: &[Located<String>], out: &mut Diagnostics) -> RouteMethods {
    if methods.is_empty() {
        return RouteMethods::Usual;
    }
    let mut names: Vec<Box<str>> = Vec::new();
    for method in methods {
        let token = !method.value.is_empty() && is_header_name(&method.value.to_ascii_lowercase());
        let known = [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY",
        ];
        let upper = method.value.to_ascii_uppercase();
        if !token || method.value.len() > 32 {
            let message = format!("`{}` is no method", method.value);
            out.push(Diagnostic::error("bad-method", &method.place, message));
        } else if upper != method.value && known.contains(&upper.as_str()) {
            let message = format!(
                "methods are case-sensitive, and `{}` is none that is in use",
                method.value
            );
            let help = format!("write `{upper}`");
            out.push(Diagnostic::error("bad-method", &method.place, message).with_help(help));
        } else if names.iter().any(|name| **name == *method.value) {
            let message = format!("`{}` is listed twice", method.value);
            out.push(Diagnostic::error(
                "duplicate-method",
                &method.place,
                message,
            ));
        } else {
            names.push(method.value.as_str().into());
        }
    }
    RouteMethods::Named(names)
}
