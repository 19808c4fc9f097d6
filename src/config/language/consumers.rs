//! `consumers`, `roles`, `revocations`, `tenants`.

use super::signed::{SECRET, TOKEN};
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
        key(
            "key_id",
            &TEXT,
            "What signatures of `http_signature` and `hmac` call a key, and audit and revocations with them.",
        ),
        key("access_key_id", &TEXT, "What signatures of `sigv4` call a key."),
        key("consumer_key", &TEXT, "What signatures of `oauth1` call a key."),
        key(
            "secret",
            &Type::Fields(&SECRET),
            "The secret that both sides sign with.",
        ),
        key(
            "public_key",
            &Type::Either(&[Type::Text, Type::Fields(&SECRET)]),
            "The public half of the key that the consumer signs with: PEM, or `{file: PATH}`.",
        ),
        key(
            "algorithm",
            &TEXT,
            "What the key signs with: `ed25519`, `ecdsa-p256-sha256`, `hmac-sha256` and the like (RFC 9421 section 6.2).",
        ),
        key(
            "tokens",
            &Type::List(&Type::Fields(&TOKEN)),
            "Tokens of OAuth 1.0a: those for whom the consumer acts.",
        ),
    ],
)
.formed(&[
    form(&["id", "hash"], OTHERS_THAN_ID),
    form(&["claim", "value"], OTHERS_THAN_CLAIM),
    form(&["key_id"], OTHERS_THAN_KEY_ID),
    form(&["access_key_id", "secret"], OTHERS_THAN_ACCESS_KEY_ID),
    form(&["consumer_key"], OTHERS_THAN_CONSUMER_KEY),
]);

const OTHERS_THAN_ID: &[&str] = &[
    "claim",
    "value",
    "key_id",
    "access_key_id",
    "consumer_key",
    "secret",
    "public_key",
    "algorithm",
    "tokens",
];
const OTHERS_THAN_CLAIM: &[&str] = &[
    "id",
    "hash",
    "expires",
    "scopes",
    "key_id",
    "access_key_id",
    "consumer_key",
    "secret",
    "public_key",
    "algorithm",
    "tokens",
];
const OTHERS_THAN_KEY_ID: &[&str] = &[
    "id",
    "hash",
    "claim",
    "value",
    "access_key_id",
    "consumer_key",
    "tokens",
];
const OTHERS_THAN_ACCESS_KEY_ID: &[&str] = &[
    "id",
    "hash",
    "claim",
    "value",
    "key_id",
    "consumer_key",
    "public_key",
    "algorithm",
    "tokens",
];
const OTHERS_THAN_CONSUMER_KEY: &[&str] = &[
    "id",
    "hash",
    "claim",
    "value",
    "key_id",
    "access_key_id",
    "algorithm",
];

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
            "The id of a key, or a token's `jti`, with any authenticator.",
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
