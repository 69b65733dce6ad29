//! `preau admin`: what the operator of the installation may do without a session. Journaled, without an actor.

use anyhow::Context;
use chrono::Utc;
use clap::Subcommand;
use preau_db::journal;
use preau_identity::accounts::TermsVersion;
use preau_kernel::{Clock, PersonId, TerritoryId};

use super::say;
use crate::{App, Config};

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Create a territory.
    CreateTerritory {
        /// Short name, as in URLs and `--territory`.
        slug: String,
        /// Name, as people read it.
        name: String,
    },
    /// List the territories, as JSON.
    Territories,
    /// Make the person of a login administer its territory.
    GrantTerritory {
        /// Login name.
        login: String,
    },
    /// Publish a version of the terms of use: from then on everybody is asked once, at their next sign-in. The same version
    /// again changes nothing.
    PublishTerms {
        /// Its name, such as 2027-01.
        version: String,
        /// From when it is in force (RFC 3339); now, when nothing is said.
        #[arg(long)]
        from: Option<chrono::DateTime<Utc>>,
        /// Where its text is: a path of this site, or an https address.
        #[arg(long, default_value = "/conditions")]
        text: String,
    },
    /// Bring a plan of hours in from a file (see config/plans), and say what it would do.
    Plan {
        /// The territory, by its short name.
        #[arg(long)]
        territory: String,
        /// Say what it would do, and write nothing.
        #[arg(long)]
        dry_run: bool,
        /// The file.
        file: std::path::PathBuf,
    },
    /// Take every second factor of the person of a login away, because they were lost, and sign them out everywhere: for
    /// the only administrator of a territory, whom nobody else can help.
    ResetSecondFactors {
        /// Login name.
        login: String,
    },
    /// Order something for the whole installation: every node obeys within a second or so, every territory's journal tells
    /// it, and the heads of all schools see it.
    Order {
        /// What: `level 2`, `slots open|soft|hard`, `close CLASS`, `floor CLASS PERCENT`, `pause RUNG`, `keep RUNG`,
        /// `drain NODE`, `epoch`, `mode ticket|codel|bounded`, `cap PEOPLE_A_SECOND`.
        #[arg(required = true, num_args = 1..=3)]
        what: Vec<String>,
        /// Why, in words that the heads of schools read.
        #[arg(long)]
        reason: String,
        /// For how many minutes, 1440 at most.
        #[arg(long)]
        minutes: u16,
    },
    /// List the orders in force, of the installation and of every territory, as JSON.
    Orders,
    /// End an order, of the installation or of a territory.
    EndOrder {
        /// Its id.
        id: uuid::Uuid,
    },
    /// Make an activation code for the person of a login and print it, once.
    ActivationCode {
        /// Login name.
        login: String,
    },
}

impl Admin {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<()> {
        let app = App::build(config, Clock::system())?;
        match self {
            Self::CreateTerritory { slug, name } => {
                let id = create_territory(&app, &slug, &name).await?;
                say(&format!("territory {slug} is {id}"));
            }
            Self::Territories => say(&serde_json::to_string_pretty(&territories(&app).await?)?),
            Self::GrantTerritory { login } => {
                grant_territory(&app, &login).await?;
                say(&format!("{login} administers its territory"));
            }
            Self::PublishTerms { version, from, text } => {
                let published_at = from.unwrap_or_else(|| app.clock.now());
                let terms = TermsVersion { version, published_at, text_url: text };
                app.accounts.terms().publish(&terms).await?;
                say(&format!("terms {} are in force from {}", terms.version, terms.published_at));
            }
            Self::Plan { territory, dry_run, file } => plan(&app, &territory, dry_run, &file).await?,
            Self::ResetSecondFactors { login } => {
                app.identity.reset_factors_by_login(&login).await?;
                say(&format!("{login} has no second factor any more, and is signed out everywhere"));
            }
            Self::Order { what, reason, minutes } => {
                let until = app.clock.now() + chrono::TimeDelta::minutes(i64::from(minutes));
                let wish = preau_desk::Wish { act: order_of(&what)?, reason, until };
                let order = app.desk.order_for_all(wish).await?;
                say(&format!("order {} holds until {}", order.id, order.until));
            }
            Self::Orders => {
                let orders = app.desk.orders_in_force().await?;
                let rows: Vec<_> = orders
                    .into_iter()
                    .map(|(order, over)| {
                        serde_json::json!({
                            "id": order.id, "territory": order.territory, "act": order.act, "author": order.author,
                            "reason": order.reason, "made_at": order.made_at, "until": order.until,
                            "overridden_by": over,
                        })
                    })
                    .collect();
                say(&serde_json::to_string_pretty(&rows)?);
            }
            Self::EndOrder { id } => {
                app.desk.end_by_operator(id).await?;
                say(&format!("order {id} has ended"));
            }
            Self::ActivationCode { login } => {
                let made = app.identity.make_code_by_login(&login).await?;
                say(&format!(
                    "{}  {}  until {}",
                    made.login,
                    made.code.printed(),
                    made.expires_at.date_naive()
                ));
            }
        }
        Ok(())
    }
}

/// Brings a plan of hours in, after saying what it would do.
async fn plan(app: &App, territory: &str, dry_run: bool, file: &std::path::Path) -> anyhow::Result<()> {
    let id = territory_of_slug(app, territory)
        .await?
        .ok_or_else(|| anyhow::anyhow!("there is no territory {territory}"))?;
    let text = tokio::fs::read_to_string(file).await.with_context(|| file.display().to_string())?;
    let plan: preau_plans::NewSlotPlan = toml::from_str(&text).with_context(|| file.display().to_string())?;
    let seen = app.plans.try_out(id, &plan).await.map_err(in_words)?;
    say(&serde_json::to_string_pretty(&seen)?);
    if !dry_run {
        let made = app.plans.import(id, &plan).await.map_err(in_words)?;
        say(&format!("plan {} holds from {} in {territory}", made.id, made.starts_on));
    }
    Ok(())
}

/// What is wrong with a plan, line by line.
fn in_words(err: preau_plans::Error) -> anyhow::Error {
    match err {
        preau_plans::Error::Invalid(faults) => {
            let lines: Vec<_> =
                faults.iter().map(|fault| format!("{}: {}", fault.field, fault.detail)).collect();
            anyhow::anyhow!("the plan is against the rules:\n  {}", lines.join("\n  "))
        }
        other => other.into(),
    }
}

/// Creates the territory, or finds it.
pub(crate) async fn create_territory(app: &App, slug: &str, name: &str) -> anyhow::Result<TerritoryId> {
    if let Some(id) = territory_of_slug(app, slug).await? {
        return Ok(id);
    }
    let id: TerritoryId = app.clock.mint();
    let mut tx = app.db.in_territory_for_work(id).await?;
    sqlx::query!(
        "INSERT INTO territory (territory_id, slug, name, created_at) VALUES ($1, $2, $3, $4)",
        id.uuid(),
        slug,
        name,
        app.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    journal::append(&mut tx, app.clock.now(), act("territory.create", id.uuid())).await?;
    tx.commit().await?;
    Ok(id)
}

#[derive(Debug, serde::Serialize)]
struct TerritoryRow {
    id: TerritoryId,
    slug: String,
    name: String,
}

async fn territories(app: &App) -> anyhow::Result<Vec<TerritoryRow>> {
    let mut tx = app.db.lookup().await?;
    let rows = sqlx::query_as!(
        TerritoryRow,
        r#"SELECT territory_id AS "id: TerritoryId", slug, name FROM territory ORDER BY slug"#
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(rows)
}

/// The territory of a short name.
pub(crate) async fn territory_of_slug(app: &App, slug: &str) -> anyhow::Result<Option<TerritoryId>> {
    let mut tx = app.db.lookup().await?;
    let id = sqlx::query_scalar!(
        r#"SELECT territory_id AS "id: TerritoryId" FROM territory WHERE slug = $1"#,
        slug
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(id)
}

pub(crate) async fn grant_territory(app: &App, login: &str) -> anyhow::Result<PersonId> {
    let mut tx = app.db.lookup().await?;
    let row = sqlx::query!(
        r#"SELECT person_id AS "person: PersonId", territory_id AS "territory: TerritoryId" FROM login WHERE login = $1"#,
        login,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(|| anyhow::anyhow!("nobody has the login {login}"))?;
    tx.commit().await?;
    let now: chrono::DateTime<Utc> = app.clock.now();
    let mut tx = app.db.in_territory_for_work(row.territory).await?;
    sqlx::query!(
        "INSERT INTO territory_admin (territory_id, person_id, started_at) VALUES ($1, $2, $3)
         ON CONFLICT (territory_id, person_id) DO UPDATE SET ended_at = NULL",
        row.territory.uuid(),
        row.person.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    journal::append(&mut tx, now, act("territory.grant-admin", row.person.uuid())).await?;
    tx.commit().await?;
    Ok(row.person)
}

fn act(act: &'static str, subject: uuid::Uuid) -> journal::Act<'static> {
    journal::Act { actor: None, act, subject: Some(subject), detail: serde_json::json!({}) }
}

/// An order as the command line says it.
fn order_of(words: &[String]) -> anyhow::Result<preau_desk::OrderAct> {
    let value =
        preau_ui::pages::read_offer(&words.join(":")).context("see --help for what may be ordered")?;
    serde_json::from_value(value).context("see --help for what may be ordered")
}
