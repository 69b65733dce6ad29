use std::fs;
use std::io::Write;

use super::*;
use crate::record::present;

fn object(request: &str, category: &str, id: &str, attributes: &str) -> String {
    let body = match request {
        "deleteRequest" => String::new(),
        "modifyRequest" => format!(
            "<modifications>{}</modifications>",
            attributes
                .replace("attr ", "modification operation='replace' ")
                .replace("/attr", "/modification")
        ),
        _ => format!("<attributes>{attributes}</attributes>"),
    };
    format!(
        "<{request}><operationalAttributes><attr name=\"categoriePersonne\"><value>{category}</value></attr></operationalAttributes>\
         <identifier><id>{id}</id></identifier>{body}</{request}>"
    )
}

fn part(academy: &str, degree: &str, objects: &str) -> String {
    format!(
        "<ficAlimMENESR><!-- codeAcademieExport=\"{academy}\" --><!-- degre=\"{degree}\" -->{objects}</ficAlimMENESR>"
    )
}

const NAMED: &str =
    "<attr name=\"sn\"><value>A</value></attr><attr name=\"givenName\"><value>B</value></attr>";

fn delivery(files: &[(&str, &str)]) -> Result<(Found, Vec<Item>, Report), Fault> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (mut report, mut items) = (Report::default(), Vec::new());
    let intake = Intake { school: Some("0750001A".into()), ..Intake::of(folder.path()) };
    let found = read::<Fault>(&intake, &Limits::default(), &mut report, &mut |item, at, _| {
        items.push((at.file_no, item));
        Ok(())
    })?;
    assert!(items.is_sorted_by_key(|(file_no, _)| *file_no));
    Ok((found, items.into_iter().map(|(_, item)| item).collect(), report))
}

fn refused(files: &[(&str, &str)]) -> Code {
    delivery(files).unwrap_err().code
}

#[test]
fn a_delta_is_one_by_what_it_asks_or_by_its_name() {
    let add = part("13", "2D", &object("addRequest", "Eleve", "1", NAMED));
    let modify = part("13", "2D", &object("modifyRequest", "Eleve", "1", NAMED));
    let (found, items, _) = delivery(&[("x_Delta_1_Eleve_0000.xml", &add)]).unwrap();
    assert_eq!(found, Found { format: DirectoryFormat::Aaf2d, delta: true, academy: "13".into() });
    assert_eq!(items[0].present, present::ALL);
    let (found, items, _) = delivery(&[("anything.xml", &modify)]).unwrap();
    assert!(found.delta);
    assert_eq!(items[0].present, present::LAST_NAME | present::FIRST_NAME);
    assert!(!delivery(&[("x_Complet_1_Eleve_0000.xml", &add)]).unwrap().0.delta);
    let both =
        [("x_Complet_1_PersEducNat_0000.xml", add.as_str()), ("x_Delta_1_Eleve_0000.xml", add.as_str())];
    assert_eq!(refused(&both), Code::MixedModes);
    assert_eq!(refused(&[("x_Complet_1_Eleve_0000.xml", &modify)]), Code::MixedModes);
}

#[test]
fn one_delivery_is_of_one_academy_one_degree_and_one_format() {
    let second = part("13", "2D", &object("addRequest", "Eleve", "1", NAMED));
    let first = part("13", "1D", &object("addRequest", "Eleve", "1", NAMED));
    let elsewhere = part("06", "2D", &object("addRequest", "Eleve", "1", NAMED));
    let (found, ..) = delivery(&[("a.xml", &first)]).unwrap();
    assert_eq!((found.format, found.academy.as_str()), (DirectoryFormat::Aaf1d, "13-1D"));
    assert_eq!(refused(&[("a.xml", &second), ("b.xml", &first)]), Code::MixedFormats);
    assert_eq!(refused(&[("a.xml", &second), ("b.xml", &elsewhere)]), Code::MixedAcademies);
    let table = "Nom;Prénom;Classe\nA;B;C\n";
    assert_eq!(refused(&[("a.xml", &second), ("b.csv", table)]), Code::MixedFormats);
    assert_eq!(refused(&[("lisez-moi.md", "bonjour")]), Code::Empty);
    assert_eq!(refused(&[("a.csv", "Couleur;Taille\nrouge;3\n")]), Code::UnknownColumns);
    let (found, _, report) = delivery(&[("a.csv", table), ("photo.jpg", "\u{1}")]).unwrap();
    assert_eq!((found.format, report.warned("feed-file-ignored")), (DirectoryFormat::Csv, 1));
}

#[test]
fn a_single_file_and_an_archive_read_like_a_folder() {
    let table = "Nom;Prénom;Classe\nA;B;C\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), table).unwrap();
    let mut packed = tempfile::NamedTempFile::new().unwrap();
    let mut zip = zip::ZipWriter::new(packed.as_file_mut());
    zip.start_file("dossier/élèves.csv", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(table.as_bytes()).unwrap();
    zip.finish().unwrap();
    for path in [file.path(), packed.path()] {
        let intake =
            Intake { school: Some("0750001A".into()), name: Some("envoi".into()), ..Intake::of(path) };
        let mut items = 0;
        let found = read::<Fault>(&intake, &Limits::default(), &mut Report::default(), &mut |_, _, _| {
            items += 1;
            Ok(())
        });
        assert_eq!((found.unwrap().academy.as_str(), items), (LOCAL, 2));
    }
}
