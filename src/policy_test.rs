//! Runs the tests that stand in policy files: each request through the whole pipeline, on a clock of its own.

mod callers;
mod compare;
pub mod coverage;
pub mod report;
mod upstream;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::audit::{Record, Recorder};
use crate::authn::identity::Proven;
use crate::authn::jwt::token_cache;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::config::inputs::Inputs;
use crate::config::load;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::pipeline::Pipeline;
use crate::policy::case::{Case, CaseRequest};
use crate::policy::source::PolicySet;
pub use crate::policy_test::compare::{Answer, Mismatch};
use crate::policy_test::coverage::{Coverage, Seen};
use crate::request::raw::{RawCheck, RawPeer};
use crate::snapshot::Snapshot;
use crate::standin::peers::BELIEVED;
use crate::standin::{Draft, StandIns, offline};

/// How long one test may take. Nothing is fetched, so nothing ever comes near it.
const BUDGET: Duration = Duration::from_secs(10);

/// How many bytes of verified tokens are kept.
const TOKEN_CACHE_BYTES: u64 = 1 << 20;

/// The tests of one policy set, ready to run.
pub struct Suite {
    /// The directory, as it was named.
    pub name: String,
    ready: Vec<Ready>,
    parties: Parties,
    /// The policies as they are written: for tests that bring their own credentials.
    written: Arc<Snapshot>,
    /// The same for tests that say who calls: every credential is one that was made just now.
    stood_in: Arc<Snapshot>,
}

/// What the root and each tenant wrote, by the tenant's name, with the credentials that stand in for theirs.
type Parties = BTreeMap<Option<String>, Party>;

struct Party {
    set: Arc<PolicySet>,
    stand_ins: StandIns,
}

/// A test with the check that Envoy would send.
struct Ready {
    case: Case,
    check: RawCheck,
    stood_in: bool,
}

/// What became of all tests of a suite.
pub struct Run {
    /// The directory, as it was named.
    pub name: String,
    /// In the order of files and lines.
    pub results: Vec<CaseResult>,
    /// What the tests that ran have covered.
    pub coverage: Coverage,
}

/// What became of one test.
pub struct CaseResult {
    /// What it is called.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What came.
    pub answer: Answer,
    /// What of it was not as expected; empty: the test passed.
    pub mismatches: Vec<Mismatch>,
    /// How long the decision took.
    pub duration: Duration,
}

impl Run {
    /// How many tests failed.
    pub fn failed(&self) -> usize {
        let failed = |result: &&CaseResult| !result.mismatches.is_empty();
        self.results.iter().filter(failed).count()
    }
}

impl Suite {
    /// Reads the policies of a directory and their tests, with those of further files. Every mistake of both
    /// is pushed to `out`.
    ///
    /// # Errors
    /// `None` if `out` holds an error at the end.
    pub fn read(directory: &Path, further: &[PathBuf], out: &mut Diagnostics) -> Option<Self> {
        let mut inputs = Inputs::read(directory, out);
        inputs.needs_secrets = false;
        for path in further {
            load::tests(path, &mut inputs.set.tests, out);
        }
        // First as they are written: so every mistake is found, and found where it is.
        let cache = token_cache(TOKEN_CACHE_BYTES);
        let mut written = Snapshot::compile(&inputs, &cache, None, out)?;
        if out.has_errors() {
            return None;
        }
        let mut cases: Vec<(Option<String>, Case)> = Vec::new();
        cases.extend(inputs.set.tests.drain(..).map(|case| (None, case)));
        for (name, tenant) in &inputs.tenants {
            let tests = tenant.set.tests.iter();
            cases.extend(tests.map(|case| (Some(name.clone()), case.clone())));
        }
        let mut changed = false;
        for (_, set) in fresh(&mut inputs) {
            changed |= told(offline(set), out)?;
        }
        if changed {
            written = compiled(&inputs, out)?;
        }
        let mut stand_ins = BTreeMap::new();
        for (name, set) in fresh(&mut inputs) {
            stand_ins.insert(name, told(StandIns::install(set), out)?);
        }
        let stood_in = compiled(&inputs, out)?;
        let parties = parties(inputs, stand_ins);
        let mut ready: Vec<Ready> = cases
            .into_iter()
            .filter_map(|(tenant, case)| Ready::of(case, tenant.as_deref(), &parties, out))
            .collect();
        ready.sort_by(|one, other| {
            let key = |ready: &Ready| {
                let place = &ready.case.name.place;
                (place.file.name().to_owned(), place.start)
            };
            key(one).cmp(&key(other))
        });
        (!out.has_errors()).then(|| Self {
            name: directory.display().to_string(),
            ready,
            parties,
            written,
            stood_in,
        })
    }

    /// Runs every test whose name holds one of `filters`, or all if there are none. With `require_tls`, as
    /// `serve --require-tls` judges.
    pub async fn run(&self, filters: &[String], require_tls: bool) -> Run {
        let sets = self.parties.iter();
        let mut coverage = Coverage::of(sets.map(|(name, party)| (name.as_deref(), &*party.set)));
        let mut results = Vec::new();
        for ready in &self.ready {
            let name = &ready.case.name.value;
            if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
                results.push(self.judge(ready, require_tls, &mut coverage).await);
            }
        }
        Run {
            name: self.name.clone(),
            results,
            coverage,
        }
    }

    async fn judge(&self, ready: &Ready, require_tls: bool, coverage: &mut Coverage) -> CaseResult {
        let stopwatch = SystemClock::new();
        let snapshot = if ready.stood_in {
            &self.stood_in
        } else {
            &self.written
        };
        // Each test stands for itself: what another one used up is new in this one.
        snapshot.forget_uses();
        let heard = Arc::new(Heard::default());
        let recorder: Arc<dyn Recorder> = Arc::<Heard>::clone(&heard);
        let now = ready.case.now;
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now));
        let mut pipeline = Pipeline::new(Arc::clone(snapshot), clock, recorder, require_tls);
        if ready.stood_in {
            pipeline = pipeline.believing(BELIEVED);
        }
        let verdict = pipeline.check(ready.check.clone(), BUDGET, None).await;
        let duration = stopwatch.monotonic();
        let heard = heard.take();
        if let Some(route) = compare::route_of(&verdict) {
            coverage.saw(&Seen {
                route,
                reason: verdict.reason(),
                proven: heard.proven.as_ref(),
                deciding: heard.deciding,
                check: &ready.check,
                reading: &snapshot.table.reading,
                now,
            });
        }
        let answer = Answer::of(&verdict, &ready.check, heard.detail);
        CaseResult {
            name: ready.case.name.value.clone(),
            place: ready.case.name.place.clone(),
            mismatches: answer.compare(&ready.case.expect, &ready.check),
            answer,
            duration,
        }
    }
}

/// What all parties wrote, decoded once more from what was read before, so that it can be changed. The root
/// comes first.
fn fresh(inputs: &mut Inputs) -> Vec<(Option<String>, &mut PolicySet)> {
    inputs.set = inputs.policies.decode(&mut Diagnostics::default());
    inputs.tenants = inputs.policies.decode_tenants();
    let mut sets = vec![(None, &mut inputs.set)];
    for (name, tenant) in &mut inputs.tenants {
        // It was made just now, and nobody else holds it.
        sets.extend(Arc::get_mut(&mut tenant.set).map(|set| (Some(name.clone()), set)));
    }
    sets
}

fn parties(inputs: Inputs, stand_ins: BTreeMap<Option<String>, StandIns>) -> Parties {
    let root = Arc::new(inputs.set);
    let tenants = inputs.tenants;
    let set = |name: &Option<String>| match name {
        None => Some(Arc::clone(&root)),
        Some(name) => tenants.get(name).map(|tenant| Arc::clone(&tenant.set)),
    };
    stand_ins
        .into_iter()
        .filter_map(|(name, stand_ins)| {
            let set = set(&name)?;
            Some((name, Party { set, stand_ins }))
        })
        .collect()
}

/// Policies whose mistakes were told before.
fn compiled(inputs: &Inputs, out: &mut Diagnostics) -> Option<Arc<Snapshot>> {
    // What was warned of once is not warned of again.
    let mut found = Diagnostics::default();
    let cache = token_cache(TOKEN_CACHE_BYTES);
    let snapshot = Snapshot::compile(inputs, &cache, None, &mut found);
    if found.has_errors() {
        out.append(found);
        return None;
    }
    snapshot
}

/// What cannot be made, as a mistake like any other.
fn told<T>(made: Result<T, crate::standin::CannotStandIn>, out: &mut Diagnostics) -> Option<T> {
    made.inspect_err(|error| {
        let message = error.to_string();
        out.push(Diagnostic::global_error("no-stand-ins", message));
    })
    .ok()
}

impl Ready {
    fn of(
        case: Case,
        tenant: Option<&str>,
        parties: &Parties,
        out: &mut Diagnostics,
    ) -> Option<Self> {
        let sent = &case.request;
        let pseudo = [
            (":authority", &sent.host),
            (":method", &sent.method),
            (":scheme", &sent.scheme),
        ];
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.clone().into_bytes()));
        let lines = sent.headers.iter();
        let lines = lines.map(|(name, value)| (name.clone(), value.as_bytes().to_vec()));
        let mut draft = Draft {
            target: sent.target.clone(),
            headers: pseudo.into_iter().chain(lines).collect(),
            rest: check(sent),
        };
        let errors = out.error_count();
        for caller in &sent.callers {
            callers::present(caller, case.now, tenant, parties, &mut draft, out);
        }
        let path = draft.target.clone().into_bytes();
        draft.headers.push((":path".to_owned(), path));
        let check = draft.check();
        (out.error_count() == errors).then_some(Self {
            check,
            stood_in: !sent.callers.is_empty(),
            case,
        })
    }
}

/// The check that Envoy would send, but for what credentials change.
fn check(sent: &CaseRequest) -> RawCheck {
    let copy = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    RawCheck {
        method: copy(&sent.method),
        host: copy(&sent.host),
        scheme: copy(&sent.scheme),
        protocol: copy(&sent.protocol),
        body: copy(&sent.body),
        source: RawPeer {
            address: copy(&sent.client_address),
            ..RawPeer::default()
        },
        context_extensions: sent
            .context
            .iter()
            .map(|(name, value)| (copy(name), copy(value)))
            .collect(),
        ..RawCheck::default()
    }
}

/// Keeps what the one record of a test tells.
#[derive(Default)]
struct Heard(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    detail: String,
    proven: Option<Proven>,
    /// Whether an authenticator decided.
    deciding: bool,
}

impl Heard {
    fn take(&self) -> Noted {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Recorder for Heard {
    fn record(&self, record: &Record<'_>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Noted {
            detail: record.detail().to_owned(),
            proven: record.proven().cloned(),
            deciding: record.authenticator().is_some(),
        };
    }
}

#[cfg(test)]
mod tests;
