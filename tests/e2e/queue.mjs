// The line before the door, lived through: a place that falls, a turn that waits, nothing that moves by itself.
import assert from 'node:assert/strict';
import { enter } from './accounts.mjs';
import { inspect, person, ready, signIn, stored } from './browser.mjs';
import { eventually } from './server.mjs';

/**
 * People who come before: each draws a place, comes back when told to, and enters under a name that nobody has. All of them
 * come, for those who do not are made up for and the line would run: it goes at the node's pace, and nobody outruns it by
 * being slow. They leave with the node. Done when the node counts them.
 */
async function crowd(url, people) {
  const send = (path, body) =>
    fetch(`${url}/api/v1/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const waitsBehind = async (told) => {
    const { ticket } = told;
    for (let wait = told.poll_after_ms; ; ) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      const answer = await send('sessions', { ticket, login: 'personne', password: 'personne' });
      if (answer.status !== 202) return;
      wait = (await answer.json()).poll_after_ms;
    }
  };
  const drawn = await Promise.all(Array.from({ length: people }, () => send('queue/tickets', { declared: { profile: 'pupil' } })));
  for (const answer of drawn) {
    if (answer.status === 202) answer.json().then(waitsBehind).catch(() => {});
  }
  const since = Date.now();
  const counted = async () => Date.parse((await (await fetch(`${url}/api/v1/queue/now`)).json()).at) > since;
  await eventually('the node counts those who wait', counted, 30_000);
}

const pupil = (accounts, at = 0) => accounts.filter((account) => account.role === 'pupil')[at];

async function fill(page, account) {
  await page.getByLabel('Identifiant').fill(account.login);
  await page.getByLabel('Mot de passe', { exact: true }).fill(account.password);
}

const shown = async (page) => Number(await page.locator('#place b').innerText());

async function declare(page) {
  await page.getByLabel('Je suis').selectOption('pupil');
  await page.getByRole('button', { name: 'Changer de file' }).click();
  await page.getByText('Vous attendez avec les élèves').waitFor();
}

/** The page's title once the number on it is smaller. */
async function falls(page, from) {
  const fallen = (before) => Number(document.querySelector('#place b')?.textContent) < before && document.title;
  return page
    .waitForFunction(fallen, from, { timeout: 90_000 })
    .then((title) => title.jsonValue())
    .catch(async () => assert.fail(`still behind place ${from}: ${await page.locator('main').innerText()}`));
}

export const queueScenarios = [
  ['the line: a place falls, the password stays in memory, and one enters oneself', async ({ browser, accounts, slow }) => {
    if (!slow) return 'not against a running server';
    const node = await slow(2);
    try {
      await crowd(node.url, 30);
      const { page, leave } = await person(browser, node.url);
      const loaded = [];
      page.on('framenavigated', (frame) => loaded.push(frame.url()));
      await page.goto('/connexion');
      await fill(page, pupil(accounts));
      loaded.length = 0;
      await page.getByRole('button', { name: 'Se connecter' }).click();
      await page.getByRole('heading', { name: 'Beaucoup de monde' }).waitFor();
      assert.deepEqual(loaded, [], 'the page came in place of the form');
      await inspect(page, 'file-inconnu');
      await crowd(node.url, 60);
      await declare(page);
      const first = await shown(page);
      assert.ok(first >= 2, `place ${first}`);
      loaded.length = 0;
      // Watched from here on: on a busy machine the place is at its end before the page has been inspected.
      const [title] = await Promise.all([falls(page, first), inspect(page, 'file-eleve')]);
      assert.match(title, /^\d+ · File/);
      await page.getByRole('heading', { name: 'C’est à vous' }).waitFor({ timeout: 90_000 });
      assert.match(await page.title(), /^● C’est à vous/);
      assert.deepEqual(loaded, [], 'nothing moves by itself');
      await inspect(page, 'file-a-vous');
      // The place was taken by another form: what was typed for the first went with it.
      if (await page.getByLabel('Mot de passe').isVisible()) await fill(page, pupil(accounts));
      await page.getByRole('button', { name: 'Entrer' }).click();
      await page.waitForURL('/');
      await page.getByRole('heading', { name: 'Bonjour' }).waitFor();
      assert.ok(!(await page.context().cookies()).some(({ name }) => name === '__Host-preau-ticket'));
      await leave();
      return `from place ${first}`;
    } finally {
      await node.stop();
    }
  }],

  ['the line: what was typed is sent by « Entrer » alone', async ({ browser, accounts, slow }) => {
    if (!slow) return 'not against a running server';
    const node = await slow(1);
    try {
      const { page, leave } = await person(browser, node.url);
      await crowd(node.url, 15);
      await page.goto('/connexion');
      await fill(page, pupil(accounts, 1));
      await page.getByRole('button', { name: 'Se connecter' }).click();
      await page.getByRole('heading', { name: 'Beaucoup de monde' }).waitFor();
      const [first, cookies] = [await shown(page), await page.context().cookies()];
      assert.ok(!JSON.stringify(cookies).includes(encodeURIComponent(pupil(accounts, 1).password)));
      const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
      assert.ok(!kept.includes(pupil(accounts, 1).password), 'the password is nowhere but in memory');
      await page.getByRole('heading', { name: 'C’est à vous' }).waitFor({ timeout: 90_000 });
      assert.equal(await page.getByLabel('Mot de passe').count(), 0, 'nothing to type again');
      await page.keyboard.press('Tab');
      await page.getByRole('button', { name: 'Entrer' }).focus();
      await page.keyboard.press('Enter');
      await page.waitForURL('/');
      await leave();
      return `from place ${first}`;
    } finally {
      await node.stop();
    }
  }],

  ['the line without JavaScript: reload, close, come back, type again, enter', async ({ browser, accounts, slow }) => {
    if (!slow) return 'not against a running server';
    const node = await slow(1);
    try {
      await crowd(node.url, 30);
      const { page, context, leave } = await person(browser, node.url, { javaScriptEnabled: false });
      const asked = [];
      await page.goto('/connexion');
      await fill(page, pupil(accounts, 2));
      page.on('request', (request) => asked.push(new URL(request.url()).pathname));
      await page.getByRole('button', { name: 'Se connecter' }).click();
      await page.getByRole('heading', { name: 'Beaucoup de monde' }).waitFor();
      const other = asked.filter((path) => path !== '/connexion');
      assert.ok(other.every((path) => path.startsWith('/assets/access-')), `one request: ${asked.join(' ')}`);
      await declare(page);
      const first = await shown(page);
      await page.screenshot({ path: new URL('../../.local/screenshots/file-sans-javascript.png', import.meta.url).pathname });
      await page.getByRole('link', { name: 'Actualiser ma place' }).click();
      const second = await shown(page);
      assert.ok(second <= first, `${second} after ${first}`);
      await page.close();
      const again = await context.newPage();
      await again.goto('/connexion');
      assert.ok((await shown(again)) <= second, 'the place is kept while the tab is closed');
      assert.equal(await again.getByRole('button', { name: 'Entrer' }).count(), 0);
      const turn = async () => {
        if (await again.getByRole('heading', { name: 'C’est à vous' }).count()) return true;
        await again.getByRole('link', { name: 'Actualiser ma place' }).click();
        return false;
      };
      await eventually('the turn comes', turn, 90_000);
      assert.equal(await again.getByLabel('Identifiant').inputValue(), pupil(accounts, 2).login);
      await again.getByLabel('Mot de passe').fill(pupil(accounts, 2).password);
      await again.getByRole('button', { name: 'Entrer' }).click();
      await again.waitForURL('/');
      await leave();
      return `from place ${first}`;
    } finally {
      await node.stop();
    }
  }],

  ['the line: one looks for one’s school, and waits with those who are there', async ({ browser, accounts, slow }) => {
    if (!slow) return 'not against a running server';
    const node = await slow(0.5);
    try {
      await crowd(node.url, 40);
      const { page, leave } = await person(browser, node.url);
      await page.goto('/connexion');
      await fill(page, pupil(accounts, 2));
      await page.getByRole('button', { name: 'Se connecter' }).click();
      await page.getByRole('heading', { name: 'Beaucoup de monde' }).waitFor();
      await page.getByRole('link', { name: 'Choisir mon établissement' }).click();
      await page.getByRole('heading', { name: 'Mon établissement' }).waitFor();
      const asked = page.getByLabel('Nom, ville ou code (UAI)');
      await asked.fill('nulle part');
      await page.getByRole('button', { name: 'Chercher' }).click();
      await page.getByText('Aucun établissement trouvé').waitFor();
      await asked.fill('Collège');
      await page.keyboard.press('Enter');
      await page.locator('select[name=ecole]').waitFor();
      assert.ok((await page.locator('select[name=ecole]').locator('option').count()) >= 1);
      await page.locator('select[name=ecole]').selectOption({ index: 0 });
      await page.getByLabel('Je suis').selectOption('pupil');
      await inspect(page, 'file-etablissement');
      assert.equal(await page.evaluate(() => document.scripts.length), 0, 'it needs no program');
      await page.getByRole('button', { name: 'Attendre dans cette file' }).click();
      await page.getByText('Vous attendez avec les élèves').waitFor();
      assert.ok((await shown(page)) >= 1);
      assert.equal(await page.getByRole('link', { name: 'Choisir mon établissement' }).count(), 0);
      await leave();
    } finally {
      await node.stop();
    }
  }],

  ['the line: the saved day is read meanwhile, and a lost network loses no place', async ({ browser, accounts, slow }) => {
    if (!slow) return 'not against a running server';
    const node = await slow(0.5);
    try {
      const { page, context, leave } = await person(browser, node.url, { allow: [/ERR_INTERNET_DISCONNECTED/, /status of 401/] });
      await page.goto('/connexion');
      await fill(page, pupil(accounts, 3));
      await page.getByRole('button', { name: 'Se connecter' }).click();
      const enter = page.getByRole('button', { name: 'Entrer' });
      await Promise.race([page.waitForURL('/', { timeout: 60_000 }), enter.waitFor({ timeout: 60_000 })]);
      if (await enter.isVisible()) await enter.click();
      await page.waitForURL('/');
      await ready(page);
      await stored(page, 1);
      // The page would find out by itself that its session is gone, and lead away in the middle of what follows.
      await page.goto('about:blank');
      for (const name of ['__Host-preau', '__Host-preau-refresh']) await context.clearCookies({ name });
      await crowd(node.url, 60);
      await page.goto('/connexion');
      await fill(page, pupil(accounts, 3));
      await page.getByRole('button', { name: 'Se connecter' }).click();
      await page.getByRole('heading', { name: 'Beaucoup de monde' }).waitFor();
      // The device is trusted: it knows the lane, and nobody is asked.
      await page.getByText(/Vous attendez|Votre classe a cours/).waitFor();
      assert.equal(await page.getByLabel('Je suis').count(), 0);
      const place = await shown(page);
      await page.getByRole('link', { name: 'Lire la journée enregistrée' }).click();
      await page.getByRole('heading', { name: 'Bonjour' }).waitFor();
      await page.getByText('pendant que vous attendez').waitFor();
      await inspect(page, 'journee-en-attendant');
      await page.getByRole('link', { name: 'Revenir à ma place' }).click();
      await page.getByRole('heading', { name: 'Beaucoup de monde' }).waitFor();
      assert.ok((await shown(page)) <= place);
      await context.setOffline(true);
      await page.getByText('Impossible d’actualiser').waitFor({ timeout: 45_000 });
      const kept = await shown(page);
      await context.setOffline(false);
      await page.getByText('Impossible d’actualiser').waitFor({ state: 'hidden', timeout: 45_000 });
      assert.ok(kept <= place);
      await leave();
    } finally {
      await node.stop();
    }
  }],

  ['slots: a plan is made, anybody reads its hours, and a pupil reads their own beside the day', async ({ browser, url, accounts }) => {
    const head = accounts.find((one) => one.role === 'school_admin');
    const child = accounts.find((one) => one.role === 'pupil' && one.school_id === head?.school_id);
    assert.ok(head && child, 'the demo has no administrator and pupil of one school');
    const { page: office, leave: close } = await person(browser, url);
    await enter(office, head);
    const plans = `/api/v1/schools/${head.school_id}/plans`;
    const send = (method, path, body) =>
      office.evaluate(
        async ([method, path, body]) => {
          const headers = { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() };
          const answer = await fetch(path, { method, headers, body });
          return { status: answer.status, body: await answer.text() };
        },
        [method, path, body && JSON.stringify(body)],
      );
    const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
    const made = await send('POST', plans, {
      name: 'Essai des plages', mode: 'advice', starts_on: '2020-01-01', siblings: true,
      windows: [{ profile: 'pupil', days, from: '05:00', to: '23:00' }],
    });
    assert.equal(made.status, 201, made.body);
    try {
      const { page, leave } = await person(browser, url, { javaScriptEnabled: false });
      for (let tries = 0; ; tries += 1) {
        await page.goto(`/plages-horaires?ecole=${head.school_id}&essai=${tries}`);
        if (await page.getByText('Essai des plages').count()) break;
        assert.ok(tries < 200, 'the plan never came');
      }
      await page.getByText('de 05:00 à 23:00').waitFor();
      await leave();
      const { page: phone, leave: away } = await person(browser, url);
      await phone.goto(`/plages-horaires?ecole=${head.school_id}`);
      await inspect(phone, 'plages-horaires');
      await signIn(phone, child);
      await ready(phone);
      const said = phone.getByText('Votre créneau aujourd’hui\u00a0: 5:00 – 23:00');
      await said.waitFor();
      await inspect(phone, 'jour-creneau');
      await phone.getByRole('link', { name: 'Toutes les plages horaires' }).click();
      await phone.waitForURL('/plages-horaires');
      await away();
    } finally {
      const { id } = JSON.parse(made.body);
      assert.ok((await send('DELETE', `${plans}/${id}`)).status < 300);
      await close();
    }
  }],
];
