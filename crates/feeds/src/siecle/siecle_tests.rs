use super::*;

const SCHOOL: &str = "0750001A";

fn read(xml: &[u8], school: Option<&str>) -> Result<(Vec<Item>, Report), Fault> {
    let mut report = Report::default();
    let limits = Limits::default();
    let mut items = Vec::new();
    let facts = Export::new(xml, "x.xml", school, &limits)?.read::<Fault>(&mut report, &mut |item, _| {
        items.push(item);
        Ok(())
    })?;
    report.files.push(facts);
    Ok((items, report))
}

fn pupils(uaj: &str, inside: &str) -> String {
    format!(
        "<BEE_ELEVES VERSION=\"2.1\"><PARAMETRES><UAJ>{uaj}</UAJ><DATE_EXPORT>01/10/2026</DATE_EXPORT></PARAMETRES>\
         <DONNEES>{inside}</DONNEES></BEE_ELEVES>"
    )
}

const ZOE: &str = "<ELEVE ELEVE_ID=\"1\"><ID_NATIONAL>9</ID_NATIONAL><NOM_DE_FAMILLE>A</NOM_DE_FAMILLE><PRENOM>Zoé</PRENOM>\
                   <DATE_NAISS>01/02/2012</DATE_NAISS><CODE_SEXE>2</CODE_SEXE>";

#[test]
fn who_has_left_is_not_here() {
    let leaves = |day: &str| {
        format!(
            "{ZOE}<DATE_SORTIE>{day}</DATE_SORTIE></ELEVE><STRUCTURES_ELEVE ELEVE_ID=\"1\">\
        <STRUCTURE><CODE_STRUCTURE>3A</CODE_STRUCTURE><TYPE_STRUCTURE>D</TYPE_STRUCTURE></STRUCTURE></STRUCTURES_ELEVE>"
        )
    };
    let (items, report) = read(pupils(SCHOOL, &leaves("15/09/2026")).as_bytes(), None).unwrap();
    assert_eq!((items.len(), report.counts["pupil_left"]), (1, 1), "only the school is named");
    let (items, _) = read(pupils(SCHOOL, &leaves("30/06/2027")).as_bytes(), None).unwrap();
    assert!(matches!(&items[1].record, Record::Pupil(pupil) if pupil.names.title.as_deref() == Some("Mme")));
    assert!(matches!(&items[2].record, Record::Places(places) if places.classes[0].name == "3A"));
}

#[test]
fn the_file_of_another_school_is_refused() {
    let xml = pupils(SCHOOL, &format!("{ZOE}</ELEVE>"));
    assert!(read(xml.as_bytes(), Some(SCHOOL)).is_ok());
    assert_eq!(read(xml.as_bytes(), Some("0750002B")).unwrap_err().code, Code::OtherSchool);
    let xml = pupils("123ABC", &format!("{ZOE}</ELEVE>"));
    assert_eq!(read(xml.as_bytes(), Some(SCHOOL)).unwrap().1.warned("siecle-bad-school"), 1);
    assert_eq!(read(xml.as_bytes(), None).unwrap_err().code, Code::NoSchool);
}

#[test]
fn persons_in_charge_are_linked() {
    let link = |level: &str| {
        format!(
            "<RESPONSABLE_ELEVE><ELEVE_ID>1</ELEVE_ID><PERSONNE_ID>7</PERSONNE_ID>{level}\
        <CODE_PARENTE>10</CODE_PARENTE><A_CONTACTER_EN_PRIORITE>1</A_CONTACTER_EN_PRIORITE></RESPONSABLE_ELEVE>"
        )
    };
    let xml = format!(
        "<BEE_RESPONSABLES><PARAMETRES><UAJ>{SCHOOL}</UAJ></PARAMETRES><DONNEES><PERSONNES><PERSONNE PERSONNE_ID=\"7\">\
         <NOM_DE_FAMILLE>A</NOM_DE_FAMILLE><PRENOM>B</PRENOM><LC_CIVILITE>Mme</LC_CIVILITE><MEL>a@b.fr</MEL></PERSONNE>\
         </PERSONNES><RESPONSABLES>{}{}{}</RESPONSABLES></DONNEES></BEE_RESPONSABLES>",
        link("<NIVEAU_RESPONSABILITE>1</NIVEAU_RESPONSABILITE>"),
        link("<RESP_LEGAL>2</RESP_LEGAL>"),
        link("<NIVEAU_RESPONSABILITE>3</NIVEAU_RESPONSABILITE>")
    );
    let (items, report) = read(xml.as_bytes(), None).unwrap();
    let legal: Vec<u8> = items
        .iter()
        .filter_map(|item| match &item.record {
            Record::Link(link) => Some(link.relation.legal),
            _ => None,
        })
        .collect();
    assert_eq!(legal, [1, 1, 0]);
    let Record::Link(link) = &items[2].record else { panic!("{items:?}") };
    assert_eq!((link.pupil.as_str(), link.relation.person.as_str()), ("0750001A:E1", "0750001A:P7"));
    assert_eq!((link.relation.link, link.relation.contact), (10, 1));
    assert!(report.warnings.is_empty(), "{report:?}");
}

#[test]
fn what_is_odd_is_told_and_what_is_hostile_refused() {
    let odd = "<ELEVE><NOM_DE_FAMILLE>A</NOM_DE_FAMILLE><PRENOM>B</PRENOM></ELEVE><ELEVE ELEVE_ID='2'/>\
               <ELEVE ELEVE_ID='3'><NOM_DE_FAMILLE>A</NOM_DE_FAMILLE><PRENOM>B</PRENOM><DATE_NAISS>2012</DATE_NAISS></ELEVE>";
    let (_, report) = read(pupils(SCHOOL, odd).as_bytes(), None).unwrap();
    for code in ["siecle-missing-key", "siecle-missing-name", "siecle-bad-date"] {
        assert_eq!(report.warned(code), 1, "{code}");
    }
    let latin = pupils(
        SCHOOL,
        "<ELEVE ELEVE_ID='4'><NOM_DE_FAMILLE>L@uillet</NOM_DE_FAMILLE><PRENOM>B</PRENOM></ELEVE>",
    );
    let latin: Vec<u8> = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{latin}")
        .bytes()
        .map(|byte| if byte == b'@' { 0xbd } else { byte })
        .collect();
    let (items, report) = read(&latin, None).unwrap();
    assert!(matches!(&items[1].record, Record::Pupil(pupil) if pupil.names.last_name == "Lœuillet"));
    assert_eq!(report.warned("feed-oe-of-latin-9"), 1);
    let whole = pupils(SCHOOL, &format!("{ZOE}</ELEVE>"));
    for end in [whole.len() - 1, whole.len() / 2, 30] {
        assert_eq!(read(&whole.as_bytes()[..end], None).unwrap_err().code, Code::Truncated, "cut at {end}");
    }
    let bomb = format!("<!DOCTYPE x [<!ENTITY a \"aa\">]>{}", whole.replace(">9<", ">&a;<"));
    assert_eq!(read(bomb.as_bytes(), None).unwrap_err().code, Code::InternalSubset);
    assert_eq!(read(whole.replace(">9<", ">&a;<").as_bytes(), None).unwrap_err().code, Code::Entity);
    assert_eq!(read(b"<STS_EDT/>", None).unwrap_err().code, Code::WrongRoot);
    let many = pupils(SCHOOL, &format!("{ZOE}{}</ELEVE>", "<X>y</X>".repeat(5_000)));
    assert_eq!(read(many.as_bytes(), None).unwrap_err().code, Code::TooManyValues);
}
