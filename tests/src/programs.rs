//! API clients, put in at once by the owner's role.

use preau_clients::rules::Secret;
use preau_kernel::{ClientId, ClientToken, FamilyId, SchoolId, Scope, TerritoryId};
use uuid::Uuid;

use crate::{Node, School, Stage, Territory};

/// An API client with a secret that works.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its id.
    pub id: ClientId,
    /// Its secret's name.
    pub secret_id: FamilyId,
    /// Its secret.
    pub secret: String,
    territory: TerritoryId,
    scopes: Vec<Scope>,
    schools: Vec<SchoolId>,
}

/// A program's scopes and schools are what is given; `owner` is none for the territory's own.
pub(crate) async fn insert_program(
    stage: &Stage,
    territory: &Territory,
    owner: Option<SchoolId>,
    schools: &[SchoolId],
    scopes: &[Scope],
) -> Program {
    let (id, secret_id): (ClientId, FamilyId) = (stage.clock().mint(), stage.clock().mint());
    let mut bits = [7; 32];
    bits[..16].copy_from_slice(secret_id.uuid().as_bytes());
    let secret = Secret::new(bits);
    let now = stage.clock().now();
    let ends = now + chrono::Duration::days(100);
    sqlx::query(
        "INSERT INTO api_client (client_id, territory_id, owner_school, name, purpose, contact, scopes, schools,
                                 per_minute, created_by, created_at, updated_at, expires_at)
         VALUES ($1, $2, $3, 'Essai', 'Pour les essais', 'essai@example.org', $4, $5, 6000, $1, $6, $6, $7)",
    )
    .bind(id.uuid())
    .bind(territory.id.uuid())
    .bind(owner.map(SchoolId::uuid))
    .bind(scopes.iter().map(|scope| scope.as_str().to_owned()).collect::<Vec<_>>())
    .bind(schools.iter().map(|school| school.uuid()).collect::<Vec<Uuid>>())
    .bind(now)
    .bind(ends)
    .execute(stage.owner())
    .await
    .expect("a client");
    sqlx::query(
        "INSERT INTO api_client_secret (client_id, secret_id, hash, created_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id.uuid())
    .bind(secret_id.uuid())
    .bind(secret.hash().to_vec())
    .bind(now)
    .bind(ends)
    .execute(stage.owner())
    .await
    .expect("a secret");
    Program {
        id,
        secret_id,
        secret: secret.reveal(),
        territory: territory.id,
        scopes: scopes.to_vec(),
        schools: schools.to_vec(),
    }
}

impl School {
    /// A program of this school's own.
    pub async fn program(&self, scopes: &[Scope]) -> Program {
        insert_program(self.territory.stage(), &self.territory, Some(self.id), &[self.id], scopes).await
    }
}

impl Territory {
    /// A program of the territory's own, for these schools.
    pub async fn program(&self, schools: &[&School], scopes: &[Scope]) -> Program {
        let schools: Vec<SchoolId> = schools.iter().map(|school| school.id).collect();
        insert_program(self.stage(), self, None, &schools, scopes).await
    }
}

impl Program {
    /// What a token of it says now.
    pub fn token(&self, stage: &Stage) -> ClientToken {
        let now = stage.clock().now();
        ClientToken {
            client: self.id,
            secret: self.secret_id,
            territory: self.territory,
            scopes: self.scopes.iter().copied().collect(),
            schools: self.schools.iter().copied().collect(),
            version: 1,
            per_minute: 6000,
            issued_at: now,
            expires_at: now + chrono::Duration::minutes(5),
        }
    }
}

impl Node {
    /// The program with a token, signed at once without passing the door.
    pub fn program(&self, program: &Program) -> crate::Client {
        let token = self.app.client_tokens.sign(&program.token(self.stage()));
        self.bearer(token.expect("the key ring is not empty"))
    }
}
