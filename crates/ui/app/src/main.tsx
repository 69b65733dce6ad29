/** Takes over the page that Rust drew, from the data it carries. Until then every control is a plain link or form. */
import { render } from 'preact';
import { now, setClock } from './api';
import { App } from './app';
import { type Kept, lastPerson, mayKeep } from './db';
import { speak } from './i18n';
import { followLinks } from './router';
import { makeStore } from './store';
import { keepHome, keptHome, makeSync, weekKey } from './sync';
import type { Home, Slot, Timetable } from './types';

/** The JSON block of a page, with the server's time of writing and the tag to ask again with. */
function carried<T>(id: string): Kept<T> | null {
  const block = document.getElementById(id);
  if (!block?.textContent) return null;
  return { at: Number(block.dataset.at), etag: block.dataset.etag ?? null, data: JSON.parse(block.textContent) as T };
}

/** Waits while the person is in the middle of something: a field with focus, an open menu. */
async function idle(root: Element): Promise<void> {
  const busy = (): boolean =>
    root.querySelector('details[open]') !== null || document.activeElement?.matches('input, textarea, select') === true;
  while (busy()) await new Promise((again) => addEventListener('focusout', again, { once: true }));
}

function afterLoad(work: () => void): void {
  // Spread over a few seconds: at nine o'clock everybody's page has just loaded.
  const soon = (): void => void setTimeout(work, 1000 + Math.random() * 3000);
  if (document.readyState === 'complete') soon();
  else addEventListener('load', soon, { once: true });
}

/** Offline reading is for devices that may keep data; elsewhere an old worker is removed. */
async function serviceWorker(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  if (!mayKeep()) {
    for (const old of await navigator.serviceWorker.getRegistrations()) await old.unregister();
    return;
  }
  const registration = await navigator.serviceWorker.register('/sw.js');
  registration.waiting?.postMessage('activate'); // the page has just loaded: nothing typed can be lost
}

/** Lets the browser offer to install the site; only now, for the first screen must not wait for it. */
function manifest(): void {
  const link = document.createElement('link');
  link.rel = 'manifest';
  link.href = '/manifest.webmanifest';
  document.head.append(link);
}

async function start(root: Element): Promise<void> {
  const home = carried<Home>('home-data');
  const week = carried<Timetable>('week-data');
  if (home) setClock(home.at);
  await speak(document.documentElement.lang);

  // Somebody who waits at the door reads what the device keeps: nothing is asked of a server that is at its limit.
  const reading = location.search === '?journee' && !home;
  const person = lastPerson();
  const held = home ?? (person ? await keptHome(person) : null);
  const store = makeStore({
    url: location.pathname + location.search,
    home: held,
    slots: carried<Slot[]>('slot-data')?.data ?? null,
    weeks: {},
    online: navigator.onLine,
    refused: null,
    light: false,
    now: now(),
    signedOut: false,
    reading,
  });
  if (week) {
    const { school = '', person: whose = '' } = document.getElementById('week-data')?.dataset ?? {};
    store.set({ weeks: { [weekKey(school, whose, week.data.from)]: { kind: 'held', kept: week } } });
  }
  const sync = makeSync(store);

  await idle(root);
  const focused = document.activeElement?.id;
  render(<App store={store} sync={sync} />, root);
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
  followLinks((url) => store.set({ url, now: now() }));
  document.documentElement.dataset.ready = 'yes';

  if (reading) return;
  sync.start();
  afterLoad(() => {
    manifest();
    void serviceWorker().catch(() => undefined);
    if (home) void keepHome(home);
    if (mayKeep()) void sync.ahead();
  });
}

const root = document.getElementById('app');
if (root) void start(root);
