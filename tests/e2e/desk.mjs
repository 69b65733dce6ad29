// The operator's desk: live, with and without JavaScript; an order given and lifted; the rules, for anyone.
import assert from 'node:assert/strict';
import { enter } from './accounts.mjs';
import { inspect, person, ready } from './browser.mjs';

export const deskScenarios = [
  ['anybody reads who goes first, and why', async ({ browser, url }) => {
    for (const [locale, words] of [['fr-FR', 'Qui passe en premier, et pourquoi'], ['en-GB', 'Who goes first, and why']]) {
      const { page, leave } = await person(browser, url, { locale, javaScriptEnabled: locale === 'en-GB' });
      await page.goto('/qui-passe-en-premier');
      await page.getByRole('heading', { name: words, level: 1 }).waitFor();
      assert.ok((await page.locator('tbody tr').count()) === 6, 'six lanes');
      if (locale === 'en-GB') await inspect(page, 'qui-passe-en-premier');
      await leave();
    }
  }],
  ['an operator sees the load live, gives an order and lifts it', async ({ browser, url, accounts }) => {
    const account = accounts.find((one) => one.role === 'territory_admin');
    assert.ok(account, 'the demo has no territory administrator');
    const { page, leave } = await person(browser, url);
    await enter(page, account);
    await page.goto('/administration/territoire/charge');
    await ready(page);
    const first = await page.locator('#live').getAttribute('data-at');
    await page.waitForFunction((at) => document.querySelector('#live')?.dataset.at !== at, first);
    await inspect(page, 'charge');
    await page.getByRole('button', { name: 'Mettre en pause' }).click();
    await page.getByRole('button', { name: 'Reprendre' }).waitFor();
    await page.goto('/administration/territoire/charge/ordres');
    await inspect(page, 'charge-ordres');
    await page.getByLabel('Quoi').selectOption('level:1');
    await page.getByLabel(/^Motif/).fill('Essai du matin');
    await page.getByRole('button', { name: 'Donner l’ordre' }).click();
    await page.getByText('L’ordre est donné').waitFor();
    await page.getByText('en vigueur').first().waitFor();
    await page.getByRole('button', { name: /^Lever/ }).first().click();
    await page.getByText('L’ordre est levé').waitFor();
    await page.goto('/administration/territoire/charge/evenements');
    await inspect(page, 'charge-evenements');
    await leave();
  }],
];
