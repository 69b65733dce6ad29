//! Slots as data: a scenario's plans as the product keeps them, and what the door decided in the course of a segment.
//!
//! A plan's hours are hours of the school's own clock, and a scenario is played at any: they are said in seconds from the
//! segment's beginning, and become hours and minutes when it begins.

use std::fmt::Write as _;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::world::Role;

/// Windows of a plan, at most.
const MOST_WINDOWS: usize = 20;
/// Events that a segment's report tells, at most.
const MOST_EVENTS: u32 = 1_000;
/// Seconds of a window, at most: it may not reach the next day.
const LONGEST_S: f64 = 36_000.0;

/// A plan of every territory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub name: String,
    /// How far the load may make it go.
    pub mode: PlanMode,
    pub windows: Vec<Window>,
}

/// See [`Plan::mode`].
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PlanMode {
    Advice,
    Soft,
    Hard,
}

/// Hours of a plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub profile: Role,
    /// As the product names them (`6e`, `seconde`); none: all.
    #[serde(default)]
    pub levels: Vec<String>,
    /// Seconds from the segment's beginning. The minute that they fall into is the window's.
    pub from_s: f64,
    pub to_s: f64,
}

/// A change that the door made, or was ordered to make.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Event {
    /// Seconds from the segment's beginning.
    pub at_s: f64,
    /// `slots`, `level` and others, as the operator's list has them.
    pub what: String,
    pub from: String,
    pub to: String,
}

impl Plan {
    /// # Errors
    /// Nothing that the product would take.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.name.is_empty() || !(1..=MOST_WINDOWS).contains(&self.windows.len()) {
            bail!("a plan has a name, and between one and {MOST_WINDOWS} windows");
        }
        for window in &self.windows {
            if window.profile == Role::Teacher {
                bail!("teachers have no slots");
            }
            if !(window.from_s.abs() <= LONGEST_S
                && window.to_s <= LONGEST_S
                && window.to_s >= window.from_s + 120.0)
            {
                bail!("a window lasts two minutes at least, within ten hours of the segment's beginning");
            }
            let plain = |level: &String| level.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if !window.levels.iter().all(plain) {
                bail!("a level is letters, digits and hyphens");
            }
        }
        Ok(())
    }
}

/// SQL that puts `plans` in for each territory, instead of those of the segment before. Fails at an hour at which a window
/// would reach another day.
#[must_use]
pub(super) fn script(plans: &[Plan], territories: &[String]) -> String {
    let mut sql = String::from(
        "BEGIN;\nUPDATE slot_plan SET withdrawn_at = now() WHERE withdrawn_at IS NULL AND name LIKE 'rush: %';\n",
    );
    let hour = |seconds: f64| {
        format!("to_char((now() AT TIME ZONE 'Europe/Paris') + make_interval(secs => {seconds}), 'HH24:MI')")
    };
    for territory in territories {
        let scope = literal(territory);
        for plan in plans {
            let windows: Vec<String> = plan
                .windows
                .iter()
                .map(|window| {
                    let levels: Vec<String> = window.levels.iter().map(|level| literal(level)).collect();
                    format!(
                        "jsonb_build_object('profile', {}, 'levels', jsonb_build_array({}), 'days',\n\
                         '[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\"]'::jsonb, 'from', {}, 'to', {})",
                        literal(window.profile.word()),
                        levels.join(", "),
                        hour(window.from_s),
                        hour(window.to_s),
                    )
                })
                .collect();
            let mode = match plan.mode {
                PlanMode::Advice => "advice",
                PlanMode::Soft => "soft",
                PlanMode::Hard => "hard",
            };
            let _ = write!(
                sql,
                "WITH made AS (INSERT INTO slot_plan (scope_id, plan_id, of_school, name, version, content, created_by,\n\
                 created_at, updated_by, updated_at)\n\
                 SELECT {scope}::uuid, gen_random_uuid(), false, {name}, 1, jsonb_build_object('mode', '{mode}',\n\
                 'starts_on', current_date - 1, 'ends_on', current_date + 1, 'siblings', false,\n\
                 'windows', jsonb_build_array({windows})), {scope}::uuid, now(), {scope}::uuid, now() RETURNING *)\n\
                 INSERT INTO slot_plan_version (scope_id, plan_id, version, name, content, changed_by, changed_at)\n\
                 SELECT scope_id, plan_id, version, name, content, created_by, created_at FROM made;\n",
                name = literal(&format!("rush: {}", plan.name)),
                windows = windows.join(", "),
            );
        }
        let _ = write!(
            sql,
            "INSERT INTO slot_generation (scope_id, number) VALUES ({scope}::uuid, 1)\n\
             ON CONFLICT (scope_id) DO UPDATE SET number = slot_generation.number + 1;\n"
        );
    }
    // An end that is not after its beginning would be a window of no hours, or of the wrong ones.
    sql.push_str(
        "DO $$ BEGIN IF EXISTS (SELECT FROM slot_plan p, jsonb_array_elements(p.content -> 'windows') w\n\
         WHERE p.withdrawn_at IS NULL AND p.name LIKE 'rush: %' AND w ->> 'from' >= w ->> 'to')\n\
         THEN RAISE EXCEPTION 'a window of the plan would cross midnight: play it at another hour'; END IF; END $$;\nCOMMIT;\n",
    );
    sql
}

/// SQL that lists what the door decided from `since` on, a JSON object a line.
#[must_use]
pub(super) fn events_since(since: &str) -> String {
    let since = literal(since);
    format!(
        "SELECT json_build_object('at_s', extract(epoch FROM at - {since}::timestamptz), 'what', what, 'from', from_state,\n\
         'to', to_state) FROM load_event WHERE at >= {since}::timestamptz ORDER BY event_id LIMIT {MOST_EVENTS};\n"
    )
}

/// Reads what [`events_since`] lists.
///
/// # Errors
/// A line is no event.
pub(super) fn read_events(lines: &str) -> anyhow::Result<Vec<Event>> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(windows: &str) -> Plan {
        toml::from_str(&format!("name = \"l'essai\"\nmode = 'hard'\nwindows = [{windows}]")).unwrap()
    }

    #[test]
    fn a_plan_is_written_for_each_territory_as_the_product_keeps_it() {
        let plan = plan("{ profile = 'pupil', levels = ['6e', '5e'], from_s = 300, to_s = 900 }");
        assert!(plan.check().is_ok());
        let sql = script(&[plan], &["00000000-0000-4000-8000-000000000001".to_owned(), "two".to_owned()]);
        assert_eq!(sql.matches("INSERT INTO slot_plan (").count(), 2);
        assert_eq!(sql.matches("INSERT INTO slot_generation").count(), 2);
        assert!(sql.contains("'rush: l''essai'") && sql.contains("jsonb_build_array('6e', '5e')"), "{sql}");
        assert!(sql.contains("secs => 300") && sql.contains("secs => 900"));
    }

    #[test]
    fn senseless_plans_are_refused() {
        assert!(plan("{ profile = 'pupil', from_s = -600, to_s = 600 }").check().is_ok());
        for senseless in [
            "",
            "{ profile = 'teacher', from_s = 0, to_s = 600 }",
            "{ profile = 'pupil', from_s = 600, to_s = 600 }",
            "{ profile = 'pupil', from_s = 0, to_s = 90000 }",
            "{ profile = 'pupil', levels = [\"6'e\"], from_s = 0, to_s = 600 }",
        ] {
            assert!(plan(senseless).check().is_err(), "{senseless}");
        }
    }

    #[test]
    fn events_are_read_line_by_line() {
        let lines = "{\"at_s\": 61.5, \"what\": \"slots\", \"from\": \"open\", \"to\": \"soft\"}\n\n";
        let found = read_events(lines).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].what.as_str(), found[0].to.as_str()), ("slots", "soft"));
        assert!(read_events("42").is_err());
        assert!(events_since("2021-04-06 09:00:00+02").contains("'2021-04-06 09:00:00+02'::timestamptz"));
    }
}
