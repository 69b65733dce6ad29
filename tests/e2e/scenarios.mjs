import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DESKTOP, SHOTS, inspect, kept, person, ready, signIn, stored, until, words } from './browser.mjs';
import { eventually } from './server.mjs';

const HOME_BUDGET = 14_000;
const NETWORK = [/ERR_INTERNET_DISCONNECTED/];
const REFUSED = [/status of 40[13]/];

const having = (accounts, role, school = () => true) => {
  const found = accounts.find((account) => account.role === role && school(account));
  assert.ok(found, `the demo has no ${role}`);
  return found;
};

/** What the API tells this person, asked beside the browser. */
async function homeOf(url, account) {
  const json = { 'content-type': 'application/json' };
  const body = JSON.stringify({ login: account.login, password: account.password, tokens: true });
  const session = await fetch(`${url}/api/v1/sessions`, { method: 'POST', headers: json, body });
  assert.equal(session.status, 201, `${account.login} signs in by the API`);
  const { access_token: token } = await session.json();
  const home = await fetch(`${url}/api/v1/home`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(home.status, 200);
  return home.json();
}

const hour = (iso, tz) =>
  new Intl.DateTimeFormat('fr', { timeZone: tz, hour: 'numeric', minute: '2-digit', hourCycle: 'h23' })
    .format(new Date(iso))
    .replace(/^0(?=\d)/, '');

/** The first account of a role for which `wanted(home)` holds. */
async function seek(url, accounts, role, wanted) {
  for (const account of accounts.filter((candidate) => candidate.role === role)) {
    const home = await homeOf(url, account);
    if (wanted(home)) return { account, home };
  }
  return assert.fail(`no ${role} of the demo is what the scenario needs`);
}

const views = (home) => home.schools.flatMap((school) => school.views.map((view) => ({ school, view })));

async function assertLessonShown(page, lesson, tz) {
  const card = page.locator('.moment', { hasText: lesson.subject.label }).first();
  await card.waitFor();
  const said = (await card.innerText()).replace(/\s+/g, ' ');
  assert.ok(said.includes(`${hour(lesson.starts_at, tz)} – ${hour(lesson.ends_at, tz)}`), said);
  if (lesson.room && !lesson.at_distance) assert.ok(said.includes(lesson.room), said);
}

export const scenarios = [
  ['a pupil signs in and sees the next lesson', async ({ browser, url, accounts }) => {
    const { account, home } = await seek(url, accounts, 'pupil', (h) => views(h).some(({ view }) => view.next));
    const { page, leave } = await person(browser, url);
    await page.goto('/connexion');
    await inspect(page, 'connexion');
    await page.getByLabel('Identifiant').fill(account.login);
    await page.getByLabel('Mot de passe', { exact: true }).fill(account.password);
    const asked = [];
    let html = 0;
    page.on('request', (request) => {
      if (request.method() === 'GET') asked.push(new URL(request.url()).pathname);
    });
    page.on('requestfinished', async (request) => {
      if (new URL(request.url()).pathname === '/') html = (await request.sizes()).responseBodySize;
    });
    await page.getByRole('button', { name: 'Se connecter' }).click();
    await page.waitForURL('/');
    await ready(page);
    assert.equal(asked.length, 2, `requests after signing in: ${asked.join(' ')}`);
    assert.ok(html > 0 && html <= HOME_BUDGET, `the day weighs ${html} bytes`);
    const [{ school, view }] = views(home);
    await page.getByRole('heading', { name: `Bonjour ${home.user.first_name}` }).waitFor();
    await assertLessonShown(page, view.next, school.tz);
    assert.equal(await page.locator('.lessons .lesson').count(), view.today.length);
    await inspect(page, 'accueil-eleve');
    await leave();
    return `2 requests, ${html} bytes of HTML`;
  }],

  ['the same words without JavaScript', async ({ browser, url, accounts }) => {
    const account = having(accounts, 'pupil');
    const plain = await person(browser, url, { javaScriptEnabled: false });
    const rich = await person(browser, url);
    await signIn(plain.page, account);
    await signIn(rich.page, account);
    await ready(rich.page);
    assert.equal(await words(plain.page), await words(rich.page), 'the day');
    const week = await rich.page.getByRole('link', { name: 'Semaine', exact: true }).getAttribute('href');
    for (const size of [{ width: 360, height: 740 }, DESKTOP]) {
      for (const { page } of [plain, rich]) {
        await page.setViewportSize(size);
        await page.goto(week);
      }
      await ready(rich.page);
      assert.equal(await words(plain.page), await words(rich.page), `the week at ${size.width} px`);
    }
    await plain.page.locator('.account > summary').click();
    await plain.page.getByRole('button', { name: 'Se déconnecter' }).click();
    await plain.page.waitForURL(/connexion/);
    await plain.leave();
    await rich.leave();
  }],

  ['a guardian has one block a child', async ({ browser, url, accounts }) => {
    const { account, home } = await seek(url, accounts, 'guardian', (h) => views(h).length >= 2);
    const { page, leave } = await person(browser, url);
    await signIn(page, account);
    await ready(page);
    const children = views(home).filter(({ view }) => view.relation === 'child');
    for (const { view } of children) {
      await page.getByRole('heading', { name: `La journée de ${view.person.first_name}` }).first().waitFor();
    }
    await inspect(page, 'accueil-responsable');
    const last = children.at(-1);
    await page.locator('section.day').last().getByRole('link', { name: 'Voir la semaine' }).click();
    const tab = page.getByRole('navigation', { name: 'Emploi du temps de' });
    assert.match(await tab.locator('[aria-current]').innerText(), new RegExp(last.view.person.first_name));
    await tab.getByRole('link').first().click();
    await page.waitForURL(new RegExp(`personne=${children[0].view.person.id}`));
    await inspect(page, 'semaine-responsable');
    await leave();
  }],

  ['a teacher sees whom he teaches', async ({ browser, url, accounts }) => {
    const taught = (h) => views(h).map(({ view }) => view.next ?? view.today[0]).find((l) => l?.audience.length > 0);
    const { account, home } = await seek(url, accounts, 'teacher', taught);
    const { page, leave } = await person(browser, url);
    await signIn(page, account);
    await ready(page);
    const said = await page.locator('main').innerText();
    assert.ok(said.includes(taught(home).audience[0]), said);
    await inspect(page, 'accueil-enseignant');
    await leave();
  }],

  ['the week: days, weeks, table, paper', async ({ browser, url, accounts }) => {
    const account = having(accounts, 'pupil');
    const { page, leave } = await person(browser, url);
    await signIn(page, account);
    await ready(page);
    await page.getByRole('link', { name: 'Semaine', exact: true }).click();
    await page.waitForURL(/\/semaine\/\d{4}-\d\d-\d\d$/);
    const title = page.getByRole('heading', { level: 1 });
    const first = await title.innerText();
    await page.getByRole('link', { name: 'Semaine suivante' }).click();
    await page.waitForFunction((before) => document.querySelector('h1')?.textContent !== before, first);
    await page.locator('.one-day').waitFor();
    const chips = page.getByRole('list', { name: 'Jours de la semaine' }).getByRole('link');
    assert.ok((await chips.count()) >= 5);
    await chips.nth(1).click();
    assert.equal(await chips.nth(1).getAttribute('aria-current'), 'date');
    const day = await chips.nth(1).locator('.sr').innerText();
    await page.getByRole('heading', { level: 2, name: day }).waitFor();
    await inspect(page, 'semaine-eleve');
    await page.setViewportSize(DESKTOP);
    const table = page.getByRole('table');
    await table.waitFor();
    assert.ok((await table.getByRole('columnheader').count()) >= 6);
    assert.ok((await table.getByRole('rowheader').count()) >= 1);
    const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
    writeFileSync(join(SHOTS, 'semaine.pdf'), pdf, 'latin1');
    assert.equal(pdf.match(/\/Type\s*\/Page\b/g)?.length, 1, 'the week prints on one sheet');
    const [, width, height] = /\/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)/.exec(pdf) ?? [];
    assert.ok(Number(width) > Number(height), 'in landscape');
    await page.goBack();
    await page.waitForURL(/\/semaine\//);
    await leave();
  }],

  ['the day and the week are read offline, with their age', async ({ browser, url, accounts }) => {
    const account = having(accounts, 'pupil');
    const { context, page, leave } = await person(browser, url, { allow: NETWORK });
    await signIn(page, account);
    await ready(page);
    await stored(page, 4);
    const today = await words(page);
    const address = await page.getByRole('link', { name: 'Semaine', exact: true }).getAttribute('href');
    await context.setOffline(true);
    await page.reload();
    await ready(page);
    await page.getByRole('status').getByText('Hors ligne').waitFor();
    assert.match(await page.locator('.age').innerText(), /À jour/);
    assert.equal(await words(page), today);
    await inspect(page, 'accueil-hors-ligne');
    await page.goto(address);
    await ready(page);
    assert.match(await page.locator('.age').innerText(), /À jour/);
    await inspect(page, 'semaine-hors-ligne');
    await page.goto(address.replace(/\d{4}/, '2031'));
    await page.getByText('Cette semaine n’est pas enregistrée sur cet appareil.').waitFor();
    await page.goto('/appareils');
    await page.getByText('Cette page demande une connexion.').waitFor();
    await context.setOffline(false);
    await page.goto('/');
    await ready(page);
    await page.getByRole('status').waitFor({ state: 'detached' });
    await leave();
  }],

  ['signing out erases what the device kept', async ({ browser, url, accounts }) => {
    const { context, page, leave } = await person(browser, url);
    await signIn(page, having(accounts, 'pupil'));
    await ready(page);
    await stored(page, 1);
    await page.locator('.account > summary').click();
    await inspect(page, 'compte');
    await page.getByRole('button', { name: 'Se déconnecter' }).click();
    await page.waitForURL(/\/connexion/);
    await page.getByText('Vous êtes déconnecté.').waitFor();
    assert.deepEqual(await kept(page), { databases: [], caches: [], keys: [], workers: 0 });
    // What tells a known device from a new one, and in which line its owner waits, stays: sealed, out of reach of scripts;
    // it opens nothing.
    const left = (await context.cookies()).map((cookie) => [cookie.name, cookie.httpOnly]).sort();
    assert.deepEqual(left, [['__Host-preau-device', true], ['__Host-preau-place', true]]);
    await page.goto('/');
    assert.match(page.url(), /\/connexion/);
    await leave();
  }],

  ['a shared device keeps nothing', async ({ browser, url, accounts }) => {
    const { context, page, leave } = await person(browser, url, { allow: NETWORK });
    await signIn(page, having(accounts, 'pupil'), { shared: true });
    await ready(page);
    await page.getByRole('link', { name: 'Semaine', exact: true }).click();
    await page.locator('.age').waitFor();
    // Storing starts a second after the page: the manifest link is the last thing put in before it.
    await page.waitForSelector('link[rel=manifest]', { state: 'attached' });
    assert.deepEqual(await kept(page), { databases: [], caches: [], keys: [], workers: 0 });
    const lasting = (await context.cookies()).filter((cookie) => cookie.expires > Date.now() / 1000 + 12 * 3600);
    assert.deepEqual(lasting.map((cookie) => cookie.name), []);
    await leave();
  }],

  ['a wrong password and an unknown person read the same', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { allow: REFUSED });
    const said = [];
    for (const login of [having(accounts, 'teacher').login, 'personne.inconnue']) {
      await page.goto('/connexion');
      await page.getByLabel('Identifiant').fill(login);
      await page.getByLabel('Mot de passe', { exact: true }).fill('ce n’est pas le bon');
      const answered = page.waitForResponse((r) => r.request().method() === 'POST');
      await page.getByRole('button', { name: 'Se connecter' }).click();
      assert.equal((await answered).status(), 401);
      said.push(await page.getByRole('alert').innerText());
      assert.equal(await page.getByLabel('Identifiant').inputValue(), login);
      assert.equal(await page.getByLabel('Mot de passe', { exact: true }).inputValue(), '');
    }
    assert.equal(said[0], said[1]);
    assert.match(said[0], /L’identifiant ou le mot de passe n’est pas le bon/);
    await inspect(page, 'connexion-erreur');
    const reveal = page.getByRole('button', { name: 'Afficher le mot de passe' });
    await page.getByLabel('Mot de passe', { exact: true }).fill('visible');
    await reveal.click();
    assert.equal(await page.getByLabel('Mot de passe', { exact: true }).getAttribute('type'), 'text');
    await leave();
  }],

  ['too many attempts say how long to wait', async ({ browser, url }) => {
    const { page, leave } = await person(browser, url, { allow: [/status of 4(01|29)/] });
    await page.goto('/connexion');
    for (let n = 0; ; n += 1) {
      assert.ok(n < 8, 'attempts are limited');
      await page.getByLabel('Identifiant').fill('quelqu-un.qui.essaie');
      await page.getByLabel('Mot de passe', { exact: true }).fill(`essai ${n}`);
      const answered = page.waitForResponse((r) => r.request().method() === 'POST');
      await page.getByRole('button', { name: 'Se connecter' }).click();
      const answer = await answered;
      await page.getByRole('alert').waitFor();
      if (answer.status() === 401) continue;
      assert.equal(answer.status(), 429);
      assert.ok(Number(answer.headers()['retry-after']) > 0);
      break;
    }
    assert.match(await page.getByRole('alert').innerText(), /Réessayez dans \d+\s(seconde|minute)/);
    await inspect(page, 'trop-d-essais');
    await leave();
  }],

  ['an account is activated with the code of its letter', async ({ browser, url, codes }) => {
    const [letter] = codes;
    if (!letter) return 'not on a server that is already running';
    const { page, leave } = await person(browser, url, { allow: [/status of 4(01|22)/] });
    const fill = async (code, password) => {
      await page.getByLabel('Identifiant').fill(letter.login);
      await page.getByLabel('Code d’activation').fill(code);
      await page.getByLabel('Choisissez un mot de passe').fill(password);
      await page.getByLabel('J’ai lu et j’accepte').check();
      await page.getByRole('button', { name: 'Activer mon compte' }).click();
    };
    await page.goto('/activation');
    await inspect(page, 'activation');
    await fill('AAAA-AAAA-AAAA-AAAA', 'quatre mots sans rapport');
    await page.getByRole('alert').getByText('L’identifiant ou le code d’activation n’est pas le bon').waitFor();
    await fill(letter.code, 'azerty');
    await page.getByRole('alert').getByText('Ce mot de passe est trop court').waitFor();
    await inspect(page, 'activation-erreur');
    await page.getByRole('alert').getByRole('link').first().click();
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'password', 'the summary leads to the field');
    await fill(letter.code.toLowerCase().replaceAll('-', ''), 'quatre mots sans rapport');
    await page.waitForURL('/');
    await page.getByRole('heading', { name: /^Bonjour/ }).waitFor();
    await ready(page);
    await leave();
    return null;
  }],

  ['an overseas school keeps its own hours', async ({ browser, url, accounts }) => {
    const overseas = (h) => views(h).some(({ school, view }) => school.tz !== 'Europe/Paris' && view.next);
    const { account, home } = await seek(url, accounts, 'pupil', overseas);
    const { page, leave } = await person(browser, url);
    await signIn(page, account);
    await ready(page);
    await page.getByText('Heures locales').first().waitFor();
    const { school, view } = views(home).find(({ school: s }) => s.tz !== 'Europe/Paris');
    await assertLessonShown(page, view.next, school.tz);
    await inspect(page, 'accueil-outre-mer');
    await leave();
    return school.tz;
  }],

  ['the keyboard alone goes everywhere', async ({ browser, url, accounts }) => {
    const account = having(accounts, 'pupil');
    const { page, leave } = await person(browser, url, { viewport: DESKTOP });
    const focused = () => page.evaluate(() => (document.activeElement?.textContent ?? '').trim() || document.activeElement?.id);
    const tabTo = async (name) => {
      for (let n = 0; n < 40; n += 1) {
        await page.keyboard.press('Tab');
        const here = await page.evaluate(() => {
          const el = document.activeElement;
          return el?.getAttribute('aria-label') ?? el?.labels?.[0]?.textContent ?? el?.textContent?.trim();
        });
        if (here === name) {
          const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
          assert.notEqual(ring, 'none', `${name} shows its focus`);
          return;
        }
      }
      assert.fail(`Tab does not reach « ${name} »`);
    };
    await page.goto('/connexion');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Aller au contenu');
    await tabTo('Identifiant');
    await page.keyboard.type(account.login);
    await tabTo('Mot de passe');
    await page.keyboard.type(account.password);
    await page.keyboard.press('Enter');
    await page.waitForURL('/');
    await ready(page);
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Aller au contenu');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'contenu');
    await tabTo('Semaine');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/semaine\//);
    await page.waitForFunction(() => document.activeElement?.id === 'contenu'); // a new screen takes the focus
    await tabTo('Semaine suivante');
    const before = page.url();
    await page.keyboard.press('Enter');
    await page.waitForFunction((old) => location.href !== old, before);
    await leave();
  }],

  ['a device is signed out from another one', async ({ browser, url, accounts }) => {
    const account = having(accounts, 'teacher');
    // Should it read its day in the moment between, it is refused, which is the point.
    const allow = [/status of 401/];
    const lost = await person(browser, url, { allow, userAgent: 'Mozilla/5.0 (Android 9; Mobile; rv:109.0) Gecko/117.0 Firefox/117.0' });
    await signIn(lost.page, account);
    const mine = await person(browser, url);
    await signIn(mine.page, account);
    await mine.page.goto('/appareils');
    await mine.page.getByText('Cet appareil').waitFor();
    await inspect(mine.page, 'appareils');
    const devices = mine.page.locator('.device');
    const before = await devices.count();
    await devices.filter({ hasText: 'Firefox' }).first().getByRole('button').click();
    await mine.page.getByText('L’appareil est déconnecté.').waitFor();
    assert.equal(await devices.count(), before - 1);
    const gone = async () => (await lost.page.request.get('/', { maxRedirects: 0 })).status() === 303;
    await eventually('the lost device is refused', gone, 15_000);
    await lost.leave();
    await mine.leave();
  }],

  ['an address asked for before signing in is reached after', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url);
    const wanted = '/semaine/2026-11-24';
    await signIn(page, having(accounts, 'pupil'), { at: wanted, to: wanted });
    await ready(page);
    await page.getByRole('heading', { level: 1, name: 'Semaine du 23' }).waitFor();
    await leave();
  }],

  ['another account on the same device sees nothing of the first', async ({ browser, url, accounts }) => {
    const { context, page, leave } = await person(browser, url, { allow: NETWORK });
    const [first, second] = [having(accounts, 'pupil'), having(accounts, 'teacher')];
    await signIn(page, first);
    await ready(page);
    await stored(page, 4); // all of them: nothing is still asked for when the session ends
    await context.clearCookies(); // the session is over, without signing out
    await signIn(page, second);
    await ready(page);
    const mine = await page.getByRole('heading', { level: 1 }).innerText();
    await page.waitForSelector('link[rel=manifest]', { state: 'attached' });
    await until(page, async () => (await indexedDB.databases()).length === 2);
    await context.setOffline(true);
    await page.reload();
    await ready(page);
    assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), mine);
    await leave();
  }],

  ['an ended access is renewed without a word', async ({ browser, url, accounts }) => {
    const { context, page, leave } = await person(browser, url);
    await signIn(page, having(accounts, 'pupil'));
    await context.clearCookies({ name: '__Host-preau' });
    await page.goto('/');
    await page.getByRole('heading', { name: /^Bonjour/ }).waitFor();
    assert.ok((await context.cookies()).some((cookie) => cookie.name === '__Host-preau'));
    await leave();
  }],

  ['the state of the service, and addresses that lead nowhere', async ({ browser, url }) => {
    const { page, leave } = await person(browser, url, { allow: [/status of 404/] });
    await page.goto('/etat');
    await page.getByText('Le service fonctionne.').waitFor();
    await inspect(page, 'etat');
    const absent = await page.goto('/nulle-part');
    assert.equal(absent.status(), 404);
    await page.getByRole('heading', { name: 'Page introuvable' }).waitFor();
    await inspect(page, 'introuvable');
    const asset = await page.request.get('/assets/app-absent.js');
    assert.equal(asset.status(), 404);
    assert.doesNotMatch(await asset.text(), /<html/);
    await leave();
  }],

  ['English for those whose browser asks', async ({ browser, url, accounts }) => {
    const { page, leave } = await person(browser, url, { locale: 'en-GB' });
    const account = having(accounts, 'pupil');
    await page.goto('/connexion');
    await page.getByLabel('Login').fill(account.login);
    await page.getByLabel('Password', { exact: true }).fill(account.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL('/');
    await ready(page);
    await page.getByRole('heading', { name: /^Hello/ }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
    await inspect(page, 'accueil-anglais');
    await leave();
  }],
];
