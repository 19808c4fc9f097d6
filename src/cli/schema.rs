//! `portcullis schema`.

use std::any::TypeId;

use clap::{Arg, ArgAction, CommandFactory as _, ValueEnum};
use serde_json::{Map, Value, json};

use crate::app::account::Account;
use crate::cli::output::Output;
use crate::cli::{Cli, OK};
use crate::config::schema::{DIALECT, policy};

/// Prints a JSON Schema (draft 2020-12), for editors: what keys there are, what each takes and means.
///
/// Most editors take it from a comment in the first line of a file:
/// `# yaml-language-server: $schema=policy.schema.json`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// Of which files
    #[arg(value_enum, value_name = "OF")]
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// The files of a policy directory
    Policy,
    /// The settings file of `serve`
    Settings,
}

pub(super) fn run(arguments: &SchemaArgs) -> u8 {
    Output::json(&match arguments.of {
        Of::Policy => policy(),
        Of::Settings => settings(),
    });
    OK
}

/// The schema of the settings file, made of the flags of `serve`.
pub(crate) fn settings() -> Value {
    let command = Cli::command();
    let serve = command.find_subcommand("serve");
    let arguments = serve.into_iter().flat_map(|serve| serve.get_arguments());
    let properties: Map<String, Value> = arguments
        .filter_map(|argument| {
            let flag = argument.get_long()?;
            let is_setting = !matches!(flag, "settings" | "help");
            is_setting.then(|| (flag.replace('-', "_"), setting(argument)))
        })
        .collect();
    json!({
        "$schema": DIALECT,
        "title": "Portcullis settings",
        // A file may hold nothing but comments.
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": properties,
    })
}

fn setting(argument: &Arg) -> Value {
    let mut schema = Map::new();
    let parser = argument.get_value_parser().type_id();
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .map(|word| word.get_name().to_owned())
        .collect();
    let is = |types: &[TypeId]| types.iter().any(|one| parser == *one);
    let kind = if is(&[TypeId::of::<bool>()]) {
        json!("boolean")
    } else if is(&[
        TypeId::of::<usize>(),
        TypeId::of::<u64>(),
        TypeId::of::<u16>(),
    ]) {
        json!("integer")
    } else if is(&[TypeId::of::<f64>()]) {
        json!("number")
    } else if is(&[TypeId::of::<u32>(), TypeId::of::<Account>()]) {
        // Octal: editors read `0660` as a number where it has no quotes. Users and groups are either.
        json!(["string", "integer"])
    } else {
        if !words.is_empty() {
            schema.insert("enum".to_owned(), json!(words));
        }
        json!("string")
    };
    if let Some(default) = argument.get_default_values().first() {
        let text = default.to_string_lossy();
        let typed = match kind.as_str() {
            Some("boolean" | "integer" | "number") => serde_json::from_str(&text).ok(),
            _ => None,
        };
        schema.insert("default".to_owned(), typed.unwrap_or_else(|| json!(text)));
    }
    if matches!(argument.get_action(), ArgAction::Append) {
        let mut types = vec!["array".to_owned()];
        match &kind {
            Value::Array(kinds) => {
                types.extend(kinds.iter().filter_map(Value::as_str).map(str::to_owned))
            }
            kind => types.extend(kind.as_str().map(str::to_owned)),
        }
        schema.insert("items".to_owned(), json!({"type": kind}));
        schema.insert("type".to_owned(), json!(types));
    } else {
        schema.insert("type".to_owned(), kind);
    }
    if let Some(help) = argument.get_help() {
        schema.insert("description".to_owned(), json!(help.to_string()));
    }
    Value::Object(schema)
}
