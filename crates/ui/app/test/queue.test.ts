import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Lane, type Mine, type Now, ahead, bounds, follow, laneOf, pause, position, range, seconds } from '../src/queue';

const lane = (change: Partial<Lane> = {}): Lane => ({
  class: 'in-slot', threshold: 1000, rate_per_s: 10, look_max_s: 30, clear_s: 0, after_per_s: 0, waiting: 900, sketch: [[1000, 0], [2000, 500], [4000, 900]], ...change,
});
const now = (...lanes: Lane[]): Now => ({ territories: [{ territory_id: 'idf', lanes }] });
const words = ['Place {n}', '{a}-{b} min', '~{b} min', '< 1 min', '> {a} min', 'À vous', '10 minutes', 'Perdu'];
const mine = (change: Partial<Mine> = {}): Mine => ({
  tag: 2000, lane: 'in-slot', zone: 'idf', poll: 5000, best: null, dated: false, words, ...change,
});

test('people before a tag lie on straight lines between the points', () => {
  expect([500, 999, 1000, 1500, 2000, 3000, 4000].map((tag) => ahead(lane(), tag))).toEqual([0, 0, 0, 250, 500, 700, 900]);
  expect(ahead(lane(), 9000)).toBe(900);
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

test('a lane that has its floor only while better ones are full speeds up after them', () => {
  expect(seconds(lane(), 50)).toBe(5);
  const floor = lane({ rate_per_s: 1, clear_s: 60, after_per_s: 20 });
  expect([seconds(floor, 30), seconds(floor, 60), seconds(floor, 260)]).toEqual([30, 60, 70]);
  expect(seconds(lane({ rate_per_s: 0 }), 50)).toBe(0);
});

test('whom lessons call may stay away or all come before', () => {
  expect(bounds(lane(), 50)).toEqual([5, 5]);
  const calling = lane({ rate_per_s: 1, clear_s: 100, after_per_s: 20, called: 1200 });
  expect(seconds(calling, 200)).toBe(105);
  expect(bounds(calling, 200)).toEqual([48, 110]); // 60 s of the clearing are people who may not come
  expect(bounds({ ...calling, clear_s: 50 }, 200)).toEqual([10, 70]); // slower than all of them would be
  expect(bounds({ ...calling, after_per_s: 0 }, 200)).toEqual([200, 200]);
});

test('waits are rounded outwards, as the server rounds them', () => {
  expect(range(20, 20, words)).toBe('< 1 min');
  expect(range(360, 360, words)).toBe('4-8 min');
  expect(range(90, 90, words)).toBe('1-2 min');
  expect(range(150, 330, words)).toBe('2-7 min');
  expect(range(3600, 3600, words)).toBe('> 30 min');
});

test('one asks well before one’s turn, never in step, and no later than the server trusts itself', () => {
  expect(pause(2, 30, 0)).toBe(1000);
  expect(pause(60, 30, 0)).toBe(15_000);
  expect(pause(60, 30, 1)).toBeCloseTo(24_000);
  expect(pause(4000, 30, 0.5)).toBe(30_000);
  expect(pause(4000, 2, 0.5)).toBe(2000);
});

const PAGE = (said: Mine) => `<main><h1>Foule</h1><p id="place">Place <b>500</b></p><p id="wait">4-8 min</p>
  <p id="said" role="status"></p><form id="go" hidden></form></main><script type="application/json" id="q">${JSON.stringify(said)}</script>`;

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
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
  const moved = (threshold: number, before: number) => lane({ threshold, sketch: [[threshold, 0], [2000, before], [4000, before + 400]] });
  serve(now(lane()), now(moved(1800, 101)), now(moved(2000, 0)));
  follow(document, turned);
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
  serve(null, now(lane({ threshold: 1500, sketch: [[1500, 0], [2000, 251]] })));
  follow(document, () => undefined);
  await vi.advanceTimersByTimeAsync(6000);
  expect(document.getElementById('wait')?.textContent).toBe('Perdu');
  expect(document.querySelector('#place b')?.textContent).toBe('500');
  await vi.advanceTimersByTimeAsync(40_000);
  expect(document.querySelector('#place b')?.textContent).toBe('251');
  expect(document.getElementById('wait')?.textContent).toBe('< 1 min');
});

test('a screen reader hears of it at most once a minute', async () => {
  document.body.innerHTML = PAGE(mine());
  serve(now(lane({ rate_per_s: 100 })));
  follow(document, () => undefined);
  await vi.advanceTimersByTimeAsync(50_000);
  expect(document.getElementById('said')?.textContent).toBe('');
  await vi.advanceTimersByTimeAsync(20_000);
  expect(document.getElementById('said')?.textContent).toMatch(/^Place 500/);
});

test('a ticket that waits for its slot is not called before the server says so', async () => {
  document.body.innerHTML = PAGE(mine({ dated: true }));
  const turned = vi.fn();
  serve(now());
  follow(document, turned);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(turned).not.toHaveBeenCalled();
});
