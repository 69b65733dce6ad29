//! Sign-in by desks, proven against programs that others wrote. The gate runs the same tests among all the others; this
//! runs them alone.

use anyhow::Result;

use crate::{cargo, ci::with_stores, place::Place, sh, stores::Stores};

/// Signatures against `xmlsec1`, then people through a real SimpleSAMLphp, signed in, refused, offered a choice, signed out.
pub(crate) fn prove(place: &Place, stores: &Stores) -> Result<()> {
    sh::step("signatures, against xmlsec1", || {
        sh::run(cargo::cargo(place).args(["nextest", "run", "-p", "preau-saml"]))
    })?;
    sh::step("people, through SimpleSAMLphp", || {
        let mut nextest = cargo::cargo(place);
        nextest.args(["nextest", "run", "-p", "preau-tests", "-E", "test(/^(real_desk|federation)::/)"]);
        sh::run(with_stores(place, stores, &mut nextest)?)
    })
}
