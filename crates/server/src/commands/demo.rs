//! `preau demo`: an invented académie, written as the files that real ones deliver and imported by the same path.
//!
//! Afterwards its people are given one password, hashed once: only in a database that its owner has marked as a
//! demonstration, which the application's own role cannot do.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    path::PathBuf,
};

use anyhow::Context;
use chrono::{Datelike, NaiveDate};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use preau_feeds::demo::{DemoPlan, DemoTimetable, generate};
use preau_identity::TotpSecret;
use preau_jobs::JobState;
use preau_kernel::{Clock, PersonId, SchoolId, TerritoryId};
use preau_overload::Lane;
use secrecy::ExposeSecret;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::{admin, import, say};
use crate::{App, Config};

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Schools.
    #[arg(long, default_value_t = 4)]
    schools: u32,
    /// Pupils, in all.
    #[arg(long, default_value_t = 400)]
    pupils: u32,
    /// The same seed invents the same people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the files are written.
    #[arg(long, default_value = ".local/demo")]
    out: PathBuf,
    /// Where the accounts to try are written, as JSON.
    #[arg(long, default_value = ".local/accounts.json")]
    accounts: PathBuf,
    /// Activate every account, not one of each role and school (for loads).
    #[arg(long)]
    all_accounts: bool,
}

const SLUG: &str = "demo";
const PASSWORD: &str = "la cour sous la pluie";

/// An account to try.
#[derive(Clone, Debug, Serialize)]
struct Account {
    role: &'static str,
    school_id: Option<SchoolId>,
    school_name: String,
    login: String,
    password: &'static str,
    /// Of the authenticator application of whoever administers, in base 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    totp_secret: Option<String>,
    #[serde(skip)]
    person: PersonId,
}

/// An account that nobody has activated yet.
#[derive(Debug, Serialize)]
struct ToActivate {
    login: String,
    code: String,
}

impl Demo {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<()> {
        mark(&config).await?;
        let app = App::build(config, Clock::system())?;
        let today = app.clock.today(chrono_tz::Europe::Paris);
        let plan = DemoPlan {
            schools: self.schools,
            pupils: self.pupils,
            seed: self.seed,
            days: days_with_lessons(today),
            ..DemoPlan::small(today)
        };
        say(&format!(
            "writing {} schools and {} pupils to {}",
            self.schools,
            self.pupils,
            self.out.display()
        ));
        let demo = generate(&plan, &self.out, &mut |_| {})?;

        let territory = admin::create_territory(&app, SLUG, &demo.territory).await?;
        say("importing the directory");
        self.import(&app, territory, "import-aaf", import::aaf(&self.out.join(&demo.aaf))?).await?;
        if let Some(school) = demo.schools.first() {
            self.invite(&app, territory, &school.uai).await?;
        }
        say("importing the timetables");
        for school in &demo.schools {
            let id = import::find_school(&app, &school.uai).await?;
            let params = match &school.timetable {
                DemoTimetable::Sts { down, up } => {
                    import::timetable(id, "sts", &[self.out.join(down), self.out.join(up)])?
                }
                DemoTimetable::Ics { file } => import::timetable(id, "ical", &[self.out.join(file)])?,
            };
            self.import(&app, territory, "import-timetable", params).await?;
        }
        self.open_accounts(&app, territory).await
    }

    async fn import(
        &self,
        app: &App,
        territory: TerritoryId,
        kind: &str,
        params: serde_json::Value,
    ) -> anyhow::Result<()> {
        let job = import::run(app, territory, kind, params).await?;
        anyhow::ensure!(
            job.state == JobState::Succeeded,
            "{kind} {:?}: {}",
            job.state,
            job.report.unwrap_or_default()
        );
        Ok(())
    }

    /// A guest of a school, for no file of an academy holds one: by the table that schools write, for their first class.
    async fn invite(&self, app: &App, territory: TerritoryId, uai: &str) -> anyhow::Result<()> {
        let school = import::find_school(app, uai).await?;
        let mut tx = app.db.in_territory_for_work(territory).await?;
        tx.enter_school(school).await?;
        let class = sqlx::query_scalar!(
            "SELECT min(name) FROM class WHERE school_id = $1 AND ended_at IS NULL",
            school.uuid(),
        )
        .fetch_one(tx.conn())
        .await?
        .unwrap_or_default();
        tx.commit().await?;
        let table = self.out.join("Invites.csv");
        std::fs::write(&table, format!("Nom;Prénom;Classe\nPassage;Iris;{class}\n"))
            .with_context(|| table.display().to_string())?;
        let mut params = import::aaf(&table)?;
        import::also(&mut params, "school", uai.into());
        import::also(&mut params, "profile", "guest".into());
        self.import(app, territory, "import-directory", params).await
    }

    async fn open_accounts(&self, app: &App, territory: TerritoryId) -> anyhow::Result<()> {
        let mut everyone = Vec::new();
        for school in app.db.schools_of(territory).await? {
            everyone.extend(people(app, territory, school).await?);
        }
        let mut seen = HashSet::new();
        let mut to_try: Vec<Account> = everyone
            .iter()
            .filter(|account| seen.insert((account.role, account.school_id)))
            .cloned()
            .collect();
        let mut chosen: HashSet<PersonId> = to_try.iter().map(|account| account.person).collect();
        if let Some(head) = to_try.iter().find(|account| account.role == "school_admin").cloned() {
            admin::grant_territory(app, &head.login).await?;
            to_try.push(Account { role: "territory_admin", school_id: None, ..head });
        }
        let spare = everyone
            .iter()
            .find(|account| account.role == "pupil" && !chosen.contains(&account.person))
            .cloned();
        if self.all_accounts {
            chosen.extend(everyone.iter().map(|account| account.person));
            to_try.extend(
                everyone
                    .iter()
                    .filter(|account| !to_try.iter().any(|tried| tried.person == account.person))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        say(&format!("opening {} accounts", chosen.len()));
        let phc = app.hashes.hash(Lane::InSlot, PASSWORD).await?;
        stream::iter(chosen)
            .map(Ok::<_, anyhow::Error>)
            .try_for_each_concurrent(8, |person| activate(app, person, &phc))
            .await?;

        seed_factors(app, &mut to_try).await?;
        write(&self.accounts, &to_try)?;
        if let (Some(spare), false) = (spare, self.all_accounts) {
            let made = app.identity.make_code_by_login(&spare.login).await?;
            let codes = [ToActivate { login: made.login, code: made.code.printed() }];
            write(&self.accounts.with_file_name("activation.json"), &codes)?;
        }
        say(&format!("accounts to try are in {}; their password is « {PASSWORD} »", self.accounts.display()));
        Ok(())
    }
}

/// A demonstration has lessons today: on a week-end, its week-end repeats Monday.
fn days_with_lessons(today: NaiveDate) -> u32 {
    if today.weekday().number_from_monday() > 5 { 7 } else { 5 }
}

fn write(path: &std::path::Path, value: &impl Serialize) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, serde_json::to_string_pretty(value)?).with_context(|| path.display().to_string())
}

/// Only the owner can say that a database is a demonstration, and only one that holds nobody yet.
async fn mark(config: &Config) -> anyhow::Result<()> {
    let url = config.database.owner_url.expose_secret();
    anyhow::ensure!(
        !url.is_empty(),
        "database.owner_url (PREAU_DATABASE__OWNER_URL) must name the owner's role"
    );
    let mut owner = PgConnection::connect(url).await.context("database.owner_url")?;
    let now = Clock::system().now();
    sqlx::query!(
        "INSERT INTO installation (one, demo, created_at)
         SELECT true, true, $1 WHERE NOT EXISTS (SELECT 1 FROM territory) ON CONFLICT (one) DO NOTHING",
        now,
    )
    .execute(&mut owner)
    .await?;
    let demo = sqlx::query_scalar!("SELECT demo FROM installation")
        .fetch_optional(&mut owner)
        .await?
        .unwrap_or(false);
    owner.close().await?;
    anyhow::ensure!(demo, "this database holds a real territory: a demonstration needs one of its own");
    Ok(())
}

/// People of a school with an account: those first who are one thing only, then those whose day shows most (the guardian
/// of most children, the teacher of most classes).
async fn people(app: &App, territory: TerritoryId, school: SchoolId) -> anyhow::Result<Vec<Account>> {
    let mut tx = app.db.in_territory_for_work(territory).await?;
    tx.enter_school(school).await?;
    let rows = sqlx::query!(
        r#"SELECT m.role, m.person_id AS "person: PersonId", a.login, s.name AS school_name
             FROM membership m
             JOIN account a ON a.person_id = m.person_id
             JOIN school s ON s.school_id = m.school_id
            WHERE m.school_id = $1 AND m.ended_at IS NULL
            ORDER BY (SELECT count(*) FROM membership o WHERE o.school_id = $1 AND o.person_id = m.person_id),
                     (SELECT count(*) FROM guardian_link g WHERE g.school_id = $1 AND g.guardian_id = m.person_id AND g.legal > 0)
                   + (SELECT count(*) FROM class_teacher t WHERE t.school_id = $1 AND t.person_id = m.person_id) DESC,
                     m.role, a.login"#,
        school.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    let account = |row_role: String, person, login, school_name| {
        let role = row_role.parse::<preau_kernel::Role>().ok()?.as_str();
        Some(Account {
            role,
            school_id: Some(school),
            school_name,
            login,
            password: PASSWORD,
            totp_secret: None,
            person,
        })
    };
    Ok(rows.into_iter().filter_map(|row| account(row.role, row.person, row.login, row.school_name)).collect())
}

/// Administrators must have a second factor: theirs is an authenticator application whose secret stands beside the
/// password, so that a person or a program can try the whole way in. One person, one secret, in however many roles.
async fn seed_factors(app: &App, accounts: &mut [Account]) -> anyhow::Result<()> {
    let administers = |account: &Account| matches!(account.role, "school_admin" | "territory_admin");
    let mut secrets: HashMap<PersonId, String> = HashMap::new();
    for account in accounts.iter().filter(|account| administers(account)) {
        let Entry::Vacant(unseeded) = secrets.entry(account.person) else { continue };
        let secret = TotpSecret::generate().context("the system gives no randomness")?;
        app.identity.seed_totp(account.person, &secret).await?;
        unseeded.insert(secret.base32());
    }
    for account in accounts {
        account.totp_secret = secrets.get(&account.person).cloned();
    }
    Ok(())
}

async fn activate(app: &App, person: PersonId, phc: &str) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.db.as_person(person).await?;
    sqlx::query!(
        "INSERT INTO credential (person_id, kind, secret, changed_at) VALUES ($1, 'password', $2, $3)
         ON CONFLICT (person_id, kind) DO UPDATE SET secret = excluded.secret, changed_at = excluded.changed_at",
        person.uuid(),
        phc,
        now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "UPDATE account SET state = 'active', terms_version = $2, activated_at = coalesce(activated_at, $3), updated_at = $3
          WHERE person_id = $1",
        person.uuid(),
        preau_identity::TERMS_VERSION,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(tx.commit().await?)
}
