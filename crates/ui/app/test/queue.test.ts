import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Lane, type Mine, type Now, at, follow, laneOf, pause, position, range, slotPause } from '../src/queue';

const lane = (change: Partial<Lane> = {}): Lane => ({
  class: 'in-slot', threshold: 1000, look_max_s: 30, waiting: 900, sketch: [[1000, 0, 0, 0, 0], [2000, 500, 30, 50, 100], [4000, 900, 60, 90, 200]], ...change,
});
const now = (...lanes: Lane[]): Now => ({ territories: [{ territory_id: 'idf', lanes }] });
const words = ['Place {n}', '{a}-{b} min', '~{b} min', '< 1 min', '> {a} min', 'À vous', '10 minutes', 'Perdu'];
const mine = (change: Partial<Mine> = {}): Mine => ({
  tag: 2000, lane: 'in-slot', zone: 'idf', poll: 5000, best: null, opens: null, look: null, words, ...change,
});

test('people before a tag, and their times, lie on straight lines between the points', () => {
  const people = (tag: number): number => at(lane(), tag)[1];
  expect([500, 999, 1000, 1500, 2000, 3000, 4000, 9000].map(people)).toEqual([0, 0, 0, 250, 500, 700, 900, 900]);
  expect(at(lane(), 3000).slice(2)).toEqual([45, 70, 150]);
  expect(at(lane({ sketch: [] }), 3000).slice(1)).toEqual([0, 0, 0, 0]);
});

test('a place counts from the threshold, and a passed tag has its turn', () => {
  expect(position(lane(), 2000)).toBe(500);
  expect(position(lane(), 1001)).toBe(1);
  expect(position(lane({ threshold: 2000 }), 2000)).toBe(0);
  expect(position(undefined, 2000)).toBe(0); // nobody waits there any more
  expect(laneOf(now(lane()), mine())?.waiting).toBe(900);
  expect(laneOf(now(lane()), mine({ zone: 'paca' }))).toBeUndefined();
  expect(laneOf(now(lane({ class: 'lesson' })), mine())).toBeUndefined();
});

test('waits are rounded outwards, as the server rounds them', () => {
  expect(range(0, 40, words)).toBe('< 1 min');
  expect(range(290, 480, words)).toBe('4-8 min');
  expect(range(180, 180, words)).toBe('~3 min');
  expect(range(1300, 2000, words)).toBe('> 21 min');
  expect(range(7200, 14_400, words)).toBe('> 30 min');
});

test('one asks well before one’s turn, be it early, never in step, and no later than the server trusts itself', () => {
  expect(pause(1, 2, 30, 0)).toBe(800);
  expect(pause(50, 60, 30, 0)).toBe(15_000);
  expect(pause(50, 60, 30, 1)).toBeCloseTo(24_000);
  expect(pause(12, 60, 30, 1)).toBeCloseTo(9600);
  expect(pause(0, 60, 30, 1)).toBeCloseTo(1300);
  expect(pause(4000, 4000, 30, 0.5)).toBe(30_000);
  expect(pause(4000, 4000, 2, 0.5)).toBe(2000);
});

const PAGE = (said: Mine) => `<main><h1>Foule</h1><p id="place">Place <b>500</b></p><p id="wait">4-8 min</p>
  <p id="said" role="status"></p><form id="go" hidden></form></main><script type="application/json" id="q">${JSON.stringify(said)}</script>`;

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function serve(...answers: (Now | null)[]): void {
  vi.stubGlobal('fetch', () => {
    const next = answers.length > 1 ? answers.shift() : answers[0];
    return next ? Promise.resolve({ ok: true, json: () => Promise.resolve(next) }) : Promise.reject(new TypeError('offline'));
  });
}

test('the shown place falls and never rises, and the turn waits for the person', async () => {
  document.body.innerHTML = PAGE(mine({ best: 400 }));
  document.title = '400 · File';
  const turned = vi.fn();
  const moved = (threshold: number, before: number) => lane({ threshold, sketch: [[threshold, 0, 0, 0, 0], [2000, before, 9, 10, 20], [4000, before + 400, 20, 40, 80]] });
  serve(now(lane()), now(moved(1800, 101)), now(moved(2000, 0)));
  follow(document, turned, vi.fn());
  const place = (): string => document.querySelector('#place b')?.textContent ?? '';
  await vi.advanceTimersToNextTimerAsync();
  expect([place(), document.title]).toEqual(['400', '400 · File']); // computed 500: worse than what was shown
  await vi.advanceTimersToNextTimerAsync();
  expect([place(), document.title]).toEqual(['101', '101 · File']);
  expect(turned).not.toHaveBeenCalled();
  await vi.advanceTimersToNextTimerAsync();
  expect(turned).toHaveBeenCalledOnce();
  expect(document.title).toBe('● À vous');
  expect(document.getElementById('said')?.textContent).toBe('À vous. 10 minutes');
  expect(document.querySelector('h1')?.textContent).toBe('À vous');
});

test('without a network the place is kept and asked for again', async () => {
  document.body.innerHTML = PAGE(mine());
  document.title = '500 · File';
  serve(null, now(lane({ threshold: 1500, sketch: [[1500, 0, 0, 0, 0], [2000, 251, 20, 25, 30]] })));
  follow(document, vi.fn(), vi.fn());
  await vi.advanceTimersByTimeAsync(6000);
  expect(document.getElementById('wait')?.textContent).toBe('Perdu');
  expect(document.querySelector('#place b')?.textContent).toBe('500');
  await vi.advanceTimersByTimeAsync(40_000);
  expect(document.querySelector('#place b')?.textContent).toBe('251');
  expect(document.getElementById('wait')?.textContent).toBe('< 1 min');
});

test('who waits where little was measured yet looks again as soon as the server says', async () => {
  document.body.innerHTML = PAGE(mine());
  serve(now(lane({ look_max_s: 1 })), now(lane({ threshold: 2000 })));
  const turned = vi.fn();
  follow(document, turned, vi.fn());
  await vi.advanceTimersByTimeAsync(8000);
  expect(turned).toHaveBeenCalledOnce();
});

test('a screen reader hears of it at most once a minute', async () => {
  document.body.innerHTML = PAGE(mine());
  serve(now(lane({ look_max_s: 5 })));
  follow(document, vi.fn(), vi.fn());
  await vi.advanceTimersByTimeAsync(50_000);
  expect(document.getElementById('said')?.textContent).toBe('');
  await vi.advanceTimersByTimeAsync(20_000);
  expect(document.getElementById('said')?.textContent).toMatch(/^Place 500/);
});

const MINUTE = 60_000;
const slot = (change: Partial<Mine> = {}): Mine => mine({ tag: 0, poll: 20 * MINUTE, opens: 50 * MINUTE, look: '/connexion', ...change });
const SLOT = (said: Mine, title = 'À 13:00') => `<main><h1>${title}</h1><p id="place">Réservée</p><p id="wait"></p>
  <p id="said" role="status"></p><form id="go" hidden></form></main><script type="application/json" id="q">${JSON.stringify(said)}</script>`;

/** Answers of the server, the last of them for ever, and when each was asked for. */
function pages(...answers: (Partial<Response> | string)[]): { at: number[]; asked: unknown[] } {
  const seen = { at: [] as number[], asked: [] as unknown[] };
  const start = Date.now();
  vi.stubGlobal('fetch', (...call: unknown[]) => {
    seen.at.push(Date.now() - start);
    seen.asked.push(call);
    const next = answers.length > 1 ? answers.shift()! : answers[0]!;
    return Promise.resolve(typeof next === 'string' ? { status: 202, text: () => Promise.resolve(next) } : next);
  });
  return seen;
}

test('a slot is asked for as the server says, and in the half minute after its hour', () => {
  expect([slotPause(20 * MINUTE, 50 * MINUTE, 0), slotPause(20 * MINUTE, 50 * MINUTE, 1)]).toEqual([18 * MINUTE, 22 * MINUTE]);
  expect([slotPause(20 * MINUTE, MINUTE, 0), slotPause(20 * MINUTE, MINUTE, 1)]).toEqual([61_000, 90_000]);
  expect(slotPause(20 * MINUTE, -5 * MINUTE, 0)).toBe(1000);
});

test('a ticket that waits for its slot asks the server, before the hour and when it comes', async () => {
  document.body.innerHTML = SLOT(slot());
  const [turned, show] = [vi.fn(), vi.fn()];
  const still = (opens: number) => SLOT(slot({ opens: opens * MINUTE }));
  const seen = pages(still(30), still(8), SLOT(mine()));
  follow(document, turned, show);
  const main = document.querySelector('main');
  await vi.advanceTimersByTimeAsync(53 * MINUTE);
  expect(seen.asked[0]).toEqual(['/connexion', { redirect: 'manual' }]);
  expect(seen.at.length).toBe(3);
  const [first, second, third] = seen.at as [number, number, number];
  expect(first).toBeGreaterThanOrEqual(18 * MINUTE);
  expect(first).toBeLessThanOrEqual(22 * MINUTE);
  expect(third - second).toBeGreaterThanOrEqual(8 * MINUTE + 1000);
  expect(third - second).toBeLessThanOrEqual(8 * MINUTE + 30_000);
  expect(show).toHaveBeenCalledExactlyOnceWith(SLOT(mine())); // a place in the line: that page follows itself
  expect(turned).not.toHaveBeenCalled();
  expect(document.querySelector('main')).toBe(main);
});

test('a slot whose holder walks straight in says so and goes nowhere by itself', async () => {
  for (const answer of [{ status: 200 }, { status: 0, type: 'opaqueredirect' }] as Partial<Response>[]) {
    document.body.innerHTML = SLOT(slot());
    const [turned, show] = [vi.fn(), vi.fn()];
    const seen = pages(answer);
    follow(document, turned, show);
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(seen.at.length).toBe(1);
    expect(turned).toHaveBeenCalledOnce();
    expect(show).not.toHaveBeenCalled();
    expect([document.title, document.querySelector('h1')?.textContent]).toEqual(['● À vous', 'À vous']);
    dispatchEvent(new Event('online'));
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(seen.at.length).toBe(1);
  }
});

test('a slot that moves is drawn anew, and one that cannot be asked for is kept', async () => {
  document.body.innerHTML = SLOT(slot());
  const show = vi.fn();
  pages({ status: 503 }, SLOT(slot(), 'À 11:00'));
  follow(document, vi.fn(), show);
  await vi.advanceTimersByTimeAsync(23 * MINUTE);
  expect(document.getElementById('wait')?.textContent).toBe('Perdu');
  await vi.advanceTimersByTimeAsync(23 * MINUTE);
  expect(show).toHaveBeenCalledOnce();
});

test('a page that holds what was typed for a slot is left alone', async () => {
  document.body.innerHTML = SLOT(slot({ look: null }));
  const seen = pages({ status: 200 });
  const turned = vi.fn();
  follow(document, turned, vi.fn());
  await vi.advanceTimersByTimeAsync(90 * MINUTE);
  expect(seen.at.length).toBe(0);
  expect(turned).not.toHaveBeenCalled();
});

const shut = (change: Partial<Mine> = {}): Mine => mine({ poll: 4 * MINUTE, opens: 540 * MINUTE, look: '/connexion', ...change });

/** What everybody reads, and the page as the server draws it: when that was asked for, in minutes. */
function closed(now: () => Now, page: () => string): { looked: number[]; read: number[] } {
  const seen = { looked: [] as number[], read: [] as number[] };
  const start = Date.now();
  vi.stubGlobal('fetch', (where: string) => {
    const at = (Date.now() - start) / MINUTE;
    if (where === '/connexion') {
      seen.looked.push(at);
      return Promise.resolve({ status: 202, text: () => Promise.resolve(page()) });
    }
    seen.read.push(at);
    return Promise.resolve({ ok: true, json: () => Promise.resolve(now()) });
  });
  return seen;
}

test('a place in a closed lane follows what everybody reads, and has the server keep it every two hours', async () => {
  // Kept every two hours less a little, so that none of these falls into the minute of the opening, as one in a hundred does.
  vi.spyOn(Math, 'random').mockReturnValue(0.9);
  const start = Date.now();
  const said = () => PAGE(shut({ opens: 540 * MINUTE - (Date.now() - start) }));
  document.body.innerHTML = said();
  const [turned, show] = [vi.fn(), vi.fn()];
  let line = now(lane());
  const seen = closed(() => line, said);
  follow(document, turned, show);
  await vi.advanceTimersByTimeAsync(530 * MINUTE);
  expect(document.getElementById('wait')?.textContent).toBe(''); // nobody knows how fast it will go
  const gaps = [0, ...seen.looked].map((at, nth, all) => (all[nth + 1] ?? at) - at);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(125);
  expect(seen.looked.length).toBeLessThanOrEqual(6);
  expect(seen.read.length).toBeGreaterThan(100);

  // At the opening nobody leaves what is read by all.
  const before = seen.looked.length;
  line = now(lane({ threshold: 1500, sketch: [[1500, 0, 0, 0, 0], [2000, 251, 200, 260, 340]] }));
  await vi.advanceTimersByTimeAsync(11 * MINUTE);
  expect(seen.looked.slice(before).filter((at) => at >= 540)).toEqual([]);
  expect(document.querySelector('#place b')?.textContent).toBe('251');
  expect(document.getElementById('wait')?.textContent).toBe('3-6 min');
  line = now(lane({ threshold: 2000 }));
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(turned).toHaveBeenCalledOnce();
  expect(show).not.toHaveBeenCalled();
});

test('a place that was lost in a closed lane is shown as what it is now', async () => {
  document.body.innerHTML = PAGE(shut());
  const show = vi.fn();
  const lost = PAGE(shut({ tag: 3000 }));
  closed(() => now(lane()), () => lost);
  follow(document, vi.fn(), show);
  await vi.advanceTimersByTimeAsync(130 * MINUTE);
  expect(show).toHaveBeenCalledExactlyOnceWith(lost);
});
