//! A node's queue for hashes, by discipline.

use std::collections::VecDeque;

use super::{Policy, World};

/// Someone who asked for a hash. `turn` tells one request of a person from the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) person: u32,
    pub(super) turn: u16,
    pub(super) since_ms: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    queue: VecDeque<Job>,
    /// Processor seconds in hand.
    credit: f64,
    /// Since when the queue has not been short.
    standing_since: Option<u32>,
    pub(super) hits: u32,
}

/// What comes out of a node's tick.
pub(super) enum Out {
    /// Hashed.
    Done(Job),
    /// Too old: the caller is told to come back.
    Dropped(Job),
}

impl Node {
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, job: Job) {
        self.queue.push_back(job);
    }

    /// Works for `dt` seconds: requests first, hashes with what is left.
    pub(super) fn work(&mut self, now_ms: u32, dt: f64, world: &World, out: &mut Vec<Out>) {
        let World { cores, hash_s, hit_s, policy, .. } = world;
        let (cores, hash_s, hit_s) = (*cores, *hash_s, *hit_s);
        self.credit += cores * dt - f64::from(self.hits) * hit_s;
        self.hits = 0;
        self.note_standing(now_ms, cores / hash_s);
        while self.credit >= hash_s {
            let Some(job) = self.pick(now_ms, policy, out) else {
                // An idle thread does not save up.
                self.credit = self.credit.min(hash_s);
                return;
            };
            self.credit -= hash_s;
            out.push(Out::Done(job));
        }
    }

    fn pick(&mut self, now_ms: u32, policy: &Policy, out: &mut Vec<Out>) -> Option<Job> {
        let standing = self.standing_since.is_some_and(|since| now_ms - since >= 1000);
        loop {
            let (job, oldest_s) = match policy {
                Policy::Fifo { .. } | Policy::Bounded { .. } => (self.queue.pop_front()?, f64::INFINITY),
                Policy::Codel { sojourn_s } => (self.queue.pop_back()?, *sojourn_s),
                Policy::Ticket(tickets) if tickets.lifo && standing => (self.queue.pop_back()?, 0.3),
                Policy::Ticket(_) => (self.queue.pop_front()?, 1.5),
            };
            if f64::from(now_ms - job.since_ms) / 1000.0 <= oldest_s {
                return Some(job);
            }
            out.push(Out::Dropped(job));
        }
    }

    /// Drops what has become too old even when nothing is picked, so that nobody waits for an answer.
    pub(super) fn expire(&mut self, now_ms: u32, policy: &Policy, out: &mut Vec<Out>) {
        let oldest_s = match policy {
            Policy::Fifo { .. } | Policy::Bounded { .. } => return,
            Policy::Codel { sojourn_s } => *sojourn_s,
            Policy::Ticket(_) => 1.5,
        };
        while let Some(job) = self.queue.front().copied() {
            if f64::from(now_ms - job.since_ms) / 1000.0 <= oldest_s {
                return;
            }
            self.queue.pop_front();
            out.push(Out::Dropped(job));
        }
    }

    fn note_standing(&mut self, now_ms: u32, per_s: f64) {
        // Half of the target of 0.2 s.
        if f64::from(u32::try_from(self.queue.len()).unwrap_or(u32::MAX)) < per_s * 0.1 {
            self.standing_since = None;
        } else {
            self.standing_since.get_or_insert(now_ms);
        }
    }
}
