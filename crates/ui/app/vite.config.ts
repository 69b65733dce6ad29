/// <reference types="vitest/config" />
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** Words that both programs say. */
const SHARED = /^(loading|print|months|days|second_|minute_)/;

/**
 * The catalogue also holds the words of pages that only Rust draws (`page_…`), and of the administration (`admin_…`): each
 * program carries its own.
 */
function appWords(admin: boolean): Plugin {
  const own = (key: string): boolean =>
    admin ? key.startsWith('admin_') || SHARED.test(key) : !/^(page|admin|desk)_/.test(key);
  return {
    name: 'app-words',
    enforce: 'pre',
    apply: 'build',
    transform(code, id) {
      if (!/\/i18n\/\w+\.json$/.test(id)) return null;
      const words = Object.entries(JSON.parse(code)).filter(([key]) => own(key));
      return { code: JSON.stringify(Object.fromEntries(words)), map: null };
    },
  };
}

/** The files of the release before, beside ours: its pages still ask for them (`kept/README.md`). */
function keep(kept: string, out: string): void {
  for (const name of readdirSync(kept).filter((name) => name.endsWith('.js'))) {
    const target = join(out, 'assets', name);
    // Of one name both are one file, and ours is what our own pages were built with.
    if (!existsSync(target)) copyFileSync(join(kept, name), target);
  }
}

/**
 * What the server needs beside the bundles: entry names, the service worker with its file list, the files of the release
 * before, .br and .gz. The administration is built apart, after the app: a chunk in common would be a request more for every
 * pupil, and what the service worker keeps must not hold it.
 */
export function closing(admin: boolean, kept = 'kept'): Plugin {
  return {
    name: 'closing',
    apply: 'build',
    writeBundle(options, bundle) {
      const out = options.dir ?? 'dist';
      const chunks = Object.values(bundle).filter((file) => file.type === 'chunk');
      const entries = Object.fromEntries(chunks.filter((c) => c.isEntry).map((c) => [c.name, `/${c.fileName}`]));
      const files = chunks.map((c) => `/${c.fileName}`).sort();
      const template = readFileSync('sw.js', 'utf8').replace(/^\s*\/\/.*\n|\/\*\*.*\*\/\n/gm, '');
      const version = createHash('sha256').update(template + files.join()).digest('hex').slice(0, 12);
      mkdirSync(out, { recursive: true });
      const before = admin ? JSON.parse(readFileSync(join(out, 'entries.json'), 'utf8')) : {};
      writeFileSync(join(out, 'entries.json'), JSON.stringify({ ...before, ...entries }));
      const own = admin ? JSON.parse(readFileSync(join(out, 'own.json'), 'utf8')) : [];
      writeFileSync(join(out, 'own.json'), JSON.stringify([...own, ...files]));
      const worker = template.replace('__FILES__', () => JSON.stringify(files)).replace('__VERSION__', version);
      if (!admin) {
        writeFileSync(join(out, 'sw.js'), worker);
        keep(kept, out);
      }
      for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
        const path = join(out, name);
        if (!name.endsWith('.js') || !statSync(path).isFile()) continue;
        const bytes = readFileSync(path);
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

export default defineConfig(({ mode }) => ({
  plugins: [appWords(mode === 'admin'), closing(mode === 'admin')],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: ['chrome71', 'safari12.1', 'firefox69'],
    modulePreload: false,
    emptyOutDir: mode !== 'admin',
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: mode === 'admin' ? { admin: 'src/admin/main.tsx' } : { app: 'src/main.tsx', access: 'src/access.ts' },
      output: {
        entryFileNames: 'assets/[name]-[hash].js',
        chunkFileNames: `assets/${mode === 'admin' ? 'admin-' : ''}[name]-[hash].js`,
      },
    },
  },
  test: { environment: 'happy-dom', include: ['test/**/*.test.{ts,tsx}'] },
}));
