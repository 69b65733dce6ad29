import { describe, expect, test } from 'vitest';
import { age, addDays, dayOf, hour, isDay, longDay, mondayOf, wait, weekTitle } from '../src/time';

describe('the hours of a school', () => {
  test('are those of its zone, whatever the device says', () => {
    expect(hour('2026-11-23T07:00:00Z', 'Europe/Paris')).toBe('8:00');
    expect(hour('2026-11-23T04:00:00Z', 'Indian/Reunion')).toBe('8:00');
    expect(hour('2026-11-23T12:00:00Z', 'America/Guadeloupe')).toBe('8:00');
    expect(hour('2026-11-22T23:05:00Z', 'Europe/Paris')).toBe('0:05');
  });

  test('follow both daylight-saving nights', () => {
    expect(hour('2026-10-23T06:00:00Z', 'Europe/Paris')).toBe('8:00');
    expect(hour('2026-10-26T07:00:00Z', 'Europe/Paris')).toBe('8:00');
    expect(hour('2027-03-26T07:00:00Z', 'Europe/Paris')).toBe('8:00');
    expect(hour('2027-03-29T06:00:00Z', 'Europe/Paris')).toBe('8:00');
    expect(dayOf(Date.parse('2026-10-24T22:30:00Z'), 'Europe/Paris')).toBe('2026-10-25');
    expect(dayOf(Date.parse('2026-10-25T22:30:00Z'), 'Europe/Paris')).toBe('2026-10-25');
  });

  test('a day starts earlier in Nouméa', () => {
    expect(dayOf(Date.parse('2026-11-23T14:00:00Z'), 'Pacific/Noumea')).toBe('2026-11-24');
  });
});

describe('days', () => {
  test('add up over months and daylight saving', () => {
    expect(addDays('2026-10-24', 2)).toBe('2026-10-26');
    expect(addDays('2026-12-31', 1)).toBe('2027-01-01');
    expect(mondayOf('2026-11-29')).toBe('2026-11-23');
    expect(mondayOf('2026-11-23')).toBe('2026-11-23');
  });

  test('are days of the calendar', () => {
    expect(isDay('2026-02-29')).toBe(false);
    expect(isDay('2028-02-29')).toBe(true);
    expect(isDay('demain')).toBe(false);
  });

  test('are written in French', () => {
    expect(longDay('2026-11-23')).toBe('lundi 23 novembre');
    expect(longDay('2027-02-01')).toBe('lundi 1er février');
    expect(weekTitle('2026-11-23', '2026-11-27')).toBe('Semaine du 23 au 27 novembre');
    expect(weekTitle('2026-11-30', '2026-12-04')).toBe('Semaine du 30 novembre au 4 décembre');
  });
});

test('an age is said in the largest unit that is true', () => {
  const since = 1_000_000;
  expect(age(since, since + 59_000)).toBe('À jour');
  expect(age(since, since + 60_000)).toBe('À jour il y a 1\u00a0minute');
  expect(age(since, since + 59 * 60_000)).toBe('À jour il y a 59\u00a0minutes');
  expect(age(since, since + 3 * 3_600_000)).toBe('À jour il y a 3\u00a0heures');
  expect(age(since, since + 72 * 3_600_000)).toBe('À jour il y a 3\u00a0jours');
});

test('a wait is never shorter than asked', () => {
  expect(wait(0.4)).toBe('1\u00a0seconde');
  expect(wait(59.2)).toBe('60\u00a0secondes');
  expect(wait(61)).toBe('2\u00a0minutes');
});
