//! Those who are not people at our page: impatient scripts, names that nobody has, tickets that nobody issued.

use std::time::Duration;

use rand::Rng as _;

use super::{
    Stop, Walk,
    ask::{Declared, Draw},
    route,
};
use crate::{
    client::Ask,
    flow::Tokens,
    storm::{life::End, wire::Place},
};

impl Walk<'_> {
    /// Real people with an impatient script: every second, without the ticket, until it works.
    pub(super) async fn hostile(&mut self) -> Result<(), Stop> {
        loop {
            self.life.posts += 1;
            let ask = self.knock(false);
            self.life.knocked_us = Some(self.now_us());
            match self.exchange(route::SESSIONS, ask, Some(Duration::from_secs(1))).await {
                Ok(answer) if answer.status == 201 => {
                    self.life.hashes += 1;
                    let tokens = Tokens::from_sign_in(&answer.body).ok_or(Stop(End::Failed))?;
                    self.came_in(&answer);
                    self.life.person_id = Some(tokens.person_id);
                    self.life.family_id = tokens.family_id;
                    return Ok(());
                }
                _ => self.pause(Duration::from_secs(1)).await?,
            }
        }
    }

    /// Names that nobody has. Honours places, because that gets furthest.
    pub(super) async fn stuffing(&mut self) -> Result<(), Stop> {
        loop {
            self.wait_for_turn().await?;
            self.life.posts += 1;
            let ask = self.knock(false);
            match self.exchange(route::SESSIONS, ask, Some(Duration::from_secs(10))).await {
                Ok(answer) => match answer.status {
                    202 => self.take_place(&answer)?,
                    401 => {
                        self.life.hashes += 1;
                        return Err(Stop(End::Refused));
                    }
                    201 => return Err(Stop(End::Failed)),
                    _ => self.pause(answer.retry_after.unwrap_or(Duration::from_secs(1))).await?,
                },
                Err(_) => self.pause(Duration::from_secs(1)).await?,
            }
        }
    }

    /// Draws a place as a pupil of one school, and never comes: a school whose turn others use up would wait longer.
    pub(super) async fn drawer(&mut self) -> Result<(), Stop> {
        let someone = self.someone;
        let declared = Declared::pupil_of(someone.school_id.as_deref());
        // Whether it was given a place makes no difference to it.
        self.draw(declared).await?;
        Err(Stop(End::Refused))
    }

    /// A place for whoever that says they are; none where nobody waits, or nothing was answered.
    async fn draw(&mut self, declared: Declared<'_>) -> Result<Option<Place>, Stop> {
        let body = serde_json::to_vec(&Draw { declared: Some(declared) }).unwrap_or_default();
        let ask = Ask::post("/api/v1/queue/tickets", body.into());
        match self.exchange(route::TICKETS, ask, Some(Duration::from_secs(10))).await {
            Ok(answer) if matches!(answer.status, 200..=204 | 429 | 503) => Ok(Place::read(&answer.body)),
            Ok(_) => Err(Stop(End::Failed)),
            Err(_) => Ok(None),
        }
    }

    /// Shows tickets that nobody issued: garbage of the right length, then of none. Then one that was issued, twice, cut short,
    /// and with its last letter changed.
    pub(super) async fn forger(&mut self) -> Result<(), Stop> {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for length in [120_usize, 128, 119, 7, 1] {
            let ticket: String = (0..length)
                .filter_map(|_| LETTERS.get(self.rng.random_range(0..LETTERS.len())).copied())
                .map(char::from)
                .collect();
            self.show(ticket).await?;
        }
        let Some(Place { ticket, .. }) = self.draw(Declared::pupil_of(None)).await? else {
            return Err(Stop(End::Refused));
        };
        let mut cut = ticket.clone();
        let changed = if cut.pop() == Some('A') { 'B' } else { 'A' };
        for replayed in [ticket.clone(), ticket, cut.clone(), format!("{cut}{changed}")] {
            self.show(replayed).await?;
        }
        Err(Stop(End::Refused))
    }

    /// Shows a ticket at the door, with a name that nobody has.
    async fn show(&mut self, ticket: String) -> Result<(), Stop> {
        self.place = Some(Place { ticket, ..Place::default() });
        let ask = self.knock(false);
        self.life.posts += 1;
        match self.exchange(route::SESSIONS, ask, Some(Duration::from_secs(10))).await {
            Ok(answer) if matches!(answer.status, 202 | 303 | 401 | 429) => {
                self.life.hashes += u32::from(answer.status == 401);
                Ok(())
            }
            Ok(_) => Err(Stop(End::Failed)),
            Err(_) => Ok(()),
        }
    }

    /// A body that no sign-in has.
    pub(super) async fn bulky(&mut self) -> Result<(), Stop> {
        let body = format!("{{\"login\":\"{}\"}}", "a".repeat(1 << 20));
        let ask = Ask::post("/api/v1/sessions", body.into());
        match self.exchange(route::SESSIONS, ask, Some(Duration::from_secs(10))).await {
            Ok(answer) if answer.status < 500 => Err(Stop(End::Refused)),
            Ok(_) => Err(Stop(End::Failed)),
            // Hung up on: as good a refusal.
            Err(_) => Err(Stop(End::Refused)),
        }
    }
}
