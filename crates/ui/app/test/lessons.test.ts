import { describe, expect, test } from 'vitest';
import { grid, hue, nowAndNext, phase } from '../src/lessons';
import { hour } from '../src/time';
import type { Lesson } from '../src/types';

export function lesson(from: string, to: string, change: Partial<Lesson> = {}): Lesson {
  return {
    id: `${from}-${to}`,
    subject: { code: 'AGL1', label: 'Anglais' },
    teachers: ['M. Durand'],
    audience: ['3e B'],
    room: 'B123',
    starts_at: `2026-11-23T${from}:00Z`,
    ends_at: `2026-11-23T${to}:00Z`,
    at_distance: false,
    cancelled: false,
    ...change,
  };
}

const at = (time: string): number => Date.parse(`2026-11-23T${time}:00Z`);

describe('now and next', () => {
  const day = [lesson('08:55', '09:50'), lesson('07:55', '08:50'), lesson('10:00', '10:55', { cancelled: true })];

  test('a lesson is on from its first instant to just before its last', () => {
    expect(phase(lesson('07:55', '08:50'), at('07:55'))).toBe('live');
    expect(phase(lesson('07:55', '08:50'), at('08:50'))).toBe('past');
  });

  test('between two lessons there is only a next one', () => {
    expect(nowAndNext(day, at('08:52'))).toEqual({ now: null, next: day[0] });
  });

  test('a cancelled lesson is neither', () => {
    expect(nowAndNext(day, at('09:55'))).toEqual({ now: null, next: null });
    expect(nowAndNext(day, at('10:05'))).toEqual({ now: null, next: null });
  });
});

describe('the week as a table', () => {
  const days = [
    { date: '2026-11-23', lessons: [lesson('07:00', '08:55'), lesson('09:00', '09:55')] },
    { date: '2026-11-24', lessons: [lesson('07:00', '07:55'), lesson('08:00', '08:55')] },
    { date: '2026-11-25', lessons: [] },
  ];
  const rows = grid(days, (iso) => hour(iso, 'UTC'));

  test('has a row for each hour at which a lesson starts', () => {
    expect(rows.map((r) => r.label)).toEqual(['7:00', '8:00', '9:00']);
  });

  test('a long lesson reaches down, and every row is as wide as the head', () => {
    expect(rows[0]?.cells[0]?.span).toBe(2);
    expect(rows[1]?.cells[0]).toBeNull();
    for (let column = 0; column < days.length; column += 1) {
      const spans = rows.map((r) => r.cells[column]?.span ?? 0).reduce((a, b) => a + b, 0);
      expect(spans).toBe(rows.length);
    }
  });

  test('no lesson is lost, even when half-groups overlap', () => {
    const both = [{ date: '2026-11-23', lessons: [lesson('07:00', '08:55'), lesson('08:00', '09:55'), lesson('09:00', '09:55')] }];
    const cells = grid(both, (iso) => hour(iso, 'UTC')).flatMap((r) => r.cells[0]?.lessons ?? []);
    expect(cells).toHaveLength(3);
  });
});

test('hues are the ones that Rust computes', () => {
  expect(['030001', '070300', 'é'].map((code) => hue({ code, label: '' }))).toEqual([7, 5, 5]);
  expect(hue({ code: '', label: 'é' })).toBe(hue({ code: 'é', label: 'Autre' }));
});
