//! The writing, in the order in which rows need one another.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use preau_db::{TerritoryTx, outbox};
use preau_kernel::{JobId, SchoolId, TerritoryId, login_stem};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Part;
use crate::import::diff::{Changes, Wanted};
use crate::import::people::{self, Master, Resolved};
use crate::import::roster::{Person, Staging};
use crate::import::verdict::Counts;
use crate::import::write::At;
use crate::import::{Error, accounts, holds, present};
use crate::report::Report;

impl Part<'_> {
    /// Writes everything: people above schools first, accounts last.
    pub(super) async fn write(
        &self,
        tx: &mut TerritoryTx,
        school: SchoolId,
        (staging, resolved, masters): (&Staging, &Resolved, &HashMap<Uuid, Master>),
        (wanted, changes, elsewhere): (&Wanted, &Changes, &HashSet<Uuid>),
        report: &mut Report,
    ) -> Result<(), Error> {
        let (import, academy) = (self.import, self.delivery.academy.as_str());
        let mut made: Vec<(Uuid, &Master)> = masters
            .iter()
            .filter(|(id, _)| resolved.fresh.contains(*id))
            .map(|(id, master)| (*id, master))
            .collect();
        made.sort_unstable_by_key(|(id, _)| *id);
        report.wrote("join_key", u64::try_from(made.len()).unwrap_or(u64::MAX));
        let mut changed: Vec<(Uuid, &Master)> = masters
            .iter()
            .filter(|(id, master)| resolved.masters.get(*id).is_some_and(|known| known != *master))
            .map(|(id, master)| (*id, master))
            .collect();
        changed.sort_unstable_by_key(|(id, _)| *id);
        people::write(tx, import, &made, &changed, report).await?;
        people::memberships(tx, import, school, changes, report).await?;
        let sts: BTreeMap<&str, Uuid> = staging
            .people
            .iter()
            .filter(|person| person.op != "delete" && person.says(present::STS_IDS))
            .filter_map(|person| Some((person, resolved.directory.get(&person.join_key)?.id)))
            .flat_map(|(person, id)| person.sts_ids.iter().map(move |sts| (sts.as_str(), id)))
            .collect();
        people::sts_keys(tx, academy, &sts, report).await?;
        At { school, now: import.clock.now() }.write(tx, changes, report).await?;

        let members: BTreeSet<Uuid> =
            wanted.roster.memberships.iter().map(|member| member.person_id).collect();
        let old: Vec<Uuid> = members.iter().filter(|id| !resolved.fresh.contains(*id)).copied().collect();
        let states = accounts::states(tx, &old).await?;
        let back: Vec<Uuid> = old
            .iter()
            .filter(|id| states.get(*id).is_some_and(|state| state == "pre-deleted" || state == "deleted"))
            .copied()
            .collect();
        accounts::restore(tx, import, &back, report).await?;
        let gone: Vec<Uuid> =
            changes.ended.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().into_iter().collect();
        accounts::revoke(tx, import, &gone, report).await?;
        let left: Vec<Uuid> = gone.into_iter().filter(|id| !elsewhere.contains(id)).collect();
        accounts::pre_delete(tx, import, &left, report).await?;
        // In the order of the delivery's keys, which numbers namesakes the same way each time.
        let stems: HashMap<Uuid, (&str, &Person)> = staging
            .people
            .iter()
            .filter_map(|person| {
                Some((resolved.directory.get(&person.join_key)?.id, (person.join_key.as_str(), person)))
            })
            .collect();
        let mut wanting: Vec<(&str, accounts::Wanting)> = members
            .iter()
            .filter(|id| !states.contains_key(*id))
            .filter_map(|id| {
                let master = masters.get(id)?;
                let (key, stem) = match stems.get(id) {
                    Some((key, person))
                        if person.login_stem.len() >= 2 && person.says(present::LAST_NAME) =>
                    {
                        (*key, person.login_stem.clone())
                    }
                    _ => ("", login_stem(&master.first_name, &master.last_name)),
                };
                // A login has two characters at least.
                let stem = if stem.len() < 2 { "compte".to_owned() } else { stem };
                Some((key, (stem, *id)))
            })
            .collect();
        wanting.sort_unstable();
        accounts::open(tx, import, wanting.into_iter().map(|(_, wanting)| wanting).collect(), report).await
    }

    pub(super) async fn finish(
        &self,
        tx: &mut TerritoryTx,
        school: SchoolId,
        (counts, samples): (&Counts, &Value),
        report: &Report,
    ) -> Result<(), Error> {
        if report.rows_written_total() > 0 {
            outbox::push(tx, &self.import.clock, school, "directory.changed", &json!({})).await?;
        }
        sqlx::query!(
            "UPDATE feed_school SET merged_at = $4, failure = NULL, counts = $5, samples = $6
              WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
            self.import.territory as TerritoryId,
            self.import.job as JobId,
            self.key,
            self.import.clock.now(),
            serde_json::to_value(counts).unwrap_or_default(),
            samples,
        )
        .execute(tx.conn())
        .await?;
        holds::merged(tx, self.import, (&self.delivery.academy, self.key), !self.delivery.delta).await
    }
}
