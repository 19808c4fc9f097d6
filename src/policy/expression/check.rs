//! What is checked of an expression at load, and what it is rewritten to.
//!
//! Fields become variables that are read when they are reached, so nothing is bound that is not used.
//! Whatever can grow is rewritten to a function that has a bound: `a + b` to `@add(a, b, @fuel)`, the
//! range of a macro to `@range(r, @fuel)`. No name in an expression can hold an `@`.

mod calls;
mod operators;

use cel::common::ast::operators as op;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr,
    SelectExpr,
};

use super::program::{Constant, FUEL, Program, Slot};
use super::syntax::Names;
use super::types::Type;
use super::{BadExpression, MAX_DEPTH, Mistake};
use crate::policy::field::{FieldPath, NoField, PeerField, PrincipalField, ROOTS, RequestField};

/// The variable in which macros gather.
const RESULT: &str = "@result";

/// Checks a tree.
///
/// # Errors
/// The first [`Mistake`] from the left.
pub(super) fn check(
    tree: IdedExpr,
    names: &Names<'_>,
    parameters: &[&str],
) -> Result<Program, BadExpression> {
    let mut checker = Checker {
        names,
        parameters,
        slots: Vec::new(),
        constants: Vec::new(),
        element: None,
        walked: false,
    };
    let (tree, gives) = checker.value(tree, 1)?;
    Ok(Program {
        tree,
        gives,
        slots: checker.slots,
        constants: checker.constants,
    })
}

type Checked = Result<(IdedExpr, Type), BadExpression>;

struct Checker<'a> {
    names: &'a Names<'a>,
    parameters: &'a [&'a str],
    slots: Vec<Slot>,
    constants: Vec<Constant>,
    /// The variable of the macro that is being checked, its type, and the type of what it gathers.
    element: Option<(String, Type, Type)>,
    /// Whether a macro was met.
    walked: bool,
}

impl Checker<'_> {
    /// A part that has a value of its own: not all headers at once.
    fn value(&mut self, part: IdedExpr, depth: usize) -> Checked {
        let (part, kind) = self.part(part, depth)?;
        match kind {
            Type::Headers => Err(Mistake::Whole("request.headers".to_owned()).into()),
            Type::Authenticators => Err(Mistake::Whole("auth".to_owned()).into()),
            kind => Ok((part, kind)),
        }
    }

    fn part(&mut self, part: IdedExpr, depth: usize) -> Checked {
        if depth > MAX_DEPTH {
            return Err(Mistake::TooDeep.into());
        }
        if let Some(field) = self.field(&part)? {
            let kind = type_of(&field);
            return Ok((self.variable(part.id, Slot::Field(field)), kind));
        }
        let id = part.id;
        match part.expr {
            Expr::Literal(literal) => {
                let kind = literal_type(&literal)?;
                Ok((node(id, Expr::Literal(literal)), kind))
            }
            Expr::Ident(name) => self.element_named(id, name),
            Expr::Select(select) => self.select(id, select, depth),
            Expr::Call(call) => self.call(id, call, depth),
            Expr::List(list) => self.list(id, list, depth),
            Expr::Map(map) => self.map(id, map, depth),
            Expr::Comprehension(comprehension) => self.comprehension(id, *comprehension, depth),
            Expr::Struct(_) => Err(Mistake::Unsupported("messages").into()),
            Expr::Unspecified => Err(Mistake::Syntax("a part is missing".to_owned()).into()),
        }
    }

    fn list(&mut self, id: u64, mut list: ListExpr, depth: usize) -> Checked {
        let mut of: Option<Type> = None;
        for element in &mut list.elements {
            let (checked, kind) = self.value(std::mem::take(element), depth + 1)?;
            *element = checked;
            of = Some(of.map_or(kind.clone(), |known| known.or(kind)));
        }
        let kind = Type::list(of.unwrap_or(Type::Dyn));
        Ok((node(id, Expr::List(list)), kind))
    }

    fn map(&mut self, id: u64, mut map: MapExpr, depth: usize) -> Checked {
        let mut of: Option<Type> = None;
        for entry in &mut map.entries {
            let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                return Err(Mistake::Unsupported("messages").into());
            };
            let (key, kind) = self.value(std::mem::take(&mut entry.key), depth + 1)?;
            if !matches!(kind, Type::Text | Type::Dyn) {
                return Err(Mistake::Key(kind.to_string()).into());
            }
            entry.key = key;
            let (value, kind) = self.value(std::mem::take(&mut entry.value), depth + 1)?;
            entry.value = value;
            of = Some(of.map_or(kind.clone(), |known| known.or(kind)));
        }
        let kind = Type::map(of.unwrap_or(Type::Dyn));
        Ok((node(id, Expr::Map(map)), kind))
    }

    /// The field that a part names, if it is one and nothing else.
    fn field(&self, part: &IdedExpr) -> Result<Option<FieldPath>, BadExpression> {
        let Some((root, names)) = path(part) else {
            return Ok(None);
        };
        let bound = |(name, ..): &(String, Type, Type)| name == root;
        if root.starts_with('@') || self.element.as_ref().is_some_and(bound) {
            return Ok(None);
        }
        match FieldPath::find(root, &names, self.parameters) {
            Ok((field, taken)) => Ok((taken == names.len()).then_some(field)),
            Err(why) => {
                let name = match &why {
                    NoField::Field { name, .. } => name,
                    _ => root,
                };
                let help = why.help();
                let position = self.names.position(name);
                let error = BadExpression::from(Mistake::Field(why)).with_help(help);
                Err(match position {
                    Some(position) => error.at(position),
                    None => error,
                })
            }
        }
    }

    /// The variable that stands for a field.
    fn variable(&mut self, id: u64, slot: Slot) -> IdedExpr {
        let index = self.slots.iter().position(|known| *known == slot);
        let index = index.unwrap_or_else(|| {
            self.slots.push(slot);
            self.slots.len() - 1
        });
        node(id, Expr::Ident(Slot::variable(index)))
    }

    fn constant(&mut self, id: u64, constant: Constant) -> IdedExpr {
        self.constants.push(constant);
        let name = Constant::variable(self.constants.len() - 1);
        node(id, Expr::Ident(name))
    }

    fn element_named(&self, id: u64, name: String) -> Checked {
        match &self.element {
            Some((element, kind, _)) if *element == name => {
                Ok((node(id, Expr::Ident(name)), kind.clone()))
            }
            Some((_, _, gathered)) if name == RESULT => {
                Ok((node(id, Expr::Ident(name)), gathered.clone()))
            }
            // Every other name was looked up as a field.
            _ => Err(Mistake::Unsupported("names that start with a dot").into()),
        }
    }

    fn select(&mut self, id: u64, select: SelectExpr, depth: usize) -> Checked {
        let SelectExpr {
            operand,
            field,
            test,
        } = select;
        if test {
            let asked = node(
                id,
                Expr::Select(SelectExpr {
                    operand: operand.clone(),
                    field: field.clone(),
                    test: false,
                }),
            );
            if let Some(field) = self.field(&asked)? {
                return Ok((self.variable(id, Slot::Presence(field)), Type::Bool));
            }
        }
        let (operand, kind) = self.part(*operand, depth + 1)?;
        let of = match kind {
            Type::Dyn => Type::Dyn,
            Type::Map(of) => *of,
            Type::Headers => Type::Text,
            kind => return Err(Mistake::NoFields(kind.to_string(), field).into()),
        };
        let select = SelectExpr {
            operand: Box::new(operand),
            field,
            test,
        };
        let of = if test { Type::Bool } else { of };
        Ok((node(id, Expr::Select(select)), of))
    }

    fn at(&self, name: &str, mistake: Mistake) -> BadExpression {
        let error = BadExpression::from(mistake);
        match self.names.position(name) {
            Some(position) => error.at(position),
            None => error,
        }
    }

    /// A macro's expansion. What it walks is bounded, and it stands alone.
    fn comprehension(
        &mut self,
        id: u64,
        comprehension: ComprehensionExpr,
        depth: usize,
    ) -> Checked {
        if self.walked {
            return Err(Mistake::SecondMacro.into());
        }
        let name = comprehension.iter_var;
        if ROOTS.contains(&name.as_str()) || name.starts_with('.') {
            return Err(self.at(&name, Mistake::Shadows(name.clone())));
        }
        let (range, kind) = self.part(comprehension.iter_range, depth + 1)?;
        if self.walked {
            return Err(Mistake::SecondMacro.into());
        }
        self.walked = true;
        let element = match kind {
            Type::List(of) => *of,
            Type::Map(_) | Type::Headers => Type::Text,
            Type::Dyn => Type::Dyn,
            kind => return Err(Mistake::NotWalked(kind.to_string()).into()),
        };
        let (accu_init, gathered) = self.value(comprehension.accu_init, depth + 1)?;
        self.element = Some((name.clone(), element, gathered));
        let (loop_cond, _) = self.value(comprehension.loop_cond, depth + 1)?;
        let (loop_step, gathered) = self.value(comprehension.loop_step, depth + 1)?;
        if let Some((.., known)) = &mut self.element {
            *known = gathered;
        }
        let (result, gives) = self.value(comprehension.result, depth + 1)?;
        self.element = None;
        let range = call(id, "@range", vec![range, fuel(id)]);
        let comprehension = ComprehensionExpr {
            iter_range: range,
            iter_var: name,
            iter_var2: None,
            accu_var: comprehension.accu_var,
            accu_init,
            loop_cond,
            loop_step,
            result,
        };
        Ok((
            node(id, Expr::Comprehension(Box::new(comprehension))),
            gives,
        ))
    }
}

/// The root and the names of `a.b["c"]`.
fn path(part: &IdedExpr) -> Option<(&str, Vec<&str>)> {
    let mut names = Vec::new();
    let mut at = part;
    loop {
        match &at.expr {
            Expr::Ident(root) => {
                names.reverse();
                return Some((root, names));
            }
            Expr::Select(select) if !select.test => {
                names.push(select.field.as_str());
                at = &select.operand;
            }
            Expr::Call(call) if call.target.is_none() && call.func_name == op::INDEX => {
                let [of, index] = call.args.as_slice() else {
                    return None;
                };
                names.push(text_literal(index)?);
                at = of;
            }
            _ => return None,
        }
    }
}

fn text_literal(part: &IdedExpr) -> Option<&str> {
    match &part.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn literal_type(literal: &LiteralValue) -> Result<Type, BadExpression> {
    Ok(match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => return Err(Mistake::Unsupported("bytes").into()),
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::UInt(_) => Type::Uint,
    })
}

fn type_of(field: &FieldPath) -> Type {
    match field {
        FieldPath::Principal(_, PrincipalField::Scopes | PrincipalField::Roles)
        | FieldPath::HeaderValues(_)
        | FieldPath::Peer(PeerField::DnsNames) => Type::list(Type::Text),
        FieldPath::Principal(_, PrincipalField::ExpiresAt)
        | FieldPath::Request(RequestField::Time) => Type::Timestamp,
        FieldPath::Request(RequestField::Size) => Type::Int,
        FieldPath::Claim(_, names) | FieldPath::Metadata(names) if names.is_empty() => {
            Type::map(Type::Dyn)
        }
        FieldPath::Claim(..) | FieldPath::Metadata(_) => Type::Dyn,
        FieldPath::Authenticators => Type::Authenticators,
        FieldPath::AllHeaders => Type::Headers,
        FieldPath::AllHeaderValues => Type::map(Type::list(Type::Text)),
        FieldPath::AllExtensions => Type::map(Type::Text),
        FieldPath::Principal(..)
        | FieldPath::Consumer(_)
        | FieldPath::Request(_)
        | FieldPath::Header(_)
        | FieldPath::PathParameter(_)
        | FieldPath::Extension(_)
        | FieldPath::Peer(_)
        | FieldPath::Route(_) => Type::Text,
    }
}

const fn node(id: u64, expr: Expr) -> IdedExpr {
    IdedExpr { id, expr }
}

fn call(id: u64, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    node(
        id,
        Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target: None,
            args,
        }),
    )
}

fn fuel(id: u64) -> IdedExpr {
    node(id, Expr::Ident(FUEL.to_owned()))
}
