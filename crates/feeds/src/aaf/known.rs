//! The attributes of the annex that Préau reads, and those it knows and leaves alone.
//!
//! The rest is new: counted and reported, never an error, for the annex grows every year.

/// What to do with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Kept under this name.
    Read(&'static str),
    /// Known, of no use to us: data that we do not need is not stored.
    Ignored,
    /// Not described by any annex we know.
    Unknown,
}

#[rustfmt::skip] // a word a line says no more
const READ: &[&str] = &[
    "ENTAuxEnsClassesMatieres", "ENTAuxEnsClassesPrincipal", "ENTAuxEnsGroupesMatieres", "ENTEleveClasses",
    "ENTEleveGroupes", "ENTEleveINE", "ENTEleveMEF", "ENTEleveNivFormation", "ENTElevePersRelEleve",
    "ENTEleveStructRattachId", "ENTEtablissementUAI", "ENTLibelleMatiere", "ENTLibelleMef", "ENTMEFSTAT11",
    "ENTMatJointure", "ENTMefJointure", "ENTPersonCategorieEnseignant", "ENTPersonDateNaissance",
    "ENTPersonFonctions", "ENTPersonJointure", "ENTPersonMobileSMS", "ENTPersonNomPatro", "ENTPersonSTSId",
    "ENTPersonStructRattach", "ENTServAcCodeAcademie", "ENTStructureClasses", "ENTStructureCodeTypeStruct",
    "ENTStructureGroupes", "ENTStructureJointure", "ENTStructureNomCourant", "ENTStructureTypeStruct",
    "ENTStructureUAI", "PersEducNatPresenceDevantEleves", "categorieMatiere", "categorieMef",
    "categoriePersonne", "categorieStructure", "givenName", "l", "mail", "mobile", "personalTitle", "sn",
];

#[rustfmt::skip] // a word a line says no more
const IGNORED: &[&str] = &[
    "ENTAuxEnsCategoDiscipline", "ENTAuxEnsClasses", "ENTAuxEnsDisciplinesPoste", "ENTAuxEnsGroupes",
    "ENTAuxEnsMEF", "ENTAuxEnsMatiereEnseignEtab", "ENTAuxPersRelEleveEleve", "ENTEleveAdresseRel",
    "ENTEleveAutoriteParentale", "ENTEleveBoursier", "ENTEleveCodeEnseignements",
    "ENTEleveDateEntreeClasses", "ENTEleveDateSortieClasses", "ENTEleveDateEntreeGroupes",
    "ENTEleveDateSortieGroupes", "ENTEleveEnseignements", "ENTEleveFiliere", "ENTEleveLibelleMEF",
    "ENTEleveMEFRattach", "ENTEleveMere", "ENTEleveNivFormationDiplome", "ENTEleveParents", "ENTElevePere",
    "ENTElevePersRelEleve1", "ENTElevePersRelEleve2", "ENTEleveQualitePersRelEleve1",
    "ENTEleveQualitePersRelEleve2", "ENTEleveRegime", "ENTEleveSpecialite", "ENTEleveStatutEleve",
    "ENTEleveTransport", "ENTEleveVilleNaissance", "ENTEleveDepartementNaissance", "ENTElevePaysNaissance",
    "ENTEnsFonctionDir", "ENTEtablissementBassin", "ENTEtablissementCodeMinistereTutelle",
    "ENTEtablissementContrat", "ENTEtablissementMinistereTutelle", "ENTEtablissementStructRattachFctl",
    "ENTFiliere", "ENTMEFRattach", "ENTMatiereRattach", "ENTNivFormation", "ENTPersRelEleveQualite",
    "ENTPersonAdresse", "ENTPersonAdresseDiffusion", "ENTPersonAutresPrenoms", "ENTPersonCodePostal",
    "ENTPersonNationalite", "ENTPersonPays", "ENTPersonSexe", "ENTPersonVille", "ENTServAcAcademie",
    "ENTStructureMailSI", "ENTStructureSIREN", "ENTStructureEmail", "ENTStructureSiteWeb",
    "facsimileTelephoneNumber", "homePhone", "postOfficeBox", "postalCode", "street", "telephoneNumber",
];

/// What to do with the attribute of this name. Twins that date another attribute (`ENTPersonFonctionsDate`) are known.
pub(crate) fn of(name: &str) -> Use {
    if let Some(read) = READ.iter().find(|read| **read == name) {
        return Use::Read(read);
    }
    let stem = name.strip_suffix("Date").unwrap_or(name);
    if IGNORED.contains(&stem) || READ.contains(&stem) { Use::Ignored } else { Use::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_known_and_news_are_not() {
        assert_eq!(of("sn"), Use::Read("sn"));
        assert_eq!(of("ENTPersonFonctionsDate"), Use::Ignored);
        assert_eq!(of("ENTAuxEnsClassesMatieresDate"), Use::Ignored);
        assert_eq!(of("street"), Use::Ignored);
        assert_eq!(of("ENTEleveHologramme"), Use::Unknown);
    }
}
