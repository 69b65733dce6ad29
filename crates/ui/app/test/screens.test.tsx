import { render } from 'preact';
import { act } from 'preact/test-utils';
import { beforeEach, expect, test } from 'vitest';
import { App } from '../src/app';
import { makeStore, type State } from '../src/store';
import { type Sync, weekKey } from '../src/sync';
import type { Home, Lesson, School } from '../src/types';

const lesson = (id: string, from: string, to: string, label: string): Lesson => ({
  id,
  subject: { code: label, label },
  teachers: ['M. Durand'],
  audience: ['3e B'],
  room: 'B1',
  starts_at: `2026-11-23T${from}:00Z`,
  ends_at: `2026-11-23T${to}:00Z`,
  at_distance: false,
  cancelled: false,
});

const view = (first: string, relation: 'self' | 'child', today: Lesson[]) => ({
  person: { id: first, first_name: first, last_name: 'Martin' },
  relation,
  classes: ['3e B'],
  now: null,
  next: null,
  today,
});

const home = (views: School['views'], roles: School['roles'] = ['pupil'], tz = 'Europe/Paris'): Home => ({
  user: { id: 'u', first_name: 'Camille', last_name: 'Martin', lang: 'fr' },
  schools: [{ id: 's', uai: '0750001A', classes: [], name: 'Collège Jules-Verne', tz, date: '2026-11-23', roles, views }],
  generated_at: '2026-11-23T07:20:00Z',
});

const NOW = Date.parse('2026-11-23T07:20:00Z');
const day = [lesson('a', '07:00', '07:55', 'Anglais'), lesson('b', '08:00', '08:55', 'Français')];
const still: Sync = { start: () => {}, refresh: async () => {}, week: async () => {}, ahead: async () => {} };

function show(change: Partial<State>): { root: HTMLElement; store: ReturnType<typeof makeStore> } {
  const root = document.createElement('div');
  document.body.append(root);
  const store = makeStore({
    url: '/', home: null, slots: null, weeks: {}, online: true, refused: null, light: false, now: NOW, signedOut: false, reading: false, ...change,
  });
  act(() => render(<App store={store} sync={still} />, root));
  return { root, store };
}

const text = (root: Element): string => (root.textContent ?? '').replace(/\s+/g, ' ');

beforeEach(() => document.body.replaceChildren());

test('a pupil sees what is on, what is next and the day', () => {
  const { root } = show({ home: { at: NOW, etag: null, data: home([view('Camille', 'self', day)]) } });
  expect(text(root)).toContain('Bonjour Camille');
  const [now, next] = [...root.querySelectorAll('.moment')].map(text);
  expect(now).toMatch(/Maintenant.*Anglais.*8:00 – 8:55.*M. Durand/);
  expect(next).toMatch(/Ensuite.*Français/);
  expect(root.querySelectorAll('.lesson')).toHaveLength(2);
});

test('my own hours of today are told, each once, in the school’s time, and not on another day', () => {
  const held = { at: NOW, etag: null, data: home([view('Camille', 'self', day)]) };
  const slot = { school_id: 's', tz: 'Europe/Paris', today: [{ from: '2026-11-23T07:30:00Z', to: '2026-11-23T08:00:00Z' }] };
  const { root, store } = show({ home: held, slots: [slot, slot] });
  const lines = () => [...root.querySelectorAll('.slot')].map(text);
  expect(lines()).toEqual(['Votre créneau aujourd’hui : 8:30 – 9:00 Toutes les plages horaires']);
  act(() => store.set({ now: NOW + 24 * 3_600_000 }));
  expect(lines()).toEqual([]);
});

test('the clock moves the screen on without asking the server', () => {
  const { root, store } = show({ home: { at: NOW, etag: null, data: home([view('Camille', 'self', day)]) } });
  act(() => store.set({ now: Date.parse('2026-11-23T08:10:00Z') }));
  expect([...root.querySelectorAll('.moment')].map(text)).toEqual([expect.stringMatching(/Maintenant.*Français/)]);
  expect(text(root)).toContain('À jour il y a 50 minutes');
});

test('a guardian has one block a child, and a teacher sees the class', () => {
  const children = home([view('Léa', 'child', day), view('Noé', 'child', [])], ['guardian']);
  const guardian = show({ home: { at: NOW, etag: null, data: children } }).root;
  expect([...guardian.querySelectorAll('h2')].map(text)).toEqual(['La journée de Léa', 'La journée de Noé']);
  expect(text(guardian)).toContain('Pas de cours aujourd’hui.');
  const teacher = show({ home: { at: NOW, etag: null, data: home([view('Camille', 'self', day)], ['teacher']) } });
  expect(text(teacher.root.querySelector('.lesson-meta') as Element)).toContain('3e B');
});

test('hours are those of an overseas school', () => {
  const { root } = show({ home: { at: NOW, etag: null, data: home([view('Camille', 'self', day)], ['pupil'], 'Indian/Reunion') } });
  expect(text(root)).toContain('Heures locales : La Réunion');
  expect(text(root.querySelector('.lesson .when') as Element)).toContain('11:00');
});

test('the week is a table with a head for each row and column', () => {
  const data = { tz: 'Europe/Paris', from: '2026-11-23', days: [{ date: '2026-11-23', lessons: day }] };
  const { root } = show({
    url: '/semaine/2026-11-23',
    home: { at: NOW, etag: null, data: home([view('Camille', 'self', day)]) },
    weeks: { [weekKey('s', 'Camille', '2026-11-23')]: { kind: 'held', kept: { at: NOW, etag: null, data } } },
  });
  expect(text(root.querySelector('h1') as Element)).toBe('Semaine du 23 au 27 novembre');
  expect([...root.querySelectorAll('th[scope=row]')].map(text)).toEqual(['8:00', '9:00']);
  expect(root.querySelectorAll('th[scope=col]')).toHaveLength(6);
  expect(root.querySelectorAll('.chips a[aria-current=date]')).toHaveLength(1);
});

test('offline says so, and says what is missing', () => {
  const { root } = show({ online: false });
  expect(text(root.querySelector('[role=status]') as Element)).toContain('Hors ligne');
  expect(text(root)).toContain('Rien n’est enregistré sur cet appareil.');
  const week = show({
    url: '/semaine/2027-05-03', online: false,
    home: { at: NOW, etag: null, data: home([view('Camille', 'self', day)]) },
    weeks: { [weekKey('s', 'Camille', '2027-05-03')]: { kind: 'none' } },
  });
  expect(text(week.root)).toContain('Cette semaine n’est pas enregistrée');
});

test('a busy server leaves the data readable and says when it will be asked again', () => {
  const { root } = show({ refused: 42, home: { at: NOW, etag: null, data: home([view('Camille', 'self', day)]) } });
  expect(text(root.querySelector('[role=status]') as Element)).toContain('nouvel essai dans 42 secondes');
  expect(root.querySelectorAll('.lesson')).toHaveLength(2);
});
