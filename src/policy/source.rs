//! What users wrote, with the place of every word: decoded, not yet judged.
//!
//! A part that could not be decoded has left its diagnostics behind and stands here with what was
//! readable, so that a broken authenticator does not also make every route that names it "unknown".

pub mod mtls;
pub mod signed;

use std::path::Path;

use ipnet::IpNet;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::diagnostic::Place;
use crate::policy::case::Case;
use crate::policy::revocation::Revocation;
use crate::policy::source::mtls::{MtlsSource, PeerSource};
use crate::policy::source::signed::{SecretSource, SignedKindSource, SignedSource, SignerSource};
use crate::request::address::TrustedHops;
use crate::request::path::Relaxations;
use crate::secret::Digest;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: Place,
}

/// All files of a policy directory, merged.
#[derive(Debug, Default)]
pub struct PolicySet {
    /// `authenticators`.
    pub authenticators: Vec<Named<AuthenticatorSource>>,
    /// `roles`.
    pub roles: Vec<Named<RoleSource>>,
    /// `consumers`.
    pub consumers: Vec<Named<ConsumerSource>>,
    /// `policies`.
    pub policies: Vec<Named<PolicySource>>,
    /// `defaults`.
    pub defaults: DefaultsSource,
    /// `revocations`.
    pub revocations: Vec<Revocation>,
    /// `tenants`: in the root only.
    pub tenants: Vec<Named<TenantSource>>,
    /// `tests`: what serves does nothing with them.
    pub tests: Vec<Case>,
}

/// One of `tenants`: the bounds of a team that writes policies of its own.
#[derive(Debug)]
pub struct TenantSource {
    /// Where it is declared.
    pub place: Place,
    /// The hosts that it may serve.
    pub hosts: Vec<Located<String>>,
    /// The paths that it may serve; `None`: all of its hosts.
    pub paths: Option<Vec<Located<String>>>,
    /// The root's authenticators that it may use.
    pub uses: Vec<Located<String>>,
    /// The scopes that it may speak of: exact ones, and patterns whose whole last part is `*`.
    pub scopes: Vec<Located<String>>,
    /// What else it may do.
    pub may: Vec<TenantMay>,
}

/// What a tenant may do only if it is allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantMay {
    /// `public: true`.
    Public,
    /// `mode: shadow`.
    Shadow,
    /// `forward: true`.
    Forward,
}

impl PolicySet {
    /// The scopes that keys state.
    pub fn key_scopes(&self) -> impl Iterator<Item = &Located<String>> {
        let lists = self
            .consumers
            .iter()
            .flat_map(|consumer| &consumer.value.credentials);
        lists
            .flat_map(|list| &list.value)
            .filter_map(|credential| match &credential.kind {
                CredentialKind::Key { scopes, .. } => scopes.as_deref(),
                CredentialKind::Signer(signer) => signer.scopes.as_deref(),
                CredentialKind::Claim { .. } | CredentialKind::Peer(_) => None,
            })
            .flatten()
    }

    /// Every secret that the policies refer to.
    pub fn secrets(&self) -> impl Iterator<Item = &Located<SecretSource>> {
        let hooks =
            self.authenticators
                .iter()
                .filter_map(|named| match &named.value.kind.as_ref()? {
                    KindSource::Signed(signed) => match &signed.kind {
                        SignedKindSource::Webhook(webhook) => Some(&webhook.secrets),
                        _ => None,
                    },
                    KindSource::ApiKey { .. } | KindSource::Jwt(_) | KindSource::Mtls(_) => None,
                });
        let consumers = self.consumers.iter();
        let lists = consumers.flat_map(|consumer| &consumer.value.credentials);
        let signers = lists
            .flat_map(|list| &list.value)
            .filter_map(|credential| match &credential.kind {
                CredentialKind::Signer(signer) => Some(signer.secrets()),
                CredentialKind::Key { .. }
                | CredentialKind::Claim { .. }
                | CredentialKind::Peer(_) => None,
            });
        hooks.flatten().chain(signers.flatten())
    }

    /// Every file that the policies refer to, and that is read and watched with them.
    pub fn referred_files(&self) -> impl Iterator<Item = &Path> {
        let sets = self.authenticators.iter().filter_map(|authenticator| {
            let jwks = match authenticator.value.kind.as_ref()? {
                KindSource::Jwt(jwt) => jwt.jwks.as_ref(),
                KindSource::Signed(signed) => signed.jwks(),
                KindSource::ApiKey { .. } | KindSource::Mtls(_) => None,
            };
            match &jwks?.value {
                JwksSource::File(path) => Some(path.as_path()),
                JwksSource::Url { .. } | JwksSource::Inline(_) => None,
            }
        });
        let certificates = self.mtls().flat_map(MtlsSource::paths);
        sets.chain(self.secrets().filter_map(|secret| secret.value.file()))
            .chain(certificates)
    }

    /// The authenticators by client certificate.
    pub fn mtls(&self) -> impl Iterator<Item = &MtlsSource> {
        let all = self.authenticators.iter();
        all.filter_map(|authenticator| match authenticator.value.kind.as_ref()? {
            KindSource::Mtls(mtls) => Some(mtls.as_ref()),
            _ => None,
        })
    }
}

/// A definition with its name.
#[derive(Debug)]
pub struct Named<T> {
    /// The name, and where it stands.
    pub name: Located<String>,
    /// What it names.
    pub value: T,
}

/// One of `authenticators`.
#[derive(Debug)]
pub struct AuthenticatorSource {
    /// Where credentials are read; empty: the kind's usual place.
    pub from: Vec<Located<FromSource>>,
    /// Whether the upstream gets to see the credential.
    pub forward: bool,
    /// Its kind; `None` if that could not be decoded.
    pub kind: Option<KindSource>,
}

/// A place to read a credential from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromSource {
    /// A header whose whole value is the credential. Lower-case.
    Header(String),
    /// A header with an authentication scheme before the credential.
    Scheme {
        /// Lower-case.
        header: String,
        /// As written; compared without case (RFC 9110 section 11.1).
        scheme: String,
    },
    /// A query parameter.
    Query(String),
    /// A cookie.
    Cookie(String),
}

/// The settings of one kind of authenticator.
#[derive(Debug)]
pub enum KindSource {
    /// `api_key`.
    ApiKey {
        /// What keys begin with, when they are told apart from other credentials in one place.
        prefix: Option<Located<String>>,
    },
    /// `jwt`.
    Jwt(Box<JwtSource>),
    /// The kinds that prove the request itself.
    Signed(Box<SignedSource>),
    /// `mtls`.
    Mtls(Box<MtlsSource>),
}

/// `jwt`.
#[derive(Debug)]
pub struct JwtSource {
    /// `iss`.
    pub issuer: Option<Located<String>>,
    /// `aud`: one of these. `None` where the key is not written; a list that could not be read is
    /// empty.
    pub audiences: Option<Vec<Located<String>>>,
    /// Said that any audience will do.
    pub any_audience: bool,
    /// Accepted `alg` values; empty: the asymmetric ones.
    pub algorithms: Vec<Located<String>>,
    /// Where keys come from; `None`: OpenID Connect discovery from the issuer.
    pub jwks: Option<Located<JwksSource>>,
    /// How far ahead `nbf` and `iat` may lie, in seconds.
    pub clock_skew: Option<u64>,
    /// `roles`: which claimed roles count, and as what.
    pub roles: Option<ClaimedRolesSource>,
    /// Where the definition stands.
    pub place: Place,
}

/// `roles` of a `jwt`.
#[derive(Debug)]
pub struct ClaimedRolesSource {
    /// The claim that holds them; parts of a path are separated by dots.
    pub claim: Located<String>,
    /// What the claim says, and the role that it stands for.
    pub map: Vec<(String, Located<String>)>,
}

/// One of `roles`.
#[derive(Debug)]
pub struct RoleSource {
    /// What it permits.
    pub scopes: Vec<Located<String>>,
}

/// Where a key set comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum JwksSource {
    /// A URL that answers with a JWK Set (RFC 7517 section 5).
    Url {
        /// The URL.
        url: String,
        /// Said that plain http will do.
        allow_http: bool,
    },
    /// A file with a JWK Set, resolved against the policy file's directory.
    File(std::path::PathBuf),
    /// A JWK Set written into the policy.
    Inline(Value),
}

/// One of `consumers`.
#[derive(Debug)]
pub struct ConsumerSource {
    /// `environment`.
    pub environment: Option<Located<String>>,
    /// `scopes`: its ceiling.
    pub scopes: Option<Vec<Located<String>>>,
    /// `roles`.
    pub roles: Vec<Located<String>>,
    /// `allow_ips`.
    pub allow_ips: Option<Vec<IpNet>>,
    /// `expires`.
    pub expires: Option<Timestamp>,
    /// `metadata`: an object.
    pub metadata: Value,
    /// `credentials`, by authenticator.
    pub credentials: Vec<Named<Vec<CredentialSource>>>,
}

/// One credential of a consumer.
#[derive(Debug)]
pub struct CredentialSource {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub kind: CredentialKind,
}

/// The forms a consumer's credential is written in.
#[derive(Debug)]
pub enum CredentialKind {
    /// An API key by its digest.
    Key {
        /// What audit and revocation call it.
        id: Located<String>,
        /// SHA-256 of the key.
        hash: Located<Digest>,
        /// When it ends.
        expires: Option<Timestamp>,
        /// Its own scopes, cut to the consumer's ceiling.
        scopes: Option<Vec<Located<String>>>,
    },
    /// A claim that tokens of this consumer carry.
    Claim {
        /// The claim's name; parts of a path are separated by dots.
        claim: Located<String>,
        /// Its value.
        value: Located<String>,
    },
    /// A key that signs requests.
    Signer(Box<SignerSource>),
    /// What a certificate says of its holder.
    Peer(PeerSource),
}

/// `defaults`.
#[derive(Debug, Default)]
pub struct DefaultsSource {
    /// The keys that policies and routes share.
    pub level: LevelSource,
    /// `reserved_prefix`.
    pub reserved_prefix: Option<Located<String>>,
    /// `unknown_route: not_found`: whether a path that no route covers is answered 404.
    pub unknown_route_not_found: Option<Located<bool>>,
    /// `client_address`.
    pub trusted_hops: Option<Located<TrustedHops>>,
    /// `paths`.
    pub paths: Option<Located<Relaxations>>,
    /// `errors.disclose: [scopes]`.
    pub disclose_scopes: Option<Located<bool>>,
    /// `unenforced: allow`.
    pub unenforced_allow: Option<Located<bool>>,
    /// `require`: what binds every tenant.
    pub require: Option<Located<RequireSource>>,
}

impl DefaultsSource {
    /// Where it says anything but `inject`.
    pub fn places_beyond_inject(&self) -> impl Iterator<Item = &Place> {
        fn at<T>(said: &Option<Located<T>>) -> Option<&Place> {
            said.as_ref().map(|said| &said.place)
        }
        let level = &self.level;
        [
            at(&level.authenticate),
            at(&level.optional),
            at(&level.public),
            at(&level.scopes),
            at(&level.environment),
            at(&level.roles),
            at(&level.callers),
            at(&level.allow_ips),
            at(&level.when),
            at(&level.mode),
            at(&level.cors),
            at(&self.reserved_prefix),
            at(&self.unknown_route_not_found),
            at(&self.trusted_hops),
            at(&self.paths),
            at(&self.disclose_scopes),
            at(&self.unenforced_allow),
            at(&self.require),
        ]
        .into_iter()
        .flatten()
    }
}

/// `defaults.require`.
#[derive(Debug, Default)]
pub struct RequireSource {
    /// One of these is proven by every caller of a tenant's routes, but of public ones.
    pub authenticators: Vec<Located<String>>,
    /// Every caller of a tenant's routes holds these, but of public ones.
    pub scopes: Vec<Located<String>>,
}

/// The keys that `defaults`, policies and routes share.
#[derive(Debug, Default)]
pub struct LevelSource {
    /// `authenticate`.
    pub authenticate: Option<Located<AuthenticateSource>>,
    /// `optional`.
    pub optional: Option<Located<bool>>,
    /// `public`.
    pub public: Option<Located<bool>>,
    /// `scopes`.
    pub scopes: Option<Located<ScopesSource>>,
    /// `environment`.
    pub environment: Option<Located<String>>,
    /// `inject`.
    pub inject: Vec<Named<InjectSource>>,
    /// `roles`.
    pub roles: Option<Located<RolesSource>>,
    /// `callers`.
    pub callers: Option<Located<Vec<CallerSource>>>,
    /// `allow_ips`.
    pub allow_ips: Option<Located<Vec<IpNet>>>,
    /// `when`: an expression.
    pub when: Option<Located<String>>,
    /// `mode`.
    pub mode: Option<Located<Mode>>,
    /// `cors`.
    pub cors: Option<Located<CorsSource>>,
}

/// `roles` of a level.
#[derive(Debug)]
pub enum RolesSource {
    /// All of them.
    All(Vec<Located<String>>),
    /// One of them.
    Any(Vec<Located<String>>),
}

/// One of `callers`.
#[derive(Debug)]
pub enum CallerSource {
    /// A consumer by its name.
    Consumer(Located<String>),
    /// A workload.
    Workload(PeerSource),
}

/// `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What is decided is done.
    Enforce,
    /// What would be decided is recorded, and nothing else.
    Shadow,
}

/// `cors` (Fetch Standard, section 3.3).
#[derive(Clone, Debug, Default)]
pub struct CorsSource {
    /// `origins`.
    pub origins: Vec<Located<String>>,
    /// `headers`: request headers that a page may set.
    pub headers: Vec<Located<String>>,
    /// `expose`: response headers that a page may read.
    pub expose: Vec<Located<String>>,
    /// `credentials`: whether a page may send cookies and HTTP authentication.
    pub credentials: bool,
    /// `max_age`, in seconds.
    pub max_age: Option<Located<u64>>,
}

/// `authenticate` of a level, and what stands within it.
#[derive(Debug)]
pub enum AuthenticateSource {
    /// One authenticator.
    Name(String),
    /// A list, or `any`: one of these.
    Any(Vec<Located<AuthenticateSource>>),
    /// `all`: every one of these.
    All {
        /// In order.
        members: Vec<Located<AuthenticateSource>>,
        /// `principal`: which of them the caller counts as.
        principal: Option<Located<String>>,
    },
}

/// `scopes` of a level.
#[derive(Debug)]
pub enum ScopesSource {
    /// All of them.
    All(Vec<Located<String>>),
    /// One of them.
    Any(Vec<Located<String>>),
}

/// What a header is set to.
#[derive(Debug)]
pub struct InjectSource {
    /// The expression.
    pub expression: Located<String>,
    /// Whether the request is denied when there is no value.
    pub required: bool,
}

/// One of `policies`.
#[derive(Debug)]
pub struct PolicySource {
    /// `hosts`.
    pub hosts: Vec<Located<String>>,
    /// `external_url`: the address that clients call, where Envoy sees another.
    pub external_url: Option<Located<String>>,
    /// The shared keys.
    pub level: LevelSource,
    /// `routes`.
    pub routes: Vec<RouteSource>,
}

/// One of a policy's `routes`.
#[derive(Debug)]
pub struct RouteSource {
    /// Where it begins.
    pub place: Place,
    /// What it covers; `None` if that could not be decoded.
    pub covers: Option<CoversSource>,
    /// The shared keys.
    pub level: LevelSource,
}

/// What a route covers.
#[derive(Debug)]
pub enum CoversSource {
    /// `path` and `methods`.
    Path {
        /// The pattern.
        path: Located<String>,
        /// Its methods; empty: all but CONNECT and TRACE.
        methods: Vec<Located<String>>,
    },
    /// `grpc`.
    Grpc {
        /// The full service name.
        service: Located<String>,
        /// Its methods; empty: all.
        methods: Vec<Located<String>>,
    },
}
