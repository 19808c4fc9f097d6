//! Authenticators, with the credentials that consumers have with them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::authn::api_key::{ApiKeys, KeyRecord};
use crate::authn::credential::Container;
use crate::authn::jwt::claims::{ClaimRules, ClaimedRoles, DEFAULT_CLOCK_SKEW_SECONDS};
use crate::authn::jwt::{DEFAULT_ALGORITHMS, JwtVerifier, algorithm_named};
use crate::authn::key_set::{KeySetCell, algorithm_name};
use crate::authn::{Authenticator, ClaimedConsumers, From, Method};
use crate::consumer::Consumer;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::headers::is_header_name;
use crate::headers::plan::Managed;
use crate::policy::compile::consumers::granted;
use crate::policy::compile::mtls;
use crate::policy::compile::rules::{Known, role};
use crate::policy::compile::signed::{self, Context};
use crate::policy::compile::tenants::Party;
use crate::policy::compile::{Ports, unknown_name};
use crate::policy::source::{
    AuthenticatorSource, ClaimedRolesSource, CredentialKind, FromSource, JwtSource, KindSource,
    Located, Named, PolicySet,
};
use crate::secret::Digest;

/// All authenticators, in the order of their names.
pub(super) fn compile(
    set: &PolicySet,
    managed: &Managed,
    known: &Known<'_>,
    party: &Party<'_>,
    ports: &Ports,
    out: &mut Diagnostics,
) -> Vec<Arc<Authenticator>> {
    check_credential_owners(set, out);
    let mut authenticators: Vec<Arc<Authenticator>> = set
        .authenticators
        .iter()
        .filter_map(|authenticator| {
            let compiled = one(authenticator, set, known, party, ports, out)?;
            check_forward(&authenticator.name.place, &compiled, managed, out);
            Some(compiled)
        })
        .map(Arc::new)
        .collect();
    authenticators.sort_by(|a, b| a.name.cmp(&b.name));
    authenticators
}

fn one(
    authenticator: &Named<AuthenticatorSource>,
    set: &PolicySet,
    known: &Known<'_>,
    party: &Party<'_>,
    ports: &Ports,
    out: &mut Diagnostics,
) -> Option<Authenticator> {
    let name = &authenticator.name;
    let source = &authenticator.value;
    let kind = source.kind.as_ref()?;
    let mut from = from(source, kind, out);
    let mut parts = Vec::new();
    let unique = party.name(&name.value);
    let method = match kind {
        KindSource::Mtls(source) => {
            let context = context(name, &unique, set, known, ports);
            Method::Mtls(Box::new(mtls::compile(source, &context, out)?))
        }
        KindSource::Signed(signed) => {
            let context = context(name, &unique, set, known, ports);
            let compiled = signed::compile(signed, &context, out)?;
            let (usual, own) = signed::places(&compiled);
            if from.is_empty() {
                from = usual;
            }
            for (place, from) in source.from.iter().zip(&from) {
                if from.scheme.is_none() {
                    out.push(
                        Diagnostic::error(
                            "scheme-missing",
                            &place.place,
                            "a signature is known by its scheme",
                        )
                        .with_help("write {header: x-signature, scheme: HMAC-SHA256}"),
                    );
                }
            }
            parts = own;
            Method::Signed(Box::new(compiled))
        }
        KindSource::ApiKey { prefix } => {
            let mut keys = ApiKeys::new(prefix.as_ref().map(|prefix| prefix.value.as_str()));
            if let Some(prefix) = prefix {
                check_prefix(prefix, out);
            }
            insert_keys(&mut keys, (&name.value, &unique), set, known.consumers, out);
            Method::ApiKey(keys)
        }
        KindSource::Jwt(jwt) => {
            let claimed = claimed_consumers(&name.value, set, known.consumers, out);
            let names = (name.value.as_str(), unique.as_ref());
            let verifier = verifier(names, jwt, (known, party), ports, out);
            Method::Jwt(Box::new(verifier), claimed)
        }
    };
    Some(Authenticator {
        name: unique,
        from,
        parts,
        forward: source.forward,
        method,
    })
}

/// What is known of an authenticator beside its own words.
fn context<'a>(
    name: &'a Located<String>,
    unique: &'a Arc<str>,
    set: &'a PolicySet,
    known: &Known<'_>,
    ports: &'a Ports,
) -> Context<'a> {
    let credentials = credentials(&name.value, set);
    let credentials = credentials.filter_map(|(owner, credential)| {
        Some((Arc::clone(known.consumers.get(owner)?), credential))
    });
    Context {
        name: (&name.value, unique),
        credentials: credentials.collect(),
        ports,
    }
}

/// Reports a credential that is to be forwarded in a header that is ours, and so never the caller's.
fn check_forward(
    place: &Place,
    authenticator: &Authenticator,
    managed: &Managed,
    out: &mut Diagnostics,
) {
    if !authenticator.forward {
        return;
    }
    let parts = authenticator.parts.iter().map(|part| &part.container);
    for container in authenticator
        .from
        .iter()
        .map(|from| &from.container)
        .chain(parts)
    {
        if let Container::Header(name) = container
            && managed.owns(name.as_bytes())
        {
            out.push(
                Diagnostic::error(
                    "forward-managed",
                    place,
                    format!("`forward: true` cannot hold: `{name}` is a managed header, which no caller's value passes in"),
                )
                .with_help("read the credential from another header, inject another one, or change `defaults.reserved_prefix`"),
            );
        }
    }
}

fn check_prefix(prefix: &Located<String>, out: &mut Diagnostics) {
    let good = !prefix.value.is_empty()
        && prefix.value.len() <= 32
        && prefix
            .value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
    if !good {
        let message = "a prefix is 1 to 32 printable ASCII characters without spaces and commas";
        out.push(Diagnostic::error("bad-prefix", &prefix.place, message));
    }
}

/// Where an authenticator reads: what it says, or its kind's usual place.
fn from(source: &AuthenticatorSource, kind: &KindSource, out: &mut Diagnostics) -> Vec<From> {
    let header = |name: &str| Container::Header(name.into());
    if source.from.is_empty() {
        return vec![match kind {
            // They have places of their own.
            KindSource::Signed(_) | KindSource::Mtls(_) => return Vec::new(),
            KindSource::ApiKey { .. } => From {
                container: header("x-api-key"),
                scheme: None,
            },
            KindSource::Jwt(_) => From {
                container: header("authorization"),
                scheme: Some("Bearer".into()),
            },
        }];
    }
    let mut places: Vec<From> = Vec::new();
    for located in &source.from {
        let place = match &located.value {
            FromSource::Header(name) => {
                check_header(name, &located.place, out);
                if name == "authorization" || name == "proxy-authorization" {
                    out.push(
                        Diagnostic::error(
                            "scheme-missing",
                            &located.place,
                            format!("`{name}` is read by its scheme"),
                        )
                        .with_help(format!("write {{header: {name}, scheme: Bearer}}")),
                    );
                }
                From {
                    container: header(name),
                    scheme: None,
                }
            }
            FromSource::Scheme {
                header: name,
                scheme,
            } => {
                check_header(name, &located.place, out);
                let token = !scheme.is_empty() && is_header_name(&scheme.to_ascii_lowercase());
                if !token {
                    let message = format!("`{scheme}` is no authentication scheme");
                    out.push(Diagnostic::error("bad-scheme", &located.place, message));
                }
                From {
                    container: header(name),
                    scheme: Some(scheme.as_str().into()),
                }
            }
            FromSource::Query(name) => {
                check_query(name, &located.place, out);
                From {
                    container: Container::Query(name.as_str().into()),
                    scheme: None,
                }
            }
            FromSource::Cookie(name) => {
                if !is_header_name(&name.to_ascii_lowercase()) {
                    let message = format!("`{name}` is no cookie name");
                    out.push(Diagnostic::error("bad-cookie", &located.place, message));
                }
                From {
                    container: Container::Cookie(name.as_str().into()),
                    scheme: None,
                }
            }
        };
        let mixed = places.iter().any(|other| {
            other.container == place.container && other.scheme.is_some() != place.scheme.is_some()
        });
        let twice = places.iter().any(|other| {
            let schemes = (other.scheme.as_deref(), place.scheme.as_deref());
            other.container == place.container
                && match schemes {
                    (Some(one), Some(two)) => one.eq_ignore_ascii_case(two),
                    (None, None) => true,
                    _ => false,
                }
        });
        if mixed {
            let message = "one header cannot be read both whole and by a scheme";
            out.push(Diagnostic::error("bad-place", &located.place, message));
        } else if twice {
            let message = "this place is listed twice";
            out.push(Diagnostic::error(
                "duplicate-place",
                &located.place,
                message,
            ));
        } else {
            places.push(place);
        }
    }
    places
}

/// The name also stands in challenges and in what Envoy is told to remove, so it is plain text.
fn check_query(name: &str, place: &Place, out: &mut Diagnostics) {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\&=#+%,;".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) {
        let message = format!(
            "`{}` is no name for a query parameter",
            name.escape_default()
        );
        out.push(Diagnostic::error("bad-query", place, message).with_help(
            "printable ASCII without quotes and the separators of a query, as in `api_key`",
        ));
    }
}

fn check_header(name: &str, place: &Place, out: &mut Diagnostics) {
    if !is_header_name(name) {
        let message = format!("`{name}` is no header name");
        out.push(Diagnostic::error("bad-header", place, message));
    } else if matches!(
        name,
        "cookie" | "host" | "content-length" | "connection" | "transfer-encoding"
    ) {
        let help = if name == "cookie" {
            "write {cookie: NAME}"
        } else {
            "use a header of its own"
        };
        let message = format!("credentials cannot be read from `{name}` as a whole");
        out.push(Diagnostic::error("bad-header", place, message).with_help(help));
    }
}

/// The credentials that consumers have with one authenticator.
fn credentials<'a>(
    authenticator: &'a str,
    set: &'a PolicySet,
) -> impl Iterator<Item = (&'a str, &'a crate::policy::source::CredentialSource)> {
    set.consumers.iter().flat_map(move |consumer| {
        consumer
            .value
            .credentials
            .iter()
            .filter(move |credentials| credentials.name.value == authenticator)
            .flat_map(|credentials| &credentials.value)
            .map(|credential| (consumer.name.value.as_str(), credential))
    })
}

/// Reports credentials that belong to no authenticator, or to one of another kind.
fn check_credential_owners(set: &PolicySet, out: &mut Diagnostics) {
    let by_name: HashMap<&str, &AuthenticatorSource> = set
        .authenticators
        .iter()
        .map(|authenticator| (authenticator.name.value.as_str(), &authenticator.value))
        .collect();
    for list in set
        .consumers
        .iter()
        .flat_map(|consumer| &consumer.value.credentials)
    {
        let Some(source) = by_name.get(list.name.value.as_str()) else {
            out.push(unknown_name(
                "unknown-authenticator",
                "authenticator",
                &list.name,
                by_name.keys().copied(),
            ));
            continue;
        };
        for credential in &list.value {
            let (fits, wanted) = match (&source.kind, &credential.kind) {
                // These say so themselves.
                (None | Some(KindSource::Signed(_) | KindSource::Mtls(_)), _)
                | (Some(KindSource::ApiKey { .. }), CredentialKind::Key { .. })
                | (Some(KindSource::Jwt(_)), CredentialKind::Claim { .. }) => continue,
                (Some(KindSource::ApiKey { .. }), _) => ("api_key", "{id: …, hash: \"sha256:…\"}"),
                (Some(KindSource::Jwt(_)), _) => ("jwt", "{claim: …, value: …}"),
            };
            out.push(
                Diagnostic::error(
                    "wrong-credential",
                    &credential.place,
                    format!(
                        "`{}` is of kind `{fits}` and takes another form of credential",
                        list.name.value
                    ),
                )
                .with_help(format!("write {wanted}")),
            );
        }
    }
}

fn insert_keys(
    keys: &mut ApiKeys,
    (authenticator, unique): (&str, &str),
    set: &PolicySet,
    consumers: &HashMap<&str, Arc<Consumer>>,
    out: &mut Diagnostics,
) {
    let mut ids: HashMap<&str, &Place> = HashMap::new();
    let mut digests: HashMap<Digest, &Place> = HashMap::new();
    for (owner, credential) in credentials(authenticator, set) {
        let CredentialKind::Key {
            id,
            hash,
            expires,
            scopes,
        } = &credential.kind
        else {
            continue;
        };
        let Some(consumer) = consumers.get(owner) else {
            continue;
        };
        if let Some(first) = ids.insert(&id.value, &id.place) {
            let message = format!(
                "the credential id `{}` is used twice with `{authenticator}`",
                id.value
            );
            out.push(
                Diagnostic::error("duplicate-id", &id.place, message)
                    .with_related(first, "first used here")
                    .with_help(
                        "give each key an id of its own: revocations and audit name keys by it",
                    ),
            );
        }
        if hash.value == Digest::of(b"") {
            let message = "this is the digest of nothing at all: an empty key would match";
            out.push(Diagnostic::error("empty-key", &hash.place, message));
        }
        let own = scopes.as_deref().map(|scopes| granted(scopes, out));
        let record = KeyRecord::new(
            unique,
            &id.value,
            hash.value,
            *expires,
            own,
            Arc::clone(consumer),
        );
        if keys.insert(record).is_err() {
            let mut error =
                Diagnostic::error("duplicate-key", &hash.place, "this key is registered twice")
                    .with_help("one credential belongs to one consumer; remove one of the two");
            if let Some(first) = digests.get(&hash.value) {
                error = error.with_related(first, "first registered here");
            }
            out.push(error);
        }
        digests.entry(hash.value).or_insert(&hash.place);
    }
}

fn claimed_consumers(
    authenticator: &str,
    set: &PolicySet,
    consumers: &HashMap<&str, Arc<Consumer>>,
    out: &mut Diagnostics,
) -> ClaimedConsumers {
    let mut claimed = ClaimedConsumers::default();
    let mut seen: HashMap<(&str, &str), &Place> = HashMap::new();
    for (owner, credential) in credentials(authenticator, set) {
        let CredentialKind::Claim { claim, value } = &credential.kind else {
            continue;
        };
        let Some(consumer) = consumers.get(owner) else {
            continue;
        };
        if let Some(first) = seen.insert((&claim.value, &value.value), &credential.place) {
            out.push(
                Diagnostic::error(
                    "duplicate-credential",
                    &credential.place,
                    "this claim names two consumers",
                )
                .with_related(first, "first listed here")
                .with_help("one credential belongs to one consumer; remove one of the two"),
            );
        }
        if value.value.is_empty() || claim.value.is_empty() {
            let message = "neither the claim's name nor its value may be empty";
            out.push(Diagnostic::error("bad-claim", &credential.place, message));
        }
        claimed.insert(
            claim.value.clone(),
            value.value.clone(),
            Arc::clone(consumer),
        );
    }
    claimed
}

fn verifier(
    (name, unique): (&str, &str),
    jwt: &JwtSource,
    (known, party): (&Known<'_>, &Party<'_>),
    ports: &Ports,
    out: &mut Diagnostics,
) -> JwtVerifier {
    if jwt.audiences.is_none() && !jwt.any_audience {
        out.push(
            Diagnostic::error(
                "audience-missing",
                &jwt.place,
                format!("`{name}` does not say which audiences it accepts"),
            )
            .with_help("list them under `audiences`, or say `any_audience: true`: then a token made for any other service of this issuer opens this one"),
        );
    }
    if jwt.audiences.is_some() && jwt.any_audience {
        let message = "`audiences` and `any_audience: true` contradict each other";
        out.push(
            Diagnostic::error("contradiction", &jwt.place, message).with_help("keep one of them"),
        );
    }
    let algorithms = algorithms(jwt, out);
    let audiences: Vec<Box<str>> = jwt
        .audiences
        .iter()
        .flatten()
        .map(|a| a.value.as_str().into())
        .collect();
    let issuer = jwt.issuer.as_ref().map_or("", |issuer| &issuer.value);
    let clock_skew = jwt.clock_skew.unwrap_or(DEFAULT_CLOCK_SKEW_SECONDS);
    let keys = ports
        .key_sets
        .get(name)
        .cloned()
        .unwrap_or_else(KeySetCell::empty);
    let roles = jwt
        .roles
        .as_ref()
        .map(|roles| claimed_roles(roles, known, out));
    let ceiling = party.bounds.map(|bounds| bounds.scopes.clone());
    // Everything that decides what this verifier makes of a token, so that its entries in the shared cache are
    // nobody else's, and its own again after a reload that left it as it was. Written by `Debug`, which
    // quotes texts, so that no two configurations read alike.
    let configuration = format!(
        "{:?}",
        (
            unique,
            issuer,
            &audiences,
            jwt.any_audience,
            algorithms
                .iter()
                .map(|&a| algorithm_name(a))
                .collect::<Vec<_>>(),
            clock_skew,
            &roles,
            &ceiling,
            jwt.jwks.as_ref().map(|jwks| &jwks.value),
        )
    );
    let rules = ClaimRules {
        authenticator: unique.into(),
        issuer: issuer.into(),
        audiences: (!jwt.any_audience).then_some(audiences),
        clock_skew,
        ceiling,
        roles,
    };
    let fingerprint = Digest::of(configuration.as_bytes()).bucket();
    JwtVerifier::new(
        rules,
        algorithms,
        keys,
        ports.token_cache.clone(),
        fingerprint,
    )
}

fn claimed_roles(
    source: &ClaimedRolesSource,
    known: &Known<'_>,
    out: &mut Diagnostics,
) -> ClaimedRoles {
    if source.claim.value.is_empty() {
        let message = "the claim's name is empty";
        out.push(Diagnostic::error(
            "empty-value",
            &source.claim.place,
            message,
        ));
    }
    let mapped = source.map.iter().filter_map(|(claimed, name)| {
        let role = role(name, known.roles, out)?;
        Some((claimed.as_str().into(), role))
    });
    ClaimedRoles {
        map: mapped.collect(),
        claim: source.claim.value.as_str().into(),
    }
}

fn algorithms(jwt: &JwtSource, out: &mut Diagnostics) -> Vec<jsonwebtoken::Algorithm> {
    if jwt.algorithms.is_empty() {
        return DEFAULT_ALGORITHMS.to_vec();
    }
    let mut algorithms = Vec::new();
    for name in &jwt.algorithms {
        match algorithm_named(&name.value) {
            Some(algorithm) => algorithms.push(algorithm),
            None => {
                let known: Vec<&str> = crate::authn::jwt::KNOWN_ALGORITHMS
                    .iter()
                    .map(|&a| algorithm_name(a))
                    .collect();
                let message = format!(
                    "`{}` is not a signature algorithm that can be accepted",
                    name.value
                );
                let help = format!("one of {}", known.join(", "));
                out.push(Diagnostic::error("bad-algorithm", &name.place, message).with_help(help));
            }
        }
    }
    let symmetric =
        |algorithm: &jsonwebtoken::Algorithm| algorithm_name(*algorithm).starts_with("HS");
    let published = !matches!(
        jwt.jwks.as_ref().map(|jwks| &jwks.value),
        Some(
            crate::policy::source::JwksSource::File(_)
                | crate::policy::source::JwksSource::Inline(_)
        )
    );
    if published && algorithms.iter().any(symmetric) {
        out.push(
            Diagnostic::error(
                "symmetric-algorithm",
                &jwt.place,
                "HS256, HS384 and HS512 need a shared secret, and keys fetched from a URL are public",
            )
            .with_help("use an asymmetric algorithm, or a key set from `jwks: {file: …}`"),
        );
    }
    algorithms
}
