//! The attributes of the annexes that Préau reads, and those it knows and leaves alone.
//!
//! The rest is new: counted and reported, never an error, for the annexes grow every year. The first degree (AAF 1D) has the
//! same envelope and other names for the same things: both names stand for one [`Attr`].

use std::collections::HashMap;
use std::sync::LazyLock;

/// An attribute that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attr {
    Academy,
    BirthDate,
    BirthName,
    CategoryOfObject,
    City,
    Classes,
    Email,
    FirstName,
    Functions,
    Groups,
    HeadOf,
    Ine,
    InFrontOfPupils,
    Key,
    KindCode,
    KindWords,
    LastName,
    Level,
    Mef,
    MefKey,
    MefLabel,
    MefStat11,
    Mobile,
    MobileSms,
    Name,
    OneDegreeClasses,
    OneDegreeGroups,
    OtherUai,
    ParentalAuthority,
    Relations,
    SchoolClasses,
    SchoolGroups,
    SchoolKey,
    SiecleId,
    StructureOf,
    StsId,
    SubjectKey,
    SubjectLabel,
    TaughtClasses,
    TaughtGroups,
    Teacher,
    Title,
    Uai,
}

/// What to do with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Kept.
    Read(Attr),
    /// Kept, and a name that only the first degree has.
    ReadOneDegree(Attr),
    /// Known, of no use to us: data that we do not need is not stored.
    Ignored,
    /// Not described by any annex we know.
    Unknown,
}

const READ: &[(&str, Attr)] = &[
    ("ENTAuxEnsClassesMatieres", Attr::TaughtClasses),
    ("ENTAuxEnsClassesPrincipal", Attr::HeadOf),
    ("ENTAuxEnsGroupesMatieres", Attr::TaughtGroups),
    ("ENTEleveAutoriteParentale", Attr::ParentalAuthority),
    ("ENTEleveClasses", Attr::Classes),
    ("ENTEleveGroupes", Attr::Groups),
    ("ENTEleveINE", Attr::Ine),
    ("ENTEleveMEF", Attr::Mef),
    ("ENTEleveNivFormation", Attr::Level),
    ("ENTElevePersRelEleve", Attr::Relations),
    ("ENTEleveStructRattachId", Attr::SiecleId),
    ("ENTEtablissementUAI", Attr::OtherUai),
    ("ENTLibelleMatiere", Attr::SubjectLabel),
    ("ENTLibelleMef", Attr::MefLabel),
    ("ENTMEFSTAT11", Attr::MefStat11),
    ("ENTMatJointure", Attr::SubjectKey),
    ("ENTMefJointure", Attr::MefKey),
    ("ENTPersonCategorieEnseignant", Attr::Teacher),
    ("ENTPersonDateNaissance", Attr::BirthDate),
    ("ENTPersonFonctions", Attr::Functions),
    ("ENTPersonJointure", Attr::Key),
    ("ENTPersonMobileSMS", Attr::MobileSms),
    ("ENTPersonNomPatro", Attr::BirthName),
    ("ENTPersonSTSId", Attr::StsId),
    ("ENTPersonStructRattach", Attr::StructureOf),
    ("ENTServAcCodeAcademie", Attr::Academy),
    ("ENTStructureClasses", Attr::SchoolClasses),
    ("ENTStructureCodeTypeStruct", Attr::KindCode),
    ("ENTStructureGroupes", Attr::SchoolGroups),
    ("ENTStructureJointure", Attr::SchoolKey),
    ("ENTStructureNomCourant", Attr::Name),
    ("ENTStructureTypeStruct", Attr::KindWords),
    ("ENTStructureUAI", Attr::Uai),
    ("PersEducNatPresenceDevantEleves", Attr::InFrontOfPupils),
    ("categorieMatiere", Attr::CategoryOfObject),
    ("categorieMef", Attr::CategoryOfObject),
    ("categoriePersonne", Attr::CategoryOfObject),
    ("categorieStructure", Attr::CategoryOfObject),
    ("givenName", Attr::FirstName),
    ("l", Attr::City),
    ("mail", Attr::Email),
    ("mobile", Attr::Mobile),
    ("personalTitle", Attr::Title),
    ("sn", Attr::LastName),
];

const READ_ONE_DEGREE: &[(&str, Attr)] = &[
    ("ENTEleveNiveau", Attr::Level),
    ("ENTPersRelEleveTelMobile", Attr::Mobile),
    ("ENTPersonCivilite", Attr::Title),
    ("ENTPersonClasses", Attr::OneDegreeClasses),
    ("ENTPersonGroupes", Attr::OneDegreeGroups),
    ("ENTPersonMail", Attr::Email),
    ("ENTPersonNom", Attr::LastName),
    ("ENTPersonPrenom", Attr::FirstName),
    ("ENTStructureVille", Attr::City),
];

#[rustfmt::skip] // a word a line says no more
const IGNORED: &[&str] = &[
    "ENTAuxEnsCategoDiscipline", "ENTAuxEnsClasses", "ENTAuxEnsDisciplinesPoste", "ENTAuxEnsGroupes",
    "ENTAuxEnsMEF", "ENTAuxEnsMatiereEnseignEtab", "ENTAuxPersRelEleveEleve", "ENTEcoleCirconscription",
    "ENTEcoleCodeMinistereTutelle", "ENTEcoleCommune", "ENTEcoleMinistereTutelle", "ENTEcoleRPI",
    "ENTEcoleSecteur", "ENTEleveAdresseRel", "ENTEleveBoursier", "ENTEleveCodeEnseignements",
    "ENTEleveCycle", "ENTEleveDateEntreeClasses", "ENTEleveDateSortieClasses", "ENTEleveDateEntreeGroupes",
    "ENTEleveDateSortieGroupes", "ENTEleveDepartementNaissance", "ENTEleveEnseignements",
    "ENTEleveEtudesSurveillees", "ENTEleveFiliere", "ENTEleveGarderieMatin", "ENTEleveGarderieSoir",
    "ENTEleveLibelleMEF", "ENTEleveMEFRattach", "ENTEleveMere", "ENTEleveNivFormationDiplome",
    "ENTEleveParents", "ENTElevePaysNaissance", "ENTElevePere", "ENTElevePersRelEleve1",
    "ENTElevePersRelEleve2", "ENTEleveQualitePersRelEleve1", "ENTEleveQualitePersRelEleve2",
    "ENTEleveRegime", "ENTEleveRestaurantScolaire", "ENTEleveSpecialite", "ENTEleveStatutEleve",
    "ENTEleveTransport", "ENTEleveTypeClasse", "ENTEleveVilleNaissance", "ENTEnsFonctionDir",
    "ENTEnsSpecialites", "ENTEtablissementBassin", "ENTEtablissementCodeMinistereTutelle",
    "ENTEtablissementContrat", "ENTEtablissementMinistereTutelle", "ENTEtablissementStructRattachFctl",
    "ENTFiliere", "ENTMEFRattach", "ENTMatiereRattach", "ENTNivFormation", "ENTPersRelEleveEleve",
    "ENTPersRelEleveQualite", "ENTPersRelEleveTelPro", "ENTPersonAdresse", "ENTPersonAdresseDiffusion",
    "ENTPersonAutresPrenoms", "ENTPersonCodePostal", "ENTPersonNationalite", "ENTPersonPays",
    "ENTPersonSexe", "ENTPersonTelPerso", "ENTPersonVille", "ENTServAcAcademie", "ENTStructureAdresse",
    "ENTStructureBoitePostale", "ENTStructureCodePostal", "ENTStructureEmail", "ENTStructureFax",
    "ENTStructureMailSI", "ENTStructureSIREN", "ENTStructureSiteWeb", "ENTStructureTelephone",
    "facsimileTelephoneNumber", "homePhone", "postOfficeBox", "postalCode", "street", "telephoneNumber",
];

static KNOWN: LazyLock<HashMap<&'static str, Use>> = LazyLock::new(|| {
    let read = READ.iter().map(|(name, attr)| (*name, Use::Read(*attr)));
    let one = READ_ONE_DEGREE.iter().map(|(name, attr)| (*name, Use::ReadOneDegree(*attr)));
    read.chain(one).chain(IGNORED.iter().map(|name| (*name, Use::Ignored))).collect()
});

/// What to do with the attribute of this name. Twins that date another attribute (`ENTPersonFonctionsDate`) are known.
pub(crate) fn of(name: &str) -> Use {
    match KNOWN.get(name) {
        Some(known) => *known,
        None if name.strip_suffix("Date").is_some_and(|stem| KNOWN.contains_key(stem)) => Use::Ignored,
        None => Use::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_known_and_news_are_not() {
        assert_eq!(of("sn"), Use::Read(Attr::LastName));
        assert_eq!(of("ENTPersonNom"), Use::ReadOneDegree(Attr::LastName));
        assert_eq!(of("ENTPersonFonctionsDate"), Use::Ignored);
        assert_eq!(of("ENTAuxEnsClassesMatieresDate"), Use::Ignored);
        assert_eq!(of("street"), Use::Ignored);
        assert_eq!(of("ENTEleveHologramme"), Use::Unknown);
        assert_eq!(KNOWN.len(), READ.len() + READ_ONE_DEGREE.len() + IGNORED.len(), "a name stands twice");
    }
}
