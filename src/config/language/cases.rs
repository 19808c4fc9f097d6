//! `tests`.

use super::{TEXT, TEXTS, VERSION};
use crate::config::shape::{Shape, Type, key, required};

/// Header lines: names with a value or several.
static HEADERS: Type = Type::Named(&TEXTS);

/// A file of tests beside the policies.
pub static TESTS_FILE: Shape = Shape::new(
    "tests_file",
    "a file of tests",
    &[
        key(
            "version",
            &Type::Word(&[VERSION]),
            "The version of the policy language.",
        ),
        key(
            "tests",
            &Type::ListOrEmpty(&Type::Fields(&CASE)),
            "Requests and what must become of them.",
        ),
    ],
);

/// One of `tests`.
pub static CASE: Shape = Shape::new(
    "test",
    "a test",
    &[
        required("name", &TEXT, "What it shows; told in reports, and unique."),
        key(
            "now",
            &Type::Instant,
            "What the clock says. Default: 2026-01-01.",
        ),
        required("request", &Type::Fields(&REQUEST), "What is sent."),
        required("expect", &Type::Fields(&EXPECT), "What must become of it."),
    ],
);

/// `request` of a test.
pub static REQUEST: Shape = Shape::new(
    "test_request",
    "`request` of a test",
    &[
        key("method", &TEXT, "Default: GET."),
        required(
            "url",
            &TEXT,
            "Scheme, host, path and query, exactly as they are sent.",
        ),
        key(
            "headers",
            &Type::Many(&HEADERS),
            "Header lines; a list of such mappings where the order matters.",
        ),
        key(
            "client_address",
            &TEXT,
            "The address of the connection. Default: 192.0.2.1.",
        ),
        key("protocol", &TEXT, "Default: HTTP/2."),
        key("body", &TEXT, "Default: none."),
        key(
            "context",
            &Type::Named(&TEXT),
            "Envoy's context extensions.",
        ),
        key(
            "as",
            &Type::Many(&Type::Fields(&CALLER)),
            "Who calls, with a credential that stands in for the real one.",
        ),
    ],
);

/// `as` of a test.
pub static CALLER: Shape = Shape::new(
    "test_caller",
    "`as` of a test",
    &[
        key("consumer", &TEXT, "A consumer's name."),
        key("authenticator", &TEXT, "The authenticator to call with."),
        key("credential", &TEXT, "The id of a key."),
        key(
            "spiffe_id",
            &TEXT,
            "The workload whose certificate the connection shows, for `mtls`.",
        ),
        key(
            "subject",
            &TEXT,
            "A token's `sub`; with `mtls`, what `identity` says of the certificate.",
        ),
        key("scopes", &Type::ManyOrEmpty(&TEXT), "A token's scopes."),
        key("issued", &Type::Instant, "A token's `iat`."),
        key("expires", &Type::Instant, "A token's `exp`."),
        key("claims", &Type::AnyMapping, "Further claims of a token."),
    ],
);

/// `expect` of a test.
pub static EXPECT: Shape = Shape::new(
    "test_expectation",
    "`expect` of a test",
    &[
        key(
            "status",
            &Type::Integer(100, 599),
            "The HTTP status; 200 where the request passes.",
        ),
        key("reason", &TEXT, "The reason of the decision."),
        key("policy", &TEXT, "The policy that judges."),
        key("route", &TEXT, "The path of its route, as written."),
        key(
            "upstream_headers",
            &Type::Named(&Type::OrNothing(&TEXTS)),
            "What the upstream receives; nothing behind a name: not there.",
        ),
        key(
            "upstream_path",
            &TEXT,
            "The path and query that the upstream receives.",
        ),
        key(
            "removed_headers",
            &TEXTS,
            "Headers that were sent and do not arrive.",
        ),
        key(
            "response_headers",
            &Type::Named(&Type::OrNothing(&TEXTS)),
            "Headers of the answer; nothing behind a name: not there.",
        ),
        key(
            "body",
            &Type::Either(&[Type::Text, Type::AnyMapping]),
            "The body of the answer, or some members of it.",
        ),
        key(
            "metadata",
            &Type::Fields(&METADATA),
            "Members of the dynamic metadata.",
        ),
    ],
);

/// A member of the dynamic metadata; nothing behind it: not there.
static MEMBER: Type = Type::OrNothing(&TEXT);

/// `metadata` of a test.
pub static METADATA: Shape = Shape::new(
    "test_metadata",
    "`metadata`",
    &[
        key("decision_id", &MEMBER, "The name of the decision."),
        key("reason", &MEMBER, "The reason of the decision."),
        key("policy", &MEMBER, "The policy that judged."),
        key("route", &MEMBER, "The path of its route, as written."),
        key("principal", &MEMBER, "The caller, as `principal.id`."),
        key("subject", &MEMBER, "The caller, as `principal.subject`."),
        key("authenticator", &MEMBER, "What proved the caller."),
        key("credential_id", &MEMBER, "A key's id, a token's `jti`."),
        key("consumer", &MEMBER, "The caller's consumer."),
        key(
            "scopes",
            &Type::OrNothing(&Type::ListOrEmpty(&TEXT)),
            "The caller's scopes, in order.",
        ),
    ],
);
