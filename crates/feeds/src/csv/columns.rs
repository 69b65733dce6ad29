//! What the columns of a table hold, by their headers: lower case, without accents, blanks and punctuation, then synonyms.

use preau_kernel::fold;
use serde::{Deserialize, Serialize};

use super::Profile;
use super::mapping::Mapping;
use super::table;

/// What a column holds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = TableField)]
pub enum Field {
    /// The person's identifier where the table comes from.
    Id,
    /// Family name.
    LastName,
    /// The family name in use, where it is another.
    UsageName,
    /// Given name.
    FirstName,
    /// `M.`, `Mme`.
    Title,
    /// Day of birth.
    BirthDate,
    /// A class: a pupil's, or one taught.
    Class,
    /// A teaching group.
    Group,
    /// Level of training.
    Level,
    /// National pupil identifier.
    Ine,
    /// SIECLE identifier.
    SiecleId,
    /// Address for e-mail.
    Email,
    /// Mobile telephone.
    Mobile,
    /// Function of a member of staff, in words.
    Function,
    /// A subject taught, in words.
    Subject,
    /// `oui` for the head of a primary school.
    Director,
    /// A class headed (professeur principal).
    HeadOf,
    /// Identifier of a child.
    ChildId,
    /// Family name of a child; begins the next child when it comes again.
    ChildLastName,
    /// The family name in use of a child.
    ChildUsageName,
    /// Given name of a child.
    ChildFirstName,
    /// Class of a child.
    ChildClass,
    /// Family name of a person in charge, on the row of a pupil.
    CarerLastName,
    /// Their given name.
    CarerFirstName,
    /// Their address for e-mail.
    CarerEmail,
    /// UAI of the school, in tables of several.
    SchoolUai,
    /// Who the row is.
    Profile,
    /// Nothing that is kept.
    Ignored,
}

#[rustfmt::skip] // a line for each meaning
const SYNONYMS: &[(Field, &[&str])] = &[
    (Field::Id, &["id", "externalid", "idexterne", "identifiantexterne"]),
    (Field::LastName, &["nom", "nomdefamille", "nomfamille", "nomeleve", "nomresponsable", "nompatronymique", "lastname"]),
    (Field::UsageName, &["nomusage", "nomdusage", "nomusageeleve", "nomdusageeleve", "nomusageresponsable", "nomdusageresponsable"]),
    (Field::FirstName, &["prenom", "prenomeleve", "prenomresponsable", "firstname"]),
    (Field::Title, &["civilite", "civiliteresponsable", "title"]),
    (Field::BirthDate, &["datedenaissance", "datenaissance", "datenaiss", "neele", "nele", "neelele", "birthdate"]),
    (Field::Class, &["classe", "classes", "libelleclasse", "classeouregroupement", "class", "division"]),
    (Field::Group, &["groupe", "groupes", "regroupement", "regroupements"]),
    (Field::Level, &["niveau"]),
    (Field::Ine, &["ine", "numeroine", "idnational"]),
    (Field::SiecleId, &["eleveid", "idsiecle"]),
    (Field::Email, &["email", "courriel", "mail", "adressemail", "adresseemail", "adresseelectronique", "courrielresponsable"]),
    (Field::Mobile, &["telephoneportable", "telephonemobile", "portable", "mobile", "telportable"]),
    (Field::Function, &["fonction", "fonctions", "function"]),
    (Field::Subject, &["matiere", "matieres", "matiereenseignee", "matieresenseignees", "discipline", "disciplines"]),
    (Field::Director, &["directeur"]),
    (Field::HeadOf, &["professeurprincipal"]),
    (Field::ChildId, &["childexternalid", "childid", "idenfant"]),
    (Field::ChildLastName, &["nomenfant", "nomdelenfant", "nomfamilleenfant", "nomdefamilleenfant", "nomdeleleve", "nomdefamilleeleve"]),
    (Field::ChildUsageName, &["nomusageenfant", "nomdusageenfant", "nomdusagedeleleve"]),
    (Field::ChildFirstName, &["prenomenfant", "prenomdelenfant", "prenomdeleleve"]),
    (Field::ChildClass, &["classeenfant", "classesenfants", "classesenfant", "classedeleleve", "classesdeleleve", "classeseleves"]),
    (Field::CarerLastName, &["r1nom", "r2nom", "r3nom"]),
    (Field::CarerFirstName, &["r1prenom", "r2prenom", "r3prenom"]),
    (Field::CarerEmail, &["r1email", "r2email", "r3email", "r1courriel", "r2courriel", "r3courriel"]),
    (Field::SchoolUai, &["uai", "rne", "codeuai", "uaietablissement"]),
    (Field::Profile, &["profil"]),
    (Field::Ignored, &[
        "adresse", "adresse1", "adresse2", "adresseresponsable", "attestationfournie", "autorisationassociations",
        "autorisationphoto", "autorisationsassociations", "autorisationsphotos", "boursier", "codematiere", "codepostal",
        "commune", "commune1", "commune2", "communenaissance", "communeresponsable", "communicationadresses", "cp", "cp1",
        "cp2", "cpresponsable", "cycle", "dateinscription", "decisiondepassage", "deptnaissance", "deuxiemeprenom",
        "dispositif", "dispositifs", "etat", "filiere", "identifiantclasse", "intervenant", "libellemef",
        "mef", "pays", "pays1", "pays2", "paysnaissance", "pcs", "presencedevanteleves",
        "regime", "sexe", "statut", "telephone", "telephonedomicile", "telephonetravail", "transport", "troisiemeprenom",
        "ville",
    ]),
];

/// Headers that only the table of persons in charge has; the same word then speaks of the child.
const OF_GUARDIANS: &[&str] = &["nomresponsable", "prenomresponsable", "civiliteresponsable"];
/// The guests' template, which has nothing that a pupils' table could not have.
const GUESTS: &[&str] = &["prenom", "nom", "classes", "datedenaissance", "telephone", "telephonetravail"];
/// Headers that only ONDE has.
const ONDE: &[&str] = &["attestationfournie", "directeur", "civiliteresponsable"];
/// Headers that only a table of teachers has, beside classes.
const OF_TEACHERS: &[&str] =
    &["presencedevanteleves", "matiereenseignee", "discipline", "professeurprincipal", "directeur"];

/// A header without what people and spreadsheets vary.
pub(super) fn key(header: &str) -> String {
    fold(header).replace(' ', "")
}

/// The columns of a table.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// What each holds; `None` for one that nobody knows.
    pub(super) fields: Vec<Option<Field>>,
    /// Its header, for notes.
    pub(super) headers: Vec<String>,
    /// The character between two.
    pub(super) separator: u8,
    profile: Profile,
    onde: bool,
}

impl Columns {
    /// Looks at the first line of a text.
    pub(crate) fn of_head(text: &str) -> Self {
        let (line, separator) = table::first_line(text);
        Self::of(table::split(line, separator), separator, None)
    }

    /// What headers mean, by the document when there is one.
    pub(super) fn of(headers: Vec<String>, separator: u8, mapping: Option<&Mapping>) -> Self {
        let keys: Vec<String> = headers.iter().map(|header| key(header)).collect();
        let has = |words: &[&str]| keys.iter().any(|key| words.contains(&key.as_str()));
        let synonym =
            |key: &str| SYNONYMS.iter().find(|(_, words)| words.contains(&key)).map(|(field, _)| *field);
        if let Some(mapping) = mapping {
            let fields = headers.iter().map(|header| mapping.field(header)).collect();
            let profile = mapping.profile.unwrap_or(Profile::ByRow);
            return Self { fields, headers, separator, profile, onde: false };
        }
        let plain: Vec<Option<Field>> = keys.iter().map(|key| synonym(key)).collect();
        let guardians = has(OF_GUARDIANS)
            || plain.iter().any(|field| {
                matches!(field, Some(Field::ChildId | Field::ChildLastName | Field::ChildFirstName))
            });
        let fields: Vec<Option<Field>> = keys
            .iter()
            .zip(plain)
            .map(|(key, field)| match (key.as_str(), guardians) {
                ("nomeleve", true) => Some(Field::ChildLastName),
                ("nomdusageeleve", true) => Some(Field::ChildUsageName),
                ("prenomeleve", true) => Some(Field::ChildFirstName),
                _ => field,
            })
            .collect();
        let any = |field| fields.contains(&Some(field));
        let named = (any(Field::LastName) || any(Field::UsageName)) && any(Field::FirstName);
        let template: Vec<&str> =
            keys.iter().map(String::as_str).filter(|key| *key != "externalid").collect();
        let profile = match () {
            () if !named => Profile::Unknown,
            () if any(Field::Profile) => Profile::ByRow,
            () if guardians => Profile::Guardian,
            () if has(OF_TEACHERS) || any(Field::Function) && any(Field::Class) => Profile::Teacher,
            () if any(Field::Function) => Profile::Staff,
            () if template.starts_with(GUESTS) => Profile::Guest,
            () if any(Field::Class) || any(Field::BirthDate) || any(Field::Ine) => Profile::Pupil,
            () => Profile::Unknown,
        };
        Self { fields, separator, profile, onde: has(ONDE), headers }
    }

    /// Who the rows are; `None` when the headers do not say.
    pub(crate) fn profile(&self) -> Option<Profile> {
        (self.profile != Profile::Unknown).then_some(self.profile)
    }

    /// Whether the headers are ONDE's.
    pub(super) fn is_onde(&self) -> bool {
        self.onde
    }

    /// Whether a column holds this.
    pub(super) fn has(&self, field: Field) -> bool {
        self.fields.contains(&Some(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(header: &str) -> Option<Profile> {
        Columns::of_head(header).profile()
    }

    #[test]
    fn headers_say_who_the_rows_are() {
        for (header, expected) in [
            ("Prénom*;Nom*;Date de naissance*;Classes*\r\n", Profile::Pupil),
            (
                "externalid;Prénom*;Nom*;Classe;Date de naissance*;telephone;telephonetravail;email\r\n",
                Profile::Pupil,
            ),
            (
                "externalid;Prénom*;Nom*;Classes;date de naissance;telephone;telephonetravail;email\r\n",
                Profile::Guest,
            ),
            ("Prénom*;Nom*;date de naissance;fonction;telephone\r\n", Profile::Staff),
            ("Prénom*;Nom*;date de naissance;fonction;telephone;classe;classe\r\n", Profile::Teacher),
            ("externalId;Prénom*;Nom*;telephone;Childexternalid*;Childexternalid\r\n", Profile::Guardian),
            (
                "Nom*;Prénom*;Courriel;Nom de l'élève;Prénom de l’élève;Classes de l'élève\r\n",
                Profile::Guardian,
            ),
            (
                "\"Nom Elève\";\"Prénom Elève\";\"Date naissance\";\" Cycle\";\"Classe\";\"Attestation fournie\"",
                Profile::Pupil,
            ),
            ("sep=;\r\nNOM;PRENOM;NÉ(E) LE;CLASSE", Profile::Pupil),
            ("\u{feff}\u{feff}nom,prenom,date_naiss,regroupement(s)", Profile::Pupil),
            ("nom\tprenom\tclasse", Profile::Pupil),
            ("profil;nom;prenom", Profile::ByRow),
        ] {
            assert_eq!(profile(header), Some(expected), "{header}");
        }
        for header in ["", "DUPONT;Jean;3A", "nom;prenom", "couleur;taille", "nom prenom classe"] {
            assert_eq!(profile(header), None, "{header}");
        }
    }

    #[test]
    fn a_word_has_one_meaning() {
        let mut words: Vec<&str> = SYNONYMS.iter().flat_map(|(_, words)| words.iter().copied()).collect();
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]), "{words:?}");
        assert!(words.iter().all(|word| key(word) == *word));
    }
}
