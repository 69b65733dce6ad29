use std::sync::atomic::AtomicUsize;

use futures::{FutureExt, future::BoxFuture, future::join_all};
use preau_kernel::ManualClock;
use proptest::prelude::*;

use super::*;

const AGES: Ages =
    Ages { fresh: TimeDelta::seconds(90), stale: TimeDelta::seconds(120), in_error: TimeDelta::seconds(600) };

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Away,
    Bug,
}

/// Copies of one key, and a database whose readings begin when they may and end as they are told.
struct Yard {
    copies: Copies<u8, u64, Fault>,
    clock: Clock,
    hands: ManualClock,
    database: Arc<Database>,
}

struct Database {
    says: AtomicI64,
    readings: AtomicUsize,
    gate: Semaphore,
}

/// What [`Database::says`] for a failure.
const AWAY: i64 = -1;
const BUG: i64 = -2;
const OPEN: usize = 1_000_000;

fn school(n: u128) -> SchoolId {
    uuid::Uuid::from_u128(n).into()
}

impl Yard {
    fn new() -> Self {
        let (clock, hands) = ManualClock::at("2026-11-23T08:00:00Z".parse().unwrap());
        let database = Arc::new(Database {
            says: AtomicI64::new(1),
            readings: AtomicUsize::new(0),
            gate: Semaphore::new(OPEN),
        });
        let copies = Copies::new(AGES, 1_000, |_| 1, |fault| *fault == Fault::Away);
        Self { copies, clock, hands, database }
    }

    fn says(&self, value: i64) {
        self.database.says.store(value, Ordering::SeqCst);
    }

    fn readings(&self) -> usize {
        self.database.readings.load(Ordering::SeqCst)
    }

    /// Readings that begin from now on do not end before [`Self::open`].
    fn shut(&self) {
        self.database.gate.forget_permits(OPEN);
    }

    fn open(&self) {
        self.database.gate.add_permits(OPEN);
    }

    fn advance(&self, seconds: i64) {
        self.hands.advance(TimeDelta::seconds(seconds));
    }

    async fn get_since(&self, change: u64) -> Result<(u64, bool), Arc<Fault>> {
        let read = || -> BoxFuture<'static, Result<u64, Fault>> {
            let database = Arc::clone(&self.database);
            async move {
                // What a statement sees is settled when it begins.
                let says = database.says.load(Ordering::SeqCst);
                database.readings.fetch_add(1, Ordering::SeqCst);
                drop(database.gate.acquire().await.unwrap());
                match says {
                    AWAY => Err(Fault::Away),
                    BUG => Err(Fault::Bug),
                    value => Ok(u64::try_from(value).unwrap()),
                }
            }
            .boxed()
        };
        let found = self.copies.get(&self.clock, school(1), change, 0, read).await?;
        Ok((*found, found.stands_in()))
    }

    async fn get(&self) -> Result<(u64, bool), Arc<Fault>> {
        self.get_since(0).await
    }

    async fn hundred(&self) -> Vec<Result<(u64, bool), Arc<Fault>>> {
        join_all((0..100).map(|_| self.get())).await
    }

    /// A hundred who come while a reading goes on.
    async fn hundred_at_once(&self) -> Vec<Result<(u64, bool), Arc<Fault>>> {
        let readings = self.readings();
        self.shut();
        let opening = async {
            self.begun(readings + 1).await;
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            self.open();
        };
        futures::join!(self.hundred(), opening).0
    }

    /// Until no reading goes on behind anybody's back.
    async fn settle(&self) {
        let tasks = &self.copies.0.tasks;
        tasks.close();
        tasks.wait().await;
        tasks.reopen();
    }

    /// Until as many readings have begun.
    async fn begun(&self, readings: usize) {
        while self.readings() < readings {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_hundred_who_come_at_the_end_of_freshness_cost_one_reading_and_wait_for_none() {
    let yard = Yard::new();
    assert!(yard.hundred().await.iter().all(|found| *found == Ok((1, false))));
    assert_eq!(yard.readings(), 1, "a cold key is read once");
    yard.advance(89);
    yard.hundred().await;
    assert_eq!(yard.readings(), 1, "fresh");
    yard.says(2);
    yard.advance(1);
    yard.shut();
    // The reading cannot end, and everybody is answered.
    assert!(yard.hundred().await.iter().all(|found| *found == Ok((1, false))));
    yard.begun(2).await;
    assert!(yard.hundred().await.iter().all(|found| *found == Ok((1, false))));
    yard.open();
    yard.settle().await;
    assert_eq!(yard.get().await, Ok((2, false)));
    assert_eq!(yard.readings(), 2);
}

#[tokio::test]
async fn past_the_bound_everybody_waits_for_one_reading() {
    let yard = Yard::new();
    yard.get().await.unwrap();
    yard.says(2);
    yard.advance(120);
    assert!(yard.hundred().await.iter().all(|found| *found == Ok((2, false))));
    assert_eq!(yard.readings(), 2);
    // A reading that goes on already is the one they wait for.
    yard.says(3);
    yard.advance(119);
    yard.shut();
    assert_eq!(yard.get().await, Ok((2, false)));
    yard.begun(3).await;
    yard.advance(1);
    let (found, ()) = futures::join!(yard.hundred(), async { yard.open() });
    assert!(found.iter().all(|found| *found == Ok((3, false))));
    assert_eq!(yard.readings(), 3);
}

#[tokio::test]
async fn a_copy_stands_in_for_a_database_that_is_away_until_it_is_too_old() {
    let yard = Yard::new();
    yard.get().await.unwrap();
    yard.says(AWAY);
    yard.advance(115);
    assert_eq!(yard.get().await, Ok((1, false)), "on an ordinary day it would be as old");
    yard.settle().await;
    assert_eq!(yard.readings(), 2);
    yard.advance(5);
    yard.shut();
    assert!(yard.hundred().await.iter().all(|found| *found == Ok((1, true))), "nobody waits for a failure");
    yard.open();
    yard.settle().await;
    assert_eq!(yard.readings(), 3);
    // Whoever comes when nobody has for long cannot know that it still is away.
    yard.advance(300);
    assert!(yard.hundred().await.iter().all(|found| *found == Ok((1, true))));
    assert_eq!(yard.readings(), 4, "one asks for all");
    yard.advance(179);
    assert_eq!(yard.get().await, Ok((1, true)));
    yard.advance(1);
    let (before, found) = (yard.readings(), yard.hundred_at_once().await);
    assert!(found.iter().all(|found| found.as_ref().is_err_and(|fault| **fault == Fault::Away)));
    assert_eq!(yard.readings(), before + 1, "one failure for all");
    yard.says(2);
    assert_eq!(yard.get().await, Ok((2, false)));
}

#[tokio::test]
async fn a_database_that_is_back_is_used_again() {
    let yard = Yard::new();
    yard.get().await.unwrap();
    yard.says(AWAY);
    yard.advance(200);
    assert_eq!(yard.get().await, Ok((1, true)));
    yard.says(2);
    assert_eq!(yard.get().await, Ok((1, true)), "nobody asks twice in a second");
    yard.advance(1);
    yard.get().await.unwrap();
    yard.settle().await;
    assert_eq!(yard.get().await, Ok((2, false)));
}

#[tokio::test]
async fn a_bug_is_shown_and_not_covered_by_a_copy() {
    let yard = Yard::new();
    yard.get().await.unwrap();
    yard.says(BUG);
    yard.advance(120);
    let found = yard.hundred().await;
    assert!(found.iter().all(|found| found.as_ref().is_err_and(|fault| **fault == Fault::Bug)));
    yard.says(3);
    assert_eq!(yard.get().await, Ok((3, false)));
}

#[tokio::test]
async fn what_an_event_made_wrong_is_never_served_again() {
    let yard = Yard::new();
    yard.get_since(0).await.unwrap();
    yard.advance(100);
    yard.shut();
    assert_eq!(yard.get_since(0).await, Ok((1, false)));
    yard.begun(2).await;
    // The lesson changes while the reading, which saw the old one, goes on.
    yard.says(2);
    let asker = yard.get_since(1);
    futures::pin_mut!(asker);
    assert!(asker.as_mut().now_or_never().is_none(), "whoever asks after the change waits for what is true");
    yard.open();
    yard.settle().await;
    assert_eq!(asker.await, Ok((2, false)), "the reading begun before has ended meanwhile");
    // Nor does it stand in.
    yard.says(AWAY);
    assert!(yard.get_since(2).await.is_err());
}

#[tokio::test]
async fn schools_share_nothing() {
    let yard = Yard::new();
    yard.get().await.unwrap();
    let read = || async { Ok::<_, Fault>(7) };
    let there = yard.copies.get(&yard.clock, school(2), 0, 0, read).await.unwrap();
    assert_eq!((*there, yard.get().await), (7, Ok((1, false))));
}

#[tokio::test]
async fn what_was_read_slowly_is_due_early_and_never_before_half_of_its_freshness() {
    let yard = Yard::new();
    let begun = yard.clock.now();
    let reading = async {
        yard.hands.advance(TimeDelta::seconds(10));
        Ok::<_, Fault>(1)
    };
    let copy = Copy::read(&yard.clock, &AGES, reading).await.unwrap();
    let fresh = begun + AGES.fresh;
    assert_eq!(copy.read_at, begun, "as old as what the statement saw");
    assert!(copy.due_at.load(Ordering::SeqCst) <= fresh.timestamp_millis());
    assert!(copy.due_at.load(Ordering::SeqCst) >= (fresh - AGES.fresh / 2).timestamp_millis());
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_nothing_younger() {
    let yard = Yard::new();
    yard.get().await.unwrap();
    yard.says(2);
    yard.advance(-3_600);
    assert_eq!(yard.get().await, Ok((2, false)));
}

proptest! {
    #[test]
    fn a_copy_is_due_early_by_what_its_reading_took_and_half_its_freshness_at_most(
        took_ms in 0_i64..1_000_000, draw in 0.0_f64..23.0,
    ) {
        let (took, most) = (TimeDelta::milliseconds(took_ms), AGES.fresh / 2);
        let ahead = early(took, most, draw);
        prop_assert!(TimeDelta::zero() <= ahead && ahead <= most);
        prop_assert!(ahead == most || draw < 1.0 || ahead >= took);
        prop_assert_eq!(early(TimeDelta::milliseconds(-took_ms), most, draw), TimeDelta::zero());
    }

    #[test]
    fn a_draw_is_a_finite_share(_ in 0..100) {
        let draw = draw();
        prop_assert!((0.0..23.0).contains(&draw));
    }
}
