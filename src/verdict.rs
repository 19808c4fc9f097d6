//! How a decision ends: one closed vocabulary of reasons, and the endings Envoy can be given.
//!
//! The reason's name is the metric label, the audit field, the dynamic metadata and the word in a
//! policy test. What the caller reads is the public class and a message that helps to mend the
//! request without telling what a policy says.

use std::borrow::Cow;

/// A family of reasons, as the caller may see it, with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each variant's name is the public word it stands for"
)]
pub enum PublicClass {
    Allowed,
    Preflight,
    RequestMalformed,
    CredentialsMissing,
    CredentialsInvalid,
    CredentialsExpired,
    Forbidden,
    InsufficientScope,
    MethodNotAllowed,
    Unavailable,
    Internal,
}

impl PublicClass {
    /// The word in `type` of a problem document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Preflight => "preflight",
            Self::RequestMalformed => "request_malformed",
            Self::CredentialsMissing => "credentials_missing",
            Self::CredentialsInvalid => "credentials_invalid",
            Self::CredentialsExpired => "credentials_expired",
            Self::Forbidden => "forbidden",
            Self::InsufficientScope => "insufficient_scope",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status of an answer of this class; all are members of Envoy's `StatusCode`.
    pub const fn status(self) -> u16 {
        match self {
            Self::Allowed => 200,
            Self::Preflight => 204,
            Self::RequestMalformed => 400,
            Self::CredentialsMissing | Self::CredentialsInvalid | Self::CredentialsExpired => 401,
            Self::Forbidden | Self::InsufficientScope => 403,
            Self::MethodNotAllowed => 405,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }

    /// The `error` code of RFC 6750 section 3.1 where one fits. A request without any credential gets
    /// none, as that section asks.
    pub const fn oauth_error(self) -> Option<&'static str> {
        match self {
            Self::RequestMalformed => Some("invalid_request"),
            Self::CredentialsInvalid | Self::CredentialsExpired => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
            _ => None,
        }
    }
}

/// The reason phrase of a status that a denial may have (RFC 9110 section 15).
pub const fn title(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal, $class:ident, $message:literal;)+) => {
        /// Why a decision ended as it did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])+ $variant,)+ }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The reason's name, in snake case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What of it the caller may know.
            pub const fn class(self) -> PublicClass {
                match self { $(Self::$variant => PublicClass::$class,)+ }
            }

            /// What the caller reads: how to mend the request, never what a policy says.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)+ }
            }
        }
    };
}

reasons! {
    /// The request may pass.
    Allowed = "allowed", Allowed, "Allowed.";
    /// A preflight whose origin, method and headers are admitted; Portcullis answered it.
    Preflight = "preflight", Preflight, "Answered.";
    /// Method, host, path or the check itself cannot be read.
    RequestMalformed = "request_malformed", RequestMalformed,
        "The request cannot be read. Check its method, host, target and headers.";
    /// The path has more than one reading.
    PathAmbiguous = "path_ambiguous", RequestMalformed,
        "The path can be read in more than one way. Send it without dot segments, empty segments, backslashes, semicolons or doubly encoded characters.";
    /// More than one credential where one is expected.
    CredentialsAmbiguous = "credentials_ambiguous", RequestMalformed,
        "More than one credential was sent. Send exactly one.";
    /// No credential where one is needed.
    CredentialsMissing = "credentials_missing", CredentialsMissing,
        "This request needs a credential and has none. Send one and retry.";
    /// A credential that no authenticator of the route owns.
    CredentialsUnrecognised = "credentials_unrecognised", CredentialsInvalid,
        "The credential is not of a kind that is accepted here.";
    /// No such API key.
    KeyUnknown = "key_unknown", CredentialsInvalid,
        "The credential is not valid. Check that it was copied whole.";
    /// An API key of our own format whose checksum is wrong: a typing error or a cut.
    KeyMalformed = "key_malformed", CredentialsInvalid,
        "The credential is not valid. Check that it was copied whole.";
    /// The API key's time is over.
    KeyExpired = "key_expired", CredentialsExpired,
        "The API key has expired. Get a new one and retry.";
    /// Not a JWS of three readable parts with the claims that are required.
    TokenMalformed = "token_malformed", CredentialsInvalid,
        "The access token is not valid. Get a new one and retry.";
    /// The token names an issuer that no authenticator of the route trusts.
    TokenIssuerUnknown = "token_issuer_unknown", CredentialsInvalid,
        "The access token is not valid here. Get one from the right issuer.";
    /// The token's `alg` is not among the configured ones, or does not fit the key.
    TokenAlgorithmRefused = "token_algorithm_refused", CredentialsInvalid,
        "The access token is not valid. Get a new one and retry.";
    /// The token's header asks for something that is never done: `crit`, `b64`, `zip`, embedded keys.
    TokenHeaderRefused = "token_header_refused", CredentialsInvalid,
        "The access token is not valid. Get a new one and retry.";
    /// The token's `typ` says that it is no access token.
    TokenTypeRefused = "token_type_refused", CredentialsInvalid,
        "The token is not an access token.";
    /// No key of the issuer has the token's `kid`.
    TokenKeyUnknown = "token_key_unknown", CredentialsInvalid,
        "The access token is not valid. Get a new one and retry.";
    /// The signature does not match.
    TokenSignatureInvalid = "token_signature_invalid", CredentialsInvalid,
        "The access token is not valid. Get a new one and retry.";
    /// The token is meant for another audience.
    TokenAudienceMismatch = "token_audience_mismatch", CredentialsInvalid,
        "The access token is meant for another audience. Get one for this API.";
    /// A required claim is missing or no claim of its type.
    TokenClaimInvalid = "token_claim_invalid", CredentialsInvalid,
        "The access token lacks a claim, or holds one that is not valid.";
    /// `nbf` or `iat` lies ahead.
    TokenNotYetValid = "token_not_yet_valid", CredentialsInvalid,
        "The access token is not valid yet. Check the clock of the machine that issued it.";
    /// `exp` has passed.
    TokenExpired = "token_expired", CredentialsExpired,
        "The access token has expired. Get a new one and retry.";
    /// The signature, or one of its parameters, cannot be read.
    SignatureMalformed = "signature_malformed", CredentialsInvalid,
        "The signature or one of its parameters cannot be read.";
    /// No key of the name that the signature states.
    SignatureKeyUnknown = "signature_key_unknown", CredentialsInvalid,
        "The signature does not match. Check the key, its name, and what was signed.";
    /// The signature's algorithm is not among the configured ones, or does not fit the key.
    SignatureAlgorithmRefused = "signature_algorithm_refused", CredentialsInvalid,
        "The signature's algorithm is not accepted here.";
    /// The signature leaves out something that it must cover.
    SignatureIncomplete = "signature_incomplete", CredentialsInvalid,
        "The signature does not cover all that it must.";
    /// The signature covers something that the request does not have, or that cannot be taken from it.
    SignatureComponentRefused = "signature_component_refused", CredentialsInvalid,
        "The signature covers something that cannot be taken from this request.";
    /// The signature is meant for another service, region or realm.
    SignatureScopeMismatch = "signature_scope_mismatch", CredentialsInvalid,
        "The signature is meant for another service, region or realm.";
    /// The signature does not match.
    SignatureMismatch = "signature_mismatch", CredentialsInvalid,
        "The signature does not match. Check the key, its name, and what was signed.";
    /// The signature's time lies ahead.
    SignatureNotYetValid = "signature_not_yet_valid", CredentialsInvalid,
        "The signature's time lies ahead. Check the clock of the machine that signed.";
    /// The signature is too old.
    SignatureExpired = "signature_expired", CredentialsExpired,
        "The signature has expired. Sign the request anew.";
    /// The signature, or its nonce, was seen before.
    SignatureReplayed = "signature_replayed", CredentialsInvalid,
        "This request was sent before. Sign each request anew, with a nonce of its own.";
    /// The body is another than its digest says.
    BodyDigestMismatch = "body_digest_mismatch", CredentialsInvalid,
        "The body does not match its digest.";
    /// The signature covers the body, and Envoy did not hand over all of it.
    BodyUnavailable = "body_unavailable", CredentialsInvalid,
        "The signature covers a body that cannot be checked here: too large, streamed, or of unknown length.";
    /// The route asks for the certificate itself, and only names of it came.
    CertificateMissing = "certificate_missing", CredentialsInvalid,
        "A client certificate is needed.";
    /// What Envoy or a proxy hands over of the certificate cannot be read.
    PeerSourceMalformed = "peer_source_malformed", CredentialsInvalid,
        "What was handed over of the client certificate cannot be read.";
    /// Two places tell of different certificates.
    PeerSourcesDisagree = "peer_sources_disagree", CredentialsInvalid,
        "What was handed over of the client certificate contradicts itself.";
    /// No certificate of RFC 5280, or one that has more than one reading.
    CertificateMalformed = "certificate_malformed", CredentialsInvalid,
        "The client certificate cannot be read.";
    /// `notAfter` has passed.
    CertificateExpired = "certificate_expired", CredentialsExpired,
        "The client certificate has expired. Get a new one and retry.";
    /// `notBefore` lies ahead.
    CertificateNotYetValid = "certificate_not_yet_valid", CredentialsInvalid,
        "The client certificate is not valid yet. Check the clock of the machine that issued it.";
    /// The certificate does not chain to a trusted authority.
    CertificateUntrusted = "certificate_untrusted", CredentialsInvalid,
        "The client certificate is not trusted here.";
    /// Neither the certificate nor its key is pinned.
    CertificateNotPinned = "certificate_not_pinned", CredentialsInvalid,
        "The client certificate is not trusted here.";
    /// The certificate breaks a rule of X.509-SVID.
    CertificateNotSvid = "certificate_not_svid", CredentialsInvalid,
        "The client certificate is not one of a workload (X.509-SVID).";
    /// The certificate's URI is no SPIFFE ID.
    SpiffeIdMalformed = "spiffe_id_malformed", CredentialsInvalid,
        "The client certificate holds no valid SPIFFE ID.";
    /// The workload's trust domain is not admitted.
    TrustDomainRefused = "trust_domain_refused", CredentialsInvalid,
        "The client certificate is not accepted here.";
    /// The certificate is outside of what its authenticator admits.
    CertificateRefused = "certificate_refused", CredentialsInvalid,
        "The client certificate is not accepted here.";
    /// The certificate, or one in its chain, is on a revocation list.
    CertificateRevoked = "certificate_revoked", CredentialsInvalid,
        "The client certificate was revoked.";
    /// No current revocation list speaks of the certificate.
    CertificateRevocationUnknown = "certificate_revocation_unknown", CredentialsInvalid,
        "The client certificate is not trusted here.";
    /// An authority's certificate used as a client's own.
    CertificateCaAsLeaf = "certificate_ca_as_leaf", CredentialsInvalid,
        "The client certificate is that of an authority.";
    /// The certificate's key is too weak or of a kind that is not trusted.
    CertificateKeyWeak = "certificate_key_weak", CredentialsInvalid,
        "The key of the client certificate is too weak or of a kind that is not accepted.";
    /// The certificate is not meant for clients of TLS.
    CertificatePurposeRefused = "certificate_purpose_refused", CredentialsInvalid,
        "The certificate is not meant for TLS clients.";
    /// Name constraints of an authority do not admit the certificate.
    CertificateNameConstrained = "certificate_name_constrained", CredentialsInvalid,
        "The client certificate is not trusted here.";
    /// What identifies the caller is not in the certificate, or stands there more than once.
    CertificateIdentityMissing = "certificate_identity_missing", CredentialsInvalid,
        "The client certificate does not name its holder as is asked for here.";
    /// The credential, its subject or its consumer was revoked.
    CredentialsRevoked = "credentials_revoked", CredentialsInvalid,
        "The credential is no longer valid.";
    /// The credential is for another environment than the route.
    EnvironmentMismatch = "environment_mismatch", CredentialsInvalid,
        "The credential is for another environment. Use one for this environment.";
    /// The consumer's time is over.
    ConsumerExpired = "consumer_expired", CredentialsInvalid,
        "The credential is no longer valid.";
    /// One token fits two consumers.
    ConsumerAmbiguous = "consumer_ambiguous", Forbidden,
        "This request is not allowed.";
    /// No route covers the host and path.
    RouteUnknown = "route_unknown", Forbidden,
        "This request is not allowed.";
    /// Envoy pins a policy that does not exist.
    PolicyUnknown = "policy_unknown", Forbidden,
        "This request is not allowed.";
    /// The path is known, the method is not among its methods.
    MethodNotAllowed = "method_not_allowed", MethodNotAllowed,
        "This method is not allowed here. The Allow header lists those that are.";
    /// A preflight whose origin, or a header it asks for, is not admitted.
    CorsRefused = "cors_refused", Forbidden,
        "Pages of this origin may not send this request.";
    /// The setting `require_tls` holds and the request came without TLS.
    TlsRequired = "tls_required", Forbidden,
        "This API is only served over TLS. Use https.";
    /// A required scope is not held.
    ScopeInsufficient = "scope_insufficient", InsufficientScope,
        "The credential does not permit this request.";
    /// The client's address is not among those that are allowed, or can't be known.
    AddressRefused = "address_refused", Forbidden,
        "This request is not allowed.";
    /// None of the route's callers.
    CallerRefused = "caller_refused", Forbidden,
        "This request is not allowed.";
    /// A required role is not held.
    RoleMissing = "role_missing", Forbidden,
        "This request is not allowed.";
    /// A condition of the route does not hold.
    ConditionFalse = "condition_false", Forbidden,
        "This request is not allowed.";
    /// A condition of the route ended in an error: there is no telling whether it holds.
    ConditionFailed = "condition_failed", Forbidden,
        "This request is not allowed.";
    /// A header to inject is required and has no value, or its value must not be sent.
    InjectRefused = "inject_refused", Forbidden,
        "This request is not allowed.";
    /// Something that the decision needs did not answer.
    DependencyUnavailable = "dependency_unavailable", Unavailable,
        "The request could not be checked just now. Retry later.";
    /// The memory of used nonces and signatures is full; what cannot be remembered is refused.
    ReplayMemoryFull = "replay_memory_full", Unavailable,
        "The request could not be checked just now. Retry later.";
    /// The check outlived its budget.
    DeadlineExceeded = "deadline_exceeded", Unavailable,
        "The request could not be checked in time. Retry later.";
    /// The policies of the tenant whose host and path it is do not compile.
    PolicyInvalid = "policy_invalid", Unavailable,
        "The request could not be checked just now. Retry later.";
    /// Too many checks are in flight.
    Overloaded = "overloaded", Unavailable,
        "Too many requests are being checked just now. Retry later.";
    /// Envoy gave up on the check before it ended; nobody reads the answer.
    Cancelled = "cancelled", Unavailable,
        "The check was cancelled.";
    /// A fault of our own.
    InternalFault = "internal_fault", Internal,
        "The request could not be checked because of a fault on the server.";
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Reason {
    /// The reason of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == name)
    }

    /// What was done with the request: `allow`, `deny`, or `reply` where Portcullis answered it and
    /// refused nothing.
    pub const fn decision(self) -> &'static str {
        match self.class() {
            PublicClass::Allowed => "allow",
            PublicClass::Preflight => "reply",
            _ => "deny",
        }
    }

    /// Position in [`Reason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The way every stage ends that does not let a request go on.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The operator's text: what exactly was wrong, for the audit record. Holds no secret.
    pub detail: Cow<'static, str>,
    /// A status other than the class's own, where the configuration asks for it.
    pub status: Option<u16>,
    /// `Allow` of a 405 (RFC 9110 section 10.2.1).
    pub allowed_methods: Option<std::sync::Arc<str>>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// The scopes that the route asks for, where the configuration lets callers know: words with single
    /// spaces between.
    pub required_scopes: Option<String>,
}

impl Refusal {
    /// A refusal for `reason`, with the operator's text.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = match reason.class() {
            PublicClass::Unavailable => Some(1),
            _ => None,
        };
        Self {
            reason,
            detail: detail.into(),
            status: None,
            allowed_methods: None,
            retry_after,
            required_scopes: None,
        }
    }
}

/// The answer to one check.
///
/// An [`Allow`](crate::respond::Allow) is made by `respond` from an `Admission` and from nothing else;
/// a [`Reply`](crate::respond::reply::Reply) from a preflight's permit; everything that ends in another way
/// is a denial.
#[derive(Debug)]
pub enum Verdict {
    /// Let the request pass, with these changes to its headers.
    Allow(crate::respond::Allow),
    /// Refuse it.
    Deny(crate::respond::Denial),
    /// Answer it in the upstream's place. On the wire this is a denial.
    Reply(crate::respond::reply::Reply),
}

impl Verdict {
    /// Why.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Allow(_) => Reason::Allowed,
            Self::Deny(denial) => denial.reason(),
            Self::Reply(reply) => reply.reason(),
        }
    }

    /// The HTTP status; 200 where the request passes.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Allow(_) => Reason::Allowed.class().status(),
            Self::Deny(denial) => denial.status(),
            Self::Reply(reply) => reply.status(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;
    use std::collections::HashSet;

    #[test]
    fn reasons_are_snake_case_and_told_apart() {
        let mut names = HashSet::new();
        for (index, reason) in Reason::ALL.iter().enumerate() {
            let name = reason.as_str();
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            assert!(names.insert(name), "{name} twice");
            assert_eq!(reason.index(), index);
            assert_eq!(Reason::from_name(name), Some(*reason));
        }
    }

    #[test]
    fn only_what_is_not_denied_has_a_status_of_success() {
        for reason in Reason::ALL {
            let expected = match reason {
                Reason::Allowed => ("allow", true),
                Reason::Preflight => ("reply", true),
                _ => ("deny", false),
            };
            let status = reason.class().status();
            assert_eq!(
                (reason.decision(), status < 300),
                expected,
                "{}",
                reason.as_str()
            );
            assert!(expected.1 || status >= 400, "{status}");
        }
    }

    #[test]
    fn messages_can_be_sent() {
        for reason in Reason::ALL {
            let message = reason.message();
            assert!(
                message.is_ascii() && !message.contains(['"', '\\']),
                "{message}"
            );
            assert!(message.ends_with('.'), "{message}");
        }
    }
}
