use super::*;
use crate::record::{InSchool, Record, present};

fn read_with(xml: &[u8], limits: &Limits) -> Result<(Vec<Item>, Report), Fault> {
    let mut report = Report::default();
    let mut reader = Reader::new(xml, "x_Eleve_0000.xml", limits)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next(&mut report)? {
        records.push(record);
    }
    report.files.push(reader.into_facts());
    Ok((records, report))
}

fn read(xml: &str) -> Result<(Vec<Item>, Report), Fault> {
    read_with(xml.as_bytes(), &Limits::default())
}

fn refused(xml: &str) -> Code {
    read(xml).unwrap_err().code
}

fn pupil(attributes: &str) -> String {
    format!(
        "<!DOCTYPE ficAlimMENESR SYSTEM \"ficAlimMENESR.dtd\"><ficAlimMENESR>\
         <!-- versionAF=\"AAF-VE2407\" codeAcademieExport=\"13\" -->\n\
         <addRequest><operationalAttributes><attr name=\"categoriePersonne\"><value>Eleve</value></attr></operationalAttributes>\
         <identifier><id>7</id></identifier><attributes>\
         <attr name=\"ENTPersonJointure\"><value>7</value></attr><attr name=\"sn\"><value>D&apos;Arc</value></attr>\
         {attributes}</attributes></addRequest></ficAlimMENESR>"
    )
}

fn attr(name: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
    format!("<attr name=\"{name}\">{values}</attr>")
}

#[test]
fn a_pupil_is_read_with_classes_relations_and_header() {
    let xml = pupil(
        &(attr("ENTEleveClasses", &["10$3e B"])
            + &attr("ENTEleveGroupes", &[""])
            + &attr("ENTElevePersRelEleve", &["8$10$1$1$1$1", "9$20$0$1$2$0"])
            + &attr("ENTPersonDateNaissance", &["01/02/2012"])),
    );
    let (records, report) = read(&xml).unwrap();
    let [Item { record: Record::Pupil(pupil), present: present::ALL, .. }] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!(pupil.names.last_name, "D'Arc");
    assert_eq!(pupil.classes, [InSchool { school: "10".into(), name: "3e B".into() }]);
    assert_eq!(pupil.relations.len(), 2);
    assert!(pupil.groups.is_empty());
    assert_eq!(report.files[0].header["codeAcademieExport"], "13");
    assert!(report.warnings.is_empty(), "{report:?}");
}

#[test]
fn what_is_odd_is_counted_and_the_rest_read() {
    let xml = pupil(
        &(attr("ENTEleveHologramme", &["x"])
            + &attr("ENTEleveClasses", &["no dollar"])
            + &attr("ENTPersonDateNaissance", &["31/02/2012"])
            + "<bizarre><a/></bizarre>"),
    );
    let (records, report) = read(&xml).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(report.unknown_attributes["ENTEleveHologramme"], 1);
    for code in ["aaf-bad-composite", "aaf-bad-date", "aaf-unknown-element"] {
        assert_eq!(report.warned(code), 1, "{code}");
    }
    assert!(!serde_json::to_string(&report).unwrap().contains("Arc"), "reports name nobody");
}

#[test]
fn a_delta_says_what_is_patched_and_what_is_gone() {
    let xml = "<ficAlimMENESR><deleteRequest><operationalAttributes><attr name='categoriePersonne'><value>Eleve</value>\
               </attr></operationalAttributes><identifier><id>7</id></identifier></deleteRequest>\n\
               <modifyRequest><operationalAttributes><attr name='categoriePersonne'><value>PersEducNat</value></attr>\
               </operationalAttributes><identifier><id>8</id></identifier><modifications><modification name='sn' \
               operation='replace'><value>X</value></modification><modification name='mail' operation='replace'><value/>\
               </modification><modification name='ENTAuxEnsClassesPrincipal' operation='replace'><value>10$3A</value>\
               </modification></modifications></modifyRequest></ficAlimMENESR>";
    let (items, report) = read(xml).unwrap();
    let [gone, patched] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((gone.operation, gone.present, gone.line), (Operation::Delete, present::NONE, 1));
    assert!(matches!(&gone.record, Record::Pupil(pupil) if pupil.names.key == "7"));
    assert_eq!((patched.operation, patched.line), (Operation::Modify, 2));
    assert_eq!(patched.present, present::LAST_NAME | present::EMAIL | present::HEAD_OF);
    let Record::Staff(staff) = &patched.record else { panic!("{patched:?}") };
    assert_eq!(
        (staff.names.key.as_str(), staff.names.last_name.as_str(), &staff.names.email),
        ("8", "X", &None)
    );
    assert_eq!(staff.head_of.len(), 1);
    assert!(report.warnings.is_empty(), "{report:?}");
}

#[test]
fn the_first_degree_has_other_names_for_the_same_things() {
    let object = |category: &str, id: &str, attributes: &str| {
        format!(
            "<addRequest><operationalAttributes><attr name='categoriePersonne'><value>{category}</value></attr>\
             </operationalAttributes><identifier><id>{id}</id></identifier><attributes>{attributes}</attributes></addRequest>"
        )
    };
    let named = attr("ENTPersonNom", &["Lœuillet"])
        + &attr("ENTPersonPrenom", &["Zoé"])
        + &attr("ENTPersonCivilite", &["Mme"]);
    let pupil = named.clone()
        + &attr("ENTEleveINE", &["1"])
        + &attr("ENTPersonStructRattach", &["10"])
        + &attr("ENTPersonClasses", &["10$a$b$77$CP A"])
        + &attr("ENTPersonGroupes", &["10$a$b$78$Natation"])
        + &attr("ENTEleveNiveau", &["CP"])
        + &attr("ENTEleveGarderieSoir", &["O"])
        + &attr("ENTEleveAutoriteParentale", &["20$1", "21"]);
    let carer = named.clone()
        + &attr("ENTPersonMail", &["a@b.fr"])
        + &attr("ENTPersRelEleveTelMobile", &["0600000000"]);
    let teacher = named
        + &attr("ENTPersonFonctions", &["10$ENS$x$-$-"])
        + &attr("ENTPersonClasses", &["10$a$b$77$CP A"]);
    let xml = format!(
        "<ficAlimMENESR>{}{}{}</ficAlimMENESR>",
        object("Eleve", "1", &pupil),
        object("PersRelEleve", "20", &carer),
        object("PersEducNat", "30", &teacher)
    );
    let mut reader = Reader::new(xml.as_bytes(), "x.xml", &Limits::default()).unwrap();
    let mut report = Report::default();
    let mut records = Vec::new();
    while let Some(item) = reader.next(&mut report).unwrap() {
        records.push(item.record);
    }
    assert!(
        reader.is_first_degree() && report.warnings.is_empty() && report.unknown_attributes.is_empty(),
        "{report:?}"
    );
    let [Record::Pupil(pupil), Record::Relative(carer), Record::Staff(teacher)] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!((pupil.names.first_name.as_str(), pupil.level.as_deref()), ("Zoé", Some("CP")));
    assert_eq!(pupil.classes, [InSchool { school: "10".into(), name: "CP A".into() }]);
    assert_eq!(pupil.groups[0].name, "Natation");
    let relations: Vec<(&str, u8)> =
        pupil.relations.iter().map(|it| (it.person.as_str(), it.legal)).collect();
    assert_eq!(relations, [("20", 1), ("21", 1)]);
    assert_eq!((carer.names.email.as_deref(), carer.mobile.as_deref()), (Some("a@b.fr"), Some("0600000000")));
    assert!(teacher.teacher && teacher.classes[0].class == "CP A");
}

#[test]
fn hostile_files_are_refused_with_a_code_and_a_place() {
    let bomb =
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><ficAlimMENESR>&b;</ficAlimMENESR>";
    assert_eq!(refused(bomb), Code::InternalSubset);
    assert_eq!(refused("<BEE_ELEVES/>"), Code::WrongRoot);
    assert_eq!(refused(&pupil(&attr("mail", &["&xxe;"]))), Code::Entity);
    assert_eq!(refused(&pupil(&attr("mail", &[&"x".repeat(20_000)]))), Code::ValueTooLong);
    assert_eq!(refused(&pupil(&attr("mail", &["<a>".repeat(50).as_str()]))), Code::TooDeep);
    assert_eq!(refused(&pupil(&attr("mail", &["x"; 5_000]))), Code::TooManyValues);
    let many: String = (0..200).map(|_| attr("street", &[&"x".repeat(10_000)])).collect();
    assert_eq!(refused(&pupil(&many)), Code::RecordTooLarge);
    let cut = pupil("");
    for end in [cut.len() - 1, cut.len() - 20, cut.len() / 2, 60, 0] {
        assert_eq!(refused(&cut[..end]), Code::Truncated, "cut at {end}");
    }
    let latin = [b"<ficAlimMENESR>\n<!-- ".as_slice(), b"\xe9", b" --></ficAlimMENESR>"].concat();
    let fault = read_with(&latin, &Limits::default()).unwrap_err();
    assert_eq!((fault.code, fault.place.byte), (Code::BadEncoding, Some(21)));
}

#[test]
fn a_two_gigabyte_attribute_costs_neither_time_nor_memory() {
    let start = std::time::Instant::now();
    let head = std::io::Cursor::new(b"<ficAlimMENESR><addRequest><attributes><attr name=\"".to_vec());
    let mut reader =
        Reader::new(head.chain(std::io::repeat(b'x').take(2 << 30)), "big.xml", &Limits::default()).unwrap();
    let fault = reader.next(&mut Report::default()).unwrap_err();
    assert_eq!(fault.code, Code::ValueTooLong);
    assert_eq!(fault.place.line, Some(1));
    assert!(start.elapsed().as_secs() < 2);
}
