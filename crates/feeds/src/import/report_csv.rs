//! The report of an import as a table that a school secretary opens: one line a school and kind of change, one a warning.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::fmt::Write as _;

use preau_db::{DbError, TerritoryTx};
use preau_http::spreadsheet;
use preau_kernel::{JobId, TerritoryId};
use serde_json::Value;

use super::verdict::Counts;
use crate::report::Report;
use crate::words;

/// The table.
#[derive(Debug)]
struct Table(String);

impl Table {
    fn new() -> Self {
        let mut table = Self(spreadsheet::MARK.to_owned());
        table.row(&[
            "établissement",
            "nom",
            "nature",
            "nombre",
            "fichier",
            "ligne",
            "identifiant",
            "explication",
        ]);
        table
    }

    fn row(&mut self, cells: &[&str]) {
        self.0.push_str(&spreadsheet::line(cells));
    }
}

const KINDS: [(&str, &str); 6] = [
    ("created", "personnes créées"),
    ("arrived", "personnes arrivées"),
    ("updated", "personnes modifiées"),
    ("moved", "personnes parties vers un autre établissement"),
    ("left", "personnes parties"),
    ("new_administrators", "nouveaux administrateurs"),
];

/// The report of a job as CSV, or `None` when it has none.
///
/// # Errors
/// Any [`DbError`].
pub(crate) async fn report_csv(tx: &mut TerritoryTx, job: JobId) -> Result<Option<String>, DbError> {
    let territory = tx.territory();
    let row = sqlx::query_scalar!(
        "SELECT report FROM job WHERE territory_id = $1 AND job_id = $2",
        territory as TerritoryId,
        job as JobId,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(Some(report)) = row else { return Ok(None) };
    let schools = sqlx::query!(
        r#"SELECT f.school_key, f.merged_at IS NOT NULL AS "merged!", f.failure,
                  CASE WHEN h.hold_id IS NULL THEN f.counts ELSE h.counts END AS "counts!",
                  CASE WHEN h.hold_id IS NULL THEN f.samples ELSE h.samples END AS "samples!",
                  h.state AS "hold?", h.reasons AS "reasons?", s.uai AS "uai?", s.name AS "name?"
             FROM feed_school f
             LEFT JOIN feed_hold h
               ON h.territory_id = f.territory_id AND h.job_id = f.job_id AND h.school_key = f.school_key
             LEFT JOIN feed_delivery d ON d.territory_id = f.territory_id AND d.job_id = f.job_id
             LEFT JOIN structure_key k
               ON k.territory_id = f.territory_id AND k.structure_key = f.school_key
              AND (d.academy IS NULL OR k.academy = d.academy)
             LEFT JOIN school s ON s.school_id = k.school_id
            WHERE f.territory_id = $1 AND f.job_id = $2
            ORDER BY f.school_key"#,
        territory as TerritoryId,
        job as JobId,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut table = Table::new();
    for row in schools {
        let uai = row.uai.as_deref().unwrap_or(&row.school_key);
        let name = row.name.as_deref().unwrap_or_default();
        let counts: Counts = serde_json::from_value(row.counts).unwrap_or_default();
        school(&mut table, (uai, name), &counts, &row.samples);
        for code in row.reasons.iter().flatten() {
            let state = match row.hold.as_deref() {
                Some("waiting") => "en attente d'une décision",
                Some("approved" | "merged") => "approuvé",
                Some("refused") => "refusé",
                _ => "remplacé par une livraison suivante",
            };
            table.row(&[uai, name, state, "", "", "", "", words::sentence(code).unwrap_or(code)]);
        }
        if let Some(code) = &row.failure {
            table.row(&[uai, name, "non importé", "", "", "", "", words::sentence(code).unwrap_or(code)]);
        }
        let quiet = counts
            == Counts {
                pupils_before: counts.pupils_before,
                members_before: counts.members_before,
                ..Counts::default()
            };
        if row.merged && quiet {
            table.row(&[uai, name, "aucun changement", "0", "", "", "", ""]);
        }
    }
    warnings(&mut table, &serde_json::from_value(report).unwrap_or_default());
    Ok(Some(table.0))
}

fn school(table: &mut Table, (uai, name): (&str, &str), counts: &Counts, samples: &Value) {
    let counts = serde_json::to_value(counts).unwrap_or_default();
    for (kind, words) in KINDS {
        let number = counts.get(kind).and_then(Value::as_u64).unwrap_or(0);
        if number > 0 {
            table.row(&[uai, name, words, &number.to_string(), "", "", "", ""]);
        }
        let of_kind = |sample: &&Value| {
            let said = sample.get("kind").and_then(Value::as_str).unwrap_or_default();
            said == kind || (kind == "new_administrators" && said == "new_administrator")
        };
        for sample in samples.as_array().into_iter().flatten().filter(of_kind) {
            let text = |key: &str| sample.get(key).and_then(Value::as_str).unwrap_or_default();
            let line =
                sample.get("line").and_then(Value::as_u64).map(|line| line.to_string()).unwrap_or_default();
            let example = format!("exemple : {words}");
            table.row(&[uai, name, &example, "", text("file"), &line, text("person_id"), ""]);
        }
    }
}

fn warnings(table: &mut Table, report: &Report) {
    for (code, warning) in &report.warnings {
        let sentence = words::sentence(code).unwrap_or(code);
        table.row(&["", "", "avertissement", &warning.count.to_string(), "", "", "", sentence]);
        for sample in &warning.samples {
            let mut line = String::new();
            if let Some(number) = sample.place.line {
                let _ = write!(line, "{number}");
            }
            table.row(&[
                "",
                "",
                "exemple d'avertissement",
                "",
                &sample.place.file,
                &line,
                &sample.about,
                sentence,
            ]);
        }
    }
}
