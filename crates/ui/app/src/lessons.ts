/** Pure decisions about lessons: what is on now, what comes next, how a week falls into a table. */
import type { Day, Lesson } from './types';

/** A lesson beside the clock. */
export type Phase = 'past' | 'live' | 'later';

export function phase(lesson: Lesson, now: number): Phase {
  if (Date.parse(lesson.ends_at) <= now) return 'past';
  return Date.parse(lesson.starts_at) <= now ? 'live' : 'later';
}

/** The lesson under way and the next one; a cancelled lesson is neither. */
export function nowAndNext(lessons: Lesson[], now: number): { now: Lesson | null; next: Lesson | null } {
  const held = lessons
    .filter((l) => !l.cancelled)
    .sort((a, b) => Date.parse(a.starts_at) - Date.parse(b.starts_at));
  return {
    now: held.find((l) => phase(l, now) === 'live') ?? null,
    next: held.find((l) => phase(l, now) === 'later') ?? null,
  };
}

/** One of eight quiet hues for a subject, the same in Rust: a small hash of its code (most end in zeros), or of its name. */
export function hue({ code, label }: Lesson['subject']): number {
  let hash = 7;
  for (const byte of new TextEncoder().encode(code || label)) hash = (hash * 31 + byte) % 65_521;
  return hash % 8;
}

/** A cell of the week: the lessons that start in its row, over `span` rows. `null` where a cell above reaches down. */
export type Cell = { lessons: Lesson[]; span: number } | null;

export interface Row {
  /** The instant of day that opens the row, as the wall clock of the school writes it. */
  label: string;
  cells: Cell[];
}

/**
 * The week as a table: one row for each hour at which some lesson starts, one column a day. Lessons of one day that
 * overlap (half-groups) share a cell, so a table can hold them.
 */
export function grid(days: Day[], hourOf: (iso: string) => string): Row[] {
  const minutes = (iso: string): number => {
    const [h, m] = hourOf(iso).split(':');
    return Number(h) * 60 + Number(m);
  };
  const starts = [...new Set(days.flatMap((d) => d.lessons.map((l) => minutes(l.starts_at))))].sort((a, b) => a - b);
  const label = (m: number): string => `${Math.floor(m / 60)}:${String(m % 60).padStart(2, '0')}`;
  const rows: Row[] = starts.map((m) => ({ label: label(m), cells: [] }));

  for (const day of days) {
    const sorted = [...day.lessons].sort((a, b) => minutes(a.starts_at) - minutes(b.starts_at));
    let at = 0;
    for (let row = 0; row < rows.length; ) {
      const lessons: Lesson[] = [];
      let end = row + 1;
      for (let lesson = sorted[at]; lesson; lesson = sorted[at]) {
        const first = starts.indexOf(minutes(lesson.starts_at));
        if (first >= end) break;
        lessons.push(lesson);
        const stop = Math.max(minutes(lesson.ends_at), minutes(lesson.starts_at) + 1);
        const after = starts.findIndex((m) => m >= stop);
        end = Math.max(end, after < 0 ? rows.length : after);
        at += 1;
      }
      rows[row]?.cells.push({ lessons, span: end - row });
      for (let covered = row + 1; covered < end; covered += 1) rows[covered]?.cells.push(null);
      row = end;
    }
  }
  return rows;
}
