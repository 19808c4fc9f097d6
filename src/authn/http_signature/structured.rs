//! Structured fields (RFC 9651), read more strictly than their standard asks.
//!
//! The standard lets the last one of two equal keys win. Readers that take the first one exist, so a field
//! with two equal keys says two things: it is refused.

use std::convert::Infallible;

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor, ListVisitor, ParameterVisitor,
};
use sfv::{
    BareItemFromInput, Dictionary, FieldType as _, InnerList, Item, KeyRef, List, ListEntry,
    Parameters, Parser,
};

/// Reads a dictionary (RFC 9651 section 3.2) in which no key and no parameter is repeated.
///
/// # Errors
/// What is wrong and at which byte; never what was sent.
pub(super) fn dictionary(text: &[u8]) -> Result<Dictionary, sfv::Error> {
    Parser::new(text).parse_dictionary_with_visitor(Strict(Dictionary::new()))
}

/// Reads an item (RFC 9651 section 3.3) in which no parameter is repeated.
pub(super) fn item(text: &[u8]) -> Option<Item> {
    let mut read = Vec::new();
    let parsed = Parser::new(text).parse_item_with_visitor(ItemInto(&mut read));
    parsed.ok().and_then(|()| read.pop())
}

/// The one form of a field's value (RFC 9421 section 2.1.1, RFC 9651 section 4.1).
///
/// That form depends on the field's type, and types are not known here for all fields there are. So the
/// value is read as each of the three types, and taken only where all readings that succeed come to the same
/// form. A signer who reads it as the field's own type then comes to that form too.
pub(super) fn canonical(text: &[u8]) -> Option<String> {
    let dictionary = dictionary(text)
        .ok()
        .map(|read| read.serialize().unwrap_or_default());
    let list = Parser::new(text)
        .parse_list_with_visitor(Strict(List::new()))
        .ok()
        .map(|read| read.serialize().unwrap_or_default());
    let item = item(text).map(|read| read.serialize());
    let mut forms = [dictionary, list, item].into_iter().flatten();
    let form = forms.next()?;
    forms.all(|other| other == form).then_some(form)
}

/// One member of a dictionary or list, without its key (RFC 9421 section 2.1.2).
pub(super) fn member(entry: &ListEntry) -> String {
    vec![entry.clone()].serialize().unwrap_or_default()
}

/// Two equal keys.
#[derive(Debug, thiserror::Error)]
#[error("a key or parameter is given twice")]
struct Repeated;

/// A visitor that puts what it sees into `T`.
struct Strict<T>(T);

/// Where the parameters of an item or list go.
struct ParametersInto<'a>(&'a mut Parameters);

impl<'de> ParameterVisitor<'de> for ParametersInto<'_> {
    type Out = ();
    type Error = Repeated;

    fn parameter(
        &mut self,
        key: &'de KeyRef,
        value: BareItemFromInput<'de>,
    ) -> Result<(), Repeated> {
        match self.0.insert(key.to_owned(), value.into()) {
            None => Ok(()),
            Some(_) => Err(Repeated),
        }
    }

    fn finish(self) -> Result<(), Repeated> {
        Ok(())
    }
}

/// Where an item goes that is read within something else.
struct ItemInto<'a>(&'a mut Vec<Item>);

impl<'de> ItemVisitor<'de> for ItemInto<'_> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        bare_item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        let item = self.0.push_mut(Item::new(bare_item));
        Ok(ParametersInto(&mut item.params))
    }
}

/// Where an inner list goes.
struct InnerListInto<'a>(&'a mut InnerList);

impl<'de> InnerListVisitor<'de> for InnerListInto<'_> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(ItemInto(&mut self.0.items))
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Infallible> {
        Ok(ParametersInto(&mut self.0.params))
    }
}

/// Where a member goes: a place that holds an empty inner list until the member is read.
struct EntryInto<'a>(&'a mut ListEntry);

impl<'de> ItemVisitor<'de> for EntryInto<'_> {
    type Out = Option<()>;
    type Error = Infallible;

    fn bare_item(
        self,
        bare_item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = Option<()>>, Infallible> {
        *self.0 = Item::new(bare_item).into();
        Ok(match self.0 {
            ListEntry::Item(item) => Some(ParametersInto(&mut item.params)),
            // It was made an item just above.
            ListEntry::InnerList(_) => None,
        })
    }
}

impl<'de> EntryVisitor<'de> for EntryInto<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        Ok(match self.0 {
            ListEntry::InnerList(list) => Some(InnerListInto(list)),
            // Places start as inner lists.
            ListEntry::Item(_) => None,
        })
    }
}

impl<'de> DictionaryVisitor<'de> for Strict<Dictionary> {
    type Out = Dictionary;
    type Error = Repeated;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Repeated> {
        if self.0.contains_key(key) {
            return Err(Repeated);
        }
        let place = self.0.entry(key.to_owned());
        Ok(EntryInto(
            place.or_insert_with(|| InnerList::default().into()),
        ))
    }

    fn finish(self) -> Result<Dictionary, Repeated> {
        Ok(self.0)
    }
}

impl<'de> ListVisitor<'de> for Strict<List> {
    type Out = List;
    type Error = Infallible;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(EntryInto(self.0.push_mut(InnerList::default().into())))
    }

    fn finish(self) -> Result<List, Infallible> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical, dictionary, member};

    #[test]
    fn refuses_what_is_given_twice() {
        for twice in [
            "a=1, a=2",
            "a;b=1;b=2",
            "a=(1;b;b 2)",
            "a=(1 2);c;c",
            "a=1, b, a",
        ] {
            let error = dictionary(twice.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("given twice"), "{twice}: {error}");
        }
    }

    #[test]
    fn members_have_one_form() {
        let read = dictionary(b"a=1,  b=2;x=1;y=2,\tc=(a   b    c), d,e=:AQ:").unwrap();
        let forms: Vec<String> = read.values().map(member).collect();
        assert_eq!(forms, ["1", "2;x=1;y=2", "(a b c)", "?1", ":AQ==:"]);
    }

    #[test]
    fn a_value_has_a_form_only_where_its_type_does_not_matter() {
        for (value, form) in [
            (
                " a=1,    b=2;x=1;y=2,   c=(a   b   c) ",
                Some("a=1, b=2;x=1;y=2, c=(a b c)"),
            ),
            ("\"x\";  a=1.50", Some("\"x\";a=1.5")),
            ("sugar,tea, rum", Some("sugar, tea, rum")),
            ("gzip;q=1.0, (a  b)", Some("gzip;q=1.0, (a b)")),
            ("", Some("")),
            // As a dictionary the second one is refused, so it can be a list only.
            ("a, a", Some("a, a")),
            ("a;b;b", None),
            ("a,", None),
            ("a=1 b=2", None),
            ("Tue, 20 Apr 2021 02:07:55 GMT", None),
            ("é", None),
        ] {
            assert_eq!(canonical(value.as_bytes()).as_deref(), form, "{value}");
        }
    }
}
