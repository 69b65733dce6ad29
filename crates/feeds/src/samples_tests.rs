//! The readers on files that nobody here wrote: `../shared/samples` from the project's root, or `PREAU_SAMPLES`.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::aaf::{Delivery, Reader, Record};
use crate::fault::Fault;
use crate::limits::Limits;
use crate::report::Report;
use crate::sts;
use chrono_tz::Tz;

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

fn read_all(folder: &Path) -> Result<(Vec<Record>, Report), Fault> {
    let limits = Limits::default();
    let mut report = Report::default();
    let mut delivery = Delivery::open(folder, &limits, &mut report)?;
    let mut records = Vec::new();
    for part in delivery.parts() {
        let mut reader = Reader::new(delivery.read(&part)?, &part.name, &limits)?;
        while let Some(record) = reader.next(&mut report)? {
            records.push(record);
        }
        report.files.push(reader.into_facts());
    }
    Ok((records, report))
}

#[test]
fn the_small_delivery_reads_as_it_is() {
    let Some(samples) = samples() else { return };
    let (records, report) = read_all(&samples.join("aaf2d-small")).unwrap();
    let [Record::School(school), Record::Pupil(pupil)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(
        (school.key.as_str(), school.uai.as_deref(), school.city.as_deref()),
        ("1", Some("0000000V"), Some("DOUAI"))
    );
    assert_eq!(school.name, "NOM STRUCTURE");
    assert_eq!(report.warned("aaf-uai-check-letter"), 1);
    assert_eq!(pupil.classes.len(), 1);
    assert_eq!(pupil.relations.len(), 2);
    assert_eq!(report.warned("aaf-bad-composite"), 0);
    assert!(report.unknown_attributes.is_empty(), "{:?}", report.unknown_attributes);
    let encodings: Vec<&str> = report.files.iter().map(|file| file.encoding.as_str()).collect();
    assert_eq!(encodings, ["ISO-8859-15", "UTF-8"]);
}

#[test]
fn the_nomenclatures_have_their_counts() {
    let Some(samples) = samples() else { return };
    let (records, report) = read_all(&samples.join("aaf2d-nomenclature")).unwrap();
    assert_eq!((report.counts["subject"], report.counts["mef"]), (718, 2_504));
    assert!(report.warnings.keys().all(|code| code == "aaf-file-ignored"), "{:?}", report.warnings);
    assert_eq!(report.files[0].header["versionAF"], "AAF-VE1301");
    let baker = records.iter().find_map(|record| match record {
        Record::Mef(mef) if mef.code == "24722105330" => Some(mef.label.clone()),
        _ => None,
    });
    assert_eq!(baker.as_deref(), Some("TLEPRO BOULANGER-PÂTISSIER"));
}

#[test]
fn the_sts_pair_makes_one_lesson() {
    let Some(samples) = samples() else { return };
    let source = |name: &str| sts::Source {
        bytes: File::open(samples.join("sts").join(name)).unwrap(),
        name: name.to_owned(),
    };
    let mut report = Report::default();
    let limits = Limits::default();
    let (down, up) = (source("case1-sts_emp.xml"), source("case1-emp_sts.xml"));
    let table = sts::read(down, up, "0771991W", Tz::Europe__Paris, &limits, &mut report).unwrap();
    let [lesson] = table.entries.as_slice() else { panic!("{table:?}") };
    assert_eq!(lesson.subject_label, "Français");
    // Week of Thursday 2099-09-03: the lesson is on day 4, at 14:02 in Paris, for an hour.
    assert_eq!(lesson.starts_at.to_rfc3339(), "2099-09-03T12:02:00+00:00");
    assert_eq!((lesson.ends_at - lesson.starts_at).num_minutes(), 60);
    assert_eq!((lesson.room.as_str(), lesson.teachers.len()), ("15", 1));
    let (down, up) = (source("case1-emp_sts.xml"), source("case1-sts_emp.xml"));
    let swapped = sts::read(down, up, "0771991W", Tz::Europe__Paris, &limits, &mut report).unwrap_err();
    assert_eq!(swapped.code.as_str(), "feed-swapped-pair");
}
