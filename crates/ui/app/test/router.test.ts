import { expect, test } from 'vitest';
import { route, weekUrl } from '../src/router';

test('addresses are French and stable', () => {
  expect(route('/')).toEqual({ screen: 'day' });
  expect(route('/semaine/2026-11-23')).toEqual({ screen: 'week', date: '2026-11-23', school: null, person: null });
  expect(route('/semaine/2026-11-23?ecole=s&personne=p')).toMatchObject({ school: 's', person: 'p' });
});

test('what the program has no screen for is left to the server', () => {
  for (const url of ['/appareils', '/connexion', '/semaine', '/semaine/2026-02-30', '/semaine/hier', '/api/docs']) {
    expect(route(url)).toBeNull();
  }
});

test('an address names the person only where there is a choice', () => {
  expect(weekUrl('2026-11-23')).toBe('/semaine/2026-11-23');
  expect(route(weekUrl('2026-11-23', { school: 's', person: 'p' }))).toMatchObject({ school: 's', person: 'p' });
});
