//! How long whoever asks will wait, told to PostgreSQL: a statement that nobody waits for any more is not run to its end.

use std::time::{Duration, Instant};

tokio::task_local! {
    static UNTIL: Instant;
}

/// Runs `work` for somebody who waits until then. No statement of a transaction that it opens runs for longer; what it hands
/// to a task of its own (a change that has begun) ends all the same.
pub async fn waited_until<F: Future>(until: Instant, work: F) -> F::Output {
    UNTIL.scope(until, work).await
}

/// `begin`, and the time that is left where that is shorter than a statement may run in any case (`longest`).
pub(crate) fn opening(mut begin: String, longest: Duration) -> String {
    let left = UNTIL.try_with(|until| until.saturating_duration_since(Instant::now()));
    if let Ok(left) = left
        && left < longest
    {
        // Nothing would be "no limit".
        begin.push_str(&format!("; SET LOCAL statement_timeout = {}", left.as_millis().max(1)));
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "nothing is left to wait for at the end")]
    async fn a_statement_runs_no_longer_than_it_is_waited_for() {
        let opened = || async { opening("BEGIN".to_owned(), Duration::from_secs(5)) };
        let within = |left: Duration| waited_until(Instant::now() + left, opened());
        assert_eq!(opened().await, "BEGIN", "nobody said");
        assert_eq!(within(Duration::from_secs(60)).await, "BEGIN", "longer than it may");
        let told = within(Duration::from_secs(2)).await;
        let left: u64 = told.strip_prefix("BEGIN; SET LOCAL statement_timeout = ").unwrap().parse().unwrap();
        assert!((1..=2000).contains(&left), "{told}");
        assert_eq!(within(Duration::ZERO).await, "BEGIN; SET LOCAL statement_timeout = 1");
        let apart = waited_until(Instant::now(), async { tokio::spawn(opened()).await.unwrap() });
        assert_eq!(apart.await, "BEGIN", "what has begun ends all the same");
    }
}
