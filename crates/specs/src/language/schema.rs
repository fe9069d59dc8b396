//! A JSON Schema of plan files, written from the tables, for editors.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Choices, DOCUMENTS, Section, Shape, State};

/// The schema of one document of a plan file (draft 7, which editors know).
///
/// A schema cannot know what an include holds, and editors check files before variables are put in; so it is wider than
/// the reader: it helps while writing, and `madake specs validate` decides.
pub(crate) fn schema() -> Value {
    let mut writer = Writer {
        definitions: BTreeMap::new(),
    };
    let documents: Vec<Value> = DOCUMENTS.iter().map(|section| writer.section(section)).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Plan file of Madake",
        "description": "Bamboo YAML Specs, as Madake reads them.",
        "anyOf": documents,
        "definitions": writer.definitions,
    })
}

struct Writer {
    definitions: BTreeMap<String, Value>,
}

impl Writer {
    fn section(&mut self, section: &'static Section) -> Value {
        let name = section.id;
        if !self.definitions.contains_key(name) {
            // Sections may hold themselves; the name is taken before the content is written.
            self.definitions.insert(name.to_owned(), Value::Null);
            let mut properties = Map::new();
            let mut required = Vec::new();
            for key in section.keys {
                let mut value = self.shape(key.shape);
                let mut description = key.doc.to_owned();
                if let State::NotYet(instead) = key.state {
                    description = format!("{description} Not run yet: {instead}.");
                }
                if !key.default.is_empty() {
                    description = format!("{description} Else: {}.", key.default);
                }
                value = json!({ "description": description, "anyOf": [value, { "type": "null" }] });
                properties.insert(key.name.to_owned(), value);
                if key.required {
                    required.push(key.name);
                }
            }
            let mut definition = json!({
                "description": section.doc,
                "type": "object",
                "properties": properties,
            });
            if !required.is_empty() {
                definition["required"] = json!(required);
            }
            definition["additionalProperties"] = match section.others {
                Some(others) => {
                    let value = self.shape(others.shape);
                    json!({ "description": others.doc, "anyOf": [value, { "type": "null" }] })
                }
                None => json!(false),
            };
            self.definitions.insert(name.to_owned(), definition);
        }
        json!({ "$ref": format!("#/definitions/{name}") })
    }

    fn choices(&mut self, choices: &'static Choices) -> Value {
        let name = format!("{}-item", choices.id);
        if !self.definitions.contains_key(&name) {
            self.definitions.insert(name.clone(), Value::Null);
            let bare: Vec<&str> = choices
                .items
                .iter()
                .filter(|item| item.bare)
                .map(|item| item.name)
                .collect();
            let mut properties = Map::new();
            for item in choices.items {
                let value = match item.value {
                    Some(shape) => self.shape(shape),
                    None => json!({ "type": "null" }),
                };
                let value = json!({ "description": item.doc, "anyOf": [value, { "type": "null" }] });
                properties.insert(item.name.to_owned(), value);
            }
            let definition = json!({
                "description": choices.doc,
                "anyOf": [
                    { "enum": bare },
                    {
                        "type": "object",
                        "properties": properties,
                        "minProperties": 1,
                        "additionalProperties": false,
                    },
                ],
            });
            self.definitions.insert(name.clone(), definition);
        }
        json!({ "$ref": format!("#/definitions/{name}") })
    }

    fn shape(&mut self, shape: Shape) -> Value {
        match shape {
            Shape::Text | Shape::Path | Shape::Pattern | Shape::Cron => scalar(),
            Shape::Flag => json!({
                "anyOf": [
                    { "type": "boolean" },
                    { "type": "string", "pattern": "^ *([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy]([Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]|[Oo][Ff][Ff]) *$" },
                ],
            }),
            Shape::Number(least) => json!({
                "anyOf": [
                    { "type": "integer", "minimum": least },
                    { "type": "string", "pattern": "^ *[0-9]+ *$" },
                ],
            }),
            Shape::PlanKey => {
                json!({ "type": "string", "pattern": "^ *[A-Za-z][A-Za-z0-9_]*-[A-Za-z][A-Za-z0-9_]* *$" })
            }
            // In any case, and with variables in it.
            Shape::Word(words) => json!({
                "anyOf": [{ "enum": words }, scalar()],
            }),
            Shape::Texts => json!({
                "anyOf": [scalar(), { "type": "array", "items": { "anyOf": [scalar(), { "type": "null" }] } }],
            }),
            Shape::TextMap => json!({
                "anyOf": [
                    { "type": "object", "additionalProperties": { "anyOf": [scalar(), { "type": "null" }] } },
                    { "type": "array", "maxItems": 0 },
                ],
            }),
            Shape::Free => json!({}),
            Shape::Map(section) => self.section(section),
            Shape::Named(inner) => {
                let inner = self.shape(*inner);
                json!({ "type": "object", "additionalProperties": { "anyOf": [inner, { "type": "null" }] } })
            }
            Shape::List(inner) => {
                let inner = self.shape(*inner);
                json!({ "type": "array", "items": inner })
            }
            Shape::Item(choices) => self.choices(choices),
            Shape::Items(choices) => {
                let inner = self.choices(choices);
                json!({ "type": "array", "items": inner })
            }
            Shape::Either(shapes) => {
                let shapes: Vec<Value> = shapes.iter().map(|shape| self.shape(*shape)).collect();
                json!({ "anyOf": shapes })
            }
        }
    }
}

fn scalar() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}
