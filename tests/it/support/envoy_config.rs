//! Envoy's bootstrap: one listener, the ext_authz filter, the upstream. Whatever is not set stays as Envoy has it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

/// Where the HTTP connection manager is in the bootstrap, for [`EnvoyConfig::raw_patch`].
pub const HCM: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
/// Where the ext_authz filter is.
pub const EXT_AUTHZ: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config";
/// Where the one virtual host is.
pub const VIRTUAL_HOST: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0";

/// Where a cluster's one endpoint listens.
#[derive(Debug, Clone)]
pub enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl Endpoint {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Tcp(address) => json!({
                "socket_address": { "address": address.ip().to_string(), "port_value": address.port() }
            }),
            Self::Unix(path) => json!({ "pipe": { "path": path } }),
        }
    }
}

/// Envoy's `with_request_body`: the filter waits for the body and shows it to the check.
#[derive(Debug, Clone, Copy)]
pub struct RequestBody {
    pub max_request_bytes: u32,
    pub allow_partial_message: bool,
    pub pack_as_bytes: bool,
}

/// Envoy's `headers_with_underscores_action`.
#[derive(Debug, Clone, Copy)]
pub enum Underscores {
    Allow,
    RejectRequest,
    DropHeader,
}

#[derive(Debug, Clone)]
pub struct EnvoyConfig {
    json: Value,
}

impl EnvoyConfig {
    /// Every route asks `authz` and leads to `upstream`, with Envoy's own defaults but for a check timeout of 2 s.
    pub fn new(authz: impl Into<Endpoint>, upstream: impl Into<Endpoint>) -> Self {
        let http2 = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            }
        });
        let mut authz = cluster("authz", &authz.into());
        authz["typed_extension_protocol_options"] = http2;
        let json = json!({
            "static_resources": {
                "listeners": [listener(&connection_manager())],
                "clusters": [authz, cluster("upstream", &upstream.into())],
            }
        });
        Self { json }.grpc_timeout(Duration::from_secs(2))
    }

    pub fn failure_mode_allow(self, on: bool) -> Self {
        self.set(EXT_AUTHZ, "failure_mode_allow", on)
    }

    pub fn encode_raw_headers(self, on: bool) -> Self {
        self.set(EXT_AUTHZ, "encode_raw_headers", on)
    }

    pub fn include_peer_certificate(self, on: bool) -> Self {
        self.set(EXT_AUTHZ, "include_peer_certificate", on)
    }

    pub fn validate_mutations(self, on: bool) -> Self {
        self.set(EXT_AUTHZ, "validate_mutations", on)
    }

    pub fn with_request_body(self, body: RequestBody) -> Self {
        let body = json!({
            "max_request_bytes": body.max_request_bytes,
            "allow_partial_message": body.allow_partial_message,
            "pack_as_bytes": body.pack_as_bytes,
        });
        self.set(EXT_AUTHZ, "with_request_body", body)
    }

    /// The HTTP status where the check itself fails.
    pub fn status_on_error(self, status: u16) -> Self {
        self.set(EXT_AUTHZ, "status_on_error", json!({ "code": status }))
    }

    /// Counters are then `http.ingress.ext_authz.PREFIX.denied` and so on.
    pub fn stat_prefix(self, prefix: &str) -> Self {
        self.set(EXT_AUTHZ, "stat_prefix", prefix)
    }

    /// How long Envoy waits for a check.
    pub fn grpc_timeout(self, timeout: Duration) -> Self {
        let service = json!({
            "envoy_grpc": { "cluster_name": "authz" },
            "timeout": format!("{}.{:09}s", timeout.as_secs(), timeout.subsec_nanos()),
        });
        self.set(EXT_AUTHZ, "grpc_service", service)
    }

    pub fn normalize_path(self, on: bool) -> Self {
        self.set(HCM, "normalize_path", on)
    }

    pub fn merge_slashes(self, on: bool) -> Self {
        self.set(HCM, "merge_slashes", on)
    }

    pub fn max_request_headers_kb(self, kilobytes: u32) -> Self {
        self.set(HCM, "max_request_headers_kb", kilobytes)
    }

    pub fn max_headers_count(self, count: u32) -> Self {
        self.set(&common_http_options(), "max_headers_count", count)
    }

    pub fn headers_with_underscores_action(self, action: Underscores) -> Self {
        let action = match action {
            Underscores::Allow => "ALLOW",
            Underscores::RejectRequest => "REJECT_REQUEST",
            Underscores::DropHeader => "DROP_HEADER",
        };
        self.set(
            &common_http_options(),
            "headers_with_underscores_action",
            action,
        )
    }

    /// The connection manager's options for HTTP/1.
    pub fn http_protocol_options(self, options: Value) -> Self {
        self.set(HCM, "http_protocol_options", options)
    }

    /// Context extensions of every check; a route's own win.
    pub fn context_extensions(self, extensions: &[(&str, &str)]) -> Self {
        self.set(
            VIRTUAL_HOST,
            "typed_per_filter_config",
            check_settings(extensions),
        )
    }

    /// Context extensions for paths that start with `prefix`; the first route that fits is taken.
    pub fn route(self, prefix: &str, extensions: &[(&str, &str)]) -> Self {
        let mut route = route_to_upstream(prefix);
        route["typed_per_filter_config"] = check_settings(extensions);
        self.raw_patch(|json| {
            let routes = json
                .pointer_mut(VIRTUAL_HOST)
                .and_then(|host| host.get_mut("routes")?.as_array_mut())
                .expect("the virtual host has routes");
            let last = routes.len() - 1;
            routes.insert(last, route);
        })
    }

    /// Anything else, on the bootstrap as built so far.
    pub fn raw_patch(mut self, patch: impl FnOnce(&mut Value)) -> Self {
        patch(&mut self.json);
        self
    }

    /// With the admin interface on a Unix socket.
    pub(super) fn bootstrap(&self, admin: &Path) -> Value {
        let mut json = self.json.clone();
        json["admin"] = json!({ "address": Endpoint::from(admin).to_json() });
        json
    }

    fn set(mut self, pointer: &str, key: &str, value: impl Into<Value>) -> Self {
        let object = self
            .json
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("the bootstrap has no {pointer} any more"));
        object[key] = value.into();
        self
    }
}

fn listener(connection_manager: &Value) -> Value {
    json!({
        "name": "ingress",
        "address": Endpoint::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).to_json(),
        "filter_chains": [{
            "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": connection_manager }],
        }],
    })
}

fn connection_manager() -> Value {
    let ext_authz = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
    });
    let router =
        json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" });
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "codec_type": "AUTO",
        "common_http_protocol_options": {},
        "route_config": {
            "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route_to_upstream("/")] }],
        },
        "http_filters": [
            { "name": "envoy.filters.http.ext_authz", "typed_config": ext_authz },
            { "name": "envoy.filters.http.router", "typed_config": router },
        ],
    })
}

fn route_to_upstream(prefix: &str) -> Value {
    json!({ "match": { "prefix": prefix }, "route": { "cluster": "upstream" } })
}

fn check_settings(extensions: &[(&str, &str)]) -> Value {
    let extensions: serde_json::Map<_, _> = extensions
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect();
    json!({
        "envoy.filters.http.ext_authz": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": { "context_extensions": extensions },
        }
    })
}

fn cluster(name: &str, endpoint: &Endpoint) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": endpoint.to_json() } }] }],
        },
    })
}

fn common_http_options() -> String {
    format!("{HCM}/common_http_protocol_options")
}
