use super::*;
use crate::record::{Record, present};

const SCHOOL: &str = "0750001A";

fn read_as(
    files: &[(&str, &[u8])],
    mapping: Option<&Mapping>,
    profile: Option<Profile>,
) -> Result<(Vec<Item>, Report), Fault> {
    let (limits, mut report, mut book) = (Limits::default(), Report::default(), Book::default());
    let how = How { school: Some(SCHOOL), profile, mapping };
    let mut items = Vec::new();
    for (name, bytes) in files {
        let facts = read::<Fault>(*bytes, name, (how, &limits), &mut book, &mut report, &mut |item, _| {
            items.push(item);
            Ok(())
        })?;
        report.files.push(facts);
    }
    Ok((items, report))
}

fn table(text: &str) -> Result<(Vec<Item>, Report), Fault> {
    read_as(&[("x.csv", text.as_bytes())], None, None)
}

fn pupils(items: &[Item]) -> Vec<&crate::record::Pupil> {
    let of = items.iter().filter_map(|item| match &item.record {
        Record::Pupil(pupil) => Some(pupil),
        _ => None,
    });
    of.collect()
}

fn links(items: &[Item]) -> Vec<(&str, &str)> {
    let of = items.iter().filter_map(|item| match &item.record {
        Record::Link(link) => Some((link.pupil.as_str(), link.relation.person.as_str())),
        _ => None,
    });
    of.collect()
}

/// The same letters in another encoding.
fn encoded(text: &str, label: &str) -> Vec<u8> {
    let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
    let (bytes, _, lossy) = encoding.encode(text);
    assert!(!lossy, "{label} lacks a letter");
    bytes.into_owned()
}

#[test]
fn every_program_that_saves_the_same_table_says_the_same() {
    let plain = "Nom;Prénom;Date de naissance;Classe\r\nLœuillet;Zoé;13/08/2014;CP de Mme BROSSARD\r\nD'Arc;Noël;02/01/2010;CM2, les grands\r\n";
    let libre_office = "Nom,Prénom,Date de naissance,Classe\nLœuillet,Zoé,2014-08-13,CP de Mme BROSSARD\nD'Arc,Noël,2010-01-02,\"CM2, les grands\"\n";
    let quoted = "\u{feff}\"NOM\"\t\"PRENOM\"\t\"date de naissance *\"\t\"CLASSE\"\t\"\"\n\"Lœuillet\"\t\"Zoé\"\t\"13/08/2014\"\t\"CP de Mme BROSSARD\"\t\n\n\"D'Arc\"\t\"Noël\"\t\"02/01/2010\"\t\"CM2, les grands\"";
    let serial = "sep=;\r\nNom;Prénom;Date de naissance;Classe;;;\r\nLœuillet;Zoé;41864;CP de Mme BROSSARD;;;\r\nD'Arc;Noël;40180;CM2, les grands;;;\r\n";
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(quoted[3..].encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let (expected, _) = table(plain).unwrap();
    let strip = |items: Vec<Item>| items.into_iter().map(|item| Item { line: 0, ..item }).collect::<Vec<_>>();
    let expected = strip(expected);
    assert_eq!(pupils(&expected).len(), 2);
    for (program, bytes, warned) in [
        ("LibreOffice", libre_office.as_bytes().to_vec(), [].as_slice()),
        ("Excel FR", encoded(plain, "windows-1252"), &[]),
        ("an old export", encoded(plain, "iso-8859-15"), &["feed-oe-of-latin-9"]),
        ("a Mac", plain.replace("\r\n", "\r").into_bytes(), &[]),
        ("tabs and a mark", quoted.as_bytes().to_vec(), &["feed-byte-order-mark"]),
        ("Excel's Unicode", utf16, &["feed-byte-order-mark"]),
        ("Excel's dates", encoded(serial, "windows-1252"), &["csv-date-of-spreadsheet"]),
    ] {
        let (items, report) = read_as(&[("x.csv", &bytes)], None, None).unwrap();
        assert_eq!(strip(items), expected, "{program}");
        assert_eq!(report.warnings.keys().collect::<Vec<_>>(), warned, "{program}");
    }
}

#[test]
fn a_row_says_where_it_stands_and_only_what_its_columns_hold() {
    let (items, report) = table("Nom;Prénom;Classe\r\n\r\nA;B;3A\r\n\"C\r\nC\";D;3B\r\nE;F;3C\r\n").unwrap();
    let lines: Vec<u64> = items.iter().map(|item| item.line).collect();
    assert_eq!(lines, [3, 3, 4, 6], "the school is named with its first row");
    assert_eq!(items[1].present & present::EMAIL, 0, "no column says it");
    assert_ne!(items[1].present & present::CLASSES, 0);
    assert_eq!(report.files[0].header["separator"], ";");
    assert_eq!(report.files[0].records, 3);
}

#[test]
fn what_is_odd_is_told_by_line() {
    let text = "id;Nom;Prénom;Né(e) le;Classe;Pointure\n1;A;B;13/08/2014;CP;\n1,2E+10;C;D;14/08/14;CP;\n3;;F;;CP;\n4;G;H;demain;CP;36;x\n5,I,J,15/08/2014,CP,\n";
    let (items, report) = table(text).unwrap();
    let line = |code: &str| report.warnings.get(code).map(|warning| warning.samples[0].place.line.unwrap());
    for (code, expected) in [
        ("csv-number-rounded", 3),
        ("csv-date-of-two-digits", 3),
        ("csv-row-without-name", 4),
        ("csv-bad-date", 5),
        ("csv-too-many-fields", 5),
        ("csv-mixed-separators", 6),
    ] {
        assert_eq!(line(code), Some(expected), "{code}");
    }
    let keys: Vec<&str> = pupils(&items).iter().map(|pupil| pupil.names.key.as_str()).collect();
    assert_eq!((keys[0], keys[2], keys[3]), ("0750001A:1", "0750001A:4", "0750001A:5"));
    assert!(keys[1].starts_with("0750001A:#"), "a rounded number is nobody's");
    assert_eq!(report.unknown_attributes["Pointure"], 1);
    let told = serde_json::to_string(&report).unwrap();
    assert!(!told.contains("demain") && !told.contains("1,2E"), "{told}");
}

#[test]
fn parents_find_their_children_by_names_and_class_and_never_another_s() {
    let children = "Nom;Prénom;Date de naissance;Classe\nA;Zoé;01/01/2014;CP\nA;Zoé;02/01/2014;CE1\nB;Léo;03/01/2014;CP\nB;Léo;04/01/2014;CP\nC;Max;05/01/2014;CP\n";
    let parents = "Nom;Prénom;Nom de l'élève;Prénom de l'élève;Classes de l'élève;Nom de l'élève;Prénom de l'élève;Classes de l'élève\n\
                   A;Marie;A;ZOE;CP;C;Max;CM1\nB;Jean;B;Léo;CP;;;\nD;Eve;Inconnu;Tom;CP;;;\nE;Ida;;;;;;\n";
    let files = [("e.csv", children.as_bytes()), ("p.csv", parents.as_bytes())];
    let (items, report) = read_as(&files, None, None).unwrap();
    let zoe = pupils(&items)[0].names.key.clone();
    let max = pupils(&items)[4].names.key.clone();
    let linked: Vec<&str> = links(&items).into_iter().map(|(pupil, _)| pupil).collect();
    assert_eq!(linked, [zoe.as_str(), max.as_str()], "the only Max, whatever his class");
    for code in ["csv-child-ambiguous", "csv-child-not-in-file", "csv-parent-without-child"] {
        assert_eq!(report.warned(code), 1, "{code}");
    }
    let asked = items.iter().find_map(|item| match &item.record {
        Record::ChildRef(wanted) => Some((wanted.search.as_str(), wanted.class.as_str(), item.line)),
        _ => None,
    });
    assert_eq!(asked, Some(("inconnu tom", "CP", 4)));
    // Two fathers of one name are two people.
    let fathers = "Nom;Prénom;Nom de l'élève;Prénom de l'élève\nX;Jean;A;Zoé\nX;Jean;C;Max\nX;Jean;C;Max\n";
    let (items, _) = table(fathers).unwrap();
    let keys: std::collections::BTreeSet<&str> = items
        .iter()
        .filter_map(|item| match &item.record {
            Record::Relative(relative) => Some(relative.names.key.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 2);
}

#[test]
fn a_document_says_what_any_other_table_means() {
    let mapping = Mapping::from_json(
        r#"{"columns": {"Qui": "profile", "Famille": "last_name", "Petit nom": "first_name", "Né": "birth_date",
                        "Sections": "class", "École": "school_uai", "Enfant": "child_id", "Numéro": "id"},
            "profiles": {"M": "pupil", "R": "guardian"}, "constants": {"level": "CM2"}, "separator": "|",
            "encoding": "iso-8859-15", "date_format": "%m/%d/%Y", "list_separator": "+"}"#,
    )
    .unwrap();
    let text = "Numéro|QUI|famille|petit  nom|né|sections|école|enfant\n1|r|A|Marie|||9740001A|2\n2|m|Lœuillet|Zoé|08/13/2014|CM2 A + Chorale|9740001a|\n3|?|B|C|||0750001A|\n4|m|D|E||X|nulle part|\n";
    let bytes = encoded(text, "iso-8859-15");
    let (items, report) = read_as(&[("x.txt", &bytes)], Some(&mapping), None).unwrap();
    let [Record::Named(school), Record::Relative(_), Record::Link(link), Record::Pupil(pupil), ..] =
        &items.iter().map(|item| item.record.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("{items:?}")
    };
    assert_eq!((school.as_str(), link.pupil.as_str()), ("9740001A", "9740001A:2"));
    assert_eq!((pupil.names.last_name.as_str(), pupil.level.as_deref()), ("Lœuillet", Some("CM2")));
    assert_eq!(pupil.born_on.unwrap().to_string(), "2014-08-13");
    assert_eq!(pupil.classes.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["CM2 A", "Chorale"]);
    assert_eq!((report.warned("csv-bad-profile"), report.warned("csv-bad-school")), (1, 1));
    let fault = read_as(&[("x.txt", b"Famille|Petit nom\nA|B\n")], Some(&mapping), None).unwrap_err();
    assert_eq!(fault.code, Code::UnknownColumns);
    assert!(fault.what.contains("Sections"), "{fault}");
}

#[test]
fn directors_administer_and_guests_do_not() {
    let teachers =
        "Civilité;Nom usage;Nom;Prénom;Courriel;Directeur;Classe\nMME;;A;B;a@b.fr;oui;CP\nM.;;C;D;;non;CE1\n";
    let (items, _) = table(teachers).unwrap();
    let codes: Vec<Vec<&str>> = items
        .iter()
        .filter_map(|item| match &item.record {
            Record::Staff(staff) => {
                Some(staff.functions.iter().filter_map(|it| it.code.as_deref()).collect())
            }
            _ => None,
        })
        .collect();
    assert_eq!(codes, [vec!["DIR", "ENS"], vec!["ENS"]]);
    let (items, report) =
        read_as(&[("i.csv", "Nom;Prénom;Classe\nA;B;CP\n".as_bytes())], None, Some(Profile::Guest)).unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let Record::Guest(guest) = &items[1].record else { panic!("{items:?}") };
    assert_eq!((guest.school.as_str(), guest.classes[0].name.as_str()), (SCHOOL, "CP"));
    assert_eq!(items.len(), 2, "and nothing of the staff");
}

#[test]
fn teachers_teach_what_their_row_says() {
    let taught = |text: &str| -> Vec<(String, Option<String>)> {
        let (items, report) = table(text).unwrap();
        assert!(report.unknown_attributes.is_empty() && report.warnings.is_empty(), "{report:?}");
        let of = items.into_iter().filter_map(|item| match item.record {
            Record::Staff(staff) => Some(staff.classes),
            _ => None,
        });
        of.flatten().map(|it| (it.class, it.subject)).collect()
    };
    let some = |class: &str, subject: &str| (class.to_owned(), Some(subject.to_owned()));
    // French ENTs put it in the column of functions.
    assert_eq!(
        taught("Prénom*;Nom*;fonction;classe;classe\nA;B;Mathématiques;6A;6B\nC;D;Enseignant;6A;\n"),
        [some("6A", "Mathématiques"), some("6B", "Mathématiques"), ("6A".to_owned(), None)]
    );
    // Said twice it is one, and somebody may teach two.
    assert_eq!(
        taught("Nom;Prénom;Classe;Matière enseignée;Discipline\nA;B;6A;Latin;Grec\nC;D;6A;Latin;LATIN\n"),
        [some("6A", "Latin"), some("6A", "Grec"), some("6A", "Latin")]
    );
}

#[test]
fn a_function_that_nobody_knows_is_told_and_costs_nobody_a_place() {
    let (items, report) = table("Nom;Prénom;Fonction\nA;B;CPE\nC;D;Jardinier\nE;F;\n").unwrap();
    assert_eq!(items.iter().filter(|item| matches!(item.record, Record::Staff(_))).count(), 3);
    assert_eq!(report.warned("csv-unknown-function"), 1);
}

#[test]
fn carers_on_the_row_of_a_pupil() {
    let (items, report) =
        table("Nom;Prénom;Classe;R1_Nom;R1_Prénom;R1_Email;R2_Nom;R2_Prénom\nA;Zoé;CP;A;Marie;m@a.fr;;\n")
            .unwrap();
    assert_eq!(links(&items).len(), 1);
    assert!(matches!(&items[2].record, Record::Relative(it) if it.names.email.as_deref() == Some("m@a.fr")));
    assert!(report.warnings.is_empty(), "{report:?}");
}

#[test]
fn hostile_tables_are_refused_with_a_code_and_a_line() {
    let header = "Nom;Prénom;Classe\n";
    let code = |text: &[u8]| read_as(&[("x.csv", text)], None, None).unwrap_err();
    assert_eq!(code(b"").code, Code::UnknownColumns);
    assert_eq!(code(b"DUPONT;Jean;3A\nX;Y;Z\n").code, Code::UnknownColumns);
    let open = format!("{header}A;B;C\n\"{}", "x;y;z\n".repeat(20_000));
    let fault = code(open.as_bytes());
    assert_eq!((fault.code, fault.place.line), (Code::ValueTooLong, Some(3)));
    assert_eq!(code(format!("{header}{}", ";".repeat(5_000)).as_bytes()).code, Code::TooManyValues);
    assert_eq!(code(format!("{header}A;B\u{0};C\n").as_bytes()).code, Code::BadCharacter);
    let fault = code(&[header.as_bytes(), b"\xe9;B;C\n"].concat());
    assert_eq!((fault.code, fault.place.line), (Code::BadEncoding, Some(2)), "UTF-8 first, then not");
    let fault = read::<Fault>(
        header.as_bytes(),
        "x.csv",
        (How::default(), &Limits::default()),
        &mut Book::default(),
        &mut Report::default(),
        &mut |_, _| Ok(()),
    );
    assert_eq!(fault.unwrap_err().code, Code::NoSchool);
    let limits = Limits { csv_rows: 3, ..Limits::default() };
    let how = How { school: Some(SCHOOL), ..How::default() };
    let many = format!("{header}{}", "A;B;C\n".repeat(9));
    let (mut book, mut report) = (Book::default(), Report::default());
    let read =
        read::<Fault>(many.as_bytes(), "x.csv", (how, &limits), &mut book, &mut report, &mut |_, _| Ok(()));
    assert_eq!(read.unwrap_err().code, Code::TooMany);
}

proptest::proptest! {
    #[test]
    fn no_table_makes_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), separator in "[;,\t|]") {
        let text = format!("nom{separator}prenom{separator}classe{separator}date de naissance\n");
        let _ = read_as(&[("x.csv", &[text.as_bytes(), &bytes].concat())], None, None);
        let _ = read_as(&[("x.csv", &bytes)], None, Some(Profile::Pupil));
    }
}
