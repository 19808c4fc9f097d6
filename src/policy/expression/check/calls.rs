//! Calls of functions.

use cel::common::ast::{CallExpr, Expr, IdedExpr};

use super::super::program::{Constant, Program};
use super::super::types::{FUNCTIONS, MACROS, Signature, Type};
use super::super::{BadExpression, Mistake, run};
use super::{Checked, Checker, call, node, operators, text_literal};
use crate::diagnostic::nearest;

impl Checker<'_> {
    pub(super) fn call(&mut self, id: u64, written: CallExpr, depth: usize) -> Checked {
        if written.target.is_none() && operators::is_one(&written.func_name) {
            return self.operator(id, written, depth);
        }
        let CallExpr {
            func_name,
            target,
            args,
        } = written;
        let signatures = || FUNCTIONS.iter().filter(|known| known.name == func_name);
        if signatures().next().is_none() {
            return Err(self.unknown_function(&func_name, target.is_some()));
        }
        let literal = args.last().and_then(text_literal).map(str::to_owned);
        let mut kinds = Vec::new();
        let target = match target {
            None => None,
            Some(target) => {
                let (target, kind) = self.part(*target, depth + 1)?;
                Some((target, kind))
            }
        };
        let mut checked = Vec::with_capacity(args.len());
        for argument in args {
            let (argument, kind) = self.part(argument, depth + 1)?;
            checked.push(argument);
            kinds.push(kind);
        }
        let on = target.as_ref().map(|(_, kind)| kind);
        let Some(signature) = signatures().find(|known| known.fits(on, &kinds)) else {
            return Err(self.at(&func_name, wrong_call(&func_name, on, &kinds)));
        };
        let gives = signature.gives.clone();
        let func_name = match signature.name {
            "matches" => {
                let pattern = Constant::pattern(literal.as_deref());
                self.literal_argument(&func_name, &mut checked, pattern)?;
                "@matches".to_owned()
            }
            "in_cidr" => {
                let network = Constant::network(literal.as_deref());
                self.literal_argument(&func_name, &mut checked, network)?;
                "@in_cidr".to_owned()
            }
            _ => func_name,
        };
        // Our own functions are called in one way only.
        let (target, args) = match target {
            Some((target, _)) if func_name.starts_with('@') => {
                checked.insert(0, target);
                (None, checked)
            }
            Some((target, _)) => (Some(Box::new(target)), checked),
            None => (None, checked),
        };
        let converts = matches!(
            signature.name,
            "timestamp" | "duration" | "int" | "uint" | "double"
        );
        let mut whole = node(
            id,
            Expr::Call(CallExpr {
                func_name,
                target,
                args,
            }),
        );
        if converts && literal.is_some() {
            let alone = Program {
                tree: whole.clone(),
                gives: gives.clone(),
                slots: Vec::new(),
                constants: Vec::new(),
            };
            if run::settled(&alone).is_err() {
                return Err(self.at(signature.name, Mistake::Unconvertible(signature.name)));
            }
        }
        // The interpreter keeps the offset that a text names, and asks it for hours.
        if signature.name == "timestamp" {
            whole = call(id, "@utc", vec![whole]);
        }
        Ok((whole, gives))
    }

    /// Puts what was made of a function's last argument in the argument's place.
    fn literal_argument(
        &mut self,
        function: &str,
        arguments: &mut [IdedExpr],
        made: Result<Constant, Mistake>,
    ) -> Result<(), BadExpression> {
        let made = made.map_err(|why| self.at(function, why))?;
        if let Some(last) = arguments.last_mut() {
            *last = self.constant(last.id, made);
        }
        Ok(())
    }

    fn unknown_function(&self, name: &str, on_something: bool) -> BadExpression {
        let known = FUNCTIONS.iter().map(|known| known.name);
        let error = self.at(name, Mistake::Function(name.to_owned()));
        if MACROS.contains(&name) {
            let usage = match name {
                "has" => "has(principal.claims.name)",
                "map" => "list.map(name, value) or list.map(name, condition, value)",
                _ => "list.exists(name, condition)",
            };
            return error.with_help(format!("`{name}` is written {usage}"));
        }
        match nearest(name, known.chain(MACROS.iter().copied())) {
            Some(near) => error.with_help(format!("did you mean `{near}`?")),
            None if on_something => error.with_help("docs/expressions.md lists the functions"),
            None => error.with_help("docs/expressions.md lists the functions; a field needs no ()"),
        }
    }
}

impl Signature {
    fn fits(&self, on: Option<&Type>, arguments: &[Type]) -> bool {
        let target = match (self.on, on) {
            (None, None) => true,
            (Some(kinds), Some(on)) => on.is_one_of(kinds),
            _ => false,
        };
        target
            && self.takes.len() == arguments.len()
            && self
                .takes
                .iter()
                .zip(arguments)
                .all(|(kinds, argument)| argument.is_one_of(kinds))
    }
}

/// Says whether a function is called in the wrong way, or with the wrong things.
fn wrong_call(name: &str, on: Option<&Type>, arguments: &[Type]) -> Mistake {
    let known = FUNCTIONS.iter().filter(|known| known.name == name);
    let mut counts: Vec<usize> = known
        .filter(|known| known.on.is_some() == on.is_some())
        .map(|known| known.takes.len())
        .collect();
    counts.dedup();
    if counts.is_empty() {
        return Mistake::CallStyle {
            name: name.to_owned(),
            on_value: on.is_none(),
        };
    }
    if !counts.contains(&arguments.len()) {
        return Mistake::ArgumentCount {
            name: name.to_owned(),
            takes: counts,
            given: arguments.len(),
        };
    }
    let given = on.into_iter().chain(arguments);
    let given: Vec<String> = given.map(ToString::to_string).collect();
    Mistake::Arguments {
        name: name.to_owned(),
        given: given.join(", "),
    }
}
