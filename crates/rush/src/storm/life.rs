//! What one virtual user lived: one line of `users.jsonl`.

use std::collections::BTreeMap;

use serde::Serialize;

/// Home on the screen within this of the knock that let them in, or it is no success.
const GOOD_US: u64 = 10_000_000;

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Came in, and did what was planned.
    Inside,
    /// Gave up waiting.
    Abandoned,
    /// Something was answered that is not in the contract, or the day could not be read.
    Failed,
    /// Was refused for good, as it should be.
    Refused,
    /// The segment ended first.
    #[default]
    CutShort,
}

/// The first estimate that somebody was shown, or the first after thirty seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// When, in µs from the segment's beginning.
    pub at_us: u64,
    pub eta_s: f64,
    pub low_s: f64,
    pub high_s: f64,
}

/// One virtual user. Neither login nor password is in it. Times in µs from the segment's beginning.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Life {
    pub segment: String,
    pub user: u64,
    pub crowd: String,
    pub role: &'static str,
    /// The lane that this person would be in, by what they are.
    pub class: &'static str,
    pub school: Option<usize>,
    pub territory: Option<usize>,
    /// Of a class whose lesson begins at nine.
    pub lesson: bool,
    /// `password`, `desk` or `refresh`.
    pub way: &'static str,
    /// Presses again and again.
    pub human: bool,
    pub hostile: bool,
    pub trusted: bool,
    pub arrived_us: u64,
    pub late_us: u64,
    /// When the request left that let them in.
    pub knocked_us: Option<u64>,
    /// When they were told that they are in.
    pub inside_us: Option<u64>,
    /// When their day was on the screen.
    pub home_us: Option<u64>,
    /// When they left without having come in, before the segment ended.
    pub left_us: Option<u64>,
    pub end: End,
    pub person_id: Option<String>,
    pub family_id: Option<String>,
    /// In which lane the server put them, and why.
    pub lane: Option<String>,
    pub reason: Option<String>,
    pub estimate: Option<Estimate>,
    pub later_estimate: Option<Estimate>,
    /// `POST /api/v1/sessions` with the right password, answered or not.
    pub posts: u32,
    /// The same with a mistyped one.
    pub typo_posts: u32,
    /// Answers that took a hash.
    pub hashes: u32,
    /// Looks at the shared snapshot.
    pub polls: u32,
    /// 503 with a time to come back: something that the door needs was down.
    pub unavailable: u32,
    /// Refusals that left them without a place, or without a time to come back.
    pub bare: u32,
    /// Times that a ticket they showed was answered by a worse place.
    pub places_lost: u32,
    /// Times that the place they read off the snapshot was worse than one they had read before, by more than two.
    pub worsened: u32,
    /// Answers by route and status; `-` is a request without an answer.
    pub answers: BTreeMap<&'static str, BTreeMap<u16, u32>>,
    /// Requests without an answer, by route.
    pub unanswered: BTreeMap<&'static str, u32>,
}

impl Life {
    /// Counts an answer.
    pub fn answered(&mut self, route: &'static str, status: u16) {
        *self.answers.entry(route).or_default().entry(status).or_default() += 1;
    }

    /// Counts a request without one.
    pub fn unanswered(&mut self, route: &'static str) {
        *self.unanswered.entry(route).or_default() += 1;
    }

    /// Whether the day was on the screen within ten seconds of the knock that let them in.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.is_on_time(self.knocked_us)
    }

    /// Whether the day was on the screen within ten seconds of `from`.
    #[must_use]
    pub fn is_on_time(&self, from: Option<u64>) -> bool {
        self.home_us.zip(from).is_some_and(|(home, from)| home.saturating_sub(from) <= GOOD_US)
    }

    /// Whether they left without having come in.
    #[must_use]
    pub fn gave_up(&self) -> bool {
        self.end == End::Abandoned && self.inside_us.is_none()
    }

    /// From arriving to being inside, in seconds.
    #[must_use]
    pub fn wait_s(&self) -> Option<f64> {
        let inside = self.inside_us?;
        Some(crate::number::float(inside.saturating_sub(self.arrived_us)) / 1e6)
    }
}
