// Journeys of accounts and of their administrators: second factor, lost password, sheets, codes, blocks, rules, PIN.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DESKTOP, SHOTS, inspect, person, signIn, totp } from './browser.mjs';

export const REFUSED = [/status of 4\d\d/];
export const of = (accounts, role) => {
  const found = accounts.filter((account) => account.role === role);
  assert.ok(found.length > 0, `the demo has no ${role}`);
  return found;
};

/** The last step of each authenticator that was used: a code counts once, and none before it does. */
const last = new Map();

/** The next code: this step's, or the one after it, which the server takes for clocks that run ahead. */
async function freshCode(secret) {
  for (;;) {
    const now = Math.floor(Date.now() / 30_000);
    const step = Math.max(now, (last.get(secret) ?? 0) + 1);
    if (step <= now + 1) {
      last.set(secret, step);
      return totp(secret, step * 30_000);
    }
    await new Promise((resolve) => setTimeout(resolve, 200)); // until the authenticator shows another
  }
}

/** Signs in with the second factor, where the account has one. */
export async function enter(page, account, to = '/') {
  await page.goto('/connexion');
  await page.getByLabel('Identifiant').fill(account.login);
  await page.getByLabel('Mot de passe', { exact: true }).fill(account.password);
  await page.getByRole('button', { name: 'Se connecter' }).click();
  if (account.totp_secret) {
    await page.waitForURL(/connexion\/code/);
    await page.getByLabel('Code', { exact: true }).fill(await freshCode(account.totp_secret));
    await page.getByRole('button', { name: 'Se connecter' }).click();
  }
  await page.waitForURL((at) => at.pathname === to || at.pathname === '/compte/double-authentification');
  // An administrator who has no second factor yet is held until there is one.
  if (page.url().includes('double-authentification')) await setUp(page, account);
  if (!page.url().endsWith(to)) await page.goto(to);
}

/** Sets a second factor up, as the page asks; `look` sees each step. */
async function setUp(page, account, look = async () => {}) {
  await look('etape-1');
  await page.getByLabel('Mot de passe actuel').fill(account.password);
  await page.getByRole('button', { name: 'Continuer' }).click();
  const secret = (await page.locator('.secret').innerText()).replace(/\s/g, '');
  await look('etape-2');
  await page.getByLabel('Code', { exact: true }).fill(await freshCode(secret));
  await page.getByRole('button', { name: 'Activer' }).click();
  await page.getByRole('heading', { name: 'Codes de secours' }).waitFor();
  account.totp_secret = secret;
  account.recovery = await page.locator('.recovery li').allInnerTexts();
  assert.ok(account.recovery.length >= 8, 'recovery codes are shown');
  await look('codes');
  await page.getByRole('link', { name: 'Je les ai mis de côté' }).click();
  await page.getByText('La vérification en deux étapes est activée.').waitFor();
}

/** The newest mail to an address, once there is one that `wanted` finds something in. */
async function mailTo(folder, address, wanted) {
  const end = Date.now() + 30_000;
  for (;;) {
    for (const name of readdirSync(folder).sort().reverse()) {
      const raw = readFileSync(join(folder, name), 'utf8');
      if (!raw.toLowerCase().includes(address.toLowerCase())) continue;
      const text = raw.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
      const found = wanted.exec(text);
      if (found) return found[1] ?? found[0];
    }
    assert.ok(Date.now() < end, `no mail to ${address} with ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, 100)); // the worker's own pace
  }
}

/** From the page of the account: gives an address and confirms it by the code that is mailed; returns the code. */
async function giveAddress(page, account, address, mail, look = async () => {}, before = '') {
  await page.getByRole('link', { name: /Adresse e-mail/ }).click();
  await page.getByLabel('Adresse e-mail').fill(address);
  await page.getByRole('button', { name: 'Envoyer un code' }).click();
  if (page.url().includes('confirmer')) {
    await look('confirmer');
    await page.getByLabel('Mot de passe actuel').fill(account.password);
    await page.getByRole('button', { name: 'Continuer' }).click();
    await page.getByLabel('Adresse e-mail').fill(address);
    await page.getByRole('button', { name: 'Envoyer un code' }).click();
  }
  await page.waitForURL('/compte/courriel/code');
  await look('courriel-code');
  const code = await mailTo(mail, address, before ? new RegExp(`\\b(?!${before})(\\d{6})\\b`) : /\b(\d{6})\b/);
  await page.getByLabel('Code', { exact: true }).fill(code);
  await page.getByRole('button', { name: 'Confirmer' }).click();
  await page.getByText('Votre adresse e-mail est confirmée.').waitFor();
  return code;
}

export const accountScenarios = [
  ['a second factor is set up, and a recovery code stands in for it', async ({ browser, url, accounts }) => {
    const account = of(accounts, 'teacher').find((one) => !one.totp_secret);
    const { page, leave } = await person(browser, url, { allow: REFUSED });
    await signIn(page, account);
    await page.goto('/compte/double-authentification');
    await setUp(page, account, (step) => inspect(page, `double-authentification-${step}`));
    await page.goto('/compte/cles');
    await inspect(page, 'cles');
    await leave();
    const later = await person(browser, url, { allow: REFUSED });
    await later.page.goto('/connexion');
    await later.page.getByLabel('Identifiant').fill(account.login);
    await later.page.getByLabel('Mot de passe', { exact: true }).fill(account.password);
    await later.page.getByRole('button', { name: 'Se connecter' }).click();
    await later.page.getByRole('heading', { name: 'Vérification en deux étapes' }).waitFor();
    await inspect(later.page, 'connexion-code');
    await later.page.getByLabel('Code', { exact: true }).fill('000000');
    await later.page.getByRole('button', { name: 'Se connecter' }).click();
    await later.page.getByRole('alert').getByText('Ce code n’est pas le bon').waitFor();
    await later.page.getByLabel('Code', { exact: true }).fill(account.recovery[0]);
    await later.page.getByRole('button', { name: 'Se connecter' }).click();
    await later.page.waitForURL('/');
    await later.leave();
  }],

  ['an administrator signs in with a second factor, without JavaScript', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, javaScriptEnabled: false });
    await enter(page, of(accounts, 'school_admin')[0]);
    await page.getByRole('heading', { name: /^Bonjour/ }).waitFor();
    await leave();
  }],

  ['an address is confirmed, and a lost password found again by mail', async ({ browser, url, accounts, mail }) => {
    if (!mail) return 'not on a server that is already running';
    const account = of(accounts, 'guardian').at(-1);
    const address = `parent.${process.pid}@exemple.test`;
    const { page, leave } = await person(browser, url, { allow: REFUSED });
    await signIn(page, account);
    await page.goto('/compte');
    await inspect(page, 'compte');
    await giveAddress(page, account, address, mail, (name) => inspect(page, name));
    await leave();

    const lost = await person(browser, url, { allow: REFUSED, javaScriptEnabled: false });
    await lost.page.goto('/connexion');
    await lost.page.getByRole('link', { name: 'Mot de passe oublié' }).click();
    await lost.page.getByLabel('Identifiant ou adresse e-mail').fill(account.login);
    await lost.page.getByRole('button', { name: 'Envoyer' }).click();
    await lost.page.getByRole('heading', { name: 'Regardez votre messagerie' }).waitFor();
    const link = await mailTo(mail, address, /https?:\/\/\S*(\/reinitialisation\/[^\s<>"]+)/);
    await lost.page.goto(link);
    await lost.page.getByLabel('Choisissez un mot de passe').fill('azerty');
    await lost.page.getByRole('button', { name: 'Choisir un nouveau mot de passe' }).click();
    await lost.page.getByRole('alert').waitFor();
    const fresh = 'quatre mots choisis au hasard';
    await lost.page.getByLabel('Choisissez un mot de passe').fill(fresh);
    await lost.page.getByRole('button', { name: 'Choisir un nouveau mot de passe' }).click();
    await lost.page.waitForURL(/nouveau/).catch(async () => assert.fail(await lost.page.locator('main').innerText()));
    await lost.page.getByText('Votre mot de passe est changé.').waitFor();
    await lost.page.goto(link);
    await lost.page.getByLabel('Choisissez un mot de passe').fill(fresh);
    await lost.page.getByRole('button', { name: 'Choisir un nouveau mot de passe' }).click();
    await lost.page.getByRole('alert').getByText('Ce lien ne marche plus').waitFor();
    account.password = fresh;
    await signIn(lost.page, account);
    await lost.leave();
    const shown = await person(browser, url);
    for (const [path, name] of [['/mot-de-passe-oublie', 'oubli'], ['/reinitialisation', 'reinitialisation'], ['/identifiant-oublie', 'identifiant-oublie']]) {
      await shown.page.goto(path);
      await inspect(shown.page, name);
    }
    await shown.leave();
    return null;
  }],

  ['several people have one address: the page asks who signs in, without JavaScript', async ({ browser, url, accounts, mail }) => {
    if (!mail) return 'not on a server that is already running';
    const address = `famille.${process.pid}@exemple.test`;
    const couple = of(accounts, 'guardian').slice(0, 2);
    let before = '';
    for (const account of couple) {
      const { page, leave } = await person(browser, url, { allow: REFUSED });
      await signIn(page, account);
      await page.goto('/compte');
      before = await giveAddress(page, account, address, mail, undefined, before);
      await leave();
    }
    const [first, second] = couple;
    const { page, leave } = await person(browser, url, { allow: REFUSED, javaScriptEnabled: false });
    await page.goto('/connexion?vers=/compte');
    await page.getByLabel('Identifiant').fill(address);
    await page.getByLabel('Mot de passe', { exact: true }).fill(first.password);
    await page.getByRole('button', { name: 'Se connecter' }).click();
    await page.getByRole('heading', { name: 'Qui se connecte ?' }).waitFor();
    assert.equal(await page.getByRole('radio').count(), 2);
    assert.equal((await page.content()).includes(first.password), false, 'no page keeps a password');
    const mine = page.locator('.choice', { hasText: second.login });
    await mine.getByRole('radio').check();
    await page.getByLabel('Mot de passe', { exact: true }).fill(second.password);
    await page.getByRole('button', { name: 'Se connecter' }).click();
    await page.waitForURL('/compte');
    await page.getByText(second.login).first().waitFor();
    await leave();
    const shown = await person(browser, url, { allow: REFUSED });
    await shown.page.goto('/connexion');
    await shown.page.getByLabel('Identifiant').fill(address);
    await shown.page.getByLabel('Mot de passe', { exact: true }).fill(first.password);
    await shown.page.getByRole('button', { name: 'Se connecter' }).click();
    await shown.page.getByRole('heading', { name: 'Qui se connecte ?' }).waitFor();
    await inspect(shown.page, 'connexion-qui');
    await shown.leave();
    return null;
  }],

  ['sheets print eight to a page', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { viewport: DESKTOP });
    await enter(page, of(accounts, 'teacher').at(-1));
    await page.goto('/fiches');
    await inspect(page, 'fiches-choix');
    await page.setViewportSize(DESKTOP);
    await page.getByRole('button', { name: 'Préparer les fiches' }).first().click();
    await page.getByRole('button', { name: 'Imprimer' }).or(page.getByText('déjà activés')).first().waitFor();
    const slips = await page.locator('.slip').count();
    await inspect(page, 'fiches');
    const pdf = await page.pdf({ preferCSSPageSize: true });
    writeFileSync(join(SHOTS, 'fiches.pdf'), pdf);
    const pages = pdf.toString('latin1').match(/\/Type \/Page\b(?!s)/g)?.length ?? 0;
    assert.equal(pages, Math.max(1, Math.ceil(slips / 8)), `${slips} slips`);
    await leave();
    return `${slips} slips, ${pages} pages`;
  }],

  ['an administrator finds a pupil, makes a code, blocks and lifts, without JavaScript', async ({ browser, url, accounts }) => {
    const account = of(accounts, 'school_admin')[0];
    const pupil = of(accounts, 'pupil').find((one) => one.school_id === account.school_id);
    assert.ok(pupil, 'a pupil of the same school');
    const { page, leave } = await person(browser, url, { allow: REFUSED, javaScriptEnabled: false });
    await enter(page, account);
    await page.getByRole('link', { name: 'Administration' }).click();
    await page.waitForURL(/administration/);
    if (!page.url().includes('/ecoles/')) await page.getByRole('link', { name: account.school_name }).click();
    const [, last] = pupil.login.split('.');
    await page.getByLabel('Nom ou prénom').fill(last.slice(0, 3));
    await page.getByLabel('Profil').selectOption('pupil');
    await page.getByRole('button', { name: 'Chercher' }).click();
    await page.getByRole('row', { name: new RegExp(pupil.login.replace('.', '\\.')) }).getByRole('link').click();
    await page.getByRole('button', { name: 'Faire un code' }).click();
    await page.getByRole('heading', { name: 'Code fait' }).waitFor();
    assert.ok((await page.locator('.given').last().innerText()).trim().length > 5, 'a code is shown');
    await page.getByLabel('Motif').fill('Essai de suspension');
    await page.getByRole('button', { name: 'Suspendre le compte' }).click();
    await page.getByText('Le compte est suspendu').waitFor();
    const shut = await person(browser, url, { allow: REFUSED });
    await shut.page.goto('/connexion');
    await shut.page.getByLabel('Identifiant').fill(pupil.login);
    await shut.page.getByLabel('Mot de passe', { exact: true }).fill(pupil.password);
    await shut.page.getByRole('button', { name: 'Se connecter' }).click();
    await shut.page.getByRole('alert').getByText('suspendu').waitFor();
    await shut.leave();
    await page.getByRole('button', { name: 'Rétablir le compte' }).click();
    await page.getByText('Le compte est rétabli').waitFor();
    await leave();
    return null;
  }],

  ['an administrator sees the people and what other rules would open', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED, viewport: DESKTOP });
    const account = of(accounts, 'school_admin')[0];
    await enter(page, account);
    await page.goto(`/administration/ecoles/${account.school_id}`);
    await inspect(page, 'administration-personnes');
    await page.locator('.data tbody a').first().click();
    await page.getByRole('button', { name: 'Faire un code' }).waitFor();
    await inspect(page, 'administration-personne');
    await page.goto(`/administration/ecoles/${account.school_id}/regles`);
    const cell = page.getByLabel('Élèves vers Élèves');
    await cell.waitFor();
    await cell.selectOption((await cell.inputValue()) === 'own_classes' ? 'none' : 'own_classes');
    await page.getByRole('button', { name: 'Voir ce que cela change' }).click();
    await page.getByRole('heading', { name: 'Ce que cela change' }).waitFor();
    await inspect(page, 'administration-regles');
    await page.getByRole('button', { name: 'Enregistrer' }).click();
    await page.getByText('Les règles sont enregistrées.').waitFor();
    for (const section of ['classes', 'delegations', 'journal']) {
      await page.goto(`/administration/ecoles/${account.school_id}/${section}`);
      await page.locator('#admin table, #admin .empty').first().waitFor();
      await page.waitForSelector('html[data-ready]', { state: 'attached' });
      await inspect(page, `administration-${section}`);
    }
    await leave();
  }],

  ['a family shares a device by PIN', async ({ browser, url, accounts }) => {
    const [first, second] = of(accounts, 'guardian');
    const { context, page, leave } = await person(browser, url, { allow: REFUSED });
    for (const [account, pin] of [[first, '4827'], [second, '9163']]) {
      await signIn(page, account);
      await page.goto('/profils/ajouter');
      await page.getByLabel('Code PIN').fill(pin);
      await page.getByRole('button', { name: 'M’ajouter' }).click();
      await page.getByText('Vous êtes enregistré sur cet appareil.').waitFor();
      const kept = (await context.cookies()).filter((cookie) => cookie.name.includes('profil'));
      await context.clearCookies();
      await context.addCookies(kept); // the access has ended; the device is the same
    }
    await page.goto('/profils');
    await inspect(page, 'profils');
    const people = page.locator('.people a');
    assert.equal(await people.count(), 2);
    await people.first().click();
    await page.getByLabel('Code PIN').fill('0001');
    await page.getByRole('button', { name: 'Se connecter' }).click();
    await page.getByRole('alert').getByText('Essais restants').waitFor();
    await inspect(page, 'profil-pin');
    await page.getByLabel('Code PIN').fill('9163');
    await page.getByRole('button', { name: 'Se connecter' }).click();
    await page.waitForURL('/');
    await leave();
  }],

  ['a form that another site sends gets a page', async ({ browser, url }) => {
    const answer = await fetch(`${url}/connexion`, {
      method: 'POST',
      headers: { accept: 'text/html', origin: 'https://ailleurs.test', 'content-type': 'application/x-www-form-urlencoded' },
      body: 'login=a&password=b',
    });
    assert.equal(answer.status, 403);
    assert.match(answer.headers.get('content-type'), /text\/html/);
    assert.match(await answer.text(), /Formulaire refusé/);
    assert.ok(browser);
  }],
];
