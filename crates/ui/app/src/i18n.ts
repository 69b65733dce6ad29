/**
 * The words of the screens. French is the source and travels with the program; English is a second file,
 * fetched only by those who read it. Both come from `crates/ui/i18n`, which the Rust pages use as well.
 */
import fr from '../../i18n/fr.json';

type Catalogue = typeof fr;
type Lists = { [K in keyof Catalogue]: Catalogue[K] extends string[] ? K : never }[keyof Catalogue];

/** A key of the catalogue that holds a sentence. */
export type Key = Exclude<keyof Catalogue, Lists>;
/** A key that exists as `…_one` and `…_other`. */
export type Counted = Key extends infer K ? (K extends `${infer P}_one` ? P : never) : never;

let words: Catalogue = fr;
/** Intl.PluralRules is missing from the oldest browsers we serve, and two languages need one comparison each. */
let one = (n: number): boolean => n < 2;

/** Reads the page's language, fetching the English words when they are wanted. */
export async function speak(lang: string): Promise<void> {
  if (lang !== 'en') return;
  words = (await import('../../i18n/en.json')).default as Catalogue;
  one = (n) => n === 1;
}

/** The sentence of a key, with `{name}` holes filled. */
export function t(key: Key, holes: Record<string, string | number> = {}): string {
  return words[key].replace(/\{(\w+)\}/g, (hole, name: string) => String(holes[name] ?? hole));
}

/** The sentence of a key that may not be there, such as one made of a code. */
export function known(key: string): string | null {
  const found = (words as Record<string, unknown>)[key];
  return typeof found === 'string' ? found : null;
}

/** The sentence for a number: « 1 minute », « 2 minutes ». */
export function count(key: Counted, n: number): string {
  return t(`${key}_${one(n) ? 'one' : 'other'}` as Key, { n });
}

/** One word of a list (days, months), or nothing past its end. */
export function listed(key: Lists, index: number): string {
  return words[key][index] ?? '';
}

/** The overseas name of a zone, or nothing for metropolitan France. */
export function zoneName(tz: string): string | null {
  const known = words.zones.find((z) => z.startsWith(`${tz}=`));
  if (known) return known.slice(tz.length + 1);
  return tz === 'Europe/Paris' ? null : (tz.split('/').pop() ?? tz).replace(/_/g, ' ');
}

/** « lundi » at the head of a line. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
