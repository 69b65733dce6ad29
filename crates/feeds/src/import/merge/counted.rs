//! What the merge would do, in numbers and in a few examples.

use std::collections::{BTreeSet, HashMap, HashSet};

use preau_db::TerritoryTx;
use preau_kernel::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Part;
use crate::import::current::Current;
use crate::import::diff::{Changes, Scope};
use crate::import::people::Resolved;
use crate::import::roster::Person;
use crate::import::verdict::Counts;
use crate::import::{Error, holds};

/// Ids or lines shown of one kind of change.
const SAMPLES: usize = 5;

impl Part<'_> {
    pub(super) async fn counts(
        &self,
        tx: &mut TerritoryTx,
        (changes, current): (&Changes, &Current),
        (resolved, elsewhere): (&Resolved, &HashSet<Uuid>),
        scope: &Scope,
    ) -> Result<Counts, Error> {
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let gone: BTreeSet<Uuid> = changes.ended.iter().map(|(id, _)| *id).collect();
        let joined: BTreeSet<Uuid> = changes.joined.iter().map(|(id, _)| *id).collect();
        let active = |id: Uuid, role| current.is_active(id, role);
        let arrived =
            joined.iter().filter(|id| !Role::ALL.into_iter().any(|role| active(**id, role))).copied();
        let (created, arrived): (Vec<Uuid>, Vec<Uuid>) = arrived.partition(|id| resolved.fresh.contains(id));
        let pupils_left =
            changes.ended.iter().filter(|(id, role)| *role == Role::Pupil && !elsewhere.contains(id)).count();
        let (mut pupils_before, mut members_before) = (0, 0);
        if scope.touched.is_some() {
            if let Some(id) = self.found.id {
                (pupils_before, members_before) = holds::members_before(tx, id).await?;
            }
        } else {
            let feed = current.memberships.iter().filter(|(_, member)| !member.ended && !member.by_hand);
            for ((_, role), _) in feed {
                members_before += 1;
                pupils_before += u64::from(*role == Role::Pupil);
            }
        }
        Ok(Counts {
            created: count(created.len()),
            arrived: count(arrived.len()),
            updated: count(
                changes.changed.iter().filter(|id| !joined.contains(id) && !gone.contains(id)).count(),
            ),
            moved: count(gone.iter().filter(|id| elsewhere.contains(id)).count()),
            left: count(gone.iter().filter(|id| !elsewhere.contains(id)).count()),
            pupils_left: count(pupils_left),
            pupils_before,
            members_before,
            new_administrators: count(
                changes.joined.iter().filter(|(_, role)| *role == Role::SchoolAdmin).count(),
            ),
        })
    }

    /// The first few of each kind of change: file and line where the delivery says it, internal ids where it does not.
    pub(super) fn samples(
        &self,
        people: &[Person],
        resolved: &Resolved,
        changes: &Changes,
        elsewhere: &HashSet<Uuid>,
    ) -> Value {
        let by_id: HashMap<Uuid, &Person> = people
            .iter()
            .filter_map(|person| Some((resolved.directory.get(&person.join_key)?.id, person)))
            .collect();
        let joined: BTreeSet<Uuid> = changes.joined.iter().map(|(id, _)| *id).collect();
        let gone: BTreeSet<Uuid> = changes.ended.iter().map(|(id, _)| *id).collect();
        let admins = changes.joined.iter().filter(|(_, role)| *role == Role::SchoolAdmin).map(|(id, _)| *id);
        let kinds: [(&str, Vec<Uuid>); 6] = [
            ("new_administrator", admins.take(SAMPLES).collect()),
            (
                "created",
                joined.iter().filter(|id| resolved.fresh.contains(id)).take(SAMPLES).copied().collect(),
            ),
            (
                "arrived",
                joined.iter().filter(|id| !resolved.fresh.contains(id)).take(SAMPLES).copied().collect(),
            ),
            (
                "updated",
                changes
                    .changed
                    .iter()
                    .filter(|id| !joined.contains(id) && !gone.contains(id))
                    .take(SAMPLES)
                    .copied()
                    .collect(),
            ),
            ("moved", gone.iter().filter(|id| elsewhere.contains(id)).take(SAMPLES).copied().collect()),
            ("left", gone.iter().filter(|id| !elsewhere.contains(id)).take(SAMPLES).copied().collect()),
        ];
        let one = |kind: &str, id: Uuid| match by_id.get(&id) {
            Some(person) => {
                let place = self.delivery.place(person.file_no, person.line);
                json!({ "kind": kind, "file": place.file, "line": place.line })
            }
            None => json!({ "kind": kind, "person_id": id }),
        };
        kinds.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| one(kind, *id))).collect()
    }
}
