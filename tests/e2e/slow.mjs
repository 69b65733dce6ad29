// `node tests/e2e/slow.mjs`: what an administrator of a 2,000-pupil school waits for on slow 3G. Times are printed, never
// asserted: they belong to the machine. Bytes and requests are exact.
//
// Slow 3G is Chromium's: 400 kbit/s each way and 400 ms a request, on a page that the device has never seen, with its processor
// as it is and slowed 6 times. What a page fetches while it is idle, for the next one, counts among its bytes and not in its time. Setting up TCP and TLS is not modelled.
import { close, launch, PHONE, person } from './browser.mjs';
import { enter, of } from './accounts.mjs';
import { start } from './server.mjs';

const RUNS = 5;
const GOAL_MS = 1000;
const SLOW_3G = { offline: false, latency: 400, downloadThroughput: 400_000 / 8, uploadThroughput: 400_000 / 8 };

/** One look: until it is drawn, in milliseconds from the click. */
async function look(browser, { baseURL, storageState, path, cpu, drawn, before }) {
  const context = await browser.newContext({ baseURL, storageState, viewport: PHONE, locale: 'fr-FR', serviceWorkers: 'block' });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  let requests = 0;
  let bytes = 0;
  cdp.on('Network.loadingFinished', ({ encodedDataLength }) => {
    requests += 1;
    bytes += encodedDataLength;
  });
  await cdp.send('Network.enable');
  await cdp.send('Network.emulateNetworkConditions', SLOW_3G);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: cpu });
  if (before) {
    await page.goto(before, { waitUntil: 'networkidle' });
    [requests, bytes] = [0, 0];
  }
  await page.goto(path, { waitUntil: 'commit' });
  const drawnAt = await page.waitForFunction(drawn, undefined, { polling: 'raf', timeout: 60_000 });
  const ms = await drawnAt.jsonValue();
  await page.waitForLoadState('networkidle');
  const said = { ms, requests, bytes };
  await close(context);
  return said;
}

/** Drawn by Rust: the list is read once it has been painted. */
const painted = () =>
  document.querySelector('table.data tbody tr') && performance.getEntriesByName('first-contentful-paint')[0] && performance.now();
/** Drawn by the program, from what it asked for. */
const filled = () =>
  document.documentElement.dataset.ready && !/^Chargement/.test(document.querySelector('#admin .empty')?.textContent ?? '') && performance.now();

const server = await start({ demo: ['--schools', '1', '--pupils', '2000'] });
try {
  const browser = await launch();
  const account = of(server.accounts, 'school_admin')[0];
  const { page, context, leave } = await person(browser, server.url, { allow: [/status of 4\d\d/] });
  await enter(page, account);
  const storageState = await context.storageState();
  const school = `/administration/ecoles/${account.school_id}`;
  const screens = [
    ['admin_first_screen', school, painted, GOAL_MS],
    ['admin_list_filter', `${school}?q=ma&role=pupil`, painted, GOAL_MS],
    ['admin_section_by_itself', `${school}/classes`, filled, null],
    ['admin_section_after_the_list', `${school}/classes`, filled, null, school],
  ];
  for (const [name, path, drawn, goal, before] of screens) {
    for (const cpu of [1, 6]) {
      const looks = [];
      for (let run = 0; run < RUNS; run += 1) looks.push(await look(browser, { baseURL: server.url, storageState, path, cpu, drawn, before }));
      looks.sort((one, other) => one.ms - other.ms);
      const [best, median] = [looks[0], looks[(RUNS - 1) / 2]];
      const verdict = goal === null ? 'printed' : `<=${goal} ${best.ms <= goal ? 'ok' : 'short'}`;
      const more = `median ${Math.round(median.ms)}, ${best.requests} requests, ${best.bytes} bytes`;
      console.log(`${name}_cpu${cpu} ${Math.round(best.ms)} ms ${verdict} (${more})`);
    }
  }
  await leave();
  await close(browser);
} finally {
  await server.stop();
}
