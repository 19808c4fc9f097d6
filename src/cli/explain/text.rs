//! A decision as a tree for people.

use serde_json::Value;

use crate::cli::explain::branch::{Branch, line};
use crate::cli::explain::tree::{
    Authentication, DOCS, Demanded, Explanation, Outcome, SignedText, Verdicts,
};
use crate::clock::Timestamp;
use crate::policy::observe::event::{
    ConditionJudged, Holds, Owner, PartJudged, PrincipalIs, Routing, RuleJudged, Stage,
};
use crate::policy::observe::shown::Shown;
use crate::verdict::Reason;

/// The whole tree, its last lines the decision.
pub(super) fn render(explanation: &Explanation) -> String {
    let mut all = Branch::new("");
    all.below.extend(request(explanation));
    all.below.extend(preflight(explanation));
    all.below.extend(route(explanation));
    all.below
        .extend(explanation.authentication.iter().map(authentication));
    all.below
        .extend(explanation.signed_text.iter().map(signed_text));
    all.below.extend(consumers(explanation));
    all.below.extend(revocations(explanation));
    for stage in [
        Stage::Addresses,
        Stage::Callers,
        Stage::Scopes,
        Stage::Roles,
    ] {
        all.below.extend(rules(explanation, stage));
    }
    if !explanation.conditions.is_empty() {
        let conditions = explanation.conditions.iter().map(condition);
        all.below.push(Branch::new("conditions").and(conditions));
    }
    all.below.extend(headers(explanation));
    if let Some(shadow) = &explanation.shadow {
        let route = shadow.route.as_deref().unwrap_or_default();
        let policy = shadow.policy.as_deref().unwrap_or_default();
        let text = format!(
            "in shadow: {policy} {route} would have ended with {}; it decides nothing",
            shadow.reason.as_str()
        );
        all.below.push(Branch::new(text));
    }
    if !explanation.not_reached.is_empty() {
        let names: Vec<&str> = explanation
            .not_reached
            .iter()
            .map(|stage| stage.as_str())
            .collect();
        all.below
            .push(Branch::new(format!("not reached: {}", names.join(", "))));
    }
    all.below.push(decision(explanation));
    let notes = explanation.notes.iter();
    all.below
        .extend(notes.map(|note| Branch::new(format!("note: {note}"))));
    let mut out = String::new();
    for branch in &all.below {
        out.push_str(&format!("{}\n", line(&branch.text)));
        branch.write("", &mut out);
    }
    out
}

fn request(explanation: &Explanation) -> Option<Branch> {
    let Some(request) = &explanation.request else {
        return Some(Branch::new(
            "request: refused before it was read to its end",
        ));
    };
    let query = if request.query { "?…" } else { "" };
    let mut branch = Branch::new(format!(
        "request {} {}{}{query}",
        request.method, request.host, request.path
    ));
    let address = request.client_address.map_or(
        "client address: not known (--client-address)".to_owned(),
        |address| format!("client address: {address}"),
    );
    branch.below.push(Branch::new(address));
    Some(branch)
}

fn preflight(explanation: &Explanation) -> Option<Branch> {
    let judged = explanation.preflight.as_ref()?;
    let route = [&judged.policy, &judged.path].map(|name| name.as_deref().unwrap_or("?"));
    Some(match &judged.refused {
        Some(why) => Branch::new(format!("preflight for {}: refused", route.join(" "))).with(why),
        None => Branch::new(format!("preflight for {}: answered", route.join(" "))),
    })
}

fn route(explanation: &Explanation) -> Option<Branch> {
    let routing = explanation.routing.as_ref()?;
    let mut branch = match &explanation.route {
        Some(route) => {
            let mut branch = Branch::new(format!("route {} {}", route.policy, route.path))
                .with(format!("written in {}:{}", route.file, route.line));
            for (name, value) in &route.parameters {
                branch = branch.with(format!("path.{name} = {value:?}"));
            }
            branch.with(format!("environment: {}", route.environment))
        }
        None => Branch::new("route: none"),
    };
    branch.below.extend(hosts(routing));
    branch.below.extend(paths(routing));
    branch.below.extend(routing.nearest.iter().map(|near| {
        let host = near
            .host
            .as_ref()
            .map_or(String::new(), |host| format!("{host} "));
        Branch::new(format!(
            "near: {} {host}{}: {}",
            near.policy, near.path, near.why
        ))
    }));
    Some(branch)
}

fn hosts(routing: &Routing) -> Vec<Branch> {
    let mut branches = Vec::new();
    if let Some(pinned) = &routing.pinned {
        branches.push(Branch::new(format!("Envoy pins the policy {pinned}")));
    }
    let mut hosts = routing.hosts.iter();
    branches.push(match hosts.next() {
        Some(host) => {
            let others =
                hosts.map(|other| Branch::new(format!("less specific, not consulted: {other}")));
            Branch::new(format!("host pattern {host}")).and(others)
        }
        None => Branch::new("no host pattern covers the host"),
    });
    branches
}

fn paths(routing: &Routing) -> Vec<Branch> {
    let Some(first) = routing.paths.first() else {
        return match routing.hosts.is_empty() {
            true => Vec::new(),
            false => vec![Branch::new("no path pattern for this host covers the path")],
        };
    };
    let chosen = routing
        .paths
        .iter()
        .take_while(|covers| covers.path == first.path);
    let methods = chosen
        .clone()
        .map(|covers| Branch::new(format!("{} {}", covers.policy, covers.methods.join(", "))));
    let others = routing
        .paths
        .iter()
        .skip(chosen.clone().count())
        .map(|covers| {
            Branch::new(format!(
                "less specific: {} {} {}",
                covers.policy,
                covers.path,
                covers.methods.join(", ")
            ))
        });
    vec![
        Branch::new(format!("path pattern {}", first.path))
            .and(methods)
            .and(others),
    ]
}

/// What the signer should have signed, to be held against what it did sign.
fn signed_text(text: &SignedText) -> Branch {
    let lines = text.text.split('\n');
    let mut branch = Branch::new("the text that should have been signed, line by line")
        .and(lines.map(|line| Branch::new(format!("|{line}"))));
    if text.base64.is_some() {
        branch = branch.with("it is no UTF-8: --output json has its bytes in base64");
    }
    branch
}

fn authentication(authentication: &Authentication) -> Branch {
    let caller = authentication.caller.as_deref();
    let mut branch = Branch::new(match (authentication.public, caller) {
        (true, _) => "authentication: the route is public, and nothing is asked".to_owned(),
        (false, Some(caller)) if authentication.also.is_empty() => {
            format!("authentication: {caller}")
        }
        (false, Some(caller)) => format!(
            "authentication: {caller}, beside {}",
            authentication.also.join(", ")
        ),
        (false, None) => "authentication: failed".to_owned(),
    });
    if authentication.optional {
        branch = branch.with("optional: who sends nothing is anonymous");
    }
    branch.below.extend(
        authentication
            .demand
            .as_ref()
            .map(|demand| demanded(demand, &authentication.authenticators)),
    );
    branch.and(authentication.places.iter().map(|place| {
        let read = &place.read;
        let holds = match (read.holds, &read.scheme) {
            (Holds::Nothing, _) => "nothing".to_owned(),
            (Holds::Value, _) => "holds a value".to_owned(),
            (Holds::Scheme, Some(scheme)) => format!("holds a value of the scheme {scheme}"),
            (Holds::Scheme, None) => {
                "holds a value that begins with no scheme that is looked for".to_owned()
            }
            (Holds::Several, _) => "holds more than one value, or a comma".to_owned(),
        };
        let readers = format!("read by {}", read.readers.join(", "));
        Branch::new(format!("{}: {holds}", read.place))
            .with(readers)
            .and(place.owner.iter().flat_map(owner))
    }))
}

fn demanded(demand: &Demanded, said: &[Verdicts]) -> Branch {
    if let Some(name) = &demand.authenticator {
        let one = said.iter().find(|one| one.name == *name);
        return one.map_or_else(|| Branch::new(name.clone()), verdict);
    }
    let (word, children) = if demand.all.is_empty() {
        ("any of", &demand.any)
    } else {
        ("all of", &demand.all)
    };
    Branch::new(format!("{word}: {}", demand.outcome.as_str()))
        .and(children.iter().map(|child| demanded(child, said)))
}

fn verdict(one: &Verdicts) -> Branch {
    let mut text = format!("{} ({}): {}", one.name, one.kind, one.outcome.as_str());
    if let Some(reason) = one.reason {
        text.push_str(&format!(": {}", reason.as_str()));
    }
    let mut branch = Branch::new(text);
    branch.below.extend(one.detail.iter().map(Branch::new));
    if one.outcome == Outcome::Verified {
        branch
            .below
            .extend(one.principal.iter().flat_map(principal));
    }
    branch
}

fn principal(principal: &PrincipalIs) -> Vec<Branch> {
    let mut lines = vec![format!("principal {}", principal.id)];
    if let Some(id) = &principal.credential_id {
        let what = if principal.kind == "api_key" {
            "key id"
        } else {
            "token id"
        };
        lines.push(format!("{what} {id}"));
    }
    if let Some(at) = principal.expires_at {
        lines.push(format!("expires {}", at.to_rfc3339()));
    }
    lines.push(format!("scopes: {}", or_none(&principal.scopes)));
    lines.push(format!("roles: {}", or_none(&principal.roles)));
    lines.push(match &principal.consumer {
        Some(consumer) => format!("consumer {consumer}"),
        None => "belongs to no consumer".to_owned(),
    });
    let claims = principal.claims.as_object();
    let claims: Vec<Branch> = claims
        .into_iter()
        .flatten()
        .map(|(name, value)| Branch::new(format!("{name} = {value}")))
        .collect();
    let mut branches: Vec<Branch> = lines.into_iter().map(Branch::new).collect();
    if !claims.is_empty() {
        branches.push(Branch::new("claims").and(claims));
    }
    branches
}

fn or_none(texts: &[String]) -> String {
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(" ")
    }
}

fn owner(owner: &Owner) -> Vec<Branch> {
    let mut branches = vec![Branch::new(match &owner.authenticator {
        Some(name) => format!("belongs to {name}: {}", owner.why),
        None => format!("belongs to nobody: {}", owner.why),
    })];
    if let Some(token) = &owner.unverified {
        let text = |text: &Option<String>| {
            text.as_ref()
                .map_or("none".to_owned(), |text| format!("{text:?}"))
        };
        let aud = or_none(&token.aud);
        let exp = token.exp.map_or("none".to_owned(), |exp| {
            Timestamp::from_seconds(exp).to_rfc3339()
        });
        branches.push(Branch::new(format!(
            "a token that says of itself, unverified: alg {}, kid {}, iss {}, aud {aud}, exp {exp}",
            text(&token.alg),
            text(&token.kid),
            text(&token.iss)
        )));
    }
    branches
}

fn consumers(explanation: &Explanation) -> Vec<Branch> {
    let route = explanation
        .route
        .as_ref()
        .map_or("", |route| &route.environment);
    explanation
        .consumers
        .iter()
        .map(|consumer| {
            let outcome = consumer
                .refused
                .map_or("admitted", |reason| reason.as_str());
            let expires = consumer
                .expires
                .map_or("never".to_owned(), Timestamp::to_rfc3339);
            let anywhere = || "from anywhere".to_owned();
            let addresses = consumer.allow_ips.as_ref();
            let ceiling = consumer.ceiling.as_ref();
            Branch::new(format!("consumer {}: {outcome}", consumer.name))
                .with(format!("by its credential of {}", consumer.authenticator))
                .with(format!("expires: {expires}"))
                .with(format!(
                    "environment: {}, the route's is {route}",
                    consumer.environment
                ))
                .with(format!(
                    "addresses: {}",
                    addresses.map_or_else(anywhere, |all| all.join(", "))
                ))
                .with(format!(
                    "at most these scopes: {}",
                    ceiling.map_or("not said".to_owned(), |all| or_none(all))
                ))
        })
        .collect()
}

fn revocations(explanation: &Explanation) -> Option<Branch> {
    let asked = explanation.revocations.as_ref()?;
    Some(Branch::new(match &asked.refused {
        Some(why) => format!("revocations: {why}"),
        None => format!("revocations: none of {} concerns the caller", asked.entries),
    }))
}

fn rules(explanation: &Explanation, stage: Stage) -> Option<Branch> {
    let rules: Vec<&RuleJudged> = explanation.rules(stage).collect();
    let fails = rules.iter().any(|rule| !rule.holds);
    let outcome = if fails { "fail" } else { "hold" };
    let branch = Branch::new(format!("{}: {outcome}", stage.as_str()));
    (!rules.is_empty()).then(|| {
        branch.and(rules.into_iter().map(|rule| {
            let mark = if rule.holds { "holds" } else { "fails" };
            let level = rule.level.as_str();
            Branch::new(format!(
                "{mark} ({level}): requires {}, there is {}",
                rule.required, rule.held
            ))
        }))
    })
}

fn condition(condition: &ConditionJudged) -> Branch {
    let level = condition.level.as_str();
    let mut branch = Branch::new(format!(
        "{} ({level}): {}",
        condition.outcome, condition.when
    ));
    branch.below.extend(condition.error.iter().map(Branch::new));
    branch.below.extend(
        condition
            .fields
            .iter()
            .map(|field| Branch::new(format!("{} = {}", field.field, shown(&field.value)))),
    );
    branch.and(condition.parts.iter().map(|part| Branch::new(told(part))))
}

fn told(part: &PartJudged) -> String {
    let error = part
        .error
        .as_ref()
        .map_or(String::new(), |why| format!(": {why}"));
    format!("{} is {}{error}", part.when, part.outcome)
}

fn shown(value: &Shown) -> String {
    match value {
        Shown::Value(Value::Null) => "absent".to_owned(),
        Shown::Value(value) => value.to_string(),
        Shown::Hidden(why) => format!("({why})"),
        Shown::Error(why) => format!("error: {why}"),
    }
}

fn headers(explanation: &Explanation) -> Option<Branch> {
    let planned = explanation.headers.as_ref()?;
    let mut branch = Branch::new(match &planned.refused {
        Some(why) => format!("headers: refused: {why}"),
        None => "headers to the upstream".to_owned(),
    });
    branch.below.extend(planned.injected.iter().map(|header| {
        let required = if header.required { ", required" } else { "" };
        match &header.value {
            Shown::Value(Value::Null) => Branch::new(format!(
                "remove {}: {} is absent{required}",
                header.name, header.expression
            )),
            Shown::Value(Value::String(text)) => Branch::new(format!(
                "set {}: {text}   ({}{required})",
                header.name, header.expression
            )),
            value => Branch::new(format!(
                "set {}: {}   ({}{required})",
                header.name,
                shown(value),
                header.expression
            )),
        }
    }));
    if let Some(changes) = &explanation.changes {
        branch.below.extend(
            changes
                .removed
                .iter()
                .map(|name| Branch::new(format!("remove {name}: the request carries it"))),
        );
        branch.below.extend(
            changes
                .removed_parameters
                .iter()
                .map(|name| Branch::new(format!("remove the query parameter {name}"))),
        );
        if changes.cookie == "rewritten" {
            branch
                .below
                .push(Branch::new("take the credential out of cookie"));
        }
        branch.below.extend(
            changes
                .reply
                .iter()
                .map(|(name, value)| Branch::new(format!("the reply says {name}: {value}"))),
        );
        branch.below.push(Branch::new(format!(
            "remove {} other names, should the request carry them",
            changes.removed_unseen
        )));
    }
    Some(branch)
}

fn decision(explanation: &Explanation) -> Branch {
    let reason = explanation.reason().as_str();
    let Some(ended) = &explanation.ended else {
        return Branch::new(format!("DENY {reason}"));
    };
    if explanation.reason() == Reason::Allowed {
        return Branch::new(format!("ALLOW {reason}"));
    }
    if explanation.allowed() {
        let headers = explanation.answer.iter().flat_map(|answer| &answer.headers);
        let told = headers.map(|(name, value)| Branch::new(format!("{name}: {value}")));
        return Branch::new(format!("REPLY {} {reason}", ended.status)).and(told);
    }
    let mut branch = Branch::new(format!("DENY {} {reason}", ended.status));
    if !ended.detail.is_empty() {
        branch = branch.with(format!("the operator reads: {}", ended.detail));
    }
    branch = branch.with(format!("the client reads: {}", ended.reason.message()));
    if let Some(answer) = &explanation.answer {
        let headers = answer.headers.iter();
        let told =
            headers.filter(|(name, _)| !matches!(name.as_str(), "cache-control" | "content-type"));
        branch
            .below
            .extend(told.map(|(name, value)| Branch::new(format!("{name}: {value}"))));
    }
    branch.with(format!("what to do: {DOCS}, `{reason}`"))
}
