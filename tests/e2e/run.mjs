// `node tests/e2e/run.mjs`: journeys in a real browser against the real binary. `PREAU_URL` takes a running one;
// an argument keeps only the scenarios whose name contains it.
import { close, launch } from './browser.mjs';
import { accountScenarios } from './accounts.mjs';
import { deskScenarios } from './desk.mjs';
import { officeScenarios } from './office.mjs';
import { queueScenarios } from './queue.mjs';
import { scenarios } from './scenarios.mjs';
import { start } from './server.mjs';

const only = process.argv[2] ?? '';
const server = await start();
let passed = 0;
let failed = 0;
try {
  const browser = await launch();
  for (const [name, play] of [...scenarios, ...accountScenarios, ...officeScenarios, ...queueScenarios, ...deskScenarios].filter(([name]) => name.includes(only))) {
    const begun = performance.now();
    try {
      const note = await play({ browser, ...server });
      passed += 1;
      console.log(`ok    ${name}${note ? ` (${note})` : ''} ${Math.round(performance.now() - begun)} ms`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}\n${error.stack ?? error}`);
    }
  }
  await close(browser);
} finally {
  await server.stop();
}
console.log(`${passed} passed, ${failed} failed`);
// A browser that does not close would keep this alive; it is killed as this ends.
process.exit(failed === 0 && passed > 0 ? 0 : 1);
