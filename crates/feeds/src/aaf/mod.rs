//! AAF (annuaire académique fédérateur), second-degree form: the directory that every academy delivers to its ENT.
//!
//! A delivery is a folder or a zip of XML parts, one family of parts a kind of object. [`Delivery`] finds the parts,
//! [`Reader`] streams one part as typed [`Record`]s in constant memory, [`composite`] reads the `$`-separated values.
//! Nothing here knows a database.

pub mod composite;
mod known;
mod reader;
mod record;
mod source;
mod typed;

pub use reader::{Reader, header_facts};
pub use record::{
    Category, Function, InClass, InSchool, Mef, Names, Operation, Pupil, Record, Relation, Relative, School,
    Staff, Subject,
};
pub use source::{Delivery, Part};
