//! How a browser's return from a desk ends.

use preau_db::DbError;
use preau_kernel::{RoleSet, SchoolId};
use preau_overload::Place;

use super::{AccountState, Kind};
use crate::SignedIn;

/// How a browser's return from a desk ends.
#[derive(Debug)]
pub enum Arrival {
    /// In.
    In {
        /// The person, with the tokens.
        signed_in: Box<SignedIn>,
        /// Where the person was going.
        to: String,
    },
    /// Whoever it is has a second factor, and shows it next.
    Prove {
        /// What is asked.
        asked: Box<crate::second_factor::Asked>,
        /// Where the person was going.
        to: String,
    },
    /// Several accounts: the person says which.
    Choose {
        /// What the browser keeps until then, in a cookie.
        cookie: String,
        /// Among whom, in the order of the choice.
        people: Vec<Candidate>,
    },
    /// The desk identified somebody whom no directory of ours knows.
    Unknown {
        /// What kind of desk: it says what to do next.
        kind: Kind,
    },
    /// Somebody who may not come in.
    Shut(AccountState),
    /// The desk has identified somebody, and there is no room: the same answer goes on by
    /// [`Federation::resume`](super::Federation::resume).
    Later(Box<Later>),
    /// The answer is not believed, or was used before: sign-in starts again.
    Again {
        /// Why, for the log and for whoever runs the desk.
        code: &'static str,
    },
}

/// Somebody who has been to the desk and must wait all the same.
#[derive(Debug)]
pub struct Later {
    /// What the browser keeps until then, in a cookie, for so many seconds.
    pub cookie: (String, i64),
    /// Where they wait; none where nobody gives places.
    pub place: Option<Place>,
    /// Why they wait.
    pub why: Why,
}

/// Why somebody whom a desk has identified waits.
#[derive(Debug)]
pub enum Why {
    /// It is not their turn.
    Turn,
    /// They are not what they had said, or the place had let somebody in: this is another.
    Place,
    /// A store has no room, or does not answer.
    Store(DbError),
}

/// One account among several.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Names of schools, with the roles there.
    pub schools: Vec<(SchoolId, String, RoleSet)>,
}

impl Arrival {
    /// Counted and logged: `code` says why the answer is not believed.
    pub(super) fn again(code: &'static str) -> Self {
        metrics::counter!("preau_federation_refused_total", "code" => code).increment(1);
        tracing::info!(code, "an answer of a desk was not believed");
        Self::Again { code }
    }
}
