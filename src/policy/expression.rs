//! Expressions: CEL, checked at load.
//!
//! What is a field path or a literal is evaluated without an interpreter. All else becomes a program
//! whose size is bounded at load and whose cost is bounded when it runs; how it ends is one of three
//! things, and the third one denies.

mod bind;
mod check;
mod parts;
mod program;
mod run;
mod syntax;
mod types;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use cel::common::ast::{Expr, LiteralValue};

pub use self::parts::{Joined, Part};
use self::program::Program;
use self::types::Type;
use crate::policy::field::{Facts, FieldPath, NoField, Text};

/// The longest expression, in bytes.
pub const MAX_BYTES: usize = 4096;

/// The most names, literals and operators in one expression.
pub const MAX_NODES: usize = 256;

/// The deepest that parts may stand within parts.
pub const MAX_DEPTH: usize = 32;

/// The deepest that brackets may stand within brackets.
const MAX_BRACKETS: u16 = 32;

/// The most elements of a list or map that a macro walks, or of a list that `+` makes.
pub const MAX_ELEMENTS: usize = 1_000;

/// The longest text that `+` makes and the longest list that is injected, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The most that a compiled pattern takes, in bytes.
const MAX_PATTERN_BYTES: usize = 64 * 1024;

/// How many elements, or 16 bytes of text, one run may look at or make.
const MAX_FUEL: usize = 64 * 1024;

/// The largest number with a fraction that is compared: beyond it whole numbers have neighbours that
/// a double can't tell apart, and the interpreter compares by doubles.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A checked expression for a value.
#[derive(Clone, Debug)]
pub struct Expression {
    form: Form,
    written: Arc<str>,
}

#[derive(Clone, Debug)]
enum Form {
    Literal(Box<str>),
    Field(FieldPath),
    Program(Box<Program>),
}

impl Form {
    fn of(program: Program) -> Result<Self, BadExpression> {
        if let Some(field) = program.is_field() {
            return match program.gives {
                Type::Map(_) => Err(Mistake::Whole(field.to_string()).into()),
                _ => Ok(Self::Field(field.clone())),
            };
        }
        if let Expr::Literal(LiteralValue::String(text)) = &program.tree.expr {
            return Ok(Self::Literal(text.inner().into()));
        }
        if let Type::Map(_) | Type::Null | Type::Duration = program.gives {
            return Err(Mistake::NoText(program.gives.to_string()).into());
        }
        Ok(Self::Program(Box::new(program)))
    }
}

impl Expression {
    /// Reads and checks an expression. `parameters` are the names in the route's path.
    ///
    /// # Errors
    /// [`BadExpression`].
    pub fn parse(text: &str, parameters: &[&str]) -> Result<Self, BadExpression> {
        Ok(Self {
            form: Form::of(compile(text, parameters)?)?,
            written: text.into(),
        })
    }

    /// The expression as it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The value under these facts, as text.
    pub fn text<'a>(&'a self, facts: &Facts<'a>) -> Text<'a> {
        match &self.form {
            Form::Literal(text) => Text::One(Cow::Borrowed(text)),
            Form::Field(field) => field.text(facts),
            Form::Program(program) => run::text(program, facts),
        }
    }

    /// Whether the expression reads something that only a proven caller has.
    pub fn needs_principal(&self) -> bool {
        self.fields().any(FieldPath::needs_principal)
    }

    /// Whether the expression reads a parameter of the route's path.
    pub fn reads_path_parameters(&self) -> bool {
        self.fields()
            .any(|field| matches!(field, FieldPath::PathParameter(_)))
    }

    /// Whether more than one field or literal is read, so that there may be no value because of an error.
    pub const fn is_program(&self) -> bool {
        matches!(self.form, Form::Program(_))
    }

    /// The fields that it reads, one that is read twice named twice.
    pub fn fields(&self) -> impl Iterator<Item = &FieldPath> {
        let (field, program) = match &self.form {
            Form::Literal(_) => (None, None),
            Form::Field(field) => (Some(field), None),
            Form::Program(program) => (None, Some(program)),
        };
        let fields = program.into_iter().flat_map(|program| program.fields());
        field.into_iter().chain(fields)
    }
}

/// A checked expression that is to hold.
#[derive(Clone, Debug)]
pub struct Condition {
    program: Program,
    written: Box<str>,
    constant: Option<bool>,
}

/// How a condition ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    True,
    /// It does not.
    False,
    /// There is no telling: why, for the operator, without values of the request. It does not hold.
    Undecided(String),
}

impl Condition {
    /// Reads and checks a condition. `parameters` are the names in the route's path.
    ///
    /// # Errors
    /// [`BadExpression`]; also where it can't give a bool, or ends in an error whatever the request.
    pub fn parse(text: &str, parameters: &[&str]) -> Result<Self, BadExpression> {
        let program = compile(text, parameters)?;
        if !matches!(program.gives, Type::Bool | Type::Dyn) {
            return Err(Mistake::NotBool(program.gives.to_string()).into());
        }
        if program.reads_nothing()
            && let Err(why) = run::boolean(&program, None)
        {
            return Err(Mistake::NeverDecided(why).into());
        }
        Ok(Self {
            constant: program.constant(),
            program,
            written: text.into(),
        })
    }

    /// The condition as it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// How it ends under these facts.
    pub fn judge(&self, facts: &Facts<'_>) -> Outcome {
        match run::boolean(&self.program, Some(facts)) {
            Ok(true) => Outcome::True,
            Ok(false) => Outcome::False,
            Err(why) => Outcome::Undecided(why),
        }
    }

    /// What it ends in whatever the request, if that is known: most likely a mistake.
    pub const fn constant(&self) -> Option<bool> {
        self.constant
    }

    /// The fields that it reads, one that is read twice named twice.
    pub fn fields(&self) -> impl Iterator<Item = &FieldPath> {
        self.program.fields()
    }

    /// Whether it reads something that only a proven caller has.
    pub fn needs_principal(&self) -> bool {
        self.program.fields().any(FieldPath::needs_principal)
    }

    /// Whether it reads a parameter of the route's path.
    pub fn reads_path_parameters(&self) -> bool {
        let mut fields = self.program.fields();
        fields.any(|field| matches!(field, FieldPath::PathParameter(_)))
    }
}

fn compile(text: &str, parameters: &[&str]) -> Result<Program, BadExpression> {
    let (tree, names) = syntax::parse(text)?;
    check::check(tree, &names, parameters)
}

/// A place in an expression, counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Why an expression was refused at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadExpression {
    mistake: Mistake,
    position: Option<Position>,
    help: Option<String>,
}

impl BadExpression {
    /// What is wrong.
    pub const fn mistake(&self) -> &Mistake {
        &self.mistake
    }

    /// Where, as far as is known.
    pub const fn position(&self) -> Option<Position> {
        self.position
    }

    /// The way out.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<Mistake> for BadExpression {
    fn from(mistake: Mistake) -> Self {
        Self {
            help: mistake.help().map(str::to_owned),
            mistake,
            position: None,
        }
    }
}

impl fmt::Display for BadExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mistake)?;
        match self.position {
            Some(Position { line: 1, column }) => write!(f, " (at column {column})"),
            Some(Position { line, column }) => write!(f, " (at line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BadExpression {}

/// What can be wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Over [`MAX_BYTES`].
    #[error("the expression is longer than 4 KiB")]
    TooLong,
    /// Over [`MAX_NODES`].
    #[error("the expression has more than 256 names, literals and operators")]
    TooManyNodes,
    /// Over [`MAX_DEPTH`].
    #[error("the expression is nested more than 32 deep")]
    TooDeep,
    /// Not CEL.
    #[error("the expression can't be read: {0}")]
    Syntax(String),
    /// No such field.
    #[error("{0}")]
    Field(NoField),
    /// A map where one value is needed.
    #[error("`{0}` is not a single value")]
    Whole(String),
    /// No such function.
    #[error("there is no function `{0}`")]
    Function(String),
    /// A function called with a dot that wants none, or the other way round.
    #[error("`{name}` is written {}", if *on_value { "behind a value and a dot" } else { "without a value and a dot" })]
    CallStyle {
        /// The function.
        name: String,
        /// Whether a value and a dot belong before it.
        on_value: bool,
    },
    /// Too many or too few arguments.
    #[error("`{name}` takes {} arguments, not {given}", counts(takes))]
    ArgumentCount {
        /// The function.
        name: String,
        /// How many it takes.
        takes: Vec<usize>,
        /// How many there are.
        given: usize,
    },
    /// Arguments of the wrong types.
    #[error("`{name}` can't be applied to {given}")]
    Arguments {
        /// The function.
        name: String,
        /// The types, from left to right.
        given: String,
    },
    /// Operands of the wrong types.
    #[error("`{operator}` can't be applied to {takes}")]
    Types {
        /// The operator.
        operator: String,
        /// The types, from left to right.
        takes: String,
    },
    /// A key of a map that is no text.
    #[error("keys of maps are strings here, not {0}")]
    Key(String),
    /// A field of something that has none.
    #[error("a {0} has no field `{1}`")]
    NoFields(String, String),
    /// Part of CEL, and left out.
    #[error("{0} can't be used here")]
    Unsupported(&'static str),
    /// More than one macro.
    #[error(
        "one `all`, `exists`, `exists_one`, `map` or `filter` is all that an expression may have"
    )]
    SecondMacro,
    /// A macro's variable with the name of a root.
    #[error("`{0}` is taken: call the variable something else")]
    Shadows(String),
    /// A macro over something that has no elements.
    #[error("a {0} has no elements")]
    NotWalked(String),
    /// `auth` with a name that is not written out.
    #[error("`auth` takes a name that is written out, as in auth[\"mesh\"].subject")]
    AuthIndex,
    /// An argument that is not written out.
    #[error("the last argument of `{0}` is to be a literal")]
    NotLiteral(&'static str),
    /// A bad pattern.
    #[error("the pattern of `matches` is no regular expression: {0}")]
    Pattern(String),
    /// A pattern that takes more than 64 KiB.
    #[error("the pattern of `matches` is too large when compiled")]
    PatternTooLarge,
    /// A bad range of addresses.
    #[error("`{0}` is no range of addresses")]
    Network(String),
    /// A range of addresses with an address in it.
    #[error("`{0}` has bits set beyond its prefix")]
    HostBits(String, String),
    /// A literal that a conversion can't read.
    #[error("`{0}` can't read this literal")]
    Unconvertible(&'static str),
    /// No bool.
    #[error("a condition is true or false, and this gives {0}")]
    NotBool(String),
    /// Nothing that a header can carry.
    #[error("this gives {0}, which a header can't carry")]
    NoText(String),
    /// An error whatever the request.
    #[error("this can never be decided: {0}")]
    NeverDecided(String),
}

impl Mistake {
    const fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooLong | Self::TooManyNodes | Self::TooDeep => {
                "split it: conditions at the levels of a policy must all hold"
            }
            Self::Whole(_) => "name one of its fields",
            Self::SecondMacro => {
                "conditions at the levels of a policy must all hold: move one there"
            }
            Self::Network(_) => "write it as \"203.0.113.0/24\" or \"2001:db8::/32\"",
            Self::HostBits(..) => "clear them, or write the address alone",
            Self::PatternTooLarge => "use a smaller bound in {…}, or ASCII classes",
            Self::Unconvertible(_) => {
                "write times as \"2026-12-01T12:00:00Z\" and durations as \"90m\", in h, m and s"
            }
            Self::NotBool(_) => "compare it with something, as in `a == b`",
            Self::NoText(_) => "choose one of its values, or convert it with string(…)",
            _ => return None,
        })
    }
}

fn counts(takes: &[usize]) -> String {
    let texts: Vec<String> = takes.iter().map(ToString::to_string).collect();
    texts.join(" or ")
}

#[cfg(test)]
pub(crate) mod tests;
