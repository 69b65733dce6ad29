//! AAF (annuaire académique fédérateur), second and first degree: the directory that every academy delivers to its ENT.
//!
//! [`Reader`] streams one part as typed records in constant memory, [`composite`] reads the `$`-separated values. Nothing
//! here knows a database, nor where the part lies.

pub mod composite;
mod known;
mod plain;
mod reader;
mod typed;

pub use reader::{Reader, header_facts};
