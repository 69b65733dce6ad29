//! The readers on files that nobody here wrote: `../shared/samples` from the project's root, or `PREAU_SAMPLES`.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::intake::{self, DirectoryFormat, Found, Intake};
use crate::limits::Limits;
use crate::record::Record;
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

fn read(intake: &Intake) -> Result<(Found, Vec<Record>, Report), Fault> {
    let mut report = Report::default();
    let mut records = Vec::new();
    let found = intake::read::<Fault>(intake, &Limits::default(), &mut report, &mut |item, _, _| {
        records.push(item.record);
        Ok(())
    })?;
    Ok((found, records, report))
}

fn read_all(folder: &Path) -> Result<(Vec<Record>, Report), Fault> {
    read(&Intake::of(folder)).map(|(_, records, report)| (records, report))
}

/// A file of the samples, sent for the school that it does not name.
fn of_school(path: PathBuf) -> Intake {
    Intake { school: Some("0610001D".to_owned()), ..Intake::of(&path) }
}

fn count(records: &[Record], which: impl Fn(&Record) -> bool) -> usize {
    records.iter().filter(|record| which(record)).count()
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
    assert!(report.warnings.keys().all(|code| code == "feed-file-ignored"), "{:?}", report.warnings);
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

#[test]
fn onde_s_three_files_need_no_mapping() {
    let Some(samples) = samples() else { return };
    let (found, records, report) = read(&of_school(samples.join("onde-be1d"))).unwrap();
    assert_eq!(found.format, DirectoryFormat::Onde);
    let pupils = count(&records, |record| matches!(record, Record::Pupil(_)));
    let teachers = count(&records, |record| matches!(record, Record::Staff(staff) if staff.teacher));
    let carers = count(&records, |record| matches!(record, Record::Relative(_)));
    // The last row has no line end: counting those gives one less.
    assert_eq!((pupils, teachers, carers), (247, 14, 469));
    assert!(records.iter().all(|record| match record {
        Record::Pupil(pupil) => pupil.born_on.is_some() && pupil.classes.len() == 1 && pupil.level.is_some(),
        Record::Staff(staff) =>
            staff.classes.len() <= 1 && staff.functions.iter().any(|it| it.code.as_deref() == Some("ENS")),
        _ => true,
    }));
    assert!(report.unknown_attributes.is_empty(), "{:?}", report.unknown_attributes);
    let linked = count(&records, |record| matches!(record, Record::Link(_)));
    let unknown = count(&records, |record| matches!(record, Record::ChildRef(_)));
    let ambiguous = report.warned("csv-child-ambiguous");
    // Every carer names a child; almost all children are in the pupils' file, under the same class.
    assert!(
        linked >= 469 && unknown < 30 && ambiguous < 10,
        "{linked} linked, {unknown} unknown, {ambiguous} ambiguous"
    );
    assert!(report.files.iter().all(|file| file.encoding == "windows-1252" || file.encoding == "UTF-8"));
    let quiet = ["csv-child-ambiguous", "csv-child-not-in-file", "csv-parent-without-child"];
    assert!(report.warnings.keys().all(|code| quiet.contains(&code.as_str())), "{:?}", report.warnings);
}

#[test]
fn every_template_of_french_ents_needs_no_mapping() {
    let Some(samples) = samples() else { return };
    let folder = samples.join("csv-entcore");
    for (name, pupils, staff, guests, carers, links) in [
        ("admin-CSV_Eleves", 7, 0, 0, 0, 0),
        ("admin-CSV_Enseignants", 0, 3, 0, 0, 0),
        ("admin-CSV_Invites", 0, 0, 3, 0, 0),
        ("admin-CSV_Parents", 0, 0, 0, 8, 0),
        ("admin-CSV_Personnels", 0, 3, 0, 0, 0),
        ("directory-CSV_Eleves", 4, 0, 0, 0, 0),
        ("directory-CSV_Enseignants", 0, 3, 0, 0, 0),
        ("directory-CSV_Invites", 0, 0, 3, 0, 0),
        ("directory-CSV_Parents", 0, 0, 0, 5, 6),
        ("directory-CSV_Personnels", 0, 3, 0, 0, 0),
    ] {
        let (found, records, report) = read(&of_school(folder.join(format!("{name}.csv")))).unwrap();
        assert_eq!(found.format, DirectoryFormat::Csv, "{name}");
        let counted = (
            count(&records, |record| matches!(record, Record::Pupil(_))),
            count(&records, |record| matches!(record, Record::Staff(_))),
            count(&records, |record| matches!(record, Record::Guest(guest) if guest.classes.len() == 1)),
            count(&records, |record| matches!(record, Record::Relative(_))),
            count(&records, |record| matches!(record, Record::Link(_))),
        );
        assert_eq!(counted, (pupils, staff, guests, carers, links), "{name}");
        let expected = match name {
            "admin-CSV_Parents" => ["csv-child-not-in-file"].as_slice(),
            _ => &[],
        };
        assert_eq!(report.warnings.keys().collect::<Vec<_>>(), expected, "{name}");
        assert!(report.unknown_attributes.is_empty(), "{name}: {:?}", report.unknown_attributes);
    }
    let (_, records, _) = read(&of_school(folder.join("directory-CSV_Enseignants.csv"))).unwrap();
    let simani = records.iter().find_map(|record| match record {
        Record::Staff(staff) if staff.names.last_name == "SIMANI" => Some(staff),
        _ => None,
    });
    let taught = simani.unwrap().classes.iter().map(|it| (it.class.as_str(), it.subject.as_deref()));
    let maths = Some("Mathématiques");
    assert_eq!(taught.collect::<Vec<_>>(), [("CSV1", maths), ("CSV2", maths)]);
    // Sent together, the parents find their children by names and class.
    let together = tempfile::tempdir().unwrap();
    for name in ["admin-CSV_Eleves.csv", "admin-CSV_Parents.csv"] {
        std::fs::copy(folder.join(name), together.path().join(name)).unwrap();
    }
    let (_, records, report) = read(&of_school(together.path().to_owned())).unwrap();
    assert_eq!(count(&records, |record| matches!(record, Record::Link(_))), 14);
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn siecle_s_pupils_have_their_divisions_and_groups() {
    let Some(samples) = samples() else { return };
    let path = samples.join("siecle/siecle-with-two-valid-students.xml");
    let (found, records, report) = read(&of_school(path.clone())).unwrap();
    assert_eq!((found.format, found.academy.as_str()), (DirectoryFormat::Siecle, "local"));
    let [
        Record::Named(school),
        Record::Pupil(first),
        Record::Pupil(second),
        Record::Places(_),
        Record::Places(places),
    ] = records.as_slice()
    else {
        panic!("{records:?}")
    };
    assert_eq!(school, "0610001D");
    assert_eq!((first.names.key.as_str(), first.ine.as_deref()), ("0610001D:E0001", Some("00000000123")));
    assert_eq!((second.names.last_name.as_str(), second.siecle_id.as_deref()), ("COJAUNE", Some("0002")));
    assert_eq!((places.classes[0].name.as_str(), places.groups[0].name.as_str()), ("4A", "42"));
    assert_eq!(report.warnings.keys().collect::<Vec<_>>(), ["siecle-bad-school"], "its UAJ is invented");
    assert_eq!(report.files[0].encoding, "ISO-8859-15");
    assert_eq!(read(&Intake::of(&path)).unwrap_err().code.as_str(), "feed-no-school");
}
