//! The invented directory as an AAF delivery: six kinds of parts, valid against the ministry's DTD.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use quick_xml::escape::escape;

use super::ACADEMY;
use super::codes::{SUBJECTS, all_levels};
use super::model::{Division, Guardian, Human, Neighbourhood, Pupil, School, Staff};
use crate::record::Category;

/// How the names of all parts begin.
const PREFIX: &str = "ENT2DVA-DEMO_Complet_";
/// Objects in one part.
const PART: u32 = 10_000;

pub(super) struct Delivery {
    folder: PathBuf,
    day: NaiveDate,
    parts: Vec<Part>,
}

struct Part {
    category: Category,
    number: u32,
    objects: u32,
    file: BufWriter<File>,
}

/// The values of one object, in order.
struct Object {
    id: String,
    xml: String,
}

impl Object {
    fn new(key: &'static str, id: &str) -> Self {
        let mut object = Self { id: id.to_owned(), xml: String::with_capacity(2_048) };
        object.put(key, id);
        object
    }

    fn put(&mut self, name: &str, value: &str) {
        self.all(name, [value]);
    }

    fn all<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        let _ = write!(self.xml, "<attr name=\"{name}\">");
        let mut empty = true;
        for value in values {
            let _ = write!(self.xml, "<value>{}</value>", escape(value));
            empty = false;
        }
        // "No value" is said by an empty one.
        self.xml.push_str(if empty { "<value/></attr>\n" } else { "</attr>\n" });
    }

    fn list(&mut self, name: &str, values: &[String]) {
        self.all(name, values.iter().map(String::as_str));
    }

    fn human(&mut self, human: &Human) {
        self.put("sn", &human.last_name);
        self.put("givenName", human.first_name);
        self.put("personalTitle", human.title);
    }
}

impl Delivery {
    pub(super) fn create(folder: &Path, day: NaiveDate) -> io::Result<Self> {
        // Parts of an earlier, larger demonstration would be delivered with this one.
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
            if ours {
                fs::remove_file(path)?;
            }
        }
        let mut delivery = Self { folder: folder.to_owned(), day, parts: Vec::new() };
        for category in Category::ALL {
            let part = delivery.open(category, 0)?;
            delivery.parts.push(part);
        }
        Ok(delivery)
    }

    fn open(&self, category: Category, number: u32) -> io::Result<Part> {
        let day = self.day.format("%Y%m%d");
        let name = format!("{PREFIX}{day}_{}_{number:04}.xml", category.suffix());
        let mut file = BufWriter::new(File::create(self.folder.join(name))?);
        write!(
            file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE ficAlimMENESR SYSTEM \"ficAlimMENESR.dtd\">\n<ficAlimMENESR>\n\
             <!-- versionAF=\"AAF-VE2407\" -->\n<!-- versionSDET=\"Annexe 4bis version 6.4\" -->\n\
             <!-- codeAcademieExport=\"{ACADEMY}\" -->\n<!-- degre=\"2D\" -->\n<!-- dateGenerationExport=\"{}\" -->\n",
            self.day.format("%d/%m/%Y"),
        )?;
        Ok(Part { category, number, objects: 0, file })
    }

    fn add(&mut self, category: Category, object: &Object) -> io::Result<()> {
        let Some(at) = self.parts.iter().position(|part| part.category == category) else { return Ok(()) };
        let full = self.parts.get(at).filter(|part| part.objects >= PART).map(|part| part.number);
        if let Some(number) = full {
            let next = self.open(category, number + 1)?;
            if let Some(part) = self.parts.get_mut(at) {
                close(&mut part.file)?;
                *part = next;
            }
        }
        let Some(part) = self.parts.get_mut(at) else { return Ok(()) };
        part.objects += 1;
        let (kind, value) = match category {
            Category::School => ("categorieStructure", "EtabEducNat"),
            Category::Mef => ("categorieMef", "MefEducNat"),
            Category::Subject => ("categorieMatiere", "MatEducNat"),
            // An academy's files have no guests.
            Category::Staff | Category::Guest => ("categoriePersonne", "PersEducNat"),
            Category::Relative => ("categoriePersonne", "PersRelEleve"),
            Category::Pupil => ("categoriePersonne", "Eleve"),
        };
        write!(
            part.file,
            "<addRequest>\n<operationalAttributes><attr name=\"{kind}\"><value>{value}</value></attr></operationalAttributes>\n\
             <identifier><id>{}</id></identifier>\n<attributes>\n{}</attributes>\n</addRequest>\n",
            object.id, object.xml,
        )
    }

    /// The subjects and MEFs that the schools use.
    pub(super) fn nomenclatures(&mut self) -> io::Result<()> {
        for subject in SUBJECTS {
            let mut object = Object::new("ENTMatJointure", subject.code);
            object.put("ENTLibelleMatiere", subject.label);
            self.add(Category::Subject, &object)?;
        }
        for level in all_levels() {
            let mut object = Object::new("ENTMefJointure", level.mef);
            object.put("ENTLibelleMef", level.mef_label);
            object.put("ENTMEFRattach", level.mef);
            object.put("ENTMEFSTAT11", level.stat11);
            self.add(Category::Mef, &object)?;
        }
        Ok(())
    }

    /// Adds a neighbourhood.
    pub(super) fn write(&mut self, hood: &Neighbourhood) -> io::Result<()> {
        for school in &hood.schools {
            self.add(Category::School, &school_object(school))?;
        }
        for staff in &hood.staff {
            self.add(Category::Staff, &staff_object(hood, staff))?;
        }
        for guardian in &hood.guardians {
            self.add(Category::Relative, &guardian_object(guardian))?;
        }
        for pupil in &hood.pupils {
            if let Some(object) = pupil_object(hood, pupil) {
                self.add(Category::Pupil, &object)?;
            }
        }
        Ok(())
    }

    /// Closes all parts.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.parts.iter_mut().try_for_each(|part| close(&mut part.file))
    }
}

fn close(file: &mut BufWriter<File>) -> io::Result<()> {
    file.write_all(b"</ficAlimMENESR>\n")?;
    file.flush()
}

fn school_object(school: &School) -> Object {
    let mut object = Object::new("ENTStructureJointure", &school.key);
    let (kind, code) = school.kind.aaf_type();
    object.put("ENTStructureUAI", &school.uai);
    object.put("ENTEtablissementUAI", &school.uai);
    object
        .put("ENTStructureNomCourant", &format!("{}${}${}", school.kind.word(), school.patron, school.city));
    object.put("ENTStructureTypeStruct", kind);
    object.put("ENTStructureCodeTypeStruct", code);
    object.put("ENTEtablissementMinistereTutelle", "MINISTERE DE L'EDUCATION NATIONALE");
    object.put("ENTEtablissementContrat", "PU");
    object.put("ENTServAcCodeAcademie", ACADEMY);
    object.put("l", school.city);
    object.all("ENTStructureClasses", school.classes.iter().map(|class| class.name.as_str()));
    object.all("ENTStructureGroupes", school.groups.iter().map(|group| group.name.as_str()));
    object
}

fn guardian_object(guardian: &Guardian) -> Object {
    let mut object = Object::new("ENTPersonJointure", &guardian.human.key.to_string());
    object.human(&guardian.human);
    object.put("mail", &format!("{}@famille.example", guardian.mail));
    // Numbers that the regulator keeps for fiction: 06 39 98 00 00 to 99 99.
    object.put(
        "mobile",
        &format!("+33 6 39 98 {:02} {:02}", guardian.human.key / 100 % 100, guardian.human.key % 100),
    );
    object
}

fn pupil_object(hood: &Neighbourhood, pupil: &Pupil) -> Option<Object> {
    let school = hood.schools.get(pupil.school)?;
    let class = school.classes.get(pupil.class)?;
    let key = pupil.human.key;
    let mut object = Object::new("ENTPersonJointure", &key.to_string());
    object.put("ENTEleveINE", &format!("{:09}PR", key));
    object.put("ENTEleveStructRattachId", &(key - 1_000_000).to_string());
    object.human(&pupil.human);
    object.put("ENTPersonNomPatro", &pupil.human.last_name);
    object.put("ENTPersonDateNaissance", &pupil.born_on.format("%d/%m/%Y").to_string());
    object.put("ENTPersonStructRattach", &school.key);
    object.put("ENTEleveClasses", &format!("{}${}", school.key, class.name));
    let group = pupil.group.and_then(|group| school.groups.get(group));
    object.list(
        "ENTEleveGroupes",
        &group.iter().map(|group| format!("{}${}", school.key, group.name)).collect::<Vec<_>>(),
    );
    let relations: Vec<String> = pupil
        .links
        .iter()
        .map(|link| {
            format!(
                "{}${}${}${}${}${}",
                link.guardian, link.kind, link.financial, link.legal, link.contact, link.financial
            )
        })
        .collect();
    object.list("ENTElevePersRelEleve", &relations);
    object.put("ENTEleveMEF", class.level.mef);
    object.put("ENTEleveLibelleMEF", class.level.mef_label);
    object.put("ENTEleveNivFormation", class.level.training);
    object.put("ENTEleveStatutEleve", "SCOLAIRE");
    Some(object)
}

fn staff_object(hood: &Neighbourhood, staff: &Staff) -> Object {
    let mut object = Object::new("ENTPersonJointure", &staff.human.key.to_string());
    object.human(&staff.human);
    object.put("mail", &format!("p{}@ac-demo.example", staff.human.key));
    let key = |school: usize| hood.schools.get(school).map_or("", |school| school.key.as_str());
    let discipline = if staff.discipline.is_empty() { "-" } else { staff.discipline };
    let functions: Vec<String> = staff
        .posts
        .iter()
        .map(|post| format!("{}${}${}$-${discipline}", key(post.school), post.code, post.label))
        .collect();
    object.put("ENTPersonStructRattach", staff.posts.first().map_or("", |post| key(post.school)));
    object.list("ENTPersonFonctions", &functions);
    object.put(
        "ENTPersonCategorieEnseignant",
        if staff.posts.iter().any(|post| post.code == "ENS") { "O" } else { "N" },
    );
    let (mut classes, mut groups) = (Vec::new(), Vec::new());
    for (school, division, subject) in &staff.teaches {
        let Some(about) = hood.schools.get(*school) else { continue };
        match division {
            Division::Class(at) => {
                classes.extend(
                    about.classes.get(*at).map(|class| format!("{}${}${subject}", about.key, class.name)),
                );
            }
            Division::Group(at) => {
                groups.extend(
                    about.groups.get(*at).map(|group| format!("{}${}${subject}", about.key, group.name)),
                );
            }
        }
    }
    object.list("ENTAuxEnsClassesMatieres", &classes);
    object.list("ENTAuxEnsGroupesMatieres", &groups);
    let heads: Vec<String> = staff
        .head_of
        .iter()
        .filter_map(|(school, class)| {
            let about = hood.schools.get(*school)?;
            Some(format!("{}${}", about.key, about.classes.get(*class)?.name))
        })
        .collect();
    object.list("ENTAuxEnsClassesPrincipal", &heads);
    object.put("ENTPersonSTSId", &super::write_sts::id(staff));
    object
}
