/**
 * School days and hours. A lesson at 8:00 in Saint-Denis is at 8:00 on every phone: all of it is computed in the
 * school's zone, never in the device's. The words are ours, so that Rust and the program write the same dates.
 */
import { capital, count, listed, t } from './i18n';

const MINUTE = 60_000;
const DAY = 86_400_000;
const zones = new Map<string, Intl.DateTimeFormat>();

/** What a clock on the wall of the school shows. */
export interface Wall {
  date: string;
  hour: number;
  minute: number;
}

/** An instant (ms) on the wall clock of a zone. */
export function wall(instant: number, tz: string): Wall {
  let format = zones.get(tz);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: tz,
      hour12: false,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    });
    zones.set(tz, format);
  }
  const part: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(instant)) part[type] = value;
  return {
    date: `${part.year}-${part.month}-${part.day}`,
    hour: Number(part.hour) % 24, // midnight is « 24 » in older browsers
    minute: Number(part.minute),
  };
}

/** « 8:00 », in the school's zone. */
export function hour(iso: string, tz: string): string {
  const at = wall(Date.parse(iso), tz);
  return `${at.hour}:${String(at.minute).padStart(2, '0')}`;
}

/** The school day that an instant belongs to. */
export function dayOf(instant: number, tz: string): string {
  return wall(instant, tz).date;
}

const noon = (date: string): number => Date.parse(`${date}T12:00:00Z`);

/** Whether the text is a day of the calendar. */
export function isDay(date: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(date) && !Number.isNaN(noon(date)) && addDays(date, 0) === date;
}

/** A day, some days later (or earlier). */
export function addDays(date: string, days: number): string {
  return new Date(noon(date) + days * DAY).toISOString().slice(0, 10);
}

/** 0 is Monday. */
export function weekday(date: string): number {
  return (new Date(noon(date)).getUTCDay() + 6) % 7;
}

/** The Monday of a day's week. */
export function mondayOf(date: string): string {
  return addDays(date, -weekday(date));
}

const dayNumber = (date: string): string => {
  const n = Number(date.slice(8));
  return n === 1 ? t('first_of_month') : String(n);
};

/** « 23 novembre ». */
export function dayMonth(date: string): string {
  return t('date_day_month', { day: dayNumber(date), month: listed('months', Number(date.slice(5, 7)) - 1) });
}

/** « lundi 23 novembre ». */
export function longDay(date: string): string {
  return t('date_long', {
    weekday: listed('days', weekday(date)),
    day: dayNumber(date),
    month: listed('months', Number(date.slice(5, 7)) - 1),
  });
}

/** « Lundi 23 », where the month is plain. */
export function dayHead(date: string): string {
  return capital(t('day_number', { weekday: listed('days', weekday(date)), day: dayNumber(date) }));
}

/** « Semaine du 23 au 27 novembre », from its first and last shown day. */
export function weekTitle(from: string, to: string): string {
  const sameMonth = from.slice(0, 7) === to.slice(0, 7);
  return t('week_of', { from: sameMonth ? dayNumber(from) : dayMonth(from), to: dayMonth(to) });
}

/** « lun. 23 » as its two halves. */
export function shortDay(date: string): { name: string; number: string } {
  return { name: capital(listed('days_short', weekday(date))), number: String(Number(date.slice(8))) };
}

/** How old data is, in words. */
export function age(since: number, now: number): string {
  const minutes = Math.floor((now - since) / MINUTE);
  if (minutes < 1) return t('age_now');
  if (minutes < 60) return count('age_minutes', minutes);
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? count('age_hours', hours) : count('age_days', Math.floor(hours / 24));
}

/** A wait in words, rounded up so that it is never too short. */
export function wait(seconds: number): string {
  if (seconds < 60) return count('second', Math.max(1, Math.ceil(seconds)));
  return count('minute', Math.ceil(seconds / 60));
}
