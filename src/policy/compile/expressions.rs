//! The expressions of levels: injected headers and conditions, each text read once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::compile::push_once;
use crate::policy::compile::routes::outermost_first;
use crate::policy::expression::{BadExpression, Condition, Expression};
use crate::policy::inject::{InjectHeader, InjectPlan, Owned};
use crate::policy::level::At;
use crate::policy::source::{InjectSource, LevelSource, Located, Named};

/// Name, expression and `required` of each header: what is equal here makes equal plans.
type PlanKey<'a> = Vec<(&'a str, &'a str, bool)>;

/// What was read so far.
pub(super) struct Expressions<'a> {
    owned: &'a Owned,
    /// Plans that do not depend on the route, by all that they are made of.
    plans: HashMap<PlanKey<'a>, Arc<InjectPlan>>,
    /// Expressions that read no parameter of the path.
    values: HashMap<&'a str, Expression>,
    conditions: HashMap<&'a str, Arc<Condition>>,
}

impl<'a> Expressions<'a> {
    pub(super) fn new(owned: &'a Owned) -> Self {
        Self {
            owned,
            plans: HashMap::new(),
            values: HashMap::new(),
            conditions: HashMap::new(),
        }
    }

    /// What a route with these levels injects: merged by name, the nearest level wins.
    pub(super) fn inject(
        &mut self,
        levels: &[&'a LevelSource],
        parameters: &[&str],
        out: &mut Diagnostics,
    ) -> Arc<InjectPlan> {
        let mut merged: BTreeMap<&str, &'a Named<InjectSource>> = BTreeMap::new();
        for level in levels.iter().rev() {
            let named = level.inject.iter();
            merged.extend(named.map(|inject| (inject.name.value.as_str(), inject)));
        }
        let mut headers = Vec::new();
        let mut key = Vec::new();
        let mut shareable = true;
        for (name, inject) in merged {
            let source = &inject.value.expression;
            let required = inject.value.required;
            match self.value(&source.value, parameters) {
                Ok(expression) => {
                    shareable &= !expression.reads_path_parameters();
                    key.push((name, source.value.as_str(), required));
                    headers.push(InjectHeader {
                        name: name.into(),
                        expression,
                        required,
                    });
                }
                Err(why) => report(&why, source, out),
            }
        }
        if shareable {
            self.shared_plan(key, headers)
        } else {
            Arc::new(InjectPlan::new(headers, &self.owned.managed))
        }
    }

    /// What a route injects of which nobody is told anything.
    pub(super) fn nothing(&self) -> Arc<InjectPlan> {
        Arc::clone(&self.owned.nothing)
    }

    fn shared_plan(&mut self, key: PlanKey<'a>, headers: Vec<InjectHeader>) -> Arc<InjectPlan> {
        let plan = self.plans.entry(key);
        Arc::clone(plan.or_insert_with(|| Arc::new(InjectPlan::new(headers, &self.owned.managed))))
    }

    fn value(&mut self, text: &'a str, parameters: &[&str]) -> Result<Expression, BadExpression> {
        if let Some(known) = self.values.get(text) {
            return Ok(known.clone());
        }
        let expression = Expression::parse(text, parameters)?;
        if !expression.reads_path_parameters() {
            self.values.insert(text, expression.clone());
        }
        Ok(expression)
    }

    /// The conditions of these levels, the outermost first. Every one must hold.
    pub(super) fn conditions(
        &mut self,
        levels: &[&'a LevelSource],
        parameters: &[&str],
        public: bool,
        out: &mut Diagnostics,
    ) -> Vec<At<Arc<Condition>>> {
        let mut conditions = Vec::new();
        for (level, said) in outermost_first(levels) {
            let Some(source) = &said.when else { continue };
            match self.condition(source, parameters, out) {
                Ok(condition) => {
                    if public && condition.needs_principal() {
                        push_once(asks_nobody(source), out);
                    }
                    conditions.push(At {
                        level,
                        rule: condition,
                    });
                }
                Err(why) => report(&why, source, out),
            }
        }
        conditions
    }

    fn condition(
        &mut self,
        source: &'a Located<String>,
        parameters: &[&str],
        out: &mut Diagnostics,
    ) -> Result<Arc<Condition>, BadExpression> {
        if let Some(known) = self.conditions.get(source.value.as_str()) {
            return Ok(Arc::clone(known));
        }
        let condition = Arc::new(Condition::parse(&source.value, parameters)?);
        if let Some(constant) = condition.constant() {
            let (always, way_out) = if constant {
                ("true", "leave `when` out, or mend the expression")
            } else {
                (
                    "false",
                    "no request can pass; mend the expression, or take the route out",
                )
            };
            let message = format!("this condition is always {always}");
            push_once(
                Diagnostic::warning("constant-condition", &source.place, message)
                    .with_help(way_out),
                out,
            );
        }
        if !condition.reads_path_parameters() {
            let known = Arc::clone(&condition);
            self.conditions.insert(&source.value, known);
        }
        Ok(condition)
    }
}

fn report(why: &BadExpression, source: &Located<String>, out: &mut Diagnostics) {
    let mut error = Diagnostic::error("bad-expression", &source.place, why.to_string());
    if let Some(help) = why.help() {
        error = error.with_help(help);
    }
    push_once(error, out);
}

fn asks_nobody(source: &Located<String>) -> Diagnostic {
    let message = "a route under this is public, and the condition asks who calls";
    Diagnostic::error("public-contradiction", &source.place, message).with_help(
        "say how callers authenticate: `authenticate: …`, or ask about the request alone",
    )
}
