//! Closed loops: a fixed number of clients, each asking again as soon as it is answered.
//!
//! They find out what a request *costs* (CPU time of a busy server over the requests it answered); what
//! people *wait* is the open loop's business ([`crate::run`]).

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::bail;
use bytes::Bytes;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::{
    accounts::Account,
    client::{Answer, Ask, Client},
    cpu::{Spent, Watch},
    flow::{Tokens, sign_in_ask},
    number::{count, float},
};

/// What one client of a closed loop keeps asking.
pub(crate) trait Asker: Send + 'static {
    /// The next request.
    fn ask(&mut self) -> Ask;
    /// Learns from an answer; false when it is not the one that is being measured.
    fn take(&mut self, answer: &Answer) -> bool;
}

/// What a closed loop met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Answers of the measured kind.
    pub(crate) right: u64,
    /// Status → count of all others.
    pub(crate) wrong: BTreeMap<u16, u64>,
    pub(crate) lost: u64,
    pub(crate) bytes: u64,
    pub(crate) wall: Duration,
}

impl Counts {
    pub(crate) fn others(&self) -> u64 {
        self.wrong.values().sum::<u64>() + self.lost
    }

    pub(crate) fn per_s(&self) -> f64 {
        float(self.right) / self.wall.as_secs_f64()
    }

    /// Fails when more than one answer in a hundred was of another kind: a mean over a mixture says nothing.
    pub(crate) fn check(&self, what: &str) -> anyhow::Result<()> {
        if self.right == 0 || self.others() * 100 > self.right {
            bail!(
                "{what}: {} answers as wanted, others {:?}, {} without an answer",
                self.right,
                self.wrong,
                self.lost
            );
        }
        Ok(())
    }

    fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.lost += other.lost;
        self.bytes += other.bytes;
        for (status, count) in &other.wrong {
            *self.wrong.entry(*status).or_default() += count;
        }
    }
}

/// A loop and the CPU time spent meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) counts: Counts,
    pub(crate) spent: Spent,
}

impl Measured {
    /// µs of CPU of one watched group for each right answer.
    pub(crate) fn each_us(&self, group: &str) -> f64 {
        self.spent.of(group).as_secs_f64() * 1e6 / float(self.counts.right.max(1))
    }

    /// The same of the threads of a part.
    pub(crate) fn each_us_of_part(&self, part: &str) -> f64 {
        self.spent.of_part(part).as_secs_f64() * 1e6 / float(self.counts.right.max(1))
    }
}

/// Runs one loop a asker for `window`, with the CPU time of `watch` around it. Requests under way at the end are
/// waited for and counted: their work is in the CPU time as well.
pub(crate) async fn measure<A: Asker>(
    watch: &Watch,
    client: &Arc<Client>,
    askers: Vec<A>,
    window: Duration,
) -> anyhow::Result<(Measured, Vec<A>)> {
    let tracker = TaskTracker::new();
    let before = watch.read()?;
    let began = Instant::now();
    let deadline = began + window;
    let loops: Vec<_> = askers
        .into_iter()
        .map(|asker| tracker.spawn(keep_asking(Arc::clone(client), asker, deadline)))
        .collect();
    let mut counts = Counts::default();
    let mut askers = Vec::with_capacity(loops.len());
    for one in loops {
        let (found, asker) = one.await?;
        counts.add(&found);
        askers.push(asker);
    }
    counts.wall = began.elapsed();
    let spent = watch.read()?.since(&before);
    Ok((Measured { counts, spent }, askers))
}

async fn keep_asking<A: Asker>(client: Arc<Client>, mut asker: A, deadline: Instant) -> (Counts, A) {
    let mut counts = Counts::default();
    while Instant::now() < deadline {
        match client.send(&asker.ask()).await {
            Ok(answer) => {
                counts.bytes += count(answer.body.len());
                if asker.take(&answer) {
                    counts.right += 1;
                    continue;
                }
                *counts.wrong.entry(answer.status).or_default() += 1;
            }
            Err(_) => counts.lost += 1,
        }
        // A server that refuses is not to be asked in a tight loop.
        sleep(Duration::from_millis(20)).await;
    }
    (counts, asker)
}

/// Signs people in, one after the other, round the whole list.
#[derive(Clone)]
pub(crate) struct SigningIn {
    people: Arc<[Account]>,
    next: Arc<AtomicUsize>,
}

impl SigningIn {
    pub(crate) fn new(people: Arc<[Account]>) -> Self {
        Self { people, next: Arc::new(AtomicUsize::new(0)) }
    }
}

impl Asker for SigningIn {
    fn ask(&mut self) -> Ask {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let person = turn.checked_rem(self.people.len()).and_then(|turn| self.people.get(turn));
        // Nobody on the list: the server will refuse the nameless, and the loop will say so.
        let (login, password) = person.map_or(("", ""), |person| (&person.login, &person.password));
        sign_in_ask(login, password, true)
    }

    fn take(&mut self, answer: &Answer) -> bool {
        answer.status == 201
    }
}

/// Refreshes one session again and again.
pub(crate) struct Refreshing(pub(crate) Tokens);

impl Asker for Refreshing {
    fn ask(&mut self) -> Ask {
        self.0.refresh_ask()
    }

    fn take(&mut self, answer: &Answer) -> bool {
        answer.status == 200 && self.0.take_refresh(&answer.body)
    }
}

/// Reads one path, signed in, in full or with the version it already has.
pub(crate) struct Reading {
    ask: Ask,
    wanted: u16,
}

impl Reading {
    pub(crate) fn whole(path: &'static str, token: Arc<str>) -> Self {
        Self { ask: Ask::get(path, token), wanted: 200 }
    }

    pub(crate) fn unchanged(path: &'static str, token: Arc<str>, etag: Arc<str>) -> Self {
        let mut ask = Ask::get(path, token);
        ask.if_none_match = Some(etag);
        Self { ask, wanted: 304 }
    }
}

impl Asker for Reading {
    fn ask(&mut self) -> Ask {
        self.ask.clone()
    }

    fn take(&mut self, answer: &Answer) -> bool {
        if self.ask.if_none_match.is_some() && answer.status == 200 {
            // The day changed under us (a lesson began): go on with its new version.
            self.ask.if_none_match.clone_from(&answer.etag);
        }
        answer.status == self.wanted
    }
}

/// Signs one person in and keeps the tokens.
pub(crate) async fn sign_in(client: &Client, person: &Account) -> anyhow::Result<Tokens> {
    let ask = sign_in_ask(&person.login, &person.password, true);
    for _ in 0..20 {
        match client.send(&ask).await {
            Ok(answer) if answer.status == 201 => {
                return Tokens::from_sign_in(&answer.body).ok_or_else(|| {
                    anyhow::anyhow!("the sign-in's answer holds no tokens: {}", text(&answer.body))
                });
            }
            // The pool is full; the bench is in no hurry.
            Ok(answer) if answer.status == 429 => {
                sleep(answer.retry_after.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(2))).await;
            }
            Ok(answer) => bail!("a sign-in was answered {}: {}", answer.status, text(&answer.body)),
            Err(failure) => bail!("a sign-in had no answer ({})", failure.name()),
        }
    }
    bail!("a sign-in was put off twenty times")
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).chars().take(300).collect()
}
