//! The tables of the language: the page that is made of them is up to date, and the schema takes what the reader takes.

use std::path::Path;

use serde_json::{Value, json};

#[test]
fn the_page_of_the_language_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/language.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == madake_specs::language_page(),
        "docs/language.md is out of date: `cargo xtask language` writes it"
    );
}

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let page = madake_specs::language_page();
    let mut links = 0;
    for (at, _) in page.match_indices("](#") {
        let target = page[at + 3..].split(')').next().unwrap();
        assert!(page.contains(&format!("<a id=\"{target}\"></a>")), "{target}");
        links += 1;
    }
    assert!(links > 50, "{links}");
}

#[test]
fn names_of_the_page_are_unique() {
    let page = madake_specs::language_page();
    let mut names: Vec<&str> = page
        .match_indices("<a id=\"")
        .map(|(at, _)| page[at + 7..].split('"').next().unwrap())
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Checks a value against the part of JSON Schema that ours is written in; the error is the path that does not fit.
fn fits(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let object = schema.as_object().expect("a schema is an object");
    for (word, rule) in object {
        match word.as_str() {
            "$ref" => {
                let name = rule
                    .as_str()
                    .expect("as the schema is written")
                    .strip_prefix("#/definitions/")
                    .expect("as the schema is written");
                fits(root, &root["definitions"][name], value, path)?;
            }
            "anyOf" => {
                let tried: Vec<Result<(), String>> = rule
                    .as_array()
                    .expect("as the schema is written")
                    .iter()
                    .map(|one| fits(root, one, value, path))
                    .collect();
                if tried.iter().all(Result::is_err) {
                    let deepest = tried.into_iter().filter_map(Result::err).max_by_key(String::len);
                    return Err(deepest.unwrap_or_default());
                }
            }
            "type" => {
                let is = |name: &str| match name {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("the type {other}"),
                };
                let names = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !names
                    .iter()
                    .any(|name| is(name.as_str().expect("as the schema is written")))
                {
                    return Err(format!("{path} is not {rule}"));
                }
            }
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(schema) => fits(root, schema, inner, &format!("{path}/{name}"))?,
                        None => match &object.get("additionalProperties") {
                            Some(Value::Bool(false)) => return Err(format!("{path}/{name} is unknown")),
                            Some(schema @ Value::Object(_)) => {
                                fits(root, schema, inner, &format!("{path}/{name}"))?;
                            }
                            _ => {}
                        },
                    }
                }
            }
            "additionalProperties" if !object.contains_key("properties") => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    fits(root, rule, inner, &format!("{path}/{name}"))?;
                }
            }
            "items" => {
                for (number, inner) in value.as_array().into_iter().flatten().enumerate() {
                    fits(root, rule, inner, &format!("{path}/{number}"))?;
                }
            }
            "required" => {
                for name in rule.as_array().expect("as the schema is written") {
                    if value.is_object()
                        && value
                            .get(name.as_str().expect("as the schema is written"))
                            .is_none()
                    {
                        return Err(format!("{path} has no {name}"));
                    }
                }
            }
            "enum" => {
                if !rule.as_array().expect("as the schema is written").contains(value) {
                    return Err(format!("{path} is none of {rule}"));
                }
            }
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().expect("as the schema is written"))
                    .expect("as the schema is written");
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    return Err(format!("{path} does not match {rule}"));
                }
            }
            "minimum" => {
                if value
                    .as_i64()
                    .is_some_and(|number| number < rule.as_i64().expect("as the schema is written"))
                {
                    return Err(format!("{path} is below {rule}"));
                }
            }
            "minProperties" | "maxItems" => {
                let count = value
                    .as_object()
                    .map_or_else(|| value.as_array().map_or(0, Vec::len), serde_json::Map::len);
                let bound = usize::try_from(rule.as_u64().expect("as the schema is written"))
                    .expect("as the schema is written");
                let fits = if word == "maxItems" {
                    count <= bound
                } else {
                    count >= bound
                };
                if !fits {
                    return Err(format!("{path} has {count} items"));
                }
            }
            "$schema" | "title" | "description" | "definitions" | "additionalProperties" => {}
            other => panic!("the word {other} is not checked here"),
        }
    }
    Ok(())
}

/// YAML as a JSON value, as editors see it: what looks like a number or a boolean is one.
fn json(text: &str) -> Vec<Value> {
    fn value(yaml: &saphyr::YamlOwned) -> Value {
        use saphyr::{ScalarOwned, YamlOwned};
        match yaml {
            YamlOwned::Value(ScalarOwned::Boolean(value)) => json!(value),
            YamlOwned::Value(ScalarOwned::Integer(value)) => json!(value),
            YamlOwned::Value(ScalarOwned::FloatingPoint(value)) => json!(value.into_inner()),
            YamlOwned::Value(ScalarOwned::String(text)) => json!(text),
            YamlOwned::Sequence(items) => items.iter().map(value).collect(),
            YamlOwned::Mapping(map) => map
                .iter()
                .map(|(key, inner)| {
                    let key = match value(key) {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    (key, value(inner))
                })
                .collect::<serde_json::Map<String, Value>>()
                .into(),
            _ => Value::Null,
        }
    }
    use saphyr::LoadableYamlNode as _;
    saphyr::YamlOwned::load_from_str(text)
        .expect("as the schema is written")
        .iter()
        .map(value)
        .collect()
}

/// Why the schema does not take a document of `text`, unless it takes all of them.
pub(crate) fn schema_refuses(text: &str) -> Option<String> {
    let schema = madake_specs::json_schema();
    let mut documents = json(text).into_iter();
    documents.find_map(|document| fits(&schema, &schema, &document, "").err())
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = madake_specs::json_schema();
    for text in [
        include_str!("whole.yml"),
        &madake_specs::export(&crate::plan(include_str!("whole.yml"))),
    ] {
        for document in json(text) {
            assert_eq!(fits(&schema, &schema, &document, ""), Ok(()));
        }
    }
}

#[test]
fn the_schema_refuses_what_editors_should_point_at() {
    let schema = madake_specs::json_schema();
    let good = "version: 2\nplan: {project-key: P, key: Q, name: n}\nstages: [S: [J]]\nJ: {tasks: [clean]}\n";
    assert_eq!(fits(&schema, &schema, &json(good)[0], ""), Ok(()));
    for (from, to) in [
        ("tasks:", "taks:"),
        ("[clean]", "[claen]"),
        ("name: n", "naem: n"),
        ("stages:", "stagse:"),
    ] {
        let bad = good.replace(from, to);
        assert!(fits(&schema, &schema, &json(&bad)[0], "").is_err(), "{bad}");
    }
}
