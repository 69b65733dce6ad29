//! Plans of hours and suspensions: who is told what, and what stays open whatever is decided.

use std::sync::Arc;

use bytes::Bytes;
use preau_admission::{
    Order, Orders,
    facts::{Declares, DueFact, Fact, Facts, Nearness},
    orders::Act,
    slots::Posture,
};
use preau_kernel::Role;
use preau_tests::{Class, Client, Line, PASSWORD, Persona, Relay, Stage, play};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    queue::{cookie, place, submit, text},
    world::{Target, World},
};

/// A plan as administrators send it.
pub(crate) fn plan() -> Value {
    json!({
        "name": "Plages", "mode": "soft", "starts_on": "2026-11-02", "ends_on": "2026-12-18", "siblings": true,
        "windows": [
            { "profile": "pupil", "levels": ["6e", "5e"], "from": "08:00", "to": "12:00" },
            { "profile": "pupil", "levels": ["4e", "3e"], "from": "13:00", "to": "17:00" },
        ],
    })
}

/// What requests about plans say.
pub(crate) fn body(operation: &str) -> Option<(&'static str, Bytes)> {
    let value = match operation.replace("territory_", "").as_str() {
        "create_slot_plan" | "preview_slot_plan" | "update_slot_plan" => plan(),
        "set_slot_plan_mode" => json!({ "mode": "hard", "until": "2026-11-24T08:00:00Z", "reason": "Essai" }),
        "create_slot_exception" => {
            json!({ "levels": ["3e"], "ends_at": "2026-11-25T08:00:00Z", "reason": "Brevet blanc" })
        }
        // The schools of the world are primary: guardians go on there.
        "create_suspension" => {
            json!({ "profile": "guardian", "ends_at": "2026-11-25T08:00:00Z", "reason": "Essai" })
        }
        _ => return None,
    };
    Some(("application/json", value.to_string().into()))
}

/// A plan with a version, an exception and a suspension of a scope, each with that id and the mark in its words.
pub(crate) fn marked(scope: Uuid, of_school: bool, id: Uuid, mark: &str) -> String {
    let content = r#"{"mode":"soft","starts_on":"2026-11-02","ends_on":null,"siblings":false,"windows":[]}"#;
    format!(
        "INSERT INTO slot_plan (scope_id, plan_id, of_school, name, version, content, created_by, created_at, updated_by, updated_at)
         VALUES ('{scope}', '{id}', {of_school}, 'Plan {mark}', 1, '{content}', '{id}', now(), '{id}', now());
         INSERT INTO slot_plan_version (scope_id, plan_id, version, name, content, changed_by, changed_at)
         VALUES ('{scope}', '{id}', 1, 'Plan {mark}', '{content}', '{id}', now());
         INSERT INTO slot_exception (scope_id, exception_id, of_school, levels, starts_at, ends_at, reason, made_by, made_at)
         VALUES ('{scope}', '{id}', {of_school}, '{{}}', '2026-11-01', '2026-11-02', 'Examen {mark}', '{id}', now());
         INSERT INTO suspension (scope_id, suspension_id, of_school, profile, services, starts_at, ends_at, reason, made_by, made_at)
         VALUES ('{scope}', '{id}', {of_school}, 'guardian', '{{}}', '2026-11-01', '2026-11-02', 'Motif {mark}', '{id}', now())"
    )
}

impl World {
    /// The path of a request about plans, with what it is about made for it. Of another school nothing is made: there, each
    /// thing has the id of the group.
    pub(crate) async fn planned(&self, path: String, target: &Target) -> String {
        let holes = ["{plan_id}", "{exception_id}", "{suspension_id}"];
        if !holes.iter().any(|hole| path.contains(hole)) {
            return path;
        }
        let own = target.school == self.school.id.uuid() && target.territory == self.here.id.uuid();
        let mut id: Uuid = target.group.parse().unwrap_or_default();
        if own {
            id = self.stage.clock().mint();
            let of_school = path.contains("/schools/");
            let scope = if of_school { target.school } else { target.territory };
            self.stage.sql(&marked(scope, of_school, id, "de test")).await;
        }
        holes.iter().fold(path, |path, hole| path.replace(hole, &id.to_string()))
    }
}

async fn studies(stage: &Stage, pupil: &Persona, mef: &str) {
    stage.sql(&format!("UPDATE pupil SET mef_code = '{mef}' WHERE person_id = '{}'", pupil.id)).await;
}

async fn post(client: &Client, url: &str, body: &Value) -> preau_tests::Answer {
    let key = Uuid::from_u128(rand::random()).to_string();
    client.clone().with("idempotency-key", &key).post(url, body).await
}

/// Where somebody stands in their first school.
async fn standing(client: &Client) -> Value {
    let all = client.get("/api/v1/account/slot").await.expect(200).json();
    all["items"][0].clone()
}

const SESSIONS: &str = "/api/v1/sessions";
const SIXTH: &str = "10010012110";
const THIRD: &str = "10310019110";

#[test]
fn a_plan_is_previewed_made_changed_and_taken_back() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let class = school.class("6e B").await;
        for (name, mef) in [("Lina Un", SIXTH), ("Zoé Deux", SIXTH), ("Max Trois", THIRD)] {
            studies(&stage, &class.pupil(name).await, mef).await;
        }
        let head = school.admin().await;
        let admin = node.proven(&head).await;
        let url = school.url("plans");

        let seen = admin.post(&format!("{url}/preview"), &plan()).await.expect(200).json();
        assert_eq!((&seen["pupils"], &seen["moved"]), (&json!(3), &json!(3)));
        let monday = seen["days"][0]["segments"].as_array().unwrap();
        let morning = monday.iter().find(|one| one["from"] == "08:00").unwrap();
        assert_eq!((&morning["to"], &morning["pupils"]), (&json!("12:00"), &json!(2)));
        assert_eq!(morning["levels"], json!([{ "level": "6e", "pupils": 2 }]));
        assert_eq!(seen["fullest"]["from"], "08:00");
        assert_eq!(stage.count("SELECT count(*) FROM slot_plan").await, 0, "a preview writes nothing");

        let made = post(&admin, &url, &plan()).await.expect(201).json();
        let one = format!("{url}/{}", made["id"].as_str().unwrap());
        assert_eq!((&made["version"], &made["state"]), (&json!(1), &json!("in_force")));
        let read = admin.get(&one).await;
        let tag = read.header("etag").unwrap().to_owned();
        let mut later = plan();
        later["windows"][1]["from"] = json!("14:00");
        admin.clone().put(&one, &later).await.refused(428, "if-match-missing");
        let held = admin.clone().with("if-match", &tag);
        assert_eq!(held.put(&one, &later).await.expect(200).json()["version"], 2);
        held.put(&one, &later).await.refused(412, "changed-meanwhile");
        // Against what holds now, the same plan moves nobody.
        assert_eq!(admin.post(&format!("{url}/preview"), &later).await.expect(200).json()["moved"], 0);
        let versions = admin.get(&format!("{one}/versions")).await.expect(200).json();
        let told: Vec<_> = versions["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["windows"][1]["from"].clone())
            .collect();
        assert_eq!(told, [json!("14:00"), json!("13:00")]);

        let forced = json!({ "mode": "hard", "until": "2026-11-23T12:00:00Z", "reason": "Saturation" });
        let told = admin.put(&format!("{one}/mode"), &forced).await.expect(200).json();
        assert_eq!(told["forced"]["mode"], "hard");
        let everybody = node.stranger().get("/api/v1/slots").await.expect(200).json();
        assert_eq!(everybody["items"], json!([]), "a school's own plan is told to whoever asks of it");
        let asked = format!("/api/v1/slots?school_id={}", school.id);
        let shown = node.stranger().get(&asked).await.expect(200).json();
        assert_eq!(
            (&shown["items"][0]["forced"], &shown["items"][0]["school_name"]),
            (&json!("hard"), &json!("Collège"))
        );
        stage.set("2026-11-23T12:00:00Z");
        let shown = node.stranger().get(&asked).await.expect(200).json();
        assert_eq!(shown["items"][0]["forced"], Value::Null, "until its end, by itself");

        let admin = node.proven(&head).await;
        admin.delete(&one).await.expect(204);
        admin.delete(&one).await.expect(204);
        assert_eq!(admin.get(&one).await.expect(200).json()["state"], "withdrawn");
        assert_eq!(node.stranger().get(&asked).await.expect(200).json()["items"], json!([]));
        let fresh = admin.get(&one).await.header("etag").unwrap().to_owned();
        admin.clone().with("if-match", &fresh).put(&one, &later).await.refused(409, "plan-ended");

        let journal = admin.get(&school.url("administration/journal")).await.expect(200).json();
        let acts: Vec<_> =
            journal["items"].as_array().unwrap().iter().map(|one| one["act"].as_str().unwrap()).collect();
        for act in ["slot-plan.create", "slot-plan.change", "slot-plan.force", "slot-plan.withdraw"] {
            assert_eq!(acts.iter().filter(|one| **one == act).count(), 1, "{act}: {acts:?}");
        }
        assert!(!journal.to_string().contains("Saturation"), "codes and counts, never words");
    });
}

#[test]
fn what_is_odd_is_refused_or_told() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let admin = node.proven(&school.admin().await).await;
        let mut odd = plan();
        odd["windows"][0]["to"] = json!("07:00");
        odd["windows"][1]["days"] = json!([]);
        odd["ends_on"] = json!("2026-11-01");
        let told =
            admin.post(&school.url("plans/preview"), &odd).await.refused(422, "against-the-rules").json();
        let fields: Vec<_> =
            told["errors"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["ends_on", "windows[0].to", "windows[1].days"]);
        for (field, value) in
            [("from", json!("8h")), ("to", json!("24:00")), ("levels", json!(["7e"])), ("day", json!("mon"))]
        {
            let mut wrong = plan();
            wrong["windows"][0][field] = value;
            admin.post(&school.url("plans/preview"), &wrong).await.expect(400);
        }
        // An overlap and holes are no fault: they are told, and keep nobody out.
        let mut holes = plan();
        holes["windows"][0]["days"] = json!(["mon"]);
        holes["windows"].as_array_mut().unwrap().push(
            json!({ "profile": "pupil", "levels": ["3e"], "days": ["mon"], "from": "16:00", "to": "18:00" }),
        );
        let seen = admin.post(&school.url("plans/preview"), &holes).await.expect(200).json();
        let of =
            |kind: &str| seen["flaws"].as_array().unwrap().iter().filter(|one| one["kind"] == kind).count();
        assert_eq!((of("hole"), of("overlap"), of("unknown-level")), (8, 1, 4));

        let suspend = school.url("suspensions");
        for (field, value) in [
            ("ends_at", json!("2027-02-01T00:00:00Z")),
            ("ends_at", json!("2026-11-22T00:00:00Z")),
            ("reason", json!("non")),
            ("services", json!(["identity"])),
        ] {
            let mut wrong = json!({ "profile": "guardian", "ends_at": "2026-11-24T08:00:00Z", "reason": "Priorité aux élèves" });
            wrong[field] = value;
            post(&admin, &suspend, &wrong).await.refused(422, "against-the-rules");
        }
        let endless = json!({ "profile": "guardian", "reason": "Priorité aux élèves" });
        post(&admin, &suspend, &endless).await.refused(400, "missing-field");
        let teachers = json!({ "profile": "teacher", "ends_at": "2026-11-24T08:00:00Z", "reason": "Priorité aux élèves" });
        post(&admin, &suspend, &teachers).await.refused(400, "invalid-field");
    });
}

/// A pupil of each of two levels, in a school of that zone.
async fn two(stage: &Stage, class: &Class) -> (Persona, Persona) {
    let (sixth, third) = (class.pupil("Lina Six").await, class.pupil("Max Trois").await);
    studies(stage, &sixth, SIXTH).await;
    studies(stage, &third, THIRD).await;
    (sixth, third)
}

#[test]
fn hours_are_the_schools_own_and_its_plan_replaces_the_territorys() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let paris = territory.school("Collège de Paris").await;
        let reunion = territory.school_in("Collège de Saint-Denis", "Indian/Reunion").await;
        let (sixth, third) = two(&stage, &paris.class("6e B").await).await;
        let (far_sixth, far_third) = two(&stage, &reunion.class("6e B").await).await;
        let admin = node.proven(&territory.admin().await).await;
        let url = format!("/api/v1/territories/{}/plans", territory.id);
        post(&admin, &url, &plan()).await.expect(201);
        // Monday 9:05 in Paris, 12:05 at La Réunion: there it is noon, which is everybody's.
        for (who, wanted) in
            [(&sixth, "inside"), (&third, "outside"), (&far_sixth, "free"), (&far_third, "free")]
        {
            let told = standing(&node.signed_in(who).await).await;
            assert_eq!((&told["standing"], &told["plan"]), (&json!(wanted), &json!("Plages")));
        }
        let told = standing(&node.signed_in(&third).await).await;
        assert_eq!(told["opens_at"], "2026-11-23T11:00:00Z", "noon in Paris");
        assert_eq!(told["today"], json!([{ "from": "2026-11-23T12:00:00Z", "to": "2026-11-23T16:00:00Z" }]));
        // At La Réunion the afternoon has begun, and it is still morning in Paris.
        stage.set("2026-11-23T09:30:00Z");
        assert_eq!(standing(&node.signed_in(&far_third).await).await["standing"], "inside");
        assert_eq!(standing(&node.signed_in(&far_sixth).await).await["standing"], "outside");

        let head = node.proven(&reunion.admin().await).await;
        let mut own = plan();
        own["name"] = json!("À nous");
        own["windows"] = json!([
            { "profile": "pupil", "levels": ["6e"], "from": "13:00", "to": "15:00" },
            { "profile": "pupil", "levels": ["3e"], "from": "15:00", "to": "17:00" },
        ]);
        let listed = head.get(&reunion.url("plans")).await.expect(200).json();
        assert_eq!(listed["items"][0]["scope"], "territory");
        let theirs = format!("{}/{}", reunion.url("plans"), listed["items"][0]["id"].as_str().unwrap());
        head.delete(&theirs).await.refused(403, "forbidden");
        post(&head, &reunion.url("plans"), &own).await.expect(201);
        let told = standing(&node.signed_in(&far_sixth).await).await;
        assert_eq!((&told["standing"], &told["plan"]), (&json!("inside"), &json!("À nous")));
        assert_eq!(
            standing(&node.signed_in(&third).await).await["standing"],
            "outside",
            "in Paris nothing has changed"
        );
        // A teacher comes when they like, and is told nothing.
        let teacher = paris.class("5e A").await.teacher("Claire Durand").await;
        let none = node.signed_in(&teacher).await.get("/api/v1/account/slot").await.expect(200).json();
        assert_eq!(none["items"], json!([]));
    });
}

#[test]
fn both_nights_on_which_clocks_change_have_their_hours() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Internat").await;
        let (sixth, _) = two(&stage, &school.class("6e B").await).await;
        let admin = node.proven(&school.admin().await).await;
        let mut nights = plan();
        nights["starts_on"] = json!("2026-10-01");
        nights["ends_on"] = json!("2027-06-30");
        let all = json!(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
        nights["windows"] = json!([
            { "profile": "pupil", "levels": ["6e"], "days": all, "from": "02:00", "to": "03:30" },
            { "profile": "pupil", "levels": ["3e"], "days": all, "from": "01:00", "to": "05:00" },
        ]);
        post(&admin, &school.url("plans"), &nights).await.expect(201);
        for (at, wanted, until) in [
            // 25 October: from 2:00 to 3:30 lasts two hours and a half.
            ("2026-10-24T23:59:00Z", "outside", Value::Null),
            ("2026-10-25T00:00:00Z", "inside", json!("2026-10-25T02:30:00Z")),
            ("2026-10-25T02:29:00Z", "inside", json!("2026-10-25T02:30:00Z")),
            ("2026-10-25T02:30:00Z", "outside", Value::Null),
            // 28 March: two o'clock does not come; what is left begins at three.
            ("2027-03-28T00:59:00Z", "outside", Value::Null),
            ("2027-03-28T01:00:00Z", "inside", json!("2027-03-28T01:30:00Z")),
            ("2027-03-28T01:30:00Z", "outside", Value::Null),
        ] {
            stage.set(at);
            let told = standing(&node.signed_in(&sixth).await).await;
            assert_eq!((&told["standing"], &told["until"]), (&json!(wanted), &until), "{at}");
        }
    });
}

#[test]
fn brothers_and_sisters_have_common_hours_whatever_their_schools() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let (college, other) = (territory.school("Collège").await, territory.school("Collège voisin").await);
        let (sixth, _) = two(&stage, &college.class("6e B").await).await;
        let sister = other.class("3e A").await.pupil("Ève Trois").await;
        studies(&stage, &sister, THIRD).await;
        let mother = college.guardian_of(&sixth, "Anne Martin").await;
        other.enrol(&mother, Role::Guardian).await;
        other.link(&mother, &sister, 1).await;
        let admin = node.proven(&territory.admin().await).await;
        let url = format!("/api/v1/territories/{}/plans", territory.id);
        let made = post(&admin, &url, &plan()).await.expect(201).json();
        let hours = async |who: &Persona| {
            let told = standing(&node.signed_in(who).await).await;
            told["today"]
                .as_array()
                .unwrap()
                .iter()
                .map(|span| span["from"].as_str().unwrap()[11..16].to_owned())
                .collect::<Vec<_>>()
        };
        let both = ["07:00", "12:00"];
        assert_eq!(hours(&sixth).await, both);
        assert_eq!(hours(&sister).await, both);
        let mut alone = plan();
        alone["siblings"] = json!(false);

        // Previews count them in each other's hours, across schools: the territory's by its counters, a school's by looking.
        for school in [&college, &other] {
            node.app.plans.recount(territory.id, school.id).await.expect("counted");
        }
        let head = node.proven(&college.admin().await).await;
        let own = college.url("plans");
        for (client, url, asked, counted) in [
            (&admin, &url, plan(), [2, 3]),
            (&admin, &url, alone.clone(), [1, 2]),
            (&head, &own, plan(), [1, 2]),
            (&head, &own, alone.clone(), [1, 1]),
        ] {
            let seen = client.post(&format!("{url}/preview"), &asked).await.expect(200).json();
            let monday = seen["days"][0]["segments"].as_array().unwrap();
            let at = |from: &str| monday.iter().find(|one| one["from"] == from).unwrap()["pupils"].clone();
            assert_eq!([at("08:00"), at("13:00")], counted.map(|pupils| json!(pupils)), "{url} {asked}");
        }

        let one = format!("{url}/{}", made["id"].as_str().unwrap());
        admin.clone().with("if-match", "*").put(&one, &alone).await.expect(200);
        assert_eq!(hours(&sixth).await, ["07:00"]);
        assert_eq!(hours(&sister).await, ["12:00"]);
    });
}

#[test]
fn an_exception_opens_at_once_and_ends_by_itself() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let class = school.class("3e A").await;
        let (_, third) = two(&stage, &class).await;
        let admin = node.proven(&school.admin().await).await;
        post(&admin, &school.url("plans"), &plan()).await.expect(201);
        let me = node.signed_in(&third).await;
        assert_eq!(standing(&me).await["standing"], "outside");
        let url = school.url("slot-exceptions");
        let exam =
            json!({ "class_id": class.id, "ends_at": "2026-11-23T09:00:00Z", "reason": "Brevet blanc" });
        let made = post(&admin, &url, &exam).await.expect(201).json();
        assert_eq!(standing(&me).await["standing"], "inside");
        admin.delete(&format!("{url}/{}", made["id"].as_str().unwrap())).await.expect(204);
        assert_eq!(standing(&me).await["standing"], "outside");
        let levels = json!({ "levels": ["3e"], "ends_at": "2026-11-23T09:00:00Z", "reason": "Brevet blanc" });
        post(&admin, &url, &levels).await.expect(201);
        assert_eq!(standing(&me).await["standing"], "inside");
        stage.set("2026-11-23T09:00:00Z");
        assert_eq!(standing(&node.signed_in(&third).await).await["standing"], "outside");
        let admin = node.proven(&school.admin().await).await;
        let foreign =
            json!({ "class_id": Uuid::nil(), "ends_at": "2026-11-24T09:00:00Z", "reason": "Brevet blanc" });
        post(&admin, &url, &foreign).await.refused(422, "against-the-rules");
    });
}

#[test]
fn a_suspension_keeps_the_minimum_says_why_and_lifts_itself() {
    play(async |stage| {
        let (node, other) = (stage.node().await, stage.node().await);
        let territory = stage.territory("test").await;
        let school = territory.school("Lycée").await;
        let primary = territory.school("École").await;
        stage.sql(&format!("UPDATE school SET kind = 'primary' WHERE school_id = '{}'", primary.id)).await;
        let class = school.class("2de 3").await;
        let pupil = class.pupil("Lina Martin").await;
        let mother = school.guardian_of(&pupil, "Anne Martin").await;
        let child = primary.class("CM2").await.pupil("Tom Roux").await;
        let father = primary.guardian_of(&child, "Max Roux").await;
        let teacher = class.teacher("Claire Durand").await;
        school.enrol(&teacher, Role::Guardian).await;
        let head = school.staff("Paul Proviseur").await;
        stage.sql(&format!("UPDATE membership SET function = 'DIR' WHERE person_id = '{}'", head.id)).await;
        let admin = node.proven(&territory.admin().await).await;
        let url = format!("/api/v1/territories/{}/suspensions", territory.id);
        let reason = "Priorité aux usages pédagogiques des élèves";
        let asked = json!({ "profile": "guardian", "ends_at": "2026-11-23T18:00:00Z", "reason": reason });
        let made = post(&admin, &url, &asked).await.expect(201).json();
        assert_eq!(made["kept"], json!(["absence-notices", "things-to-sign", "child-day"]));

        let week = school.url(&format!("timetable?days=1&person_id={}", pupil.id));
        let me = node.signed_in(&mother).await;
        let told = me.get(&week).await.refused(403, "suspended").json();
        assert_eq!((&told["until"], &told["reason"]), (&json!("2026-11-23T18:00:00Z"), &json!(reason)));
        // The child's day, where one stands, and the way out stay open.
        me.get("/api/v1/home").await.expect(200);
        me.get("/api/v1/account").await.expect(200);
        let mine = standing(&me).await;
        assert_eq!((&mine["standing"], &mine["reason"]), (&json!("suspended"), &json!(reason)));
        // Pupils, whoever works there, and the guardians of a primary school go on.
        node.signed_in(&pupil).await.get(&school.url("timetable?days=1")).await.expect(200);
        node.signed_in(&teacher).await.get(&school.url("classes")).await.expect(200);
        let theirs = primary.url(&format!("timetable?days=1&person_id={}", child.id));
        node.signed_in(&father).await.get(&theirs).await.expect(200);
        // The head of the school sees who decided it, and why.
        let seen = node.signed_in(&head).await.get(&school.url("suspensions")).await.expect(200).json();
        assert_eq!(
            (&seen["items"][0]["scope"], &seen["items"][0]["reason"]),
            (&json!("territory"), &json!(reason))
        );
        assert!(seen["items"][0]["made_by"].is_string());
        node.signed_in(&mother).await.get(&school.url("suspensions")).await.refused(403, "forbidden");
        // Another node looks, and closes too.
        other.signed_in(&mother).await.get(&week).await.expect(200);
        other.app.plans.watch().refresh(&other.app.db).await.expect("read");
        other.signed_in(&mother).await.get(&week).await.refused(403, "suspended");

        // A dead Redis, a stopped administrator: it lifts itself all the same.
        stage.set("2026-11-23T18:00:00Z");
        node.signed_in(&mother).await.get(&week).await.expect(200);
        stage.set("2026-11-23T10:00:00Z");
        node.signed_in(&mother).await.get(&week).await.refused(403, "suspended");
        let admin = node.proven(&territory.admin().await).await;
        admin.delete(&format!("{url}/{}", made["id"].as_str().unwrap())).await.expect(204);
        node.signed_in(&mother).await.get(&week).await.expect(200);

        // Some services only.
        let some = json!({ "profile": "guardian", "services": ["directory"], "ends_at": "2026-11-23T18:00:00Z", "reason": reason });
        let school_admin = node.proven(&school.admin().await).await;
        post(&school_admin, &school.url("suspensions"), &some).await.expect(201);
        let me = node.signed_in(&mother).await;
        me.get(&week).await.expect(200);
        me.get(&school.url("people")).await.refused(403, "suspended");
    });
}

/// What a suspension closes was decided for every feature, and what it leaves too.
#[test]
fn what_can_be_suspended_was_decided() {
    play(async |stage| {
        let node = stage.cold_node(|_| {});
        let never = [
            "identity",
            "accounts",
            "administration",
            "clients",
            "federation",
            "feeds",
            "jobs",
            "home",
            "plans",
            "queue",
            "load",
            "operations",
        ];
        for row in node.table.iter().filter(|row| row.path.starts_with("/api/")) {
            let decided =
                never.contains(&row.service.as_str()) != preau_http::SERVICES.contains(&row.service.as_str());
            assert!(decided, "{}: may {:?} be suspended?", row.operation_id, row.service);
        }
        let kept: Vec<_> =
            node.table.iter().filter(|row| row.kept).map(|row| row.operation_id.as_str()).collect();
        assert!(kept.contains(&"get_account_slot"), "{kept:?}");
    });
}

#[test]
fn lessons_around_now_are_told_to_the_door() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège").await;
        let (sixth, third) = (school.class("6e B").await, school.class("3e A").await);
        let durand = sixth.teacher("Claire Durand").await;
        let zoe = third.pupil("Zoé Roux").await;
        sixth.lesson(&durand, "Histoire", "2026-11-23T08:00:00Z", 55).await;
        let later = third.lesson(&durand, "Latin", "2026-11-23T08:20:00Z", 55).await;
        let facts = async || {
            node.app.bells.refresh().await.expect("heard");
            Facts::new(node.app.bells.facts(), [])
        };
        let now = stage.clock().now();
        let heard = facts().await;
        assert_eq!(heard.near(sixth.id, now), Some(Nearness::Live));
        assert_eq!(heard.near(third.id, now), Some(Nearness::Soon), "in a quarter of an hour");
        let called = heard.called(territory.id, now + chrono::Duration::minutes(10));
        assert_eq!(called, 1, "the one pupil of the class whose lesson is near");
        assert_eq!(heard.near(third.id, now - chrono::Duration::minutes(1)), None, "sixteen minutes are far");
        stage.sql(&format!("UPDATE lesson SET cancelled = true WHERE lesson_id = '{later}'")).await;
        assert_eq!(facts().await.near(third.id, now), None, "cancelled");
        // A lesson of a group is one of the classes of its pupils.
        let group: Uuid = stage.clock().mint();
        stage
            .sql(&format!(
                "INSERT INTO teaching_group (school_id, group_id, name) VALUES ('{0}', '{group}', '3ALL2');
                 INSERT INTO group_pupil (school_id, group_id, person_id) VALUES ('{0}', '{group}', '{1}');
                 UPDATE lesson SET cancelled = false, class_ids = '{{}}', group_ids = '{{{group}}}' WHERE lesson_id = '{later}'",
                school.id, zoe.id
            ))
            .await;
        assert_eq!(facts().await.near(third.id, now), Some(Nearness::Soon));
        assert!(node.app.bells.take_changed().is_some() && node.app.bells.take_changed().is_none());
        stage.set("2026-11-23T20:00:00Z");
        assert_eq!(facts().await.counts().0, 0, "the day is over");
    });
}

/// A feature that work is handed in by.
struct Homework(DueFact);

impl Declares for Homework {
    fn facts(&self) -> Vec<Fact> {
        vec![Fact::Due(self.0)]
    }

    fn take_changed(&self) -> Option<Vec<Fact>> {
        Some(self.facts())
    }
}

#[test]
fn whoever_hands_in_work_due_today_is_kept_out_by_no_slot_and_no_suspension() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let (with_work, without) = (school.class("3e A").await, school.class("3e B").await);
        let devices = async |class: &Class, name: &str| {
            let pupil = class.pupil(name).await;
            studies(&stage, &pupil, THIRD).await;
            let body = json!({ "login": pupil.login, "password": PASSWORD, "trusted_device": true });
            let inside = node.stranger().post(SESSIONS, &body).await.expect(201);
            let claim = cookie(&inside, "__Host-preau-place").expect("the device remembers the class");
            (node.stranger().with("cookie", &format!("__Host-preau-place={claim}")), body)
        };
        let (max, by_max) = devices(&with_work, "Max Trois").await;
        let (zoe, by_zoe) = devices(&without, "Zoé Trois").await;

        let admin = node.proven(&school.admin().await).await;
        let made = post(&admin, &school.url("plans"), &plan()).await.expect(201).json();
        let mode = school.url(&format!("plans/{}/mode", made["id"].as_str().unwrap()));
        let hard = json!({ "mode": "hard", "until": "2026-11-25T08:00:00Z", "reason": "Saturation" });
        admin.put(&mode, &hard).await.expect(200);
        let held = async |client: &Client, body: &Value| {
            place(client.post(SESSIONS, body).await)["opens_at"].as_str().map(str::to_owned)
        };
        let noon = Some("2026-11-23T11:00:00Z".to_owned());
        assert_eq!(held(&max, &by_max).await, noon, "nothing was declared yet");

        // The list of the product, and one feature more, as it will be added there.
        let due = DueFact {
            class: with_work.id,
            from: "2026-11-22T23:00:00Z".parse().unwrap(),
            until: "2026-11-23T23:00:00Z".parse().unwrap(),
        };
        let mut sources = preau_server::fact_sources(&node.app).with(Homework(due));
        let mut declare = || {
            let facts = sources.take_changed(stage.clock().now()).expect("news");
            node.app.door.learn_facts(Arc::new(facts));
        };
        declare();
        max.post(SESSIONS, &by_max).await.expect(201);
        assert_eq!(held(&zoe, &by_zoe).await, noon, "another class hands nothing in");

        let reason = "Priorité aux lycées";
        let asked = json!({ "profile": "pupil", "ends_at": "2026-11-25T08:00:00Z", "reason": reason });
        post(&admin, &school.url("suspensions"), &asked).await.expect(201);
        max.post(SESSIONS, &by_max).await.expect(201);

        stage.set("2026-11-24T08:05:00Z");
        let admin = node.proven(&school.admin().await).await;
        let suspensions = admin.get(&school.url("suspensions")).await.expect(200).json();
        let one = suspensions["items"][0]["id"].as_str().unwrap();
        admin.delete(&school.url(&format!("suspensions/{one}"))).await.expect(204);
        declare();
        let noon = Some("2026-11-24T11:00:00Z".to_owned());
        assert_eq!(held(&max, &by_max).await, noon, "it was due yesterday");
    });
}

#[test]
fn whose_hours_it_is_is_told_without_postgresql_and_whatever_another_school_has_of_its_own() {
    play(async |stage| {
        let day = stage.node().await;
        let territory = stage.territory("test").await;
        let (school, other) = (territory.school("Collège").await, territory.school("Lycée").await);
        let (third, there) = (school.class("3e A").await, other.class("3e B").await);
        let mut devices = Vec::new();
        for (class, name, link, end) in [
            (&third, "Max Trois", String::new(), "12:00"),
            (&third, "Zoé Trois", school.id.to_string(), "12:00"),
            (&third, "Ali Trois", Uuid::from_u128(7).to_string(), "12:00"),
            (&there, "Léo Trois", other.id.to_string(), "10:30"),
        ] {
            let pupil = class.pupil(name).await;
            studies(&stage, &pupil, THIRD).await;
            let own = json!({ "login": pupil.login, "password": PASSWORD, "trusted_device": true });
            let inside = day.stranger().post(SESSIONS, &own).await.expect(201);
            let claim = cookie(&inside, "__Host-preau-place").expect("a trusted device");
            devices.push((pupil, claim, link, end));
        }
        let named = |name: &str, until: &str| {
            let mut plan = plan();
            (plan["name"], plan["windows"][0]["to"]) = (name.into(), until.into());
            plan
        };
        let of_territory = serde_json::from_value(named("Territoire", "12:00")).expect("a plan");
        day.app.plans.import(territory.id, &of_territory).await.expect("made");
        let admin = day.proven(&other.admin().await).await;
        post(&admin, &other.url("plans"), &named("Lycée", "10:30")).await.expect(201);

        let postgres = Relay::before(&stage.stores().postgres_address()).await;
        let url = format!("postgres://preau_app@{}/{}", postgres.address(), stage.database().name());
        let node = stage
            .node_with(|config| {
                config.admission.inlet_per_s = 1.0;
                config.database.url = SecretString::from(url);
            })
            .await;
        node.app.door.obey(Arc::new(Orders(vec![Order {
            id: Uuid::from_u128(8),
            act: Act::Slots { posture: Posture::Soft },
            territory: None,
            author: "exploitation".to_owned(),
            reason: "affluence".to_owned(),
            made_at: stage.clock().now(),
            until: Some("2026-11-23T18:00:00Z".parse().expect("an instant")),
        }])));
        node.app.door.turn().await;
        postgres.set(Line::Cut);

        let here = node.stranger().with("origin", "http://localhost:8080");
        let door = text(&here.get("/connexion").await.expect(200));
        assert!(door.contains("Plages horaires en vigueur\u{a0}: Territoire</a>"), "{door}");
        for (pupil, claim, link, end) in devices {
            let device = here.clone().with("cookie", &format!("__Host-preau-place={claim}"));
            let form = format!("login={}&password={}&ecole={link}", pupil.login, PASSWORD.replace(' ', "+"));
            let page = text(&submit(&device, "/connexion", &form).await.expect(202));
            let turns = format!("Priorité jusqu’à {end}\u{a0}: 6e, 5e. Puis de 13:00 à 17:00\u{a0}: 4e, 3e.");
            assert!(page.contains(&turns), "{link}: {page}");
        }
    });
}

#[test]
fn of_several_plans_of_one_day_the_pages_name_the_one_that_the_door_goes_by() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let admin = node.proven(&territory.admin().await).await;
        let plans = format!("/api/v1/territories/{}/plans", territory.id);
        let made = async |name: &str, starts_on: &str| {
            let mut plan = plan();
            (plan["name"], plan["starts_on"]) = (name.into(), starts_on.into());
            (post(&admin, &plans, &plan).await.expect(201).json(), plan)
        };
        let (first, mut changed) = made("Changé", "2026-11-16").await;
        made("Second", "2026-11-16").await;
        made("Ancien", "2026-11-02").await;
        made("À venir", "2026-11-24").await;
        let today = stage.clock().now().date_naive();
        let named = || node.app.plans.watch().name_on(today);
        changed["windows"][0]["to"] = "11:00".into();
        let one = format!("{plans}/{}", first["id"].as_str().unwrap());
        admin.clone().with("if-match", "*").put(&one, &changed).await.expect(200);
        assert_eq!(named().as_deref(), Some("Changé"), "began last, in its newest version");
        let until = node.app.plans.watch().pupils_on(today, territory.id, None);
        assert!(until.iter().any(|window| window.to.to_string() == "11:00"), "{until:?}");

        // Whose it would be is not known any more.
        let there = stage.territory("ailleurs").await;
        let plan = serde_json::from_value(plan()).expect("a plan");
        node.app.plans.import(there.id, &plan).await.expect("made");
        assert_eq!(named(), None);
        let door = text(&node.stranger().get("/connexion").await.expect(200));
        assert!(door.contains(">Plages horaires</a>") && !door.contains("en vigueur"), "{door}");
    });
}

#[test]
fn a_shipped_plan_is_brought_in_by_the_operator() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Lycée").await;
        let pupil = school.class("2de 3").await.pupil("Lina Martin").await;
        studies(&stage, &pupil, "20010014110").await;
        node.app.plans.recount(territory.id, school.id).await.expect("counted");
        stage.set("2020-03-19T13:30:00Z");
        for (file, mode) in [("paris-2020", "soft"), ("nouvelle-aquitaine-2020", "hard")] {
            let path = preau_tests::workspace().join(format!("config/plans/{file}.toml"));
            let text = std::fs::read_to_string(path).expect("a shipped plan");
            let plan = toml::from_str(&text).expect("a plan");
            let seen = node.app.plans.try_out(territory.id, &plan).await.expect("a preview");
            assert_eq!(seen.pupils, 1, "{file}");
            let made = node.app.plans.import(territory.id, &plan).await.expect("a plan");
            assert_eq!((made.created_by, serde_json::to_value(made.mode).unwrap()), (None, json!(mode)));
        }
        // Of two that began on one day, the one whose version is newer, then the first made: Paris says nothing of lycées.
        assert_eq!(standing(&node.signed_in(&pupil).await).await["standing"], "free");
        let admin = node.proven(&territory.admin().await).await;
        let url = format!("/api/v1/territories/{}/plans", territory.id);
        let listed = admin.get(&url).await.expect(200).json();
        let paris = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"].as_str().unwrap().starts_with("Paris"))
            .unwrap();
        admin.delete(&format!("{url}/{}", paris["id"].as_str().unwrap())).await.expect(204);
        let told = standing(&node.signed_in(&pupil).await).await;
        assert_eq!(
            (&told["standing"], &told["opens_at"]),
            (&json!("outside"), &json!("2020-03-19T19:00:00Z")),
            "free access from 20:00"
        );
    });
}
