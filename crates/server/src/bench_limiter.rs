//! What sharing the database's room costs a request: taking a place, telling how long it took, leaving.

use std::time::Duration;

use preau_kernel::{Clock, SchoolId, TerritoryId};
use preau_overload::limiter::{Held, Limiter, NoRoom, Rank, Whose};
use serde::Serialize;

use crate::{bench::own_cpu_us, commands::say};

/// The limit of both measurements.
const LIMIT: usize = 100;

/// CPU of one request, in microseconds.
#[derive(Debug, Serialize)]
struct Sharing {
    /// Most of the limit is free: nothing is looked up.
    with_room_us: f64,
    /// Nine places in ten are taken: schools and territories are held to their part.
    near_the_limit_us: f64,
}

/// Measures `n` requests of each kind, and prints the CPU of one as JSON.
///
/// # Errors
/// A request that finds no room, which none of these may.
pub(crate) async fn limiter(n: u32) -> anyhow::Result<()> {
    let measured =
        Sharing { with_room_us: each(n, 0).await?, near_the_limit_us: each(n, LIMIT * 9 / 10).await? };
    say(&serde_json::to_string_pretty(&measured)?);
    Ok(())
}

async fn each(n: u32, taken: usize) -> anyhow::Result<f64> {
    let limiter = Limiter::new(LIMIT, LIMIT, Duration::from_millis(100));
    let ids = Clock::system();
    let whose = |rank| Whose {
        rank,
        school: Some(ids.mint::<SchoolId>()),
        territory: Some(ids.mint::<TerritoryId>()),
        essential: false,
    };
    let mut held: Vec<Held> = Vec::with_capacity(taken);
    for rank in Rank::ALL.into_iter().cycle().take(taken) {
        held.push(limiter.hold(whose(rank)).await.map_err(full)?);
    }
    let one = whose(Rank::First);
    let before = own_cpu_us()?;
    for _ in 0..n.max(1) {
        let place = limiter.hold(std::hint::black_box(one)).await.map_err(full)?;
        limiter.note(Duration::from_millis(4));
        drop(place);
    }
    Ok((own_cpu_us()? - before) / f64::from(n.max(1)))
}

fn full(NoRoom(_): NoRoom) -> anyhow::Error {
    anyhow::anyhow!("no room below the limit")
}
