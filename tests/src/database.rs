//! A database for each test, copied from one that was migrated once.

use std::{path::Path, time::Duration};

use preau_kernel::Clock;
use sha2::{Digest, Sha256, Sha384};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::stores::{Stores, workspace};

/// One at a time makes the template; the rest copy it.
const TEMPLATE_LOCK: i64 = 0x7465_6d70;
/// What a test that was killed left behind is swept after this long.
const LEFTOVER: Duration = Duration::from_secs(3600);

/// A database of this test alone.
#[derive(Clone, Debug)]
pub struct Database {
    stores: Stores,
    name: String,
}

impl Database {
    /// A migrated database in which the owner's role is let through row-level security, so that a test may put in what
    /// it wants and look at everything. The application's role is bound as ever.
    pub async fn copied(stores: &Stores) -> Self {
        let template = template(stores).await;
        let this = Self { stores: stores.clone(), name: fresh_name() };
        let mut admin = maintenance(stores).await;
        run(&mut admin, &format!("CREATE DATABASE {} TEMPLATE {template}", this.name)).await;
        this
    }

    /// A copy of this one, for a test that breaks something. Nobody may be connected to this one.
    pub async fn copy(&self) -> Self {
        let this = Self { stores: self.stores.clone(), name: fresh_name() };
        let mut admin = maintenance(&self.stores).await;
        run(&mut admin, &format!("CREATE DATABASE {} TEMPLATE {}", this.name, self.name)).await;
        this
    }

    /// A database exactly as the migrations leave it.
    pub async fn as_migrated(stores: &Stores) -> Self {
        let this = Self { stores: stores.clone(), name: fresh_name() };
        run(&mut maintenance(stores).await, &format!("CREATE DATABASE {}", this.name)).await;
        preau_db::migrate(&this.owner_url()).await.expect("migrations apply");
        this
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As the owner's role.
    pub fn owner_url(&self) -> String {
        self.stores.postgres("preau_owner", &self.name)
    }

    /// As the application's role.
    pub fn app_url(&self) -> String {
        self.stores.postgres("preau_app", &self.name)
    }

    /// A connection as the owner's role.
    pub async fn owner(&self) -> PgConnection {
        connect(&self.owner_url()).await
    }

    /// A connection as the application's role.
    pub async fn app(&self) -> PgConnection {
        connect(&self.app_url()).await
    }

    /// Removes it. PostgreSQL itself waits a few seconds for connections that are on their way out (the owner may not end
    /// those of another role).
    pub async fn discard(&self) {
        run(&mut maintenance(&self.stores).await, &format!("DROP DATABASE IF EXISTS {}", self.name)).await;
    }
}

/// Runs statements that take no parameter.
pub async fn run(conn: &mut PgConnection, sql: &str) {
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap_or_else(|err| panic!("{sql}: {err}"));
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a PostgreSQL URL");
    PgConnection::connect_with(&options)
        .await
        .unwrap_or_else(|err| panic!("{url}: {err} (`make stores` starts it)"))
}

async fn maintenance(stores: &Stores) -> PgConnection {
    connect(&stores.postgres("preau_owner", "postgres")).await
}

/// `t_` and a UUIDv7: the name tells the age.
fn fresh_name() -> String {
    format!("t_{}", Clock::system().mint::<Uuid>().simple())
}

/// The name of the migrated template, made by whoever comes first.
async fn template(stores: &Stores) -> String {
    let name = format!("preau_template_{}", fingerprint());
    let mut admin = maintenance(stores).await;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut admin).await.expect("lock");
    let known: Vec<String> = sqlx::query(
        "SELECT datname FROM pg_database WHERE datname LIKE 't\\_%' OR datname LIKE 'preau\\_template\\_%'",
    )
    .fetch_all(&mut admin)
    .await
    .expect("databases")
    .iter()
    .map(|row| row.get(0))
    .collect();
    if !known.contains(&name) {
        sweep(&mut admin, &known).await;
        // Made beside and renamed: one that was interrupted is never copied.
        let part = format!("{name}_part");
        run(&mut admin, &format!("DROP DATABASE IF EXISTS {part}")).await;
        run(&mut admin, &format!("CREATE DATABASE {part}")).await;
        let url = stores.postgres("preau_owner", &part);
        preau_db::migrate(&url).await.expect("migrations apply");
        let mut conn = connect(&url).await;
        let applied: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT checksum FROM _sqlx_migrations ORDER BY version")
                .fetch_all(&mut conn)
                .await
                .expect("migrations");
        // A program that was built before the tree changed would leave its own schema under the tree's name.
        let there: Vec<Vec<u8>> = files().iter().map(|(_, sql)| Sha384::digest(sql).to_vec()).collect();
        assert!(
            applied == there,
            "these tests were built with other migrations than the tree's: build them again"
        );
        run(&mut conn, LET_THE_OWNER_THROUGH).await;
        conn.close().await.expect("closed");
        run(&mut admin, &format!("ALTER DATABASE {part} RENAME TO {name}")).await;
    } else if known.iter().any(|name| is_left_over(name)) {
        sweep(&mut admin, &known).await;
    }
    admin.close().await.expect("closed");
    name
}

const LET_THE_OWNER_THROUGH: &str = "
DO $$ DECLARE t text; BEGIN
    FOR t IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relforcerowsecurity LOOP
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', t);
    END LOOP;
END $$";

async fn sweep(admin: &mut PgConnection, known: &[String]) {
    for name in known.iter().filter(|name| is_left_over(name)) {
        // Another process may sweep the same one.
        drop(admin.execute(sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}")))).await);
    }
}

fn is_left_over(name: &str) -> bool {
    let born =
        name.strip_prefix("t_").and_then(|id| id.parse::<Uuid>().ok()).and_then(|id| id.get_timestamp());
    let now = Clock::system().now().timestamp();
    born.is_some_and(|born| {
        now - i64::try_from(born.to_unix().0).unwrap_or(i64::MAX) > LEFTOVER.as_secs() as i64
    })
}

/// What the migrations are, in sixteen digits.
fn fingerprint() -> String {
    let mut hash = Sha256::new();
    for (name, sql) in files() {
        hash.update(name);
        hash.update(sql);
    }
    hex::encode(&hash.finalize()[..8])
}

/// The migrations of the tree, in their order: name and words.
fn files() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(workspace().join("migrations"))
        .expect("migrations/")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let name = |file: &Path| file.file_name().expect("a name").as_encoded_bytes().to_vec();
    files.iter().map(|file| (name(file), std::fs::read(file).expect("readable"))).collect()
}
