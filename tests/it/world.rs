//! Two territories and three schools, with somebody of every role in the first: what the exhaustive tests walk through.

use bytes::Bytes;
use http::Method;
use preau_http::RouteRow;
use preau_identity::TERMS_VERSION;
use preau_kernel::Role;
use preau_tests::{Class, Client, Node, PASSWORD, Persona, School, Stage, Territory};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) node: Node,
    pub(crate) here: Territory,
    pub(crate) school: School,
    pub(crate) class: Class,
    pub(crate) pupil: Persona,
    pub(crate) guardian: Persona,
    pub(crate) teacher: Persona,
    pub(crate) staff: Persona,
    pub(crate) admin: Persona,
    pub(crate) territory_admin: Persona,
    /// Administers another school of the same territory.
    pub(crate) neighbour: Persona,
    /// Administers a school of another territory.
    pub(crate) foreigner: Persona,
    pub(crate) foreign_territory_admin: Persona,
    pub(crate) foreign: Foreign,
}

/// A school of another territory, whose every name holds [`MARK`].
pub(crate) struct Foreign {
    pub(crate) school: School,
    pub(crate) class: Class,
    pub(crate) pupil: Persona,
    pub(crate) group: Uuid,
}

/// Nothing of the first school is called so.
pub(crate) const MARK: &str = "Zyzzyva";

/// A request for an operation.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Ask {
    pub(crate) async fn by(&self, client: &Client) -> preau_tests::Answer {
        let mut client = client.clone();
        for (name, value) in &self.headers {
            client = client.with(name, value);
        }
        let body = self.body.as_ref().map(|(media, bytes)| (*media, bytes.clone()));
        client.send(self.method.clone(), &self.path, body).await
    }
}

/// What a request is about.
pub(crate) struct Target {
    pub(crate) school: Uuid,
    pub(crate) territory: Uuid,
    pub(crate) class: Uuid,
    pub(crate) person: Uuid,
    pub(crate) group: String,
    pub(crate) session: Uuid,
    pub(crate) job: Uuid,
}

impl World {
    pub(crate) async fn new(stage: Stage) -> Self {
        let node = stage.node().await;
        let here = stage.territory("ici").await;
        let school = here.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        let teacher = class.teacher("Claire Durand").await;
        let pupil = class.pupil("Lina Martin").await;
        let guardian = school.guardian_of(&pupil, "Paul Martin").await;
        let staff = school.staff("Nora Vidal").await;
        let admin = school.admin().await;
        class.lesson(&teacher, "Histoire", "2026-11-23T09:00:00Z", 55).await;
        let territory_admin = here.admin().await;
        let neighbour = here.school("Lycée Jean-Moulin").await.admin().await;
        let there = stage.territory("ailleurs").await;
        let foreign = Foreign::new(&stage, &there).await;
        let foreigner = foreign.school.admin().await;
        let foreign_territory_admin = there.admin().await;
        Self {
            stage,
            node,
            here,
            school,
            class,
            pupil,
            guardian,
            teacher,
            staff,
            admin,
            territory_admin,
            neighbour,
            foreigner,
            foreign_territory_admin,
            foreign,
        }
    }

    /// Everything of the first school, with a job of its territory that waits.
    pub(crate) async fn own_target(&self, asker: Option<&Persona>) -> Target {
        let job: Uuid = self.stage.clock().mint();
        self.stage
            .sql(&format!(
                "INSERT INTO job (territory_id, job_id, kind, state, params, created_at)
                 VALUES ('{}', '{job}', 'import-aaf', 'queued', '{{}}', now())",
                self.here.id
            ))
            .await;
        let session = match asker {
            Some(asker) => self.stage.family(asker).await.uuid(),
            None => Uuid::nil(),
        };
        Target {
            school: self.school.id.uuid(),
            territory: self.here.id.uuid(),
            class: self.class.id.uuid(),
            person: self.pupil.id.uuid(),
            group: format!("auto:class:{}:teachers", self.class.id),
            session,
            job,
        }
    }

    /// Everything of the other territory's school.
    pub(crate) fn foreign_target(&self) -> Target {
        Target {
            school: self.foreign.school.id.uuid(),
            territory: self.foreign.school.territory.id.uuid(),
            class: self.foreign.class.id.uuid(),
            person: self.foreign.pupil.id.uuid(),
            group: self.foreign.group.to_string(),
            session: Uuid::nil(),
            job: Uuid::nil(),
        }
    }

    /// A request that succeeds for whoever may make it.
    pub(crate) async fn ask(&self, row: &RouteRow, target: &Target) -> Ask {
        let mut path = row.path.clone();
        for (name, value) in [
            ("school_id", target.school.to_string()),
            ("territory_id", target.territory.to_string()),
            ("class_id", target.class.to_string()),
            ("person_id", target.person.to_string()),
            ("group_id", target.group.clone()),
            ("session_id", target.session.to_string()),
            ("job_id", target.job.to_string()),
            ("date", "2026-11-23".to_owned()),
            ("file", "absent.js".to_owned()),
        ] {
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        assert!(!path.contains('{'), "{}: say what {path} is about", row.operation_id);
        let mut headers = Vec::new();
        if row.keyed {
            headers.push(("idempotency-key", self.stage.clock().mint::<Uuid>().to_string()));
        }
        let body = self.body(&row.operation_id, target).await;
        let method = row.method.parse().expect("a method");
        Ask { method, path, body, headers }
    }

    async fn body(&self, operation: &str, target: &Target) -> Option<(&'static str, Bytes)> {
        let json = |value: Value| Some(("application/json", Bytes::from(value.to_string())));
        match operation {
            "create_session" => {
                json(json!({ "login": self.staff.login, "password": PASSWORD, "tokens": true }))
            }
            "refresh_session" => {
                let session = self.node.sign_in(&self.staff).await;
                json(json!({ "refresh_token": session.refresh }))
            }
            "create_activation" => {
                let newcomer = self.here.person_in_state("Zoé Nouvelle", "imported").await;
                self.school.enrol(&newcomer, Role::Pupil).await;
                let made = self.node.app.identity.make_code_by_login(&newcomer.login).await.expect("a code");
                json(json!({
                    "login": newcomer.login, "code": made.code.printed(), "password": "trois petits chats bleus",
                    "accept_terms": true, "terms_version": TERMS_VERSION, "tokens": true,
                }))
            }
            "update_password" => {
                json(json!({ "present_password": PASSWORD, "new_password": "un tout autre chemin creux" }))
            }
            "accept_terms" => json(json!({ "terms_version": TERMS_VERSION })),
            "create_upload" => Some(("application/zip", Bytes::from_static(b"PK\x05\x06"))),
            "create_directory_import" => json(json!({ "upload_id": target.job })),
            "create_timetable_import" => {
                json(json!({ "school_id": self.school.id, "format": "ical", "upload_ids": [target.job] }))
            }
            _ => None,
        }
    }
}

impl Foreign {
    async fn new(stage: &Stage, there: &Territory) -> Self {
        let school = there.school(&format!("Collège {MARK}")).await;
        let class = school.class(&format!("6e {MARK}")).await;
        let pupil = class.pupil(&format!("Ana {MARK}")).await;
        let teacher = class.teacher(&format!("Bo {MARK}")).await;
        school.guardian_of(&pupil, &format!("Cy {MARK}")).await;
        school.staff(&format!("Di {MARK}")).await;
        class.lesson(&teacher, MARK, "2026-11-23T09:00:00Z", 55).await;
        let group: Uuid = stage.clock().mint();
        let (id, pupil_id) = (school.id, pupil.id);
        stage
            .sql(&format!(
                "INSERT INTO subject (school_id, subject_code, label) VALUES ('{id}', '999', '{MARK}');
                 INSERT INTO teaching_group (school_id, group_id, name) VALUES ('{id}', '{group}', 'G {MARK}');
                 INSERT INTO group_pupil (school_id, group_id, person_id) VALUES ('{id}', '{group}', '{pupil_id}');
                 INSERT INTO job (territory_id, job_id, kind, state, params, created_at)
                 VALUES ('{}', '{group}', 'import-aaf', 'queued', '{{}}', now())",
                there.id
            ))
            .await;
        Self { school, class, pupil, group }
    }
}
