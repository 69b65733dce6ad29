//! The school itself: found, made, or brought up to date.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::TerritoryTx;
use preau_kernel::{SchoolId, TerritoryId};

use crate::fault::Place;
use crate::import::keep::Delivery;
use crate::import::staged::{self, StagedSchool};
use crate::import::{Error, Import, present};
use crate::report::Report;

/// A school as it was found.
pub(super) struct Found {
    /// `None` in a dry run of a school that is not there yet.
    pub(super) id: Option<SchoolId>,
    /// Made by this transaction: it holds nothing.
    pub(super) new: bool,
    pub(super) uai: String,
    pub(super) name: String,
}

/// The school of a key, made or brought up to date.
pub(super) async fn found(
    tx: &mut TerritoryTx,
    import: &Import,
    (delivery, key): (&Delivery, &str),
    about: Option<&StagedSchool>,
    report: &mut Report,
) -> Result<Result<Found, &'static str>, Error> {
    let Some(about) = about.filter(|about| matches!(about.op.as_str(), "add" | "known")) else {
        let Some(id) = staged::school_of_key(tx, &delivery.academy, key).await? else {
            return Ok(Err("feed-school-not-staged"));
        };
        if let Some(about) = about
            && !import.dry_run
        {
            change(tx, import, id, about, report).await?;
        }
        let row = sqlx::query!(
            "SELECT uai, name FROM school WHERE territory_id = $1 AND school_id = $2",
            tx.territory() as TerritoryId,
            id as SchoolId,
        )
        .fetch_optional(tx.conn())
        .await?;
        return Ok(match row {
            Some(row) => Ok(Found { id: Some(id), new: false, uai: row.uai, name: row.name }),
            None => Err("feed-school-not-staged"),
        });
    };
    let owner = sqlx::query!(
        r#"SELECT school_id AS "school: SchoolId", territory_id AS "territory: TerritoryId", name FROM school WHERE uai = $1"#,
        about.uai,
    )
    .fetch_optional(tx.conn())
    .await?;
    if owner.as_ref().is_some_and(|owner| owner.territory != tx.territory()) {
        return Ok(Err("feed-school-of-another-territory"));
    }
    let mut found = Found {
        id: owner.as_ref().map(|owner| owner.school),
        new: owner.is_none(),
        uai: about.uai.clone(),
        name: about.name.clone(),
    };
    if about.op == "known" {
        let Some(owner) = owner else { return Ok(Err("feed-school-not-known")) };
        found.name = owner.name;
        return Ok(Ok(found));
    }
    if import.dry_run {
        return Ok(Ok(found));
    }
    let done = sqlx::query!(
        "INSERT INTO school AS t (school_id, territory_id, uai, name, kind, tz, holiday_zone, city, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         ON CONFLICT (uai)
         DO UPDATE SET name = excluded.name, kind = excluded.kind, tz = excluded.tz,
                       holiday_zone = excluded.holiday_zone, city = excluded.city, updated_at = excluded.updated_at
          WHERE (t.name, t.kind, t.tz, t.holiday_zone, t.city)
                IS DISTINCT FROM (excluded.name, excluded.kind, excluded.tz, excluded.holiday_zone, excluded.city)",
        import.clock.mint::<SchoolId>() as SchoolId,
        tx.territory() as TerritoryId,
        about.uai,
        about.name,
        about.kind,
        about.tz,
        about.holiday_zone,
        about.city,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("school", done.rows_affected());
    found.id = sqlx::query_scalar!(
        r#"SELECT school_id AS "id: SchoolId" FROM school WHERE territory_id = $1 AND uai = $2"#,
        tx.territory() as TerritoryId,
        about.uai,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(id) = found.id {
        staged::remember_key(tx, &delivery.academy, key, id).await?;
    }
    Ok(Ok(found))
}

/// What a delta changes of a school's own row. One that has left the directory keeps it: its people leave by themselves.
async fn change(
    tx: &mut TerritoryTx,
    import: &Import,
    id: SchoolId,
    about: &StagedSchool,
    report: &mut Report,
) -> Result<(), Error> {
    if about.op == "delete" {
        report.warn("feed-school-closed", Place::default(), &id.to_string());
        return Ok(());
    }
    let says = |attribute: i32| about.present & attribute != 0;
    let done = sqlx::query!(
        "UPDATE school t
            SET name = CASE WHEN $3 THEN $4 ELSE t.name END, kind = CASE WHEN $5 THEN $6 ELSE t.kind END,
                city = CASE WHEN $7 THEN $8 ELSE t.city END, updated_at = $9
          WHERE t.territory_id = $1 AND t.school_id = $2
            AND (($3 AND t.name <> $4) OR ($5 AND t.kind <> $6) OR ($7 AND t.city <> $8))",
        tx.territory() as TerritoryId,
        id as SchoolId,
        says(present::SCHOOL_NAME) && !about.name.is_empty(),
        about.name,
        says(present::SCHOOL_KIND),
        about.kind,
        says(present::SCHOOL_CITY),
        about.city,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("school", done.rows_affected());
    Ok(())
}
