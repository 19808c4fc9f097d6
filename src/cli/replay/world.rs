//! The policies to judge by, with everything that a request is judged by when serving.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::audit::{Record, Recorder};
use crate::authn::jwt::token_cache;
use crate::cli::replay::callers::{Callers, NotPresented, Party};
use crate::cli::replay::record::{Recorded, Sent};
use crate::cli::replay::unknown::{cannot_rebuild, unknown_field};
use crate::clock::{Clock, Timestamp};
use crate::config::inputs::Inputs;
use crate::diagnostic::Diagnostics;
use crate::pipeline::Pipeline;
use crate::policy::route::Route;
use crate::request::Request;
use crate::request::raw::{RawCheck, RawPeer};
use crate::snapshot::Snapshot;
use crate::standin::peers::BELIEVED;
use crate::standin::{Draft, StandIns};
use crate::verdict::Reason;

/// How much of verified tokens is kept, in bytes.
const TOKEN_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Long enough for any machine: nothing is waited for.
const BUDGET: Duration = Duration::from_secs(60);

/// What became of a recorded decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Replayed {
    /// It would end so now, on this policy and route.
    Judged(Reason, Option<(String, String)>),
    /// It hangs on something that is not recorded.
    Undecidable(String),
    /// The request cannot be made again.
    Skipped(&'static str),
}

/// Policies that judge recorded requests.
pub(super) struct World {
    snapshot: Arc<Snapshot>,
    pipeline: Pipeline,
    clock: Arc<ReplayClock>,
    callers: Callers,
    runtime: tokio::runtime::Runtime,
}

impl World {
    /// Reads and compiles a directory; mistakes are pushed to `out`. Then its credentials are replaced by
    /// stand-ins.
    ///
    /// # Errors
    /// Why nothing can be judged.
    pub(super) fn read(directory: &Path, out: &mut Diagnostics) -> Result<Self, String> {
        let mut inputs = Inputs::read(directory, out);
        inputs.needs_secrets = false;
        // As it is written, for the mistakes in it.
        drop(Snapshot::compile(&inputs, &token_cache(0), None, out));
        if out.has_errors() {
            return Err("the policies have mistakes".to_owned());
        }
        let mut parties = HashMap::new();
        // Recorded addresses are those that trusted proxies told of.
        inputs.set.defaults.trusted_hops = None;
        let cannot = |error: &dyn std::fmt::Display| format!("cannot make stand-ins: {error}");
        let mut stand_ins = vec![(
            None,
            StandIns::install(&mut inputs.set).map_err(|error| cannot(&error))?,
        )];
        for (name, tenant) in &mut inputs.tenants {
            let set = Arc::get_mut(&mut tenant.set).ok_or("a tenant's policies are in use")?;
            let made = StandIns::install(set).map_err(|error| cannot(&error))?;
            stand_ins.push((Some(name.clone()), made));
        }
        let mut found = Diagnostics::default();
        let snapshot =
            Snapshot::compile(&inputs, &token_cache(TOKEN_CACHE_BYTES), None, &mut found);
        let snapshot = snapshot
            .filter(|_| !found.has_errors())
            .ok_or_else(|| cannot(&found.render()))?;
        let root = Arc::new(std::mem::take(&mut inputs.set));
        for (tenant, stand_ins) in stand_ins {
            let set = match &tenant {
                None => Arc::clone(&root),
                Some(name) => match inputs.tenants.get(name) {
                    Some(inputs) => Arc::clone(&inputs.set),
                    None => continue,
                },
            };
            parties.insert(tenant, Party { set, stand_ins });
        }
        let clock = Arc::new(ReplayClock(AtomicI64::new(0)));
        let ticking: Arc<dyn Clock> = Arc::<ReplayClock>::clone(&clock);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| format!("cannot start: {error}"))?;
        Ok(Self {
            pipeline: Pipeline::new(Arc::clone(&snapshot), ticking, Arc::new(Nowhere), false)
                .believing(BELIEVED),
            snapshot,
            clock,
            callers: Callers::new(parties).ok_or("the operating system gives no random bytes")?,
            runtime,
        })
    }

    /// Judges a recorded request once more, at the time when it was made.
    pub(super) fn judge(&mut self, record: &Recorded) -> Replayed {
        if let Some(why) = cannot_rebuild(record) {
            return Replayed::Skipped(why);
        }
        self.clock.0.store(record.time.micros(), Ordering::Relaxed);
        let mut draft = Draft {
            target: record.path.clone(),
            headers: Vec::new(),
            rest: check(record),
        };
        let route = self.route(record);
        if let Sent::Proven(callers) = &record.sent {
            for caller in callers {
                match self.callers.present(caller, record.time, &mut draft) {
                    Ok(()) | Err(NotPresented::Unread) => {}
                    Err(NotPresented::Unknown(why)) if asks(route.as_deref()) => {
                        return Replayed::Undecidable(why.to_owned());
                    }
                    Err(NotPresented::Unknown(_)) => {}
                }
            }
        }
        let verdict = self
            .runtime
            .block_on(self.pipeline.check(draft.check(), BUDGET, None));
        let reason = verdict.reason();
        if let Some(why) = route
            .as_deref()
            .and_then(|route| undecidable(record, route, reason))
        {
            return Replayed::Undecidable(why);
        }
        let at = route.map(|route| (route.policy.to_string(), route.path.to_string()));
        Replayed::Judged(reason, at)
    }

    /// The route that judges a request now.
    fn route(&self, record: &Recorded) -> Option<Arc<Route>> {
        let draft = Draft {
            target: record.path.clone(),
            headers: Vec::new(),
            rest: check(record),
        };
        let table = &self.snapshot.table;
        let request = Request::read(draft.check(), &table.reading).ok()?;
        table.routes.choose(&request).ok().map(Arc::clone)
    }
}

fn asks(route: Option<&Route>) -> bool {
    route.is_some_and(|route| route.authn.is_some())
}

/// Why the decision on this route cannot be told, if so.
fn undecidable(record: &Recorded, route: &Route, reason: Reason) -> Option<String> {
    if let Some(authn) = &route.authn {
        match record.sent {
            Sent::Refused => {
                let why = "the credential that was refused is not recorded";
                return Some(why.to_owned());
            }
            // On an optional route who passed unproven had sent nothing.
            Sent::Unasked if !authn.is_optional() => {
                let why = "nobody was asked for a credential, so that none is recorded";
                return Some(why.to_owned());
            }
            Sent::Unasked | Sent::Nothing | Sent::Proven(_) => {}
        }
    }
    let came_so_far = matches!(
        reason,
        Reason::Allowed | Reason::ConditionFalse | Reason::ConditionFailed | Reason::InjectRefused
    );
    came_so_far
        .then(|| unknown_field(route))
        .flatten()
        .map(|why| format!("{why}, which is not recorded"))
}

fn check(record: &Recorded) -> RawCheck {
    let copy = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let pinned = record.pinned.iter();
    RawCheck {
        method: copy(&record.method),
        host: copy(&record.host),
        scheme: Bytes::from_static(b"https"),
        source: RawPeer {
            address: copy(&record.client_address),
            ..RawPeer::default()
        },
        context_extensions: pinned
            .map(|name| (Bytes::from_static(b"policy"), copy(name)))
            .collect(),
        ..RawCheck::default()
    }
}

/// A clock that stands where the last record was made.
struct ReplayClock(AtomicI64);

impl Clock for ReplayClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Takes records and forgets them.
struct Nowhere;

impl Recorder for Nowhere {
    fn record(&self, _: &Record<'_>) {}
}
