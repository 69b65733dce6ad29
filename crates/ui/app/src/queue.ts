/**
 * The waiting line: reads what everybody reads (`/api/v1/queue/now`), computes its own place, and never acts by itself.
 * The page says everything without this; it only spares the reloads.
 */

/** `[tag, people before that tag]`, ascending; straight lines between. */
type Sketch = [number, number][];

export interface Lane {
  class: string;
  threshold: number;
  rate_per_s: number;
  waiting: number;
  sketch: Sketch;
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
  /** Whether the ticket waits for a slot: only the server knows when it may come in. */
  dated: boolean;
  /** place, range, about, soon, over, turn, the turn's lead, lost: the page's own language. */
  words: string[];
}

/** People before a tag. */
export function ahead({ sketch, waiting }: Lane, tag: number): number {
  let before: [number, number] | undefined;
  for (const point of sketch) {
    if (tag <= point[0]) {
      if (!before) return 0;
      const share = (tag - before[0]) / (point[0] - before[0] || 1);
      return before[1] + share * (point[1] - before[1]);
    }
    before = point;
  }
  return waiting;
}

/** One's place, or 0 when the turn has come: nobody waits in the lane any more, or it has passed one's tag. */
export function position(now: Now, mine: Mine): number {
  const lanes = now.territories.find((one) => one.territory_id === mine.zone)?.lanes ?? [];
  const lane = lanes.find((one) => one.class === mine.lane);
  if (!lane || mine.tag <= lane.threshold) return 0;
  return Math.max(1, Math.round(ahead(lane, mine.tag) - ahead(lane, lane.threshold)) + 1);
}

/** People a second of one's lane, as measured. */
export function rate(now: Now, mine: Mine): number {
  const lanes = now.territories.find((one) => one.territory_id === mine.zone)?.lanes ?? [];
  return lanes.find((one) => one.class === mine.lane)?.rate_per_s ?? 0;
}

/** « de 5 à 8 minutes », rounded outwards, as the server writes it (`pages/queue.rs`). */
export function range(seconds: number, words: string[]): string {
  const low = Math.max(1, Math.floor(Math.min(seconds - 10, seconds * 0.8) / 60));
  const high = Math.ceil(Math.max(seconds + 10, seconds * 1.2) / 60);
  const [, between, about, soon, over] = words as [string, string, string, string, string];
  if (high <= 1) return soon;
  const sentence = high > 30 ? over : low === high ? about : between;
  return sentence.replace('{a}', String(Math.min(low, 30))).replace('{b}', String(high));
}

/** When to ask again: well before one's turn, spread, never in step with others. */
export function pause(seconds: number, spread: number = Math.random()): number {
  return 1000 * Math.min(30, Math.max(3, seconds * (0.25 + 0.15 * spread)));
}

/** Follows the place on the page until the turn comes or the page goes. */
export function follow(page: Document, turned: () => void): void {
  const block = page.getElementById('q');
  if (!block?.textContent) return;
  const mine = JSON.parse(block.textContent) as Mine;
  const [placed, , , , , turn, lead, lost] = mine.words as [string, string, string, string, string, string, string, string];
  const place = page.querySelector('#place b');
  const wait = page.getElementById('wait');
  const said = page.getElementById('said');
  if (!place || !wait || !said) return;
  const tab = page.title.replace(/^\d+/, '');
  let spoken = Date.now();

  /** A screen reader hears of it once a minute at most, and of one's turn at once. */
  const speak = (text: string, now = false): void => {
    if (!now && Date.now() - spoken < 60_000) return;
    spoken = Date.now();
    said.textContent = text;
  };

  let timer = 0;
  const later = (ms: number): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), ms);
  };

  async function ask(): Promise<void> {
    if (!place?.isConnected || !wait) return;
    let next = 30_000 * (1 + Math.random() / 5);
    try {
      const answer = await fetch('/api/v1/queue/now', { credentials: 'omit' });
      if (!answer.ok) throw new Error('no news');
      const now = (await answer.json()) as Now;
      const computed = position(now, mine);
      if (computed === 0 && !mine.dated) {
        page.title = `● ${turn}`;
        page.querySelector('h1')!.textContent = turn;
        place.parentElement!.textContent = lead;
        wait.textContent = '';
        speak(`${turn}. ${lead}`, true);
        turned();
        return;
      }
      // What is shown never rises.
      if (computed > 0) {
        mine.best = Math.min(mine.best ?? computed, computed);
        page.cookie = `__Host-preau-rang=${mine.tag}.${mine.best}; Path=/; Secure; SameSite=Lax; Max-Age=14400`;
        place.textContent = String(mine.best);
        page.title = `${mine.best}${tab}`;
        const speed = rate(now, mine);
        if (speed > 0 && !mine.dated) {
          wait.textContent = range(mine.best / speed, mine.words);
          next = pause(mine.best / speed);
        }
        speak(`${placed.replace('{n}', String(mine.best))}. ${wait.textContent}`);
      }
    } catch {
      wait.textContent = lost;
    }
    later(next);
  }
  later(mine.poll * (0.9 + Math.random() / 5));
  addEventListener('online', () => later(0));
}
