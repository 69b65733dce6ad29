//! A lint of every statement that `query!` knows (`.sqlx`), against the tables that belong to a school.
//!
//! It reads words, not grammar: it catches the statement that forgot its school, not the one that cheats.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::place::Place;
use crate::prepare;

#[derive(Deserialize)]
struct Cached {
    query: String,
}

/// Written in a statement of the owner or of a territory that must see all schools; the reason follows.
const EVERY_SCHOOL: &str = "every school:";

pub(crate) fn check(place: &Place, tenant_tables: &[&str]) -> Result<()> {
    let mut faults = Vec::new();
    let mut read = 0;
    for (name, content) in prepare::cached(&place.root.join(".sqlx"))? {
        let cached: Cached = serde_json::from_slice(&content).with_context(|| name.clone())?;
        read += 1;
        if let Some(fault) = fault(&cached.query, tenant_tables) {
            let shown: String =
                cached.query.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(160).collect();
            faults.push(format!("{fault}: {shown}"));
        }
    }
    for file in prepare::sources(place)? {
        let text = std::fs::read_to_string(&file)?;
        if text.contains(".persistent(false)") && !is_this_file(&file) {
            faults.push(format!(
                "{}: .persistent(false) reads other clients' answers through a pooler",
                file.display()
            ));
        }
    }
    if !faults.is_empty() {
        bail!("statements:\n  {}", faults.join("\n  "));
    }
    println!("  {read} statements read");
    Ok(())
}

fn is_this_file(file: &Path) -> bool {
    file.ends_with("xtask/src/queries.rs")
}

fn fault(query: &str, tenant_tables: &[&str]) -> Option<&'static str> {
    let query = query.to_lowercase();
    let words: Vec<&str> = crate::sql::words(&query).collect();
    let count = |wanted: &str| words.iter().filter(|word| **word == wanted).count();
    if let Some((_, update)) = query.split_once("do update set")
        && ["now()", "clock_timestamp()", "current_timestamp", "random()", "gen_random_uuid()"]
            .iter()
            .any(|it| update.contains(it))
    {
        return Some("a shard refuses now() after DO UPDATE SET; write excluded.x");
    }
    if query.contains(EVERY_SCHOOL) {
        return None;
    }
    // `FROM class c`, `JOIN class`, `INTO class`, `UPDATE class`: a table named after one of these is read or written.
    let tables = words
        .windows(2)
        .filter(|pair| matches!(pair, [verb, table] if ["from", "join", "into", "update"].contains(verb) && tenant_tables.contains(table)))
        .count();
    if tables > 0 && count("school_id") < tables {
        return Some("a tenant table without its school_id, which every join repeats");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_the_school_once_a_table() {
        let tables = ["class", "pupil"];
        for (query, fine) in [
            ("SELECT name FROM class WHERE school_id = $1", true),
            ("SELECT name FROM class WHERE class_id = $1", false),
            ("SELECT 1 FROM class c JOIN pupil p ON p.school_id = c.school_id WHERE c.school_id = $1", true),
            ("SELECT 1 FROM class c JOIN pupil p USING (class_id) WHERE c.school_id = $1", false),
            ("SELECT count(*) FROM class -- every school: the territory's counter", true),
            (
                "INSERT INTO class (school_id, name) VALUES ($1, $2) ON CONFLICT (school_id) DO UPDATE SET at = now()",
                false,
            ),
            ("SELECT person_id FROM login WHERE login = $1", true),
        ] {
            assert_eq!(fault(query, &tables).is_none(), fine, "{query}");
        }
    }
}
