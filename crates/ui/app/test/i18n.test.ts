import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import en from '../../i18n/en.json';
import fr from '../../i18n/fr.json';

type Entry = [string, string | string[]];
const texts = (words: object): [string, string][] =>
  (Object.entries(words) as Entry[]).flatMap(([key, value]) => [value].flat().map((text): [string, string] => [key, text]));

test('both languages have the same keys, holes and list lengths', () => {
  expect(Object.keys(en).sort()).toEqual(Object.keys(fr).sort());
  const holes = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const [key, value] of Object.entries(fr) as Entry[]) {
    const other = (en as Record<string, string | string[]>)[key];
    expect([key, [other].flat().length]).toEqual([key, [value].flat().length]);
    if (typeof value === 'string') expect([key, holes(String(other))]).toEqual([key, holes(value)]);
  }
});

test('French has its no-break spaces, its apostrophes and its ellipses', () => {
  for (const [key, text] of texts(fr)) {
    if (key === 'zones') continue;
    expect([key, /[^\u202f\u00a0][;?!»]/.test(text)]).toEqual([key, false]);
    expect([key, /[^\u00a0\d]:(?!\/\/)/.test(text)]).toEqual([key, false]);
    expect([key, /['…]{2}|'|\.\.\./.test(text)]).toEqual([key, false]);
  }
});

test('every word is used somewhere, in the pages or in the program', () => {
  const read = (folder: string): string =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(rs|html|tsx?)$/.test(name))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n');
  const source = ['src', '../src', '../templates'].map(read).join('\n');
  const unused = Object.keys(fr).filter((key) => {
    const stem = key.replace(/_(one|other)$/, '');
    // A word made of a code of the API, such as `admin_job_${job.state}`, is used where its family is.
    const family = /^admin_([a-z]+)_/.exec(key)?.[1];
    if (family && new RegExp(`admin_${family}_\\$\\{|\\('${family}', `).test(source)) return false;
    return !new RegExp(`\\b(${key}|${stem})\\b`).test(source);
  });
  expect(unused).toEqual([]);
});
