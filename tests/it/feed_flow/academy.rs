//! An academy that is made up, what happens to it in a day, and the deliveries that tell of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// One object of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub(super) category: &'static str,
    pub(super) attributes: BTreeMap<&'static str, Vec<String>>,
}

/// A directory as an academy has it, by kind and key.
pub(super) type Academy = BTreeMap<(&'static str, u32), Object>;
const FILES: [(&str, &str, &str); 4] = [
    ("EtabEducNat", "categorieStructure", "EtabEducNat"),
    ("PersEducNat", "categoriePersonne", "PersEducNat"),
    ("PersRelEleve", "categoriePersonne", "PersRelEleve"),
    ("Eleve", "categoriePersonne", "Eleve"),
];

fn object(category: &'static str, attributes: &[(&'static str, &[String])]) -> Object {
    let attributes = attributes.iter().map(|(name, values)| (*name, values.to_vec())).collect();
    Object { category, attributes }
}

pub(super) fn one(value: impl ToString) -> [String; 1] {
    [value.to_string()]
}

const UAIS: [&str; 3] = ["0771991W", "0691234E", "0750001D"];

fn school(academy: &mut Academy, at: u32) {
    let key = 10 + at;
    let uai = UAIS[usize::try_from(at).unwrap()];
    let classes = ["6e A".to_owned(), "6e B".to_owned(), "5e A".to_owned()];
    let groups = [format!("ESP{at}")];
    let about = object(
        "EtabEducNat",
        &[
            ("ENTStructureJointure", &one(key)),
            ("ENTStructureUAI", &one(uai)),
            ("ENTStructureNomCourant", &one(format!("COLLEGE$NUMERO {at}$TORCY"))),
            ("ENTStructureClasses", &classes),
            ("ENTStructureGroupes", &groups),
        ],
    );
    academy.insert(("EtabEducNat", key), about);
}

pub(super) fn pupil(academy: &mut Academy, key: u32, school: u32, class: &str, guardians: &[u32]) {
    let relations: Vec<String> = guardians.iter().map(|guardian| format!("{guardian}$20$1$1$1$1")).collect();
    let about = object(
        "Eleve",
        &[
            ("ENTPersonJointure", &one(key)),
            ("sn", &one(format!("Nom{}", key % 7))),
            ("givenName", &one(format!("Lou{}", key % 5))),
            ("ENTPersonDateNaissance", &one(format!("{:02}/03/2014", key % 28 + 1))),
            ("ENTEleveINE", &one(format!("{key:09}PR"))),
            ("ENTPersonStructRattach", &one(10 + school)),
            ("ENTEleveClasses", &one(format!("{}${class}", 10 + school))),
            ("ENTEleveNivFormation", &one(if class.starts_with('6') { "6EME" } else { "5EME" })),
            ("ENTElevePersRelEleve", &relations),
        ],
    );
    academy.insert(("Eleve", key), about);
}

pub(super) fn relative(academy: &mut Academy, key: u32) {
    let about = object(
        "PersRelEleve",
        &[
            ("ENTPersonJointure", &one(key)),
            ("sn", &one(format!("Nom{}", key % 11))),
            ("givenName", &one("Dominique")),
            ("mail", &one(format!("g{key}@famille.example"))),
            ("mobile", &one(format!("+33 6 39 98 {:02} {:02}", key / 100 % 100, key % 100))),
        ],
    );
    academy.insert(("PersRelEleve", key), about);
}

pub(super) fn staff(academy: &mut Academy, key: u32, functions: &[(u32, &str)], classes: &[(u32, &str)]) {
    let functions: Vec<String> =
        functions.iter().map(|(school, code)| format!("{}${code}$-$-$-", 10 + school)).collect();
    let taught: Vec<String> =
        classes.iter().map(|(school, class)| format!("{}${class}$020700", 10 + school)).collect();
    let about = object(
        "PersEducNat",
        &[
            ("ENTPersonJointure", &one(key)),
            ("sn", &one(format!("Prof{}", key % 3))),
            ("givenName", &one("Camille")),
            ("ENTPersonFonctions", &functions),
            ("ENTAuxEnsClassesMatieres", &taught),
        ],
    );
    academy.insert(("PersEducNat", key), about);
}

/// `schools` schools of 40 pupils, two by two with one guardian, and a few teachers.
pub(super) fn academy(schools: u32) -> Academy {
    let mut academy = Academy::new();
    for at in 0..schools {
        school(&mut academy, at);
        for number in 0..40 {
            let class = ["6e A", "6e B", "5e A"][usize::try_from(number % 3).unwrap()];
            let guardian = 5_000 + at * 100 + number / 2;
            pupil(&mut academy, 1_000 + at * 100 + number, at, class, &[guardian]);
            relative(&mut academy, guardian);
        }
        staff(&mut academy, 9_000 + at, &[(at, "ENS")], &[(at, "6e A"), (at, "5e A")]);
        staff(&mut academy, 9_100 + at, &[(at, "ENS"), ((at + 1) % schools, "ENS")], &[(at, "6e B")]);
        staff(&mut academy, 9_200 + at, &[(at, "DIR")], &[]);
    }
    academy
}

/// A little chance that repeats itself.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// What happens to an academy in a day.
pub(super) fn a_day_later(academy: &Academy, dice: &mut Dice) -> Academy {
    let mut next = academy.clone();
    let pupils: Vec<u32> = next.keys().filter(|(kind, _)| *kind == "Eleve").map(|(_, key)| *key).collect();
    let some =
        |dice: &mut Dice| pupils[usize::try_from(dice.below(u32::try_from(pupils.len()).unwrap())).unwrap()];
    let mut gone = false;
    for _ in 0..6 {
        let key = some(dice);
        match dice.below(9) {
            0 => {
                if let Some(pupil) = next.get_mut(&("Eleve", key)) {
                    pupil.attributes.insert("sn", one(format!("Nouveau{key}")).to_vec());
                }
            }
            1 => {
                if let Some(pupil) = next.get_mut(&("Eleve", key)) {
                    let school = pupil.attributes["ENTPersonStructRattach"][0].clone();
                    pupil.attributes.insert("ENTEleveClasses", one(format!("{school}$5e A")).to_vec());
                    pupil.attributes.insert("ENTEleveNivFormation", one("5EME").to_vec());
                }
            }
            2 => {
                if let Some(pupil) = next.get_mut(&("Eleve", key)) {
                    // To the other school, with the family, which the delta does not say again.
                    let school = if pupil.attributes["ENTPersonStructRattach"][0] == "10" { 11 } else { 10 };
                    pupil.attributes.insert("ENTPersonStructRattach", one(school).to_vec());
                    pupil.attributes.insert("ENTEleveClasses", one(format!("{school}$6e A")).to_vec());
                }
            }
            // One a day, or the school waits.
            3 if !gone => {
                next.remove(&("Eleve", key));
                gone = true;
            }
            4 => {
                let new = 7_000 + dice.below(500);
                relative(&mut next, new);
                if let Some(pupil) = next.get_mut(&("Eleve", key)) {
                    pupil
                        .attributes
                        .insert("ENTElevePersRelEleve", one(format!("{new}$10$1$1$2$0")).to_vec());
                }
            }
            5 => {
                let new = 2_000 + dice.below(500);
                pupil(&mut next, new, dice.below(2), "6e B", &[5_000 + dice.below(20)]);
            }
            6 => {
                let teacher = 9_000 + dice.below(2);
                if let Some(teacher) = next.get_mut(&("PersEducNat", teacher)) {
                    teacher.attributes.insert("ENTAuxEnsClassesMatieres", one("10$6e B$030201").to_vec());
                }
            }
            7 => {
                let teacher = 9_100 + dice.below(2);
                if let Some(teacher) = next.get_mut(&("PersEducNat", teacher)) {
                    teacher.attributes.insert(
                        "ENTPersonFonctions",
                        one(format!("{}$EDU$-$-$-", 10 + dice.below(2))).to_vec(),
                    );
                }
            }
            _ => {
                let guardian = 5_000 + dice.below(20);
                if let Some(guardian) = next.get_mut(&("PersRelEleve", guardian)) {
                    guardian.attributes.insert("mobile", Vec::new());
                    guardian.attributes.insert("sn", one("Remariee").to_vec());
                }
            }
        }
    }
    // Whoever is nobody's any more is not delivered.
    let named: Vec<String> = next
        .values()
        .filter_map(|object| object.attributes.get("ENTElevePersRelEleve"))
        .flatten()
        .filter_map(|relation| Some(relation.split_once('$')?.0.to_owned()))
        .collect();
    next.retain(|(kind, key), _| *kind != "PersRelEleve" || named.contains(&key.to_string()));
    next
}

fn values(name: &str, values: &[String]) -> String {
    let inner: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
    let inner = if inner.is_empty() { "<value/>".to_owned() } else { inner };
    format!("<attr name=\"{name}\">{inner}</attr>")
}

fn write(folder: &Path, word: &str, requests: &BTreeMap<&str, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (file, ..) in FILES {
        let Some(body) = requests.get(file) else { continue };
        let xml = format!("<ficAlimMENESR>\n<!-- codeAcademieExport=\"13\" -->\n{body}</ficAlimMENESR>");
        std::fs::write(folder.join(format!("ENT_{word}_20261125_{file}_0000.xml")), xml).unwrap();
    }
}

fn head(category: &str) -> String {
    let (_, kind, value) = FILES.iter().find(|(file, ..)| *file == category).unwrap();
    format!(
        "<operationalAttributes><attr name=\"{kind}\"><value>{value}</value></attr></operationalAttributes>"
    )
}

pub(super) fn add(object: &Object, key: u32) -> String {
    let all: String = object.attributes.iter().map(|(name, all)| values(name, all)).collect();
    let head = head(object.category);
    format!(
        "<addRequest>{head}<identifier><id>{key}</id></identifier><attributes>{all}</attributes></addRequest>\n"
    )
}

/// Everything.
pub(super) fn complet(folder: &Path, academy: &Academy) {
    let mut requests: BTreeMap<&str, String> = BTreeMap::new();
    for ((category, key), object) in academy {
        requests.entry(category).or_default().push_str(&add(object, *key));
    }
    write(folder, "Complet", &requests);
}

/// What leads from one to the other, attribute by attribute.
pub(super) fn delta(folder: &Path, from: &Academy, to: &Academy) -> usize {
    let mut requests: BTreeMap<&str, String> = BTreeMap::new();
    let mut count = 0;
    for ((category, key), object) in to {
        let request = match from.get(&(*category, *key)) {
            Some(known) if known == object => continue,
            None => add(object, *key),
            Some(known) => {
                let changed =
                    object.attributes.iter().filter(|(name, all)| known.attributes.get(*name) != Some(*all));
                let mut all = String::new();
                for (name, new) in changed {
                    let inner = values(name, new);
                    write!(all, "<modification name=\"{name}\" operation=\"replace\">").unwrap();
                    all.push_str(inner.split_once('>').unwrap().1.strip_suffix("</attr>").unwrap());
                    all.push_str("</modification>");
                }
                let head = head(category);
                format!(
                    "<modifyRequest>{head}<identifier><id>{key}</id></identifier><modifications>{all}</modifications></modifyRequest>\n"
                )
            }
        };
        requests.entry(category).or_default().push_str(&request);
        count += 1;
    }
    for ((category, key), _) in from.iter().filter(|(key, _)| !to.contains_key(*key)) {
        let head = head(category);
        let request =
            format!("<deleteRequest>{head}<identifier><id>{key}</id></identifier></deleteRequest>\n");
        requests.entry(category).or_default().push_str(&request);
        count += 1;
    }
    write(folder, "Delta", &requests);
    count
}
