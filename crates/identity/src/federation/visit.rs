//! The desk by which somebody comes: it goes with a sign-in until the session is written, through the second factor too.

use preau_session::ByDesk;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{name_hash, sealed::Guest};
use crate::Error;

/// A desk, with its own names for the person and for the session there: what signing out everywhere needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Visit {
    desk: Uuid,
    guest: Guest,
}

impl Visit {
    /// Nothing when the desk gave no name: it could name nobody when it signs out.
    pub(super) fn of(desk: Uuid, guest: &Guest) -> Option<Self> {
        (!guest.value.is_empty()).then(|| Self { desk, guest: guest.clone() })
    }

    /// As it is written beside the session.
    pub(crate) fn by_desk(&self) -> Result<ByDesk, Error> {
        let Self { desk, guest } = self;
        let name_id = serde_json::to_value(guest)
            .map_err(|_| preau_db::DbError::Corrupt("a desk's name for somebody has no JSON"))?;
        Ok(ByDesk {
            provider: *desk,
            name_hash: name_hash(&guest.value),
            name_id,
            session_index: guest.session.clone(),
        })
    }

    /// Whether it fits into what a browser carries through the second factor: some 4,096 bytes, most of them the question
    /// for a passkey.
    pub(super) fn is_light(&self) -> bool {
        const MOST_BYTES: usize = 600;
        let Guest { value, format, qualifier, service, session } = &self.guest;
        [value, format, qualifier, service, session].into_iter().map(String::len).sum::<usize>() <= MOST_BYTES
    }
}
