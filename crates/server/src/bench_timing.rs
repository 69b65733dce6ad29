//! `preau bench timing`: whether the door tells by its time who exists (threat T23).

use std::time::Instant;

use anyhow::ensure;
use preau_identity::{Activation, Coming, SignIn, accounts::Channel};
use preau_kernel::Clock;
use preau_session::Device;
use serde_json::{Value, json};

use crate::{App, Config, commands::say};

/// Asks each door once for every name, known and unknown in turns.
///
/// # Errors
/// A setting that cannot be used; a database that is no demonstration's, or that has too few people.
pub(crate) async fn timing(config: Config, n: u32) -> anyhow::Result<()> {
    let app = App::build(config, Clock::system())?;
    app.warm().await?;
    let mut tx = app.db.lookup().await?;
    let demo = sqlx::query_scalar!("SELECT demo FROM installation").fetch_optional(tx.conn()).await?;
    ensure!(demo == Some(true), "wrong passwords are tried: only on a demonstration");
    let known = sqlx::query_scalar!("SELECT login FROM login ORDER BY random() LIMIT $1", i64::from(n))
        .fetch_all(tx.conn())
        .await?;
    tx.commit().await?;
    ensure!(known.len() >= 20, "too few people");
    let run: u64 = app.clock.now().timestamp_millis().unsigned_abs();
    let mut doors = serde_json::Map::new();
    for door in [Door::Password, Door::Activation, Door::Reset] {
        let (mut some, mut none) = (Vec::new(), Vec::new());
        for (number, name) in known.iter().enumerate() {
            some.push(door.knock(&app, name).await);
            none.push(door.knock(&app, &format!("personne.{run}.{number}")).await);
        }
        doors.insert(door.name().to_owned(), told(&mut some, &mut none));
    }
    say(&serde_json::to_string_pretty(&json!({ "attempts": known.len(), "doors": doors }))?);
    Ok(())
}

#[derive(Clone, Copy)]
enum Door {
    Password,
    Activation,
    Reset,
}

impl Door {
    fn name(self) -> &'static str {
        match self {
            Self::Password => "sign_in",
            Self::Activation => "activation",
            Self::Reset => "forgotten_password",
        }
    }

    /// Milliseconds that the answer took; that it is a refusal is the point.
    async fn knock(self, app: &App, name: &str) -> f64 {
        let secret = "ce n'est pas cela du tout".to_owned();
        let began = Instant::now();
        match self {
            Self::Password => {
                let with = SignIn {
                    login: name.to_owned(),
                    password: secret.into(),
                    device: Device::default(),
                    coming: Coming::default(),
                };
                drop(app.identity.sign_in(with).await);
            }
            Self::Activation => {
                let with = Activation {
                    login: name.to_owned(),
                    code: "00000-00000-000".to_owned(),
                    password: secret.into(),
                    terms_version: String::new(),
                    device: Device::default(),
                    coming: Coming::default(),
                };
                drop(app.identity.activate(with).await);
            }
            Self::Reset => drop(app.accounts.ask_for_password(name, Channel::Mail).await),
        }
        began.elapsed().as_secs_f64() * 1000.0
    }
}

fn told(some: &mut [f64], none: &mut [f64]) -> Value {
    let (known, unknown) = (median(some), median(none));
    json!({ "known_ms": known, "unknown_ms": unknown, "gap_ms": (known - unknown).abs() })
}

fn median(sample: &mut [f64]) -> f64 {
    sample.sort_by(f64::total_cmp);
    sample.get(sample.len() / 2).copied().unwrap_or_default()
}
