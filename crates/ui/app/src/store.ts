/** The program's whole state, and the hook by which a screen follows it. */
import { useEffect, useReducer } from 'preact/hooks';
import type { Kept } from './db';
import type { Home, Slot, Timetable } from './types';

/** A week on screen: what we hold of it, or why we hold nothing. */
export type Week = { kind: 'held'; kept: Kept<Timetable> } | { kind: 'loading' } | { kind: 'none' };

export interface State {
  /** Path and query of the screen shown. */
  url: string;
  home: Kept<Home> | null;
  /** My hours, where a plan holds; `null` until they are known. */
  slots: Slot[] | null;
  /** Keyed by school, person and Monday. */
  weeks: Record<string, Week>;
  online: boolean;
  /** Why the last refresh failed: seconds to wait, or `0` for no reason given. */
  refused: number | null;
  /** The server gives up what can wait, and says so. */
  light: boolean;
  /** The server's clock, moved on twice a minute. */
  now: number;
  /** The last word on whether someone is signed in. */
  signedOut: boolean;
  /** Reading what the device keeps while waiting at the door: nothing is asked of the server. */
  reading: boolean;
}

export type Store = ReturnType<typeof makeStore>;

export function makeStore(first: State) {
  let state = first;
  const followers = new Set<() => void>();
  return {
    get: (): State => state,
    set(change: Partial<State>): void {
      state = { ...state, ...change };
      for (const follow of followers) follow();
    },
    follow(follow: () => void): () => void {
      followers.add(follow);
      return () => followers.delete(follow);
    },
  };
}

/** Redraws the component when the state changes. */
export function useStore(store: Store): State {
  const [, redraw] = useReducer<number, void>((n) => n + 1, 0);
  useEffect(() => store.follow(() => redraw()), [store]);
  return store.get();
}
