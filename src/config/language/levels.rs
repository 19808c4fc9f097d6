//! `defaults`, `policies`, their routes, and the keys that these share.

use super::{BOOLEAN, TEXT, TEXTS};
use crate::config::shape::{Key, Shape, Type, form, key, later, required};

/// The keys of every level.
static LEVEL: [Key; 13] = [
    key(
        "authenticate",
        &Type::Either(&[Type::Text, Type::Fields(&DEMAND), Type::List(&DEMANDED)]),
        "What opens the route: the name of an authenticator, a list of which any one will do, `{any: […]}` or `{all: […]}`. The nearest level counts.",
    ),
    key(
        "optional",
        &BOOLEAN,
        "`true`: who sends no credential passes as anonymous; a wrong one is still refused. The nearest level counts.",
    ),
    key(
        "public",
        &BOOLEAN,
        "`true`: no credential is asked for, nothing is injected. The nearest level that says `authenticate` or `public` counts.",
    ),
    key(
        "scopes",
        &Type::Either(&[Type::Many(&TEXT), Type::Fields(&REQUIRED_SCOPES)]),
        "Scopes that the caller needs: all of a list, or `{any: […]}`. Every level must hold.",
    ),
    key(
        "roles",
        &Type::Either(&[Type::Many(&TEXT), Type::Fields(&REQUIRED_ROLES)]),
        "A role that the caller needs, `{any: […]}` or `{all: […]}`. Every level must hold.",
    ),
    key(
        "callers",
        &Type::List(&Type::Fields(&CALLER)),
        "Who may call: any one of these. Every level must hold.",
    ),
    key(
        "allow_ips",
        &TEXTS,
        "Addresses and networks that clients may call from. Every level must hold, on public routes too.",
    ),
    key(
        "when",
        &TEXT,
        "A condition in CEL: `principal.claims.tenant == request.headers[\"x-tenant\"]`. Every level must hold.",
    ),
    key(
        "environment",
        &TEXT,
        "The environment that the route serves. The nearest level counts; else `live`.",
    ),
    key(
        "mode",
        &Type::Word(&["enforce", "shadow"]),
        "`shadow` judges and records beside what counts, and changes nothing. The nearest level counts.",
    ),
    key(
        "inject",
        &Type::Named(&Type::Either(&[Type::Text, Type::Fields(&INJECTED)])),
        "What the upstream is told: headers, each with an expression. Merged by name, the nearest level wins.",
    ),
    key(
        "cors",
        &Type::Fields(&CORS),
        "Which pages of other origins may call; preflights are answered here. The nearest level counts.",
    ),
    later("limit"),
];

/// `defaults`.
pub static DEFAULTS: Shape = Shape::new(
    "defaults",
    "`defaults`",
    &[
        key(
            "reserved_prefix",
            &TEXT,
            "Headers that begin so are set by Portcullis or removed. Default: `x-auth-`.",
        ),
        key(
            "unknown_route",
            &Type::Word(&["forbidden", "not_found"]),
            "How requests that no route covers are answered: 403 (the default) or 404.",
        ),
        key(
            "client_address",
            &Type::Fields(&CLIENT_ADDRESS),
            "Whose word counts on where a request comes from. Default: the connection's own address.",
        ),
        key(
            "paths",
            &Type::Fields(&PATHS),
            "Points of the path in which your upstreams are known to be unambiguous.",
        ),
        key(
            "errors",
            &Type::Fields(&ERRORS),
            "What callers are told that they would otherwise not be.",
        ),
        key(
            "unenforced",
            &Type::Word(&["deny", "allow"]),
            "What becomes of a request that only routes in shadow mode cover. Default: `deny`.",
        ),
        key(
            "require",
            &Type::Fields(&REQUIRE),
            "What binds every tenant. In the root only.",
        ),
    ],
)
.sharing(&LEVEL);

/// One of `policies`.
pub static POLICY: Shape = Shape::new(
    "policy",
    "a policy",
    &[
        required(
            "hosts",
            &TEXTS,
            "Hosts without a port: `api.example.com`, `*.example.com` for one label and more before it, `*`.",
        ),
        required(
            "routes",
            &Type::Either(&[
                Type::List(&Type::Fields(&ROUTE)),
                Type::NamedSome(&Type::Either(&[
                    Type::Many(&TEXT),
                    Type::Fields(&SHORT_ROUTE),
                ])),
            ]),
            "A list of routes, or in the short form `METHODS PATH: SCOPE`, `GET /health: public`.",
        ),
        key(
            "external_url",
            &TEXT,
            "The address that clients call, where Envoy sees another: `https://api.example.com/v1`. Signatures are checked over it.",
        ),
    ],
)
.sharing(&LEVEL);

/// One of a policy's `routes`.
pub static ROUTE: Shape = Shape::new(
    "route",
    "a route",
    &[
        key(
            "path",
            &TEXT,
            "The path, decoded: `/orders`, `/orders/{order_id}`, `/files/**` for all below and `/files` itself.",
        ),
        key("methods", &TEXTS, "Default: all but CONNECT and TRACE. GET admits HEAD."),
        key("grpc", &Type::Fields(&GRPC), "POST on `/SERVICE/METHOD`, instead of `path`."),
    ],
)
.sharing(&LEVEL)
.formed(&[
    form(&["path"], &["grpc"]),
    form(&["grpc"], &["path", "methods"]),
]);

/// A route in the short form, whose path is its key.
pub static SHORT_ROUTE: Shape = Shape::new("short_route", "a route", &[]).sharing(&LEVEL);

/// `grpc`.
pub static GRPC: Shape = Shape::new(
    "grpc",
    "`grpc`",
    &[
        required(
            "service",
            &TEXT,
            "The full name, as in `orders.v1.OrderService`.",
        ),
        key("methods", &TEXTS, "Methods of the service. Default: all."),
    ],
);

/// `authenticate` as a mapping.
pub static DEMAND: Shape = Shape::new(
    "demand",
    "`authenticate`",
    &[
        key("any", &Type::List(&DEMANDED), "Any one of these will do."),
        key(
            "all",
            &Type::List(&DEMANDED),
            "Every one of these, each with a credential of its own.",
        ),
        key(
            "principal",
            &TEXT,
            "Which member of `all` is the principal. Default: the first.",
        ),
    ],
)
.formed(&[
    form(&["any"], &["all", "principal"]),
    form(&["all"], &["any"]),
]);

static DEMANDED: Type = Type::Either(&[Type::Text, Type::Fields(&DEMAND)]);

/// `scopes` of a level as a mapping.
pub static REQUIRED_SCOPES: Shape = Shape::new(
    "required_scopes",
    "`scopes`",
    &[
        key("any", &TEXTS, "One of these is enough."),
        key("all", &TEXTS, "All of these are needed."),
    ],
)
.formed(&[form(&["any"], &["all"]), form(&["all"], &["any"])]);

/// `roles` of a level as a mapping.
pub static REQUIRED_ROLES: Shape = Shape::new(
    "required_roles",
    "`roles`",
    &[
        key("any", &TEXTS, "One of these is enough."),
        key("all", &TEXTS, "All of these are needed."),
    ],
)
.formed(&[form(&["any"], &["all"]), form(&["all"], &["any"])]);

/// One of `callers`.
pub static CALLER: Shape = Shape::new(
    "caller",
    "a caller",
    &[
        key("consumer", &TEXT, "A consumer by its name."),
        key(
            "spiffe_id",
            &TEXT,
            "A workload by its SPIFFE ID; `*` stands for one whole segment of the path.",
        ),
        key(
            "namespace",
            &TEXT,
            "Workloads by their Kubernetes namespace.",
        ),
        key(
            "service_account",
            &TEXT,
            "Of the namespace, this service account alone.",
        ),
        key(
            "trust_domain",
            &TEXT,
            "Of this trust domain alone. To be said where there are several.",
        ),
    ],
)
.formed(&[
    form(
        &["consumer"],
        &["spiffe_id", "namespace", "service_account", "trust_domain"],
    ),
    form(
        &["spiffe_id"],
        &["consumer", "namespace", "service_account", "trust_domain"],
    ),
    form(&["namespace"], &["consumer", "spiffe_id"]),
]);

/// An injected header as a mapping.
pub static INJECTED: Shape = Shape::new(
    "injected",
    "an injected header",
    &[
        required("value", &TEXT, "The expression."),
        key(
            "required",
            &BOOLEAN,
            "`true` refuses the request where there is no value. Default: the header is removed.",
        ),
    ],
);

/// `require`.
pub static REQUIRE: Shape = Shape::new(
    "require",
    "`require`",
    &[
        key(
            "authenticators",
            &TEXTS,
            "One of these is proven by every caller of a tenant's routes, but of public ones.",
        ),
        key(
            "scopes",
            &TEXTS,
            "Every caller of a tenant's routes holds these, but of public ones.",
        ),
        later("limits"),
    ],
);

/// `client_address`.
pub static CLIENT_ADDRESS: Shape = Shape::new(
    "client_address",
    "`client_address`",
    &[
        required(
            "trusted_hops",
            &Type::Integer(0, 16),
            "How many proxies stand between clients and Envoy: the address is that element of `X-Forwarded-For`, counted from the right.",
        ),
        key(
            "envoy_appends",
            &BOOLEAN,
            "Whether Envoy appends one more element itself, as it does with `use_remote_address: true`; that is not counted. Default: so where the last element is the connection's address.",
        ),
    ],
);

/// `paths`.
pub static PATHS: Shape = Shape::new(
    "paths",
    "`paths`",
    &[
        key(
            "empty_segments",
            &Type::Word(&["refuse", "allow"]),
            "`allow` reads `//` as `/`.",
        ),
        key(
            "matrix_parameters",
            &Type::Word(&["refuse", "allow"]),
            "`allow` passes over a bare `;` and what follows it in its segment.",
        ),
        key(
            "encoded_slashes",
            &Type::Word(&["refuse", "allow"]),
            "`allow` takes `%2F` as a character of its segment.",
        ),
        key(
            "trailing_slash",
            &Type::Word(&["keep", "ignore"]),
            "`ignore`: a slash at the end is no part of a path.",
        ),
    ],
);

/// `errors`.
pub static ERRORS: Shape = Shape::new(
    "errors",
    "`errors`",
    &[required(
        "disclose",
        &Type::ManyOrEmpty(&Type::Word(&["scopes"])),
        "`[scopes]`: a caller who lacks a scope is told which ones the route asks for.",
    )],
);

/// `cors`.
pub static CORS: Shape = Shape::new(
    "cors",
    "`cors`",
    &[
        required(
            "origins",
            &TEXTS,
            "Origins whose pages may call: `https://app.example.com`.",
        ),
        key("headers", &TEXTS, "Request headers that a page may set."),
        key("expose", &TEXTS, "Response headers that a page may read."),
        key(
            "credentials",
            &BOOLEAN,
            "Whether a page may send cookies and HTTP authentication.",
        ),
        key(
            "max_age",
            &Type::Duration,
            "How long a browser may keep the answer to a preflight.",
        ),
    ],
);
