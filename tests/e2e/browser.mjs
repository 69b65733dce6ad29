// A browser that fails on what a person would not see: console errors, accessibility violations, surprises.
import { createHmac } from 'node:crypto';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const SHOTS = join(import.meta.dirname, '..', '..', '.local', 'screenshots');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export const PHONE = { width: 360, height: 740 };
export const DESKTOP = { width: 1280, height: 800 };

export function launch() {
  mkdirSync(SHOTS, { recursive: true });
  const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
  if (!executablePath) throw new Error('no Chromium: apt-get install chromium');
  return chromium.launch({
    executablePath,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/**
 * Closes a browser or a context. Chromium now and then never answers that a context is closed whose page is just leaving under
 * its service worker (puppeteer issue 11627): it is left behind then, and goes with the browser.
 */
export async function close(what) {
  const closing = what.close().then(() => true);
  closing.catch(() => {}); // whoever waits for it hears of it
  const late = new Promise((resolve) => setTimeout(resolve, 15_000, false));
  if (!(await Promise.race([closing, late]))) console.log('note  Chromium does not say that it has closed');
}

/** A person at a device. `allow` lists the console errors that the scenario provokes on purpose. */
export async function person(browser, baseURL, { allow = [], ...options } = {}) {
  const context = await browser.newContext({
    baseURL,
    viewport: PHONE,
    locale: 'fr-FR',
    timezoneId: 'America/New_York', // never the school's: hours must not come from the device
    ...options,
  });
  context.setDefaultTimeout(15_000);
  const faults = [];
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    if (!allow.some((pattern) => pattern.test(message.text()))) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(String(error)));
  return {
    context,
    page,
    async leave() {
      await close(context);
      assert.deepEqual(faults, [], 'console errors');
    },
  };
}

/** Signs in by the form: `at` is the address asked for, `to` where it leads. */
/** The code that an authenticator application shows now (RFC 6238): the demo's administrators have one. */
export function totp(secret, at = Date.now()) {
  const bits = [...secret].map((it) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(it).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const mac = createHmac('sha1', key).update(step).digest();
  const word = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
  return String(word % 1_000_000).padStart(6, '0');
}

export async function signIn(page, account, { shared = false, at = '/connexion', to = '/' } = {}) {
  await page.goto(at);
  await page.getByLabel('Identifiant').fill(account.login);
  await page.getByLabel('Mot de passe', { exact: true }).fill(account.password);
  if (shared) await page.getByLabel('Appareil partagé').check();
  await page.getByRole('button', { name: 'Se connecter' }).click();
  await page.waitForURL(to);
}

/** Until the program has taken over the page. */
export const ready = (page) => page.waitForSelector('html[data-ready]', { state: 'attached' });

/** The screen at both widths and in both themes: no axe violation, no sideways scrolling, a picture of each. */
export async function inspect(page, name) {
  for (const [device, size] of [['telephone', PHONE], ['bureau', DESKTOP]]) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(SHOTS, `${name}-${device}-${colorScheme === 'light' ? 'clair' : 'sombre'}.png`) });
      await page.evaluate(axe);
      const found = await page.evaluate(
        (values) => globalThis.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] }),
        TAGS,
      );
      const said = found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`);
      assert.deepEqual(said, [], `axe, ${name}, ${device}, ${colorScheme}`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${name} scrolls sideways by ${over} px on ${device}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 320, height: 640 }); // 1280 px at 400 % (WCAG 1.4.10)
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${name} scrolls sideways by ${over} px at 320 px`);
  await page.setViewportSize(PHONE);
}

/** What this device keeps: databases, caches, keys and workers. */
export const kept = (page) =>
  page.evaluate(async () => ({
    databases: (await indexedDB.databases()).map((db) => db.name),
    caches: await caches.keys(),
    keys: Object.keys(localStorage),
    workers: (await navigator.serviceWorker.getRegistrations()).length,
  }));

/** Until an asynchronous question asked in the page is answered with yes (`waitForFunction` takes its promise for a yes). */
export async function until(page, question, about) {
  const end = Date.now() + 15_000;
  while (!(await page.evaluate(question, about))) {
    assert.ok(Date.now() < end, `never came: ${question}`);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

/** Until the device can be read offline: worker in charge, the account's weeks kept. */
export const stored = (page, weeks) =>
  until(page, async (wanted) => {
    const registration = await navigator.serviceWorker.getRegistration();
    if (!registration?.active) return false;
    const [db] = (await indexedDB.databases()).filter((d) => d.name?.startsWith('preau-'));
    if (!db) return false;
    const keys = await new Promise((resolve) => {
      const open = indexedDB.open(db.name);
      open.onsuccess = () => {
        const all = open.result.transaction('kept').objectStore('kept').getAllKeys();
        all.onsuccess = () => { open.result.close(); resolve(all.result); };
      };
    });
    return keys.includes('home') && keys.filter((key) => key.startsWith('week ')).length >= wanted;
  }, weeks);

/** What a sighted person reads in the main part, without the age and what only the program offers. */
export const words = (page) =>
  page.locator('main').evaluate((main) => {
    const read = (node) => {
      if (node.nodeType === 3) return node.data;
      if (node.nodeType !== 1 || node.matches('.age, button') || getComputedStyle(node).display === 'none') return ' ';
      return [...node.childNodes].map(read).join(' ');
    };
    return read(main).replace(/\s+/g, ' ').replace(/ ([,.])/g, '$1').trim();
  });
