/** Keeps the state fresh: stored data first, then the server, and never harder than the server can bear. */
import { get, now, spared, type Answer } from './api';
import { keep, prune, read, type Kept } from './db';
import type { Store } from './store';
import { addDays, dayOf, mondayOf } from './time';
import type { Home, Slot, Timetable } from './types';

const HOME = 'home';
/** A visible page asks again after this long; hidden ones do not ask at all. */
const FRESH = 5 * 60_000;
/** A week changes less often than a day. */
const WEEK_FRESH = 30 * 60_000;

export const weekKey = (school: string, person: string, monday: string): string =>
  `week ${school} ${person} ${monday}`;

/** Everyone whose timetable this account shows, with the school it is in. */
export function everyone(home: Home): { school: string; tz: string; person: string; monday: string }[] {
  return home.schools.flatMap((school) =>
    school.views.map((view) => ({
      school: school.id,
      tz: school.tz,
      person: view.person.id,
      monday: mondayOf(dayOf(now(), school.tz)),
    })),
  );
}

export function makeSync(store: Store) {
  let timer = 0;
  let asking = false;

  const later = (ms: number): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void refresh(), ms);
  };

  /** Notes what a failed call means for the banner; says whether the account is still signed in. */
  function failed(answer: Answer<unknown>): void {
    if (answer.kind === 'signed-out') store.set({ signedOut: true });
    else if (answer.kind === 'wait') store.set({ refused: answer.seconds });
    else if (answer.kind === 'unreachable') store.set({ refused: 0, online: navigator.onLine });
  }

  async function refresh(): Promise<void> {
    if (asking || document.hidden) return;
    asking = true;
    const held = store.get().home;
    const answer = await get<Home>('/api/v1/home', held?.etag ?? null);
    asking = false;
    if (answer.kind === 'ok' || answer.kind === 'same') {
      const kept: Kept<Home> | null =
        answer.kind === 'ok'
          ? { at: answer.at, etag: answer.etag, data: answer.data }
          : held && { ...held, at: answer.at };
      store.set({ home: kept, refused: null, online: true, light: spared().length > 0, now: now() });
      if (answer.kind === 'ok' || store.get().slots === null) void slots();
      if (kept) await keep(kept.data.user.id, HOME, kept);
      later(FRESH * (spared().includes('polling') ? 4 : 1) * (1 + Math.random() / 5));
    } else {
      failed(answer);
      later(answer.kind === 'wait' ? answer.seconds * 1000 : 30_000 * (1 + Math.random()));
    }
  }

  /** My hours: told beside the day, and no reason to hold it up. */
  async function slots(): Promise<void> {
    const answer = await get<{ items: Slot[] }>('/api/v1/account/slot', null);
    if (answer.kind === 'ok') store.set({ slots: answer.data.items });
  }

  function hold(key: string, kept: Kept<Timetable>): void {
    store.set({ weeks: { ...store.get().weeks, [key]: { kind: 'held', kept } } });
  }

  /** Brings one week on screen: what the device holds at once, then what the server says. */
  async function week(school: string, person: string, monday: string): Promise<void> {
    const key = weekKey(school, person, monday);
    const user = store.get().home?.data.user.id;
    const shown = store.get().weeks[key];
    if (!user || shown?.kind === 'loading') return;
    let kept = shown?.kind === 'held' ? shown.kept : await read<Timetable>(user, key);
    if (kept) hold(key, kept);
    else store.set({ weeks: { ...store.get().weeks, [key]: { kind: 'loading' } } });
    if (kept && now() - kept.at < WEEK_FRESH) return;
    if (store.get().reading) {
      if (!kept) store.set({ weeks: { ...store.get().weeks, [key]: { kind: 'none' } } });
      return;
    }

    const path = `/api/v1/schools/${school}/timetable?person_id=${person}&from=${monday}&days=7`;
    const answer = await get<Timetable>(path, kept?.etag ?? null);
    if (answer.kind === 'ok') kept = { at: answer.at, etag: answer.etag, data: answer.data };
    else if (answer.kind === 'same' && kept) kept = { ...kept, at: answer.at };
    else {
      failed(answer);
      if (!kept) store.set({ weeks: { ...store.get().weeks, [key]: { kind: 'none' } } });
      return;
    }
    store.set({ online: true });
    hold(key, kept);
    await keep(user, key, kept);
  }

  /** Stores the weeks that may be wanted without a network: last week to the one after next. */
  async function ahead(): Promise<void> {
    const home = store.get().home?.data;
    if (!home) return;
    const wanted = new Set([HOME]);
    for (const { school, person, monday } of everyone(home)) {
      for (let n = -1; n <= 2; n += 1) {
        const from = addDays(monday, 7 * n);
        wanted.add(weekKey(school, person, from));
        if (store.get().refused !== null || store.get().light) continue; // a busy server is not asked for what nobody is looking at
        await week(school, person, from);
      }
    }
    await prune(home.user.id, (key) => wanted.has(key));
  }

  function start(): void {
    addEventListener('online', () => {
      store.set({ online: true });
      void refresh();
    });
    addEventListener('offline', () => store.set({ online: false }));
    document.addEventListener('visibilitychange', () => {
      const home = store.get().home;
      store.set({ now: now() });
      if (!document.hidden && (!home || now() - home.at > 60_000)) void refresh();
    });
    setInterval(() => store.set({ now: now() }), 30_000);
    const home = store.get().home;
    later(home ? Math.max(0, FRESH - (now() - home.at)) : 0);
  }

  return { start, refresh, week, ahead };
}

export type Sync = ReturnType<typeof makeSync>;

/** The home this device kept of its last account. */
export function keptHome(person: string): Promise<Kept<Home> | null> {
  return read<Home>(person, HOME);
}

/** Keeps the home that came inside the page. */
export function keepHome(kept: Kept<Home>): Promise<void> {
  return keep(kept.data.user.id, HOME, kept);
}
