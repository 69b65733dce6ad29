/** Calls of the API by the paths and shapes of its document: a route that changes stops compiling here. */
import type { paths } from '../gen/api';
import { get as read, type Answer } from '../api';

type Json<R> = R extends { content: { 'application/json': infer T } } ? T : never;
type Ok<O> = O extends { responses: infer R } ? Json<R[keyof R & (200 | 201 | 202)]> : never;
type Sent<O> = O extends { requestBody?: { content: { 'application/json': infer B } } } ? B : undefined;
type Has<M extends string> = { [P in keyof paths]: paths[P] extends { [K in M]: { responses: unknown } } ? P : never }[keyof paths];
type Method = 'post' | 'put' | 'patch' | 'delete';

/** What a change came to: the answer, or the problem's code. */
export type Changed<T> =
  | { kind: 'ok'; data: T; etag: string | null }
  | { kind: 'refused'; code: string; status: number; seconds: number | null };

/** Fills the `{holes}` of a path. */
export function at(path: string, holes: Record<string, string>, query: Record<string, string | undefined> = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(holes[name] ?? ''));
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) asked.set(name, value);
  const said = asked.toString();
  return said ? `${filled}?${said}` : filled;
}

/** Reads. */
export function get<P extends Has<'get'>>(
  path: P,
  holes: Record<string, string>,
  query: Record<string, string | undefined> = {},
): Promise<Answer<Ok<paths[P] extends { get: infer O } ? O : never>>> {
  return read(at(path, holes, query));
}

/** A key for one wish: the same wish sent twice has its effect once. */
export const newKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Changes. A proof that is wanted first is asked for on its page, which leads back here. */
export async function send<M extends Method, P extends Has<M>>(
  method: M,
  path: P,
  holes: Record<string, string>,
  body: Sent<paths[P] extends { [K in M]: infer O } ? O : never> | Blob,
  more: { key?: string; etag?: string | null } = {},
): Promise<Changed<Ok<paths[P] extends { [K in M]: infer O } ? O : never>>> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (more.key) headers['idempotency-key'] = more.key;
  if (more.etag) headers['if-match'] = more.etag;
  const file = body instanceof Blob;
  // Windows has a name of its own for ZIP archives.
  if (file) headers['content-type'] = body.type.replace('x-zip-compressed', 'zip') || 'application/zip';
  else if (body !== undefined) headers['content-type'] = 'application/json';
  const init: RequestInit = { method: method.toUpperCase(), headers, credentials: 'same-origin', cache: 'no-store' };
  if (body !== undefined) init.body = file ? body : JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(at(path, holes), init);
  } catch {
    return { kind: 'refused', code: 'unreachable', status: 0, seconds: null };
  }
  const text = await answer.text();
  if (answer.ok) {
    return { kind: 'ok', data: (text ? JSON.parse(text) : null) as never, etag: answer.headers.get('etag') };
  }
  let problem: { code?: string; retry_after_s?: number } = {};
  try {
    problem = JSON.parse(text) as typeof problem;
  } catch {
    // An answer that is no problem is an outage's.
  }
  const code = problem.code ?? 'unavailable';
  const here = encodeURIComponent(location.pathname + location.search);
  if (code === 'proof-required') location.assign(`/compte/confirmer?vers=${here}`);
  if (answer.status === 401) location.assign(`/connexion?fin&vers=${here}`);
  return { kind: 'refused', code, status: answer.status, seconds: problem.retry_after_s ?? null };
}
