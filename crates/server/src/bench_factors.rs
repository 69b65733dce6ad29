//! What looking at a second factor costs: the verification itself, without its transaction.

use anyhow::{Context, anyhow};
use preau_identity::{
    TotpSecret,
    second_factor::{Answer, Passkeys, Refused},
};
use preau_kernel::{Clock, PersonId};
use serde::Serialize;

use crate::{bench::own_cpu_us, commands::say, soft_key::SoftKey};

const ORIGIN: &str = "https://ent.example";

/// CPU of one verification, in microseconds.
#[derive(Debug, Serialize)]
struct Factors {
    totp_verify_us: f64,
    passkey_verify_us: f64,
}

/// Measures `n` verifications of each kind, and prints the CPU of one as JSON.
///
/// # Errors
/// A verification that fails.
pub(crate) fn factors(n: u32) -> anyhow::Result<()> {
    let measured = Factors { totp_verify_us: totp(n)?, passkey_verify_us: passkey(n)? };
    say(&serde_json::to_string_pretty(&measured)?);
    Ok(())
}

fn totp(n: u32) -> anyhow::Result<f64> {
    let secret = TotpSecret::generate().context("no randomness")?;
    let now = Clock::system().now();
    let code = secret.code_at(now);
    // A hundred times as many: they are too quick for a clock of hundredths of a second.
    let many = n.saturating_mul(100).max(1);
    let before = own_cpu_us()?;
    for _ in 0..many {
        secret.check(std::hint::black_box(&code), now).context("a right code was refused")?;
    }
    Ok((own_cpu_us()? - before) / f64::from(many))
}

fn passkey(n: u32) -> anyhow::Result<f64> {
    let refused = |why: Refused| anyhow!("a right passkey was refused: {why:?}");
    let site = Passkeys::new(ORIGIN, &[]).map_err(|why| anyhow!(why))?;
    let person: PersonId = Clock::system().mint();
    let asked = site.ask_new(person, "ada", "Ada", Vec::new())?.context("a site with a name")?;
    let (mut key, made) = SoftKey::make(ORIGIN, person, &asked.options)?;
    let mut passkey = site.made(&made, &asked.state).map_err(refused)?;
    let mut questions = Vec::new();
    for _ in 0..n.max(1) {
        let asked = site.ask(&[])?.context("a site with a name")?;
        questions.push((key.answer(&asked.options)?, asked.state));
    }
    let before = own_cpu_us()?;
    for (answer, state) in questions {
        let answer = Answer::read(&answer).map_err(refused)?;
        passkey = site.verify(&answer, state, passkey).map_err(refused)?;
    }
    Ok((own_cpu_us()? - before) / f64::from(n.max(1)))
}
