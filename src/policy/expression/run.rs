//! Running a checked expression: the functions that have bounds, and what an error is called.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelNull, CelString, CelTimestamp, CelUInt, DYN_TYPE,
    STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, Value};

use super::bind::{Bindings, Fuel, Network, Pattern, TOO_COSTLY, failed, text_weight};
use super::program::Program;
use super::{MAX_ELEMENTS, MAX_TEXT_BYTES};
use crate::policy::field::{Facts, Text};

/// What a condition ends in.
///
/// # Errors
/// Why there is no telling, without values of the request.
pub(super) fn boolean(program: &Program, facts: Option<&Facts<'_>>) -> Result<bool, String> {
    run(program, facts, |value| {
        let boolean = value.downcast_ref::<CelBool>().map(|value| *value.inner());
        boolean.ok_or_else(|| format!("it is no bool, but {}", value.get_type().name()))
    })
}

/// What an expression ends in, as text.
pub(super) fn text(program: &Program, facts: &Facts<'_>) -> Text<'static> {
    run(program, Some(facts), |value| Ok(text_of(value))).unwrap_or_else(Text::Failed)
}

/// Whether a constant part has a value at all.
///
/// # Errors
/// Why it has none.
pub(super) fn settled(program: &Program) -> Result<(), String> {
    run(program, None, |_| Ok(()))
}

fn run<T>(
    program: &Program,
    facts: Option<&Facts<'_>>,
    read: impl FnOnce(&dyn Val) -> Result<T, String>,
) -> Result<T, String> {
    let bindings = Bindings::new(program, facts);
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.set_variable_resolver(&bindings);
    match Value::resolve_val(&program.tree, &context) {
        Ok(value) => read(value.as_ref()),
        Err(error) => Err(explain(&error, &bindings)),
    }
}

fn text_of(value: &dyn Val) -> Text<'static> {
    if value.downcast_ref::<CelNull>().is_some() {
        return Text::Absent;
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let texts: Option<Vec<_>> = list
            .inner()
            .iter()
            .map(|item| scalar(item.as_ref()))
            .collect();
        return texts.map_or(Text::Structured, bounded_list);
    }
    scalar(value).map_or(Text::Structured, Text::One)
}

fn bounded_list(texts: Vec<Cow<'static, str>>) -> Text<'static> {
    let bytes: usize = texts.iter().map(|text| text.len() + 1).sum();
    if bytes > MAX_TEXT_BYTES {
        return Text::Failed("its list is longer than 16 KiB".to_owned());
    }
    Text::Many(texts)
}

fn scalar(value: &dyn Val) -> Option<Cow<'static, str>> {
    let text = if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        text.inner().to_owned()
    } else if let Some(number) = value.downcast_ref::<CelInt>() {
        number.inner().to_string()
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        number.inner().to_string()
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        // As JSON writes it, and as a claim is written that needs no interpreter.
        serde_json::Number::from_f64(*number.inner())?.to_string()
    } else if let Some(boolean) = value.downcast_ref::<CelBool>() {
        boolean.inner().to_string()
    } else if let Some(at) = value.downcast_ref::<CelTimestamp>() {
        at.inner().timestamp().to_string()
    } else {
        return None;
    };
    Some(Cow::Owned(text))
}

/// The standard functions and our own, once for the process.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(environment()));

fn environment() -> Env {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    let any = |count: usize| (0..count).map(|_| DYN_TYPE).collect();
    let own: [(&str, usize, cel::common::functions::Function); 5] = [
        ("@add", 3, add),
        ("@range", 2, range),
        ("@matches", 2, matches),
        ("@in_cidr", 2, in_cidr),
        ("@utc", 1, utc),
    ];
    let mut declared = Ok(());
    for (name, arguments, function) in own {
        declared = declared.and(env.add_overload(name, name, any(arguments), function));
    }
    declared = declared.and(env.add_member_overload(
        "lowerAscii",
        "string_lower_ascii",
        STRING_TYPE,
        Vec::new(),
        lower_ascii,
    ));
    // A name that is taken would leave the functions out, and every use of one an error.
    debug_assert_eq!(declared, Ok(()));
    env
}

/// `a + b`, no longer than it may become.
fn add<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right, fuel] = three(arguments)?;
    let cost = match (text_in(&left), text_in(&right)) {
        (Some(left), Some(right)) if left.len() + right.len() > MAX_TEXT_BYTES => {
            return Err(failed("a text would be longer than 16 KiB"));
        }
        (Some(left), Some(right)) => 1 + text_weight(left) + text_weight(right),
        _ => 1,
    };
    let items = |value: &CowVal<'b, 'v>| value.downcast_ref::<CelList<'v>>().map(|list| list.len());
    let cost = match (items(&left), items(&right)) {
        (Some(left), Some(right)) if left + right > MAX_ELEMENTS => {
            return Err(failed("a list would have more than 1,000 elements"));
        }
        (Some(left), Some(right)) => cost + left + right,
        _ => cost,
    };
    spend(&fuel, cost)?;
    let names = || vec![name_of(&left), name_of(&right)];
    let Some(adder) = left.as_adder() else {
        return Err(ExecutionError::no_such_overload("_+_", names()));
    };
    Ok(CowVal::Owned(adder.add(right.as_ref())?.into_owned()))
}

/// What a macro walks, no longer than it may be.
fn range<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [range, fuel] = two(arguments)?;
    if range.as_iterable().is_none() {
        let names = vec![name_of(&range)];
        return Err(ExecutionError::no_such_overload("a macro", names));
    }
    let size = range.as_sizer().map(|sizer| *sizer.size().inner());
    let size = size.and_then(|size| usize::try_from(size).ok());
    match size.filter(|size| *size <= MAX_ELEMENTS) {
        Some(size) => spend(&fuel, size)?,
        None => return Err(failed("a list or map has more than 1,000 elements")),
    }
    Ok(range)
}

fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, pattern] = two(arguments)?;
    match (text_in(&value), pattern.downcast_ref::<Pattern>()) {
        (Some(text), Some(pattern)) => Ok(boolean_value(pattern.0.is_match(text))),
        _ => Err(ExecutionError::no_such_overload(
            "matches",
            vec![name_of(&value)],
        )),
    }
}

fn in_cidr<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, network] = two(arguments)?;
    let (Some(text), Some(network)) = (text_in(&value), network.downcast_ref::<Network>()) else {
        return Err(ExecutionError::no_such_overload(
            "in_cidr",
            vec![name_of(&value)],
        ));
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(failed(
            "`in_cidr` was asked about something that is no address",
        ));
    };
    // An IPv4 address in IPv6 clothes (RFC 4291 section 2.5.5.2) is the IPv4 address.
    Ok(boolean_value(network.0.contains(&address.to_canonical())))
}

/// A moment without the offset that it was written with.
fn utc<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let at = arguments.into_iter().next().and_then(|value| {
        let at = value.downcast_ref::<CelTimestamp>()?;
        Some(CelTimestamp::from(at.inner().to_utc().fixed_offset()))
    });
    at.map(CowVal::owned)
        .ok_or_else(|| ExecutionError::no_such_overload("timestamp", Vec::new()))
}

fn lower_ascii<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let lower = arguments.into_iter().next().and_then(|value| {
        let text = text_in(&value)?;
        Some(CelString::from(text.to_ascii_lowercase()))
    });
    lower
        .map(CowVal::owned)
        .ok_or_else(|| ExecutionError::no_such_overload("lowerAscii", Vec::new()))
}

fn boolean_value<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(value))
}

fn text_in<'a>(value: &'a CowVal<'_, '_>) -> Option<&'a str> {
    value.downcast_ref::<CelString<'_>>().map(CelString::inner)
}

fn name_of(value: &CowVal<'_, '_>) -> String {
    value.get_type().name().to_owned()
}

fn spend(fuel: &CowVal<'_, '_>, cost: usize) -> Result<(), ExecutionError> {
    let paid = fuel
        .downcast_ref::<Fuel>()
        .is_some_and(|fuel| fuel.spend(cost));
    paid.then_some(()).ok_or_else(|| failed(TOO_COSTLY))
}

fn two<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<[CowVal<'b, 'v>; 2], ExecutionError> {
    let count = arguments.len();
    <[_; 2]>::try_from(arguments).map_err(|_| ExecutionError::invalid_argument_count(2, count))
}

fn three<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<[CowVal<'b, 'v>; 3], ExecutionError> {
    let count = arguments.len();
    <[_; 3]>::try_from(arguments).map_err(|_| ExecutionError::invalid_argument_count(3, count))
}

/// An error in the operator's words. The interpreter's own texts hold values of the request, so only
/// names of types and functions are taken from them.
fn explain(error: &ExecutionError, bindings: &Bindings<'_>) -> String {
    if bindings.is_spent() {
        return TOO_COSTLY.to_owned();
    }
    let plain = match error {
        ExecutionError::UndeclaredReference(name) => {
            return bindings
                .why_unread(name)
                .unwrap_or_else(|| "a name has no value".to_owned());
        }
        ExecutionError::NoSuchOverload(overload) => {
            let of = overload.argument_types().join(", ");
            return format!("`{}` can't be applied to {of}", overload.function());
        }
        ExecutionError::FunctionError { function, message } if function == "@" => {
            return message.clone();
        }
        ExecutionError::FunctionError { function, .. } => {
            return format!("`{function}` can't read what it was given");
        }
        ExecutionError::UnexpectedType { want, .. } if want == "bool" => {
            "a value is no bool where one is needed"
        }
        ExecutionError::NoSuchKey(_) => "a name or key is missing",
        ExecutionError::IndexOutOfBounds(_) => "a list has no element at an index",
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero"
        }
        ExecutionError::Overflow(..) => "a number or time is too large",
        ExecutionError::ValuesNotComparable(..) => "two values can't be compared",
        ExecutionError::UnsupportedBinaryOperator(..) => {
            "an operator can't be applied to two values"
        }
        ExecutionError::DuplicateKey(_) => "a key stands twice in a map",
        ExecutionError::UnsupportedKeyType(_) => "a value can't be a key",
        _ => "a value is of the wrong type",
    };
    plain.to_owned()
}
