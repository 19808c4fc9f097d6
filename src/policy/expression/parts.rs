//! A condition taken apart where `&&` or `||` joins its parts, so that each can be told of. Only for
//! explaining: what decides is the whole.

use cel::parser::pratt_parser::{Lexer, TokenKind};

use super::{Condition, Outcome};
use crate::policy::field::Facts;

/// What stands between the parts of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// `&&`.
    And,
    /// `||`.
    Or,
}

/// One part of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// As it was written.
    pub written: String,
    /// How it ends on its own.
    pub outcome: Outcome,
}

impl Condition {
    /// How each part of the condition ends on its own; nothing where it is not joined of parts, or where a
    /// part can't stand alone. `parameters` are the names in the route's path.
    pub fn parts(&self, parameters: &[&str], facts: &Facts<'_>) -> Option<(Joined, Vec<Part>)> {
        let (joined, texts) = split(self.written())?;
        let parts = texts.into_iter().map(|text| {
            let condition = Self::parse(text, parameters).ok()?;
            Some(Part {
                written: text.to_owned(),
                outcome: condition.judge(facts),
            })
        });
        Some((joined, parts.collect::<Option<Vec<_>>>()?))
    }
}

/// The parts of a text at its loosest operator, if that is `||` or `&&`.
fn split(text: &str) -> Option<(Joined, Vec<&str>)> {
    let mut lexer = Lexer::new(text);
    let (mut ands, mut ors) = (Vec::new(), Vec::new());
    let mut open = 0usize;
    for _ in 0..=text.len() {
        let token = lexer.lex();
        match token.kind {
            TokenKind::TokEnd => break,
            TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => {
                open += 1;
            }
            TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                open = open.saturating_sub(1);
            }
            _ if open > 0 => {}
            // `a ? b : c` is looser than both.
            TokenKind::TokQuestion => return None,
            TokenKind::TokLogicalAnd => ands.push((token.start, token.end)),
            TokenKind::TokLogicalOr => ors.push((token.start, token.end)),
            _ => {}
        }
    }
    let (joined, at) = if ors.is_empty() {
        (Joined::And, ands)
    } else {
        (Joined::Or, ors)
    };
    if at.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    let mut from = 0;
    for (start, end) in at {
        parts.push(text.get(from..start)?.trim());
        from = end;
    }
    parts.push(text.get(from..)?.trim());
    Some((joined, parts))
}

#[cfg(test)]
mod tests {
    use super::{Joined, split};

    #[test]
    fn splits_at_the_loosest_operator_only() {
        let and = |parts: &[&'static str]| Some((Joined::And, parts.to_vec()));
        let or = |parts: &[&'static str]| Some((Joined::Or, parts.to_vec()));
        for (text, expected) in [
            ("a", None),
            ("a && b", and(&["a", "b"])),
            ("a&&b&&c", and(&["a", "b", "c"])),
            ("a || b && c", or(&["a", "b && c"])),
            ("(a || b) && c", and(&["(a || b)", "c"])),
            ("f(a && b)", None),
            ("x[\"a && b\"] == 'c || d'", None),
            ("a ? b && c : d", None),
            ("a && // and || or\n b", and(&["a", "// and || or\n b"])),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
