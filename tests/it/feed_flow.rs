//! After staging: what is held, what a delta comes to, what hands have written, who leaves and comes back, what waits for
//! what, and nights.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use axum::http::Method;
use preau_feeds::import::{Import, KeepDays, delete_leavers, import_aaf, tick};
use preau_feeds::report::Report;
use preau_jobs::run_one;
use preau_tests::{Client, Node, Stage, Territory, play};
use serde_json::{Value, json};

/// One object of a delivery.
#[derive(Clone, Debug, PartialEq)]
struct Object {
    category: &'static str,
    attributes: BTreeMap<&'static str, Vec<String>>,
}

/// A directory as an academy has it, by kind and key.
type Academy = BTreeMap<(&'static str, u32), Object>;

const FILES: [(&str, &str, &str); 4] = [
    ("EtabEducNat", "categorieStructure", "EtabEducNat"),
    ("PersEducNat", "categoriePersonne", "PersEducNat"),
    ("PersRelEleve", "categoriePersonne", "PersRelEleve"),
    ("Eleve", "categoriePersonne", "Eleve"),
];

fn object(category: &'static str, attributes: &[(&'static str, &[String])]) -> Object {
    let attributes = attributes.iter().map(|(name, values)| (*name, values.to_vec())).collect();
    Object { category, attributes }
}

fn one(value: impl ToString) -> [String; 1] {
    [value.to_string()]
}

const UAIS: [&str; 3] = ["0771991W", "0691234E", "0750001D"];

fn school(academy: &mut Academy, at: u32) {
    let key = 10 + at;
    let uai = UAIS[usize::try_from(at).unwrap()];
    let classes = ["6e A".to_owned(), "6e B".to_owned(), "5e A".to_owned()];
    let groups = [format!("ESP{at}")];
    let about = object(
        "EtabEducNat",
        &[
            ("ENTStructureJointure", &one(key)),
            ("ENTStructureUAI", &one(uai)),
            ("ENTStructureNomCourant", &one(format!("COLLEGE$NUMERO {at}$TORCY"))),
            ("ENTStructureClasses", &classes),
            ("ENTStructureGroupes", &groups),
        ],
    );
    academy.insert(("EtabEducNat", key), about);
}

fn pupil(academy: &mut Academy, key: u32, school: u32, class: &str, guardians: &[u32]) {
    let relations: Vec<String> = guardians.iter().map(|guardian| format!("{guardian}$20$1$1$1$1")).collect();
    let about = object(
        "Eleve",
        &[
            ("ENTPersonJointure", &one(key)),
            ("sn", &one(format!("Nom{}", key % 7))),
            ("givenName", &one(format!("Lou{}", key % 5))),
            ("ENTPersonDateNaissance", &one(format!("{:02}/03/2014", key % 28 + 1))),
            ("ENTEleveINE", &one(format!("{key:09}PR"))),
            ("ENTPersonStructRattach", &one(10 + school)),
            ("ENTEleveClasses", &one(format!("{}${class}", 10 + school))),
            ("ENTEleveNivFormation", &one(if class.starts_with('6') { "6EME" } else { "5EME" })),
            ("ENTElevePersRelEleve", &relations),
        ],
    );
    academy.insert(("Eleve", key), about);
}

fn relative(academy: &mut Academy, key: u32) {
    let about = object(
        "PersRelEleve",
        &[
            ("ENTPersonJointure", &one(key)),
            ("sn", &one(format!("Nom{}", key % 11))),
            ("givenName", &one("Dominique")),
            ("mail", &one(format!("g{key}@famille.example"))),
            ("mobile", &one(format!("+33 6 39 98 {:02} {:02}", key / 100 % 100, key % 100))),
        ],
    );
    academy.insert(("PersRelEleve", key), about);
}

fn staff(academy: &mut Academy, key: u32, functions: &[(u32, &str)], classes: &[(u32, &str)]) {
    let functions: Vec<String> =
        functions.iter().map(|(school, code)| format!("{}${code}$-$-$-", 10 + school)).collect();
    let taught: Vec<String> =
        classes.iter().map(|(school, class)| format!("{}${class}$020700", 10 + school)).collect();
    let about = object(
        "PersEducNat",
        &[
            ("ENTPersonJointure", &one(key)),
            ("sn", &one(format!("Prof{}", key % 3))),
            ("givenName", &one("Camille")),
            ("ENTPersonFonctions", &functions),
            ("ENTAuxEnsClassesMatieres", &taught),
        ],
    );
    academy.insert(("PersEducNat", key), about);
}

/// `schools` schools of 40 pupils, two by two with one guardian, and a few teachers.
fn academy(schools: u32) -> Academy {
    let mut academy = Academy::new();
    for at in 0..schools {
        school(&mut academy, at);
        for number in 0..40 {
            let class = ["6e A", "6e B", "5e A"][usize::try_from(number % 3).unwrap()];
            let guardian = 5_000 + at * 100 + number / 2;
            pupil(&mut academy, 1_000 + at * 100 + number, at, class, &[guardian]);
            relative(&mut academy, guardian);
        }
        staff(&mut academy, 9_000 + at, &[(at, "ENS")], &[(at, "6e A"), (at, "5e A")]);
        staff(&mut academy, 9_100 + at, &[(at, "ENS"), ((at + 1) % schools, "ENS")], &[(at, "6e B")]);
        staff(&mut academy, 9_200 + at, &[(at, "DIR")], &[]);
    }
    academy
}

fn values(name: &str, values: &[String]) -> String {
    let inner: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
    let inner = if inner.is_empty() { "<value/>".to_owned() } else { inner };
    format!("<attr name=\"{name}\">{inner}</attr>")
}

fn write(folder: &Path, word: &str, requests: &BTreeMap<&str, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (file, ..) in FILES {
        let Some(body) = requests.get(file) else { continue };
        let xml = format!("<ficAlimMENESR>\n<!-- codeAcademieExport=\"13\" -->\n{body}</ficAlimMENESR>");
        std::fs::write(folder.join(format!("ENT_{word}_20261125_{file}_0000.xml")), xml).unwrap();
    }
}

fn head(category: &str) -> String {
    let (_, kind, value) = FILES.iter().find(|(file, ..)| *file == category).unwrap();
    format!(
        "<operationalAttributes><attr name=\"{kind}\"><value>{value}</value></attr></operationalAttributes>"
    )
}

fn add(object: &Object, key: u32) -> String {
    let all: String = object.attributes.iter().map(|(name, all)| values(name, all)).collect();
    let head = head(object.category);
    format!(
        "<addRequest>{head}<identifier><id>{key}</id></identifier><attributes>{all}</attributes></addRequest>\n"
    )
}

/// Everything.
fn complet(folder: &Path, academy: &Academy) {
    let mut requests: BTreeMap<&str, String> = BTreeMap::new();
    for ((category, key), object) in academy {
        requests.entry(category).or_default().push_str(&add(object, *key));
    }
    write(folder, "Complet", &requests);
}

/// What leads from one to the other, attribute by attribute.
fn delta(folder: &Path, from: &Academy, to: &Academy) -> usize {
    let mut requests: BTreeMap<&str, String> = BTreeMap::new();
    let mut count = 0;
    for ((category, key), object) in to {
        let request = match from.get(&(*category, *key)) {
            Some(known) if known == object => continue,
            None => add(object, *key),
            Some(known) => {
                let changed =
                    object.attributes.iter().filter(|(name, all)| known.attributes.get(*name) != Some(*all));
                let mut all = String::new();
                for (name, new) in changed {
                    let inner = values(name, new);
                    write!(all, "<modification name=\"{name}\" operation=\"replace\">").unwrap();
                    all.push_str(inner.split_once('>').unwrap().1.strip_suffix("</attr>").unwrap());
                    all.push_str("</modification>");
                }
                let head = head(category);
                format!(
                    "<modifyRequest>{head}<identifier><id>{key}</id></identifier><modifications>{all}</modifications></modifyRequest>\n"
                )
            }
        };
        requests.entry(category).or_default().push_str(&request);
        count += 1;
    }
    for ((category, key), _) in from.iter().filter(|(key, _)| !to.contains_key(*key)) {
        let head = head(category);
        let request =
            format!("<deleteRequest>{head}<identifier><id>{key}</id></identifier></deleteRequest>\n");
        requests.entry(category).or_default().push_str(&request);
        count += 1;
    }
    write(folder, "Delta", &requests);
    count
}

struct Desk {
    stage: Stage,
    node: Node,
    territory: Territory,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new(stage: Stage) -> Self {
        let node = stage.node().await;
        let territory = stage.territory("t").await;
        Self { stage, node, territory, folder: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn import_of(&self, dry_run: bool) -> Import {
        Import {
            db: self.node.app.db.clone(),
            clock: self.stage.clock().clone(),
            territory: self.territory.id,
            job: self.stage.clock().mint(),
            limits: preau_feeds::limits::Limits::default(),
            dry_run,
        }
    }

    async fn run(&self, dry_run: bool) -> Report {
        let import = self.import_of(dry_run);
        self.stage
            .sql(&format!(
                "INSERT INTO job (territory_id, job_id, kind, state, params, created_at)
                 VALUES ('{}', '{}', 'import-aaf', 'running', '{{}}', now())",
                import.territory, import.job
            ))
            .await;
        let report = import_aaf(&import, self.folder(), &mut |_| true).await;
        self.stage.sql(&format!("UPDATE job SET state = 'succeeded' WHERE job_id = '{}'", import.job)).await;
        report.unwrap_or_else(|err| panic!("{err}: {}", err.code()))
    }

    async fn import(&self, academy: &Academy) -> Report {
        complet(self.folder(), academy);
        self.stage.advance(chrono::Duration::hours(1));
        self.run(false).await
    }

    /// The import as a job, asked for by the operator.
    async fn job(&self) -> String {
        let mut tx = self.node.app.db.in_territory_for_work(self.territory.id).await.unwrap();
        let params = json!({ "directory": self.folder() });
        let job = preau_jobs::NewJob { kind: "import-aaf", params, created_by: None };
        let id = preau_jobs::enqueue(&mut tx, self.stage.clock(), job).await.unwrap();
        tx.commit().await.unwrap();
        id.to_string()
    }

    async fn work(&self) -> bool {
        let handlers = preau_feeds::import::handlers(preau_server::write_lessons);
        let app = &self.node.app;
        run_one(&app.db, &app.clock, &app.tasks, &handlers, &app.stop, self.territory.id).await.unwrap()
    }

    fn url(&self, rest: &str) -> String {
        format!("/api/v1/territories/{}/{rest}", self.territory.id)
    }

    async fn admin(&self) -> Client {
        self.node.proven(&self.territory.admin().await).await
    }

    async fn holds(&self, admin: &Client, state: &str) -> Vec<Value> {
        let answer = admin.get(&self.url(&format!("feed-holds?state={state}"))).await.expect(200).json();
        answer["items"].as_array().unwrap().clone()
    }

    async fn active(&self, role: &str) -> i64 {
        self.stage
            .count(&format!("SELECT count(*) FROM membership WHERE ended_at IS NULL AND role = '{role}'"))
            .await
    }

    async fn state_of(&self, key: u32) -> String {
        sqlx::query_scalar(
            "SELECT a.state FROM account a JOIN join_key j USING (person_id) WHERE j.join_key = $1",
        )
        .bind(key.to_string())
        .fetch_one(self.stage.owner())
        .await
        .unwrap()
    }
}

/// Rows of what is believed, not of the paperwork.
const BELIEVED: [&str; 8] =
    ["school", "person", "join_key", "account", "membership", "school_person", "class", "guardian_link"];

#[test]
fn a_dry_run_says_everything_and_writes_nothing() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(2);
        complet(desk.folder(), &academy);
        let report = desk.run(true).await;
        assert!(report.dry_run);
        assert_eq!((report.schools.merged, report.counts["created"]), (2, 2 * (40 + 20 + 3) + 2));
        assert_eq!(report.rows_written_total(), 0, "{:?}", report.rows_written);
        for table in BELIEVED {
            assert_eq!(desk.stage.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
        desk.import(&academy).await;
        let before = desk.stage.fingerprint().await;
        // One leaves, one changes schools, one is new, one changes names.
        academy.remove(&("Eleve", 1_000));
        pupil(&mut academy, 1_002, 1, "6e A", &[5_001]);
        pupil(&mut academy, 1_900, 0, "6e A", &[5_001]);
        academy.get_mut(&("Eleve", 1_003)).unwrap().attributes.insert("sn", one("Autre").to_vec());
        complet(desk.folder(), &academy);
        let report = desk.run(true).await;
        let count = |kind: &str| report.counts.get(kind).copied().unwrap_or(0);
        assert_eq!((count("created"), count("left"), count("moved")), (1, 1, 1), "{:?}", report.counts);
        assert!(count("updated") >= 1 && count("arrived") >= 1, "{:?}", report.counts);
        let paperwork = ["job", "feed_school", "feed_delivery"];
        let rest = |rows: &[(String, i64, String)]| -> Vec<(String, i64, String)> {
            rows.iter().filter(|(table, ..)| !paperwork.contains(&table.as_str())).cloned().collect()
        };
        assert_eq!(rest(&desk.stage.fingerprint().await), rest(&before));
    });
}

#[test]
fn a_halved_school_waits_and_an_approval_merges_it() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(2);
        desk.import(&academy).await;
        let accounts = "SELECT count(*) FROM account WHERE state = 'imported'";
        let all = desk.stage.count(accounts).await;
        academy.retain(|(category, key), _| *category != "Eleve" || !(1_020..1_040).contains(key));
        academy.get_mut(&("Eleve", 1_100)).unwrap().attributes.insert("sn", one("Autre").to_vec());
        complet(desk.folder(), &academy);
        let job = desk.job().await;
        assert!(desk.work().await);
        let admin = desk.admin().await;
        let told = admin.get(&desk.url(&format!("jobs/{job}"))).await.expect(200).json();
        assert_eq!((&told["state"], &told["report"]["schools"]["merged"]), (&json!("waiting"), &json!(1)));
        assert_eq!(told["report"]["schools"]["held"]["10"][0], "feed-too-many-pupils-gone");
        assert_eq!(desk.stage.count(accounts).await, all, "nobody has lost an account");
        assert_eq!(desk.active("pupil").await, 80);
        assert_eq!(
            desk.stage.count("SELECT count(*) FROM person WHERE last_name = 'Autre'").await,
            1,
            "the other goes on"
        );
        assert!(!desk.work().await, "nobody works on what waits");

        let holds = desk.holds(&admin, "waiting").await;
        assert_eq!(
            (holds.len(), &holds[0]["uai"], &holds[0]["counts"]["pupils_left"]),
            (1, &json!("0771991W"), &json!(20))
        );
        let sheet = admin.get(&desk.url(&format!("jobs/{job}/report.csv"))).await.expect(200);
        let sheet = String::from_utf8(sheet.body.to_vec()).unwrap();
        assert!(sheet.contains("\"personnes parties\";\"30\"") && sheet.contains("en attente"), "{sheet}");

        let url = desk.url(&format!("feed-holds/{}/decisions", holds[0]["id"].as_str().unwrap()));
        let keyed = admin.clone().with("idempotency-key", "halved-school");
        let other = json!({ "approve": true, "delivery": "another" });
        keyed.post(&url, &other).await.refused(422, "feed-other-files");
        let keyed = admin.clone().with("idempotency-key", "halved-school-again");
        let body = json!({ "approve": true, "delivery": holds[0]["delivery"] });
        keyed.post(&url, &body).await.expect(201);
        keyed.post(&url, &body).await.expect(201);
        let keyed = admin.clone().with("idempotency-key", "halved-school-twice");
        keyed.post(&url, &body).await.refused(409, "already-decided");
        assert_eq!(desk.stage.count("SELECT count(*) FROM journal WHERE act = 'feeds.decide'").await, 1);
        assert!(desk.work().await);
        let told = admin.get(&desk.url(&format!("jobs/{job}"))).await.expect(200).json();
        assert_eq!(told["state"], "succeeded", "{told}");
        assert_eq!(desk.active("pupil").await, 60);
        assert_eq!(desk.holds(&admin, "merged").await.len(), 1);
        assert_eq!(desk.stage.count("SELECT count(*) FROM stage_person").await, 0, "staging is forgotten");
    });
}

#[test]
fn an_empty_delivery_takes_nobody() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(2);
        desk.import(&academy).await;
        let (pupils, accounts) =
            (desk.active("pupil").await, desk.stage.count("SELECT count(*) FROM account").await);
        academy.retain(|(category, _), _| *category == "EtabEducNat" || *category == "PersEducNat");
        let report = desk.import(&academy).await;
        assert_eq!(report.schools.held.len(), 2, "{report:?}");
        assert!(report.schools.held["10"].contains(&"feed-no-pupils".to_owned()), "{:?}", report.schools);
        assert_eq!(
            (desk.active("pupil").await, desk.stage.count("SELECT count(*) FROM account").await),
            (pupils, accounts)
        );
        assert_eq!(desk.stage.count("SELECT count(*) FROM account WHERE state = 'pre-deleted'").await, 0);
    });
}

#[test]
fn a_new_administrator_waits_and_a_refusal_leaves_everything() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(1);
        let first = desk.import(&academy).await;
        assert!(first.schools.held.is_empty(), "a new school has its head: {first:?}");
        staff(&mut academy, 9_300, &[(0, "DIR")], &[]);
        complet(desk.folder(), &academy);
        desk.job().await;
        assert!(desk.work().await);
        assert_eq!(desk.active("school_admin").await, 1);
        let admin = desk.admin().await;
        let holds = desk.holds(&admin, "waiting").await;
        assert_eq!(holds[0]["reasons"], json!(["feed-new-administrator"]));
        assert_eq!(holds[0]["samples"][0]["kind"], "new_administrator");
        assert!(holds[0]["samples"][0]["line"].as_u64().is_some(), "{:?}", holds[0]["samples"]);
        let url = desk.url(&format!("feed-holds/{}/decisions", holds[0]["id"].as_str().unwrap()));
        let body = json!({ "approve": false, "delivery": holds[0]["delivery"] });
        admin.clone().with("idempotency-key", "new-administrator").post(&url, &body).await.expect(201);
        assert!(desk.work().await);
        assert_eq!(desk.active("school_admin").await, 1);
        assert_eq!(desk.stage.count("SELECT count(*) FROM person WHERE last_name = 'Prof0'").await, 1);
        // Without a recent proof nobody decides.
        let plain = desk.node.signed_in(&desk.territory.admin().await).await;
        plain.with("idempotency-key", "without-proof").post(&url, &body).await.refused(403, "proof-required");
    });
}

/// A little chance that repeats itself.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// What happens to an academy in a day.
fn a_day_later(academy: &Academy, dice: &mut Dice) -> Academy {
    let mut next = academy.clone();
    let pupils: Vec<u32> = next.keys().filter(|(kind, _)| *kind == "Eleve").map(|(_, key)| *key).collect();
    let some =
        |dice: &mut Dice| pupils[usize::try_from(dice.below(u32::try_from(pupils.len()).unwrap())).unwrap()];
    let mut gone = false;
    for _ in 0..6 {
        let key = some(dice);
        match dice.below(9) {
            0 => {
                if let Some(pupil) = next.get_mut(&("Eleve", key)) {
                    pupil.attributes.insert("sn", one(format!("Nouveau{key}")).to_vec());
                }
            }
            1 => {
                if let Some(pupil) = next.get_mut(&("Eleve", key)) {
                    let school = pupil.attributes["ENTPersonStructRattach"][0].clone();
                    pupil.attributes.insert("ENTEleveClasses", one(format!("{school}$5e A")).to_vec());
                    pupil.attributes.insert("ENTEleveNivFormation", one("5EME").to_vec());
                }
            }
            2 => {
                if let Some(pupil) = next.get_mut(&("Eleve", key)) {
                    // To the other school, with the family, which the delta does not say again.
                    let school = if pupil.attributes["ENTPersonStructRattach"][0] == "10" { 11 } else { 10 };
                    pupil.attributes.insert("ENTPersonStructRattach", one(school).to_vec());
                    pupil.attributes.insert("ENTEleveClasses", one(format!("{school}$6e A")).to_vec());
                }
            }
            // One a day, or the school waits.
            3 if !gone => {
                next.remove(&("Eleve", key));
                gone = true;
            }
            4 => {
                let new = 7_000 + dice.below(500);
                relative(&mut next, new);
                if let Some(pupil) = next.get_mut(&("Eleve", key)) {
                    pupil
                        .attributes
                        .insert("ENTElevePersRelEleve", one(format!("{new}$10$1$1$2$0")).to_vec());
                }
            }
            5 => {
                let new = 2_000 + dice.below(500);
                pupil(&mut next, new, dice.below(2), "6e B", &[5_000 + dice.below(20)]);
            }
            6 => {
                let teacher = 9_000 + dice.below(2);
                if let Some(teacher) = next.get_mut(&("PersEducNat", teacher)) {
                    teacher.attributes.insert("ENTAuxEnsClassesMatieres", one("10$6e B$030201").to_vec());
                }
            }
            7 => {
                let teacher = 9_100 + dice.below(2);
                if let Some(teacher) = next.get_mut(&("PersEducNat", teacher)) {
                    teacher.attributes.insert(
                        "ENTPersonFonctions",
                        one(format!("{}$EDU$-$-$-", 10 + dice.below(2))).to_vec(),
                    );
                }
            }
            _ => {
                let guardian = 5_000 + dice.below(20);
                if let Some(guardian) = next.get_mut(&("PersRelEleve", guardian)) {
                    guardian.attributes.insert("mobile", Vec::new());
                    guardian.attributes.insert("sn", one("Remariee").to_vec());
                }
            }
        }
    }
    // Whoever is nobody's any more is not delivered.
    let named: Vec<String> = next
        .values()
        .filter_map(|object| object.attributes.get("ENTElevePersRelEleve"))
        .flatten()
        .filter_map(|relation| Some(relation.split_once('$')?.0.to_owned()))
        .collect();
    next.retain(|(kind, key), _| *kind != "PersRelEleve" || named.contains(&key.to_string()));
    next
}

#[test]
fn a_delta_comes_to_what_the_next_complet_says() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut now = academy(2);
        desk.import(&now).await;
        let mut dice = Dice(1);
        for day in 0..6 {
            let next = a_day_later(&now, &mut dice);
            let changes = delta(desk.folder(), &now, &next);
            desk.stage.advance(chrono::Duration::hours(1));
            let report = desk.run(false).await;
            assert!(
                report.schools.failed.is_empty() && report.schools.held.is_empty(),
                "day {day}: {report:?}"
            );
            let written = report.rows_written_total();
            assert!(
                written > 0 && written < 60 * u64::try_from(changes).unwrap(),
                "day {day}: {written} of {changes}"
            );
            // What the complet of the day says is there already.
            let report = desk.import(&next).await;
            let mut rows = report.rows_written.clone();
            rows.retain(|_, count| *count > 0);
            assert_eq!(rows, BTreeMap::new(), "day {day}: {report:?}");
            now = next;
        }
    });
}

#[test]
fn a_delta_alone_creates_and_one_of_strangers_is_told() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let academy = academy(1);
        delta(desk.folder(), &Academy::new(), &academy);
        let report = desk.run(false).await;
        assert_eq!(report.schools.merged, 1, "{report:?}");
        assert_eq!(
            (desk.active("pupil").await, desk.active("guardian").await, desk.active("teacher").await),
            (40, 20, 2)
        );
        let mut later = academy.clone();
        pupil(&mut later, 1_950, 0, "6e A", &[]);
        let mut never = later.clone();
        never
            .get_mut(&("Eleve", 1_950))
            .unwrap()
            .attributes
            .insert("ENTEleveNivFormation", one("5EME").to_vec());
        delta(desk.folder(), &later, &never);
        let report = desk.run(false).await;
        assert_eq!(report.warned("feed-change-of-unknown"), 1, "{report:?}");
    });
}

#[test]
fn what_hands_have_written_survives() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(1);
        desk.import(&academy).await;
        let of = "person_id = (SELECT person_id FROM join_key WHERE join_key = '5000')";
        desk.stage
            .sql(&format!(
                "UPDATE person SET email = 'moi@example.org', email_origin = 'hand', mobile = '+33 6 00', mobile_origin = 'hand'
                  WHERE {of}"
            ))
            .await;
        // Somebody whom no academy knows, attached by hand.
        let school: uuid::Uuid =
            sqlx::query_scalar("SELECT school_id FROM school").fetch_one(desk.stage.owner()).await.unwrap();
        let guest = desk.territory.person("Ana Lopez").await;
        for sql in [
            format!(
                "INSERT INTO school_person VALUES ('{school}', '{}', 'Lopez', 'Ana', '', 'lopez ana', now())",
                guest.id
            ),
            format!(
                "INSERT INTO membership (school_id, person_id, role, origin, started_at) VALUES ('{school}', '{}', 'teacher', 'hand', now())",
                guest.id
            ),
            format!(
                "INSERT INTO class_teacher (school_id, class_id, person_id) SELECT school_id, class_id, '{}' FROM class WHERE name = '6e A'",
                guest.id
            ),
        ] {
            desk.stage.sql(&sql).await;
        }
        let guardian = academy.get_mut(&("PersRelEleve", 5_000)).unwrap();
        guardian.attributes.insert("mail", Vec::new());
        guardian.attributes.insert("mobile", one("+33 6 39 98 11 11").to_vec());
        let report = desk.import(&academy).await;
        assert_eq!((report.counts["emails_kept"], report.counts["mobiles_kept"]), (1, 1));
        assert_eq!(
            desk.stage.count(&format!("SELECT count(*) FROM person WHERE email = 'moi@example.org' AND mobile = '+33 6 00' AND {of}")).await,
            1
        );
        let theirs = format!("person_id = '{}'", guest.id);
        for (table, more) in [("membership", "AND ended_at IS NULL"), ("class_teacher", "")] {
            let sql = format!("SELECT count(*) FROM {table} WHERE {theirs} {more}");
            assert_eq!(desk.stage.count(&sql).await, 1, "{table}");
        }
    });
}

#[test]
fn who_leaves_is_deleted_after_a_while_and_who_comes_back_before_is_not() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let all = academy(1);
        desk.import(&all).await;
        let mut fewer = all.clone();
        fewer.remove(&("Eleve", 1_000));
        fewer.remove(&("Eleve", 1_001));
        fewer.remove(&("PersRelEleve", 5_000));
        let report = desk.import(&fewer).await;
        assert_eq!((report.schools.held.len(), report.counts["account_pre_deleted"]), (0, 3), "{report:?}");
        assert_eq!(desk.state_of(1_000).await, "pre-deleted");
        let keep = KeepDays { pupil: 30, guardian: 60, teacher: 90, staff: 90 };
        let sweep = async || {
            delete_leavers(&desk.node.app.db, desk.stage.clock(), desk.territory.id, keep).await.unwrap()
        };
        assert_eq!(sweep().await, 0);
        // One comes back.
        let mut back = fewer.clone();
        back.insert(("Eleve", 1_001), all[&("Eleve", 1_001)].clone());
        desk.import(&back).await;
        assert_eq!(desk.state_of(1_001).await, "imported");
        desk.stage.advance(chrono::Duration::days(31));
        assert_eq!(sweep().await, 1, "the pupil, and not yet the guardian");
        assert_eq!(
            (desk.state_of(1_000).await, desk.state_of(5_000).await),
            ("deleted".into(), "pre-deleted".into())
        );
        let erased = "SELECT count(*) FROM person p JOIN join_key j USING (person_id)
                       WHERE j.join_key = '1000' AND p.ine IS NULL AND p.birth_on IS NULL";
        assert_eq!(desk.stage.count(erased).await, 1);
        let login =
            "SELECT count(*) FROM login l JOIN join_key j USING (person_id) WHERE j.join_key = '1000'";
        assert_eq!(desk.stage.count(login).await, 1, "the name stays taken");
        assert_eq!(sweep().await, 0);
        // Even a deleted one begins anew under the old name.
        let before = desk.stage.count("SELECT count(*) FROM person").await;
        desk.import(&all).await;
        assert_eq!(desk.state_of(1_000).await, "imported");
        assert_eq!(desk.stage.count("SELECT count(*) FROM person").await, before);
        let code = "SELECT count(*) FROM activation_code c JOIN join_key j USING (person_id) WHERE j.join_key = '1000'";
        assert_eq!(desk.stage.count(code).await, 1);
    });
}

#[test]
fn a_reference_waits_for_what_it_refers_to() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let whole = academy(1);
        let mut without = whole.clone();
        without.remove(&("PersRelEleve", 5_000));
        let report = desk.import(&without).await;
        assert_eq!(report.warned("aaf-outside-guardian"), 2);
        assert_eq!(desk.stage.count("SELECT count(*) FROM feed_parked WHERE kind = 'link'").await, 2);
        assert_eq!(desk.stage.count("SELECT count(*) FROM guardian_link").await, 38);
        // The guardian comes alone; the pupils' records are not said again.
        let changes = delta(desk.folder(), &without, &whole);
        assert_eq!(changes, 1);
        let report = desk.run(false).await;
        assert!(report.schools.failed.is_empty(), "{report:?}");
        // A relative's record names no school: the next feed of the school brings them together.
        let report = desk.import(&whole).await;
        assert!(report.schools.failed.is_empty(), "{report:?}");
        assert_eq!(desk.stage.count("SELECT count(*) FROM guardian_link").await, 40);
        assert_eq!(desk.stage.count("SELECT count(*) FROM feed_parked").await, 0);
        assert_eq!(desk.active("guardian").await, 20);
    });
}

#[test]
fn one_key_of_two_people_and_a_doubled_ine_are_lines_of_the_report() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(1);
        let ine = academy[&("Eleve", 1_000)].attributes["ENTEleveINE"].clone();
        academy.get_mut(&("Eleve", 1_001)).unwrap().attributes.insert("ENTEleveINE", ine);
        complet(desk.folder(), &academy);
        let twin = Object {
            attributes: BTreeMap::from([
                ("ENTPersonJointure", one(1_002).to_vec()),
                ("sn", one("Tout-Autre").to_vec()),
                ("givenName", one("Zoé").to_vec()),
                ("ENTPersonStructRattach", one(10).to_vec()),
            ]),
            category: "Eleve",
        };
        let xml = format!(
            "<ficAlimMENESR>\n<!-- codeAcademieExport=\"13\" -->\n{}</ficAlimMENESR>",
            add(&twin, 1_002)
        );
        std::fs::write(desk.folder().join("ENT_Complet_20261125_Eleve_0001.xml"), xml).unwrap();
        let report = desk.run(false).await;
        assert_eq!(report.warned("feed-ine-twice"), 1, "{report:?}");
        assert_eq!(report.warned("feed-key-of-two-people"), 1, "{report:?}");
        assert!(report.warnings["feed-ine-twice"].samples[0].place.line.is_some());
        assert_eq!(desk.active("pupil").await, 40);
    });
}

#[test]
fn a_night_feed_begins_once_whatever_the_number_of_workers() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let admin = desk.admin().await;
        let url = desk.url("feed-schedule");
        admin.get(&url).await.refused(404, "not-found");
        let body = |directory: &str| {
            json!({
                "enabled": true, "format": "aaf", "directory": directory, "at": "02:30:00", "time_zone": "Europe/Paris",
            })
        };
        admin.put(&url, &body("../ailleurs")).await.refused(422, "feed-bad-schedule");
        admin.put(&url, &body("nuit")).await.expect(200);
        let inbox = tempfile::tempdir().unwrap();
        std::fs::create_dir(inbox.path().join("nuit")).unwrap();
        complet(&inbox.path().join("nuit"), &academy(1));
        desk.stage.set("2026-11-26T01:29:00Z");
        let tick = async |node: &Node| {
            tick(&node.app.db, desk.stage.clock(), desk.territory.id, Some(inbox.path())).await.unwrap()
        };
        let other = desk.stage.node().await;
        assert_eq!(tick(&desk.node).await, None, "not yet");
        desk.stage.set("2026-11-26T01:30:05Z");
        let (here, there) = tokio::join!(tick(&desk.node), tick(&other));
        assert_eq!([here, there].into_iter().flatten().count(), 1, "one of them");
        assert_eq!(tick(&other).await, None, "not twice a night");
        let admin = desk.admin().await;
        let told = admin.get(&url).await.expect(200).json();
        assert_eq!(told["last_night"], "2026-11-26");
        assert!(desk.work().await && !desk.work().await);
        assert_eq!(desk.active("pupil").await, 40);
        desk.stage.set("2026-11-27T01:30:05Z");
        assert!(tick(&desk.node).await.is_some(), "the next night");
        let admin = desk.admin().await;
        let answer = admin.send(Method::GET, &desk.url("jobs"), None).await.expect(200).json();
        assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    });
}
