// The real binary on a database of its own: made, migrated, filled with the demo territory, dropped at the end.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const LOCAL = join(ROOT, '.local');

/** The stores that `cargo xtask stores up` left, unless the environment names others. */
function stores() {
  if (process.env.PREAU_DATABASE__OWNER_URL) {
    return {
      database_url: process.env.PREAU_DATABASE__URL,
      owner_url: process.env.PREAU_DATABASE__OWNER_URL,
      redis_url: process.env.PREAU_REDIS__URL,
    };
  }
  const path = join(LOCAL, 'stores.json');
  if (!existsSync(path)) throw new Error('no stores: run `cargo xtask stores up`, or set PREAU_URL to a running Préau');
  return JSON.parse(readFileSync(path, 'utf8'));
}

function psqlPath() {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort() : [];
  const found = versions.map((version) => join(debian, version, 'bin', 'psql')).find(existsSync);
  return found ?? 'psql';
}

function sql(url, text) {
  const done = spawnSync(psqlPath(), ['--no-psqlrc', '-qtA', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', text], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`psql: ${done.stderr || done.error}`);
  return done.stdout.trim();
}

const named = (url, database) => {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.toString();
};

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Until `check` says yes. */
export async function eventually(what, check, limitMs) {
  const end = Date.now() + limitMs;
  for (;;) {
    if (await check()) return;
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs / 1000} s`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Starts Préau, or takes the one that `PREAU_URL` names. `demo` are arguments of the demo territory. */
export async function start({ demo = [] } = {}) {
  if (process.env.PREAU_URL) {
    const accounts = process.env.PREAU_ACCOUNTS ?? join(LOCAL, 'accounts.json');
    return { url: process.env.PREAU_URL.replace(/\/$/, ''), accounts: JSON.parse(readFileSync(accounts, 'utf8')), codes: [], mail: null, slow: null, stop: async () => {} };
  }
  const bin = process.env.PREAU_BIN ?? join(ROOT, 'target', 'debug', 'preau');
  if (!existsSync(bin)) throw new Error(`${bin} is not built: cargo build -p preau-server`);
  const at = stores();
  const database = `preau_e2e_${process.pid}`;
  const [port, probe] = [await freePort(), await freePort()];
  const url = `http://localhost:${port}`;
  const scratch = join(LOCAL, `e2e-${process.pid}`);
  const mail = join(scratch, 'mail');
  mkdirSync(mail, { recursive: true });
  const env = {
    ...process.env,
    PREAU_DATABASE__URL: named(at.database_url, database),
    PREAU_DATABASE__OWNER_URL: named(at.owner_url, database),
    PREAU_REDIS__URL: at.redis_url,
    PREAU_HTTP__LISTEN: `127.0.0.1:${port}`,
    PREAU_HTTP__PROBE_LISTEN: `127.0.0.1:${probe}`,
    PREAU_HTTP__PUBLIC_URL: url,
    PREAU_POST__TRANSPORT: 'file',
    PREAU_POST__FOLDER: mail,
    PREAU_SECRETS__MASTER_KEY: process.env.PREAU_SECRETS__MASTER_KEY ?? '5a'.repeat(32),
  };
  const preau = (...args) => {
    const done = spawnSync(bin, args, { env, encoding: 'utf8', maxBuffer: 64 << 20 });
    if (done.status !== 0) throw new Error(`preau ${args.join(' ')}: ${done.stderr || done.error}`);
    return done.stdout;
  };

  sql(named(at.owner_url, 'postgres'), `CREATE DATABASE ${database}`);
  let served;
  const end = async (node) => {
    if (node && node.exitCode === null) {
      node.kill('SIGTERM');
      await new Promise((resolve) => node.once('exit', resolve));
    }
  };
  const others = [];
  const stop = async () => {
    for (const node of [served, ...others]) await end(node);
    sql(named(at.owner_url, 'postgres'), `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    rmSync(scratch, { recursive: true, force: true });
  };
  try {
    preau('migrate');
    const accounts = join(scratch, 'accounts.json');
    preau('demo', '--out', join(scratch, 'demo'), '--accounts', accounts, ...demo);
    // A file and no pipe: a node whose words nobody reads stands still once the pipe is full.
    const log = openSync(join(LOCAL, 'e2e.log'), 'w');
    const serve = async (env, probe, ...args) => {
      const node = spawn(bin, ['serve', ...args], { env, stdio: ['ignore', log, log] });
      const ready = () =>
        fetch(`http://127.0.0.1:${probe}/readyz`).then((answer) => answer.ok, () => node.exitCode !== null);
      await eventually('preau serve is ready', ready, 60_000);
      if (node.exitCode !== null) throw new Error('preau serve ended: see .local/e2e.log');
      return node;
    };
    served = await serve(env, probe, '--with-worker');
    /** Another node, with a line of its own that lets so many people a second in. */
    const slow = async (inlet) => {
      const [port, probe] = [await freePort(), await freePort()];
      const url = `http://localhost:${port}`;
      const own = {
        ...env,
        PREAU_HTTP__LISTEN: `127.0.0.1:${port}`,
        PREAU_HTTP__PROBE_LISTEN: `127.0.0.1:${probe}`,
        PREAU_HTTP__PUBLIC_URL: url,
        PREAU_REDIS__PREFIX: `e2e-${process.pid}-${port}:`,
        PREAU_ADMISSION__INLET_PER_S: String(inlet),
        PREAU_ADMISSION__MOMENT_MS: '0',
      };
      const node = await serve(own, probe);
      others.push(node);
      return { url, stop: () => end(node) };
    };
    const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
    return { url, accounts: read(accounts), codes: read(join(scratch, 'activation.json')), mail, slow, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
