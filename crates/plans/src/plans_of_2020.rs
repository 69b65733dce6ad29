//! The plans that ship as examples, held against every programme code of the national nomenclature.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use preau_admission::{
    Person, Profile,
    slots::{self, Posture, Standing, Table},
};
use preau_kernel::{Level, SchoolId, TerritoryId};
use uuid::Uuid;

use crate::{NewSlotPlan, watch::rules_of};

/// The folder of samples; absent, the test says so and is skipped, but for CI, where a skip is a failure.
fn samples() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let folder = std::env::var_os("PREAU_SAMPLES").map_or(root, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has the samples: set PREAU_SAMPLES");
    println!("skipped: no samples at {}", folder.display());
    None
}

/// Code, statistical code, label of each programme.
fn programmes() -> Option<Vec<(String, String, String)>> {
    let file = "aaf2d-nomenclature/FULL_ENTTSSERVICES_Complet_20130117_MefEducNat_0000.xml";
    let text = std::fs::read_to_string(samples()?.join(file)).expect("the nomenclature");
    let value = |part: &str, name: &str| {
        let (_, after) = part.split_once(&format!("<attr name=\"{name}\">"))?;
        let (value, _) = after.split_once("<value>")?.1.split_once("</value>")?;
        Some(value.trim().to_owned())
    };
    let all: Vec<_> = text
        .split("<addRequest>")
        .filter_map(|part| {
            let stat = value(part, "ENTMEFSTAT11").filter(|stat| !stat.starts_with('<')).unwrap_or_default();
            Some((value(part, "ENTMefJointure")?, stat, value(part, "ENTLibelleMef")?))
        })
        .collect();
    assert_eq!(all.len(), 2504, "the whole nomenclature");
    Some(all)
}

fn read(text: &str) -> NewSlotPlan {
    let plan: NewSlotPlan = toml::from_str(text).expect("a plan");
    assert_eq!(plan.faults().len(), 0);
    plan
}

fn table(plan: &NewSlotPlan, siblings: bool) -> Table {
    let content = plan.content();
    let plan = slots::Plan {
        id: Uuid::from_u128(1),
        version: 1,
        scope: slots::Scope::Territory(TerritoryId::from(Uuid::from_u128(2))),
        ceiling: Posture::Hard,
        forced: None,
        from: content.starts_on,
        until: content.ends_on,
        siblings,
        rules: rules_of(&content),
    };
    Table::new([plan], [], [])
}

fn somebody(profile: Profile, mef: Option<&str>) -> Person {
    Person {
        profile: Some(profile),
        territory: Uuid::from_u128(2).into(),
        school: Some(SchoolId::from(Uuid::from_u128(3))),
        mef: mef.map(|code| code.parse().unwrap_or_else(|_| panic!("{code} is a code"))),
        siblings: Vec::new(),
        class: None,
        primary: false,
        tz: Tz::Europe__Paris,
    }
}

/// Thursday 19 March 2020, Paris time.
fn at(hour: u32) -> DateTime<Utc> {
    let date: NaiveDate = "2020-03-19".parse().unwrap();
    let local = date.and_time(NaiveTime::from_hms_opt(hour, 30, 0).unwrap());
    Tz::Europe__Paris.from_local_datetime(&local).unwrap().to_utc()
}

const HOURS: [u32; 6] = [7, 9, 12, 15, 18, 21];

/// At which of [`HOURS`] somebody is kept out.
fn kept_out(table: &Table, person: &Person) -> Vec<u32> {
    let out = |hour: &u32| matches!(table.standing(person, at(*hour)), Standing::Outside { .. });
    HOURS.into_iter().filter(out).collect()
}

/// What the region's words mean for a statistical code, whose first four characters name diploma and year. Nothing for
/// programmes that its plan does not name.
fn own_hour(stat: &str) -> Option<u32> {
    match stat.get(..4)? {
        "2211" | "2311" | "2321" | "2322" | "2331" | "2332" | "2333" | "2391" => Some(9),
        "2212" => Some(12),
        "2213" | "2341" | "2351" | "2352" | "2361" | "2371" | "2372" | "2381" | "2382" | "2383" | "23B1"
        | "23C1" | "23C2" => Some(15),
        "3111" | "3112" => Some(18),
        "2132" | "2135" | "2511" | "2512" => Some(18),
        _ if stat.starts_with('3') => Some(18),
        _ => None,
    }
}

#[test]
fn nouvelle_aquitaine_knows_every_real_programme() {
    let Some(programmes) = programmes() else { return };
    let table = table(&read(include_str!("../../../config/plans/nouvelle-aquitaine-2020.toml")), true);
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for (code, stat, label) in &programmes {
        let kept = kept_out(&table, &somebody(Profile::Pupil, Some(code)));
        // A year of training that completes a diploma has the diploma's own kind of code.
        if stat.starts_with('4') || stat.is_empty() {
            continue;
        }
        match own_hour(stat) {
            Some(own) => {
                let others: Vec<u32> = [9, 12, 15, 18].into_iter().filter(|hour| *hour != own).collect();
                assert_eq!(kept, others, "{code} {stat} {label}");
            }
            // Écoles, collèges, health and social diplomas: not a word was said of them.
            None => assert_eq!(kept, [0; 0], "{code} {stat} {label}"),
        }
        let kind = Level::of_mef(code).map_or("?", Level::as_str);
        *told.entry(kind).or_default() += 1;
    }
    println!("{told:?}");
    for kind in ["cap", "seconde", "premiere", "terminale", "terminale-pro", "bts", "cpge", "cfa"] {
        assert!(told.get(kind).is_some_and(|codes| *codes >= 9), "{kind}: {told:?}");
    }
    assert!(told.values().sum::<usize>() > 2_300, "{told:?}");
}

#[test]
fn paris_named_four_levels_and_no_other() {
    let Some(programmes) = programmes() else { return };
    let plan = read(include_str!("../../../config/plans/paris-2020.toml"));
    let table = table(&plan, true);
    for (code, stat, label) in &programmes {
        let kept = kept_out(&table, &somebody(Profile::Pupil, Some(code)));
        let wanted: &[u32] = match stat.get(..4).unwrap_or_default() {
            // SEGPA are 6e to 3e like others.
            "2111" | "2112" | "2431" | "2432" => &[15],
            "2115" | "2116" | "2433" | "2434" => &[9],
            _ => &[],
        };
        assert_eq!(kept, wanted, "{code} {stat} {label}");
    }
    // 12:30 is nobody's; parents come when pupils do not.
    assert_eq!(kept_out(&table, &somebody(Profile::Guardian, None)), [9, 15]);
    let of_a_primary_school = Person { primary: true, ..somebody(Profile::Guardian, Some("00310002220")) };
    assert_eq!(kept_out(&table, &of_a_primary_school), [0; 0]);
    assert_eq!(kept_out(&table, &somebody(Profile::Teacher, None)), [0; 0]);
}

#[test]
fn brothers_and_sisters_have_common_hours() {
    let plan = read(include_str!("../../../config/plans/paris-2020.toml"));
    let sixth = Person {
        siblings: vec!["10310019110".parse().unwrap()],
        ..somebody(Profile::Pupil, Some("10010012110"))
    };
    let third = Person {
        siblings: vec!["10010012110".parse().unwrap()],
        ..somebody(Profile::Pupil, Some("10310019110"))
    };
    let with = table(&plan, true);
    assert_eq!(
        (kept_out(&with, &sixth), kept_out(&with, &third)),
        (vec![], vec![]),
        "9:30 and 15:30 are common to both"
    );
    let without = table(&plan, false);
    assert_eq!((kept_out(&without, &sixth), kept_out(&without, &third)), (vec![15], vec![9]));
}

#[test]
fn the_hour_at_which_one_opens_is_told() {
    let table = table(&read(include_str!("../../../config/plans/paris-2020.toml")), true);
    let opens = |code: &str, hour| match table.standing(&somebody(Profile::Pupil, Some(code)), at(hour)) {
        Standing::Outside { opens_at } => opens_at,
        other => panic!("{other:?}"),
    };
    // Noon is everybody's: a 3e who waits at 9:30 comes then, and a 6e who waits at 15:30 at 17:00.
    assert_eq!(opens("10310019110", 9), Some(at(11) + chrono::Duration::minutes(30)));
    assert_eq!(opens("10010012110", 15), Some(at(16) + chrono::Duration::minutes(30)));
}
