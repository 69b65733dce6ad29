//! The OpenAPI document that a node serves, as something that answers are held against.

use std::{collections::HashMap, sync::Arc};

use http::{Method, header};
use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::Answer;

/// The document.
pub struct Contract {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    /// From the product's own document.
    pub(crate) fn of(document: &impl serde::Serialize) -> Self {
        let document = serde_json::to_value(document).expect("the document is JSON");
        Self { document: closed(document), validators: Mutex::default() }
    }

    /// The document, with its objects closed.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Whether `answer` is one that the document declares for the operation: its status, media type and shape. What
    /// the document does not know (pages of the browser, unknown paths) must still not be a bug of ours, and be a
    /// problem where it claims to be one.
    pub(crate) fn check(&self, method: &Method, path: &str, answer: &Answer) {
        let status = answer.status.as_u16();
        let media = answer.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let said = String::from_utf8_lossy(&answer.body);
        assert_ne!(status, 500, "{}: {said}", answer.asked());
        if media == "application/problem+json" {
            self.check_problem(answer);
        }
        let path = path.split('?').next().unwrap_or_default();
        let Some(operation) = self.operation(method, path) else { return };
        let responses = &operation["responses"];
        let declared = &responses[status.to_string()];
        assert!(declared.is_object(), "{}: {status} is not declared: {said}", answer.asked());
        let content = &declared["content"];
        if answer.body.is_empty() {
            assert!(content.is_null(), "{}: {status} is declared with a body and has none", answer.asked());
            return;
        }
        let schema = &content[media]["schema"];
        assert!(!schema.is_null(), "{}: {status} is not declared as {media:?}: {said}", answer.asked());
        if !media.ends_with("json") {
            return;
        }
        let body = answer.json();
        let validator = self.validator(&format!("{method} {path} {status}"), schema);
        let faults: Vec<String> =
            validator.iter_errors(&body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{}: the {status} is not as declared: {faults:?}: {said}", answer.asked());
    }

    fn check_problem(&self, answer: &Answer) {
        let body = answer.json();
        let code = body["code"].as_str().unwrap_or_default();
        let kebab = !code.is_empty()
            && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        assert!(kebab, "{}: code {code:?}", answer.asked());
        assert_eq!(body["type"], format!("urn:preau:problem:{code}"), "{}", answer.asked());
        assert_eq!(body["status"], answer.status.as_u16(), "{}", answer.asked());
        if matches!(answer.status.as_u16(), 429 | 503) {
            let after: u64 =
                answer.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or_default();
            assert!(after >= 1, "{}: {} without Retry-After", answer.asked(), answer.status);
            assert_eq!(body["retry_after_s"], after, "{}", answer.asked());
        }
    }

    /// The operation that a request is for: a literal segment wins over a parameter.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let asked: Vec<&str> = path.split('/').collect();
        let matches = |pattern: &str| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            pattern.len() == asked.len()
                && pattern
                    .iter()
                    .zip(&asked)
                    .all(|(pattern, asked)| pattern.starts_with('{') || pattern == asked)
        };
        let paths = self.document["paths"].as_object()?;
        let mut found: Vec<&String> = paths.keys().filter(|pattern| matches(pattern)).collect();
        found.sort_by_key(|pattern| pattern.matches('{').count());
        let operation = &paths[*found.first()?][method.as_str().to_lowercase()];
        operation.is_object().then_some(operation)
    }

    fn validator(&self, name: &str, schema: &Value) -> Arc<Validator> {
        let key = schema["$ref"].as_str().map_or_else(|| format!("{name} {schema}"), str::to_owned);
        let mut validators = self.validators.lock();
        let made = validators.entry(key).or_insert_with(|| {
            let mut whole = schema.clone();
            whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
            whole["components"] = self.document["components"].clone();
            let validator = jsonschema::options().should_validate_formats(true).build(&whole);
            Arc::new(validator.unwrap_or_else(|err| panic!("{name}: the schema cannot be used: {err}")))
        });
        Arc::clone(made)
    }
}

/// The document with `additionalProperties: false` on every plain object, so that a field that nobody declared is seen.
/// Schemas that are part of another by `allOf`, and those that say themselves that more may come, stay open.
fn closed(mut document: Value) -> Value {
    let mut parts = Vec::new();
    find_parts(&document, &mut parts);
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return document;
    };
    for (name, schema) in schemas.iter_mut() {
        let plain = schema.get("properties").is_some() && schema.get("additionalProperties").is_none();
        if plain && name != "Problem" && !parts.contains(&format!("#/components/schemas/{name}")) {
            schema["additionalProperties"] = json!(false);
        }
    }
    document
}

fn find_parts(value: &Value, parts: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for one in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
                parts.extend(one["$ref"].as_str().map(str::to_owned));
            }
            map.values().for_each(|value| find_parts(value, parts));
        }
        Value::Array(values) => values.iter().for_each(|value| find_parts(value, parts)),
        _ => {}
    }
}
