/**
 * The waiting line: reads what everybody reads (`/api/v1/queue/now`), computes its own place, and never acts by itself.
 * The page says everything without this; it only spares the reloads. Whose slot has not come has no place to compute, and
 * asks the server now and then; whose lane is closed follows it like any other, and asks the server to keep the place.
 */

/** `[tag, people before or at it, seconds until its turn at best, as estimated, at worst]`, ascending; straight lines between. */
type Point = [number, number, number, number, number];

export interface Lane {
  class: string;
  threshold: number;
  /** The longest between two looks, in seconds. */
  look_max_s: number;
  waiting: number;
  sketch: Point[];
}

export interface Now {
  territories: { territory_id: string; lanes: Lane[] }[];
}

/** What the page carries of one's own place. */
export interface Mine {
  tag: number;
  lane: string;
  zone: string | null;
  poll: number;
  best: number | null;
  /** For a ticket that waits for a slot (tag 0), or a place in a closed lane: in how many milliseconds that opens, when the page was made. */
  opens: number | null;
  /** Where to ask then, for only the server knows when a slot may come in. Not from a page that holds what was typed. */
  look: string | null;
  /** place, range, about, soon, over, turn, the turn's lead, lost: the page's own language. */
  words: string[];
}

/** The sketch at a tag: nobody up to the threshold, everybody after the last point. */
export function at(lane: Lane, tag: number): Point {
  let before: Point | undefined;
  for (const point of lane.sketch) {
    if (tag < point[0]) {
      const from = before;
      if (!from) break;
      const part = (tag - from[0]) / (point[0] - from[0]);
      return from.map((it, k) => it + (point[k]! - it) * part) as Point;
    }
    before = point;
  }
  return before ?? [tag, 0, 0, 0, 0];
}

/** One's lane, while somebody waits in it. */
export function laneOf(now: Now, mine: Mine): Lane | undefined {
  return now.territories.find((one) => one.territory_id === mine.zone)?.lanes.find((one) => one.class === mine.lane);
}

/** One's place, or 0 when the turn has come: nobody waits in the lane any more, or it has passed one's tag. */
export function position(lane: Lane | undefined, tag: number): number {
  return !lane || tag <= lane.threshold ? 0 : Math.floor(at(lane, tag - 1)[1]) + 1;
}

/** « de 5 à 8 minutes », rounded outwards, as the server writes it (`pages/queue.rs`). */
export function range(best: number, worst: number, words: string[]): string {
  const low = Math.max(1, Math.floor(best / 60));
  const high = Math.ceil(worst / 60);
  const [, between, about, soon, over] = words as [string, string, string, string, string];
  if (high <= 1) return soon;
  const sentence = high > 30 ? over : low === high ? about : between;
  return sentence.replace('{a}', String(Math.min(low, 30))).replace('{b}', String(high));
}

/** When to ask again: well before one's turn, be it early, spread, never in step with others, and no later than the server trusts itself. */
export function pause(best: number, left: number, longest: number, spread: number = Math.random()): number {
  return 1000 * Math.min(longest, Math.max(0.8 + 0.5 * spread, Math.min(left, best * 2) * (0.25 + 0.15 * spread)));
}

/** When to ask for a slot that opens in `left` ms: as the server says, or in the half minute after it opens. Order is kept there. */
export function slotPause(poll: number, left: number, spread: number = Math.random()): number {
  return Math.min(poll * (0.9 + 0.2 * spread), Math.max(0, left) + 1000 + 29_000 * spread);
}

/** A place in a closed lane may have to wait for longer than its ticket lives, which the server then renews for whoever comes. */
const RENEWED = 2 * 3_600_000;

const mineOf = (page: Document): Mine | null => JSON.parse(page.getElementById('q')?.textContent ?? 'null') as Mine | null;

/** Follows the place on the page until the turn comes or the page goes. `show` puts another page in the place of this one. */
export function follow(page: Document, turned: () => void, show: (page: string) => void): void {
  const mine = mineOf(page);
  if (!mine) return;
  const [placed, , , , , turn, lead, lost] = mine.words as [string, string, string, string, string, string, string, string];
  const line = page.getElementById('place');
  const place = line?.querySelector('b');
  const wait = page.getElementById('wait');
  const said = page.getElementById('said');
  if (!line || !wait || !said) return;
  const tab = page.title.replace(/^\d+/, '');
  let spoken = Date.now();

  /** A screen reader hears of it once a minute at most, and of one's turn at once. */
  const speak = (text: string, now = false): void => {
    if (!now && Date.now() - spoken < 60_000) return;
    spoken = Date.now();
    said.textContent = text;
  };

  let due = Date.now() + (mine.opens ?? 0);
  const renewal = (): number => Date.now() + RENEWED * (0.75 + Math.random() / 4);
  let renew = renewal();
  let timer = 0;
  const later = (ms: number): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void (mine.look && (!mine.tag || Date.now() > renew) ? look(mine.look) : ask()), ms);
  };

  const call = (): void => {
    page.title = `● ${turn}`;
    page.querySelector('h1')!.textContent = turn;
    line.textContent = lead;
    wait.textContent = '';
    mine.look = null;
    speak(`${turn}. ${lead}`, true);
    turned();
  };

  /** The page as it would be now: the slot's or the closed lane's still, a place in the line, or one's turn. What follows is for the person to do. */
  const look = async (where: string): Promise<void> => {
    if (!line.isConnected) return;
    try {
      const answer = await fetch(where, { redirect: 'manual' });
      if (answer.status === 200 || answer.type === 'opaqueredirect') return call();
      if (answer.status !== 202) throw new Error('no news');
      const text = await answer.text();
      const next = new DOMParser().parseFromString(text, 'text/html');
      const told = mineOf(next);
      // Nothing is redrawn under somebody who reads it.
      const same = next.querySelector('h1')?.textContent === page.querySelector('h1')?.textContent;
      if (!told?.look || !same || told.tag !== mine.tag) return show(text);
      renew = renewal();
      mine.poll = told.poll;
      due = Date.now() + (told.opens ?? 0);
      wait.textContent = '';
    } catch {
      wait.textContent = lost;
    }
    later(slotPause(mine.poll, due - Date.now()));
  };

  const ask = async (): Promise<void> => {
    if (!place?.isConnected) return;
    let next = 30_000 * (1 + Math.random() / 5);
    try {
      const answer = await fetch('/api/v1/queue/now', { credentials: 'omit' });
      if (!answer.ok) throw new Error('no news');
      const now = (await answer.json()) as Now;
      const lane = laneOf(now, mine);
      const computed = position(lane, mine.tag);
      if (computed === 0) return call();
      // What is shown never rises.
      mine.best = Math.min(mine.best ?? computed, computed);
      page.cookie = `__Host-preau-rang=${mine.tag}.${mine.best}; Path=/; Secure; SameSite=Lax; Max-Age=14400`;
      place.textContent = String(mine.best);
      page.title = `${mine.best}${tab}`;
      const shut = due - Date.now();
      if (shut > 0) {
        // What was measured before it closed says nothing of how fast it will go.
        next = slotPause(mine.poll, shut);
        wait.textContent = '';
      } else if (lane) {
        const [, , best, left, worst] = at(lane, mine.tag);
        wait.textContent = range(best, worst, mine.words);
        next = pause(best, left, lane.look_max_s);
      }
      speak(`${placed.replace('{n}', String(mine.best))}. ${wait.textContent}`);
    } catch {
      wait.textContent = lost;
    }
    later(next);
  };
  later(mine.look ? slotPause(mine.poll, mine.opens ?? 0) : mine.poll * (0.9 + Math.random() / 5));
  addEventListener('online', () => later(0));
}
