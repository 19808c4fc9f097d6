//! The stages between a readable request and a decision to let it pass. Each type can only be made by
//! the stage before it, so that nothing is allowed that was not routed, proven and authorised.

mod observed;

use std::sync::Arc;

use crate::authn::credential::Stripped;
use crate::authn::identity::{Identity, Proven};
use crate::authn::{On, Progress};
use crate::clock::{Clock, Timestamp};
use crate::policy::compile::PolicyTable;
use crate::policy::expression::Outcome;
use crate::policy::field::Facts;
use crate::policy::observe::event::{CallerIs, Event, RevocationsAsked, Stage};
use crate::policy::observe::{Observe, Unobserved};
use crate::policy::revocation::Revocations;
use crate::policy::route::Route;
use crate::request::Request;
use crate::verdict::{Reason, Refusal};

/// A request with the one route that judges it.
pub struct Routed {
    request: Request,
    route: Arc<Route>,
    permit: Option<ShadowPermit>,
    /// Whether what may be used once is used up.
    uses_up: bool,
}

/// That a request is covered by a route in shadow and by no other, and that `unenforced: allow` stands.
/// Only [`Routed::choose`] gives one; who holds it is nobody, and nothing is injected.
#[derive(Clone, Debug)]
pub struct ShadowPermit(());

impl Routed {
    /// Chooses the route.
    ///
    /// # Errors
    /// `request_malformed` if `Connection` names a managed header; what
    /// [`RouteIndex::choose`](crate::policy::route::RouteIndex::choose) says.
    pub fn choose(
        request: Request,
        table: &PolicyTable,
        observer: impl Observe,
    ) -> Result<Self, Refusal> {
        observer.note(|| Event::Begins(Stage::Route));
        observer.note(|| Event::Routing(table.routes.candidates(&request)));
        // Neither another tenant's routes nor the root's stand in for policies that do not compile.
        let unavailable = table
            .unavailable
            .iter()
            .find(|tenant| tenant.covers(&request));
        if let Some(unavailable) = unavailable {
            let tenant = &unavailable.tenant;
            return Err(Refusal::new(
                Reason::PolicyInvalid,
                format!(
                    "the policies of the tenant `{tenant}` do not compile, and none did before"
                ),
            ));
        }
        let (route, permit) = match table.routes.choose(&request) {
            Ok(route) => (route, None),
            Err(refusal) if refusal.reason == Reason::RouteUnknown && table.unenforced_allow => {
                let shadow = table.shadow.as_ref();
                let route = shadow.and_then(|shadow| shadow.choose(&request).ok());
                // Whether anybody passes unproven is for the root to say of its own routes.
                let route = route.filter(|route| route.tenant.is_none());
                (route.ok_or(refusal)?, Some(ShadowPermit(())))
            }
            Err(refusal) => return Err(refusal),
        };
        let route = Arc::clone(route);
        observer.note(|| observed::route(&request, &route));
        if let Some(name) = route.owned.managed.dropped_by_connection(request.headers()) {
            return Err(Refusal::new(
                Reason::RequestMalformed,
                format!(
                    "`Connection` names the managed header `{}`",
                    name.escape_default()
                ),
            ));
        }
        Ok(Self {
            request,
            route,
            permit,
            uses_up: true,
        })
    }

    /// The route.
    pub const fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Proves who calls, if the route asks. `progress` learns how far that came.
    ///
    /// # Errors
    /// What [`RouteAuthn::authenticate`](crate::authn::RouteAuthn::authenticate) says.
    pub async fn authenticate(
        self,
        clock: &dyn Clock,
        progress: &mut Progress,
        observer: impl Observe,
    ) -> Result<Caller, Refusal> {
        observer.note(|| Event::Begins(Stage::Authentication));
        let (identity, stripped) = match (&self.permit, &self.route.authn) {
            (Some(permit), _) => (Identity::Unproven(permit.clone()), Stripped::default()),
            (None, None) => (Identity::Public, Stripped::default()),
            (None, Some(authn)) => {
                let on = On {
                    environment: &self.route.environment,
                    external: self.route.external.as_deref(),
                    uses_up: self.uses_up,
                };
                authn
                    .authenticate(&self.request, on, clock, progress, observer)
                    .await?
            }
        };
        observer.note(|| Event::Caller(CallerIs::of(&identity)));
        // Taken apart after the wait, so that what is suspended holds them once.
        let Self { request, route, .. } = self;
        Ok(Caller {
            request,
            route,
            identity,
            stripped,
        })
    }
}

/// A routed request whose caller was proven, or need not be.
pub struct Caller {
    request: Request,
    route: Arc<Route>,
    identity: Identity,
    stripped: Stripped,
}

impl Caller {
    /// Who calls.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Refuses a caller of whom anything was revoked (step 8 of the policy language).
    ///
    /// # Errors
    /// `credentials_revoked`.
    pub fn not_revoked(
        &self,
        revocations: &Revocations,
        observer: impl Observe,
    ) -> Result<(), Refusal> {
        observer.note(|| Event::Begins(Stage::Revocations));
        let proven = self.identity.proven().into_iter();
        let mut verified = proven.flat_map(|proven| proven.all().chain(proven.aside()));
        let tenant = self.route.tenant.as_deref();
        let judged = verified.try_for_each(|principal| revocations.judge(principal, tenant));
        observer.note(|| {
            let refused = judged.as_ref().err();
            Event::Revocations(RevocationsAsked {
                entries: revocations.len(),
                refused: refused.map(|refusal| refusal.detail.to_string()),
            })
        });
        judged
    }

    /// Judges what the caller may do (step 9 of the policy language).
    ///
    /// # Errors
    /// `address_refused`, `caller_refused`, `scope_insufficient`, `role_missing`; `credentials_missing`
    /// where it is an anonymous caller who lacks one of the last three; `condition_false`,
    /// `condition_failed`.
    pub fn authorise(self, now: Timestamp, observer: impl Observe) -> Result<Grant, Refusal> {
        // The rules are those of a route in shadow: they were judged beside, and decide nothing.
        if let Identity::Unproven(_) = self.identity {
            return Ok(Grant { caller: self });
        }
        observer.note(|| Event::Begins(Stage::Addresses));
        self.is_at_allowed_address(observer)?;
        observer.note(|| Event::Begins(Stage::Callers));
        self.is_among_callers(observer)?;
        observer.note(|| Event::Begins(Stage::Scopes));
        self.has_scopes(observer)?;
        observer.note(|| Event::Begins(Stage::Roles));
        self.has_roles(observer)?;
        observer.note(|| Event::Begins(Stage::Conditions));
        self.meets_conditions(now, observer)?;
        Ok(Grant { caller: self })
    }

    fn is_at_allowed_address(&self, observer: impl Observe) -> Result<(), Refusal> {
        if self.route.allow_ips.is_empty() {
            return Ok(());
        }
        let address = self.request.client_address();
        for rule in &self.route.allow_ips {
            let holds = rule.admits(address);
            observer.note(|| observed::addresses(rule, address, holds));
            if !holds {
                let detail = match address {
                    Some(address) => {
                        format!("`allow_ips` does not hold the client's address {address}")
                    }
                    None => {
                        "`allow_ips` asks for the client's address, which is not known".to_owned()
                    }
                };
                return Err(Refusal::new(Reason::AddressRefused, detail));
            }
        }
        Ok(())
    }

    /// Each member of an all-of is a caller.
    fn is_among_callers(&self, observer: impl Observe) -> Result<(), Refusal> {
        let proven = self.identity.proven().into_iter().flat_map(Proven::all);
        for rule in &self.route.callers {
            let holds = rule.admits(proven.clone());
            observer.note(|| observed::callers(rule, proven.clone(), holds));
            if !holds {
                let detail = "the caller is none of the route's `callers`".to_owned();
                return Err(self.lacks(Reason::CallerRefused, detail));
            }
        }
        Ok(())
    }

    fn has_scopes(&self, observer: impl Observe) -> Result<(), Refusal> {
        for rule in &self.route.scopes {
            let principal = self.identity.principal();
            let holds = principal.is_some_and(|principal| rule.satisfied_by(principal.scopes()));
            observer.note(|| observed::scopes(rule, principal, holds));
            if !holds {
                let detail = format!("the route requires {}", rule.rule);
                let mut refusal = self.lacks(Reason::ScopeInsufficient, detail);
                if self.route.disclose_scopes && refusal.reason == Reason::ScopeInsufficient {
                    refusal.required_scopes = Some(self.route.required_scopes());
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    fn has_roles(&self, observer: impl Observe) -> Result<(), Refusal> {
        for rule in &self.route.roles {
            let principal = self.identity.principal();
            let holds = principal
                .is_some_and(|principal| rule.satisfied_by(|role| principal.has_role(role)));
            observer.note(|| observed::roles(rule, principal, holds));
            if !holds {
                let detail = format!("the route requires {}", rule.rule);
                return Err(self.lacks(Reason::RoleMissing, detail));
            }
        }
        Ok(())
    }

    fn meets_conditions(&self, now: Timestamp, observer: impl Observe) -> Result<(), Refusal> {
        if self.route.conditions.is_empty() {
            return Ok(());
        }
        let facts = Facts::of(&self.request, &self.route, &self.identity, now);
        for condition in &self.route.conditions {
            let outcome = condition.judge(&facts);
            observer.note(|| observed::condition(condition, &facts, &outcome, observer));
            match outcome {
                Outcome::True => {}
                Outcome::False => {
                    let detail = "a condition of the route (`when`) does not hold";
                    return Err(Refusal::new(Reason::ConditionFalse, detail));
                }
                Outcome::Undecided(why) => {
                    let detail =
                        format!("a condition of the route (`when`) ended in an error: {why}");
                    return Err(Refusal::new(Reason::ConditionFailed, detail));
                }
            }
        }
        Ok(())
    }

    /// Who is anonymous may still prove to be somebody, and is asked to.
    fn lacks(&self, reason: Reason, detail: String) -> Refusal {
        let reason = match &self.identity {
            Identity::Anonymous(_) => Reason::CredentialsMissing,
            Identity::Proven(_) | Identity::Public | Identity::Unproven(_) => reason,
        };
        Refusal::new(reason, detail)
    }
}

/// A request with the route in shadow that covers it. Nothing that it ends in lets anything pass.
pub struct InShadow(Routed);

impl InShadow {
    /// The route in shadow that covers a request, if there is one.
    pub fn choose(request: &Request, table: &PolicyTable) -> Option<Self> {
        let route = table.shadow.as_ref()?.choose(request).ok()?;
        Some(Self(Routed {
            request: request.clone(),
            route: Arc::clone(route),
            permit: None,
            uses_up: false,
        }))
    }

    /// The route.
    pub const fn route(&self) -> &Arc<Route> {
        &self.0.route
    }

    /// Judges the request as if the route were enforced, up to where it would be let pass. `progress` learns
    /// whom a refusal before [`Caller::not_revoked`], or no end at all, leaves proven.
    ///
    /// # Errors
    /// What the stages say.
    pub async fn judge(
        self,
        revocations: &Revocations,
        clock: &dyn Clock,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        let caller = self.0.authenticate(clock, progress, Unobserved).await?;
        caller.not_revoked(revocations, Unobserved)?;
        caller.authorise(clock.now(), Unobserved).map(drop)
    }
}

/// A caller who may do what the request asks.
pub struct Grant {
    caller: Caller,
}

/// The parts of a [`Grant`], for the stages after it.
pub struct Granted {
    /// The request.
    pub request: Request,
    /// Its route.
    pub route: Arc<Route>,
    /// Its caller.
    pub identity: Identity,
    /// The credentials to take out.
    pub stripped: Stripped,
}

impl Grant {
    /// Takes the grant apart.
    pub fn into_parts(self) -> Granted {
        let Caller {
            request,
            route,
            identity,
            stripped,
        } = self.caller;
        Granted {
            request,
            route,
            identity,
            stripped,
        }
    }
}
