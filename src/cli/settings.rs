//! The settings file: every setting by flag, by environment and by file, the first of these winning.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, CommandFactory};

use crate::cli::Cli;
use crate::config::yaml::{self, Entry, Limits, Value};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};

/// What names the settings file.
const FILE_FLAG: &str = "--settings";
const FILE_VARIABLE: &str = "PORTCULLIS_SETTINGS";

/// Puts what the settings file says in front of the arguments of `serve`, as flags, where neither the
/// command line nor the environment says otherwise. So a value is read and checked in one way only.
///
/// # Errors
/// The text of everything that is wrong with the file.
pub(super) fn with_file(arguments: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let Some(("serve", path)) = subcommand(&arguments).zip(file(&arguments)) else {
        return Ok(arguments);
    };
    let flags = read(
        &path,
        |variable| environment(variable).is_some(),
        |flag| is_given(&arguments, flag),
    )?;
    // Tried first without the command line, so that the file's own mistakes are told as such. What is
    // wrong in the environment is wrong without the file, too.
    let bare = || [OsString::from("portcullis"), OsString::from("serve")].into_iter();
    let alone = bare().chain(flags.iter().map(OsString::from));
    if Cli::command().try_get_matches_from(bare()).is_ok()
        && let Err(error) = Cli::command().try_get_matches_from(alone)
    {
        return Err(format!(
            "in the settings file {}: {}",
            path.display(),
            error.render()
        ));
    }
    let mut with = arguments;
    with.splice(2..2, flags.into_iter().map(OsString::from));
    Ok(with)
}

fn subcommand(arguments: &[OsString]) -> Option<&str> {
    arguments.get(1).and_then(|argument| argument.to_str())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line is where the environment is read"
)]
fn environment(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

fn is_given(arguments: &[OsString], flag: &str) -> bool {
    let mut texts = arguments.iter().map(|argument| argument.to_string_lossy());
    texts.any(|text| {
        let after = text.strip_prefix(flag);
        after.is_some_and(|after| after.is_empty() || after.starts_with('='))
    })
}

/// The last `--settings`, as for every other flag, or the environment's.
fn file(arguments: &[OsString]) -> Option<PathBuf> {
    let mut named = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        if text == FILE_FLAG {
            named = rest.next().map(PathBuf::from);
        } else if let Some(path) = text
            .strip_prefix(FILE_FLAG)
            .and_then(|text| text.strip_prefix('='))
        {
            named = Some(PathBuf::from(path));
        }
    }
    named.or_else(|| environment(FILE_VARIABLE).map(PathBuf::from))
}

/// The values of one setting: one, or a list of them where it takes many.
fn values<'a>(entry: &'a Entry, many: bool, out: &mut Diagnostics) -> Option<Vec<&'a str>> {
    let nodes = match &entry.value.value {
        Value::Sequence(nodes) if many => nodes.iter().collect(),
        _ => vec![&entry.value],
    };
    let mut values = Vec::new();
    for node in nodes {
        let Value::Scalar(scalar) = &node.value else {
            let takes = if many {
                "one value, or a list"
            } else {
                "one value"
            };
            let message = format!("`{}` takes {takes}", entry.key);
            out.push(Diagnostic::error("wrong-type", &node.place, message));
            return None;
        };
        values.push(scalar.text.as_str());
    }
    Some(values)
}

fn read(
    path: &PathBuf,
    overridden: impl Fn(&str) -> bool,
    on_command_line: impl Fn(&str) -> bool,
) -> Result<Vec<String>, String> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| format!("cannot read the settings file {name}: {error}"))?;
    let file = yaml::decode_utf8(&name, &bytes).map_err(|diagnostic| diagnostic.render())?;
    let mut out = Diagnostics::default();
    let node = match yaml::parse(&file, &Limits::default()) {
        Ok(node) => node,
        Err(diagnostics) => {
            out.extend(diagnostics);
            return Err(out.render());
        }
    };
    let mut flags = Vec::new();
    let command = Cli::command();
    let keys = |wanted: fn(&Arg) -> bool| -> Vec<String> {
        let serve = command.find_subcommand("serve").into_iter();
        serve
            .flat_map(|serve| serve.get_arguments())
            .filter(|argument| wanted(argument))
            .filter_map(|argument| argument.get_long())
            .filter(|flag| !matches!(*flag, "settings" | "help"))
            .map(|flag| flag.replace('-', "_"))
            .collect()
    };
    let known = keys(|_| true);
    let many = keys(|argument| matches!(argument.get_action(), ArgAction::Append));
    let empty = matches!(node.value, Value::Null);
    for entry in (!empty)
        .then(|| yaml::mapping(&node, "the settings file", &mut out))
        .flatten()
        .unwrap_or_default()
    {
        if !known.contains(&entry.key) {
            let message = format!("`{}` is not a setting", entry.key);
            let error = Diagnostic::error("unknown-key", &entry.key_place, message);
            out.push(
                match nearest(&entry.key, known.iter().map(String::as_str)) {
                    Some(near) => error.with_help(format!("did you mean `{near}`?")),
                    None => error.with_help(format!("the settings are {}", known.join(", "))),
                },
            );
            continue;
        }
        let many = many.contains(&entry.key);
        let Some(values) = values(entry, many, &mut out) else {
            continue;
        };
        let variable = format!("PORTCULLIS_{}", entry.key.to_uppercase());
        let flag = format!("--{}", entry.key.replace('_', "-"));
        // Several values of the file and of the command line would be added up.
        let replaced = many && on_command_line(&flag);
        if !(overridden(&variable) || replaced) {
            flags.extend(values.iter().map(|value| format!("{flag}={value}")));
        }
    }
    if out.has_errors() {
        Err(out.render())
    } else {
        Ok(flags)
    }
}
