//! What the administrators' requests are about, in the world that the exhaustive tests walk through.

use bytes::Bytes;
use http::Method;
use preau_kernel::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Target, World};

/// Operations of administrators and of who may write to whom that show nobody by name.
pub(crate) const NAMELESS: [&str; 5] = [
    "list_school_journal",
    "verify_school_journal",
    "get_communication_rules",
    "get_class_rights",
    "get_school_factor_policy",
];

/// The rules of a collège that has set none.
pub(crate) fn rules() -> Value {
    let everybody = json!({
        "pupils": "school", "guardians": "school", "teachers": "school", "guests": "school",
        "school_life": true, "direction": true, "other_staff": true,
    });
    json!({
        "pupil": {
            "pupils": "none", "guardians": "none", "teachers": "own_classes", "guests": "none",
            "school_life": true, "direction": false, "other_staff": false,
        },
        "guardian": {
            "pupils": "none", "guardians": "none", "teachers": "own_classes", "guests": "none",
            "school_life": true, "direction": true, "other_staff": false,
        },
        "guest": {
            "pupils": "none", "guardians": "none", "teachers": "none", "guests": "none",
            "school_life": false, "direction": false, "other_staff": false,
        },
        "teacher": everybody, "staff": everybody, "family": "both", "crisis": false,
    })
}

impl World {
    /// The path of a request, with what it is about made for it where the request uses it up. Of another school nothing is
    /// made: there, each thing has the id of the group.
    pub(crate) async fn administered(&self, operation: &str, path: String, target: &Target) -> String {
        let known: Uuid = target.group.parse().unwrap_or_default();
        let mut path = path;
        let mut fill = |name: &str, value: String| path = path.replace(&format!("{{{name}}}"), &value);
        fill("export", "people".to_owned());
        let own = target.school == self.school.id.uuid() && target.territory == self.here.id.uuid();
        let names = [
            "teaching_group_id",
            "guardian_id",
            "delegation_id",
            "bulk_id",
            "pair_id",
            "transition_id",
            "merge_id",
        ];
        if !own {
            names.into_iter().for_each(|name| fill(name, known.to_string()));
            return path;
        }
        let id: Uuid = self.stage.clock().mint();
        let (school, territory) = (target.school, target.territory);
        for name in names {
            let hole = format!("{{{name}}}");
            if !path.contains(&hole) {
                continue;
            }
            let value = match name {
                "guardian_id" => self.guardian.id.uuid(),
                _ => id,
            };
            path = path.replace(&hole, &value.to_string());
            let row = match name {
                "teaching_group_id" => {
                    format!("INSERT INTO teaching_group (school_id, group_id, name) VALUES ('{school}', '{id}', 'G {id}')")
                }
                "delegation_id" => format!(
                    "INSERT INTO delegation (school_id, delegation_id, person_id, power, until, granted_by, granted_at)
                     VALUES ('{school}', '{id}', '{}', 'read-export', '2027-01-01', '{}', now())",
                    self.teacher.id, self.admin.id
                ),
                "bulk_id" => bulk(school, id, "x"),
                "transition_id" => format!(
                    "INSERT INTO year_transition (territory_id, transition_id, year, schools, state, preview, made_by, made_at, updated_at)
                     VALUES ('{territory}', '{id}', '2025-2026', '{{}}', 'previewed',
                             '{{\"schools\":0,\"classes\":0,\"groups\":0,\"places_of_pupils\":0,\"places_of_teachers\":0}}',
                             '{territory}', now(), now())"
                ),
                "merge_id" => format!(
                    "INSERT INTO account_merge (territory_id, merge_id, kept_id, merged_id, schools, state, made_by, made_at, updated_at)
                     VALUES ('{territory}', '{id}', '{}', '{}', '{{}}', 'merged', '{territory}', now(), now())",
                    self.teacher.id, self.staff.id
                ),
                "pair_id" => {
                    let (one, other) = (self.newcomer(Role::Pupil).await, self.newcomer(Role::Pupil).await);
                    pair(territory, id, one.min(other), one.max(other), school)
                }
                _ => continue,
            };
            self.stage.sql(&row).await;
        }
        let whom = target.person.to_string();
        let someone = match operation {
            "end_membership" | "set_membership" | "appoint_administrator" | "dismiss_administrator" => {
                Some(self.newcomer(Role::Staff).await)
            }
            "delete_class_pupil" | "delete_taught_pupil" => {
                let pupil = self.newcomer(Role::Pupil).await;
                let (school, class) = (self.school.id, target.class);
                self.stage
                    .sql(&format!(
                        "INSERT INTO class_pupil (school_id, class_id, person_id) SELECT '{school}', class_id, '{pupil}'
                           FROM class WHERE school_id = '{school}' AND class_id = '{class}';
                         UPDATE membership SET origin = 'hand' WHERE person_id = '{pupil}'"
                    ))
                    .await;
                Some(pupil)
            }
            "set_class_teacher" | "remove_class_teacher" | "set_group_teacher" | "remove_group_teacher" => {
                Some(self.teacher.id.uuid())
            }
            _ => None,
        };
        if let Some(someone) = someone {
            path = path.replace(&whom, &someone.to_string());
        }
        if operation == "end_class" || operation == "update_class" {
            let class = self.school.class(&format!("C {}", &id.to_string()[24..])).await;
            path = path.replace(&target.class.to_string(), &class.id.to_string());
        }
        path
    }

    async fn newcomer(&self, role: Role) -> Uuid {
        let person = self.here.person("Noé Passager").await;
        self.school.enrol(&person, role).await;
        person.id.uuid()
    }

    /// What the request says.
    pub(crate) async fn administered_body(
        &self,
        operation: &str,
        path: &str,
        target: &Target,
    ) -> Option<(&'static str, Bytes)> {
        let own = target.school == self.school.id.uuid();
        let odd: Uuid = self.stage.clock().mint();
        let tail = odd.to_string().split_off(24);
        let value = match operation {
            "create_class_pupils" => json!({ "pupils": [{ "last_name": "Neuf", "first_name": "Ana" }] }),
            "create_person" => json!({ "last_name": "Neuf", "first_name": "Ana", "role": "pupil" }),
            "update_person" => json!({ "mobile": "06 12 34 56 78" }),
            "attach_person" => {
                let login =
                    if own { self.here.person("Ida Rattachée").await.login } else { "personne".to_owned() };
                json!({ "login": login, "last_name": "rattachee", "role": "teacher" })
            }
            "set_membership" => json!({ "function": "EDU" }),
            "create_class" => json!({ "name": format!("N {tail}"), "level": "6EME" }),
            "update_class" => json!({ "level": "5EME" }),
            "create_group" | "update_group" => json!({ "name": format!("N {tail}") }),
            "set_class_teacher" => json!({ "head": true }),
            "set_group_teacher" => json!({ "subject_codes": [] }),
            "set_guardian_link" => json!({ "kind": 1, "legal": 1, "contact_order": 1 }),
            "create_bulk_change" => {
                let rows = format!("action;identifiant\nmodifier;personne.{tail}\n");
                return Some(("text/csv", rows.into()));
            }
            "apply_bulk_change" => json!({ "leave_refused": true }),
            "create_delegation" => json!({
                "person_id": self.teacher.id, "power": "read-export", "until": "2027-01-01T00:00:00Z",
            }),
            "set_communication_rules" | "preview_communication_rules" => rules(),
            "look_up_people" => json!({ "login": self.teacher.login }),
            "create_year_transition" => json!({ "year": "2025-2026", "school_ids": [target.school] }),
            "move_year_transition" => json!({ "step": "start" }),
            "set_school_duplicate_verdict" | "set_territory_duplicate_verdict" => {
                json!({ "verdict": "distinct" })
            }
            "merge_school_duplicate" => {
                let pair = path.split('/').rev().nth(1).unwrap_or_default();
                let kept: Option<Uuid> =
                    sqlx::query_scalar("SELECT one_id FROM duplicate_pair WHERE pair_id = $1::uuid")
                        .bind(pair)
                        .fetch_optional(self.stage.owner())
                        .await
                        .expect("a pair");
                json!({ "kept_id": kept.unwrap_or_default() })
            }
            "create_duplicate_search" => json!({ "school_ids": [target.school] }),
            "create_merge" if own => {
                json!({ "kept_id": self.newcomer(Role::Pupil).await, "merged_id": self.newcomer(Role::Pupil).await })
            }
            "create_merge" => json!({ "kept_id": odd, "merged_id": Uuid::nil() }),
            "undo_merge" => json!({ "merged_id": self.staff.id }),
            _ => return None,
        };
        Some(("application/json", Bytes::from(value.to_string())))
    }
}

fn bulk(school: Uuid, id: Uuid, words: &str) -> String {
    format!(
        "INSERT INTO bulk_change (school_id, bulk_id, sha256, rows, report, made_by, made_at)
         VALUES ('{school}', '{id}', '', '[]', '{{\"lines\":1,\"created\":0,\"changed\":0,\"ended\":0,\"refused\":1,
                 \"faults\":[{{\"line\":2,\"column\":\"\",\"code\":\"bulk-unreadable-line\",\"message\":\"{words}\",\"refused\":true}}]}}',
                 '{school}', now())"
    )
}

fn pair(territory: Uuid, id: Uuid, one: Uuid, other: Uuid, school: Uuid) -> String {
    format!(
        "INSERT INTO duplicate_pair (territory_id, pair_id, one_id, other_id, score, reasons, one_schools, other_schools, state, found_at)
         VALUES ('{territory}', '{id}', '{one}', '{other}', 70, '{{last-name}}', '{{{school}}}', '{{{school}}}', 'open', now())"
    )
}

/// A delegation, a bulk change and a pair of a school, each with that id and the mark in its words.
pub(crate) fn marked(territory: Uuid, school: Uuid, id: Uuid, people: [Uuid; 2], mark: &str) -> String {
    let [one, other] = people;
    format!(
        "INSERT INTO delegation (school_id, delegation_id, person_id, power, until, granted_by, granted_at)
         VALUES ('{school}', '{id}', '{one}', 'read-export', '2027-01-01', '{one}', now());
         {}; {}",
        bulk(school, id, mark),
        pair(territory, id, one.min(other), one.max(other), school)
    )
}

/// Whether the request changes what somebody has read before.
pub(crate) fn wants_if_match(operation: &str, method: &Method) -> bool {
    let read_before = ["set_communication_rules", "update_slot_plan", "update_territory_slot_plan"];
    *method == Method::PUT && read_before.contains(&operation)
}
