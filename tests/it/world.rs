//! Two territories and three schools, with somebody of every role in the first: what the exhaustive tests walk through.

use bytes::Bytes;
use http::Method;
use preau_http::RouteRow;
use preau_identity::{
    TERMS_VERSION,
    accounts::{AccountRule, Channel, ContactKind},
};
use preau_kernel::{Role, Scope};
use preau_tests::{
    Class, Client, Node, PASSWORD, Persona, Program, School, Sent, Stage, Territory,
    desk::{self, StandIn},
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) struct World {
    /// A desk of the first territory.
    pub(crate) desk: Uuid,
    pub(crate) stage: Stage,
    pub(crate) node: Node,
    pub(crate) here: Territory,
    pub(crate) school: School,
    pub(crate) class: Class,
    pub(crate) pupil: Persona,
    pub(crate) guardian: Persona,
    /// Another pupil of the class, whose account stays active.
    pub(crate) active: Persona,
    pub(crate) teacher: Persona,
    pub(crate) staff: Persona,
    /// A guest of the school, who comes for the class.
    pub(crate) guest: Persona,
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
    pub(crate) program: Program,
    pub(crate) approval: Uuid,
}

/// A wish of a program to read more of a school, by somebody who is nobody else here.
pub(crate) async fn ask_to_read(stage: &Stage, school: &School, program: &Program, reason: &str) -> Uuid {
    let approval: Uuid = stage.clock().mint();
    stage
        .sql(&format!(
            "INSERT INTO read_approval (school_id, approval_id, territory_id, credential_id, for_client, state,
                                        records_per_day, ends_on, reason, asked_by, asked_at)
             VALUES ('{}', '{approval}', '{}', '{}', true, 'asked', 5000, '2026-12-31', '{reason}', '{approval}', now())",
            school.id, school.territory.id, program.id
        ))
        .await;
    approval
}

/// Nothing of the first school is called so.
pub(crate) const MARK: &str = "Zyzzyva";

/// A request for an operation.
#[derive(Clone)]
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
    /// An API client of the school, a secret of it, and a wish of it to read more.
    pub(crate) program: Uuid,
    pub(crate) secret: Uuid,
    pub(crate) approval: Uuid,
}

impl World {
    pub(crate) async fn new(stage: Stage) -> Self {
        let node = stage.node().await;
        let here = stage.territory("ici").await;
        let school = here.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        let teacher = class.teacher("Claire Durand").await;
        let pupil = class.pupil("Lina Martin").await;
        let active = class.pupil("Omar Petit").await;
        // Cards are for young pupils.
        stage.sql("UPDATE school SET kind = 'primary'").await;
        let guardian = school.guardian_of(&pupil, "Paul Martin").await;
        let staff = school.staff("Nora Vidal").await;
        let guest = class.guest("Iris Passage").await;
        let admin = school.admin().await;
        class.lesson(&teacher, "Histoire", "2026-11-23T09:00:00Z", 55).await;
        let territory_admin = here.admin().await;
        let neighbour = here.school("Lycée Jean-Moulin").await.admin().await;
        let (_, desk) = StandIn::trusted_by(&stage, &here, "guichet", "educonnect").await;
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
            active,
            guardian,
            teacher,
            staff,
            guest,
            admin,
            territory_admin,
            neighbour,
            foreigner,
            foreign_territory_admin,
            foreign,
            desk,
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
        let program = self.school.program(&[Scope::TimetableRead]).await;
        let approval = ask_to_read(&self.stage, &self.school, &program, "Reprise de la cantine").await;
        Target {
            program: program.id.uuid(),
            secret: program.secret_id.uuid(),
            approval,
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
            program: self.foreign.program.id.uuid(),
            secret: self.foreign.program.secret_id.uuid(),
            approval: self.foreign.approval,
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
        let hold: Uuid = self.stage.clock().mint();
        for (name, value) in [
            ("provider", "guichet".to_owned()),
            ("provider_id", self.desk.to_string()),
            ("hold_id", hold.to_string()),
            ("school_id", target.school.to_string()),
            ("territory_id", target.territory.to_string()),
            ("class_id", target.class.to_string()),
            ("person_id", target.person.to_string()),
            ("group_id", target.group.clone()),
            ("session_id", target.session.to_string()),
            ("job_id", target.job.to_string()),
            ("client_id", target.program.to_string()),
            ("secret_id", target.secret.to_string()),
            ("approval_id", target.approval.to_string()),
            ("passkey_id", target.job.to_string()),
            ("role", "staff".to_owned()),
            ("school", target.school.to_string()),
            ("person", target.person.to_string()),
            ("section", "absent".to_owned()),
            ("order", "absent".to_owned()),
            ("token", "absent".to_owned()),
            ("date", "2026-11-23".to_owned()),
            ("file", "absent.js".to_owned()),
            ("demand", "new_password".to_owned()),
        ] {
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        path = self.administered(&row.operation_id, path, target).await;
        path = self.planned(path, target).await;
        path = self.ordered(path, target).await;
        assert!(!path.contains('{'), "{}: say what {path} is about", row.operation_id);
        let mut headers = Vec::new();
        match row.operation_id.as_str() {
            "list_activation_sheets" => path += &format!("?audience=pupils&class_id={}", target.class),
            // Somebody who has activated, whose password is lost; elsewhere, whoever is there.
            "create_reset_code" if target.person == self.pupil.id.uuid() => {
                path = path.replace(&target.person.to_string(), &self.active.id.to_string());
            }
            "create_feed_decision" => self.hold(target, hold).await,
            "get_feed_report" => {
                let job = target.job;
                self.stage.sql(&format!("UPDATE job SET report = '{{}}' WHERE job_id = '{job}'")).await;
            }
            "get_feed_schedule" => {
                let territory = target.territory;
                self.stage
                    .sql(&format!(
                        "INSERT INTO feed_schedule (territory_id, enabled, format, directory, at, time_zone, updated_by, updated_at)
                         VALUES ('{territory}', false, 'aaf', 'nuit', '02:30', 'Europe/Paris', '{territory}', now())
                         ON CONFLICT DO NOTHING"
                    ))
                    .await;
            }
            // What is taken away must be there; the session's person is who asks.
            "delete_totp" => {
                self.stage
                    .sql(&format!(
                        "INSERT INTO totp_factor (person_id, sealed, last_step, confirmed_at)
                         SELECT person_id, '', 0, now() FROM session_family WHERE family_id = '{}'
                         ON CONFLICT DO NOTHING",
                        target.session
                    ))
                    .await;
            }
            "update_passkey" | "delete_passkey" => {
                self.stage
                    .sql(&format!(
                        "DELETE FROM passkey;
                         INSERT INTO passkey (person_id, passkey_id, credential_id, credential, name, created_at)
                         SELECT person_id, '{}', 'x', '{{}}', 'Clé', now() FROM session_family WHERE family_id = '{}'",
                        target.job, target.session
                    ))
                    .await;
            }
            "delete_second_factors" => {
                self.stage
                    .sql(&format!(
                        "UPDATE account SET second_factor = true WHERE person_id = '{}'",
                        self.pupil.id
                    ))
                    .await;
            }
            "create_profile_session" | "delete_device_profile" => {
                let (person, cookie) = self.profile_of_a_device().await;
                path = path.replace(&target.person.to_string(), &person.to_string());
                headers.push(("cookie", cookie));
            }
            _ => {}
        }
        if row.keyed {
            headers.push(("idempotency-key", self.stage.clock().mint::<Uuid>().to_string()));
        }
        if crate::administered::wants_if_match(&row.operation_id, &row.method.parse().expect("a method")) {
            headers.push(("if-match", "*".to_owned()));
        }
        if row.method == "PATCH" && !headers.iter().any(|(name, _)| *name == "if-match") {
            headers.push(("if-match", "*".to_owned()));
        }
        let body = match self.administered_body(&row.operation_id, &path, target).await {
            Some(body) => Some(body),
            None => match crate::plans::body(&row.operation_id) {
                Some(body) => Some(body),
                None => self.body(&row.operation_id, target).await,
            },
        };
        let method = row.method.parse().expect("a method");
        Ask { method, path, body, headers }
    }

    /// A school of a delivery that waits for a decision.
    async fn hold(&self, target: &Target, hold: Uuid) {
        let (territory, job) = (target.territory, target.job);
        self.stage
            .sql(&format!(
                "INSERT INTO feed_hold (territory_id, hold_id, job_id, academy, school_key, uai, school_name, reasons, counts,
                                        samples, fingerprint, state, held_at)
                 VALUES ('{territory}', '{hold}', '{job}', '13', '{hold}', '0771991W', 'Collège', '{{}}', '{{}}', '[]', 'files',
                         'waiting', now())"
            ))
            .await;
    }

    async fn body(&self, operation: &str, target: &Target) -> Option<(&'static str, Bytes)> {
        let json = |value: Value| Some(("application/json", Bytes::from(value.to_string())));
        match operation {
            "create_session" => {
                json(json!({ "login": self.staff.login, "password": PASSWORD, "tokens": true }))
            }
            "create_queue_ticket" => json(json!({})),
            "create_load_order" => json(json!({
                "act": { "kind": "level", "level": 1 }, "reason": "Essai du matin", "until": "2026-11-23T09:05:00Z",
            })),
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
            "create_federation_provider" => {
                let slug = format!("g{}", self.stage.clock().mint::<Uuid>().simple());
                let certificate = preau_saml::Certificate::parse(&desk::pem().1).expect("a certificate");
                let metadata = desk::metadata("https://desk.test/neuf", &certificate);
                json(json!({
                    "slug": &slug[..30], "kind": "agents", "name": "Guichet", "metadata": metadata, "enabled": true,
                }))
            }
            "update_federation_provider" => json(json!({ "down": false })),
            "update_password" => {
                json(json!({ "present_password": PASSWORD, "new_password": "un tout autre chemin creux" }))
            }
            "create_passkey_challenge"
            | "create_proof_challenge"
            | "create_totp_enrolment"
            | "create_passkey_enrolment"
            | "create_recovery_codes" => json(json!({})),
            "create_proof" => json(json!({ "password": PASSWORD })),
            "update_totp" => json(json!({ "enrolment": "AAAA", "code": "000000" })),
            "create_passkey" => json(json!({ "enrolment": "AAAA", "name": "Clé", "credential": {} })),
            "update_passkey" => json(json!({ "name": "Téléphone" })),
            "update_school_factor_policy" | "update_territory_factor_policy" => {
                json(json!({ "teachers_must": false }))
            }
            "accept_terms" => json(json!({ "terms_version": TERMS_VERSION })),
            "update_email" => json(json!({ "email": "nouvelle@example.org" })),
            "update_mobile" => json(json!({ "mobile": "06 12 34 56 78" })),
            "confirm_email" | "confirm_mobile" => {
                json(json!({ "code": self.code_for(target, operation == "confirm_email").await }))
            }
            "create_email_confirmation" => {
                let newcomer = self.here.person("Ève Lien").await;
                let sent = self.change_contact(newcomer.id.uuid(), ContactKind::Email).await;
                json(json!({ "token": sent.token("compte/confirmation") }))
            }
            "create_login_reminder" => json(json!({ "email": "famille@example.org" })),
            "create_password_reset" => json(json!({ "identifier": self.staff.login, "channel": "mail" })),
            "complete_password_reset" => {
                let newcomer = self.here.person("Ève Perdue").await;
                let address = format!("{}@example.org", newcomer.id);
                self.stage
                    .sql(&format!(
                        "UPDATE person SET email = '{address}' WHERE person_id = '{}'",
                        newcomer.id
                    ))
                    .await;
                let accounts = &self.node.app.accounts;
                accounts.ask_for_password(&newcomer.login, Channel::Mail).await.expect("asked");
                accounts.work().await.expect("answered");
                let sent = self.stage.sent_to(&address).pop().expect("a mail");
                json(
                    json!({ "token": sent.token("reinitialisation"), "password": "un tout autre chemin creux" }),
                )
            }
            "create_reset_code" => json(json!({ "hours": 2 })),
            "create_activation_sheets" | "export_activation_sheets" => {
                json(json!({ "audience": "pupils", "class_id": target.class }))
            }
            "update_class_rights" => json(serde_json::to_value(AccountRule::default()).expect("JSON")),
            "update_account_demand" => json(json!({ "role": "guardian" })),
            "update_account_block" | "update_profile_block" => json(json!({ "reason": "Essai" })),
            "create_device_profile" | "create_profile_session" => json(json!({ "pin": "2718" })),
            "create_oauth_token" => {
                let program = self.school.program(&[Scope::TimetableRead]).await;
                let form = format!(
                    "grant_type=client_credentials&client_id={}&client_secret={}",
                    program.id, program.secret
                );
                Some(("application/x-www-form-urlencoded", form.into()))
            }
            "create_school_client" | "create_territory_client" => json(json!({
                "name": "Écran du hall", "purpose": "Afficher les cours du jour", "contact": "vie.scolaire@exemple.fr",
                "scopes": ["timetable:read"], "school_ids": [target.school], "expires_on": "2027-07-31",
            })),
            "update_school_client" | "update_territory_client" => {
                json(json!({ "contact": "cpe@exemple.fr" }))
            }
            "create_school_client_secret" | "create_territory_client_secret" => json(json!({})),
            "create_read_approval" => json(json!({
                "client_id": target.program, "records_per_day": 3000, "ends_on": "2026-12-15",
                "reason": "Reprise de la cantine",
            })),
            "create_read_decision" => json(json!({ "grant": true, "reason": "Vu avec le gestionnaire" })),
            "create_upload" => Some(("application/zip", Bytes::from_static(b"PK\x05\x06"))),
            "create_directory_import" => json(json!({ "upload_id": target.job })),
            "create_feed_decision" => json(json!({ "approve": false, "delivery": "files" })),
            "update_feed_schedule" => json(json!({
                "enabled": true, "format": "aaf", "directory": "nuit", "at": "02:30:00", "time_zone": "Europe/Paris",
            })),
            "create_timetable_import" => {
                json(json!({ "school_id": self.school.id, "format": "ical", "upload_ids": [target.job] }))
            }
            _ => None,
        }
    }
}

impl World {
    /// Asks for an address or number of that person's to be changed, and gives what was sent there.
    async fn change_contact(&self, person: Uuid, kind: ContactKind) -> Sent {
        let number = 10_000_000 + person.as_u128() % 89_999_999;
        let to = match kind {
            ContactKind::Email => format!("{person}@example.org"),
            ContactKind::Mobile => format!("+336{number}"),
        };
        let accounts = &self.node.app.accounts;
        accounts.change_contact(person.into(), kind, &to).await.expect("a change that waits");
        accounts.work().await.expect("sent");
        self.stage.sent_to(&to).pop().expect("a message")
    }

    /// The code that whoever asks (the person of the target's session) was just sent.
    async fn code_for(&self, target: &Target, by_mail: bool) -> String {
        let asker: Option<Uuid> =
            sqlx::query_scalar("SELECT person_id FROM session_family WHERE family_id = $1")
                .bind(target.session)
                .fetch_optional(self.stage.owner())
                .await
                .expect("a family");
        let Some(asker) = asker else { return "000000".to_owned() };
        let kind = if by_mail { ContactKind::Email } else { ContactKind::Mobile };
        self.change_contact(asker, kind).await.code(6)
    }

    /// Somebody on a device, under the PIN 2718: who, and the device's cookie.
    async fn profile_of_a_device(&self) -> (Uuid, String) {
        let newcomer = self.here.person("Léo Tablette").await;
        let me = self.node.signed_in(&newcomer).await;
        let kept = me.post("/api/v1/device/profiles", &json!({ "pin": "2718" })).await.expect(204);
        let cookie =
            kept.cookies().first().and_then(|line| line.split(';').next()).expect("a cookie").to_owned();
        (newcomer.id.uuid(), cookie)
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
                 INSERT INTO profile_block (school_id, role, reason, blocked_by, blocked_at)
                 VALUES ('{id}', 'guardian', '{MARK}', '{pupil_id}', now());
                 INSERT INTO teaching_group (school_id, group_id, name) VALUES ('{id}', '{group}', 'G {MARK}');
                 INSERT INTO group_pupil (school_id, group_id, person_id) VALUES ('{id}', '{group}', '{pupil_id}');
                 INSERT INTO job (territory_id, job_id, kind, state, params, created_at)
                 VALUES ('{}', '{group}', 'import-aaf', 'queued', '{{}}', now())",
                there.id
            ))
            .await;
        let people = [pupil.id.uuid(), teacher.id.uuid()];
        stage.sql(&crate::administered::marked(there.id.uuid(), id.uuid(), group, people, MARK)).await;
        stage.sql(&crate::plans::marked(id.uuid(), true, group, MARK)).await;
        stage.sql(&crate::desk::an_order(there.id.uuid(), group, MARK)).await;
        let program = school.program(&[Scope::DirectoryRead]).await;
        stage.sql(&format!("UPDATE api_client SET name = '{MARK}' WHERE client_id = '{}'", program.id)).await;
        let approval = ask_to_read(stage, &school, &program, &format!("Lire {MARK}")).await;
        Self { school, class, pupil, group, program, approval }
    }
}
