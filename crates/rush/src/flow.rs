//! One virtual user: signs in with a real account, reads the day, thinks, refreshes, signs out.
//!
//! A step is *meant* to start when the one before it ended (plus thinking), so inside a visit the
//! user waits for the server as people do; the arrival itself waits for nobody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Method;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{
    accounts::Account,
    client::{Answer, Ask, Client, Failure},
    number::{count, micros},
    plan::{Step, User},
};

/// What one virtual user did: one line of `users.jsonl`. Neither login nor password is in it.
#[derive(Clone, Debug, Serialize)]
pub struct Visit {
    /// Their number in the order of arrival, from 0.
    pub user: u64,
    pub role: String,
    pub school_id: Option<String>,
    /// When they meant to arrive, in µs from the start of the run.
    pub arrived_us: u64,
    /// How much later than that the generator let them begin, in µs: its own fault, not the server's.
    pub late_us: u64,
    pub outcome: Outcome,
    /// From the sign-in's answer.
    pub person_id: Option<String>,
    /// The session family, from the access token's `sid`.
    pub family_id: Option<String>,
    pub acts: Vec<Act>,
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step answered as it should.
    Done,
    /// Gave up waiting at the door.
    Impatient,
    /// A step failed.
    Failed,
    /// The run ended first.
    CutShort,
}

/// One request. Times in µs from the start of the run.
#[derive(Clone, Debug, Serialize)]
pub struct Act {
    pub step: &'static str,
    pub intended_us: u64,
    /// Absent when it never left.
    pub sent_us: Option<u64>,
    pub done_us: u64,
    pub status: Option<u16>,
    /// Why there is no status.
    pub failure: Option<&'static str>,
    pub bytes: u64,
}

#[derive(Serialize)]
struct SignIn<'a> {
    login: &'a str,
    password: &'a str,
    trusted_device: bool,
    tokens: bool,
}

#[derive(Deserialize)]
struct SignedIn {
    person: Person,
    access_token: String,
    refresh_token: String,
}

#[derive(Deserialize)]
struct Person {
    id: String,
}

#[derive(Deserialize)]
struct Refreshed {
    access_token: String,
    /// Absent when the one we hold stays good.
    refresh_token: Option<String>,
}

/// The tokens of one session, held by a client that asked for them in the body.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub person_id: String,
    /// `sid` of the access token, where it can be read.
    pub family_id: Option<String>,
    pub access: Arc<str>,
    pub refresh: String,
}

impl Tokens {
    /// Reads the body of a 201; `None` when it is not what the contract says.
    #[must_use]
    pub fn from_sign_in(body: &[u8]) -> Option<Self> {
        let signed_in: SignedIn = serde_json::from_slice(body).ok()?;
        Some(Self {
            person_id: signed_in.person.id,
            family_id: session_of(&signed_in.access_token),
            access: signed_in.access_token.into(),
            refresh: signed_in.refresh_token,
        })
    }

    /// Takes over the tokens of a refresh; false when the body is not what the contract says.
    pub fn take_refresh(&mut self, body: &[u8]) -> bool {
        let Ok(fresh) = serde_json::from_slice::<Refreshed>(body) else {
            return false;
        };
        self.access = fresh.access_token.into();
        if let Some(refresh) = fresh.refresh_token {
            self.refresh = refresh;
        }
        true
    }

    /// The refresh of these tokens.
    #[must_use]
    pub fn refresh_ask(&self) -> Ask {
        let body = serde_json::json!({ "refresh_token": self.refresh });
        Ask::post("/api/v1/sessions/refresh", body.to_string().into())
    }

    /// The sign-out of these tokens.
    #[must_use]
    pub fn sign_out_ask(&self) -> Ask {
        Ask { method: Method::DELETE, ..Ask::get("/api/v1/sessions/current", Arc::clone(&self.access)) }
    }
}

/// The claim `sid` of a token. Its signature is the server's business.
pub(crate) fn session_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sid: String,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.sid)
}

/// The sign-in of `login` with `password`, asking for the tokens in the body.
#[must_use]
pub fn sign_in_ask(login: &str, password: &str, trusted_device: bool) -> Ask {
    let body = SignIn { login, password, trusted_device, tokens: true };
    // A structure of strings and booleans has no way to fail.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    Ask::post("/api/v1/sessions", Bytes::from(body))
}

/// A virtual user about to arrive.
pub struct Visitor {
    pub user: u64,
    pub account: Account,
    /// When they mean to arrive.
    pub intended: Instant,
    /// The run's zero.
    pub start: Instant,
    /// Nothing is begun after this.
    pub end: Instant,
    pub behaviour: Arc<User>,
    pub seed: u64,
}

struct Walk<'a> {
    client: &'a Client,
    start: Instant,
    end: Instant,
    /// When the next act is meant to begin.
    intended: Instant,
    acts: Vec<Act>,
}

/// Why a visit stopped before its last step.
struct Stop(Outcome);

impl Visitor {
    /// Lives the whole visit. Never fails: what went wrong is in the visit.
    pub async fn live(self, client: &Client) -> Visit {
        let late_us = micros(self.intended.elapsed());
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(self.user.wrapping_add(2)); // 0 draws the arrivals, 1 the people
        let mut walk = Walk {
            client,
            start: self.start,
            end: self.end,
            intended: self.intended,
            acts: Vec::with_capacity(self.behaviour.steps.len()),
        };
        let mut tokens = None;
        let outcome = match walk.steps(&self.behaviour, &self.account, &mut rng, &mut tokens).await {
            Ok(()) => Outcome::Done,
            Err(Stop(outcome)) => outcome,
        };
        let (person_id, family_id) =
            tokens.map_or((None, None), |tokens| (Some(tokens.person_id), tokens.family_id));
        Visit {
            user: self.user,
            role: self.account.role,
            school_id: self.account.school_id,
            arrived_us: micros(self.intended.saturating_duration_since(self.start)),
            late_us,
            outcome,
            person_id,
            family_id,
            acts: walk.acts,
        }
    }
}

impl Walk<'_> {
    async fn steps(
        &mut self,
        behaviour: &User,
        account: &Account,
        rng: &mut ChaCha8Rng,
        tokens: &mut Option<Tokens>,
    ) -> Result<(), Stop> {
        let mut etag = None;
        for step in &behaviour.steps {
            match (step, tokens.as_mut()) {
                (Step::SignIn, _) => {
                    *tokens = Some(self.sign_in(behaviour, account, rng).await?);
                }
                (Step::Think, _) => {
                    let think = behaviour.think_s * rng.random_range(0.5..1.5);
                    self.pause(Duration::from_secs_f64(think)).await?;
                }
                (_, None) => return Err(Stop(Outcome::Failed)),
                (Step::Home, Some(held)) => {
                    let mut ask = Ask::get("/api/v1/home", Arc::clone(&held.access));
                    ask.if_none_match.clone_from(&etag);
                    let answer = self.ask(Step::Home, &ask).await?;
                    match answer.status {
                        200 => etag = answer.etag,
                        304 => {}
                        _ => return Err(Stop(Outcome::Failed)),
                    }
                }
                (Step::Refresh, Some(held)) => {
                    let ask = held.refresh_ask();
                    let answer = self.ask(Step::Refresh, &ask).await?;
                    if answer.status != 200 || !held.take_refresh(&answer.body) {
                        return Err(Stop(Outcome::Failed));
                    }
                }
                (Step::SignOut, Some(held)) => {
                    let ask = held.sign_out_ask();
                    if self.ask(Step::SignOut, &ask).await?.status != 204 {
                        return Err(Stop(Outcome::Failed));
                    }
                }
            }
        }
        Ok(())
    }

    async fn sign_in(
        &mut self,
        behaviour: &User,
        account: &Account,
        rng: &mut ChaCha8Rng,
    ) -> Result<Tokens, Stop> {
        let trusted = rng.random_bool(behaviour.trusted_device);
        let patience = self.intended + Duration::from_secs_f64(behaviour.patience_s);
        if rng.random_bool(behaviour.typos) {
            let typo = format!("{}q", account.password);
            let ask = sign_in_ask(&account.login, &typo, trusted);
            let answer = self.ask(Step::SignIn, &ask).await?;
            if answer.status != 401 && answer.status != 429 {
                return Err(Stop(Outcome::Failed));
            }
            self.pause(Duration::from_secs_f64(rng.random_range(2.0..6.0))).await?;
        }
        let ask = sign_in_ask(&account.login, &account.password, trusted);
        loop {
            let answer = self.ask(Step::SignIn, &ask).await?;
            match answer.status {
                201 => {
                    return Tokens::from_sign_in(&answer.body).ok_or(Stop(Outcome::Failed));
                }
                429 | 503 => {
                    let wait = answer.retry_after.unwrap_or(Duration::from_secs(5));
                    if self.intended + wait > patience {
                        return Err(Stop(Outcome::Impatient));
                    }
                    self.pause(wait.max(Duration::from_millis(100))).await?;
                }
                _ => return Err(Stop(Outcome::Failed)),
            }
        }
    }

    async fn ask(&mut self, step: Step, ask: &Ask) -> Result<Answer, Stop> {
        if Instant::now() >= self.end {
            return Err(Stop(Outcome::CutShort));
        }
        let answer = self.client.send(ask).await;
        self.note(step, answer.as_ref());
        answer.map_err(|_| Stop(Outcome::Failed))
    }

    fn note(&mut self, step: Step, answer: Result<&Answer, &Failure>) {
        let since = |at: Instant| micros(at.saturating_duration_since(self.start));
        let done = answer.map_or_else(|_| Instant::now(), |answer| answer.done);
        self.acts.push(Act {
            step: step.name(),
            intended_us: since(self.intended),
            sent_us: answer.ok().map(|answer| since(answer.sent)),
            done_us: since(done),
            status: answer.ok().map(|answer| answer.status),
            failure: answer.err().map(|failure| failure.name()),
            bytes: answer.map_or(0, |answer| count(answer.body.len())),
        });
        self.intended = done;
    }

    async fn pause(&mut self, time: Duration) -> Result<(), Stop> {
        self.intended += time;
        if self.intended >= self.end {
            return Err(Stop(Outcome::CutShort));
        }
        sleep(self.intended.saturating_duration_since(Instant::now())).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_read_from_the_token() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sid":"0199","person":"x"}"#);
        assert_eq!(session_of(&format!("h.{claims}.s")).as_deref(), Some("0199"));
        assert_eq!(session_of("opaque"), None);
    }

    #[test]
    fn a_refresh_may_keep_the_refresh_token() {
        let body = br#"{"person":{"id":"p","first_name":"A","last_name":"B"},"memberships":[],
                       "gates":[],"expires_in":300,"access_token":"a1","refresh_token":"r1"}"#;
        let mut tokens = Tokens::from_sign_in(body).unwrap();
        assert!(tokens.take_refresh(br#"{"expires_in":300,"access_token":"a2"}"#));
        assert_eq!((&*tokens.access, tokens.refresh.as_str()), ("a2", "r1"));
        assert!(tokens.take_refresh(br#"{"expires_in":300,"access_token":"a3","refresh_token":"r2"}"#));
        assert_eq!((&*tokens.access, tokens.refresh.as_str()), ("a3", "r2"));
        assert!(!tokens.take_refresh(b"{}"));
    }
}
