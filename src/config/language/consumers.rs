//! `consumers`, `roles`, `revocations`, `tenants`.

use super::signed::{SECRET, TOKEN};
use super::{TEXT, TEXTS};
use crate::config::shape::{Shape, Type, form, form_of, key, later, required};

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
        key("value", &TEXT, "What the claim says, or the attribute or extension of a certificate."),
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
        key("spiffe_id", &TEXT, "The SPIFFE ID of a workload, for `mtls`."),
        key("subject", &TEXT, "The whole subject of a certificate (RFC 4514)."),
        key("dns", &TEXT, "A DNS name of a certificate."),
        key("email", &TEXT, "An email address of a certificate."),
        key("uri", &TEXT, "A URI of a certificate."),
        key("ip", &TEXT, "An IP address of a certificate."),
        key(
            "fingerprint",
            &TEXT,
            "SHA-256 of a certificate (DER), in hexadecimal digits.",
        ),
        key(
            "key_fingerprint",
            &TEXT,
            "SHA-256 of a certificate's public key (SubjectPublicKeyInfo), in hexadecimal digits.",
        ),
        key("serial", &TEXT, "A certificate's serial number in hexadecimal digits, with `issuer`."),
        key("issuer", &TEXT, "The issuer (RFC 4514) of the `serial`."),
        key(
            "attribute",
            &TEXT,
            "An attribute of a certificate's subject by its object identifier, with `value`.",
        ),
        key(
            "extension",
            &TEXT,
            "An extension of a certificate by its object identifier, with `value`.",
        ),
    ],
)
.formed(&[
    form_of(&["id", "hash"], &["expires", "scopes"]),
    form_of(&["claim", "value"], &[]),
    form_of(&["key_id"], &["expires", "scopes", "secret", "public_key", "algorithm"]),
    form_of(&["access_key_id", "secret"], &["expires", "scopes"]),
    form_of(&["consumer_key"], &["expires", "scopes", "secret", "public_key", "tokens"]),
    form_of(&["spiffe_id"], &[]),
    form_of(&["subject"], &[]),
    form_of(&["dns"], &[]),
    form_of(&["email"], &[]),
    form_of(&["uri"], &[]),
    form_of(&["ip"], &[]),
    form_of(&["fingerprint"], &[]),
    form_of(&["key_fingerprint"], &[]),
    form_of(&["serial", "issuer"], &[]),
    form_of(&["attribute", "value"], &[]),
    form_of(&["extension", "value"], &[]),
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
            "The id of a key, a token's `jti`, or a certificate's fingerprint, with any authenticator.",
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
