//! `mtls`, and what names a peer.

use super::{BOOLEAN, TEXT, TEXTS};
use crate::config::shape::{Shape, Type, form, key, required};

/// `mtls`.
pub static MTLS: Shape = Shape::new(
    "mtls",
    "an `mtls` authenticator",
    &[
        key(
            "trust_domains",
            &TEXTS,
            "SPIFFE trust domains whose workloads are meant: `prod.example.com`. Their certificates are held to the rules of X.509-SVID.",
        ),
        key(
            "identity",
            &Type::Either(&[
                Type::Word(&IDENTITIES),
                Type::Fields(&IDENTITY),
            ]),
            "For certificates that are no workloads': what their holders are called.",
        ),
        key(
            "allow",
            &Type::List(&Type::Fields(&PEER)),
            "Whose certificates are meant: any one of these.",
        ),
        key(
            "except",
            &Type::List(&Type::Fields(&PEER)),
            "Whose are not, whatever `allow` says: the ingress gateway's, whose certificate is not its callers'.",
        ),
        key(
            "any_workload",
            &BOOLEAN,
            "`true`: every workload of the trust domains is meant.",
        ),
        key(
            "any_certificate",
            &BOOLEAN,
            "`true`: every certificate that is trusted is meant.",
        ),
        key(
            "bundles",
            &Type::NamedSome(&Type::Fields(&CERTIFICATE_FILE)),
            "The authorities of each trust domain: a SPIFFE bundle (JSON), or certificates in PEM. Default: Envoy has verified the chain.",
        ),
        key(
            "ca",
            &Type::Fields(&CERTIFICATE_FILE),
            "The authorities of certificates that are no workloads', in PEM.",
        ),
        key(
            "pins",
            &Type::List(&Type::Fields(&PIN)),
            "Certificates or keys that are trusted by themselves, without an authority.",
        ),
        key(
            "verified_by",
            &Type::Word(&["envoy"]),
            "`envoy`: its listener verifies the chains of all clients, and nothing is verified again.",
        ),
        key(
            "crls",
            &Type::Many(&Type::Fields(&CERTIFICATE_FILE)),
            "Revocation lists of the authorities, in PEM or DER.",
        ),
        key(
            "unknown_revocation",
            &Type::Word(&["refuse", "accept"]),
            "A certificate of which no current list speaks: `refuse` (the default) or `accept`.",
        ),
    ],
)
.formed(&[
    form(
        &["trust_domains"],
        &["identity", "any_certificate", "ca", "pins"],
    ),
    form(&["identity"], &["trust_domains", "any_workload", "bundles"]),
]);

/// What a holder may be called by.
const IDENTITIES: [&str; 7] = [
    "subject",
    "dns",
    "email",
    "uri",
    "ip",
    "serial",
    "fingerprint",
];

/// `identity` as a mapping.
pub static IDENTITY: Shape = Shape::new(
    "identity",
    "`identity`",
    &[
        key(
            "attribute",
            &TEXT,
            "An attribute of the subject by its object identifier: `0.9.2342.19200300.100.1.1`.",
        ),
        key(
            "extension",
            &TEXT,
            "An extension whose value is a text, by its object identifier.",
        ),
    ],
)
.formed(&[
    form(&["attribute"], &["extension"]),
    form(&["extension"], &["attribute"]),
]);

/// A file with certificates or lists.
pub static CERTIFICATE_FILE: Shape = Shape::new(
    "certificate_file",
    "a file",
    &[required("file", &TEXT, "The file, relative to this one.")],
);

/// One of `pins`.
pub static PIN: Shape = Shape::new(
    "pin",
    "a pin",
    &[
        key(
            "fingerprint",
            &TEXT,
            "SHA-256 of the certificate (DER), in hexadecimal digits.",
        ),
        key(
            "key_fingerprint",
            &TEXT,
            "SHA-256 of its public key (SubjectPublicKeyInfo), in hexadecimal digits: a renewed certificate keeps it.",
        ),
    ],
)
.formed(&[
    form(&["fingerprint"], &["key_fingerprint"]),
    form(&["key_fingerprint"], &["fingerprint"]),
]);

/// One of `allow` or `except`.
pub static PEER: Shape = Shape::new(
    "peer",
    "a peer",
    &[
        key(
            "spiffe_id",
            &TEXT,
            "A workload by its SPIFFE ID; `*` stands for one whole segment of the path.",
        ),
        key(
            "namespace",
            &TEXT,
            "Workloads by their Kubernetes namespace: `/ns/NAMESPACE/sa/…`.",
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
        key(
            "subject",
            &TEXT,
            "The whole subject (RFC 4514): `CN=acme,O=Acme Inc`.",
        ),
        key("dns", &TEXT, "A DNS name of the certificate."),
        key("email", &TEXT, "An email address of the certificate."),
        key("uri", &TEXT, "A URI of the certificate."),
        key("ip", &TEXT, "An IP address of the certificate."),
        key(
            "fingerprint",
            &TEXT,
            "SHA-256 of the certificate (DER), in hexadecimal digits.",
        ),
        key(
            "key_fingerprint",
            &TEXT,
            "SHA-256 of its public key (SubjectPublicKeyInfo), in hexadecimal digits.",
        ),
        key(
            "serial",
            &TEXT,
            "The serial number in hexadecimal digits, with `issuer`.",
        ),
        key("issuer", &TEXT, "The issuer (RFC 4514) of the `serial`."),
        key(
            "attribute",
            &TEXT,
            "An attribute of the subject by its object identifier, with `value`.",
        ),
        key(
            "extension",
            &TEXT,
            "An extension by its object identifier, with `value`.",
        ),
        key("value", &TEXT, "What the attribute or extension says."),
    ],
)
.formed(&[
    form(&["spiffe_id"], OTHERS_THAN_SPIFFE_ID),
    form(&["namespace"], OTHERS_THAN_NAMESPACE),
    form(&["subject"], OTHERS_THAN_SUBJECT),
    form(&["dns"], OTHERS_THAN_DNS),
    form(&["email"], OTHERS_THAN_EMAIL),
    form(&["uri"], OTHERS_THAN_URI),
    form(&["ip"], OTHERS_THAN_IP),
    form(&["fingerprint"], OTHERS_THAN_FINGERPRINT),
    form(&["key_fingerprint"], OTHERS_THAN_KEY_FINGERPRINT),
    form(&["serial", "issuer"], OTHERS_THAN_SERIAL),
    form(&["attribute", "value"], OTHERS_THAN_ATTRIBUTE),
    form(&["extension", "value"], OTHERS_THAN_EXTENSION),
]);

/// What names a peer, each with what goes with it: whether that is needed, and whether a trust domain may stand
/// there.
pub const PEER_FORMS: [(&str, Option<(&str, bool)>); 12] = [
    ("spiffe_id", None),
    ("namespace", Some(("service_account", false))),
    ("subject", None),
    ("dns", None),
    ("email", None),
    ("uri", None),
    ("ip", None),
    ("fingerprint", None),
    ("key_fingerprint", None),
    ("serial", Some(("issuer", true))),
    ("attribute", Some(("value", true))),
    ("extension", Some(("value", true))),
];

const OTHERS_THAN_SPIFFE_ID: &[&str] = &[
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "email",
    "uri",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_NAMESPACE: &[&str] = &[
    "spiffe_id",
    "subject",
    "dns",
    "email",
    "uri",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_SUBJECT: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "dns",
    "email",
    "uri",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_DNS: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "email",
    "uri",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_EMAIL: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "uri",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_URI: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "email",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_IP: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "email",
    "uri",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_FINGERPRINT: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "email",
    "uri",
    "ip",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_KEY_FINGERPRINT: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "email",
    "uri",
    "ip",
    "fingerprint",
    "serial",
    "issuer",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_SERIAL: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "email",
    "uri",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "attribute",
    "extension",
    "value",
];
const OTHERS_THAN_ATTRIBUTE: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "email",
    "uri",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "extension",
];
const OTHERS_THAN_EXTENSION: &[&str] = &[
    "spiffe_id",
    "namespace",
    "service_account",
    "trust_domain",
    "subject",
    "dns",
    "email",
    "uri",
    "ip",
    "fingerprint",
    "key_fingerprint",
    "serial",
    "issuer",
    "attribute",
];
