/**
 * The one way to the server: every call has a deadline, a refused session is renewed once, and a busy server's wait
 * is passed on rather than fought.
 */

/** What a call came to. `at` is the server's clock in ms. */
export type Answer<T> =
  | { kind: 'ok'; data: T; etag: string | null; at: number }
  | { kind: 'same'; at: number }
  | { kind: 'wait'; seconds: number }
  | { kind: 'signed-out' }
  | { kind: 'absent' }
  | { kind: 'unreachable' };

const DEADLINE = 12_000;
/** When some tab last renewed the session (ms of this device), for the others to see. */
export const RENEWED = 'preau.renewed';

/** The server's clock minus the device's: old phones are often minutes off. */
let skew = 0;

/** Now, by the server's clock as last heard. */
export function now(): number {
  return Date.now() + skew;
}

/** Takes the server's word for the time. */
export function setClock(serverNow: number): void {
  if (serverNow > 0) skew = serverNow - Date.now();
}

/** What was given up for the last day that came, by the codes of `X-Degraded`. */
let less: string[] = [];

/** Whether the server is sparing itself: nobody is asked for what can wait. */
export const spared = (): string[] => less;

async function call(path: string, init: RequestInit): Promise<Response> {
  const abort = new AbortController();
  const deadline = setTimeout(() => abort.abort(), DEADLINE);
  try {
    // The browser's own cache would keep a pupil's day on a shared computer's disk; ours asks first.
    const answer = await fetch(path, { ...init, cache: 'no-store', credentials: 'same-origin', signal: abort.signal });
    setClock(Date.parse(answer.headers.get('date') ?? '') || 0);
    if (path === '/api/v1/home') less = (answer.headers.get('x-degraded') ?? '').split(',').filter(Boolean);
    return answer;
  } finally {
    clearTimeout(deadline);
  }
}

/** Seconds asked for by a busy server, spread by a fifth so that a crowd does not come back as one. */
export function retryAfter(answer: Response, spread: number = Math.random()): number {
  const asked = Number(answer.headers.get('retry-after'));
  const seconds = Number.isFinite(asked) && asked > 0 ? asked : 30;
  return seconds * (1 + spread / 5);
}

/** Two tabs that both see their access end renew once between them. */
const tabs = navigator.locks
  ? async (work: () => Promise<boolean>): Promise<boolean> => await navigator.locks.request('preau-renew', work)
  : (work: () => Promise<boolean>): Promise<boolean> => (renewing ??= work().finally(() => (renewing = null)));
let renewing: Promise<boolean> | null = null;

async function renew(since: number): Promise<boolean> {
  return tabs(async () => {
    if (Number(localStorage.getItem(RENEWED)) > since) return true; // another tab did, while we waited
    const answer = await call('/api/v1/sessions/refresh', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    if (answer.ok) localStorage.setItem(RENEWED, String(Date.now()));
    if (!answer.ok && answer.status !== 401) throw new Error('renewal unavailable');
    return answer.ok;
  });
}

/** Reads a resource; `etag` asks for it only if it changed. */
export async function get<T>(path: string, etag: string | null = null): Promise<Answer<T>> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (etag) headers['if-none-match'] = etag;
  try {
    const started = Date.now();
    let answer = await call(path, { headers });
    if (answer.status === 401) {
      if (!(await renew(started))) return { kind: 'signed-out' };
      answer = await call(path, { headers });
    }
    if (answer.status === 304) return { kind: 'same', at: now() };
    if (answer.status === 401) return { kind: 'signed-out' };
    if (answer.status === 404 || answer.status === 403) return { kind: 'absent' };
    if (answer.status === 202 || answer.status === 429 || answer.status === 503) {
      return { kind: 'wait', seconds: retryAfter(answer) };
    }
    if (!answer.ok) return { kind: 'unreachable' };
    return { kind: 'ok', data: (await answer.json()) as T, etag: answer.headers.get('etag'), at: now() };
  } catch {
    return { kind: 'unreachable' };
  }
}
