//! What a territory's administrator may ask of tomorrow.

use preau_forecast::{Costs, Effect, Part, Plan, Shape, forecast};
use preau_rush::capacity;
use preau_tests::play;

/// `preau-rush capacity` and `preau forecast` each sum their own backlog (DESIGN §2 keeps the first from asking the second).
#[test]
fn both_tools_tell_the_same_waits_of_the_same_question() {
    const HASH_S: f64 = 0.0224;
    let config: toml::Table = toml::from_str(include_str!("../../config/default.toml")).unwrap();
    let costs: Costs = config["forecast"].clone().try_into().unwrap();
    let effect = Effect { visits: 1.0, gathering: 1.0, session: 1.0, spread: 1.0 };
    // 38 % of live lessons, 48 % pupils, 14 % guardians.
    let (teachers, pupils, guardians) = (600_000_u32, 5_850_000_u32, 1_050_000_u32);
    let people = f64::from(teachers + pupils + guardians);
    for (cores, hashed, sigma_s) in
        [(50.0, 1.0, 300.0), (100.0, 1.0, 300.0), (50.0, 0.3, 300.0), (300.0, 0.1, 120.0)]
    {
        let costs = Costs {
            hash_s: HASH_S,
            usable: 0.85,
            hashed_share: hashed,
            visits_per_account: 1.0,
            rush_share: 1.0,
            rush_sigma_s: sigma_s,
            usual_peak_per_s: 0.0,
            ..costs
        };
        let part = Part {
            teachers: teachers.into(),
            pupils: pupils.into(),
            guardians: guardians.into(),
            ..Part::default()
        };
        let plan = Plan {
            parts: vec![part],
            lessons_share: 0.3 / 0.78,
            hashing_cores: Some(cores),
            shape: Shape::Bell,
            ..Plan::default()
        };
        let told = forecast(&plan, &costs, &effect);
        let inlet = capacity::Costs::assumed().let_in_per_s(cores, hashed);
        let printed = capacity::lanes(&[0.38, 0.48, 0.14].map(|part| people * part), sigma_s, inlet);
        assert_eq!(told.lanes.len(), printed.len());
        for (one, two) in told.lanes.iter().zip(&printed) {
            let near = |one: u64, two: f64, slack: f64| (one as f64 - two).abs() <= slack;
            assert!(
                near(one.wait_max_s, two.worst_wait_s, 1.0),
                "{cores} cores, h = {hashed}: {one:?} {two:?}"
            );
            assert!(near(one.waiting_max, two.backlog, 2.0 + two.backlog / 1e3), "{one:?} {two:?}");
        }
        assert!(printed[2].worst_wait_s >= printed[1].worst_wait_s);
    }
}

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
