//! What somebody studies, or their children do: all that decides when they may come when not everybody can at once.

mod queries;

use preau_db::{Db, DbError};
use preau_kernel::{ClassId, Level, PersonId, Role, RoleSet, SchoolId, TerritoryId};

/// What a pupil studies; for a guardian, what the youngest of their children in this school does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Studies {
    /// The programme code (MEF). Where a feed gives a level without a code, the level's plain one. `None` for somebody who
    /// neither studies nor has a child here.
    pub mef: Option<String>,
    /// Its level, where the code or the words of the feed tell.
    pub level: Option<Level>,
    /// Codes of the other children of the family, in this school and in the others of the territory: one a level, the
    /// youngest first, [`MOST_SIBLINGS`] at most. Empty unless asked for.
    pub siblings: Vec<String>,
    /// The class.
    pub class: Option<ClassId>,
    /// Whether the school or the level is of the first degree: there the guardian signs in for the child.
    pub primary: bool,
}

/// Children of a family beside the first, at most.
pub const MOST_SIBLINGS: usize = 3;
/// Other schools of a family that are looked at, at most.
const MOST_SCHOOLS: i64 = 4;

/// A child as a school keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// Whether it is the person asked about, or one's own child: not a brother or a sister.
    pub(crate) own: bool,
    pub(crate) mef_code: String,
    pub(crate) level: String,
    pub(crate) class: Option<ClassId>,
}

/// What `person`, who has these `roles` in `school`, studies. With `family`, brothers and sisters too: a statement more, and
/// one for each other school of the family.
///
/// # Errors
/// Any [`DbError`].
pub async fn studies_of(
    db: &Db,
    (territory, school): (TerritoryId, SchoolId),
    (person, roles): (PersonId, RoleSet),
    family: bool,
) -> Result<Studies, DbError> {
    if !roles.has(Role::Pupil) && !roles.has(Role::Guardian) {
        return Ok(Studies::default());
    }
    let mut tx = db.in_school_for_work(school).await?;
    let found = queries::children(&mut tx, person, roles.has(Role::Pupil)).await?;
    tx.commit().await?;
    let mut children = found.children;
    if family && !found.guardians.is_empty() {
        let mut tx = db.in_territory_for_work(territory).await?;
        let elsewhere = queries::other_schools(&mut tx, &found.guardians, school, MOST_SCHOOLS).await?;
        tx.commit().await?;
        for other in elsewhere {
            let mut tx = db.in_school_for_work(other).await?;
            children.extend(queries::children_of(&mut tx, &found.guardians).await?);
            tx.commit().await?;
        }
    }
    Ok(gathered(&children, found.primary_school, family))
}

/// Makes one answer of the children of a family.
fn gathered(children: &[Child], primary_school: bool, family: bool) -> Studies {
    let mut known: Vec<(Option<Level>, String, &Child)> = children
        .iter()
        .map(|child| {
            let level = Level::of_mef(&child.mef_code).or_else(|| Level::of_words(&child.level));
            let code = if child.mef_code.is_empty() {
                level.map(|level| level.plain_code().to_owned()).unwrap_or_default()
            } else {
                child.mef_code.clone()
            };
            (level, code, child)
        })
        .collect();
    // Nobody's level comes last.
    known.sort_by_key(|(level, code, _)| (level.is_none(), *level, code.clone()));
    let own = known.iter().find(|(_, _, child)| child.own);
    let (level, mef, class) =
        own.map_or((None, String::new(), None), |(level, code, child)| (*level, code.clone(), child.class));
    let mut siblings: Vec<(Option<Level>, String)> = Vec::new();
    for (other, code, _) in known.iter().filter(|_| family) {
        let counted = code.is_empty() || *other == level || siblings.iter().any(|(known, _)| known == other);
        if !counted && siblings.len() < MOST_SIBLINGS {
            siblings.push((*other, code.clone()));
        }
    }
    Studies {
        mef: (!mef.is_empty()).then_some(mef),
        level,
        siblings: siblings.into_iter().map(|(_, code)| code).collect(),
        class,
        primary: primary_school || level.is_some_and(Level::is_primary),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(own: bool, mef_code: &str, level: &str) -> Child {
        Child { own, mef_code: mef_code.to_owned(), level: level.to_owned(), class: None }
    }

    #[test]
    fn a_pupil_studies_what_their_code_says_and_the_family_comes_youngest_first() {
        let family = [
            child(false, "20010014110", "2NDE GENERALE"),
            child(true, "10310019110", "3EME"),
            child(false, "", "CM2"),
            child(false, "10310019119", "3EME"),
        ];
        let with = gathered(&family, false, true);
        assert_eq!(
            (with.level, with.mef.as_deref(), with.primary),
            (Some(Level::Troisieme), Some("10310019110"), false)
        );
        assert_eq!(with.siblings, ["00310002220", "20010014110"], "one a level, the own one aside");
        assert_eq!(gathered(&family, false, false).siblings, [""; 0]);
    }

    #[test]
    fn a_guardian_follows_the_youngest_child() {
        let children = [child(true, "", "CE2"), child(true, "", "Moyenne section"), child(true, "", "")];
        let studies = gathered(&children, true, false);
        assert_eq!((studies.level, studies.primary), (Some(Level::Maternelle), true));
    }

    #[test]
    fn a_level_without_a_code_has_a_plain_one_and_nothing_has_none() {
        assert_eq!(gathered(&[child(true, "", "CM2")], false, false).mef.as_deref(), Some("00310002220"));
        let unknown = gathered(&[child(true, "", "ULIS")], false, true);
        assert_eq!((unknown.mef, unknown.level, unknown.primary), (None, None, false));
        assert_eq!(gathered(&[], true, true).mef, None);
    }
}
