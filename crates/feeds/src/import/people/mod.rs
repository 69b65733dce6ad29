//! People above schools: who a join key means, what is known of them, what they are where. All of the territory.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

mod keys;
mod write;

use std::collections::HashMap;

use chrono::NaiveDate;
use preau_db::TerritoryTx;
use preau_kernel::{TerritoryId, fold};
use uuid::Uuid;

pub(super) use self::keys::{LOCAL, Resolved, keys_of, known, not_of, resolve};
pub(super) use self::write::{memberships, sts_keys, write};
use super::current::Shown;
use super::roster::Person;
use super::{Error, present};

/// What is known of a person, whatever the school.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) last_name: String,
    pub(super) first_name: String,
    pub(super) title: String,
    pub(super) birth_on: Option<NaiveDate>,
    pub(super) ine: Option<String>,
    pub(super) siecle_id: Option<String>,
    pub(super) email: Option<String>,
    pub(super) mobile: Option<String>,
    pub(super) names_by_hand: bool,
    pub(super) email_by_hand: bool,
    pub(super) mobile_by_hand: bool,
}

/// What hands have written and a feed would have overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) names: u64,
    pub(super) emails: u64,
    pub(super) mobiles: u64,
}

/// What the person is after the delivery, and what of it a hand has kept.
pub(super) fn in_force(person: &Person, known: Option<&Master>, kept: &mut Kept) -> Master {
    let Some(known) = known else {
        return Master {
            last_name: person.last_name.clone(),
            first_name: person.first_name.clone(),
            title: person.title.clone(),
            birth_on: person.birth_on,
            ine: person.ine.clone(),
            siecle_id: person.siecle_id.clone(),
            email: person.email.clone(),
            mobile: person.mobile.clone(),
            ..Master::default()
        };
    };
    let mut next = known.clone();
    let said = |attribute: i32| person.says(attribute);
    if known.names_by_hand {
        let differs = (said(present::LAST_NAME) && person.last_name != known.last_name)
            || (said(present::FIRST_NAME) && person.first_name != known.first_name);
        kept.names += u64::from(differs);
    } else {
        if said(present::LAST_NAME) && !person.last_name.is_empty() {
            next.last_name.clone_from(&person.last_name);
        }
        if said(present::FIRST_NAME) && !person.first_name.is_empty() {
            next.first_name.clone_from(&person.first_name);
        }
    }
    if said(present::TITLE) {
        next.title.clone_from(&person.title);
    }
    if said(present::BIRTH) {
        next.birth_on = person.birth_on;
    }
    if said(present::INE) {
        next.ine.clone_from(&person.ine);
    }
    if said(present::SIECLE_ID) {
        next.siecle_id.clone_from(&person.siecle_id);
    }
    if said(present::EMAIL) && person.email != known.email {
        if known.email_by_hand {
            kept.emails += 1;
        } else {
            next.email.clone_from(&person.email);
        }
    }
    if said(present::MOBILE) && person.mobile != known.mobile {
        if known.mobile_by_hand {
            kept.mobiles += 1;
        } else {
            next.mobile.clone_from(&person.mobile);
        }
    }
    next
}

/// The person as a school shows them.
pub(super) fn shown(master: &Master) -> Shown {
    Shown {
        last_name: master.last_name.clone(),
        first_name: master.first_name.clone(),
        title: master.title.clone(),
        search: fold(&format!("{} {}", master.last_name, master.first_name)),
    }
}

/// What is known of these people.
pub(super) async fn masters(tx: &mut TerritoryTx, ids: &[Uuid]) -> Result<HashMap<Uuid, Master>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"SELECT p.person_id AS "person_id!", p.last_name AS "last_name!", p.first_name AS "first_name!", p.title AS "title!",
                  p.birth_on, p.ine, p.siecle_id, p.email, p.mobile, p.names_origin AS "names_origin!",
                  p.email_origin AS "email_origin!", p.mobile_origin AS "mobile_origin!"
             FROM unnest($2::uuid[]) AS k (person_id)
            CROSS JOIN LATERAL (
                SELECT * FROM person t WHERE t.territory_id = $1 AND t.person_id = k.person_id LIMIT 1) AS p"#,
        tx.territory() as TerritoryId,
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let masters = rows.into_iter().map(|row| {
        let master = Master {
            last_name: row.last_name,
            first_name: row.first_name,
            title: row.title,
            birth_on: row.birth_on,
            ine: row.ine,
            siecle_id: row.siecle_id,
            email: row.email,
            mobile: row.mobile,
            names_by_hand: row.names_origin == "hand",
            email_by_hand: row.email_origin == "hand",
            mobile_by_hand: row.mobile_origin == "hand",
        };
        (row.person_id, master)
    });
    Ok(masters.collect())
}
