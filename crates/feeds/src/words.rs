//! What each code says to the people of a school's office: French sentences, which say what was found and what to do.
//!
//! No sentence holds a value of a file; the report adds the file, the line and the column.

/// The sentence of a code, of a warning or of a refusal.
pub fn sentence(code: &str) -> Option<&'static str> {
    SENTENCES.iter().find(|(known, _)| *known == code).map(|(_, sentence)| *sentence)
}

#[rustfmt::skip] // a code, its sentence
const SENTENCES: &[(&str, &str)] = &[
    // Refusals: nothing of the delivery has been taken over.
    ("feed-unreadable", "Le fichier n'a pas pu être ouvert. Renvoyez-le."),
    ("feed-empty", "Aucun fichier reconnu : attendus une livraison AAF, un export SIECLE ou ONDE, ou un tableau CSV."),
    ("feed-unknown-encoding", "Le fichier annonce un encodage de caractères inconnu. Exportez-le de nouveau, en UTF-8 si possible."),
    ("feed-bad-encoding", "Les caractères du fichier ne correspondent pas à l'encodage annoncé : des noms seraient abîmés. Exportez-le de nouveau sans l'ouvrir dans un autre logiciel."),
    ("feed-malformed", "Le fichier XML est mal formé. Exportez-le de nouveau depuis l'application d'origine, sans le modifier."),
    ("feed-truncated", "Le fichier est coupé avant sa fin. Exportez-le ou envoyez-le de nouveau."),
    ("feed-doctype-internal-subset", "Le fichier déclare des entités XML, ce qu'aucun export officiel ne fait. Il est refusé par sécurité."),
    ("feed-entity", "Le fichier fait appel à une entité XML inconnue. Il est refusé par sécurité."),
    ("feed-bad-character", "Le fichier contient un caractère de contrôle interdit."),
    ("feed-wrong-root", "Ce fichier XML n'est pas celui qui est attendu ici."),
    ("feed-incomplete", "Il manque au fichier une partie indispensable."),
    ("feed-value-too-long", "Une valeur ou une ligne est plus longue que tout ce qui existe. Dans un CSV, un guillemet ouvert n'est peut-être jamais refermé."),
    ("feed-too-many-values", "Une information a plus de valeurs, ou le tableau plus de colonnes, que tout ce qui existe."),
    ("feed-record-too-large", "Une fiche est plus volumineuse que tout ce qui existe."),
    ("feed-too-deep", "Le fichier XML est imbriqué au-delà de ce que son format permet."),
    ("feed-too-many", "Le fichier ou l'archive contient plus d'éléments que tout ce qui existe."),
    ("feed-bad-archive", "L'archive ZIP est abîmée ou protégée par un mot de passe."),
    ("feed-zip-bomb", "L'archive ZIP se déploie bien au-delà de sa taille. Elle est refusée par sécurité."),
    ("feed-swapped-pair", "Les deux fichiers STS sont intervertis."),
    ("feed-mixed-academies", "La livraison mélange les fichiers de deux académies. Envoyez-les séparément."),
    ("feed-mixed-formats", "La livraison mélange des fichiers de formats différents. Envoyez-les l'un après l'autre."),
    ("feed-mixed-modes", "La livraison mélange un complet et un delta. Envoyez d'abord le complet, puis le delta."),
    ("feed-other-academy", "Ce delta vient d'une autre académie que celle dont les personnes sont ici. Rien n'a été modifié ; vérifiez l'origine du fichier."),
    ("feed-unknown-columns", "Les titres des colonnes ne sont pas reconnus. Partez d'un des modèles proposés, ou indiquez à quoi correspond chaque colonne."),
    ("feed-bad-mapping", "La description des colonnes jointe au fichier est incorrecte."),
    ("feed-no-school", "Le fichier ne dit pas de quel établissement il s'agit. Choisissez l'établissement en l'envoyant."),
    ("feed-other-school", "Le fichier concerne un autre établissement que celui choisi."),
    ("feed-bad-rule", "Une règle de répétition de l'agenda est illisible."),
    ("feed-rule-too-dense", "Une règle de répétition de l'agenda produit plus de cours qu'une année n'en contient."),
    ("feed-bad-time", "Une date ou une heure de l'agenda est illisible."),
    ("feed-unknown-zone", "L'agenda nomme un fuseau horaire inconnu."),
    ("feed-bad-params", "La demande d'import est incomplète."),
    ("feed-cancelled", "L'import a été arrêté à la demande d'une personne."),
    ("feed-database", "La base de données ne répondait pas. L'import reprendra de lui-même."),
    ("feed-no-such-school", "Cet établissement n'est pas de ce territoire."),
    ("feed-reader-died", "L'import s'est interrompu sur une erreur de notre fait."),
    ("feed-wrong-number-of-files", "Ce format attend un autre nombre de fichiers."),
    // Any format.
    ("feed-file-ignored", "Ce fichier n'est pas d'un format reconnu : il a été laissé de côté."),
    ("feed-byte-order-mark", "Le fichier commence par une marque d'ordre des octets (BOM). Elle a été ignorée ; rien à corriger."),
    ("feed-encoding-denied", "Le fichier annonce un encodage, mais il est en réalité en UTF-8. Il a été lu en UTF-8 ; vérifiez quelques accents."),
    ("feed-oe-of-latin-9", "Le fichier contient des « œ » de l'encodage ISO-8859-15. Il a été lu dans cet encodage ; vérifiez quelques noms."),
    ("feed-ine-twice", "Deux élèves portent le même INE. Le second a été repris sans INE ; corrigez le dossier dans l'application d'origine."),
    ("feed-key-of-two-people", "Deux personnes différentes portent le même identifiant. Seule la première a été reprise, pour ne pas mélanger leurs dossiers."),
    ("feed-key-again", "Une même personne est modifiée plusieurs fois dans ce delta. Seule la première modification a été reprise."),
    ("feed-many-schools", "Cette personne est rattachée à plus de dix établissements. C'est possible pour un remplaçant ; vérifiez sinon son affectation."),
    // AAF.
    ("aaf-bad-composite", "Une information composée (classe, fonction, responsable…) n'a pas la forme prévue par l'annexe AAF. Elle a été laissée de côté."),
    ("aaf-bad-date", "Une date de naissance est illisible. La personne a été reprise sans cette date."),
    ("aaf-key-of-two-kinds", "Un même identifiant désigne des personnes de profils différents. Un seul profil a été repris."),
    ("aaf-missing-key", "Une fiche n'a pas d'identifiant. Elle a été laissée de côté."),
    ("aaf-missing-name", "Une fiche n'a pas de nom de famille. Elle a été laissée de côté."),
    ("aaf-outside-division", "Des personnes sont placées dans une classe ou un groupe que la livraison ne décrit pas. Ces rattachements attendent une prochaine livraison."),
    ("aaf-outside-guardian", "Des liens de responsabilité désignent des personnes absentes de la livraison. Ils attendent une prochaine livraison."),
    ("aaf-outside-person", "Des rattachements désignent des personnes absentes de la livraison. Ils attendent une prochaine livraison."),
    ("aaf-outside-school", "Des personnes sont rattachées à un établissement absent de la livraison. C'est habituel ; ces rattachements sont ignorés ici."),
    ("aaf-pupil-without-school", "Un élève n'est rattaché à aucun établissement. Il n'apparaîtra nulle part."),
    ("aaf-school-without-uai", "Un établissement n'a pas d'UAI utilisable. Il a été laissé de côté avec ses rattachements."),
    ("aaf-uai-check-letter", "La lettre de contrôle d'un UAI est fausse. L'établissement a été repris ; vérifiez son code."),
    ("aaf-uai-missing", "Un établissement n'a pas d'UAI."),
    ("aaf-unknown-category", "Une fiche est d'une catégorie inconnue. Elle a été laissée de côté."),
    ("aaf-unknown-element", "Le fichier contient un élément que l'annexe AAF ne décrit pas. Il a été ignoré."),
    // Tables.
    ("csv-bad-date", "Une date de naissance est illisible. La personne a été reprise sans cette date ; écrivez-la jj/mm/aaaa."),
    ("csv-bad-profile", "Le profil de cette ligne n'est pas reconnu (élève, enseignant, personnel, parent, invité). La ligne a été laissée de côté."),
    ("csv-bad-school", "L'UAI de cette ligne n'a pas la bonne forme (sept chiffres et une lettre). La ligne a été laissée de côté."),
    ("csv-child-ambiguous", "Plusieurs élèves portent le nom de l'enfant indiqué. Le parent n'a pas été relié, pour ne montrer aucun enfant à une autre famille ; précisez la classe."),
    ("csv-child-not-in-file", "L'enfant indiqué n'est pas parmi les élèves envoyés. Il sera cherché parmi les élèves déjà connus de l'établissement."),
    ("csv-date-of-spreadsheet", "Une date était écrite comme un numéro de jour de tableur. Elle a été convertie ; vérifiez-en une."),
    ("csv-date-of-two-digits", "Une date a une année à deux chiffres. Le siècle a été deviné ; écrivez l'année en entier."),
    ("csv-mixed-separators", "Cette ligne n'est pas séparée comme les autres (point-virgule, virgule ou tabulation). Elle a été lue avec son propre séparateur ; vérifiez-la."),
    ("csv-number-rounded", "Un tableur a arrondi cet identifiant (1,23E+10). Il a été ignoré ; mettez la colonne au format texte."),
    ("csv-parent-without-child", "Ce parent n'est relié à aucun enfant. Il n'aura pas d'accès."),
    ("csv-row-without-name", "Cette ligne n'a pas de nom ou de prénom. Elle a été laissée de côté."),
    ("csv-too-many-fields", "Cette ligne a plus de cases remplies que de colonnes. Les cases en trop ont été ignorées."),
    ("csv-unknown-function", "La fonction de cette personne n'est pas reconnue (direction, CPE, AED, gestionnaire, documentaliste, psychologue…). Elle a été reprise parmi les personnels, sans fonction."),
    // SIECLE.
    ("siecle-bad-date", "Une date de naissance est illisible. L'élève a été repris sans cette date."),
    ("siecle-bad-school", "Le code d'établissement (UAJ) du fichier n'est pas un UAI. Le fichier a été lu pour l'établissement choisi ; vérifiez qu'il s'agit bien de lui."),
    ("siecle-missing-key", "Une fiche n'a pas d'identifiant. Elle a été laissée de côté."),
    ("siecle-missing-name", "Une fiche n'a pas de nom ou de prénom. Elle a été laissée de côté."),
    ("siecle-unknown-structure", "Une structure n'est ni une division ni un groupe. Elle a été ignorée."),
    // Timetables.
    ("ical-duplicate", "Un cours figure deux fois dans l'agenda. Il n'a été repris qu'une fois."),
    ("ical-no-lesson-length", "Un cours n'a pas de durée. Il a été laissé de côté."),
    ("ical-no-start", "Un cours n'a pas d'heure de début. Il a été laissé de côté."),
    ("ical-no-uid", "Un cours n'a pas d'identifiant. Il a été laissé de côté."),
    ("ical-old-rule", "Une règle de répétition d'un ancien format a été ignorée."),
    ("ical-whole-day", "Un événement d'une journée entière n'est pas un cours. Il a été laissé de côté."),
    ("sts-bad-day", "Un cours tombe un jour impossible. Il a été laissé de côté."),
    ("sts-bad-time", "Un cours a une heure ou une durée illisible. Il a été laissé de côté."),
    ("sts-unknown-alternation", "Un cours suit une alternance de semaines que le fichier ne décrit pas. Il a été laissé de côté."),
    ("timetable-unknown-division", "Un cours désigne une classe ou un groupe inconnu de l'établissement."),
    ("timetable-unknown-teacher", "Un cours désigne un enseignant inconnu de l'établissement."),
    // The merge.
    ("feed-change-of-unknown", "Une modification concerne une personne qui n'est pas ici. Elle a été laissée de côté ; un complet la rétablira."),
    ("feed-earlier-delivery-waits", "Une livraison plus ancienne attend encore une décision."),
    ("feed-new-administrator", "Cette livraison donnerait les droits d'administration à de nouvelles personnes. Elle attend votre accord."),
    ("feed-no-pupils", "Le complet ne contient aucun élève pour un établissement qui en a. Rien n'a été modifié ; il attend votre accord."),
    ("feed-other-files", "Les fichiers ont changé depuis le début de cet import. Relancez-le depuis le début."),
    ("feed-bad-schedule", "L'horaire de l'import programmé est incorrect."),
    ("feed-no-randomness", "Le serveur n'a pas pu tirer les codes d'activation. L'import reprendra de lui-même."),
    ("feed-school-closed", "Cet établissement est fermé."),
    ("feed-school-not-known", "Cet établissement n'est pas encore connu ici."),
    ("feed-school-not-staged", "La fiche de cet établissement manque à la livraison."),
    ("feed-school-of-another-territory", "Cet établissement appartient à un autre territoire. Rien n'y a été modifié."),
    ("feed-school-refused", "Les données de cet établissement ont été refusées par la base. Les autres établissements ont été traités."),
    ("feed-several-could-be-meant", "Plusieurs personnes déjà connues pourraient être celle de cette ligne. Aucune n'a été modifiée."),
    ("feed-too-many-departures", "Trop de personnes quitteraient l'établissement d'un coup. Rien n'y a été modifié."),
    ("feed-too-many-pupils-gone", "Plus de 5 % des élèves disparaîtraient. Rien n'a été modifié ; l'import attend votre accord."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// All codes written in the sources of this crate.
    fn codes(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                codes(&path, found);
            } else if path.to_str().is_some_and(|it| {
                it.ends_with(".rs") && !it.ends_with("_tests.rs") && !it.ends_with("words.rs")
            }) {
                let text = fs::read_to_string(&path).unwrap();
                for quoted in text.split('"').filter(|quoted| quoted.len() < 60) {
                    let family = quoted.split_once('-').map(|(family, _)| family);
                    let code = quoted
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'0'..=b'9'));
                    if code
                        && matches!(
                            family,
                            Some("feed" | "aaf" | "csv" | "siecle" | "sts" | "ical" | "timetable")
                        )
                    {
                        found.insert(quoted.to_owned());
                    }
                }
            }
        }
    }

    #[test]
    fn every_code_has_its_sentence_and_every_sentence_its_code() {
        let mut found = BTreeSet::new();
        codes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let known: BTreeSet<String> = SENTENCES.iter().map(|(code, _)| (*code).to_owned()).collect();
        assert_eq!(known.len(), SENTENCES.len(), "a code stands twice");
        let mute: Vec<_> = found.difference(&known).collect();
        assert!(mute.is_empty(), "no sentence for {mute:?}");
        let idle: Vec<_> = known.difference(&found).collect();
        assert!(idle.is_empty(), "nothing says {idle:?}");
        for (code, sentence) in SENTENCES {
            assert!(sentence.ends_with('.') && sentence.len() < 240, "{code}");
            assert!(!code.ends_with("-date") || sentence.contains("date"), "{code}");
        }
    }
}
