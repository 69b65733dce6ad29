//! Reading rows that a school secretary typed: which separator, which columns, what each line asks, and in plain French what
//! is wrong with it.

use chrono::NaiveDate;
use preau_kernel::{Role, fold};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::people::rules::Checked;

/// Rows at most.
const MOST_ROWS: u64 = 5_000;

/// What a line asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BulkAction)]
pub(super) enum Action {
    /// Somebody new.
    Create,
    /// Other values for somebody of the school.
    Change,
    /// The end of what somebody is in the school.
    End,
}

/// A line that could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) action: Action,
    pub(super) login: String,
    pub(super) role: Option<Role>,
    pub(super) last_name: String,
    pub(super) first_name: String,
    pub(super) title: String,
    pub(super) birth_on: Option<NaiveDate>,
    pub(super) email: String,
    pub(super) mobile: String,
    pub(super) class: String,
    pub(super) function: String,
}

/// A line that was refused, or that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BulkFault)]
pub(super) struct Fault {
    /// The line of the file; the header is line 1.
    pub(super) line: u64,
    /// The column, as the file names it; empty for the whole line.
    pub(super) column: String,
    /// A stable code.
    pub(super) code: String,
    /// In French, for whoever typed it.
    pub(super) message: String,
    /// The line was refused; otherwise it only deserves a look.
    pub(super) refused: bool,
}

impl Fault {
    pub(super) fn refusal(line: u64, column: &str, code: &str, message: impl Into<String>) -> Self {
        let (column, code) = (column.to_owned(), code.to_owned());
        Self { line, column, code, message: message.into(), refused: true }
    }

    pub(super) fn remark(line: u64, column: &str, code: &str, message: impl Into<String>) -> Self {
        Self { refused: false, ..Self::refusal(line, column, code, message) }
    }
}

/// Codes of what only the school, as it is then, can say.
const OF_THE_SCHOOL: [&str; 6] = [
    "bulk-unknown-class",
    "bulk-class-of-whom",
    "bulk-namesake",
    "bulk-unknown-login",
    "bulk-administrator",
    "bulk-elsewhere",
];

/// Whether a fault is of the file itself, and stays whatever becomes of the school.
pub(super) fn is_of_reading(fault: &Fault) -> bool {
    !OF_THE_SCHOOL.contains(&fault.code.as_str())
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) rows: Vec<Row>,
    pub(super) faults: Vec<Fault>,
    pub(super) lines: u64,
}

/// Why a file is not read at all: code and words.
pub(super) type Unreadable = (&'static str, &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Action,
    Login,
    Role,
    LastName,
    FirstName,
    Title,
    Birth,
    Email,
    Mobile,
    Class,
    Function,
}

fn column(header: &str) -> Option<Column> {
    Some(match fold(header).as_str() {
        "action" => Column::Action,
        "identifiant" | "login" => Column::Login,
        "profil" | "role" => Column::Role,
        "nom" | "nom de famille" => Column::LastName,
        "prenom" => Column::FirstName,
        "civilite" => Column::Title,
        "date de naissance" | "date naissance" | "naissance" => Column::Birth,
        "courriel" | "email" | "e mail" | "mail" | "adresse electronique" => Column::Email,
        "mobile" | "telephone" | "portable" => Column::Mobile,
        "classe" => Column::Class,
        "fonction" => Column::Function,
        _ => return None,
    })
}

/// The text of a file: UTF-8, or what French spreadsheets on Windows write.
pub(super) fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode(bytes).0.into_owned(),
    }
}

fn separator(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |sign: u8| header.bytes().filter(|byte| *byte == sign).count();
    [b';', b',', b'\t'].into_iter().max_by_key(|sign| (count(*sign), *sign == b';')).unwrap_or(b';')
}

/// Reads a file of rows.
///
/// # Errors
/// When it has no header that we know, or too many rows.
pub(super) fn read(text: &str) -> Result<Read, Unreadable> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(text))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| ("bulk-unreadable", "the file is not CSV"))?.clone();
    let columns: Vec<Option<Column>> = header.iter().map(column).collect();
    let has = |wanted: Column| columns.contains(&Some(wanted));
    if !has(Column::Action) || !(has(Column::Login) || has(Column::LastName)) {
        return Err((
            "bulk-header",
            "the first line must name the columns: action, identifiant, profil, nom, prenom…",
        ));
    }
    let mut read = Read::default();
    for (at, name) in header.iter().enumerate() {
        if columns.get(at).is_none_or(Option::is_none) && !name.is_empty() {
            let words = format!("La colonne « {name} » n'est pas connue : elle est ignorée.");
            read.faults.push(Fault::remark(1, name, "bulk-unknown-column", words));
        }
    }
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(_) => {
                let line = reader.position().line();
                let words = "La ligne ne peut pas être lue.";
                read.faults.push(Fault::refusal(line, "", "bulk-unreadable-line", words));
                continue;
            }
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        read.lines += 1;
        if read.lines > MOST_ROWS {
            return Err(("bulk-too-many-rows", "5,000 rows at most"));
        }
        let line = record.position().map_or(0, csv::Position::line);
        match row(line, &columns, &record) {
            Ok(row) => read.rows.push(row),
            Err(mut faults) => read.faults.append(&mut faults),
        }
    }
    read.twice();
    Ok(read)
}

impl Read {
    /// One login on two lines: the second is refused.
    fn twice(&mut self) {
        let mut seen = std::collections::BTreeSet::new();
        let faults = &mut self.faults;
        self.rows.retain(|row| {
            let first = row.login.is_empty() || seen.insert(row.login.clone());
            if !first {
                let words = "Cet identifiant figure déjà sur une autre ligne du fichier.";
                faults.push(Fault::refusal(row.line, "identifiant", "bulk-twice", words));
            }
            first
        });
    }
}

fn row(line: u64, columns: &[Option<Column>], record: &csv::StringRecord) -> Result<Row, Vec<Fault>> {
    let text = |wanted: Column| {
        let at = columns.iter().position(|column| *column == Some(wanted));
        at.and_then(|at| record.get(at)).unwrap_or_default()
    };
    let mut faults = Vec::new();
    let mut refuse =
        |column: &str, code: &str, words: &str| faults.push(Fault::refusal(line, column, code, words));
    let action = match fold(text(Column::Action)).as_str() {
        "creer" | "creation" | "ajouter" | "ajout" => Some(Action::Create),
        "modifier" | "modification" => Some(Action::Change),
        "terminer" | "fin" | "retirer" | "supprimer" => Some(Action::End),
        _ => None,
    };
    if action.is_none() {
        refuse("action", "bulk-action", "L'action doit être « créer », « modifier » ou « terminer ».");
    }
    let role = match fold(text(Column::Role)).as_str() {
        "" => None,
        "eleve" | "eleves" => Some(Role::Pupil),
        "responsable" | "parent" | "parents" | "responsables" => Some(Role::Guardian),
        "enseignant" | "enseignante" | "professeur" => Some(Role::Teacher),
        "personnel" => Some(Role::Staff),
        "invite" | "invitee" | "invites" => Some(Role::Guest),
        _ => {
            refuse(
                "profil",
                "bulk-role",
                "Le profil doit être « élève », « responsable », « enseignant », « personnel » ou « invité ».",
            );
            None
        }
    };
    let birth = text(Column::Birth);
    let birth_on = date(birth);
    if !birth.is_empty() && birth_on.is_none() {
        refuse("date de naissance", "bulk-date", "La date doit être écrite 31/12/2010 ou 2010-12-31.");
    }
    match action {
        Some(Action::Create) => {
            if !text(Column::Login).is_empty() {
                refuse(
                    "identifiant",
                    "bulk-login-given",
                    "L'identifiant d'un nouveau compte est choisi par Préau : laissez-le vide.",
                );
            }
            if text(Column::LastName).is_empty() || text(Column::FirstName).is_empty() {
                refuse(
                    "nom",
                    "bulk-name-missing",
                    "Le nom et le prénom sont nécessaires pour créer un compte.",
                );
            }
            if text(Column::Role).is_empty() {
                refuse("profil", "bulk-role-missing", "Le profil est nécessaire pour créer un compte.");
            }
        }
        Some(Action::Change | Action::End) if text(Column::Login).is_empty() => {
            refuse(
                "identifiant",
                "bulk-login-missing",
                "L'identifiant est nécessaire : il dit de quel compte il s'agit.",
            );
        }
        _ => {}
    }
    let mut checked = Checked::default();
    let mut tidy = |wanted: Column, field: &str| -> String {
        let text = text(wanted);
        if text.is_empty() {
            return String::new();
        }
        match wanted {
            Column::LastName | Column::FirstName => checked.name(field, text),
            Column::Email => checked.email(text),
            Column::Mobile => checked.mobile(text),
            Column::Function => checked.function(text),
            Column::Title => checked.title(title(text)),
            _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    };
    let mut row = Row {
        line,
        action: Action::Change,
        login: text(Column::Login).to_lowercase(),
        role,
        last_name: tidy(Column::LastName, "last_name"),
        first_name: tidy(Column::FirstName, "first_name"),
        title: tidy(Column::Title, "title"),
        birth_on,
        email: tidy(Column::Email, "email"),
        mobile: tidy(Column::Mobile, "mobile"),
        class: tidy(Column::Class, "class"),
        function: tidy(Column::Function, "function"),
    };
    for fault in checked.faults() {
        let (column, words) = match fault.code {
            "invalid-name" => {
                (if fault.field == "last_name" { "nom" } else { "prénom" }, "Ce nom ne peut pas être lu.")
            }
            "invalid-email" => ("courriel", "Cette adresse électronique n'est pas complète."),
            "invalid-mobile" => ("mobile", "Ce numéro de téléphone doit avoir de 8 à 15 chiffres."),
            "invalid-title" => ("civilité", "La civilité doit être « M. » ou « Mme »."),
            _ => ("fonction", "Ce code de fonction n'est pas connu : DIR, EDU, DOC…"),
        };
        faults.push(Fault::refusal(line, column, fault.code, words));
    }
    match action {
        Some(action) if faults.is_empty() => {
            row.action = action;
            Ok(row)
        }
        _ => Err(faults),
    }
}

fn title(text: &str) -> &str {
    match fold(text).as_str() {
        "m" | "monsieur" | "mr" => "M.",
        "mme" | "madame" | "mlle" => "Mme",
        _ => text,
    }
}

/// A date as people and spreadsheets write it.
fn date(text: &str) -> Option<NaiveDate> {
    ["%d/%m/%Y", "%Y-%m-%d", "%d-%m-%Y", "%d.%m.%Y"]
        .iter()
        .find_map(|format| NaiveDate::parse_from_str(text, format).ok())
        .filter(|date| (1900..=2100).contains(&chrono::Datelike::year(date)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_read_as_they_are_typed() {
        let text = "Action;Identifiant;Profil;Nom;Prénom;Civilité;Date de naissance;Courriel;Classe\n\
                    créer;;Élève;Martin ;Lina;;31/12/2012;;6e B\n\
                    modifier;anne.martin;;;;Madame;;anne@exemple.fr;\n\
                    terminer;zoe.roux;;;;;;;\n\n";
        let read = read(text).unwrap();
        assert_eq!((read.rows.len(), read.faults.len(), read.lines), (3, 0, 3));
        let first = &read.rows[0];
        assert_eq!((first.line, first.action, first.role), (2, Action::Create, Some(Role::Pupil)));
        assert_eq!((first.last_name.as_str(), first.class.as_str()), ("Martin", "6e B"));
        assert_eq!(first.birth_on, NaiveDate::from_ymd_opt(2012, 12, 31));
        assert_eq!(read.rows[1].title, "Mme");
    }

    #[test]
    fn each_refused_line_says_why_in_french() {
        let text = "action,identifiant,profil,nom,prenom,naissance,courriel,couleur\n\
                    effacer,a.b,,,,,,\n\
                    créer,a.b,élève,Martin,,,,\n\
                    créer,,chef,Martin,Lina,,,\n\
                    modifier,,,,,32/13/2012,nulle part,\n\
                    modifier,c.d,,,,,,\n\
                    terminer,C.D,,,,,,\n";
        let read = read(text).unwrap();
        assert_eq!(read.rows.len(), 1);
        let told: Vec<(u64, &str)> =
            read.faults.iter().map(|fault| (fault.line, fault.code.as_str())).collect();
        assert_eq!(
            told,
            [
                (1, "bulk-unknown-column"),
                (2, "bulk-action"),
                (3, "bulk-login-given"),
                (3, "bulk-name-missing"),
                (4, "bulk-role"),
                (5, "bulk-date"),
                (5, "bulk-login-missing"),
                (5, "invalid-email"),
                (7, "bulk-twice"),
            ]
        );
    }

    #[test]
    fn what_windows_writes_is_read() {
        let bytes = b"action;nom;pr\xe9nom;profil\ncr\xe9er;Lef\xe8vre;Zo\xe9;\xe9l\xe8ve\n";
        let read = read(&decode(bytes)).unwrap();
        assert_eq!(read.rows[0].last_name, "Lefèvre");
        assert_eq!(decode("\u{feff}é".as_bytes()), "é");
    }

    #[test]
    fn a_file_without_our_columns_or_without_end_is_refused_whole() {
        assert_eq!(read("").unwrap_err().0, "bulk-header");
        assert_eq!(read("a;b;c\n1;2;3").unwrap_err().0, "bulk-header");
        let many = format!("action;identifiant\n{}", "terminer;x\n".repeat(5_001));
        assert_eq!(read(&many).unwrap_err().0, "bulk-too-many-rows");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut text = String::from("action;identifiant;nom\n");
            text.push_str(&decode(&bytes));
            if let Ok(read) = read(&text) {
                prop_assert!(read.rows.iter().all(|row| row.line > 1));
            }
        }
    }
}
