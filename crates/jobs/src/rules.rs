//! When a job may be taken, and what becomes of one that ends.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::JobState;

/// A worker that has not beaten for longer is dead.
pub const SILENCE: TimeDelta = TimeDelta::seconds(60);
/// How long an interrupted job rests before it is tried again.
pub const REST: TimeDelta = TimeDelta::seconds(10);
/// How often a job is started at most: one that kills its workers must not kill them for ever.
pub const MOST_ATTEMPTS: i32 = 5;

/// Jobs whose last beat is older may be taken over.
pub fn dead_before(now: DateTime<Utc>) -> DateTime<Utc> {
    now - SILENCE
}

/// Interrupted jobs whose last beat is older may be tried again.
pub fn rested_before(now: DateTime<Utc>) -> DateTime<Utc> {
    now - REST
}

/// Why a handler was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Cancelled,
    /// Another worker holds the job: nothing of ours may be written any more.
    Lost,
    /// The process is stopping.
    Shutdown,
}

/// What a handler came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// To its end, with a report.
    Done(Value),
    /// To something that trying again will not mend.
    Failed(Value),
    /// To where a human is to decide, with a report so far.
    Waiting(Value),
    /// To a stop, because it was told to.
    Stopped,
    /// To something that may pass: a dependency is down.
    Interrupted,
    /// To a panic.
    Panicked,
}

/// What is written of it. `None`: nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// The job ends.
    End(JobState, Value),
    /// It goes back into the queue; the attempt counts or not.
    Again {
        /// Whether it counts.
        counts: bool,
    },
    /// It is no longer ours.
    Nothing,
}

/// What becomes of a job whose handler `came` to something, after it was told `stop`, on its n-th attempt.
pub fn then(came: Came, stop: Option<Stop>, attempt: i32) -> Then {
    match (came, stop) {
        (_, Some(Stop::Lost)) => Then::Nothing,
        (Came::Done(report), _) => Then::End(JobState::Succeeded, report),
        (Came::Failed(report), _) => Then::End(JobState::Failed, report),
        (Came::Waiting(_), Some(Stop::Cancelled)) => Then::End(JobState::Cancelled, json!({})),
        (Came::Waiting(report), _) => Then::End(JobState::Waiting, report),
        (Came::Stopped | Came::Interrupted, Some(Stop::Cancelled)) => {
            Then::End(JobState::Cancelled, json!({}))
        }
        (Came::Stopped | Came::Interrupted, Some(Stop::Shutdown)) => Then::Again { counts: false },
        (Came::Interrupted | Came::Stopped, None) if attempt < MOST_ATTEMPTS => Then::Again { counts: true },
        (Came::Interrupted | Came::Stopped, None) => {
            Then::End(JobState::Failed, json!({ "code": "gave-up" }))
        }
        (Came::Panicked, _) => Then::End(JobState::Failed, json!({ "code": "internal" })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_holds_is_never_written() {
        for came in
            [Came::Done(json!(1)), Came::Failed(json!(1)), Came::Stopped, Came::Interrupted, Came::Panicked]
        {
            assert_eq!(then(came, Some(Stop::Lost), 1), Then::Nothing);
        }
    }

    #[test]
    fn work_that_ended_is_not_undone_by_a_late_cancel() {
        assert_eq!(
            then(Came::Done(json!({"rows": 3})), Some(Stop::Cancelled), 1),
            Then::End(JobState::Succeeded, json!({"rows": 3}))
        );
        assert_eq!(then(Came::Stopped, Some(Stop::Cancelled), 1), Then::End(JobState::Cancelled, json!({})));
    }

    #[test]
    fn who_waits_for_a_human_waits_unless_nobody_wants_it_any_more() {
        let waiting = || Came::Waiting(json!({"held": 1}));
        assert_eq!(then(waiting(), None, 1), Then::End(JobState::Waiting, json!({"held": 1})));
        assert_eq!(
            then(waiting(), Some(Stop::Shutdown), 1),
            Then::End(JobState::Waiting, json!({"held": 1}))
        );
        assert_eq!(then(waiting(), Some(Stop::Cancelled), 1), Then::End(JobState::Cancelled, json!({})));
        assert_eq!(then(waiting(), Some(Stop::Lost), 1), Then::Nothing);
    }

    #[test]
    fn a_stopping_process_costs_no_attempt_and_a_broken_dependency_does() {
        assert_eq!(then(Came::Stopped, Some(Stop::Shutdown), 5), Then::Again { counts: false });
        assert_eq!(then(Came::Interrupted, None, 1), Then::Again { counts: true });
        assert!(matches!(then(Came::Interrupted, None, MOST_ATTEMPTS), Then::End(JobState::Failed, _)));
        assert!(matches!(then(Came::Panicked, None, 1), Then::End(JobState::Failed, _)));
    }
}
