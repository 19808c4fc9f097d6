//! A checked expression, ready to run.

use std::net::IpAddr;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};

use super::types::Type;
use super::{MAX_PATTERN_BYTES, Mistake};
use crate::policy::field::FieldPath;

/// A tree whose fields and constants are variables with an `@`.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) tree: IdedExpr,
    /// What it gives, as far as is known.
    pub(super) gives: Type,
    pub(super) slots: Vec<Slot>,
    pub(super) constants: Vec<Constant>,
}

/// The variable that functions with a bound take from.
pub(super) const FUEL: &str = "@fuel";

/// What is read when a variable is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The value of a field.
    Field(FieldPath),
    /// Whether there is one.
    Presence(FieldPath),
    /// Scopes, to be asked whether they cover one.
    Scopes(FieldPath),
}

impl Slot {
    /// The variable of the slot at `index`.
    pub(super) fn variable(index: usize) -> String {
        format!("@f{index}")
    }

    /// The index of a slot's variable.
    pub(super) fn index(variable: &str) -> Option<usize> {
        variable.strip_prefix("@f")?.parse().ok()
    }

    /// The field that is read.
    pub(super) const fn field(&self) -> &FieldPath {
        match self {
            Self::Field(field) | Self::Presence(field) | Self::Scopes(field) => field,
        }
    }
}

/// What a function's literal argument was made into at load.
#[derive(Clone, Debug)]
pub(super) enum Constant {
    /// A regular expression.
    Pattern(Regex),
    /// A range of addresses.
    Network(IpNet),
}

impl Constant {
    /// The variable of the constant at `index`.
    pub(super) fn variable(index: usize) -> String {
        format!("@c{index}")
    }

    /// The index of a constant's variable.
    pub(super) fn index(variable: &str) -> Option<usize> {
        variable.strip_prefix("@c")?.parse().ok()
    }

    /// The pattern of `matches`: RE2's syntax, compiled to at most [`MAX_PATTERN_BYTES`].
    pub(super) fn pattern(literal: Option<&str>) -> Result<Self, Mistake> {
        let literal = literal.ok_or(Mistake::NotLiteral("matches"))?;
        RegexBuilder::new(literal)
            .size_limit(MAX_PATTERN_BYTES)
            .dfa_size_limit(MAX_PATTERN_BYTES)
            .nest_limit(50)
            .build()
            .map(Self::Pattern)
            .map_err(|why| match why {
                regex::Error::CompiledTooBig(_) => Mistake::PatternTooLarge,
                why => {
                    let why = why.to_string();
                    let last = why.lines().last().unwrap_or_default();
                    Mistake::Pattern(last.trim_start_matches("error: ").to_owned())
                }
            })
    }

    /// The range of `in_cidr`; an address alone is the range that holds nothing else.
    pub(super) fn network(literal: Option<&str>) -> Result<Self, Mistake> {
        let literal = literal.ok_or(Mistake::NotLiteral("in_cidr"))?;
        let network = literal.parse::<IpNet>().ok();
        let address = || literal.parse::<IpAddr>().ok().map(IpNet::from);
        let network = network
            .or_else(address)
            .ok_or_else(|| Mistake::Network(literal.to_owned()))?;
        if network.trunc() != network {
            return Err(Mistake::HostBits(
                literal.to_owned(),
                network.trunc().to_string(),
            ));
        }
        Ok(Self::Network(network))
    }
}

impl Program {
    /// The fields that it may read.
    pub(super) fn fields(&self) -> impl Iterator<Item = &FieldPath> {
        self.slots.iter().map(Slot::field)
    }

    /// The field that it reads and gives as it is.
    pub(super) fn is_field(&self) -> Option<&FieldPath> {
        match (&self.tree.expr, self.slots.as_slice()) {
            (Expr::Ident(_), [Slot::Field(field)]) => Some(field),
            _ => None,
        }
    }

    /// What it gives whatever it reads: by itself, or by a side of `&&` and `||` that decides alone.
    pub(super) fn constant(&self) -> Option<bool> {
        self.decided(&self.tree)
    }

    fn decided(&self, part: &IdedExpr) -> Option<bool> {
        use cel::common::ast::LiteralValue;
        use cel::common::ast::operators as op;
        if let Expr::Literal(LiteralValue::Boolean(value)) = &part.expr {
            return Some(*value.inner());
        }
        if !reads(part) {
            let alone = Self {
                tree: part.clone(),
                ..self.clone()
            };
            return super::run::boolean(&alone, None).ok();
        }
        let Expr::Call(call) = &part.expr else {
            return None;
        };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (op::LOGICAL_AND, [a, b]) => match (self.decided(a), self.decided(b)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            (op::LOGICAL_OR, [a, b]) => match (self.decided(a), self.decided(b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            (op::LOGICAL_NOT, [of]) => self.decided(of).map(|value| !value),
            (op::CONDITIONAL, [condition, a, b]) => match self.decided(condition)? {
                true => self.decided(a),
                false => self.decided(b),
            },
            _ => None,
        }
    }

    /// Whether the whole reads nothing, so that its value is known at load.
    pub(super) fn reads_nothing(&self) -> bool {
        !reads(&self.tree)
    }
}

/// Whether a part reads a field or the variable of a macro.
fn reads(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Unspecified | Expr::Literal(_) => false,
        Expr::Ident(name) => name != FUEL && Constant::index(name).is_none(),
        Expr::Select(select) => reads(&select.operand),
        Expr::Call(call) => {
            call.target.as_deref().is_some_and(reads) || call.args.iter().any(reads)
        }
        Expr::List(list) => list.elements.iter().any(reads),
        Expr::Map(map) => map.entries.iter().any(|entry| match &entry.expr {
            EntryExpr::StructField(field) => reads(&field.value),
            EntryExpr::MapEntry(entry) => reads(&entry.key) || reads(&entry.value),
        }),
        Expr::Struct(_) => true,
        // A macro over literals alone is not worth the care that its variable would need.
        Expr::Comprehension(_) => true,
    }
}
