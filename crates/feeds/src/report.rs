//! What an import tells its operator: counts, warnings with places, header facts. No name of a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::Place;

/// Places kept for one kind of warning; the count goes on.
const SAMPLES: usize = 5;
/// Distinct unknown attributes and schools kept; beyond, a file is hostile rather than new.
const DISTINCT: usize = 500;

/// The report of one import. It holds structure: codes, places, counts, keys of schools; never a person's data.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Report {
    /// One entry a file read, in reading order.
    pub files: Vec<FileFacts>,
    /// Records read, by kind (`pupil`, `school`…), plus what the merge counted (`person_new`, `lesson_gone`…).
    pub counts: BTreeMap<String, u64>,
    /// Warnings by code.
    pub warnings: BTreeMap<String, Warning>,
    /// Attributes that no version of the annex known here describes, with how often they came.
    pub unknown_attributes: BTreeMap<String, u64>,
    /// Rows that the merge inserted or changed, by table. All zero when the same files come twice.
    pub rows_written: BTreeMap<String, u64>,
    /// Schools merged and schools that failed.
    pub schools: Schools,
    /// Nothing was written: this is what would have been.
    #[serde(default)]
    pub dry_run: bool,
}

/// What one file said about itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct FileFacts {
    /// Its name, without folders.
    pub name: String,
    /// The encoding it was read in.
    pub encoding: String,
    /// Records found in it.
    pub records: u64,
    /// Facts from its comments: `versionAF`, `codeAcademieExport`, `dateGenerationExport`…
    pub header: BTreeMap<String, String>,
}

/// One kind of warning.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Warning {
    /// How often.
    pub count: u64,
    /// The first few places.
    pub samples: Vec<Sample>,
}

/// One place of a warning, and the attribute, school key or code concerned.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Sample {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// The attribute, structure key or code concerned; never a person's data.
    pub about: String,
}

/// Progress of the merge by school.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Schools {
    /// Merged and committed in this run.
    pub merged: u64,
    /// Already merged by an earlier, interrupted run of the same import.
    pub resumed: u64,
    /// Not merged; each is untouched. School key → code of the failure.
    pub failed: BTreeMap<String, String>,
    /// Not merged until a human has looked; each is untouched. School key → codes of the reasons.
    #[serde(default)]
    pub held: BTreeMap<String, Vec<String>>,
}

impl Report {
    /// Adds to a count.
    pub fn count(&mut self, kind: &str, by: u64) {
        add(&mut self.counts, kind, by);
    }

    /// Adds to the rows written in a table.
    pub fn wrote(&mut self, table: &str, rows: u64) {
        add(&mut self.rows_written, table, rows);
    }

    /// Rows written in all tables.
    pub fn rows_written_total(&self) -> u64 {
        self.rows_written.values().sum()
    }

    /// Records a warning. `about` names an attribute, a school key or a code, never a person.
    pub fn warn(&mut self, code: &str, place: Place, about: &str) {
        self.warn_many(code, 1, place, about);
    }

    /// Records `count` warnings found together.
    pub fn warn_many(&mut self, code: &str, count: u64, place: Place, about: &str) {
        let warning = match self.warnings.get_mut(code) {
            Some(warning) => warning,
            None => self.warnings.entry(code.to_owned()).or_default(),
        };
        warning.count += count;
        if warning.samples.len() < SAMPLES {
            warning.samples.push(Sample { place, about: about.chars().take(80).collect() });
        }
    }

    /// How often a warning was recorded.
    pub fn warned(&self, code: &str) -> u64 {
        self.warnings.get(code).map_or(0, |warning| warning.count)
    }

    /// Counts an attribute that is not known here.
    pub(crate) fn unknown(&mut self, name: &str) {
        let known = self.unknown_attributes.contains_key(name);
        let name: String = if known || self.unknown_attributes.len() < DISTINCT {
            name.chars().take(80).collect()
        } else {
            "…".to_owned()
        };
        add(&mut self.unknown_attributes, &name, 1);
    }

    /// What is told of a school that was left as it was: what was strange about it, not what would have been counted.
    pub(crate) fn warnings_only(self) -> Self {
        Self { warnings: self.warnings, ..Self::default() }
    }

    /// Takes over what another report gathered.
    pub fn absorb(&mut self, other: Self) {
        self.files.extend(other.files);
        for (kind, by) in other.counts {
            add(&mut self.counts, &kind, by);
        }
        for (table, rows) in other.rows_written {
            add(&mut self.rows_written, &table, rows);
        }
        for (name, times) in other.unknown_attributes {
            add(&mut self.unknown_attributes, &name, times);
        }
        for (code, warning) in other.warnings {
            let mine = self.warnings.entry(code).or_default();
            mine.count += warning.count;
            let room = SAMPLES.saturating_sub(mine.samples.len());
            mine.samples.extend(warning.samples.into_iter().take(room));
        }
        self.schools.merged += other.schools.merged;
        self.schools.resumed += other.schools.resumed;
        let room = DISTINCT.saturating_sub(self.schools.failed.len());
        self.schools.failed.extend(other.schools.failed.into_iter().take(room));
        let room = DISTINCT.saturating_sub(self.schools.held.len());
        self.schools.held.extend(other.schools.held.into_iter().take(room));
    }
}

fn add(map: &mut BTreeMap<String, u64>, key: &str, by: u64) {
    match map.get_mut(key) {
        Some(count) => *count += by,
        None => {
            map.insert(key.to_owned(), by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_bounded_and_counts_are_not() {
        let mut report = Report::default();
        for line in 1..=100 {
            report.warn("aaf-bad-date", Place::line("f.xml", line), "ENTPersonDateNaissance");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["warnings"]["aaf-bad-date"]["count"], 100);
        assert_eq!(json["warnings"]["aaf-bad-date"]["samples"].as_array().unwrap().len(), SAMPLES);
        assert_eq!(json["warnings"]["aaf-bad-date"]["samples"][0]["line"], 1);
    }
}
