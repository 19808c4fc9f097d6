//! `authenticators`.

use std::path::Path;

use crate::config::decode::{located, mtls, named, signed, texts};
use crate::config::language::{API_KEY, AUTHENTICATOR, CLAIMED_ROLES, JWKS, JWT, PLACE};
use crate::config::yaml::{self, EmptyList, Fields, Node, external_tag};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::{
    AuthenticatorSource, ClaimedRolesSource, FromSource, JwksSource, JwtSource, KindSource,
    Located, Named,
};

/// The longest `clock_skew`: five minutes.
const MAX_CLOCK_SKEW_SECONDS: u64 = 300;

pub(super) fn section(
    node: &Node,
    directory: &Path,
    authenticators: &mut Vec<Named<AuthenticatorSource>>,
    out: &mut Diagnostics,
) {
    authenticators.extend(named(node, "`authenticators`", out, |node, out| {
        one(node, directory, out)
    }));
}

fn one(node: &Node, directory: &Path, out: &mut Diagnostics) -> AuthenticatorSource {
    let mut source = AuthenticatorSource {
        from: Vec::new(),
        forward: false,
        kind: None,
    };
    if let yaml::Value::Mapping(entries) = &node.value
        && let [entry] = entries.as_slice()
        && AUTHENTICATOR
            .key(&entry.key)
            .is_some_and(|kind| kind.value.is_none())
    {
        let message = format!(
            "authenticators of kind `{}` are not available in this version",
            entry.key
        );
        let available: Vec<String> = kinds().map(|kind| format!("`{kind}`")).collect();
        out.push(
            Diagnostic::error("not-available", &entry.key_place, message)
                .with_help(format!("available kinds: {}", available.join(", "))),
        );
        return source;
    }
    let kinds: Vec<&str> = kinds().collect();
    let Some((kind, _, node)) = external_tag(node, AUTHENTICATOR.what, &kinds, out) else {
        return source;
    };
    // `api_key:` with nothing behind it asks for the kind's usual ways.
    let empty = Node {
        place: node.place.clone(),
        value: yaml::Value::Mapping(Vec::new()),
    };
    let node = if matches!(node.value, yaml::Value::Null) {
        &empty
    } else {
        node
    };
    source.kind = match kind {
        "api_key" => api_key(node, &mut source, out),
        "jwt" => jwt(node, directory, &mut source, out),
        "mtls" => mtls::mtls(node, directory, out),
        other => signed::kind(other, node, directory, &mut source, out),
    };
    source
}

/// The kinds that this version has.
fn kinds() -> impl Iterator<Item = &'static str> {
    let available = AUTHENTICATOR.all().filter(|kind| kind.value.is_some());
    available.map(|kind| kind.name)
}

fn api_key(
    node: &Node,
    source: &mut AuthenticatorSource,
    out: &mut Diagnostics,
) -> Option<KindSource> {
    let fields = Fields::new(node, &API_KEY, out)?;
    shared(&fields, source, out);
    let prefix = fields
        .get("prefix")
        .and_then(|node| located(node, "`prefix`", out));
    Some(KindSource::ApiKey { prefix })
}

fn jwt(
    node: &Node,
    directory: &Path,
    source: &mut AuthenticatorSource,
    out: &mut Diagnostics,
) -> Option<KindSource> {
    let fields = Fields::new(node, &JWT, out)?;
    shared(&fields, source, out);
    let issuer = fields
        .require("issuer", out)
        .and_then(|node| located(node, "`issuer`", out));
    if let Some(issuer) = issuer.as_ref().filter(|issuer| issuer.value.is_empty()) {
        out.push(Diagnostic::error(
            "empty-value",
            &issuer.place,
            "`issuer` is empty",
        ));
    }
    let audiences = fields
        .get("audiences")
        .map(|node| texts(node, "`audiences`", out).unwrap_or_default());
    for audience in audiences
        .iter()
        .flatten()
        .filter(|audience| audience.value.is_empty())
    {
        out.push(Diagnostic::error(
            "empty-value",
            &audience.place,
            "an audience is empty",
        ));
    }
    let any_audience = fields
        .get("any_audience")
        .and_then(|node| yaml::boolean(node, "`any_audience`", out));
    let algorithms = fields
        .get("algorithms")
        .and_then(|node| texts(node, "`algorithms`", out));
    let jwks = fields
        .get("jwks")
        .and_then(|node| jwks(node, directory, out));
    Some(KindSource::Jwt(Box::new(JwtSource {
        issuer,
        audiences,
        any_audience: any_audience.unwrap_or(false),
        algorithms: algorithms.unwrap_or_default(),
        jwks,
        clock_skew: clock_skew(&fields, out),
        roles: fields
            .get("roles")
            .and_then(|node| claimed_roles(node, out)),
        place: fields.place().clone(),
    })))
}

/// `roles`: nothing that a token claims counts but through `map`.
fn claimed_roles(node: &Node, out: &mut Diagnostics) -> Option<ClaimedRolesSource> {
    let fields = Fields::new(node, &CLAIMED_ROLES, out)?;
    let claim = fields
        .require("claim", out)
        .and_then(|node| located(node, "`claim`", out));
    let map = fields
        .require("map", out)
        .and_then(|node| yaml::mapping(node, "`map`", out));
    let map = map?
        .iter()
        .filter_map(|entry| Some((entry.key.clone(), located(&entry.value, "a role", out)?)))
        .collect();
    Some(ClaimedRolesSource { claim: claim?, map })
}

fn clock_skew(fields: &Fields<'_>, out: &mut Diagnostics) -> Option<u64> {
    let node = fields.get("clock_skew")?;
    let written = yaml::duration(node, "`clock_skew`", out)?;
    let skew = written.as_secs();
    if written.subsec_nanos() > 0 {
        let message = "`clock_skew` is counted in whole seconds, as dates in tokens are";
        out.push(Diagnostic::error("out-of-range", &node.place, message));
    }
    if skew > MAX_CLOCK_SKEW_SECONDS {
        let message = "`clock_skew` is more than five minutes";
        out.push(
            Diagnostic::error("out-of-range", &node.place, message)
                .with_help("clocks that far apart want mending; write at most `5m`"),
        );
    }
    Some(skew)
}

/// `from` and `forward`.
fn shared(fields: &Fields<'_>, source: &mut AuthenticatorSource, out: &mut Diagnostics) {
    source.forward = forward(fields, out);
    source.from = places(fields, out);
}

/// `forward`.
pub(super) fn forward(fields: &Fields<'_>, out: &mut Diagnostics) -> bool {
    let node = fields.get("forward");
    node.and_then(|node| yaml::boolean(node, "`forward`", out))
        .unwrap_or(false)
}

/// `from`.
pub(super) fn places(fields: &Fields<'_>, out: &mut Diagnostics) -> Vec<Located<FromSource>> {
    let listed = fields
        .get("from")
        .and_then(|node| yaml::one_or_many(node, "`from`", EmptyList::Refused, out));
    let places = listed.unwrap_or_default().into_iter();
    places
        .filter_map(|node| {
            Some(Located {
                value: from(node, out)?,
                place: node.place.clone(),
            })
        })
        .collect()
}

fn from(node: &Node, out: &mut Diagnostics) -> Option<FromSource> {
    let fields = Fields::new(node, &PLACE, out)?;
    let text = |key: &str, out: &mut Diagnostics| {
        fields
            .get(key)
            .map(|node| yaml::text(node, &format!("`{key}`"), out).map(str::to_owned))
    };
    let found = [text("header", out), text("query", out), text("cookie", out)];
    let scheme = text("scheme", out);
    let one_place =
        "name exactly one of `header`, `query` and `cookie`; `scheme` goes with `header`";
    let mut wrong = |message: &str| {
        out.push(Diagnostic::error("bad-place", fields.place(), message).with_help(one_place));
        None
    };
    match (found, scheme) {
        ([Some(header), None, None], None) => {
            header.map(|name| FromSource::Header(name.to_ascii_lowercase()))
        }
        ([Some(header), None, None], Some(scheme)) => {
            let (header, scheme) = (header?, scheme?);
            Some(FromSource::Scheme {
                header: header.to_ascii_lowercase(),
                scheme,
            })
        }
        ([None, Some(query), None], None) if query.as_deref() != Some("") => {
            query.map(FromSource::Query)
        }
        ([None, None, Some(cookie)], None) => cookie.map(FromSource::Cookie),
        ([None, None, None], _) => wrong("this names no place to read a credential from"),
        ([None, _, _], Some(_)) => wrong("a scheme stands in a header only"),
        ([None, Some(_), None], None) => wrong("a query parameter needs a name"),
        _ => wrong("this names more than one place"),
    }
}

pub(super) fn jwks(
    node: &Node,
    directory: &Path,
    out: &mut Diagnostics,
) -> Option<Located<JwksSource>> {
    let fields = Fields::new(node, &JWKS, out)?;
    let allow_http = fields
        .get("allow_http")
        .and_then(|node| yaml::boolean(node, "`allow_http`", out));
    let said = (fields.get("url"), fields.get("file"), fields.get("inline"));
    let value = match said {
        (Some(url), None, None) => {
            let text = yaml::text(url, "`url`", out)?.to_owned();
            JwksSource::Url {
                url: text,
                allow_http: allow_http.unwrap_or(false),
            }
        }
        (None, Some(file), None) => {
            JwksSource::File(directory.join(yaml::text(file, "`file`", out)?))
        }
        (None, None, Some(inline)) => {
            // Somebody may have pasted a private key: no diagnostic shows what stands here.
            inline.conceal();
            JwksSource::Inline(yaml::to_json(inline))
        }
        _ => {
            let message = "`jwks` names exactly one of `url`, `file` and `inline`";
            out.push(
                Diagnostic::error("bad-jwks", fields.place(), message).with_help(
                    "leave `jwks` out to find the keys by OpenID Connect discovery from the issuer",
                ),
            );
            return None;
        }
    };
    if allow_http.is_some() && !matches!(value, JwksSource::Url { .. }) {
        let message = "`allow_http` goes with `url` only";
        out.push(Diagnostic::error("bad-jwks", fields.place(), message));
    }
    Some(Located {
        value,
        place: fields.place().clone(),
    })
}
