use super::*;

const DOWN: &str = "<?xml version='1.0'?><STS_EDT><PARAMETRES><UAJ CODE=' 0771991W '/></PARAMETRES><NOMENCLATURES><MATIERES>\
    <MATIERE CODE='020700'><LIBELLE_COURT>\n FRANCAIS \n</LIBELLE_COURT><LIBELLE_EDITION> Français </LIBELLE_EDITION></MATIERE>\
    </MATIERES></NOMENCLATURES><DONNEES><INDIVIDUS><INDIVIDU ID='1' TYPE='epp'><NOM_USAGE>\n MARTIN \n</NOM_USAGE>\
    <PRENOM> Lou </PRENOM></INDIVIDU></INDIVIDUS></DONNEES></STS_EDT>";

fn up(weeks: &[&str], courses: &str) -> String {
    let weeks: String =
        weeks.iter().map(|week| format!("<DATE_DEBUT_SEMAINE> {week}\n</DATE_DEBUT_SEMAINE>")).collect();
    format!(
        "<EDT_STS><PARAMETRES><UAJ>0771991W</UAJ></PARAMETRES><DONNEES><ALTERNANCES><ALTERNANCE CODE='H'><SEMAINES>{weeks}\
         </SEMAINES></ALTERNANCE></ALTERNANCES><SALLES_COURS><SALLE_COURS CODE='V1'><LOCALISATION>À distance</LOCALISATION>\
         </SALLE_COURS></SALLES_COURS><STRUCTURE><DIVISIONS><DIVISION CODE='3A'><SERVICES><SERVICE CODE_MATIERE='020700' \
         CODE_MOD_COURS='CG'><ENSEIGNANTS>{courses}</ENSEIGNANTS></SERVICE></SERVICES></DIVISION></DIVISIONS></STRUCTURE>\
         </DONNEES></EDT_STS>"
    )
}

fn course(teacher: &str, day: &str, start: &str, length: &str, room: &str) -> String {
    format!(
        "<ENSEIGNANT TYPE='epp' ID='{teacher}'><COURS_RATTACHES><COURS><CODE_ALTERNANCE>H</CODE_ALTERNANCE><JOUR>{day}</JOUR>\
         <HEURE_DEBUT>{start}</HEURE_DEBUT><DUREE>{length}</DUREE><CODE_SALLE>{room}</CODE_SALLE></COURS></COURS_RATTACHES></ENSEIGNANT>"
    )
}

fn run(down: &str, up: &str) -> Result<(Timetable, Report), Fault> {
    let mut report = Report::default();
    let table = read(
        Source { bytes: down.as_bytes(), name: "sts_emp.xml".into() },
        Source { bytes: up.as_bytes(), name: "emp_sts.xml".into() },
        "0771991W",
        Tz::Europe__Paris,
        &Limits::default(),
        &mut report,
    )?;
    Ok((table, report))
}

#[test]
fn weeks_days_and_zones_make_lessons() {
    // The week before and after the spring change of clocks.
    let (table, _) =
        run(DOWN, &up(&["2026-03-23", "2026-03-30"], &course("1", "4", "1402", "0100", "V1"))).unwrap();
    let starts: Vec<_> = table.entries.iter().map(|entry| entry.starts_at.to_rfc3339()).collect();
    assert_eq!(
        starts,
        ["2026-03-26T13:02:00+00:00", "2026-04-02T12:02:00+00:00"],
        "14:02 on the wall both times"
    );
    assert_eq!((table.from, table.until), ("2026-03-23".parse().unwrap(), "2026-04-06".parse().unwrap()));
    let entry = &table.entries[0];
    assert_eq!(entry.subject_label, "Français");
    assert_eq!(entry.ends_at - entry.starts_at, chrono::TimeDelta::hours(1));
    assert!(entry.at_distance);
    assert!(matches!(&entry.teachers[..], [TeacherRef::Sts { last_name, .. }] if last_name == "MARTIN"));
}

#[test]
fn two_teachers_of_one_lesson_share_it() {
    let both = course("1", "1", "0800", "0055", "B1") + &course("2", "1", "0800", "0055", "B1");
    let (table, _) = run(DOWN, &up(&["2026-11-23"], &both)).unwrap();
    assert_eq!(table.entries.len(), 1);
    assert_eq!(table.entries[0].teachers.len(), 2);
}

#[test]
fn swapped_files_are_told_apart() {
    let up = up(&["2026-11-23"], "");
    let fault = run(&up, DOWN).unwrap_err();
    assert_eq!((fault.code, fault.place.file.as_str()), (Code::SwappedPair, "sts_emp.xml"));
    assert!(fault.what.contains("sts_emp_<UAI>"), "{fault}");
    assert_eq!(run(&DOWN.replace("0771991W", "0750001A"), &up).unwrap_err().code, Code::OtherSchool);
    assert_eq!(run("<BEE_ELEVES/>", &up).unwrap_err().code, Code::WrongRoot);
}

#[test]
fn what_cannot_be_placed_is_counted() {
    let odd = course("1", "8", "0800", "0100", "")
        + &course("1", "1", "2560", "0100", "")
        + &course("1", "1", "0800", "0000", "");
    let (table, report) = run(DOWN, &up(&["2026-11-23"], &odd)).unwrap();
    assert!(table.entries.is_empty());
    assert_eq!((report.warned("sts-bad-day"), report.warned("sts-bad-time")), (1, 2));
    assert_eq!((table.from, table.until), ("2026-11-23".parse().unwrap(), "2026-11-30".parse().unwrap()));
}
