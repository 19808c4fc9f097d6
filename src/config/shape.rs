//! What a mapping may hold, said once: [`crate::config::yaml::Fields`] refuses what is not said here,
//! and the JSON Schema that editors read is made of the same tables.

/// A mapping with fixed keys.
#[derive(Debug)]
pub struct Shape {
    /// What it is called in the schema, one word.
    pub name: &'static str,
    /// What messages call it, a noun phrase such as "a route".
    pub what: &'static str,
    /// Its own keys.
    pub keys: &'static [Key],
    /// Keys that it shares with others.
    pub shared: &'static [Key],
    /// The ways to fill it, where its keys do not all go together; one of them has to fit.
    pub forms: &'static [Form],
}

/// One key of a mapping.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it takes; `None`: the language has the key, and this version does not honour it.
    pub value: Option<&'static Type>,
    /// Whether it has to be there.
    pub required: bool,
    /// What it means, for whoever meets it in an editor.
    pub doc: &'static str,
}

/// One way to fill a mapping.
#[derive(Debug)]
pub struct Form {
    /// The keys that are there.
    pub with: &'static [&'static str],
    /// The keys that are not.
    pub without: Without,
}

/// What a way to fill a mapping leaves out.
#[derive(Debug)]
pub enum Without {
    /// These keys.
    These(&'static [&'static str]),
    /// Every other key of the mapping but these, which may be there.
    AllBut(&'static [&'static str]),
}

/// What stands behind a key.
#[derive(Debug)]
pub enum Type {
    /// Text. What a text means is judged when it is compiled, not here.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number, both bounds included.
    Integer(i64, i64),
    /// `30s`.
    Duration,
    /// A date, or a time with its offset.
    Instant,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list that is not empty.
    List(&'static Type),
    /// A list that may be empty.
    ListOrEmpty(&'static Type),
    /// A list that is not empty, or one item without brackets.
    Many(&'static Type),
    /// A list that may be empty, or one item without brackets.
    ManyOrEmpty(&'static Type),
    /// A mapping with fixed keys.
    Fields(&'static Shape),
    /// A mapping with exactly one key, which names the kind.
    Kind(&'static Shape),
    /// A mapping with names of the user's choice.
    Named(&'static Type),
    /// The same, with one entry at least.
    NamedSome(&'static Type),
    /// Nothing behind the key, or this.
    OrNothing(&'static Type),
    /// Any of these.
    Either(&'static [Type]),
    /// A mapping of anything.
    AnyMapping,
}

impl Shape {
    /// A mapping whose keys all go together.
    pub const fn new(name: &'static str, what: &'static str, keys: &'static [Key]) -> Self {
        Self {
            name,
            what,
            keys,
            shared: &[],
            forms: &[],
        }
    }

    /// With the keys of another table.
    #[must_use]
    pub const fn sharing(mut self, shared: &'static [Key]) -> Self {
        self.shared = shared;
        self
    }

    /// Filled in one of these ways.
    #[must_use]
    pub const fn formed(mut self, forms: &'static [Form]) -> Self {
        self.forms = forms;
        self
    }

    /// All its keys, the shared ones first.
    pub fn all(&self) -> impl Iterator<Item = &'static Key> + Clone {
        self.shared.iter().chain(self.keys)
    }

    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.all().find(|key| key.name == name)
    }
}

/// A key that may be left out.
pub const fn key(name: &'static str, value: &'static Type, doc: &'static str) -> Key {
    Key {
        name,
        value: Some(value),
        required: false,
        doc,
    }
}

/// A key that must be there.
pub const fn required(name: &'static str, value: &'static Type, doc: &'static str) -> Key {
    Key {
        name,
        value: Some(value),
        required: true,
        doc,
    }
}

/// A key that the language has and this version does not honour. Passing over one silently could open
/// what it was meant to close.
pub const fn later(name: &'static str) -> Key {
    Key {
        name,
        value: None,
        required: false,
        doc: "",
    }
}

/// A way to fill a mapping.
pub const fn form(with: &'static [&'static str], without: &'static [&'static str]) -> Form {
    let without = Without::These(without);
    Form { with, without }
}

/// A way to fill a mapping with these keys, and at most `also` these.
pub const fn form_of(with: &'static [&'static str], also: &'static [&'static str]) -> Form {
    let without = Without::AllBut(also);
    Form { with, without }
}
