//! `sts_emp` (root `STS_EDT`): the school, its staff, its subjects.

use std::collections::BTreeMap;

use crate::xml::Visit;

/// What the file says, as far as a timetable needs it.
#[derive(Debug, Default)]
pub struct Down {
    /// The school.
    pub uai: String,
    /// Subject code → label, the edited one when there is one.
    pub subjects: BTreeMap<String, String>,
    /// `INDIVIDU@ID` → who.
    pub individuals: BTreeMap<String, Individual>,
    at: String,
}

/// A member of staff.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Individual {
    /// Usual family name.
    pub last_name: String,
    /// Given name.
    pub first_name: String,
}

impl Visit for Down {
    fn open(&mut self, path: &[&str], attribute: &dyn Fn(&str) -> Option<String>) {
        match path {
            [_, "PARAMETRES", "UAJ"] => self.uai = attribute("CODE").unwrap_or_default(),
            [_, "NOMENCLATURES", "MATIERES", "MATIERE"] => self.at = attribute("CODE").unwrap_or_default(),
            [_, "DONNEES", "INDIVIDUS" | "SUPPLEANTS", _] => self.at = attribute("ID").unwrap_or_default(),
            _ => {}
        }
    }

    fn close(&mut self, path: &[&str], text: &str) {
        if self.at.is_empty() || text.is_empty() {
            return;
        }
        match path {
            [_, "NOMENCLATURES", "MATIERES", "MATIERE", name] => match *name {
                "LIBELLE_EDITION" => {
                    self.subjects.insert(self.at.clone(), text.to_owned());
                }
                "LIBELLE_LONG" | "LIBELLE_COURT" => {
                    self.subjects.entry(self.at.clone()).or_insert_with(|| text.to_owned());
                }
                _ => {}
            },
            [_, "DONNEES", "INDIVIDUS" | "SUPPLEANTS", _, name] => {
                let individual = self.individuals.entry(self.at.clone()).or_default();
                match *name {
                    "NOM_USAGE" => individual.last_name = text.to_owned(),
                    "PRENOM" => individual.first_name = text.to_owned(),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
