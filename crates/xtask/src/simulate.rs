//! The rush on paper: what places change, beside what happens without them (`crates/admission/src/sim`).

use anyhow::Result;

use crate::place::Place;
use crate::{cargo, sh};

/// Plays the rushes and prints the table. `rest` goes to the player: `--people 2000000 --nodes 1000` for a large one,
/// `--bench` for the cost of a ticket.
pub(crate) fn simulate(place: &Place, rest: &[String]) -> Result<()> {
    let mut player = cargo::cargo(place);
    player.args([
        "run",
        "--quiet",
        "--package=preau-admission",
        "--features=simulate",
        "--example=simulate",
        "--",
    ]);
    sh::run(player.args(rest))
}
