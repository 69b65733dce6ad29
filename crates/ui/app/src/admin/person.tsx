/** One person's record: names, birth, addresses, what they are in the school, who answers for them; and somebody new. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { get as read } from '../api';
import { t, type Key } from '../i18n';
import { at, get, newKey, send } from './client';
import { failure, instant, Notice, type Place } from './common';
import { came, Choice, Field, Form, refusal, Sure, type Word } from './forms';

type Schemas = components['schemas'];
type Person = Schemas['AdministeredPerson'];
type Role = Schemas['Role'];

const PEOPLE = '/api/v1/schools/{school_id}/administration/people' as const;
const PERSON = `${PEOPLE}/{person_id}` as const;
const ROLES = ['pupil', 'guardian', 'teacher', 'staff', 'guest'] as const;
const role = (name: string): string => t(`admin_one_${name}` as Key);
const roles = (): [string, string][] => ROLES.map((name) => [name, role(name)]);
/** Emptied, a field is cleared: absent would leave it as it is. */
const orNone = (text: string): string | null => text || null;

export function PersonSection({ place }: { place: Place }) {
  const id = new URLSearchParams(location.search).get('personne');
  return id ? <Record place={place} id={id} /> : <Somebody place={place} />;
}

function Record({ place, id }: { place: Place; id: string }) {
  const holes = { school_id: place.school, person_id: id };
  const [held, set] = useState<{ person: Person; etag: string | null } | null>(null);
  const [said, say] = useState<Word | null>(null);
  const load = async (): Promise<void> => {
    const answer = await read<Person>(at(PERSON, holes));
    if (answer.kind === 'ok') set({ person: answer.data, etag: answer.etag });
    else say({ tone: 'err', words: failure(answer) });
  };
  useEffect(() => void load(), [id]);
  const done = async (word: Word): Promise<void> => {
    say(word);
    await load();
  };
  if (!held) return said ? <Notice {...said} /> : <p class="empty">{t('loading')}</p>;
  const { person } = held;
  const save = async (value: (name: string) => string): Promise<void> => {
    const body = {
      last_name: value('last_name'),
      first_name: value('first_name'),
      title: value('title'),
      birth_on: orNone(value('birth_on')),
      ine: orNone(value('ine')),
      email: orNone(value('email')),
      mobile: orNone(value('mobile')),
    };
    const answer = await send('patch', PERSON, holes, body, { etag: held.etag });
    const stale = answer.kind === 'refused' && answer.status === 412;
    await done(stale ? { tone: 'err', words: t('admin_record_meanwhile') } : came(answer, t('admin_record_saved')));
  };
  const name = `${person.first_name} ${person.last_name}`;
  return (
    <>
      <p>
        <a href={`/administration/ecoles/${place.school}/personnes/${id}`}>{t('admin_back_person', { name })}</a>
      </p>
      {said && <Notice {...said} />}
      <div class="cards two">
        <section class="card">
          <h2>{name}</h2>
          <p class="hint">{t('admin_record_lead')}</p>
          <Form key={held.etag ?? ''} go={save} act={t('admin_save')}>
            <Field id="last_name" label={t('admin_last_name')} value={person.last_name} max={100} />
            <Field id="first_name" label={t('admin_first_name')} value={person.first_name} max={100} />
            <Field id="title" label={t('admin_title')} value={person.title} max={20} optional />
            <Field id="birth_on" label={t('admin_birth')} value={person.birth_on} type="date" optional />
            <Field id="ine" label={t('admin_ine')} value={person.ine} max={20} optional />
            <Field id="email" label={t('admin_email')} value={person.email} type="email" optional />
            <Field id="mobile" label={t('admin_mobile')} value={person.mobile} type="tel" optional />
          </Form>
        </section>
        <Memberships place={place} person={person} done={done} />
        <Guardians place={place} person={person} done={done} />
      </div>
    </>
  );
}

type Part = { place: Place; person: Person; done: (word: Word) => Promise<void> };

function Memberships({ place, person, done }: Part) {
  const path = `${PERSON}/memberships/{role}` as const;
  const holes = (name: string) => ({ school_id: place.school, person_id: person.id, role: name });
  const add = async (value: (name: string) => string): Promise<void> => {
    const answer = await send('put', path, holes(value('role')), { function: value('function') });
    await done(came(answer, t('admin_membership_saved')));
  };
  const end = async (name: Role): Promise<void> => {
    const answer = await send('delete', path, holes(name), undefined);
    await done(came(answer, t('admin_membership_ended')));
  };
  return (
    <section class="card">
      <h2>{t('admin_memberships')}</h2>
      <ul class="rows plain">
        {person.memberships.map((one) => (
          <li key={one.role}>
            <div class="row-text">
              <p>
                <strong>{role(one.role)}</strong> {one.function && `· ${one.function}`}
              </p>
              <p class="muted small">
                {one.ended_at ? t('admin_ended_on', { when: instant(one.ended_at) }) : t(one.origin === 'hand' ? 'admin_from_hand' : 'admin_from_feed')}
              </p>
            </div>
            {!one.ended_at && one.role !== 'school_admin' && (
              <Sure act={t('admin_end')} of={role(one.role)} ask={t('admin_end_sure')} go={() => end(one.role)} />
            )}
          </li>
        ))}
      </ul>
      <h3>{t('admin_membership_add')}</h3>
      <Form go={add} act={t('admin_add')}>
        <Choice id="role" label={t('admin_profile')} options={roles()} />
        <Field id="function" label={t('admin_function')} max={100} optional />
      </Form>
    </section>
  );
}

function Guardians({ place, person, done }: Part) {
  const path = `${PERSON}/guardians/{guardian_id}` as const;
  const [found, setFound] = useState<[string, string][]>([]);
  const holes = (id: string) => ({ school_id: place.school, person_id: person.id, guardian_id: id });
  if (!person.memberships.some((one) => one.role === 'pupil' && !one.ended_at)) return null;
  const search = async (q: string): Promise<void> => {
    if (q.trim().length < 2) return setFound([]);
    const answer = await get(PEOPLE, { school_id: place.school }, { q, role: 'guardian', limit: '20' });
    if (answer.kind === 'ok') setFound(answer.data.items.map((one) => [one.id, `${one.last_name} ${one.first_name}`]));
  };
  const link = async (value: (name: string) => string): Promise<void> => {
    const body = { kind: Number(value('kind')), legal: Number(value('legal')), contact_order: Number(value('order')) };
    const answer = await send('put', path, holes(value('guardian')), body);
    await done(came(answer, t('admin_link_saved')));
  };
  const unlink = async (id: string): Promise<void> => {
    const answer = await send('delete', path, holes(id), undefined);
    await done(came(answer, t('admin_link_ended')));
  };
  return (
    <section class="card">
      <h2>{t('admin_guardians')}</h2>
      <ul class="rows plain">
        {person.guardians.map((one) => (
          <li key={one.id}>
            <div class="row-text">
              <p>
                {one.first_name} {one.last_name}
              </p>
              <p class="muted small">{t('admin_contact_order', { n: one.contact_order })}</p>
            </div>
            <Sure act={t('admin_unlink')} of={`${one.first_name} ${one.last_name}`} ask={t('admin_unlink_sure')} go={() => unlink(one.id)} />
          </li>
        ))}
      </ul>
      <h3>{t('admin_link_add')}</h3>
      <div class="field">
        <label for="guardian-q">{t('admin_guardian_search')}</label>
        <input class="input" id="guardian-q" type="search" autocomplete="off" onInput={(event) => void search(event.currentTarget.value)} />
      </div>
      <Form go={link} act={t('admin_add')}>
        <Choice id="guardian" label={t('admin_guardian')} options={found} />
        <Choice id="kind" label={t('admin_link_kind')} options={KINDS.map((n) => [n, t(`admin_kin_${n}` as Key)])} />
        <Choice id="legal" label={t('admin_link_legal')} options={['1', '2', '0'].map((n) => [n, t(`admin_legal_${n}` as Key)])} />
        <Field id="order" label={t('admin_link_order')} type="number" value="1" />
      </Form>
    </section>
  );
}

/** The national codes of kinship that a school types most. */
const KINDS = ['1', '2', '3', '4', '6'] as const;

function Somebody({ place }: { place: Place }) {
  const holes = { school_id: place.school };
  const [said, say] = useState<Word | null>(null);
  const [classes, setClasses] = useState<[string, string][]>([]);
  useEffect(() => {
    const ask = async (): Promise<void> => {
      const answer = await get('/api/v1/schools/{school_id}/classes', holes, { limit: '200' });
      if (answer.kind === 'ok') setClasses(answer.data.items.map((one) => [one.id, one.name]));
    };
    void ask();
  }, []);
  const open = (id: string): void => location.assign(`/administration/ecoles/${place.school}/personnes/${id}`);
  const create = async (value: (name: string) => string): Promise<void> => {
    const body = {
      last_name: value('last_name'),
      first_name: value('first_name'),
      birth_on: orNone(value('birth_on')),
      email: orNone(value('email')),
      role: value('new_role') as Role,
      class_id: value('new_role') === 'pupil' ? orNone(value('class_id')) : null,
    };
    const answer = await send('post', PEOPLE, holes, body, { key: newKey() });
    if (answer.kind === 'ok') open(answer.data.id);
    else say({ tone: 'err', words: refusal(answer.code) });
  };
  const attach = async (value: (name: string) => string): Promise<void> => {
    const body = { last_name: value('known_name'), login: value('known_login'), role: value('known_role') as Role };
    const answer = await send('post', '/api/v1/schools/{school_id}/administration/attachments', holes, body, { key: newKey() });
    if (answer.kind === 'ok') open(answer.data.id);
    else say({ tone: 'err', words: refusal(answer.code) });
  };
  return (
    <>
      {said && <Notice {...said} />}
      <div class="cards two">
        <section class="card">
          <h2>{t('admin_person_new')}</h2>
          <p class="hint">{t('admin_person_new_lead')}</p>
          <Form go={create} act={t('admin_create')}>
            <Field id="last_name" label={t('admin_last_name')} max={100} />
            <Field id="first_name" label={t('admin_first_name')} max={100} />
            <Field id="birth_on" label={t('admin_birth')} type="date" optional />
            <Field id="email" label={t('admin_email')} type="email" optional />
            <Choice id="new_role" label={t('admin_profile')} options={roles()} />
            <Choice id="class_id" label={t('admin_class_of_pupil')} options={[['', ''], ...classes]} optional />
          </Form>
        </section>
        <section class="card">
          <h2>{t('admin_attach')}</h2>
          <p class="hint">{t('admin_attach_lead')}</p>
          <Form go={attach} act={t('admin_attach')}>
            <Field id="known_name" label={t('admin_last_name')} max={100} />
            <Field id="known_login" label={t('admin_login')} max={100} />
            <Choice id="known_role" label={t('admin_profile')} options={roles()} />
          </Form>
        </section>
      </div>
    </>
  );
}
