//! The JSON Schema (draft 2020-12) of policy files, made of the same tables as the decoder.
//!
//! It says what is where. What a text means (a scope, a path, an expression) and what fits together
//! across files is known to `portcullis check` alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::config::language::FILE;
use crate::config::shape::{Form, Key, Shape, Type, Without};

/// The dialect that schemas are written in.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of one policy file.
pub fn policy() -> Value {
    let mut definitions = Definitions::default();
    let mut schema = definitions.fields(&FILE);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), json!(DIALECT));
        schema.insert("title".to_owned(), json!("Portcullis policies"));
        // A file may hold nothing but comments.
        schema.insert("type".to_owned(), json!(["object", "null"]));
        let made: Map<String, Value> = definitions
            .made
            .into_iter()
            .map(|(name, schema)| (name.to_owned(), schema))
            .collect();
        schema.insert("$defs".to_owned(), Value::Object(made));
    }
    schema
}

/// The shapes that were met, by name.
#[derive(Default)]
struct Definitions {
    made: BTreeMap<&'static str, Value>,
}

impl Definitions {
    fn reference(&mut self, shape: &'static Shape, kind: bool) -> Value {
        let name = shape.name;
        if !self.made.contains_key(name) {
            // Shapes may hold themselves: the name is taken before the shape is looked into.
            self.made.insert(name, Value::Null);
            let mut schema = self.fields(shape);
            if let (true, Some(schema)) = (kind, schema.as_object_mut()) {
                schema.insert("minProperties".to_owned(), json!(1));
                schema.insert("maxProperties".to_owned(), json!(1));
            }
            self.made.insert(name, schema);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }

    fn fields(&mut self, shape: &'static Shape) -> Value {
        let available = || shape.all().filter_map(|key| Some((key, key.value?)));
        let mut properties = Map::new();
        for (key, value) in available() {
            let mut schema = self.of(value);
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("description".to_owned(), json!(key.doc));
            }
            properties.insert(key.name.to_owned(), schema);
        }
        let required = available().filter(|(key, _)| key.required);
        let required: Vec<&str> = required.map(|(key, _)| key.name).collect();
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("additionalProperties".to_owned(), json!(false));
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if !shape.forms.is_empty() {
            let forms: Vec<Value> = shape.forms.iter().map(|way| form(shape, way)).collect();
            schema.insert("oneOf".to_owned(), json!(forms));
        }
        Value::Object(schema)
    }

    fn of(&mut self, value: &'static Type) -> Value {
        match value {
            Type::Text => json!({"type": "string"}),
            Type::Boolean => json!({"type": "boolean"}),
            Type::Integer(least, most) => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Type::Duration => json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"}),
            Type::Instant => {
                json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$"})
            }
            Type::Word(words) => json!({"type": "string", "enum": words}),
            Type::List(item) => json!({"type": "array", "minItems": 1, "items": self.of(item)}),
            Type::ListOrEmpty(item) => json!({"type": "array", "items": self.of(item)}),
            Type::Many(item) => json!({"anyOf": [
                self.of(item),
                {"type": "array", "minItems": 1, "items": self.of(item)},
            ]}),
            Type::ManyOrEmpty(item) => json!({"anyOf": [
                self.of(item),
                {"type": "array", "items": self.of(item)},
            ]}),
            Type::Fields(shape) => self.reference(shape, false),
            Type::Kind(shape) => self.reference(shape, true),
            Type::Named(item) => json!({"type": "object", "additionalProperties": self.of(item)}),
            Type::NamedSome(item) => json!({
                "type": "object", "minProperties": 1, "additionalProperties": self.of(item),
            }),
            Type::OrNothing(item) => json!({"anyOf": [{"type": "null"}, self.of(item)]}),
            Type::Either(ways) => {
                let ways: Vec<Value> = ways.iter().map(|way| self.of(way)).collect();
                json!({"anyOf": ways})
            }
            Type::AnyMapping => json!({"type": "object"}),
        }
    }
}

fn form(shape: &Shape, form: &Form) -> Value {
    let absent: Vec<&str> = match form.without {
        Without::These(keys) => keys.to_vec(),
        Without::AllBut(also) => shape
            .keys
            .iter()
            .chain(shape.shared)
            .map(|key| key.name)
            .filter(|name| !form.with.contains(name) && !also.contains(name))
            .collect(),
    };
    let absent: Map<String, Value> = absent
        .into_iter()
        .map(|name| (name.to_owned(), json!(false)))
        .collect();
    let mut schema = json!({"required": form.with});
    if let (false, Some(schema)) = (absent.is_empty(), schema.as_object_mut()) {
        schema.insert("properties".to_owned(), Value::Object(absent));
    }
    schema
}

/// Every shape of the language, by way of those that lead to it.
pub fn shapes() -> Vec<&'static Shape> {
    let mut found = Vec::new();
    visit(&FILE, &mut found);
    found
}

fn visit(shape: &'static Shape, found: &mut Vec<&'static Shape>) {
    if found.iter().any(|known| std::ptr::eq(*known, shape)) {
        return;
    }
    found.push(shape);
    for value in shape.all().filter_map(|key: &Key| key.value) {
        visit_type(value, found);
    }
}

fn visit_type(value: &'static Type, found: &mut Vec<&'static Shape>) {
    match value {
        Type::Fields(shape) | Type::Kind(shape) => visit(shape, found),
        Type::List(item)
        | Type::ListOrEmpty(item)
        | Type::Many(item)
        | Type::ManyOrEmpty(item)
        | Type::Named(item)
        | Type::NamedSome(item)
        | Type::OrNothing(item) => visit_type(item, found),
        Type::Either(ways) => ways.iter().for_each(|way| visit_type(way, found)),
        Type::Text
        | Type::Boolean
        | Type::Integer(..)
        | Type::Duration
        | Type::Instant
        | Type::Word(_)
        | Type::AnyMapping => {}
    }
}

#[cfg(test)]
mod tests;
