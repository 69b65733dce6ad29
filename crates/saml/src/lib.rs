#![doc = include_str!("../README.md")]

mod dsig;
mod keys;
mod logout;
mod metadata;
mod moment;
pub mod redirect;
mod request;
mod response;
#[cfg(feature = "stand-in")]
pub mod stand_in;
pub mod xml;

pub use dsig::{SignatureFault, Strict, XmlSignatures};
pub use keys::{Algorithm, Certificate, KeyFault, SigningKey};
pub use logout::{LogoutRequest, NotExpected, logout_response, read_logout_response};
pub use metadata::{Desk, MetadataFault, Service};
pub use request::AuthnRequest;
pub use response::{Expected, Identified, NameId, Refused, accept};
