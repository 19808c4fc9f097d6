//! What the interpreter sees of a request: a field when it is reached, and nothing else.

use std::any::Any;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as CelIterator, Sizer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp,
    CelUInt, DYN_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use ipnet::IpNet;
use regex::Regex;
use serde_json::Value;

use super::program::{Constant, FUEL, Program, Slot};
use super::{MAX_EXACT, MAX_FUEL};
use crate::clock::Timestamp;
use crate::headers::{Headers, Single};
use crate::policy::field::{Facts, Field, FieldPath};
use crate::policy::scope::ScopeSet;

/// The variables of one run.
pub(super) struct Bindings<'f> {
    program: &'f Program,
    facts: Option<&'f Facts<'f>>,
    read: Vec<OnceLock<Option<Bound<'f>>>>,
    constants: Vec<Box<dyn Val>>,
    fuel: Fuel,
}

/// A value that was read, and what it costs to look at.
struct Bound<'f> {
    value: Box<dyn Val + 'f>,
    weight: usize,
}

impl<'f> Bindings<'f> {
    pub(super) fn new(program: &'f Program, facts: Option<&'f Facts<'f>>) -> Self {
        let constants = program.constants.iter().map(|constant| match constant {
            Constant::Pattern(pattern) => Box::new(Pattern(pattern.clone())) as Box<dyn Val>,
            Constant::Network(network) => Box::new(Network(*network)),
        });
        Self {
            program,
            facts,
            read: program.slots.iter().map(|_| OnceLock::new()).collect(),
            constants: constants.collect(),
            fuel: Fuel(AtomicUsize::new(MAX_FUEL)),
        }
    }

    /// Why a variable had no value, in the operator's words.
    pub(super) fn why_unread(&self, variable: &str) -> Option<String> {
        let slot = self.program.slots.get(Slot::index(variable)?)?;
        if self.fuel.is_spent() {
            return Some(TOO_COSTLY.to_owned());
        }
        let field = slot.field();
        let facts = self.facts?;
        if let Slot::Presence(_) = slot {
            let why = field.present(facts).err().unwrap_or("can't be asked for");
            return Some(format!("`{field}` {why}"));
        }
        Some(match field.read(facts) {
            Field::Absent => format!("`{field}` is absent"),
            Field::Refused(why) => format!("`{field}` {why}"),
            _ => format!("`{field}` holds a number that can't be compared exactly"),
        })
    }

    pub(super) fn is_spent(&self) -> bool {
        self.fuel.is_spent()
    }

    fn bind(&self, slot: &Slot) -> Option<Bound<'f>> {
        let facts = self.facts?;
        match slot {
            Slot::Presence(field) => {
                let present = field.present(facts).ok()?;
                Some(Bound {
                    value: Box::new(CelBool::from(present)),
                    weight: 1,
                })
            }
            Slot::Scopes(field) => match field.read(facts) {
                Field::Scopes(scopes) => Some(Bound {
                    value: Box::new(Scopes(scopes)),
                    weight: 1,
                }),
                _ => None,
            },
            Slot::Field(field) => bind(field, facts),
        }
    }
}

/// What a run says that went past its bounds.
pub(super) const TOO_COSTLY: &str = "the expression costs too much with this request";

impl VariableResolver for Bindings<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if !variable.starts_with('@') {
            return None;
        }
        if variable == FUEL {
            return Some(CowVal::Borrowed(&self.fuel));
        }
        if let Some(index) = Constant::index(variable) {
            let constant = self.constants.get(index)?;
            return Some(CowVal::Borrowed(constant.as_ref()));
        }
        let index = Slot::index(variable)?;
        let (cell, slot) = (self.read.get(index)?, self.program.slots.get(index)?);
        let bound = cell.get_or_init(|| self.bind(slot)).as_ref()?;
        if !self.fuel.spend(bound.weight) {
            return None;
        }
        Some(CowVal::Borrowed(bound.value.as_ref()))
    }
}

/// The value of a field for the interpreter; none where there is none.
fn bind<'f>(field: &FieldPath, facts: &Facts<'f>) -> Option<Bound<'f>> {
    let mut weight = 1;
    let value: Box<dyn Val + 'f> = match field.read(facts) {
        Field::Absent | Field::Refused(_) => return None,
        Field::Text(text) => {
            weight += text_weight(&text);
            Box::new(CelString::from(text))
        }
        Field::Texts(texts) => {
            weight += texts
                .iter()
                .map(|text| 1 + text_weight(text))
                .sum::<usize>();
            list(texts.into_iter().map(|text| boxed(CelString::from(text))))
        }
        Field::Scopes(scopes) => {
            let scopes: Vec<String> = scopes.iter().collect();
            weight += scopes
                .iter()
                .map(|text| 1 + text_weight(text))
                .sum::<usize>();
            list(scopes.into_iter().map(|text| boxed(CelString::from(text))))
        }
        Field::Integer(number) => Box::new(CelInt::from(number)),
        Field::Moment(at) => Box::new(moment(at)?),
        Field::Json(value) => json(value, &mut weight)?,
        Field::Entries(entries) => {
            let mut map = HashMap::with_capacity(entries.len());
            for (name, value) in entries {
                weight += 1 + text_weight(&name) + text_weight(&value);
                let key = CelMapKey::String(CelString::from(name));
                map.insert(key, boxed(CelString::from(value)));
            }
            Box::new(CelMap::from(map))
        }
        Field::Headers(headers) => {
            weight += headers.len();
            Box::new(AllHeaders::new(headers))
        }
        Field::HeaderValues(headers) => header_values(headers, &mut weight)?,
    };
    Some(Bound { value, weight })
}

/// 16 bytes of text weigh as much as an element.
pub(super) const fn text_weight(text: &str) -> usize {
    text.len() / 16
}

fn boxed<'f>(value: impl Val + 'f) -> Box<dyn Val + 'f> {
    Box::new(value)
}

fn list<'f>(items: impl Iterator<Item = Box<dyn Val + 'f>>) -> Box<dyn Val + 'f> {
    Box::new(CelList::from(items.collect::<Vec<_>>()))
}

fn moment(at: Timestamp) -> Option<CelTimestamp> {
    // The years that CEL knows.
    const RANGE: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;
    if !RANGE.contains(&at.micros()) {
        return None;
    }
    let utc = chrono::DateTime::from_timestamp_micros(at.micros())?;
    Some(CelTimestamp::from(utc.fixed_offset()))
}

/// A JSON value; none if a number in it can't be compared exactly with whole numbers.
fn json<'f>(value: &'f Value, weight: &mut usize) -> Option<Box<dyn Val + 'f>> {
    *weight += 1;
    Some(match value {
        Value::Null => boxed(CelNull),
        Value::Bool(value) => boxed(CelBool::from(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => boxed(CelInt::from(number)),
            (None, Some(number), _) => boxed(CelUInt::from(number)),
            (None, None, number) => {
                let number = number.filter(|number| number.abs() <= MAX_EXACT)?;
                boxed(CelDouble::from(number))
            }
        },
        Value::String(text) => {
            *weight += text_weight(text);
            boxed(CelString::from(text.as_str()))
        }
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| json(item, weight)).collect();
            boxed(CelList::from(items?))
        }
        Value::Object(entries) => {
            let mut map = HashMap::with_capacity(entries.len());
            for (name, value) in entries {
                *weight += 1 + text_weight(name);
                let key = CelMapKey::String(CelString::from(name.as_str()));
                map.insert(key, json(value, weight)?);
            }
            boxed(CelMap::from(map))
        }
    })
}

fn header_values<'f>(headers: &'f Headers, weight: &mut usize) -> Option<Box<dyn Val + 'f>> {
    let mut values: HashMap<&str, Vec<Box<dyn Val + 'f>>> = HashMap::new();
    for (name, value) in headers.iter() {
        // A name that is no text can't be asked for; a value that is none can't be told.
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        let value = std::str::from_utf8(value).ok()?;
        *weight += 1 + text_weight(value);
        let values = values.entry(name).or_default();
        values.push(boxed(CelString::from(value)));
    }
    let map: HashMap<CelMapKey<'f>, Box<dyn Val + 'f>> = values
        .into_iter()
        .map(|(name, values)| {
            let key = CelMapKey::String(CelString::from(name));
            (key, boxed(CelList::from(values)))
        })
        .collect();
    Some(boxed(CelMap::from(map)))
}

/// `request.headers`: a name that is repeated is there, and has no value.
#[derive(Clone, Debug)]
struct AllHeaders<'f> {
    headers: &'f Headers,
    names: Vec<CelString<'f>>,
}

impl<'f> AllHeaders<'f> {
    fn new(headers: &'f Headers) -> Self {
        let mut names: Vec<&str> = headers
            .iter()
            .filter_map(|(name, _)| std::str::from_utf8(name).ok())
            .collect();
        names.sort_unstable();
        names.dedup();
        Self {
            headers,
            names: names.into_iter().map(CelString::from).collect(),
        }
    }

    fn value(&self, name: &dyn Val) -> Result<CelString<'f>, ExecutionError> {
        let name = text(name)?;
        match self.headers.single(name) {
            Single::Absent => Err(ExecutionError::no_such_key("header")),
            Single::Several => Err(failed("a header that is repeated")),
            Single::One(value) => match std::str::from_utf8(value) {
                Ok(value) => Ok(CelString::from(value)),
                Err(_) => Err(failed("a header that is no UTF-8")),
            },
        }
    }
}

fn text<'a>(value: &'a (dyn Val + '_)) -> Result<&'a str, ExecutionError> {
    match value.downcast_ref::<CelString<'_>>() {
        Some(text) => Ok(text.inner()),
        None => Err(ExecutionError::no_such_overload(
            "_[_]",
            vec![value.get_type().name().to_owned()],
        )),
    }
}

/// An error in our own words; they hold no value of a request.
pub(super) fn failed(why: &str) -> ExecutionError {
    ExecutionError::function_error("@", why)
}

impl Val for AllHeaders<'_> {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for AllHeaders<'_> {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        let name = text(name)?;
        Ok(self.headers.all(name).next().is_some())
    }
}

impl Indexer for AllHeaders<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.value(name).map(CowVal::owned)
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.value(name).map(boxed)
    }
}

impl Iterable for AllHeaders<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn CelIterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Names(self.names.iter()))
    }
}

impl Sizer for AllHeaders<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.names.len()).unwrap_or(i64::MAX))
    }
}

struct Names<'b, 'f>(std::slice::Iter<'b, CelString<'f>>);

impl<'b, 'f: 'v, 'v> CelIterator<'b, 'v> for Names<'b, 'f> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|name| name as &(dyn Val + 'v))
    }
}

/// Scopes to be asked for one: wildcards cover what they stand for.
#[derive(Clone, Copy, Debug)]
struct Scopes<'f>(&'f ScopeSet);

impl Val for Scopes<'_> {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Container for Scopes<'_> {
    fn contains(&self, scope: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.0.covers(text(scope)?))
    }
}

/// Declares values that only our own functions look into.
macro_rules! opaque {
    ($($name:ident),+) => {
        $(
            impl Val for $name {
                fn get_type(&self) -> &Type {
                    &DYN_TYPE
                }

                fn cel_type() -> &'static Type {
                    &DYN_TYPE
                }

                fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
                    Box::new(self.clone())
                }

                fn as_any(&self) -> Option<&dyn Any> {
                    Some(self)
                }
            }

            impl StaticVal for $name {}
        )+
    };
}

opaque!(Pattern, Network, Fuel);

/// The pattern of `matches`.
#[derive(Clone, Debug)]
pub(super) struct Pattern(pub(super) Regex);

/// The range of `in_cidr`.
#[derive(Clone, Debug)]
pub(super) struct Network(pub(super) IpNet);

/// What a run may still spend: one for an element that is looked at or made.
#[derive(Debug)]
pub(super) struct Fuel(AtomicUsize);

impl Clone for Fuel {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Fuel {
    /// Takes from what is left; false once there is not enough.
    pub(super) fn spend(&self, cost: usize) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        let rest = left.checked_sub(cost);
        self.0.store(rest.unwrap_or(0), Ordering::Relaxed);
        rest.is_some()
    }

    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}
