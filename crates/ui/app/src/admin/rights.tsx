/** What teachers may do for their classes, and profiles that are shut out for a time. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { get as read } from '../api';
import { t, type Key } from '../i18n';
import { at, get, send } from './client';
import { failure, instant, Notice, Table, useList, type Place } from './common';
import { came, Check, Choice, endOf, Field, Form, Sure, type Word } from './forms';

type Schemas = components['schemas'];
type Rule = Schemas['AccountRule'];
type Block = Schemas['ProfileBlock'];

const RIGHTS = ['add_users', 'reset_passwords', 'block', 'delete_users', 'unlink', 'import_csv'] as const;
const PROFILES = ['pupil', 'guardian', 'teacher', 'staff', 'guest'] as const;
const profile = (name: string): string => t(`admin_from_${name}` as Key);

function ClassRights({ place, say }: { place: Place; say: (word: Word) => void }) {
  const holes = { school_id: place.school };
  const path = '/api/v1/schools/{school_id}/class-rights' as const;
  const [rule, set] = useState<Rule | null>(null);
  useEffect(() => {
    const load = async (): Promise<void> => {
      const answer = await read<Rule>(at(path, holes));
      if (answer.kind === 'ok') set(answer.data);
      else say({ tone: 'err', words: failure(answer) });
    };
    void load();
  }, []);
  if (!rule) return <p class="empty">{t('loading')}</p>;
  const save = async (value: (name: string) => string): Promise<void> => {
    const on = (name: string): boolean => value(name) === 'on';
    const body: Rule = {
      add_users: on('add_users'),
      reset_passwords: on('reset_passwords'),
      block: on('block'),
      delete_users: on('delete_users'),
      unlink: on('unlink'),
      import_csv: on('import_csv'),
      young_resets_to_teacher: on('young_resets_to_teacher'),
    };
    say(came(await send('put', path, holes, body), t('admin_rights_saved')));
  };
  return (
    <Form go={save} act={t('admin_save')}>
      <fieldset>
        <legend>{t('admin_rights_legend')}</legend>
        {RIGHTS.map((right) => (
          <Check key={right} id={right} label={t(`admin_right_${right}` as Key)} checked={rule[right]} />
        ))}
      </fieldset>
      <Check id="young_resets_to_teacher" label={t('admin_right_young_resets_to_teacher')} checked={rule.young_resets_to_teacher} />
    </Form>
  );
}

export function RightsSection({ place }: { place: Place }) {
  const holes = { school_id: place.school };
  const [said, say] = useState<Word | null>(null);
  const blocks = useList<Block>(() => get('/api/v1/schools/{school_id}/profile-blocks', holes), 'blocks');
  const path = '/api/v1/schools/{school_id}/profile-blocks/{role}' as const;
  const shut = async (value: (name: string) => string, form: HTMLFormElement): Promise<void> => {
    const body = { reason: value('reason'), until: endOf(value('until')) };
    const answer = await send('put', path, { ...holes, role: value('profile') }, body);
    say(came(answer, t('admin_profile_shut')));
    if (answer.kind === 'ok') form.reset();
    blocks.again();
  };
  const open = async (role: string): Promise<void> => {
    say(came(await send('delete', path, { ...holes, role }, undefined), t('admin_profile_opened')));
    blocks.again();
  };
  return (
    <>
      {said && <Notice {...said} />}
      <div class="cards two">
        <section class="card">
          <h2>{t('admin_rights')}</h2>
          <p class="hint">{t('admin_rights_lead')}</p>
          <ClassRights place={place} say={say} />
        </section>
        <section class="card">
          <h2>{t('admin_profile_blocks')}</h2>
          <Table
            {...blocks}
            caption={t('admin_profile_blocks')}
            heads={[t('admin_profile'), t('admin_reason'), t('admin_until'), t('admin_act')]}
            empty="admin_no_profile_block"
            row={(one) => (
              <tr key={one.role}>
                <th scope="row">{profile(one.role)}</th>
                <td class="break">{one.reason}</td>
                <td>{one.blocked_until ? instant(one.blocked_until) : t('admin_no_end')}</td>
                <td>
                  <Sure act={t('admin_open')} of={profile(one.role)} ask={t('admin_open_sure')} go={() => open(one.role)} />
                </td>
              </tr>
            )}
          />
          <h3>{t('admin_profile_block')}</h3>
          <Form go={shut} act={t('admin_profile_block')} danger>
            <Choice id="profile" label={t('admin_profile')} options={PROFILES.map((one) => [one, profile(one)])} />
            <Field id="reason" label={t('admin_reason')} />
            <Field id="until" label={t('admin_until')} type="date" optional />
          </Form>
        </section>
      </div>
    </>
  );
}
