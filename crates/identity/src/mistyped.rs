//! Wrong secrets of the last minutes, on this node: people type the same mistake again, and it need not be hashed again
//! (`reference/overload.md` §B.6).
//!
//! What is kept can only say no, and only to the same secret under the same stored hash: a password that has changed is
//! hashed. A name that nobody has, or an account without a password, is remembered like any other, so a quick answer says
//! that this secret was tried here lately. One that is slow again within ten minutes says, to whoever asked before and met the same
//! node, that the password has changed meanwhile; each asking is a failure that counts.

use std::time::Duration as Life;

use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, Mac};
use moka::{policy::EvictionPolicy, sync::Cache};
use preau_kernel::Clock;
use sha2::Sha256;

use crate::backoff::IdentifierHash;

/// Under a key that no other node has and that ends with the process: a dump of the cache is no list to guess against.
pub(crate) struct Mistyped {
    clock: Clock,
    /// Without randomness there is none, and nothing is remembered.
    key: Option<[u8; 32]>,
    /// Until when each is believed.
    wrong: Cache<Mark, DateTime<Utc>>,
}

/// Half of a MAC: two that are the same by chance will not be seen.
pub(crate) type Mark = [u8; 16];

const BELIEVED: Life = Life::from_secs(600);
/// All of one size, some 200 bytes with what the cache adds: 10 MB at most.
const MOST: u64 = 50_000;

impl Mistyped {
    pub(crate) fn new(clock: Clock) -> Self {
        let mut key = [0; 32];
        let key = getrandom::fill(&mut key).is_ok().then_some(key);
        // The oldest leave first: whoever floods it with guesses must not keep newcomers out.
        let wrong = Cache::builder()
            .max_capacity(MOST)
            .time_to_live(BELIEVED)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { clock, key, wrong }
    }

    /// What stands for this secret of this identifier, as long as its stored hash (which has a salt of its own) is this one.
    /// Login names are of one installation, so the territory is in the identifier.
    pub(crate) fn mark(
        &self,
        identifier: &IdentifierHash,
        stored: Option<&str>,
        secret: &str,
    ) -> Option<Mark> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_ref()?).ok()?;
        mac.update(identifier);
        let stored = stored.unwrap_or_default();
        mac.update(&u64::try_from(stored.len()).ok()?.to_be_bytes());
        mac.update(stored.as_bytes());
        mac.update(secret.as_bytes());
        mac.finalize().into_bytes().first_chunk().copied()
    }

    /// Whether it was hashed within the last ten minutes, and was wrong.
    pub(crate) fn knows(&self, mark: &Mark) -> bool {
        self.wrong.get(mark).is_some_and(|until| self.clock.now() < until)
    }

    pub(crate) fn remember(&self, mark: Mark) {
        let life = Duration::from_std(BELIEVED).unwrap_or_default();
        self.wrong.insert(mark, self.clock.now() + life);
    }
}

#[cfg(test)]
mod tests {
    use preau_kernel::ManualClock;

    use super::*;

    fn mistyped() -> (Mistyped, ManualClock) {
        let (clock, hands) = ManualClock::at("2026-09-07T06:00:00Z".parse().unwrap());
        (Mistyped::new(clock), hands)
    }

    #[test]
    fn it_knows_one_secret_of_one_identifier_under_one_hash_for_ten_minutes() {
        let (mistyped, hands) = mistyped();
        let mark = |who: u8, stored, secret| mistyped.mark(&[who; 32], stored, secret).unwrap();
        mistyped.remember(mark(1, Some("ab"), "cd"));
        assert!(mistyped.knows(&mark(1, Some("ab"), "cd")));
        for other in [
            mark(2, Some("ab"), "cd"),
            mark(1, Some("ac"), "cd"),
            mark(1, None, "cd"),
            mark(1, Some("ab"), "ce"),
            mark(1, Some("abc"), "d"),
            mark(1, Some("a"), "bcd"),
            mark(1, None, "abcd"),
        ] {
            assert!(!mistyped.knows(&other));
        }
        hands.advance(Duration::seconds(599));
        assert!(mistyped.knows(&mark(1, Some("ab"), "cd")));
        hands.advance(Duration::seconds(1));
        assert!(!mistyped.knows(&mark(1, Some("ab"), "cd")));
    }

    #[test]
    fn two_processes_agree_on_nothing_and_what_is_kept_is_bounded() {
        let ((one, _), (other, _)) = (mistyped(), mistyped());
        assert_ne!(one.mark(&[1; 32], None, "x"), other.mark(&[1; 32], None, "x"));
        for number in 0..MOST + 5_000 {
            one.remember(one.mark(&[1; 32], None, &number.to_string()).unwrap());
        }
        one.wrong.run_pending_tasks();
        assert!(one.wrong.entry_count() <= MOST);
        let last = one.mark(&[1; 32], None, &(MOST + 4_999).to_string()).unwrap();
        assert!(one.knows(&last), "the oldest left, not the newest");
    }
}
