//! Two lints: what each migration file says, and what the migrated database became.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::stores::{self, Stores};
use crate::{queries, run, sh, sql};

/// Faults of the catalogue lint that stand, each with its reason. One that no longer occurs fails the lint.
#[rustfmt::skip]
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    // Public facts of an installation: reference tables, copied to every shard.
    ("tenant-less",  "installation",      "one row: demo or not"),
    ("row-security", "installation",      "one public row, which the application may only read"),
    ("tenant-less",  "territory",         "reference table: names are public, writing needs the territory's scope"),
    ("key",          "school",            "reference table: an UAI is unique in the country"),
    ("index",        "school",            "reference table: a territory lists its schools"),
    ("tenant-less",  "key_ring",          "reference table of the lookup scope: a handful of sealed keys"),
    // Rows of a person, distributed by person_id: sign-in and sessions know no school yet.
    ("tenant-less",  "person",            "master record, above schools; inside one, school_person is read"),
    ("key",          "person_membership", "a person's schools, asked at sign-in: one shard of people"),
    ("index",        "person_membership", "an import ends memberships of its own territory"),
    ("tenant-less",  "account",           "a person signs in once for all their schools"),
    ("tenant-less",  "activation_code",   "belongs to the account"),
    ("tenant-less",  "credential",        "belongs to the account"),
    ("tenant-less",  "session_family",    "a session spans a person's schools"),
    ("tenant-less",  "revocation",        "a session spans a person's schools"),
    ("tenant-less",  "recovery",          "belongs to the account"),
    ("tenant-less",  "contact_change",    "belongs to the person"),
    ("tenant-less",  "terms_acceptance",  "belongs to the account"),
    ("tenant-less",  "terms",             "reference table: versions of the terms are public"),
    ("tenant-less",  "totp_factor",       "belongs to the account"),
    ("tenant-less",  "passkey",           "belongs to the account"),
    ("tenant-less",  "recovery_code",     "belongs to the account"),
    ("tenant-less",  "factor_challenge",  "belongs to the account"),
    ("tenant-less",  "factor_guess",      "belongs to the account"),
    ("tenant-less",  "security_event",    "belongs to the account"),
    ("tenant-less",  "factor_policy",     "scope_id is the school or the territory that says so"),
    // Rows of a client, distributed by client_id: the door knows neither school nor territory yet.
    ("tenant-less",  "api_client",        "shows its id and secret at the door; belongs to a territory or a school"),
    ("tenant-less",  "api_client_secret", "belongs to the client"),
    ("tenant-less",  "api_client_minute", "belongs to the client"),
    ("tenant-less",  "read_budget",       "what a credential reads in a day, whatever the school"),
    ("index",        "read_approval",     "a territory lists what was asked in its schools"),
    // Look-ups, distributed by what is looked up, so that UNIQUE holds.
    ("tenant-less",  "login",             "who is this name; unique in an installation"),
    ("tenant-less",  "login_stem",        "numbers given to people of one name, in the whole installation"),
    ("tenant-less",  "sign_in_failure",   "counted by identifier, before anyone is known"),
    ("tenant-less",  "recovery_request",  "asked for by identifier, before anyone is known"),
    ("tenant-less",  "device_profile",    "people of a device, found by its cookie"),
    ("tenant-less",  "post_message",      "leaves for a person, of several schools or of none"),
    ("open-policy",  "post_message",      "every scope may leave a sealed message; only the lookup scope sees one again"),
    ("tenant-less",  "post_budget",       "counted by recipient, and by school, as keyed hashes"),
    // Rows of a territory: feeds and their work, before they are a school's.
    ("tenant-less",  "academy_subject",   "a feed's nomenclature"),
    ("tenant-less",  "mef",               "a feed's nomenclature"),
    ("tenant-less",  "join_key",          "unique in an academy; says which person a feed means"),
    ("tenant-less",  "sts_key",           "unique in an academy; says which teacher a timetable means"),
    ("tenant-less",  "feed_delivery",     "a feed that was staged whole"),
    ("tenant-less",  "feed_school",       "progress of a feed, school by school"),
    ("tenant-less",  "feed_hold",         "a school of a delivery that waits for a human"),
    ("tenant-less",  "feed_parked",       "references to what no delivery has brought yet"),
    ("tenant-less",  "feed_schedule",     "a territory's own night feed"),
    ("key",          "structure_key",     "unique in an academy; says which school a feed means"),
    ("index",        "structure_key",     "a delta asks which keys a territory's school has"),
    ("tenant-less",  "federation_provider", "desks of a territory, asked by their name before anyone is known"),
    ("tenant-less",  "federation_use",    "assertions used up, by their hash, before anyone is known"),
    ("tenant-less",  "federation_session", "a session spans a person's schools"),
    ("tenant-less",  "job",               "claimed inside one territory"),
    ("tenant-less",  "territory_admin",   "administers the territory, not a school"),
    ("tenant-less",  "upload",            "files of a territory's feeds"),
    ("tenant-less",  "upload_chunk",      "files of a territory's feeds"),
    // Rows of a territory's administration.
    ("tenant-less",  "year_transition",   "the end of a year, over many schools"),
    ("tenant-less",  "duplicate_pair",    "two records of a territory, who may share no school"),
    ("tenant-less",  "account_merge",     "two records of a territory made one"),
    ("tenant-less",  "lookup_budget",     "counts what a territory's administrator looks up"),
    // Rows of the desk, of a territory or of the whole installation.
    ("tenant-less",  "load_order",        "what is ordered for a territory, or for all"),
    ("tenant-less",  "load_event",        "what changed for a territory, or for all"),
    // Rows of whichever scope wrote them; the key starts with that scope's id.
    ("tenant-less",  "slot_plan",         "scope_id is the school or the territory whose hours these are"),
    ("tenant-less",  "slot_plan_version", "scope_id is the school or the territory whose hours these were"),
    ("tenant-less",  "slot_exception",    "scope_id is the school or the territory that made it"),
    ("tenant-less",  "suspension",        "scope_id is the school or the territory that decided it"),
    ("tenant-less",  "slot_generation",   "scope_id is the school or the territory that changed something"),
    ("index",        "level_counter",     "a territory previews a plan with the counts of its schools"),
    ("tenant-less",  "idempotency",       "scope_id is the school, person or territory whose transaction it is"),
    ("tenant-less",  "journal",           "chain_id is the school or the territory"),
    ("tenant-less",  "journal_head",      "chain_id is the school or the territory"),
];

/// Both lints, the statements' lint, and a proof that migrating twice changes nothing.
pub(crate) fn check(place: &Place) -> Result<()> {
    check_files(place)?;
    let stores = stores::up(place)?;
    check_catalogue(place, &stores)?;
    run::build(place)?;
    migrate_twice(place, &stores)
}

/// The migrations in the order they run: file name, content.
fn files(place: &Place) -> Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(place.root.join("migrations"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "sql") {
            let text = std::fs::read_to_string(&path)?;
            files.push((path, text));
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("migrations/ has no .sql file");
    }
    Ok(files)
}

pub(crate) fn check_files(place: &Place) -> Result<()> {
    let files = files(place)?;
    let mut faults = Vec::new();
    for (path, text) in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        faults.extend(faults_of(&name, text).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if !faults.is_empty() {
        bail!("migrations:\n  {}", faults.join("\n  "));
    }
    println!("  {} migrations read", files.len());
    Ok(())
}

const NO_TRANSACTION: &str = "-- no-transaction";

fn faults_of(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (stamp, title) = name.trim_end_matches(".sql").split_once('_').unwrap_or((name, ""));
    if stamp.len() != 14 || !stamp.bytes().all(|it| it.is_ascii_digit()) {
        faults.push("the name must be YYYYMMDDHHMMSS_title.sql".to_owned());
    }
    if title.is_empty()
        || !title.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
    {
        faults.push("the title must be snake_case".to_owned());
    }
    if !text.starts_with("--") {
        faults.push("must begin with a comment that says what it is for".to_owned());
    }
    let statements = sql::statements(text);
    let has_transaction = !text.starts_with(NO_TRANSACTION);
    if has_transaction && !statements.first().is_some_and(|it| it.starts_with("set local lock_timeout")) {
        faults.push(format!("must set the lock's limit first (SET LOCAL lock_timeout = '2s';), or start with `{NO_TRANSACTION}`"));
    }
    let mut made_here = BTreeSet::new();
    for statement in &statements {
        let words: Vec<&str> = sql::words(statement)
            .filter(|it| !["if", "not", "exists", "unlogged", "only"].contains(it))
            .collect();
        match words.as_slice() {
            ["create", "table", table, ..] => {
                made_here.insert((*table).to_owned());
            }
            ["create", "trigger" | "constraint", ..] => {
                faults.push("no triggers: the statement writes what must be written".to_owned())
            }
            ["create", "index", rest @ ..] | ["create", "unique", "index", rest @ ..] => {
                let concurrent = rest.first() == Some(&"concurrently");
                let table = rest.iter().skip_while(|it| **it != "on").nth(1).copied().unwrap_or_default();
                if concurrent && (has_transaction || statements.len() > 1) {
                    faults.push(format!("CREATE INDEX CONCURRENTLY on {table} must be alone in a file that starts with `{NO_TRANSACTION}`"));
                }
                if !concurrent && !made_here.contains(table) {
                    faults.push(format!("CREATE INDEX on {table}, which an earlier migration made, locks writers out: CONCURRENTLY"));
                }
            }
            ["alter", "table", table, ..]
                if statement.contains(" add constraint ") && commas_outside_brackets(statement) > 0 =>
            {
                faults.push(format!("ALTER TABLE {table}: a constraint is added by a command of its own"));
            }
            _ => {}
        }
        for word in &words {
            match *word {
                "serial" | "bigserial" | "smallserial" | "identity" => {
                    faults.push(format!("no {word}: ids are UUIDv7 minted by the Clock"))
                }
                "gen_random_uuid" | "uuid_generate_v4" => {
                    faults.push(format!("no {word}(): ids are UUIDv7 minted by the Clock"))
                }
                _ => {}
            }
        }
    }
    faults
}

fn commas_outside_brackets(statement: &str) -> usize {
    let mut depth = 0_usize;
    let mut commas = 0;
    for it in statement.chars() {
        match it {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => commas += 1,
            _ => {}
        }
    }
    commas
}

/// Applies the files in order, as the owner, without the product: what `prepare` and the catalogue lint work on.
pub(crate) fn apply(place: &Place, stores: &Stores, database: &str) -> Result<()> {
    stores.fresh(place, database)?;
    for (path, text) in files(place)? {
        let mut psql = stores.psql(place, "preau_owner", database);
        if !text.starts_with(NO_TRANSACTION) {
            psql.arg("--single-transaction");
        }
        sh::quiet(psql.arg("-f").arg(&path)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

pub(crate) fn check_catalogue(place: &Place, stores: &Stores) -> Result<()> {
    const SCRATCH: &str = "preau_catalogue";
    let _alone = place.lock(SCRATCH)?;
    apply(place, stores, SCRATCH)?;
    let rows = stores.sql(place, SCRATCH, include_str!("catalogue.sql"))?;
    let mut unused: BTreeSet<(&str, &str)> =
        EXCEPTIONS.iter().map(|(rule, object, _)| (*rule, *object)).collect();
    let mut faults = Vec::new();
    for row in rows.lines() {
        let mut columns = row.split('\t');
        let (rule, object, detail) = (
            columns.next().unwrap_or_default(),
            columns.next().unwrap_or_default(),
            columns.next().unwrap_or_default(),
        );
        if EXCEPTIONS.iter().any(|(a, b, _)| (*a, *b) == (rule, object)) {
            unused.remove(&(rule, object));
        } else {
            faults.push(format!("{rule}: {object} {detail}"));
        }
    }
    faults.extend(
        unused.iter().map(|(rule, object)| format!("{rule}: {object} no longer needs its exception")),
    );
    let tenants = stores.sql(place, SCRATCH, TENANT_TABLES)?;
    stores.discard(place, SCRATCH)?;
    if !faults.is_empty() {
        bail!(
            "the migrated database (exceptions: crates/xtask/src/migrations.rs):\n  {}",
            faults.join("\n  ")
        );
    }
    let tenants: Vec<&str> = tenants.lines().collect();
    println!("  {} tenant tables, {} exceptions with reasons", tenants.len(), EXCEPTIONS.len());
    queries::check(place, &tenants)
}

/// Tables whose primary key starts with the school.
const TENANT_TABLES: &str = "
SELECT c.relname FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
 WHERE c.relnamespace = 'public'::regnamespace AND a.attname = 'school_id' AND c.relname <> 'school' ORDER BY 1";

/// `preau migrate` on an empty database, then again: the second changes nothing.
pub(crate) fn migrate_twice(place: &Place, stores: &Stores) -> Result<()> {
    const SCRATCH: &str = "preau_migrate_twice";
    let _alone = place.lock(SCRATCH)?;
    stores.fresh(place, SCRATCH)?;
    let mut dumps = Vec::new();
    for _ in 0..2 {
        let mut migrate = run::preau(place, stores, SCRATCH)?;
        sh::quiet(migrate.arg("migrate"))?;
        let dump =
            sh::read(sh::command(place, "pg_dump").args(["--schema-only", "-d", &stores.owner_of(SCRATCH)]))?;
        // pg_dump 15.14 and later fence their output with a random word.
        dumps.push(dump.lines().filter(|line| !line.contains("restrict")).collect::<Vec<_>>().join("\n"));
    }
    stores.discard(place, SCRATCH)?;
    if let [first, second] = dumps.as_slice()
        && first != second
    {
        bail!("`preau migrate` changed a migrated database");
    }
    println!("  migrated an empty database twice; the second time changed nothing");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "20261121090000_homework.sql";

    fn faults(body: &str) -> Vec<String> {
        faults_of(NAME, &format!("-- Homework.\n\nSET LOCAL lock_timeout = '2s';\n{body}"))
    }

    #[test]
    fn a_plain_migration_passes() {
        let body = "CREATE TABLE homework (school_id uuid NOT NULL, PRIMARY KEY (school_id));
            CREATE INDEX homework_by_due ON homework (school_id);
            -- a serial comment about a trigger
            ALTER TABLE homework ADD CONSTRAINT a_check CHECK (f(1, 2) > 0);";
        assert_eq!(faults(body), Vec::<String>::new());
    }

    #[test]
    fn each_rule_refuses() {
        for (body, said) in [
            ("CREATE TABLE t (id bigserial);", "bigserial"),
            ("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY);", "identity"),
            ("CREATE TABLE t (id uuid DEFAULT gen_random_uuid());", "gen_random_uuid"),
            ("CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f();", "no triggers"),
            ("CREATE INDEX x ON older (school_id);", "locks writers out"),
            ("CREATE INDEX CONCURRENTLY x ON older (school_id);", "alone in a file"),
            ("ALTER TABLE t ADD COLUMN a int, ADD CONSTRAINT c CHECK (a > 0);", "command of its own"),
        ] {
            let faults = faults(body);
            assert!(faults.iter().any(|fault| fault.contains(said)), "{body}: {faults:?}");
        }
    }

    #[test]
    fn names_and_first_statements_count() {
        assert!(!faults_of("1_x.sql", "-- x\nSET LOCAL lock_timeout = '2s';").is_empty());
        assert!(!faults_of(NAME, "-- x\nCREATE TABLE t (a int);").is_empty());
        assert!(
            faults_of(NAME, "-- no-transaction\nCREATE INDEX CONCURRENTLY x ON older (school_id);")
                .is_empty()
        );
    }
}
