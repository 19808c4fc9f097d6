//! Operators: what they take, what they give, and which of them are bounded.

use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, Expr, IdedExpr};

use super::super::program::Slot;
use super::super::types::Type;
use super::super::{BadExpression, Mistake};
use super::{Checked, Checker, RESULT, call, fuel};
use crate::policy::field::{FieldPath, PrincipalField};

const OPERATORS: &[&str] = &[
    op::CONDITIONAL,
    op::LOGICAL_AND,
    op::LOGICAL_OR,
    op::LOGICAL_NOT,
    op::NOT_STRICTLY_FALSE,
    op::EQUALS,
    op::NOT_EQUALS,
    op::LESS,
    op::LESS_EQUALS,
    op::GREATER,
    op::GREATER_EQUALS,
    op::ADD,
    op::SUBSTRACT,
    op::MULTIPLY,
    op::DIVIDE,
    op::MODULO,
    op::NEGATE,
    op::INDEX,
    op::IN,
];

/// Whether this is an operator's name in the tree.
pub(super) fn is_one(name: &str) -> bool {
    OPERATORS.contains(&name)
}

impl Checker<'_> {
    pub(super) fn operator(&mut self, id: u64, written: CallExpr, depth: usize) -> Checked {
        let name = written.func_name;
        let mut parts = written.args;
        match (name.as_str(), parts.len()) {
            (op::INDEX, 2) => self.index(id, parts, depth),
            (op::IN, 2) => self.within(id, parts, depth),
            (op::CONDITIONAL, 3) => {
                let (otherwise, then) = (parts.pop(), parts.pop());
                let condition = self.boolean(parts.pop(), "?:", depth)?;
                let (then, a) = self.value(then.unwrap_or_default(), depth + 1)?;
                let (otherwise, b) = self.value(otherwise.unwrap_or_default(), depth + 1)?;
                let whole = call(id, &name, vec![condition, then, otherwise]);
                Ok((whole, a.or(b)))
            }
            (op::LOGICAL_AND | op::LOGICAL_OR, 2) => {
                let sign = sign(&name);
                let right = parts.pop();
                let left = self.boolean(parts.pop(), sign, depth)?;
                let right = self.boolean(right, sign, depth)?;
                Ok((call(id, &name, vec![left, right]), Type::Bool))
            }
            (op::LOGICAL_NOT, 1) => {
                let of = self.boolean(parts.pop(), "!", depth)?;
                Ok((call(id, &name, vec![of]), Type::Bool))
            }
            // Only macros write it, around what they gather.
            (op::NOT_STRICTLY_FALSE, 1) => {
                let (of, _) = self.value(parts.pop().unwrap_or_default(), depth + 1)?;
                Ok((call(id, &name, vec![of]), Type::Bool))
            }
            (op::NEGATE, 1) => {
                let (of, kind) = self.value(parts.pop().unwrap_or_default(), depth + 1)?;
                if !matches!(kind, Type::Int | Type::Double | Type::Dyn) {
                    return Err(wrong("-", &[&kind]));
                }
                Ok((call(id, &name, vec![of]), kind))
            }
            (_, 2) => self.binary(id, &name, parts, depth),
            _ => Err(Mistake::Syntax(format!("`{}` lacks an operand", sign(&name))).into()),
        }
    }

    fn boolean(
        &mut self,
        part: Option<IdedExpr>,
        sign: &str,
        depth: usize,
    ) -> Result<IdedExpr, BadExpression> {
        let (part, kind) = self.value(part.unwrap_or_default(), depth + 1)?;
        match kind {
            Type::Bool | Type::Dyn => Ok(part),
            kind => Err(wrong(sign, &[&kind])),
        }
    }

    fn binary(&mut self, id: u64, name: &str, mut parts: Vec<IdedExpr>, depth: usize) -> Checked {
        let gathers = parts.first().is_some_and(is_result);
        let right = parts.pop().unwrap_or_default();
        let left = parts.pop().unwrap_or_default();
        let (left, a) = self.value(left, depth + 1)?;
        let (right, b) = self.value(right, depth + 1)?;
        let gives = result(name, &a, &b).ok_or_else(|| wrong(sign(name), &[&a, &b]))?;
        let grows = matches!(gives, Type::Text | Type::List(_) | Type::Dyn);
        // What a macro gathers is bounded by what it walks.
        if name == op::ADD && grows && !gathers {
            return Ok((call(id, "@add", vec![left, right, fuel(id)]), gives));
        }
        Ok((call(id, name, vec![left, right]), gives))
    }

    fn index(&mut self, id: u64, mut parts: Vec<IdedExpr>, depth: usize) -> Checked {
        let at = parts.pop().unwrap_or_default();
        let of = parts.pop().unwrap_or_default();
        let (of, kind) = self.part(of, depth + 1)?;
        let (at, at_kind) = self.value(at, depth + 1)?;
        let gives = match (&kind, &at_kind) {
            (Type::Dyn, _) => Type::Dyn,
            (Type::List(of), Type::Int | Type::Uint | Type::Dyn)
            | (Type::Map(of), Type::Text | Type::Dyn) => (**of).clone(),
            (Type::Headers, Type::Text | Type::Dyn) => Type::Text,
            (Type::Authenticators, _) => {
                return Err(Mistake::AuthIndex.into());
            }
            _ => return Err(wrong("[]", &[&kind, &at_kind])),
        };
        Ok((call(id, op::INDEX, vec![of, at]), gives))
    }

    fn within(&mut self, id: u64, mut parts: Vec<IdedExpr>, depth: usize) -> Checked {
        let holder = parts.pop().unwrap_or_default();
        let sought = parts.pop().unwrap_or_default();
        let (sought, kind) = self.value(sought, depth + 1)?;
        // A scope is held if a wildcard covers it.
        let scopes = match self.field(&holder)? {
            Some(FieldPath::Principal(who, PrincipalField::Scopes)) => Some(Slot::Scopes(
                FieldPath::Principal(who, PrincipalField::Scopes),
            )),
            _ => None,
        };
        let (holder, holds) = match scopes {
            Some(slot) => (self.variable(holder.id, slot), Type::list(Type::Text)),
            None => self.part(holder, depth + 1)?,
        };
        let fits = match &holds {
            Type::Dyn => true,
            Type::List(of) => of.comparable(&kind),
            Type::Map(_) | Type::Headers | Type::Authenticators => {
                matches!(kind, Type::Text | Type::Dyn)
            }
            _ => false,
        };
        if !fits {
            return Err(wrong("in", &[&kind, &holds]));
        }
        Ok((call(id, op::IN, vec![sought, holder]), Type::Bool))
    }
}

fn is_result(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::Ident(name) if name == RESULT)
}

/// The type of what a binary operator makes of two values, if it takes them.
fn result(name: &str, a: &Type, b: &Type) -> Option<Type> {
    match name {
        op::EQUALS | op::NOT_EQUALS => a.comparable(b).then_some(Type::Bool),
        op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS => {
            a.ordered(b).then_some(Type::Bool)
        }
        op::ADD => match (a, b) {
            (Type::Dyn, _) | (_, Type::Dyn) => Some(Type::Dyn),
            (Type::List(_), Type::List(_)) => Some(a.clone().or(b.clone())),
            (Type::Timestamp, Type::Duration) | (Type::Duration, Type::Timestamp) => {
                Some(Type::Timestamp)
            }
            (Type::Duration, Type::Duration) => Some(Type::Duration),
            _ => (a == b && (a.is_number() || *a == Type::Text)).then(|| a.clone()),
        },
        op::SUBSTRACT => match (a, b) {
            (Type::Dyn, _) | (_, Type::Dyn) => Some(Type::Dyn),
            (Type::Timestamp, Type::Timestamp) | (Type::Duration, Type::Duration) => {
                Some(Type::Duration)
            }
            (Type::Timestamp, Type::Duration) => Some(Type::Timestamp),
            _ => (a == b && a.is_number()).then(|| a.clone()),
        },
        op::MULTIPLY | op::DIVIDE | op::MODULO => match (a, b) {
            (Type::Dyn, _) | (_, Type::Dyn) => Some(Type::Dyn),
            (Type::Double, Type::Double) if name == op::MODULO => None,
            _ => (a == b && a.is_number()).then(|| a.clone()),
        },
        _ => None,
    }
}

/// How an operator is written.
fn sign(name: &str) -> &str {
    match name {
        op::CONDITIONAL => "?:",
        op::INDEX => "[]",
        op::IN => "in",
        name => name.trim_matches('_'),
    }
}

fn wrong(sign: &str, kinds: &[&Type]) -> BadExpression {
    let takes: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    let error = BadExpression::from(Mistake::Types {
        operator: sign.to_owned(),
        takes: takes.join(" and "),
    });
    let number = |kind: &&&Type| kind.is_number();
    let text = |kind: &&&Type| ***kind == Type::Text;
    let has_null = kinds.iter().any(|kind| **kind == Type::Null);
    if has_null {
        error.with_help("ask whether there is a value with has(…)")
    } else if kinds.iter().find(number).is_some() && kinds.iter().find(text).is_some() {
        error.with_help("write the number in quotes, or convert the text with int(…) or double(…)")
    } else if matches!(sign, "&&" | "||" | "!" | "?:") {
        error.with_help("compare it with something, as in `a == b`")
    } else {
        error
    }
}
