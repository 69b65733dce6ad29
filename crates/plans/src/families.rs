//! Who there is in a school: pupils by what they study, and what their brothers and sisters do.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use preau_db::{DbError, SchoolTx, TerritoryTx};
use preau_directory::studies::MOST_SIBLINGS;
use preau_kernel::{Level, PersonId, SchoolId, TerritoryId};

use crate::{
    Plans,
    preview::{Alike, Roster},
    queries,
};

/// Other schools of a school's families that are looked at: those with which it shares the most. A preview can do without
/// the rest; the door looks at every school of the one family that comes.
const MOST_SCHOOLS: i64 = 8;

/// A child, and whose.
pub(crate) struct Child {
    pub(crate) level: Option<Level>,
    pub(crate) guardians: Vec<PersonId>,
}

impl Plans {
    /// Counts a school's people: what `tx` sees, and the brothers and sisters that its pupils have in other schools of the
    /// territory, read in a transaction of its own.
    pub(crate) async fn count(&self, territory: TerritoryId, mut tx: SchoolTx) -> Result<Roster, DbError> {
        let school = tx.school();
        let pupils = queries::children(&mut tx, school, None).await?;
        let guardians = queries::count_guardians(&mut tx, school).await?;
        tx.commit().await?;
        let family = families(&pupils);
        let mut elsewhere = Vec::new();
        if !family.is_empty() {
            let mut tx = self.db.in_territory_for_work(territory).await?;
            elsewhere = children_elsewhere(&mut tx, school, &family).await?;
            tx.commit().await?;
        }
        Ok(Roster { pupils: alike(&pupils, &elsewhere), guardians })
    }

    /// Counts a school's people and writes it down for its territory, in one transaction: it is done after each change of a
    /// directory, and a delivery changes a thousand schools.
    pub(crate) async fn count_and_keep(
        &self,
        territory: TerritoryId,
        school: SchoolId,
    ) -> Result<(), DbError> {
        let mut tx = self.db.in_territory_for_work(territory).await?;
        tx.enter_school(school).await?;
        let pupils = queries::children(&mut tx, school, None).await?;
        let guardians = queries::count_guardians(&mut tx, school).await?;
        let family = families(&pupils);
        let elsewhere = children_elsewhere(&mut tx, school, &family).await?;
        if !family.is_empty() {
            tx.enter_school(school).await?;
        }
        let counted = Roster { pupils: alike(&pupils, &elsewhere), guardians };
        queries::replace_counter(&mut tx, (territory, school), &counted, self.clock.now()).await?;
        tx.commit().await
    }
}

/// Everybody's guardians, once.
fn families(pupils: &[Child]) -> Vec<PersonId> {
    let people: BTreeSet<PersonId> =
        pupils.iter().flat_map(|child| child.guardians.iter().copied()).collect();
    people.into_iter().collect()
}

/// The children whom these guardians have in other schools, but `school`: the transaction enters one after the other.
async fn children_elsewhere(
    tx: &mut TerritoryTx,
    school: SchoolId,
    family: &[PersonId],
) -> Result<Vec<Child>, DbError> {
    let mut children = Vec::new();
    if family.is_empty() {
        return Ok(children);
    }
    for other in queries::schools_in_common(tx, family, school, MOST_SCHOOLS).await? {
        tx.enter_school(other).await?;
        children.extend(queries::children(tx, other, Some(family)).await?);
    }
    Ok(children)
}

/// Puts together the pupils to whom any plan gives the same hours, as `studies_of` tells them at the door: one brother or
/// sister a level, never of the pupil's own, the youngest first.
fn alike(pupils: &[Child], elsewhere: &[Child]) -> Vec<Alike> {
    let mut levels: HashMap<PersonId, BTreeSet<Level>> = HashMap::new();
    for child in pupils.iter().chain(elsewhere) {
        for guardian in &child.guardians {
            levels.entry(*guardian).or_default().extend(child.level);
        }
    }
    let mut counted: BTreeMap<(Option<Level>, Vec<Level>), i64> = BTreeMap::new();
    for pupil in pupils {
        let family: BTreeSet<Level> =
            pupil.guardians.iter().filter_map(|guardian| levels.get(guardian)).flatten().copied().collect();
        let siblings =
            family.into_iter().filter(|level| Some(*level) != pupil.level).take(MOST_SIBLINGS).collect();
        *counted.entry((pupil.level, siblings)).or_default() += 1;
    }
    counted.into_iter().map(|((level, siblings), pupils)| Alike { level, siblings, pupils }).collect()
}

impl Alike {
    /// What they study in one text, for the territory's counters: the own level, empty where it is not known, then the
    /// others of the family. `6e 3e`
    pub(crate) fn words(&self) -> String {
        let mut words = self.level.map_or_else(String::new, |level| level.to_string());
        for level in &self.siblings {
            words.push(' ');
            words.push_str(level.as_str());
        }
        words
    }

    /// The other way round.
    pub(crate) fn of_words(words: &str, pupils: i64) -> Self {
        let mut levels = words.split(' ').map(|word| word.parse().ok());
        Self { level: levels.next().flatten(), siblings: levels.flatten().collect(), pupils }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn child(level: Option<Level>, guardians: &[u128]) -> Child {
        Child { level, guardians: guardians.iter().map(|id| Uuid::from_u128(*id).into()).collect() }
    }

    #[test]
    fn families_meet_through_either_parent_and_across_schools() {
        use Level::{Cm2, Seconde, Sixieme, Troisieme};
        let here = [
            child(Some(Sixieme), &[1, 2]),
            child(Some(Troisieme), &[2, 3]),
            child(Some(Sixieme), &[4]),
            child(Some(Sixieme), &[4]),
            child(Some(Sixieme), &[]),
            child(None, &[3]),
        ];
        let elsewhere = [child(Some(Seconde), &[1]), child(Some(Cm2), &[9]), child(None, &[4])];
        let told: Vec<_> =
            alike(&here, &elsewhere).into_iter().map(|one| (one.level, one.siblings, one.pupils)).collect();
        assert_eq!(
            told,
            [
                (None, vec![Troisieme], 1),
                (Some(Sixieme), vec![], 3),
                (Some(Sixieme), vec![Troisieme, Seconde], 1),
                (Some(Troisieme), vec![Sixieme], 1),
            ],
            "a twin adds nothing, nor does a stranger's child"
        );
    }

    #[test]
    fn what_is_counted_can_be_written_and_read() {
        for (level, siblings, words) in [
            (None, vec![], ""),
            (None, vec![Level::Troisieme], " 3e"),
            (Some(Level::Sixieme), vec![], "6e"),
            (Some(Level::Sixieme), vec![Level::Cm2, Level::TerminalePro], "6e cm2 terminale-pro"),
        ] {
            let one = Alike { level, siblings, pupils: 4 };
            assert_eq!(one.words(), words);
            assert_eq!(Alike::of_words(words, 4), one);
        }
    }
}
