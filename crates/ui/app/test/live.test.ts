import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { live } from '../src/admin/live';

const page = (words: string): Response => new Response(`<!doctype html><html><body><div id="live">${words}</div></body></html>`);

let root: HTMLElement;
let stop = (): void => {};

beforeEach(() => {
  vi.useFakeTimers();
  document.body.innerHTML = '<div id="admin"><div id="live">avant</div></div>';
  root = document.getElementById('admin') as HTMLElement;
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

const shown = (): string => root.querySelector('#live')?.textContent ?? '';

test('the part that changes comes anew every two seconds', async () => {
  const ask = vi.fn(async () => page('après'));
  stop = live(root, ask);
  expect(shown()).toBe('avant');
  await vi.advanceTimersByTimeAsync(2_000);
  expect(shown()).toBe('après');
  expect(ask).toHaveBeenCalledTimes(1);
});

test('a pause holds it, and going on brings it anew', async () => {
  const ask = vi.fn(async () => page('après'));
  stop = live(root, ask);
  const button = root.querySelector('button') as HTMLButtonElement;
  button.click();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(ask).not.toHaveBeenCalled();
  button.click();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(shown()).toBe('après');
});

test('what nobody answers for grows old, and says so', async () => {
  stop = live(root, async () => {
    throw new Error('away');
  });
  const said = root.querySelector('[role=status]') as HTMLElement;
  await vi.advanceTimersByTimeAsync(4_000);
  expect(said.hidden).toBe(true);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(said.hidden).toBe(false);
  expect(said.textContent).toContain('8');
  expect(shown()).toBe('avant');
});
