//! From text to a tree of bounded size.
//!
//! The parser, and everything that walks its tree, recurses. So the parser's own tokens are counted
//! before it runs: what passes here is at most [`MAX_NODES`] deep, however it is written.

use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;
use cel::parser::pratt_parser::{Lexer, TokenKind};

use super::{BadExpression, MAX_BRACKETS, MAX_BYTES, MAX_NODES, Mistake, Position};

/// Where the names of an expression stand in it.
pub(super) struct Names<'a>(Vec<(&'a str, Position)>);

impl Names<'_> {
    /// Where `name` stands first.
    pub(super) fn position(&self, name: &str) -> Option<Position> {
        let found = self.0.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }
}

/// Reads an expression.
///
/// # Errors
/// [`Mistake::TooLong`], [`Mistake::TooManyNodes`], [`Mistake::TooDeep`], [`Mistake::Syntax`].
pub(super) fn parse(text: &str) -> Result<(IdedExpr, Names<'_>), BadExpression> {
    if text.len() > MAX_BYTES {
        return Err(Mistake::TooLong.into());
    }
    let names = count(text)?;
    let parser = PrattParser::new().max_recursion_depth(MAX_BRACKETS + 2);
    match parser.parse(text) {
        Ok(tree) => Ok((tree, names)),
        Err(errors) => {
            let first = errors.errors.into_iter().next();
            let (why, place) = first.map_or_else(
                || ("it can't be read".to_owned(), (0, 0)),
                |error| (error.msg, error.pos),
            );
            let error = BadExpression::from(Mistake::Syntax(plain(&why)));
            Err(match in_characters(text, place) {
                Some(position) => error.at(position),
                None => error,
            })
        }
    }
}

/// Counts what makes the tree grow: names, literals, operators and brackets.
fn count(text: &str) -> Result<Names<'_>, BadExpression> {
    let mut lexer = Lexer::new(text);
    let mut names = Vec::new();
    let (mut nodes, mut open) = (0usize, 0u16);
    // A lexer that stands still would hold up the load; each token takes a byte at least.
    for _ in 0..=text.len() {
        let token = lexer.lex();
        let at = || position(text, token.start);
        match token.kind {
            TokenKind::TokEnd => return Ok(Names(names)),
            TokenKind::TokWhitespace
            | TokenKind::TokComment
            | TokenKind::TokDot
            | TokenKind::TokComma
            | TokenKind::TokColon => continue,
            TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                open = open.saturating_sub(1);
                continue;
            }
            TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => {
                open += 1;
                if open > MAX_BRACKETS {
                    return Err(BadExpression::from(Mistake::TooDeep).at(at()));
                }
                if token.kind == TokenKind::TokLeftParen {
                    continue;
                }
            }
            TokenKind::TokIdent | TokenKind::TokReservedWord => {
                let name = text.get(token.start..token.end).unwrap_or_default();
                names.push((name, at()));
            }
            _ => {}
        }
        nodes += 1;
        if nodes > MAX_NODES {
            return Err(BadExpression::from(Mistake::TooManyNodes).at(at()));
        }
    }
    Err(Mistake::Syntax("it does not end".to_owned()).into())
}

/// Line and column of a byte in `text`, counted from 1, columns in characters.
fn position(text: &str, byte: usize) -> Position {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position {
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
    }
}

/// The parser counts columns in bytes.
fn in_characters(text: &str, (line, column): (isize, isize)) -> Option<Position> {
    let line = usize::try_from(line).ok().filter(|line| *line > 0)?;
    let bytes = usize::try_from(column).ok()?.saturating_sub(1);
    let written = text.split('\n').nth(line - 1).unwrap_or_default();
    let before = written.get(..bytes).unwrap_or(written);
    Some(Position {
        line,
        column: before.chars().count() + 1,
    })
}

/// A message of the parser in our own tone: without its heading, and with what is meant by `<EOF>`.
fn plain(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    message
        .replace("'<EOF>'", "the end")
        .replace("<EOF>", "the end")
        .replace(
            "mismatched input the end expecting",
            "it ends where there should be an",
        )
        .replace("mismatched input", "unexpected")
        .trim()
        .to_owned()
}
