/**
 * What this device keeps of one account: the last home and a few weeks, in an IndexedDB named after the person.
 * On a shared device nothing is written, and nothing that another person left is read.
 */
import { RENEWED } from './api';

/** An answer, and when the server gave it (ms of the server's clock). */
export interface Kept<T> {
  at: number;
  etag: string | null;
  data: T;
}

const LAST = 'preau.person';
const NAME = 'preau-';
const STORE = 'kept';

/** After signing out, answers still under way must not write again. */
let wiped = false;

/** The server says at sign-in whether this device may keep data; without its word, it may not. */
export function mayKeep(): boolean {
  return !wiped && /(?:^|; )__Host-preau-keeping=trusted(?:;|$)/.test(document.cookie) && typeof indexedDB !== 'undefined';
}

/** Whose data to read when the page comes from the service worker and names nobody. */
export function lastPerson(): string | null {
  return mayKeep() ? localStorage.getItem(LAST) : null;
}

let opened: { person: string; db: Promise<IDBDatabase> } | null = null;

function open(person: string): Promise<IDBDatabase> {
  if (opened?.person === person) return opened.db;
  const db = new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(NAME + person, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close(); // signed out in another tab
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  });
  opened = { person, db };
  return db;
}

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Reads a kept answer. Storage that refuses (private windows, full disks) reads as empty. */
export async function read<T>(person: string, key: string): Promise<Kept<T> | null> {
  if (!mayKeep()) return null;
  try {
    const store = (await open(person)).transaction(STORE).objectStore(STORE);
    return (await settled<Kept<T> | undefined>(store.get(key))) ?? null;
  } catch {
    return null;
  }
}

/** Keeps an answer, where keeping is allowed. */
export async function keep<T>(person: string, key: string, kept: Kept<T>): Promise<void> {
  if (!mayKeep()) return;
  try {
    localStorage.setItem(LAST, person);
    const store = (await open(person)).transaction(STORE, 'readwrite').objectStore(STORE);
    await settled(store.put(kept, key));
  } catch {
    // Reading offline is then not possible; the screens say so when it matters.
  }
}

/** Forgets the weeks that are no longer near, so that a school year does not pile up on a phone. */
export async function prune(person: string, wanted: (key: string) => boolean): Promise<void> {
  if (!mayKeep()) return;
  try {
    const store = (await open(person)).transaction(STORE, 'readwrite').objectStore(STORE);
    const keys = await settled(store.getAllKeys());
    for (const key of keys) if (!wanted(String(key))) store.delete(key);
  } catch {
    // Nothing is lost by keeping more.
  }
}

/** Erases everything this device holds of a person, and the pages kept for offline reading. */
export async function wipe(person: string | null): Promise<void> {
  const who = person ?? localStorage.getItem(LAST);
  wiped = true;
  localStorage.removeItem(LAST);
  localStorage.removeItem(RENEWED);
  if (who && typeof indexedDB !== 'undefined') {
    if (opened?.person === who) {
      await opened.db.then((db) => db.close()).catch(() => undefined);
      opened = null;
    }
    await new Promise<void>((resolve) => {
      const request = indexedDB.deleteDatabase(NAME + who);
      // A tab that cannot close it delays the deletion until that tab goes; signing out does not wait for it.
      request.onsuccess = request.onerror = request.onblocked = () => resolve();
    });
  }
  if (typeof caches !== 'undefined') {
    for (const name of await caches.keys()) if (name.startsWith(NAME)) await caches.delete(name);
  }
  const workers = await navigator.serviceWorker?.getRegistrations?.();
  for (const worker of workers ?? []) await worker.unregister();
}
