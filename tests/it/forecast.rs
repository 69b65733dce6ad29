//! What a territory's administrator may ask of tomorrow.

use preau_tests::play;

#[test]
fn a_territory_asks_what_if_its_departement_closes() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège Rosa-Parks").await;
        let territory = school.territory.id;
        stage
            .sql(&format!(
                "INSERT INTO school_counter (school_id, role, territory_id, people, activated, blocked, counted_at)
                 SELECT s.school_id, r.role, s.territory_id, r.people, 0, 0, now()
                   FROM school s, (VALUES ('pupil', 120000), ('teacher', 9000), ('guardian', 40000)) AS r (role, people)
                  WHERE s.school_id = '{}'
                 ON CONFLICT (school_id, role) DO UPDATE SET people = excluded.people",
                school.id
            ))
            .await;
        let admin = node.signed_in(&school.territory.admin().await).await;
        let ask = async |query: &str| {
            let url = format!("/api/v1/territories/{territory}/forecast{query}");
            admin.get(&url).await
        };
        let usual = ask("").await.expect(200).json();
        assert!(usual["peak_times"].as_f64().unwrap() < 1.01, "{usual}");
        let parts = usual["parts"].as_array().unwrap();
        let department =
            parts.iter().find(|it| it["accounts"].as_u64().unwrap() >= 169_000).expect("a département");
        let department = department["department"].as_str().unwrap().to_owned();

        let closed = ask(&format!("?closed={department}")).await.expect(200).json();
        assert!(closed["peak_times"].as_f64().unwrap() > 9.0, "{closed}");
        assert!(closed["needs"]["hashing_cores"].as_u64() > usual["needs"]["hashing_cores"].as_u64());
        assert_eq!(closed["tried"], false, "no storm was tried here");
        assert!(closed["source"].as_str().unwrap().contains("Kosmos"));

        let few = ask("?closed=all&hashing_cores=1&slots=8=0.5,13=0.5").await.expect(200).json();
        let waits = few["lanes"].as_array().unwrap();
        let longest = |class: &str| {
            waits
                .iter()
                .find(|lane| lane["class"] == class)
                .map_or(0, |lane| lane["wait_max_s"].as_u64().unwrap())
        };
        assert!(longest("guardian") > longest("lesson") && longest("lesson") == 0, "{few}");

        ask("?closed=999").await.refused(400, "invalid-field");
        ask("?slots=8").await.refused(400, "invalid-field");
        ask("?hashing_cores=nan").await.refused(400, "invalid-field");
        ask("?ferme=77").await.refused(400, "unknown-field");
    });
}
