//! The parameters of credentials: `name=value` or `name="value"`, separated by commas (RFC 9110 section 11.4).

use crate::verdict::Refusal;

use super::{all, malformed, shown};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    /// As it was written.
    pub(super) name: &'a str,
    /// Without its quotes; never empty.
    pub(super) value: &'a str,
    /// Whether it had quotes.
    pub(super) quoted: bool,
}

/// All parameters of `text`, which is printable ASCII, in order. Each byte is looked at once.
pub(super) fn parameters(text: &str) -> Parameters<'_> {
    Parameters { rest: Some(text) }
}

pub(super) struct Parameters<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<Parameter<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.take()?;
        match one(text) {
            Ok((parameter, rest)) => {
                self.rest = rest;
                Some(Ok(parameter))
            }
            Err(refusal) => Some(Err(refusal)),
        }
    }
}

/// Where a byte stands: on texts as short as these faster than a search that prepares itself.
fn position(text: &str, byte: u8) -> Option<usize> {
    text.bytes().position(|other| other == byte)
}

/// What stands before and after the first such byte, which is ASCII.
fn split_at(text: &str, byte: u8) -> Option<(&str, &str)> {
    let (before, rest) = text.split_at_checked(position(text, byte)?)?;
    Some((before, rest.get(1..)?))
}

fn trim_start(mut text: &str) -> &str {
    while let Some(rest) = text.strip_prefix(' ').or_else(|| text.strip_prefix('\t')) {
        text = rest;
    }
    text
}

fn trim_end(mut text: &str) -> &str {
    while let Some(rest) = text.strip_suffix(' ').or_else(|| text.strip_suffix('\t')) {
        text = rest;
    }
    text
}

/// The first parameter, and what follows its comma.
fn one(text: &str) -> Result<(Parameter<'_>, Option<&str>), Refusal> {
    let text = trim_start(text);
    let Some((name, after)) = split_at(text, b'=') else {
        return Err(malformed(
            "the credentials are not parameters of the form name=value with commas between",
        ));
    };
    if name.is_empty() || !all(name, |byte| byte.is_ascii_alphanumeric()) {
        return Err(malformed(format!(
            "`{}` is not the name of a parameter",
            shown(name)
        )));
    }
    let (value, quoted, rest) = match after.strip_prefix('"') {
        Some(inside) => {
            let Some((value, rest)) = split_at(inside, b'"') else {
                return Err(malformed(format!("the quotes of `{name}` are not closed")));
            };
            if value.contains('\\') {
                return Err(malformed(format!(
                    "`{name}` holds a backslash: escapes are not read"
                )));
            }
            (value, true, trim_start(rest))
        }
        None => {
            let end = position(after, b',').unwrap_or(after.len());
            let (value, rest) = after.split_at_checked(end).unwrap_or((after, ""));
            let value = trim_end(value);
            if !all(value, |byte| !matches!(byte, b' ' | b'\t' | b'"')) {
                return Err(malformed(format!(
                    "the value of `{}` holds a space or quotes",
                    shown(name)
                )));
            }
            (value, false, rest)
        }
    };
    if value.is_empty() {
        return Err(malformed(format!("`{}` is empty", shown(name))));
    }
    let rest = match rest.strip_prefix(',') {
        Some(rest) => Some(rest),
        None if rest.is_empty() => None,
        None => {
            return Err(malformed(format!(
                "something other than a comma follows `{}`",
                shown(name)
            )));
        }
    };
    let parameter = Parameter {
        name,
        value,
        quoted,
    };
    Ok((parameter, rest))
}

/// Keeps a parameter that may be given once.
///
/// # Errors
/// `signature_malformed` where it was given before.
pub(super) fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), Refusal> {
    if place.is_some() {
        return Err(malformed(format!("`{name}` is given twice")));
    }
    *place = Some(value);
    Ok(())
}

/// A parameter that has to be there.
///
/// # Errors
/// `signature_malformed` where it is not.
pub(super) fn needed<T>(place: Option<T>, name: &str) -> Result<T, Refusal> {
    place.ok_or_else(|| malformed(format!("`{name}` is missing")))
}

/// A number of seconds since the epoch, written in one way only: no sign, no leading zero, no fraction.
pub(super) fn seconds(name: &str, text: &str) -> Result<i64, Refusal> {
    /// The year 9999 has twelve digits.
    const MOST_DIGITS: usize = 12;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    match text.parse() {
        Ok(_) if text.len() > MOST_DIGITS && digits => Err(malformed(format!(
            "`{name}` is in seconds since 1970; this looks like milliseconds or less"
        ))),
        Ok(seconds) if plain && !text.is_empty() => Ok(seconds),
        _ => Err(malformed(format!(
            "`{name}` is not a whole number of seconds since 1970"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{parameters, seconds};

    fn read(text: &str) -> Result<Vec<(&str, &str, bool)>, String> {
        parameters(text)
            .map(|parameter| {
                parameter
                    .map(|parameter| (parameter.name, parameter.value, parameter.quoted))
                    .map_err(|refusal| refusal.detail.into_owned())
            })
            .collect()
    }

    #[test]
    fn reads_both_forms() {
        assert_eq!(
            read("a=1, b=\"x, y=z\" ,\tc=d=e== ,d=\"\t\""),
            Ok(vec![
                ("a", "1", false),
                ("b", "x, y=z", true),
                ("c", "d=e==", false),
                ("d", "\t", true)
            ])
        );
    }

    #[test]
    fn refuses_what_is_no_list_of_parameters() {
        for bad in [
            "",
            " ",
            "a",
            "=",
            "=1",
            "a=",
            "a=,b=1",
            "a=1,",
            "a=1,,b=2",
            ",a=1",
            "a =1",
            "a= 1",
            "a=1 2",
            "a=1\"2\"",
            "a=\"\"",
            "a=\"1",
            "a=\"1\"2",
            "a=\"1\" b=\"2\"",
            "a=\"1\\\"\"",
            "a-b=1",
            "é=1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn refuses_times_with_a_second_spelling() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("1796126400", Some(1_796_126_400)),
            ("253402300799", Some(253_402_300_799)),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("01", None),
            ("1.0", None),
            ("1e3", None),
            ("0x1", None),
            ("1796126400000", None),
            ("99999999999999999999999", None),
            ("١", None),
        ] {
            assert_eq!(seconds("t", text).ok(), wanted, "{text}");
        }
    }
}
