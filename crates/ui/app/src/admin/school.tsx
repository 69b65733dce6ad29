/** Classes and groups, delegations, and the journal of a school. */
import { useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { t, type Key } from '../i18n';
import { get, newKey, send } from './client';
import { instant, Notice, Table, useList, type Place } from './common';

type Schemas = components['schemas'];

export function ClassesSection({ place }: { place: Place }) {
  const holes = { school_id: place.school };
  const classes = useList<Schemas['ClassSummary']>(
    (cursor) => get('/api/v1/schools/{school_id}/classes', holes, { cursor, limit: '200' }),
    'classes',
  );
  const groups = useList<Schemas['GroupSummary']>(
    (cursor) => get('/api/v1/schools/{school_id}/groups', holes, { cursor }),
    'groups',
  );
  const people = (id: string): string => `/administration/ecoles/${place.school}?classe=${id}`;
  return (
    <div class="cards two">
      <section class="card">
        <h2>{t('admin_classes')}</h2>
        <Table
          {...classes}
          caption={t('admin_classes')}
          heads={[t('admin_name'), t('admin_level')]}
          empty="admin_no_class"
          row={(one) => (
            <tr key={one.id}>
              <th scope="row">
                <a href={people(one.id)}>{one.name}</a>
              </th>
              <td>{one.level}</td>
            </tr>
          )}
        />
      </section>
      <section class="card">
        <h2>{t('admin_groups')}</h2>
        <Table
          {...groups}
          caption={t('admin_groups')}
          heads={[t('admin_name'), t('admin_kind')]}
          empty="admin_no_group"
          row={(one) => (
            <tr key={one.id}>
              <th scope="row">{one.name || t('admin_whole_school')}</th>
              <td>
                {t(`admin_kind_${one.kind}` as Key)}
                {one.role && ` · ${t(`admin_role_${one.role}` as Key)}`}
              </td>
            </tr>
          )}
        />
      </section>
    </div>
  );
}

const POWERS = ['reset-passwords', 'manage-people', 'manage-groups', 'read-export', 'read-journal'] as const;
const power = (name: string): string => t(`admin_power_${name.replace(/-/g, '_')}` as Key);

function NewDelegation({ place, made }: { place: Place; made: () => void }) {
  const holes = { school_id: place.school };
  const [found, setFound] = useState<Schemas['AdministeredPersonSummary'][]>([]);
  const [said, say] = useState<string | null>(null);
  const search = async (q: string): Promise<void> => {
    if (q.trim().length < 2) return setFound([]);
    const answer = await get('/api/v1/schools/{school_id}/administration/people', holes, { q, limit: '20' });
    if (answer.kind !== 'ok') return say(t('admin_failed'));
    setFound(answer.data.items.filter((one) => one.memberships.some((held) => held.role === 'teacher' || held.role === 'staff')));
  };
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const value = (name: string): string => (form.elements.namedItem(name) as HTMLInputElement).value;
    const body = {
      person_id: value('person'),
      power: value('power') as (typeof POWERS)[number],
      until: new Date(`${value('until')}T23:59:59`).toISOString(),
    };
    const answer = await send('post', '/api/v1/schools/{school_id}/administration/delegations', holes, body, { key: newKey() });
    say(answer.kind === 'ok' ? null : t('admin_delegation_refused'));
    if (answer.kind === 'ok') {
      form.reset();
      setFound([]);
      made();
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      {said && <Notice tone="err" words={said} />}
      <div class="field">
        <label for="who">{t('admin_delegate_search')}</label>
        <input class="input" id="who" type="search" autocomplete="off" onInput={(event) => void search(event.currentTarget.value)} />
      </div>
      <div class="field">
        <label for="person">{t('admin_delegate_to')}</label>
        <select class="input" id="person" name="person" required>
          {found.map((one) => (
            <option key={one.id} value={one.id}>
              {one.last_name} {one.first_name}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="power">{t('admin_power')}</label>
        <select class="input" id="power" name="power">
          {POWERS.map((name) => (
            <option key={name} value={name}>
              {power(name)}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="until">{t('admin_until')}</label>
        <input class="input" id="until" name="until" type="date" required />
      </div>
      <button class="btn primary">{t('admin_delegate')}</button>
    </form>
  );
}

export function DelegationsSection({ place }: { place: Place }) {
  const holes = { school_id: place.school };
  const all = useList<Schemas['Delegation']>(
    (cursor) => get('/api/v1/schools/{school_id}/administration/delegations', holes, { cursor }),
    'delegations',
  );
  const revoke = async (id: string): Promise<void> => {
    const path = '/api/v1/schools/{school_id}/administration/delegations/{delegation_id}' as const;
    await send('delete', path, { ...holes, delegation_id: id }, undefined);
    all.again();
  };
  const live = (one: Schemas['Delegation']): boolean => !one.revoked_at && Date.parse(one.until) > Date.now();
  return (
    <div class="cards two">
      <section class="card">
        <h2>{t('admin_delegations')}</h2>
        <Table
          {...all}
          caption={t('admin_delegations')}
          heads={[t('admin_name'), t('admin_power'), t('admin_until'), t('admin_act')]}
          empty="admin_no_delegation"
          row={(one) => (
            <tr key={one.id}>
              <th scope="row">
                {one.last_name} {one.first_name}
              </th>
              <td>{power(one.power)}</td>
              <td>{instant(one.until)}</td>
              <td>
                {live(one) ? (
                  <button class="btn danger" type="button" onClick={() => void revoke(one.id)}>
                    {t('admin_revoke')}
                    <span class="sr"> {one.last_name}</span>
                  </button>
                ) : (
                  t('admin_over')
                )}
              </td>
            </tr>
          )}
        />
      </section>
      <section class="card">
        <h2>{t('admin_delegate')}</h2>
        <NewDelegation place={place} made={all.again} />
      </section>
    </div>
  );
}

/** « people 3, class yes »: a journal's detail holds codes and counts, never names. */
export function detail(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value ?? '');
  return Object.entries(value)
    .filter(([, one]) => one !== null && typeof one !== 'object')
    .map(([key, one]) => `${key} ${String(one)}`)
    .join(', ');
}

export function JournalSection({ place }: { place: Place }) {
  const [act, setAct] = useState('');
  const journal = useList<Schemas['JournalEntry']>(
    (cursor) =>
      place.school
        ? get('/api/v1/schools/{school_id}/administration/journal', { school_id: place.school }, { cursor, act })
        : get('/api/v1/territories/{territory_id}/journal', { territory_id: place.territory }, { cursor, act }),
    act,
  );
  return (
    <>
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
          setAct(((event.currentTarget as HTMLFormElement).elements.namedItem('act') as HTMLInputElement).value.trim());
        }}
      >
        <div class="field">
          <label for="act">{t('admin_journal_act')}</label>
          <input class="input" id="act" name="act" autocomplete="off" />
        </div>
        <button class="btn primary">{t('admin_filter')}</button>
      </form>
      <Table
        {...journal}
        caption={t('admin_journal')}
        heads={[t('admin_when'), t('admin_what'), t('admin_detail')]}
        empty="admin_no_journal"
        row={(one) => (
          <tr key={one.seq}>
            <th scope="row">{instant(one.at)}</th>
            <td>{one.act}</td>
            <td class="break">{detail(one.detail)}</td>
          </tr>
        )}
      />
    </>
  );
}
