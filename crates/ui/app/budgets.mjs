// What the first screen may weigh (brotli, as sent). Past a limit the gate fails: bytes are someone's data plan.
import { readFileSync, readdirSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';

const KB = 1000;
const brotli = (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;

const entries = JSON.parse(readFileSync('dist/entries.json', 'utf8'));
const sent = (path) => readFileSync(`dist${path}.br`).length;
const own = JSON.parse(readFileSync('dist/own.json', 'utf8'));
const lazy = own.filter((path) => !Object.values(entries).includes(path));
const kept = readdirSync('kept').filter((name) => name.endsWith('.js'));
const css = ['tokens', 'base', 'components', 'pages', 'print'].map((name) => readFileSync(`src/styles/${name}.css`));

const lines = [
  ['app.js', sent(entries.app), 30 * KB],
  ['access.js', sent(entries.access), 3 * KB],
  ['admin.js', sent(entries.admin), 30 * KB],
  ['css', brotli(Buffer.concat(css)), 8 * KB],
  ['sw.js', sent('/sw.js'), 1.5 * KB],
  ...lazy.map((path) => [path.split('/').pop(), sent(path), 15 * KB]),
];

// What a pupil's device keeps holds nothing of the administration.
const admin = readFileSync('dist/sw.js', 'utf8').includes('/admin-') ? 1 : 0;
lines.push(['admin files kept by sw.js', admin, 0]);

// Every node holds the release before in memory, in three forms.
const held = kept.flatMap((name) => ['', '.br', '.gz'].map((form) => readFileSync(`dist/assets/${name}${form}`).length));
lines.push(['the release before, as nodes hold it', held.reduce((sum, bytes) => sum + bytes, 0), 400 * KB]);

let short = 0;
for (const [name, bytes, limit] of lines) {
  const ok = bytes <= limit;
  if (!ok) short += 1;
  console.log(`${name} ${bytes} bytes_br ${limit} ${ok ? 'ok' : 'short'}`);
}
process.exit(short === 0 ? 0 : 1);
