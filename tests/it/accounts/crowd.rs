//! A school behind one address; the morning of the rentrée.

use super::*;

/// 800 pupils behind one address, one in ten of whom mistypes: nobody is refused for what another does.
#[test]
fn a_school_behind_one_address_signs_in() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await];
        let class = class(&stage).await;
        let pupils = many(&stage, &class, 800, "active").await;
        let refused = stream::iter(pupils.iter().enumerate())
            .map(|(number, (login, _))| {
                let node = &nodes[number % 2];
                async move {
                    if number % 10 == 0 {
                        sign_in(node, login, "une faute de frappe").await.refused(401, "bad-credentials");
                    }
                    usize::from(sign_in(node, login, PASSWORD).await.status != 201)
                }
            })
            .buffer_unordered(16)
            .fold(0, async |sum, refused| sum + refused)
            .await;
        assert_eq!(refused, 0);
    });
}

/// 2,000 first activations, four in ten of which begin with a wrong code, while somebody inside the school guesses at
/// everybody's name: nobody honest is refused. There are no cookies, and one address.
#[test]
fn the_rentree_refuses_nobody_honest() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let class = class(&stage).await;
        let pupils = many(&stage, &class, 2000, "imported").await;
        let victims: Vec<&str> = pupils.iter().step_by(10).map(|(login, _)| login.as_str()).collect();
        let honest = stream::iter(pupils.iter().enumerate())
            .map(|(number, (login, code))| {
                let node = &nodes[number % 3];
                async move {
                    if number % 5 < 2 {
                        let typo = activation(login, "00000-00000-000");
                        node.stranger().post("/api/v1/activations", &typo).await;
                    }
                    let body = activation(login, code);
                    usize::from(node.stranger().post("/api/v1/activations", &body).await.status != 201)
                }
            })
            .buffer_unordered(12)
            .fold(0, async |sum, refused| sum + refused);
        let attack = stream::iter((0..10).flat_map(|_| victims.iter()))
            .map(|login| {
                let body = activation(login, "ZZZZZ-ZZZZZ-ZZZ");
                let node = &nodes[0];
                async move { node.stranger().post("/api/v1/activations", &body).await.status.as_u16() }
            })
            .buffer_unordered(8)
            .fold((0, 0), async |(told, slowed), status| match status {
                401 => (told + 1, slowed),
                429 => (told, slowed + 1),
                other => panic!("{other}"),
            });
        let (refused, (_, slowed)) = futures::join!(honest, attack);
        assert_eq!(refused, 0, "honest people were refused");
        assert!(slowed > 0, "who guesses is slowed down");
        assert_eq!(stage.count("SELECT count(*) FROM account WHERE state = 'active'").await, 2000);
    });
}

/// So many pupils put in at once: login, and code on paper.
async fn many(stage: &Stage, class: &Class, count: usize, state: &str) -> Vec<(String, String)> {
    let hash = stage.hash_of_password().await;
    let mut pupils = Vec::with_capacity(count);
    let (mut ids, mut logins, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let code = ActivationCode::generate().expect("randomness");
        ids.push(stage.clock().mint::<uuid::Uuid>());
        logins.push(format!("eleve.numero{number}"));
        hashes.push(code.hash().to_vec());
        pupils.push((logins[number].clone(), code.printed()));
    }
    let (school, territory) = (class.school.id.uuid(), class.school.territory.id.uuid());
    for sql in [
        "INSERT INTO person (person_id, territory_id, last_name, first_name, created_at, updated_at)
         SELECT p.id, $1, 'Numéro', 'Élève', $5, $5 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $6::uuid IS NOT NULL AND $7::text <> '' AND $8::text <> ''",
        "INSERT INTO login (login, person_id, territory_id)
         SELECT p.login, p.id, $1 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $5::timestamptz IS NOT NULL AND $6::uuid IS NOT NULL AND $7::text <> '' AND $8::text <> ''",
        "INSERT INTO account (person_id, territory_id, login, state, terms_version, updated_at)
         SELECT p.id, $1, p.login, $7, CASE $7 WHEN 'active' THEN '2026-09' ELSE '' END, $5
           FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $6::uuid IS NOT NULL AND $8::text <> ''",
        "INSERT INTO person_membership (person_id, school_id, role, territory_id, started_at)
         SELECT p.id, $6, 'pupil', $1, $5 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $7::text <> '' AND $8::text <> ''",
        "INSERT INTO activation_code (person_id, code_hash, expires_at, territory_id)
         SELECT p.id, p.hash, $5 + interval '90 days', $1
           FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $6::uuid IS NOT NULL AND $7::text = 'imported' AND $8::text <> ''",
        "INSERT INTO credential (person_id, kind, secret, changed_at)
         SELECT p.id, 'password', $8, $5 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $1::uuid IS NOT NULL AND $6::uuid IS NOT NULL AND $7::text = 'active'",
    ] {
        sqlx::query(sql)
            .bind(territory)
            .bind(&ids)
            .bind(&logins)
            .bind(&hashes)
            .bind(stage.clock().now())
            .bind(school)
            .bind(state)
            .bind(hash)
            .execute(stage.owner())
            .await
            .unwrap_or_else(|err| panic!("{sql}: {err}"));
    }
    pupils
}
