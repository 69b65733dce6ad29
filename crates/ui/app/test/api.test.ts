import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { get, retryAfter } from '../src/api';

const answer = (status: number, body: unknown = {}, headers: Record<string, string> = {}): Response =>
  new Response(status === 304 || status === 204 ? null : JSON.stringify(body), { status, headers });

let asked: string[];
let script: Response[];

beforeEach(() => {
  localStorage.clear();
  asked = [];
  script = [];
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path);
    const next = script.shift();
    if (!next) throw new TypeError('network');
    return next;
  });
});
afterEach(() => vi.unstubAllGlobals());

test('a changed resource comes with its tag', async () => {
  script = [answer(200, { a: 1 }, { etag: '"1"' })];
  expect(await get('/x')).toMatchObject({ kind: 'ok', data: { a: 1 }, etag: '"1"' });
});

test('an unchanged one is not sent again', async () => {
  script = [answer(304)];
  expect(await get('/x', '"1"')).toMatchObject({ kind: 'same' });
});

test('an ended access is renewed once, then the call is made again', async () => {
  script = [answer(401), answer(200, { expires_in: 300 }), answer(200, { a: 1 })];
  expect(await get('/x')).toMatchObject({ kind: 'ok' });
  expect(asked).toEqual(['/x', '/api/v1/sessions/refresh', '/x']);
});

test('an ended session is signed out, without a loop', async () => {
  script = [answer(401), answer(401)];
  expect(await get('/x')).toEqual({ kind: 'signed-out' });
  script = [answer(401), answer(200), answer(401)];
  expect(await get('/x')).toEqual({ kind: 'signed-out' });
});

test('a server that cannot renew just now signs nobody out', async () => {
  script = [answer(401), answer(503)];
  expect(await get('/x')).toEqual({ kind: 'unreachable' });
});

test('a busy server says when to come back', async () => {
  for (const status of [202, 429, 503]) {
    script = [answer(status, {}, { 'retry-after': '20' })];
    const said = await get('/x');
    expect(said.kind).toBe('wait');
    if (said.kind === 'wait') expect(said.seconds).toBeGreaterThanOrEqual(20);
  }
});

test('a wait is never shorter than asked, and spread by a fifth', () => {
  const asked = answer(429, {}, { 'retry-after': '10' });
  expect(retryAfter(asked, 0)).toBe(10);
  expect(retryAfter(asked, 1)).toBe(12);
  expect(retryAfter(answer(429), 0)).toBe(30);
});

test('no network is unreachable', async () => {
  expect(await get('/x')).toEqual({ kind: 'unreachable' });
});
