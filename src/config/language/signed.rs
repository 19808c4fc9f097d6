//! Kinds of `authenticators` that prove the request itself, and their keys.

use super::authenticators::{JWKS, PLACE};
use super::{BOOLEAN, TEXT, TEXTS};
use crate::config::shape::{Key, Shape, Type, form, key, required};

/// What every kind takes that signs a time.
static TIMED: [Key; 3] = [
    key(
        "forward",
        &BOOLEAN,
        "`true` leaves the signature in the request for the upstream. Default: `false`, it is taken out.",
    ),
    key(
        "max_age",
        &Type::Duration,
        "How old a signature may be. Default: `5m`; at most `24h`.",
    ),
    key(
        "clock_skew",
        &Type::Duration,
        "How far ahead a signature's time may lie. Default: `30s`; at most `15m`.",
    ),
];

/// `http_signature`.
pub static HTTP_SIGNATURE: Shape = Shape::new(
    "http_signature",
    "an `http_signature` authenticator",
    &[
        key(
            "require",
            &TEXTS,
            "Components that signatures have to cover. Default: `@method`, `@authority`, `@path`, `@query`, and `content-digest` where there is a body.",
        ),
        key(
            "algorithms",
            &TEXTS,
            "Accepted algorithms (RFC 9421 section 6.2). Default: all; a key has one of its own.",
        ),
        key(
            "tag",
            &TEXT,
            "The application's tag that signatures have to carry.",
        ),
        key(
            "label",
            &TEXT,
            "The label of the signature that counts, where a request may carry several.",
        ),
        key(
            "nonce",
            &Type::Word(&["optional", "required"]),
            "`required`: each signature carries a nonce. Default: `optional`; without one, the signature itself may be used once on methods that change something.",
        ),
        key(
            "jwks",
            &Type::Fields(&JWKS),
            "Public keys of signers that no consumer lists: a signature's `keyid` is the `kid`.",
        ),
    ],
)
.sharing(&TIMED);

/// `hmac`.
pub static HMAC: Shape = Shape::new(
    "hmac",
    "an `hmac` authenticator",
    &[
        key(
            "from",
            &Type::Many(&Type::Fields(&PLACE)),
            "The header and scheme where signatures are read. Default: those of the dialects.",
        ),
        key(
            "require",
            &TEXTS,
            "What signatures have to cover beyond method, host, path, query, time and body.",
        ),
        key(
            "dialects",
            &Type::Many(&Type::Word(&["own", "cavage", "kong"])),
            "`own` is Portcullis's scheme; `cavage` (the old HTTP Signatures draft) and `kong` are there for clients that change over. Default: `own`.",
        ),
    ],
)
.sharing(&TIMED);

/// `webhook`.
pub static WEBHOOK: Shape = Shape::new(
    "webhook",
    "a `webhook` authenticator",
    &[
        key(
            "scheme",
            &Type::Word(&["stripe", "slack", "github", "standard", "shopify", "twilio"]),
            "Whose webhooks these are; `standard` is Standard Webhooks.",
        ),
        key(
            "custom",
            &Type::Fields(&CUSTOM_WEBHOOK),
            "How anybody else signs, where `scheme` has no word for it.",
        ),
        key(
            "headers",
            &Type::Word(&["either", "webhook", "svix"]),
            "The names of Standard Webhooks' headers: `webhook-…`, `svix-…`. Default: `either`.",
        ),
        required(
            "secrets",
            &Type::Many(&Type::Fields(&SECRET)),
            "The sender's secrets; while one is replaced by another, both.",
        ),
    ],
)
.sharing(&TIMED)
.formed(&[
    form(&["scheme"], &["custom"]),
    form(&["custom"], &["scheme"]),
]);

/// `custom`.
pub static CUSTOM_WEBHOOK: Shape = Shape::new(
    "custom_webhook",
    "`custom`",
    &[
        required("header", &TEXT, "The header with the signature."),
        key(
            "prefix",
            &TEXT,
            "What stands before the signature: `sha256=`.",
        ),
        key(
            "element",
            &TEXT,
            "The name of the elements with signatures, where the header is a list: `v1` of `t=…,v1=…`.",
        ),
        key(
            "separator",
            &TEXT,
            "What stands between its elements, one character. Default: `,`.",
        ),
        key(
            "encoding",
            &Type::Word(&["hex", "base64"]),
            "How the signature is written. Default: `hex`.",
        ),
        key(
            "algorithm",
            &Type::Word(&["hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha1"]),
            "Default: `hmac-sha256`.",
        ),
        key(
            "template",
            &TEXT,
            "The signed text: `{timestamp}.{body}`. Default: `{body}`.",
        ),
        key(
            "timestamp",
            &Type::Fields(&CUSTOM_TIMESTAMP),
            "Where the time is that was signed. Without one nothing keeps a message from being sent again.",
        ),
        key("id", &TEXT, "The header that `{id}` stands for."),
    ],
);

/// `timestamp` of a `custom`.
pub static CUSTOM_TIMESTAMP: Shape = Shape::new(
    "custom_timestamp",
    "`timestamp`",
    &[
        key("header", &TEXT, "The header with the time."),
        key(
            "element",
            &TEXT,
            "The element with the time, in the header with the signature: `t`.",
        ),
        key(
            "format",
            &Type::Word(&["seconds", "milliseconds", "rfc3339"]),
            "Default: `seconds` since 1970.",
        ),
    ],
)
.formed(&[
    form(&["header"], &["element"]),
    form(&["element"], &["header"]),
]);

/// `sigv4`.
pub static SIGV4: Shape = Shape::new(
    "sigv4",
    "a `sigv4` authenticator",
    &[
        required("service", &TEXT, "The service in the credential scope."),
        required("region", &TEXT, "The region in the credential scope."),
        key(
            "require",
            &TEXTS,
            "Headers that have to be signed, beside `host` and all `x-amz-*`.",
        ),
        key(
            "unsigned_payload",
            &BOOLEAN,
            "`true` takes signatures that leave out the body (`UNSIGNED-PAYLOAD`).",
        ),
        key(
            "max_expires",
            &Type::Duration,
            "The longest life of a presigned URL. Default: `max_age`; at most `7d`.",
        ),
    ],
)
.sharing(&TIMED);

/// `oauth1`.
pub static OAUTH1: Shape = Shape::new(
    "oauth1",
    "an `oauth1` authenticator",
    &[
        key(
            "methods",
            &Type::Many(&Type::Word(&[
                "HMAC-SHA256",
                "HMAC-SHA1",
                "RSA-SHA256",
                "RSA-SHA1",
                "PLAINTEXT",
            ])),
            "Accepted signature methods. Default: `HMAC-SHA256`, `RSA-SHA256` and `HMAC-SHA1`; `PLAINTEXT` counts over TLS only.",
        ),
        key("realm", &TEXT, "The realm that signatures are for."),
        key(
            "body_hash",
            &Type::Word(&["required", "optional"]),
            "`optional` takes bodies that are no forms without `oauth_body_hash`: then nothing protects them. Default: `required`.",
        ),
        key(
            "sha1_body_hash",
            &BOOLEAN,
            "`false` refuses an `oauth_body_hash` of SHA-1 where the method has SHA-256. Default: `true`, as common libraries know no other.",
        ),
        key(
            "plaintext_without_nonce",
            &BOOLEAN,
            "`true` takes `PLAINTEXT` without a time and a nonce. Such a request can be sent again at any time.",
        ),
    ],
)
.sharing(&TIMED);

/// A secret.
pub static SECRET: Shape = Shape::new(
    "secret",
    "a secret",
    &[
        key(
            "file",
            &TEXT,
            "A file with the secret, relative to this one; a line's end behind it is left out.",
        ),
        key("env", &TEXT, "An environment variable with the secret."),
        key(
            "insecure_literal",
            &TEXT,
            "The secret itself, for whoever tries something out.",
        ),
    ],
)
.formed(&[
    form(&["file"], &["env", "insecure_literal"]),
    form(&["env"], &["file", "insecure_literal"]),
    form(&["insecure_literal"], &["file", "env"]),
]);

/// A token of OAuth 1.0a.
pub static TOKEN: Shape = Shape::new(
    "token",
    "a token",
    &[
        required("token", &TEXT, "`oauth_token`."),
        required("secret", &Type::Fields(&SECRET), "Its secret."),
        required("subject", &TEXT, "Whom it stands for: `principal.subject`."),
    ],
);
