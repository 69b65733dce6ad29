//! `preau migrate`.

use anyhow::Context;
use secrecy::ExposeSecret;

use super::say;
use crate::Config;

pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let url = config.database.owner_url.expose_secret();
    anyhow::ensure!(
        !url.is_empty(),
        "database.owner_url (PREAU_DATABASE__OWNER_URL) must name the owner's role"
    );
    let count = preau_db::migrate(url).await.context("migrations")?;
    say(&format!("{count} migrations are applied"));
    Ok(())
}
