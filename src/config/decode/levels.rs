//! The keys that `defaults`, policies and routes share, and `roles`.

use ipnet::IpNet;

use crate::config::decode::{located, mtls, texts};
use crate::config::language::{CALLER, CORS, REQUIRED_ROLES, ROLE};
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::{CallerSource, CorsSource, Located, Mode, RoleSource, RolesSource};

/// One of the section `roles`.
pub(super) fn role(node: &Node, out: &mut Diagnostics) -> RoleSource {
    let fields = Fields::new(node, &ROLE, out);
    let scopes = fields.and_then(|fields| {
        let node = fields.require("scopes", out)?;
        texts(node, "`scopes`", out)
    });
    RoleSource {
        scopes: scopes.unwrap_or_default(),
    }
}

/// `roles` of a level: one, or two and more with a word on whether all of them are needed.
pub(super) fn roles(node: &Node, out: &mut Diagnostics) -> Option<Located<RolesSource>> {
    let value = match &node.value {
        yaml::Value::Mapping(_) => {
            let fields = Fields::new(node, &REQUIRED_ROLES, out)?;
            match (fields.get("any"), fields.get("all")) {
                (Some(any), None) => RolesSource::Any(texts(any, "`any`", out)?),
                (None, Some(all)) => RolesSource::All(texts(all, "`all`", out)?),
                _ => {
                    let message = "`roles` says exactly one of `any` and `all`";
                    out.push(Diagnostic::error("bad-roles", &node.place, message));
                    return None;
                }
            }
        }
        _ => {
            let roles = texts(node, "`roles`", out)?;
            if roles.len() > 1 {
                let message = "two or more roles: is one of them enough, or are all needed?";
                out.push(
                    Diagnostic::error("bad-roles", &node.place, message)
                        .with_help("write `roles: {any: […]}` or `roles: {all: […]}`"),
                );
            }
            RolesSource::All(roles)
        }
    };
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

/// `callers`: a list of which any one will do.
pub(super) fn callers(node: &Node, out: &mut Diagnostics) -> Option<Located<Vec<CallerSource>>> {
    let items = yaml::sequence(node, "`callers`", EmptyList::Refused, out)?;
    let value = items.iter().filter_map(|item| caller(item, out)).collect();
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

fn caller(node: &Node, out: &mut Diagnostics) -> Option<CallerSource> {
    let fields = Fields::new(node, &CALLER, out)?;
    let Some(node) = fields.get("consumer") else {
        return mtls::named(&fields, out).map(CallerSource::Workload);
    };
    for entry in fields.entries() {
        if entry.key != "consumer" && CALLER.key(&entry.key).is_some() {
            let message = format!("`{}` does not go with `consumer`", entry.key);
            out.push(Diagnostic::error("bad-peer", &entry.key_place, message));
        }
    }
    located(node, "`consumer`", out).map(CallerSource::Consumer)
}

/// `allow_ips`: addresses and networks in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3).
pub(super) fn allow_ips(node: &Node, out: &mut Diagnostics) -> Option<Located<Vec<IpNet>>> {
    let texts = texts(node, "`allow_ips`", out)?;
    let value = texts.iter().filter_map(|text| network(text, out)).collect();
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

fn network(text: &Located<String>, out: &mut Diagnostics) -> Option<IpNet> {
    let mut refuse = |message: String, help: String| {
        out.push(Diagnostic::error("bad-address", &text.place, message).with_help(help));
        None
    };
    let network = match (text.value.parse::<IpNet>(), text.value.parse()) {
        (Ok(network), _) => network,
        (_, Ok(address)) => IpNet::from(std::net::IpAddr::to_canonical(&address)),
        _ => {
            return refuse(
                format!("`{}` is no address and no network", text.value),
                "write an address or a network: `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`"
                    .to_owned(),
            );
        }
    };
    if network.trunc() != network {
        return refuse(
            format!("`{}` has bits set behind its prefix", text.value),
            format!(
                "write the network as `{}`, or one address without a prefix",
                network.trunc()
            ),
        );
    }
    if let IpNet::V6(v6) = network
        && v6.addr().to_ipv4_mapped().is_some()
    {
        return refuse(
            format!("`{}` is an IPv4 network written as IPv6", text.value),
            "write it in IPv4 notation; addresses are compared in their shortest form".to_owned(),
        );
    }
    Some(network)
}

/// `mode`.
pub(super) fn mode(node: &Node, out: &mut Diagnostics) -> Option<Located<Mode>> {
    let shadow = super::choice(node, "`mode`", ["enforce", "shadow"], out)?;
    Some(Located {
        value: if shadow.value {
            Mode::Shadow
        } else {
            Mode::Enforce
        },
        place: shadow.place,
    })
}

/// `cors`.
pub(super) fn cors(node: &Node, out: &mut Diagnostics) -> Option<Located<CorsSource>> {
    let fields = Fields::new(node, &CORS, out)?;
    let origins = fields
        .require("origins", out)
        .and_then(|node| texts(node, "`origins`", out));
    let mut list = |key: &'static str| match fields.get(key) {
        Some(node) => texts(node, &format!("`{key}`"), out).unwrap_or_default(),
        None => Vec::new(),
    };
    let (headers, expose) = (list("headers"), list("expose"));
    let credentials = fields
        .get("credentials")
        .and_then(|node| yaml::boolean(node, "`credentials`", out));
    let max_age = fields.get("max_age").and_then(|node| {
        Some(Located {
            value: yaml::duration(node, "`max_age`", out)?.as_secs(),
            place: node.place.clone(),
        })
    });
    Some(Located {
        value: CorsSource {
            origins: origins?,
            headers,
            expose,
            credentials: credentials.unwrap_or(false),
            max_age,
        },
        place: node.place.clone(),
    })
}
