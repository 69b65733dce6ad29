// @vitest-environment node
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { closing } from '../vite.config';

const scratch = mkdtempSync(join(tmpdir(), 'preau-kept-'));
const out = join(scratch, 'dist');
const kept = join(scratch, 'kept');
afterAll(() => rmSync(scratch, { recursive: true }));

type Closing = (options: { dir: string }, bundle: Record<string, unknown>) => void;

/** As the bundler would: the files, then what closes the build. */
function build(admin: boolean, name: string): void {
  const fileName = `assets/${name}-NEWNEW01.js`;
  mkdirSync(join(out, 'assets'), { recursive: true });
  writeFileSync(join(out, fileName), `export const of = '${name}, new';`);
  const write = closing(admin, kept).writeBundle as unknown as Closing;
  write({ dir: out }, { [fileName]: { type: 'chunk', isEntry: true, name, fileName } });
}

beforeAll(() => {
  mkdirSync(kept);
  writeFileSync(join(kept, 'README.md'), 'words');
  writeFileSync(join(kept, 'release'), '0.1.0\n');
  writeFileSync(join(kept, 'app-OLDOLD01.js'), "export const of = 'old';");
  // A part that did not change between the two.
  writeFileSync(join(kept, 'app-NEWNEW01.js'), "export const of = 'built elsewhere';");
  build(false, 'app');
  build(true, 'admin');
});

test('the release before is beside ours, in all three forms', () => {
  const old = readFileSync(join(kept, 'app-OLDOLD01.js'), 'utf8');
  const file = join(out, 'assets/app-OLDOLD01.js');
  expect(readFileSync(file, 'utf8')).toBe(old);
  expect(brotliDecompressSync(readFileSync(`${file}.br`)).toString()).toBe(old);
  expect(gunzipSync(readFileSync(`${file}.gz`)).toString()).toBe(old);
});

test('nothing of ours names it', () => {
  for (const file of ['entries.json', 'own.json', 'sw.js']) {
    expect(readFileSync(join(out, file), 'utf8')).not.toContain('OLDOLD01');
  }
  expect(JSON.parse(readFileSync(join(out, 'own.json'), 'utf8'))).toEqual([
    '/assets/app-NEWNEW01.js',
    '/assets/admin-NEWNEW01.js',
  ]);
});

test('what did not change is ours, and only scripts are taken', () => {
  expect(readFileSync(join(out, 'assets/app-NEWNEW01.js'), 'utf8')).toContain('app, new');
  const names = readdirSync(join(out, 'assets')).filter((name) => !/\.(br|gz)$/.test(name));
  expect(names.sort()).toEqual(['admin-NEWNEW01.js', 'app-NEWNEW01.js', 'app-OLDOLD01.js']);
});
