//! Names as France bears them, from everywhere; letters that ISO-8859-15 has.

#[rustfmt::skip] // a word a line says no more
pub(super) const GIRLS: &[&str] = &[
    "Adèle", "Agathe", "Aïcha", "Alice", "Alix", "Amandine", "Ambre", "Amina", "Anaïs", "Anna", "Anouk",
    "Apolline", "Assia", "Aurore", "Aya", "Camille", "Capucine", "Chloé", "Clara", "Clémence", "Coralie",
    "Diane", "Djamila", "Élise", "Emma", "Estelle", "Éva", "Fanny", "Fatou", "Fatoumata", "Fleur",
    "Gabrielle", "Garance", "Hana", "Hélène", "Inès", "Iris", "Jade", "Jeanne", "Joséphine", "Judith",
    "Julia", "Juliette", "Khadija", "Lana", "Léa", "Léonie", "Lila", "Lina", "Linh", "Lou", "Louise",
    "Lucie", "Maëlle", "Maïmouna", "Malia", "Manon", "Margaux", "Maria", "Mariam", "Marie", "Marine",
    "Mathilde", "Maya", "Mélanie", "Mia", "Mila", "Naïma", "Nina", "Noémie", "Nora", "Océane", "Olivia",
    "Ophélie", "Pauline", "Rachel", "Romane", "Rose", "Roxane", "Sabrina", "Safia", "Salomé", "Samira",
    "Sarah", "Sirine", "Sofia", "Solène", "Suzanne", "Tess", "Thaïs", "Valentine", "Victoire", "Vinh-An",
    "Yasmine", "Yuna", "Zélie", "Zoé",
];

#[rustfmt::skip] // a word a line says no more
pub(super) const BOYS: &[&str] = &[
    "Abdoulaye", "Adam", "Adrien", "Alexandre", "Alexis", "Amine", "Antoine", "Arthur", "Aurélien", "Axel",
    "Ayoub", "Baptiste", "Basile", "Benjamin", "Bilal", "Boubacar", "Bruno", "Célestin", "Clément", "Côme",
    "Corentin", "Cyprien", "Damien", "David", "Diego", "Élias", "Éliott", "Émile", "Enzo", "Erwan",
    "Étienne", "Fabien", "Félix", "Gabin", "Gabriel", "Gaël", "Gaspard", "Grégoire", "Gustave", "Hakim",
    "Hippolyte", "Hugo", "Ibrahim", "Idriss", "Ilyès", "Isaac", "Ismaël", "Jean", "Joachim", "Joao",
    "Joseph", "Jules", "Kaïs", "Karim", "Kévin", "Kylian", "Léandre", "Léo", "Léon", "Liam", "Loïc",
    "Louis", "Lucas", "Mahé", "Malo", "Mamadou", "Marius", "Martin", "Mathéo", "Mathis", "Maxence", "Mehdi",
    "Milan", "Moussa", "Naël", "Nathan", "Nicolas", "Nino", "Noah", "Noé", "Octave", "Oscar", "Ousmane",
    "Pablo", "Paul", "Quentin", "Raphaël", "Rayan", "Robin", "Romain", "Sacha", "Samuel", "Simon", "Sohan",
    "Soren", "Tao", "Théo", "Thibault", "Timéo", "Tom", "Tristan", "Ulysse", "Valentin", "Victor", "Wassim",
    "William", "Yanis", "Yannick", "Youssef", "Zacharie",
];

#[rustfmt::skip] // a word a line says no more
pub(super) const FAMILIES: &[&str] = &[
    "Abbas", "Adam", "Aït-Ali", "Albert", "Almeida", "Amrani", "André", "Antoine", "Arnaud", "Aubert",
    "Aubry", "Bah", "Bailly", "Baldé", "Barbier", "Barry", "Baron", "Baudry", "Belkacem", "Ben Saïd",
    "Benali", "Benoît", "Berger", "Bernard", "Berthelot", "Besnard", "Bertin", "Blanc", "Blanchard",
    "Boulanger", "Bourgeois", "Bouvier", "Boyer", "Brun", "Brunet", "Camara", "Carpentier", "Caron",
    "Carré", "Charpentier", "Chauvin", "Chen", "Chevalier", "Cissé", "Clerc", "Colin", "Collet",
    "Coulibaly", "Cordier", "Costa", "Cousin", "Da Silva", "Daniel", "David", "Delattre", "Delaunay",
    "Delmas", "Denis", "Deschamps", "Devaux", "Diaby", "Diallo", "Diarra", "Dias", "Diop", "Dubois",
    "Dufour", "Dumas", "Dumont", "Dupont", "Dupuis", "Durand", "Duval", "El Amrani", "Étienne", "Evrard",
    "Fabre", "Fall", "Faure", "Fernandes", "Ferrari", "Ferreira", "Fleury", "Fofana", "Fontaine",
    "Fournier", "François", "Garcia", "Garnier", "Gauthier", "Gautier", "Gay", "Gérard", "Germain",
    "Gilbert", "Gillet", "Girard", "Giraud", "Gomes", "Gonçalves", "Gonzalez", "Grandjean", "Grondin",
    "Guérin", "Guichard", "Guillaume", "Guillot", "Guyot", "Haddad", "Hamel", "Hamon", "Henry", "Hervé",
    "Hoarau", "Hoang", "Hubert", "Huet", "Imbert", "Jacob", "Jacquet", "Joly", "Jourdan", "Julien",
    "Kaddour", "Kanté", "Keïta", "Khelifi", "Konaté", "Koné", "Kowalski", "Lacroix", "Lambert", "Langlois",
    "Laurent", "Lê", "Le Gall", "Le Goff", "Le Roux", "Lebon", "Leclerc", "Lefebvre", "Lefèvre", "Léger",
    "Legrand", "Lemaire", "Lemoine", "Leroy", "Lévêque", "Lopes", "Lopez", "Lucas", "Maillard", "Mallet",
    "Marchal", "Marchand", "Maréchal", "Marie", "Martin", "Martinez", "Marty", "Masson", "Mathieu", "Mbaye",
    "Mendes", "Mercier", "Meunier", "Meyer", "Michaud", "Michel", "Millet", "Monnier", "Moreau", "Morel",
    "Moreira", "Morin", "Moulin", "Muller", "Ndiaye", "Nguyen", "Nicolas", "Noël", "Nowak", "Olivier",
    "Ouattara", "Paris", "Pascal", "Payet", "Pereira", "Perez", "Perret", "Perrin", "Perrot", "Petit",
    "Pham", "Philippe", "Picard", "Pichon", "Pierre", "Poirier", "Pons", "Poulain", "Prévost", "Rahmani",
    "Rakoto", "Rémy", "Renard", "Renaud", "Rey", "Reynaud", "Ribeiro", "Richard", "Rivière", "Robert",
    "Robin", "Roche", "Rodrigues", "Roger", "Rolland", "Roussel", "Rousseau", "Roux", "Royer", "Saïdi",
    "Sanchez", "Sarr", "Schmitt", "Schneider", "Simon", "Sissoko", "Soares", "Sow", "Sylla", "Tavares",
    "Techer", "Teixeira", "Thomas", "Tissot", "Touré", "Traoré", "Tran", "Vallet", "Vasseur", "Vidal",
    "Vincent", "Vitry", "Wagner", "Weber", "Yilmaz", "Zidane", "Zimmermann",
];

/// After whom schools are called.
#[rustfmt::skip] // a word a line says no more
pub(super) const PATRONS: &[&str] = &[
    "Louise-Michel", "Marie-Curie", "Jean-Jaurès", "Simone-Veil", "Victor-Hugo", "Joséphine-Baker",
    "Jules-Verne", "Olympe-de-Gouges", "Albert-Camus", "Rosa-Parks", "Émile-Zola", "Berthe-Morisot",
    "Pablo-Picasso", "Germaine-Tillion", "Molière", "Sophie-Germain", "Louis-Pasteur", "Lucie-Aubrac",
    "Jacques-Prévert", "Colette", "Aimé-Césaire", "Camille-Claudel", "Voltaire", "George-Sand",
    "Paul-Éluard", "Marie-Laurencin", "Robert-Desnos", "Hélène-Boucher",
];

/// Towns that are on no map.
#[rustfmt::skip] // a word a line says no more
pub(super) const TOWNS: &[&str] = &[
    "Belleroche-sur-Orme", "Montclairval", "Saint-Aubin-les-Préaux", "Vauxrives", "Pontbrun",
    "La Ferté-aux-Tilleuls", "Castelmire", "Hautesource", "Saint-Géry-des-Bois", "Rochebleue", "Valdorme",
    "Neuville-la-Garenne", "Ormesson-le-Vieux", "Clairfontaine", "Marsevigne", "Lysbourg", "Trois-Moulins",
    "Beauchesnes",
];

/// The overseas school's town.
pub(super) const OVERSEAS_TOWN: &str = "Saint-Philibert-les-Hauts";
