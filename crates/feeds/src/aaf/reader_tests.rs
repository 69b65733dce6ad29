use super::*;
use crate::aaf::record::InSchool;

fn read_with(xml: &[u8], limits: &Limits) -> Result<(Vec<Record>, Report), Fault> {
    let mut report = Report::default();
    let mut reader = Reader::new(xml, "x_Eleve_0000.xml", limits)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next(&mut report)? {
        records.push(record);
    }
    report.files.push(reader.into_facts());
    Ok((records, report))
}

fn read(xml: &str) -> Result<(Vec<Record>, Report), Fault> {
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
    let [Record::Pupil(pupil)] = records.as_slice() else { panic!("{records:?}") };
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
fn a_delta_is_read_and_reported() {
    let xml = "<ficAlimMENESR><deleteRequest><operationalAttributes><attr name='categoriePersonne'><value>Eleve</value>\
               </attr></operationalAttributes><identifier><id>7</id></identifier></deleteRequest>\
               <modifyRequest><operationalAttributes><attr name='categoriePersonne'><value>PersEducNat</value></attr>\
               </operationalAttributes><identifier><id>8</id></identifier><modifications><modification name='sn' \
               operation='replace'><value>X</value></modification></modifications></modifyRequest></ficAlimMENESR>";
    let (records, report) = read(xml).unwrap();
    assert!(matches!(
        records[0],
        Record::Delta { operation: Operation::Delete, category: Category::Pupil, .. }
    ));
    assert!(matches!(
        records[1],
        Record::Delta { operation: Operation::Modify, category: Category::Staff, .. }
    ));
    assert_eq!(report.warned("aaf-delta-not-merged"), 2);
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
