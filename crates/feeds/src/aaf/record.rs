//! What one AAF record says, typed. Only what Préau uses is kept: addresses, transport, meals and grants are not.

use chrono::NaiveDate;

use crate::fault::Place;

/// What a record asks for. A *complet* holds only additions; a delta all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The object as it now is.
    Add,
    /// Some attributes of the object as they now are.
    Modify,
    /// The object has left the directory.
    Delete,
}

/// The kinds of objects, in the order in which the others may refer to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// `EtabEducNat`
    School,
    /// `MefEducNat`: national codes of what a pupil studies.
    Mef,
    /// `MatEducNat` (the file says `MatiereEducNat`).
    Subject,
    /// `PersEducNat`: teachers and all other staff.
    Staff,
    /// `PersRelEleve`: parents and other persons in charge of pupils.
    Relative,
    /// `Eleve`
    Pupil,
}

impl Category {
    /// All kinds, in reading order.
    pub const ALL: [Self; 6] =
        [Self::School, Self::Mef, Self::Subject, Self::Staff, Self::Relative, Self::Pupil];

    /// As counted in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::School => "school",
            Self::Mef => "mef",
            Self::Subject => "subject",
            Self::Staff => "staff",
            Self::Relative => "relative",
            Self::Pupil => "pupil",
        }
    }

    /// As written in file names.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::School => "EtabEducNat",
            Self::Mef => "MefEducNat",
            Self::Subject => "MatiereEducNat",
            Self::Staff => "PersEducNat",
            Self::Relative => "PersRelEleve",
            Self::Pupil => "Eleve",
        }
    }

    /// As written inside the files.
    pub(crate) fn of_value(value: &str) -> Option<Self> {
        match value {
            "EtabEducNat" => Some(Self::School),
            "MefEducNat" => Some(Self::Mef),
            "MatEducNat" | "MatiereEducNat" => Some(Self::Subject),
            "PersEducNat" => Some(Self::Staff),
            "PersRelEleve" => Some(Self::Relative),
            "Eleve" => Some(Self::Pupil),
            _ => None,
        }
    }
}

/// One record of a delivery, with its place.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A school.
    School(School),
    /// A pupil.
    Pupil(Pupil),
    /// A person related to pupils.
    Relative(Relative),
    /// A teacher or another member of staff.
    Staff(Staff),
    /// A subject.
    Subject(Subject),
    /// A MEF.
    Mef(Mef),
    /// A change of a delta, whose merge is another import than a *complet*'s.
    Delta {
        /// What it asks for: `Modify` or `Delete`.
        operation: Operation,
        /// Of which kind of object.
        category: Category,
        /// Where it stands.
        place: Place,
    },
}

/// A class or group, by the structure's key and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InSchool {
    /// Structure join key.
    pub school: String,
    /// Name of the class or group.
    pub name: String,
}

/// A class or group that somebody teaches, with the subject when given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InClass {
    /// Structure join key.
    pub school: String,
    /// Name of the class or group.
    pub class: String,
    /// Subject code.
    pub subject: Option<String>,
}

/// A function of a member of staff in a school.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Structure join key.
    pub school: String,
    /// `ENS`, `DOC`, `DIR`, `EDU`, `AED`, `ORI`, `ADF`…
    pub code: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// Discipline or position code.
    pub position: Option<String>,
    /// Its label.
    pub position_label: Option<String>,
}

/// What a person is to a pupil: [`super::composite::relation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Join key of the person.
    pub person: String,
    /// Kind of link; 1, 2, 10 and 20 are parents.
    pub link: u8,
    /// Pays for the pupil.
    pub financial: u8,
    /// 1 legal guardian, 2 person in charge, 0 neither.
    pub legal: u8,
    /// Order in which to call, 1 first; 0 when not given.
    pub contact: u8,
    /// Receives payments.
    pub payment: u8,
}

/// A school.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct School {
    /// Structure join key, unique in its academy.
    pub key: String,
    /// UAI, when given.
    pub uai: Option<String>,
    /// Usual name: the readable parts of `TYPE$NAME$CITY`.
    pub name: String,
    /// `COLLEGE`, `LYCEE GENERAL`, `ECOLE`… as delivered.
    pub kind: Option<String>,
    /// Code of the kind; 340 is a collège.
    pub kind_code: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// Two-digit code of the academy, when given.
    pub academy: Option<String>,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Names of its groups.
    pub groups: Vec<String>,
}

/// What every person has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Join key, unique in its academy.
    pub key: String,
    /// Usual family name.
    pub last_name: String,
    /// Given name.
    pub first_name: String,
    /// `M.` or `Mme`.
    pub title: Option<String>,
    /// Address for e-mail.
    pub email: Option<String>,
}

/// A pupil.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pupil {
    /// Names and key.
    pub names: Names,
    /// National identifier.
    pub ine: Option<String>,
    /// SIECLE identifier (`ENTEleveStructRattachId`).
    pub siecle_id: Option<String>,
    /// Day of birth.
    pub born_on: Option<NaiveDate>,
    /// The school the pupil belongs to.
    pub school: Option<String>,
    /// Classes; one in practice.
    pub classes: Vec<InSchool>,
    /// Teaching groups.
    pub groups: Vec<InSchool>,
    /// Who is who to the pupil.
    pub relations: Vec<Relation>,
    /// MEF code.
    pub mef: Option<String>,
    /// Level of training, as delivered (`6EME`…).
    pub level: Option<String>,
}

/// A person related to pupils.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relative {
    /// Names and key.
    pub names: Names,
    /// Mobile telephone, for absences.
    pub mobile: Option<String>,
}

/// A teacher or another member of staff.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staff {
    /// Names and key.
    pub names: Names,
    /// Teaches: stated, else in front of pupils, else has the function ENS or DOC somewhere.
    pub teacher: bool,
    /// The school of attachment, when given.
    pub school: Option<String>,
    /// Functions, possibly in many schools.
    pub functions: Vec<Function>,
    /// Classes taught.
    pub classes: Vec<InClass>,
    /// Groups taught.
    pub groups: Vec<InClass>,
    /// Classes whose head teacher this is (professeur principal).
    pub head_of: Vec<InSchool>,
    /// STS identifiers (`ENTPersonSTSId`), by which timetables name teachers.
    pub sts_ids: Vec<String>,
}

/// A subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// National code.
    pub code: String,
    /// Label, as delivered.
    pub label: String,
}

/// A MEF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mef {
    /// Code of 11 characters.
    pub code: String,
    /// Label, as delivered.
    pub label: String,
    /// Statistical code.
    pub stat11: Option<String>,
}
