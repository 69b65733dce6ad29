//! How many people each school has, known to every node by heart and re-read now and then.

use std::collections::{BTreeMap, HashMap};

use chrono_tz::Tz;
use preau_kernel::{SchoolId, TerritoryId};

use crate::{lanes::Fairness, tags};

/// A school, for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterRow {
    /// The school.
    pub school: SchoolId,
    /// Its territory: the bulkhead.
    pub territory: TerritoryId,
    /// People who may sign in.
    pub people: u32,
    /// A primary school: guardians sign in for their children.
    pub primary: bool,
    /// Where its clock is.
    pub tz: Tz,
}

/// Every school.
#[derive(Clone, Debug)]
pub struct Roster {
    rows: HashMap<SchoolId, RosterRow>,
    /// People and schools of each territory.
    sums: BTreeMap<TerritoryId, (u64, u32)>,
    elsewhere: TerritoryId,
}

impl Roster {
    /// From the directory's rows. `elsewhere` is the territory of those who name no school: the installation's only or
    /// first one.
    pub fn new(rows: impl IntoIterator<Item = RosterRow>, elsewhere: TerritoryId) -> Self {
        let mut sums: BTreeMap<TerritoryId, (u64, u32)> = BTreeMap::new();
        let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.school, row)).collect();
        for row in rows.values() {
            let sum = sums.entry(row.territory).or_default();
            *sum = (sum.0 + u64::from(row.people), sum.1 + 1);
        }
        Self { rows, sums, elsewhere }
    }

    /// A school.
    pub fn get(&self, school: SchoolId) -> Option<&RosterRow> {
        self.rows.get(&school)
    }

    /// The territory of a school, or that of those who name none.
    pub fn territory_of(&self, school: Option<SchoolId>) -> TerritoryId {
        school.and_then(|school| self.get(school)).map_or(self.elsewhere, |row| row.territory)
    }

    /// People of a territory: its share of what the installation can admit.
    pub fn weight(&self, territory: TerritoryId) -> u64 {
        self.sums.get(&territory).map_or(1, |&(people, _)| people.max(1))
    }

    /// Territories that have schools.
    pub fn territories(&self) -> impl Iterator<Item = TerritoryId> + '_ {
        self.sums.keys().copied()
    }

    /// Schools known.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no school is known.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Tags between two people of a school. An unknown school counts as an average one of the territory.
    pub fn step(&self, school: Option<SchoolId>, fairness: Fairness) -> u64 {
        let territory = self.territory_of(school);
        let (people, schools) = self.sums.get(&territory).copied().unwrap_or((0, 0));
        let mean = u32::try_from(people / u64::from(schools.max(1))).unwrap_or(u32::MAX);
        match fairness {
            Fairness::Fifo => tags::step(u32::try_from(people).unwrap_or(u32::MAX)),
            Fairness::RoundRobin => tags::step(mean),
            Fairness::Roster => {
                tags::step(school.and_then(|school| self.get(school)).map_or(mean, |row| row.people))
            }
        }
    }
}
