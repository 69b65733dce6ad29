//! Checks what the visits say against PostgreSQL's `session_family` rows.
//!
//! It asks through `psql`, so that this crate keeps speaking HTTP only. Row-level security shows one
//! person's families at a time, whoever asks: the question is put person by person.

use std::{collections::HashSet, fmt::Write as _, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

/// No question to the database takes longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// A session that a visit was told it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub person_id: String,
    pub family_id: String,
}

/// How the visits and the database agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Sign-ins answered 201.
    pub answered: u64,
    /// Rows created meanwhile for the same people.
    pub rows: u64,
    /// Sessions that were answered and are not in the database: lost.
    pub lost: u64,
    /// Rows that no answer speaks of.
    pub unexplained: u64,
    /// Sign-ins without an answer: as many unexplained rows are in order.
    pub unanswered: u64,
}

impl Reconciled {
    /// Compares what was answered with what is stored.
    #[must_use]
    pub fn compare(answered: u64, unanswered: u64, claims: &[Claim], rows: &HashSet<Claim>) -> Self {
        let told: HashSet<&Claim> = claims.iter().collect();
        let stored: HashSet<&Claim> = rows.iter().collect();
        let size = |set: usize| u64::try_from(set).unwrap_or(u64::MAX);
        Self {
            answered,
            rows: size(rows.len()),
            lost: size(told.difference(&stored).count()),
            unexplained: size(stored.difference(&told).count()),
            unanswered,
        }
    }

    /// What is wrong, if anything.
    #[must_use]
    pub fn disagreement(&self) -> Option<String> {
        if self.lost > 0 {
            return Some(format!("{} sessions were answered 201 and are not in PostgreSQL", self.lost));
        }
        if self.rows < self.answered || self.rows > self.answered + self.unanswered {
            return Some(format!(
                "{} sign-ins were answered 201 ({} more had no answer) and PostgreSQL has {} new session families",
                self.answered, self.unanswered, self.rows
            ));
        }
        None
    }
}

/// The database's own idea of now, as text that it reads back.
///
/// # Errors
/// `psql` is absent, or the database does not answer.
pub async fn now(database: &str) -> anyhow::Result<String> {
    let text = psql(database, "SELECT clock_timestamp();\n").await?;
    Ok(text.trim().to_owned())
}

/// The session families created since `since` for the people of `claims`.
///
/// # Errors
/// `psql` is absent, the database does not answer, or an id is not one.
pub async fn families(database: &str, since: &str, claims: &[Claim]) -> anyhow::Result<HashSet<Claim>> {
    let people: HashSet<&str> = claims.iter().map(|claim| claim.person_id.as_str()).collect();
    if let Some(bad) = people.iter().find(|id| !is_id(id)) {
        bail!("the server named a person `{bad}`, which is not an id");
    }
    if !since.chars().all(|c| c.is_ascii_digit() || " :.+-".contains(c)) {
        bail!("`{since}` is not an instant");
    }
    let answer = psql(database, &question(since, &people)).await?;
    Ok(answer.lines().filter_map(parse_row).collect())
}

fn is_id(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

fn question(since: &str, people: &HashSet<&str>) -> String {
    let mut script = String::from(
        "BEGIN;\nCREATE TEMP TABLE visitor (person_id uuid) ON COMMIT DROP;\nCOPY visitor FROM STDIN;\n",
    );
    for person in people {
        let _ = writeln!(script, "{person}");
    }
    script.push_str("\\.\n");
    let _ = write!(
        script,
        "CREATE FUNCTION pg_temp.families() RETURNS TABLE (person uuid, family uuid) LANGUAGE plpgsql AS $$\n\
         DECLARE visitor_id uuid;\n\
         BEGIN\n\
           FOR visitor_id IN SELECT v.person_id FROM visitor v LOOP\n\
             PERFORM set_config('app.person_id', visitor_id::text, true);\n\
             RETURN QUERY SELECT f.person_id, f.family_id FROM session_family f\n\
               WHERE f.person_id = visitor_id AND f.created_at >= '{since}';\n\
           END LOOP;\n\
         END $$;\n\
         SELECT person, family FROM pg_temp.families();\nROLLBACK;\n"
    );
    script
}

fn parse_row(line: &str) -> Option<Claim> {
    let (person_id, family_id) = line.split_once('|')?;
    Some(Claim { person_id: person_id.to_owned(), family_id: family_id.to_owned() })
}

/// Runs `script` in `psql` and returns what it prints: rows only, unaligned, `|` between columns.
///
/// # Errors
/// `psql` is absent, fails, or does not end in time.
pub async fn psql(database: &str, script: &str) -> anyhow::Result<String> {
    let mut child = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set", "ON_ERROR_STOP=1", "--dbname", database])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start psql: install postgresql-client")?;
    let mut input = child.stdin.take().context("psql has no standard input")?;
    let script = script.to_owned();
    let exchange = async {
        // Both at once: a long script and a long answer would otherwise wait for each other.
        let (written, output) = tokio::join!(
            async move {
                input.write_all(script.as_bytes()).await?;
                input.shutdown().await
            },
            child.wait_with_output()
        );
        (written, output)
    };
    let (written, output) = timeout(DEADLINE, exchange).await.context("psql did not end in time")?;
    let output = output?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    written.context("psql closed its input")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(person: &str, family: &str) -> Claim {
        Claim { person_id: person.to_owned(), family_id: family.to_owned() }
    }

    #[test]
    fn agreement_is_silent() {
        let claims = [claim("a", "1"), claim("a", "2")];
        let found = Reconciled::compare(2, 0, &claims, &claims.iter().cloned().collect());
        assert_eq!(found.disagreement(), None);
    }

    #[test]
    fn a_session_that_is_not_stored_is_lost_even_when_the_counts_agree() {
        let claims = [claim("a", "1"), claim("a", "2")];
        let rows = [claim("a", "1"), claim("a", "3")].into();
        let found = Reconciled::compare(2, 0, &claims, &rows);
        assert_eq!((found.lost, found.unexplained), (1, 1));
        assert!(found.disagreement().unwrap().contains("not in PostgreSQL"));
    }

    #[test]
    fn an_unanswered_sign_in_may_have_made_a_row() {
        let claims = [claim("a", "1")];
        let rows: HashSet<_> = [claim("a", "1"), claim("a", "2")].into();
        assert_eq!(Reconciled::compare(1, 1, &claims, &rows).disagreement(), None);
        assert!(Reconciled::compare(1, 0, &claims, &rows).disagreement().is_some());
    }

    #[test]
    fn the_question_names_each_person_once_and_nothing_else_gets_in() {
        let id = "0199aaaa-0000-7000-8000-000000000001";
        let script = question("2026-11-21 20:00:00+00", &[id].into());
        assert_eq!(script.matches(id).count(), 1);
        assert!(is_id(id));
        assert!(!is_id("x'; DROP TABLE session_family; --  1234567"));
        assert_eq!(parse_row("p|f"), Some(claim("p", "f")));
        assert_eq!(parse_row("BEGIN"), None);
    }
}
