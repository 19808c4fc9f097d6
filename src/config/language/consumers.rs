//! `consumers`, `roles`, `revocations`, `tenants`.

use super::{TEXT, TEXTS};
use crate::config::shape::{Shape, Type, form, key, later, required};

/// One of `consumers`.
pub static CONSUMER: Shape = Shape::new(
    "consumer",
    "a consumer",
    &[
        key(
            "environment",
            &TEXT,
            "Its credentials count on routes of this environment only. Default: that of `defaults`, else `live`.",
        ),
        key(
            "scopes",
            &Type::ManyOrEmpty(&TEXT),
            "The most that its credentials may do; `orders:*` covers what begins so, `[]` means none.",
        ),
        key(
            "roles",
            &TEXTS,
            "Roles that it has. Their scopes widen what its credentials may do.",
        ),
        key(
            "allow_ips",
            &TEXTS,
            "Addresses and networks that its credentials may be used from.",
        ),
        key(
            "expires",
            &Type::Instant,
            "From then on every credential of it is refused.",
        ),
        key(
            "metadata",
            &Type::AnyMapping,
            "Whatever you note, for `inject` and `when`.",
        ),
        key(
            "credentials",
            &Type::Named(&Type::ListOrEmpty(&Type::Fields(&CREDENTIAL))),
            "Its credentials, by authenticator.",
        ),
        later("plan"),
    ],
);

/// One credential of a consumer.
pub static CREDENTIAL: Shape = Shape::new(
    "credential",
    "a credential",
    &[
        key("id", &TEXT, "What audit and revocations call an API key."),
        key(
            "hash",
            &TEXT,
            "`sha256:` and the digest of an API key; `portcullis keys new` prints it.",
        ),
        key(
            "expires",
            &Type::Instant,
            "From then on the key is refused.",
        ),
        key(
            "scopes",
            &Type::ManyOrEmpty(&TEXT),
            "The key's own scopes, cut to its consumer's. Default: all of its consumer's.",
        ),
        key(
            "claim",
            &TEXT,
            "A claim that tokens of this consumer carry, `azp` for instance.",
        ),
        key("value", &TEXT, "What the claim says."),
    ],
)
.formed(&[
    form(&["id", "hash"], &["claim", "value"]),
    form(&["claim", "value"], &["id", "hash", "expires", "scopes"]),
]);

/// One of `roles`.
pub static ROLE: Shape = Shape::new(
    "role",
    "a role",
    &[required(
        "scopes",
        &TEXTS,
        "What the role permits; `orders:*` covers what begins so.",
    )],
);

/// One of `revocations`.
pub static REVOCATION: Shape = Shape::new(
    "revocation",
    "a revocation",
    &[
        key(
            "credential",
            &TEXT,
            "An API key's id, or a token's `jti`, with any authenticator.",
        ),
        key("jti", &TEXT, "A token's `jti`."),
        key("session", &TEXT, "The `sid` of tokens."),
        key(
            "subject",
            &TEXT,
            "A caller as in `principal.id`: `AUTHENTICATOR:SUBJECT`.",
        ),
        key(
            "consumer",
            &TEXT,
            "A consumer, whatever credential it comes with.",
        ),
        key(
            "before",
            &Type::Instant,
            "Revokes only what was issued before this time.",
        ),
    ],
)
.formed(&[
    form(&["credential"], &["jti", "session", "subject", "consumer"]),
    form(&["jti"], &["credential", "session", "subject", "consumer"]),
    form(&["session"], &["credential", "jti", "subject", "consumer"]),
    form(&["subject"], &["credential", "jti", "session", "consumer"]),
    form(&["consumer"], &["credential", "jti", "session", "subject"]),
]);

/// One of `tenants`.
pub static TENANT: Shape = Shape::new(
    "tenant",
    "a tenant",
    &[
        required(
            "hosts",
            &TEXTS,
            "The hosts that the team's policies may name.",
        ),
        key(
            "paths",
            &TEXTS,
            "The paths that its routes may cover. Default: all.",
        ),
        key(
            "use",
            &TEXTS,
            "The authenticators of the root that it may ask for.",
        ),
        key(
            "scopes",
            &TEXTS,
            "The scopes that it may grant and ask for.",
        ),
        key(
            "may",
            &Type::Many(&Type::Word(&["public", "shadow", "forward"])),
            "What else it may say.",
        ),
    ],
);
