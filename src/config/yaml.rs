//! YAML as Portcullis reads it: text to a tree of nodes that know their place, and readers for what stands in them.
//!
//! [`parse`] turns one file into a [`Node`] and refuses what makes a policy file mean something else than it seems to:
//! a key written twice, merge keys, foreign tags, a second document, invisible characters. The readers ([`text()`],
//! [`integer`], [`Fields`], …) take one node each, report a mismatch and return `None`, so that a decoder written with
//! them finds every mistake in one run. A number or boolean where text is expected is never guessed at: YAML readers
//! disagree about `no`, `007` and `1e3`.

mod decode;
mod encoding;
mod fields;
mod parse;
mod raw;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
mod time;
mod tree;

pub use self::decode::{
    EmptyList, boolean, integer, mapping, one_or_many, secret_text, sequence, text,
};
pub use self::encoding::decode_utf8;
pub use self::fields::{Fields, external_tag};
pub use self::parse::parse;
pub use self::scalar::to_json;
pub use self::time::{duration, instant, instant_of};
pub use self::tree::{Entry, Limits, Node, Scalar, ScalarKind, Value};

/// The key whose value is a secret written in the open. What stands under it, or under a misspelling of it, is
/// concealed in its file as soon as it is read.
pub const LITERAL_SECRET_KEY: &str = "insecure_literal";
