//! `preau routes` and `preau openapi`: what the binary serves, without any store.

use preau_kernel::Clock;

use super::say;
use crate::{App, Config};

/// An app that will never connect: its router and document need no store.
fn unconnected() -> anyhow::Result<App> {
    let mut config = Config::load(None)?;
    config.database.url = "postgres://nobody@127.0.0.1/none".to_owned().into();
    config.secrets.master_key = "0".repeat(64).into();
    config.hashing.threads = 1;
    config.hashing.memory_kib = 64;
    App::build(config, Clock::system())
}

pub(super) fn routes(json: bool) -> anyhow::Result<()> {
    let app = unconnected()?;
    let (_, mut table) = app.router(app.gate());
    table.sort_by(|a, b| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
    if json {
        say(&serde_json::to_string_pretty(&table)?);
        return Ok(());
    }
    for row in table {
        say(&format!("{:7} {:75} {:28} {}", row.method, row.path, row.operation_id, row.policy));
    }
    Ok(())
}

pub(super) fn openapi() -> anyhow::Result<()> {
    say(&crate::openapi(&unconnected()?).to_pretty_json()?);
    Ok(())
}
