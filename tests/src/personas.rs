//! Territories, schools, classes and the people in them, put in at once by the owner's role.

use preau_identity::TERMS_VERSION;
use preau_kernel::{ClassId, FamilyId, PersonId, Role, SchoolId, TerritoryId, fold, login_stem};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::Stage;

/// A territory.
#[derive(Clone)]
pub struct Territory {
    /// Its id.
    pub id: TerritoryId,
    stage: Stage,
}

/// A school.
#[derive(Clone)]
pub struct School {
    /// Its id.
    pub id: SchoolId,
    /// Its national code.
    pub uai: String,
    /// Its territory.
    pub territory: Territory,
}

/// A class.
#[derive(Clone)]
pub struct Class {
    /// Its id.
    pub id: ClassId,
    /// Its school.
    pub school: School,
}

/// Somebody with an account, who knows [`crate::PASSWORD`].
#[derive(Clone, Debug)]
pub struct Persona {
    /// Who.
    pub id: PersonId,
    /// Login name.
    pub login: String,
    /// The person's territory.
    pub territory: TerritoryId,
}

pub(crate) async fn insert_territory(stage: &Stage, slug: &str) -> Territory {
    let id: TerritoryId = stage.clock().mint();
    sqlx::query("INSERT INTO territory (territory_id, slug, name, created_at) VALUES ($1, $2, $2, $3)")
        .bind(id.uuid())
        .bind(slug)
        .bind(stage.clock().now())
        .execute(stage.owner())
        .await
        .expect("a territory");
    Territory { id, stage: stage.clone() }
}

pub(crate) async fn insert_family(stage: &Stage, persona: &Persona) -> FamilyId {
    let family: FamilyId = stage.clock().mint();
    let now = stage.clock().now();
    sqlx::query(
        "INSERT INTO session_family
             (person_id, family_id, current_hash, rotated_at, created_at, expires_at, trusted, device)
         VALUES ($1, $2, decode(repeat('00', 32), 'hex'), $3, $3, $3 + interval '12 hours', true, 'Test')",
    )
    .bind(persona.id.uuid())
    .bind(family.uuid())
    .bind(now)
    .execute(stage.owner())
    .await
    .expect("a family");
    family
}

impl Territory {
    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// A school of it, in the zone of Paris.
    pub async fn school(&self, name: &str) -> School {
        self.school_in(name, "Europe/Paris").await
    }

    /// A school of it, in a zone.
    pub async fn school_in(&self, name: &str, tz: &str) -> School {
        let id: SchoolId = self.stage.clock().mint();
        let known = self.stage.count("SELECT count(*) FROM school").await;
        let uai = format!("{:07}T", 750_001 + known);
        sqlx::query(
            "INSERT INTO school (school_id, territory_id, uai, name, kind, tz, holiday_zone, created_at, updated_at)
             VALUES ($1, $2, $3, $4, 'college', $5, 'C', $6, $6)",
        )
        .bind(id.uuid())
        .bind(self.id.uuid())
        .bind(&uai)
        .bind(name)
        .bind(tz)
        .bind(self.stage.clock().now())
        .execute(self.stage.owner())
        .await
        .expect("a school");
        School { id, uai, territory: self.clone() }
    }

    /// An administrator of it.
    pub async fn admin(&self) -> Persona {
        let persona = self.person("Ada Territoire").await;
        sqlx::query("INSERT INTO territory_admin (territory_id, person_id, started_at) VALUES ($1, $2, $3)")
            .bind(self.id.uuid())
            .bind(persona.id.uuid())
            .bind(self.stage.clock().now())
            .execute(self.stage.owner())
            .await
            .expect("an administrator");
        persona
    }

    /// Somebody of the territory, in no school yet, with an active account.
    pub async fn person(&self, name: &str) -> Persona {
        self.person_in_state(name, "active").await
    }

    /// The same, with an account in that state (`blocked`: active, and blocked); an imported one has no password.
    pub async fn person_in_state(&self, name: &str, state: &str) -> Persona {
        let stage = &self.stage;
        let (first, last) = name.split_once(' ').unwrap_or(("Camille", name));
        let id: PersonId = stage.clock().mint();
        let now = stage.clock().now();
        let taken = stage.count("SELECT count(*) FROM login").await;
        let login = format!("{}{}", login_stem(first, last), taken + 1);
        let mut tx = begin(stage).await;
        sqlx::query(
            "INSERT INTO person (person_id, territory_id, last_name, first_name, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $5)",
        )
        .bind(id.uuid())
        .bind(self.id.uuid())
        .bind(last)
        .bind(first)
        .bind(now)
        .execute(&mut *tx)
        .await
        .expect("a person");
        sqlx::query("INSERT INTO login (login, person_id, territory_id) VALUES ($1, $2, $3)")
            .bind(&login)
            .bind(id.uuid())
            .bind(self.id.uuid())
            .execute(&mut *tx)
            .await
            .expect("a login");
        sqlx::query(
            "INSERT INTO account (person_id, territory_id, login, state, terms_version, activated_at, updated_at, blocked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
        )
        .bind(id.uuid())
        .bind(self.id.uuid())
        .bind(&login)
        .bind(if state == "blocked" { "active" } else { state })
        .bind(if state == "imported" { "" } else { TERMS_VERSION })
        .bind(now)
        .bind((state == "blocked").then_some(now))
        .execute(&mut *tx)
        .await
        .expect("an account");
        if state != "imported" {
            sqlx::query("INSERT INTO credential (person_id, kind, secret, changed_at) VALUES ($1, 'password', $2, $3)")
                .bind(id.uuid())
                .bind(stage.password_hash().await)
                .bind(now)
                .execute(&mut *tx)
                .await
                .expect("a password");
        }
        tx.commit().await.expect("committed");
        Persona { id, login, territory: self.id }
    }
}

impl School {
    /// Gives somebody a role here.
    pub async fn enrol(&self, persona: &Persona, role: Role) {
        let stage = &self.territory.stage;
        let now = stage.clock().now();
        let mut tx = begin(stage).await;
        let (first, last): (String, String) =
            sqlx::query_as("SELECT first_name, last_name FROM person WHERE person_id = $1")
                .bind(persona.id.uuid())
                .fetch_one(&mut *tx)
                .await
                .expect("a person");
        sqlx::query(
            "INSERT INTO school_person (school_id, person_id, last_name, first_name, search, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(self.id.uuid())
        .bind(persona.id.uuid())
        .bind(&last)
        .bind(&first)
        .bind(fold(&format!("{last} {first}")))
        .bind(now)
        .execute(&mut *tx)
        .await
        .expect("a name here");
        sqlx::query("INSERT INTO membership (school_id, person_id, role, origin, started_at) VALUES ($1, $2, $3, 'feed', $4)")
            .bind(self.id.uuid())
            .bind(persona.id.uuid())
            .bind(role.as_str())
            .bind(now)
            .execute(&mut *tx)
            .await
            .expect("a membership");
        sqlx::query(
            "INSERT INTO person_membership (person_id, school_id, role, territory_id, started_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(persona.id.uuid())
        .bind(self.id.uuid())
        .bind(role.as_str())
        .bind(persona.territory.uuid())
        .bind(now)
        .execute(&mut *tx)
        .await
        .expect("a membership beside the person");
        if role == Role::Pupil {
            sqlx::query("INSERT INTO pupil (school_id, person_id) VALUES ($1, $2)")
                .bind(self.id.uuid())
                .bind(persona.id.uuid())
                .execute(&mut *tx)
                .await
                .expect("a pupil");
        }
        tx.commit().await.expect("committed");
    }

    async fn newcomer(&self, name: &str, role: Role) -> Persona {
        let persona = self.territory.person(name).await;
        self.enrol(&persona, role).await;
        persona
    }

    /// An administrator of it.
    pub async fn admin(&self) -> Persona {
        self.newcomer("Alix Principal", Role::SchoolAdmin).await
    }

    /// One of its staff.
    pub async fn staff(&self, name: &str) -> Persona {
        self.newcomer(name, Role::Staff).await
    }

    /// A class of it.
    pub async fn class(&self, name: &str) -> Class {
        let stage = &self.territory.stage;
        let id: ClassId = stage.clock().mint();
        sqlx::query("INSERT INTO class (school_id, class_id, name) VALUES ($1, $2, $3)")
            .bind(self.id.uuid())
            .bind(id.uuid())
            .bind(name)
            .execute(stage.owner())
            .await
            .expect("a class");
        Class { id, school: self.clone() }
    }

    /// A new guardian of a pupil of this school: legal, first to be called.
    pub async fn guardian_of(&self, pupil: &Persona, name: &str) -> Persona {
        let persona = self.newcomer(name, Role::Guardian).await;
        self.link(&persona, pupil, 1).await;
        persona
    }

    /// Makes somebody a guardian of a pupil of this school: 1 legal, 2 in charge, 0 neither.
    pub async fn link(&self, guardian: &Persona, pupil: &Persona, legal: i16) {
        sqlx::query(
            "INSERT INTO guardian_link (school_id, pupil_id, guardian_id, kind, legal, contact_order) VALUES ($1, $2, $3, 1, $4, 1)",
        )
        .bind(self.id.uuid())
        .bind(pupil.id.uuid())
        .bind(guardian.id.uuid())
        .bind(legal)
        .execute(self.territory.stage.owner())
        .await
        .expect("a link");
    }

    /// A URL under the school.
    pub fn url(&self, rest: &str) -> String {
        format!("/api/v1/schools/{}/{rest}", self.id)
    }
}

impl Class {
    /// A new teacher of the class.
    pub async fn teacher(&self, name: &str) -> Persona {
        let persona = self.school.newcomer(name, Role::Teacher).await;
        self.taught_by(&persona).await;
        persona
    }

    /// Makes a teacher of the school teach the class.
    pub async fn taught_by(&self, teacher: &Persona) {
        sqlx::query("INSERT INTO class_teacher (school_id, class_id, person_id) VALUES ($1, $2, $3)")
            .bind(self.school.id.uuid())
            .bind(self.id.uuid())
            .bind(teacher.id.uuid())
            .execute(self.school.territory.stage.owner())
            .await
            .expect("a teacher of the class");
    }

    /// A new guest of the school, who comes for the class.
    pub async fn guest(&self, name: &str) -> Persona {
        let persona = self.school.newcomer(name, Role::Guest).await;
        sqlx::query("INSERT INTO class_guest (school_id, class_id, person_id) VALUES ($1, $2, $3)")
            .bind(self.school.id.uuid())
            .bind(self.id.uuid())
            .bind(persona.id.uuid())
            .execute(self.school.territory.stage.owner())
            .await
            .expect("a guest of the class");
        persona
    }

    /// A new pupil of the class.
    pub async fn pupil(&self, name: &str) -> Persona {
        let persona = self.school.newcomer(name, Role::Pupil).await;
        self.join(&persona).await;
        persona
    }

    /// Puts a pupil of the school into the class.
    pub async fn join(&self, pupil: &Persona) {
        sqlx::query("INSERT INTO class_pupil (school_id, class_id, person_id) VALUES ($1, $2, $3)")
            .bind(self.school.id.uuid())
            .bind(self.id.uuid())
            .bind(pupil.id.uuid())
            .execute(self.school.territory.stage.owner())
            .await
            .expect("a pupil of the class");
    }

    /// A lesson of the class with a teacher, given in UTC.
    pub async fn lesson(&self, teacher: &Persona, subject: &str, starts_at: &str, minutes: i64) -> Uuid {
        let stage = &self.school.territory.stage;
        let id: Uuid = stage.clock().mint();
        let starts: chrono::DateTime<chrono::Utc> = starts_at.parse().expect("an instant");
        sqlx::query(
            "INSERT INTO lesson (school_id, lesson_id, subject_code, subject_label, starts_at, ends_at, room, class_ids,
                                 teacher_ids, source, source_key)
             VALUES ($1, $2, '', $3, $4, $5, 'B123', ARRAY[$6::uuid], ARRAY[$7::uuid], 'sts', $8)",
        )
        .bind(self.school.id.uuid())
        .bind(id)
        .bind(subject)
        .bind(starts)
        .bind(starts + chrono::Duration::minutes(minutes))
        .bind(self.id.uuid())
        .bind(teacher.id.uuid())
        .bind(id.to_string())
        .execute(stage.owner())
        .await
        .expect("a lesson");
        id
    }
}

#[expect(clippy::disallowed_methods, reason = "the owner's own connection to a test's database")]
async fn begin(stage: &Stage) -> Transaction<'static, Postgres> {
    stage.owner().begin().await.expect("a transaction")
}
