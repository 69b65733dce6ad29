// Journeys of administrators through the sections that their program draws: records, tables, duplicates, rights, programs, the year.
import assert from 'node:assert/strict';
import { DESKTOP, inspect, person } from './browser.mjs';
import { REFUSED, enter, of } from './accounts.mjs';

/** Opens a section and waits until the program has drawn it. */
async function section(page, path, name) {
  await page.goto(path);
  await page.waitForSelector('html[data-ready]', { state: 'attached' });
  await page.waitForFunction(() => !/^Chargement/.test(document.querySelector('#admin .empty')?.textContent ?? ''));
  await inspect(page, name);
  await page.setViewportSize(DESKTOP);
}

/** A school of an académie of its own, said to be complete, with its first `count` pupils. */
function complet(count) {
  const value = (name, text) => `<attr name="${name}"><value>${text}</value></attr>`;
  const object = (kind, category, key, attributes) =>
    `<addRequest><operationalAttributes>${value(kind, category)}</operationalAttributes><identifier><id>${key}</id></identifier>` +
    `<attributes>${attributes}</attributes></addRequest>\n`;
  const school = value('ENTStructureJointure', 77) + value('ENTStructureUAI', '0750001D') + value('ENTStructureNomCourant', 'COLLEGE$DES ESSAIS$PARIS');
  const pupils = Array.from({ length: count }, (_, at) =>
    object('categoriePersonne', 'Eleve', 9000 + at, [
      value('ENTPersonJointure', 9000 + at), value('sn', `Essai${at}`), value('givenName', 'Lou'),
      value('ENTPersonStructRattach', 77), value('ENTEleveClasses', '77$6e Z'),
    ].join('')),
  );
  const xml = `<ficAlimMENESR>\n<!-- codeAcademieExport="24" -->\n${object('categorieStructure', 'EtabEducNat', 77, school)}${pupils.join('')}</ficAlimMENESR>\n`;
  return { name: 'ENT_Complet_20261125_Eleve_0000.xml', mimeType: 'application/xml', buffer: Buffer.from(xml) };
}

export const officeScenarios = [
  ['an administrator adds somebody, changes the record, and ends a profile', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    const account = of(accounts, 'school_admin')[0];
    await enter(page, account);
    const school = `/administration/ecoles/${account.school_id}`;
    await page.goto(school);
    await page.getByRole('link', { name: 'Ajouter une personne' }).click();
    await page.waitForSelector('html[data-ready]', { state: 'attached' });
    await inspect(page, 'administration-fiche-nouvelle');
    await page.getByLabel('Nom de famille').first().fill('Zéphyrin');
    await page.getByLabel('Prénom').fill('Éloïse');
    await page.getByLabel('Profil').first().selectOption('staff');
    await page.getByRole('button', { name: 'Créer' }).click();
    await page.getByRole('heading', { name: 'Éloïse Zéphyrin' }).waitFor();
    await page.getByRole('link', { name: 'Modifier la fiche' }).click();
    await page.getByLabel('Nom de famille').fill('Zéphir');
    await page.getByLabel(/^Adresse e-mail/).fill('eloise.zephir@exemple.test');
    await page.getByRole('button', { name: 'Enregistrer' }).click();
    await page.getByText('La fiche est enregistrée.').waitFor();
    await inspect(page, 'administration-fiche');
    await page.setViewportSize(DESKTOP);
    await page.getByRole('button', { name: /^Terminer/ }).click();
    await page.getByRole('button', { name: /^Oui/ }).click();
    await page.getByText('Le profil est terminé.').waitFor();
    await page.getByText(/^Terminé le/).waitFor();
    await leave();
  }],

  ['a table of people is read, explained and applied; a list is exported', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    const account = of(accounts, 'school_admin')[0];
    await enter(page, account);
    const tables = `/administration/ecoles/${account.school_id}/tableaux`;
    await section(page, tables, 'administration-tableaux');
    const rows = 'action;profil;nom;prenom\ncréer;élève;Tableau;Ana\ncréer;pilote;Faux;Luc\n';
    await page.getByLabel('Fichier').setInputFiles({ name: 'personnes.csv', mimeType: 'text/csv', buffer: Buffer.from(rows) });
    await page.getByRole('button', { name: 'Lire le fichier' }).click();
    await page.getByRole('heading', { name: 'Ce qui serait fait' }).waitFor();
    await page.getByText('Refusée', { exact: true }).waitFor();
    await inspect(page, 'administration-tableaux-compte-rendu');
    await page.setViewportSize(DESKTOP);
    await page.getByLabel('Laisser de côté les lignes refusées').check();
    await page.getByRole('button', { name: 'Appliquer' }).click();
    await page.getByText('Le tableau est appliqué.').waitFor();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Personnes et comptes' }).click()]);
    assert.equal(file.suggestedFilename().endsWith('.csv'), true);
    await leave();
  }],

  ['rights, blocks of a profile, duplicates and programs of a school', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    const account = of(accounts, 'school_admin')[0];
    await enter(page, account);
    const school = `/administration/ecoles/${account.school_id}`;
    await section(page, `${school}/droits`, 'administration-droits');
    await page.getByLabel('Importer un tableau CSV').uncheck();
    await page.getByRole('button', { name: 'Enregistrer' }).click();
    await page.getByText('Les droits sont enregistrés.').waitFor();
    await page.reload();
    assert.equal(await page.getByLabel('Importer un tableau CSV').isChecked(), false);
    await page.getByLabel('Profil', { exact: true }).selectOption('guardian');
    await page.getByLabel('Motif').fill('Essai de fermeture');
    await page.getByLabel(/^Jusqu’au/).fill('2027-06-30');
    await page.getByRole('button', { name: 'Fermer un profil' }).click();
    await page.getByText('Le profil est fermé').waitFor();
    await page.getByRole('button', { name: /^Rouvrir/ }).click();
    await page.getByRole('button', { name: /^Oui/ }).click();
    await page.getByText('Le profil est rouvert.').waitFor();

    await section(page, `${school}/doublons`, 'administration-doublons');
    await section(page, `${school}/clients`, 'administration-programmes');
    await page.getByLabel('Nom', { exact: true }).fill('Écran du hall');
    await page.getByLabel('À quoi il sert').fill('Afficher les cours du jour');
    await page.getByLabel('Adresse e-mail de qui s’en occupe').fill('vie.scolaire@exemple.test');
    await page.getByLabel(/^Jusqu’au/).first().fill('2027-07-31');
    await page.getByLabel(/timetable:read/).check();
    await page.getByRole('button', { name: 'Autoriser' }).click();
    await page.getByRole('heading', { name: 'Le secret du programme' }).waitFor();
    const shown = await page.locator('.given').last().innerText();
    assert.match(shown, /^preau_cs_/);
    await inspect(page, 'administration-programme-secret');
    await page.setViewportSize(DESKTOP);
    await page.getByRole('button', { name: /^Nouveau secret/ }).click();
    await page.waitForFunction((before) => [...document.querySelectorAll('.given')].at(-1)?.textContent !== before, shown);
    await page.getByRole('button', { name: /^Retirer/ }).click();
    await page.getByRole('button', { name: /^Oui/ }).click();
    await page.getByText('Le programme n’entre plus.').waitFor();
    await leave();
  }],

  ['a school and a territory say of whom the second step is asked, and see whom that reaches', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    const account = of(accounts, 'school_admin')[0];
    await enter(page, account);
    const school = `/administration/ecoles/${account.school_id}`;
    await section(page, `${school}/securite`, 'administration-securite');
    const closed = page.getByLabel('Fermer l’administration aux sessions ouvertes par le mot de passe seul');
    const save = page.getByRole('button', { name: 'Enregistrer' });
    const coming = page.getByRole('heading', { name: 'Ce qui va changer' });
    await page.getByRole('cell').first().waitFor();
    await closed.check();
    await coming.waitFor();
    await page.getByText(/avant d’administrer\u00a0: \d+ sur [1-9]/).waitFor();
    await inspect(page, 'administration-securite-apercu');
    await page.setViewportSize(DESKTOP);
    await save.click();
    await page.getByText('C’est enregistré.').waitFor();
    await coming.waitFor({ state: 'detached' });
    await page.reload();
    await page.waitForFunction(() => document.querySelector('#administrators_prove')?.checked === true);
    await page.goto(`${school}/journal`);
    await page.getByRole('cell', { name: 'identity.second-factor-policy' }).first().waitFor();
    // As it was: the other journeys are played by people who have no second step.
    await page.goto(`${school}/securite`);
    await closed.uncheck();
    await page.getByText('Le mot de passe seul suffira de nouveau').waitFor();
    await save.click();
    await page.getByText('C’est enregistré.').waitFor();
    await leave();

    const above = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    await enter(above.page, of(accounts, 'territory_admin')[0]);
    await section(above.page, '/administration/territoire/securite', 'administration-securite-territoire');
    await above.page.getByLabel('La demander aussi aux enseignants').check();
    await above.page.getByText(/Enseignants à qui elle sera demandée\u00a0: [1-9]/).waitFor();
    await above.leave();
  }],

  ['an exception and a suspension are decided, read and ended', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    const account = of(accounts, 'school_admin')[0];
    await enter(page, account);
    const school = `/administration/ecoles/${account.school_id}`;
    await section(page, `${school}/plages`, 'administration-plages');
    await page.getByLabel(/^Niveaux/).last().selectOption(['6e']);
    const soon = new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10);
    await page.getByLabel(/^Jusqu’au/).last().fill(soon);
    await page.getByLabel('Motif').last().fill('Voyage de classe');
    await page.getByRole('button', { name: 'Laisser venir' }).click();
    const voyage = page.getByRole('row', { name: /6e .*Voyage de classe/ });
    await voyage.getByRole('button', { name: /^Mettre fin/ }).click();
    await voyage.getByRole('button', { name: /^Oui/ }).click();
    await voyage.getByText('Terminé').waitFor();

    await section(page, `${school}/suspensions`, 'administration-suspensions');
    await page.getByLabel('Fichiers').check();
    await page.getByLabel(/^Jusqu’au/).fill(soon);
    await page.getByLabel('Motif').fill('Essai de suspension');
    await page.getByRole('button', { name: 'Suspendre' }).click();
    const files = page.getByRole('row', { name: /Responsables.*\(Fichiers\).*Essai de suspension/ });
    await files.getByRole('button', { name: /^Lever/ }).click();
    await files.getByRole('button', { name: /^Oui/ }).click();
    await files.getByText('Terminé').waitFor();
    await leave();
  }],

  ['a territory prepares its year’s end and its night feed, and looks for duplicates', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    const [account] = of(accounts, 'territory_admin');
    await enter(page, account);
    await section(page, '/administration/territoire/annee', 'administration-annee');
    await page.getByRole('button', { name: 'Compter' }).click();
    await page.getByText('C’est compté. Rien n’a changé.').waitFor();
    await page.getByText('Préparée', { exact: true }).waitFor();
    await page.getByRole('button', { name: /^Démarrer/ }).waitFor();
    await page.reload();
    await page.getByText('Préparée', { exact: true }).waitFor(); // found again by who comes back
    await inspect(page, 'administration-annee-preparee');
    await page.setViewportSize(DESKTOP);

    await section(page, '/administration/territoire/imports', 'administration-imports');
    await page.getByLabel('Dossier ou archive').fill('aaf/complet');
    await page.getByLabel('Lire la livraison chaque nuit').check();
    await page.getByRole('button', { name: 'Enregistrer' }).click();
    await page.getByText('C’est enregistré.').waitFor();

    await section(page, '/administration/territoire/doublons', 'administration-doublons-territoire');
    await page.getByRole('button', { name: 'Chercher les doublons' }).click();
    await page.getByText('La recherche a commencé.').waitFor();
    await section(page, '/administration/territoire/clients', 'administration-programmes-territoire');
    await leave();
  }],

  ['a halved delivery waits, says why, is thrown away, then let pass', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    const [account] = of(accounts, 'territory_admin');
    await enter(page, account);
    await section(page, '/administration/territoire/imports', 'administration-imports-vide');
    const send = async (count) => {
      await page.getByLabel('Fichier').setInputFiles(complet(count));
      await page.getByLabel(/^Essai à blanc/).uncheck();
      const [answer] = await Promise.all([
        page.waitForResponse((one) => one.url().endsWith('/directory-imports') && one.request().method() === 'POST'),
        page.getByRole('button', { name: 'Importer un annuaire' }).click(),
      ]);
      // The job's own row: those of the demo's imports stand in the same table, and are done.
      const { id } = await answer.json();
      const row = page.getByRole('table', { name: 'Imports' }).locator('tbody tr', { has: page.locator(`a[href*="${id}"]`) });
      return (state) => row.getByText(state, { exact: true }).waitFor();
    };
    await (await send(40))('Terminé');
    await page.getByText('Aucun établissement n’attend de décision.').waitFor();
    const held = page.getByRole('heading', { name: /DES ESSAIS/ });
    const why = page.getByText('20 élèves sur 40 disparaîtraient : au-delà de 5 %, quelqu’un décide.');
    await (await send(20))('Attend une décision');
    await held.waitFor();
    await why.waitFor();
    await page.getByText(/20 qui ne seraient plus nulle part/).waitFor();
    await inspect(page, 'administration-imports-retenu');
    await page.setViewportSize(DESKTOP);
    await page.getByRole('button', { name: /^Refuser/ }).click();
    await page.getByText(/rien ne changera avant la prochaine livraison/).waitFor();
    await held.waitFor({ state: 'detached' });
    // Nobody has left: the same file waits for the same reason again.
    const third = await send(20);
    await third('Attend une décision');
    await why.waitFor();
    await page.getByRole('button', { name: /^Approuver/ }).click();
    await page.getByText(/l’import va continuer/).waitFor();
    await held.waitFor({ state: 'detached' });
    await third('Terminé');
    await leave();
  }],

  ['whoever has a passkey may sign in with it alone', async ({ browser, url }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED });
    await page.goto('/connexion');
    await page.getByRole('button', { name: 'Utiliser ma clé d’accès' }).click();
    await page.waitForURL('/connexion/code');
    await page.getByRole('heading', { name: 'Utiliser ma clé d’accès' }).waitFor();
    await inspect(page, 'connexion-cle');
    await leave();
  }],
];
