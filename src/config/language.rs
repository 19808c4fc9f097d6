//! The policy language: every mapping with its keys, what each takes and what it means.
//!
//! A key is added here by one line. The decoder then has to read it: tests fill every key that stands
//! here with what it does not take, and expect a mistake.

mod authenticators;
mod cases;
mod consumers;
mod levels;
mod mtls;
mod signed;

pub use self::authenticators::{API_KEY, AUTHENTICATOR, CLAIMED_ROLES, JWKS, JWT, PLACE};
pub use self::cases::{CALLER as TEST_CALLER, CASE, EXPECT, METADATA, REQUEST, TESTS_FILE};
pub use self::consumers::{CONSUMER, CREDENTIAL, REVOCATION, ROLE, TENANT};
pub use self::levels::{
    CALLER, CLIENT_ADDRESS, CORS, DEFAULTS, DEMAND, ERRORS, GRPC, INJECTED, PATHS, POLICY, REQUIRE,
    REQUIRED_ROLES, REQUIRED_SCOPES, ROUTE, SHORT_ROUTE,
};

pub use self::mtls::{CERTIFICATE_FILE, IDENTITY, MTLS, PEER, PEER_FORMS, PIN};
pub use self::signed::{
    CUSTOM_TIMESTAMP, CUSTOM_WEBHOOK, HMAC, HTTP_SIGNATURE, OAUTH1, SECRET, SIGV4, TOKEN, WEBHOOK,
};

use crate::config::shape::{Shape, Type, key, later};

/// The version of the policy language.
pub const VERSION: &str = "portcullis/v1";

/// One text.
static TEXT: Type = Type::Text;
/// `true` or `false`.
static BOOLEAN: Type = Type::Boolean;
/// A list of texts, or one.
static TEXTS: Type = Type::Many(&TEXT);

/// A policy file.
pub static FILE: Shape = Shape::new(
    "file",
    "a policy file",
    &[
        key(
            "version",
            &Type::Word(&[VERSION]),
            "The version of the policy language.",
        ),
        key(
            "authenticators",
            &Type::Named(&Type::Kind(&AUTHENTICATOR)),
            "Ways to prove who calls, by name: a name, then exactly one kind.",
        ),
        key(
            "roles",
            &Type::Named(&Type::Fields(&ROLE)),
            "Names for sets of scopes.",
        ),
        key(
            "consumers",
            &Type::Named(&Type::OrNothing(&Type::Fields(&CONSUMER))),
            "Partners, teams and applications that you know, by name.",
        ),
        key(
            "revocations",
            &Type::ListOrEmpty(&Type::Fields(&REVOCATION)),
            "What counts no longer. Entries hold even where the rest of the policies has mistakes.",
        ),
        key(
            "defaults",
            &Type::Fields(&DEFAULTS),
            "What holds for all policies unless they say otherwise. Each key is said in one file.",
        ),
        key(
            "policies",
            &Type::Named(&Type::Fields(&POLICY)),
            "Hosts with their routes, by name.",
        ),
        key(
            "tenants",
            &Type::Named(&Type::Fields(&TENANT)),
            "Teams that write policies of their own, in the subdirectory of that name. In the root only.",
        ),
        key(
            "tests",
            &Type::ListOrEmpty(&Type::Fields(&CASE)),
            "Requests and what must become of them: `portcullis test` runs them.",
        ),
        later("plans"),
    ],
);
