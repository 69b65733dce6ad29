/// <reference types="vitest/config" />
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** The catalogue also holds the words of pages that only Rust draws (`page_…`): the program does not carry those. */
function appWords(): Plugin {
  return {
    name: 'app-words',
    enforce: 'pre',
    apply: 'build',
    transform(code, id) {
      if (!/\/i18n\/\w+\.json$/.test(id)) return null;
      const words = Object.entries(JSON.parse(code)).filter(([key]) => !key.startsWith('page_'));
      return { code: JSON.stringify(Object.fromEntries(words)), map: null };
    },
  };
}

/** What the server needs beside the bundles: entry names, the service worker with its file list, .br and .gz. */
function closing(): Plugin {
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
      writeFileSync(join(out, 'entries.json'), JSON.stringify(entries));
      writeFileSync(
        join(out, 'sw.js'),
        template.replace('__FILES__', () => JSON.stringify(files)).replace('__VERSION__', version),
      );
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

export default defineConfig({
  plugins: [appWords(), closing()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: ['chrome71', 'safari12.1', 'firefox69'],
    modulePreload: false,
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { app: 'src/main.tsx', access: 'src/access.ts' },
      output: {
        entryFileNames: 'assets/[name]-[hash].js',
        chunkFileNames: 'assets/[name]-[hash].js',
      },
    },
  },
  test: { environment: 'happy-dom', include: ['test/**/*.test.{ts,tsx}'] },
});
