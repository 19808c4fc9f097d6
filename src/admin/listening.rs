//! Where checks are taken, and what keeps others from asking.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::clock::Timestamp;

/// A listener for checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// `tcp` or `unix`.
    pub transport: &'static str,
    /// An address with its port, or a path.
    pub address: String,
    /// Who may ask.
    pub protection: Protection,
}

/// What decides who may ask for checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing: whoever reaches it may ask.
    Nobody,
    /// TLS.
    Tls(Tls),
    /// A file's permissions, and the peer's credentials.
    Socket {
        /// Its permission bits.
        mode: u32,
        /// The user it was given to, if not to the process's own.
        owner: Option<u32>,
        /// The group it was given to, if not to the process's own.
        group: Option<u32>,
        /// The users and groups whose processes may connect; `None`: whoever the file lets.
        allowed: Option<(Vec<u32>, Vec<u32>)>,
    },
}

/// What a TLS listener shows and asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whether clients must show a certificate.
    pub client_certificate: bool,
    /// Which names it must bear; empty: any.
    pub client_names: Vec<String>,
    /// When the listener's own certificate expires.
    pub not_after: Timestamp,
    /// When the last client CA expires.
    pub client_ca_not_after: Option<Timestamp>,
    /// Whether newer files cannot be used.
    pub stale: bool,
}

impl Listening {
    pub(super) fn to_json(&self) -> Value {
        let mut listener = json!({"transport": self.transport, "address": self.address});
        let more = match &self.protection {
            Protection::Nobody => json!({"protection": "none"}),
            Protection::Tls(tls) => json!({
                "protection": "tls",
                "client_certificate": if tls.client_certificate { "required" } else { "none" },
                "client_names": tls.client_names,
                "not_after": tls.not_after.to_rfc3339(),
                "client_ca_not_after": tls.client_ca_not_after.map(Timestamp::to_rfc3339),
                "stale": tls.stale,
            }),
            Protection::Socket {
                mode,
                owner,
                group,
                allowed,
            } => json!({
                "protection": if allowed.is_some() { "permissions and peer" } else { "permissions" },
                "mode": format!("{mode:04o}"),
                "owner": owner,
                "group": group,
                "allow_uid": allowed.as_ref().map(|(uids, _)| uids),
                "allow_gid": allowed.as_ref().map(|(_, gids)| gids),
            }),
        };
        if let (Some(listener), Value::Object(more)) = (listener.as_object_mut(), more) {
            listener.extend(more);
        }
        listener
    }

    pub(super) fn write_text(&self, text: &mut String) {
        let _ = write!(text, "listening on {} {}: ", self.transport, self.address);
        let _ = match &self.protection {
            Protection::Nobody => writeln!(text, "whoever reaches it may ask"),
            Protection::Tls(tls) => {
                let who = match (tls.client_certificate, tls.client_names.as_slice()) {
                    (false, _) => "whoever reaches it may ask".to_owned(),
                    (true, []) => "every certificate of the client CA may ask".to_owned(),
                    (true, names) => format!("certificates of {} may ask", names.join(", ")),
                };
                let stale = if tls.stale {
                    "; newer files cannot be used, the log says why"
                } else {
                    ""
                };
                let until = tls.not_after.to_rfc3339();
                writeln!(
                    text,
                    "TLS, {who}; its certificate expires at {until}{stale}"
                )
            }
            Protection::Socket { mode, allowed, .. } => {
                let who = match allowed {
                    None => "whoever may write to it may ask".to_owned(),
                    Some((uids, gids)) => format!("users {uids:?} and groups {gids:?} may ask"),
                };
                writeln!(text, "mode {mode:04o}, {who}")
            }
        };
    }
}
