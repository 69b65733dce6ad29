//! The document is whole, and says what the server does. (That every answer is as declared is checked by every test: see
//! `preau_tests::Client`.)

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use preau_tests::{play, workspace};
use serde_json::Value;

fn walk(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| walk(value, see)),
        Value::Array(values) => values.iter().for_each(|value| walk(value, see)),
        _ => {}
    }
}

#[test]
fn the_document_is_served_whole_and_lists_every_route() {
    play(async |stage| {
        let node = stage.cold_node(|_| {});
        let document = node.stranger().get("/api/openapi.json").await.expect(200).json();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        walk(&document, &mut |value| {
            if let Some(reference) = value["$ref"].as_str() {
                let pointer = reference.strip_prefix('#').expect("references stay in the document");
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
        });
        let mut operations = BTreeMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if let Some(id) = operation["operationId"].as_str() {
                    let twice = operations.insert(id.to_owned(), format!("{} {path}", method.to_uppercase()));
                    assert_eq!(twice, None, "{id}");
                    let words: Vec<&str> = id.split('_').collect();
                    let verbs = [
                        "list", "get", "create", "set", "update", "delete", "add",
                        "remove", // what is there
                        "refresh", "revoke", "verify", "confirm", "accept",
                        "dismiss", // what is believed
                        "apply", "cancel", "complete", "end", "move", "preview",
                        "undo", // what takes its time
                        "appoint", "attach", "empty", "export", "look",
                        "merge", // what people are and become
                    ];
                    assert!(words.len() >= 2 && verbs.contains(&words[0]), "{id} is not verb_resource");
                    assert!(
                        operation["summary"].is_string() && operation["tags"][0].is_string(),
                        "{id} says nothing"
                    );
                }
            }
        }
        let routes: BTreeMap<String, String> = node
            .table
            .iter()
            .filter(|row| row.path.starts_with("/api/"))
            .map(|row| (row.operation_id.clone(), format!("{} {}", row.method, row.path)))
            .collect();
        assert_eq!(routes, operations);
        let pages = node.table.iter().filter(|row| !row.path.starts_with("/api/")).count();
        assert_eq!(routes.len() + pages, node.table.len());
        node.stranger().get("/api/docs/").await.expect(200);
    });
}

/// The Rust sources of the product.
fn sources() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(workspace().join("crates")).expect("crates/") {
        let source = entry.expect("a crate").path().join("src");
        if source.is_dir() && !source.ends_with("xtask/src") && !source.ends_with("rush/src") {
            collect(&source, &mut found);
        }
    }
    found
}

/// Two schemas of one name silently become one.
#[test]
fn no_two_schemas_share_a_name() {
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, _) in
            lines.iter().enumerate().filter(|(_, line)| line.contains("ToSchema") && !line.contains("use "))
        {
            let after = || lines[at..].iter().take(16).map(|line| line.trim());
            let given = after()
                .take_while(|line| {
                    !line.starts_with("pub") && !line.starts_with("struct") && !line.starts_with("enum")
                })
                .find_map(|line| line.strip_prefix("#[schema(as = ")?.split([')', ',']).next());
            let declared = after().find_map(|line| {
                let line = ["pub(crate) ", "pub(super) ", "pub "]
                    .iter()
                    .find_map(|seen| line.strip_prefix(seen))
                    .unwrap_or(line);
                let rest = line.strip_prefix("struct ").or(line.strip_prefix("enum "))?;
                rest.split(|c: char| !c.is_alphanumeric()).next()
            });
            let Some(name) = given.or(declared).filter(|name| !name.is_empty()) else { continue };
            if let Some(other) = names.insert(name.to_owned(), path.clone()) {
                panic!("{name} is declared in {} and in {}", other.display(), path.display());
            }
        }
    }
    assert!(names.len() > 20, "{names:?}");
}

/// Every problem code that the product may answer is explained to whoever writes a client.
#[test]
fn every_problem_code_is_documented() {
    let table =
        std::fs::read_to_string(workspace().join("crates/http/README.md")).expect("the table of codes");
    let mut codes = BTreeSet::new();
    for (_, text) in sources() {
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for call in ["Problem::new(", "Self::new(", "bad_request(", "unprocessable("] {
            for (at, _) in shipped.match_indices(call) {
                let arguments: String = shipped[at + call.len()..].chars().take(160).collect();
                let Some(code) = arguments.split('"').nth(1) else { continue };
                let before = arguments.split('"').next().unwrap_or_default();
                let kebab =
                    code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && code.len() > 3;
                if kebab && !before.contains([';', '{']) {
                    codes.insert(code.to_owned());
                }
            }
        }
    }
    assert!(codes.len() > 20, "{codes:?}");
    let first_columns = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let explained: String = first_columns.collect::<Vec<_>>().join("\n");
    let missing: Vec<&String> =
        codes.iter().filter(|code| !explained.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "crates/http/README.md does not explain {missing:?}");
}
