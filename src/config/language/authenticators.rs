//! `authenticators`.

use super::mtls::MTLS;
use super::signed::{HMAC, HTTP_SIGNATURE, OAUTH1, SIGV4, WEBHOOK};
use super::{BOOLEAN, TEXT, TEXTS};
use crate::config::shape::{Key, Shape, Type, form, key, later, required};

/// A kind of authenticator and its settings.
pub static AUTHENTICATOR: Shape = Shape::new(
    "authenticator",
    "an authenticator",
    &[
        key(
            "api_key",
            &Type::OrNothing(&Type::Fields(&API_KEY)),
            "API keys, kept as SHA-256 digests under `consumers`.",
        ),
        key(
            "jwt",
            &Type::Fields(&JWT),
            "Signed tokens of one issuer (RFC 7519), OpenID Connect ID tokens and OAuth access tokens.",
        ),
        later("basic"),
        later("introspection"),
        later("session"),
        key(
            "http_signature",
            &Type::OrNothing(&Type::Fields(&HTTP_SIGNATURE)),
            "HTTP Message Signatures (RFC 9421) over method, target, headers and the body's digest.",
        ),
        key(
            "hmac",
            &Type::OrNothing(&Type::Fields(&HMAC)),
            "Requests signed with a shared secret, by a scheme that takes ten lines of code.",
        ),
        key(
            "webhook",
            &Type::Fields(&WEBHOOK),
            "Webhooks as Stripe, Slack, GitHub, Shopify, Twilio and others sign them.",
        ),
        key(
            "sigv4",
            &Type::Fields(&SIGV4),
            "AWS Signature Version 4, in the header or in the query.",
        ),
        key(
            "oauth1",
            &Type::OrNothing(&Type::Fields(&OAUTH1)),
            "OAuth 1.0a (RFC 5849), with and without a token.",
        ),
        key(
            "mtls",
            &Type::Fields(&MTLS),
            "Client certificates: of workloads with SPIFFE IDs, or of others.",
        ),
        later("spiffe"),
        later("jwt_svid"),
        later("anonymous"),
    ],
);

/// What every kind takes that reads a credential from a place.
static SHARED: [Key; 2] = [
    key(
        "from",
        &Type::Many(&Type::Fields(&PLACE)),
        "Where credentials are read. More than one filled place in a request is refused.",
    ),
    key(
        "forward",
        &BOOLEAN,
        "`true` leaves the credential in the request for the upstream. Default: `false`, it is taken out.",
    ),
];

/// `api_key`.
pub static API_KEY: Shape = Shape::new(
    "api_key",
    "an `api_key` authenticator",
    &[key(
        "prefix",
        &TEXT,
        "What keys begin with, so that other values in these places belong to somebody else.",
    )],
)
.sharing(&SHARED);

/// `jwt`.
pub static JWT: Shape = Shape::new(
    "jwt",
    "a `jwt` authenticator",
    &[
        required("issuer", &TEXT, "The token's `iss`, exactly."),
        key(
            "audiences",
            &TEXTS,
            "One of these must be in the token's `aud`.",
        ),
        key(
            "any_audience",
            &BOOLEAN,
            "`true` takes tokens for any audience, also those made for another service.",
        ),
        key(
            "algorithms",
            &TEXTS,
            "Accepted `alg`. Default: the asymmetric ones; a key's type must fit as well.",
        ),
        key(
            "jwks",
            &Type::Fields(&JWKS),
            "Where keys come from. Default: OpenID Connect discovery from the issuer.",
        ),
        key(
            "clock_skew",
            &Type::Duration,
            "How far ahead `nbf` and `iat` may lie. Default: `30s`; at most `5m`.",
        ),
        key(
            "roles",
            &Type::Fields(&CLAIMED_ROLES),
            "Which claimed roles count, and as what. Without it, none does.",
        ),
    ],
)
.sharing(&SHARED);

/// `jwks`.
pub static JWKS: Shape = Shape::new(
    "jwks",
    "`jwks`",
    &[
        key(
            "url",
            &TEXT,
            "A URL that answers with a JWK Set (RFC 7517).",
        ),
        key(
            "file",
            &TEXT,
            "A file with a JWK Set, relative to this one.",
        ),
        key(
            "inline",
            &Type::AnyMapping,
            "A JWK Set written here: public keys only.",
        ),
        key(
            "allow_http",
            &BOOLEAN,
            "`true` takes keys over plain HTTP, which whoever stands in between can replace.",
        ),
    ],
)
.formed(&[
    form(&["url"], &["file", "inline"]),
    form(&["file"], &["url", "inline", "allow_http"]),
    form(&["inline"], &["url", "file", "allow_http"]),
]);

/// `roles` of a `jwt`.
pub static CLAIMED_ROLES: Shape = Shape::new(
    "claimed_roles",
    "`roles`",
    &[
        required(
            "claim",
            &TEXT,
            "The claim that holds them: `roles`, `realm_access.roles`.",
        ),
        required(
            "map",
            &Type::Named(&TEXT),
            "What the claim says, and the role under `roles` that it stands for.",
        ),
    ],
);

/// A place that credentials are read from.
pub static PLACE: Shape = Shape::new(
    "place",
    "a place to read credentials from",
    &[
        key(
            "header",
            &TEXT,
            "A header, whose whole value is the credential unless there is a `scheme`.",
        ),
        key(
            "scheme",
            &TEXT,
            "The authentication scheme before the credential, compared without case.",
        ),
        key("query", &TEXT, "A query parameter."),
        key("cookie", &TEXT, "A cookie."),
    ],
)
.formed(&[
    form(&["header"], &["query", "cookie"]),
    form(&["query"], &["header", "scheme", "cookie"]),
    form(&["cookie"], &["header", "scheme", "query"]),
]);
