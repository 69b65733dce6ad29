/** « Qui écrit à qui »: the matrix, and what a change would open before it is made. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { get as read } from '../api';
import { t, type Key } from '../i18n';
import { at, send } from './client';
import { failure, Notice, type Place } from './common';

type Rules = components['schemas']['CommunicationRules'];
type Preview = components['schemas']['CommunicationPreview'];
type Row = components['schemas']['CommunicationReach'];

const PATH = '/api/v1/schools/{school_id}/communication-rules' as const;
const FROM = ['pupil', 'guardian', 'teacher', 'staff', 'guest'] as const;
const REACHES = ['none', 'own_classes', 'school'] as const;
const FAMILY = ['both', 'to_child', 'to_guardian', 'off'] as const;
const TO = ['pupils', 'guardians', 'teachers', 'guests'] as const;
const STAFF = ['school_life', 'direction', 'other_staff'] as const;

const word = (kind: string, name: string): string => t(`admin_${kind}_${name}` as Key);

/** Whether two sets of rules are the same, whatever the order of their keys. */
export function same(one: Rules, other: Rules): boolean {
  const flat = (rules: Rules): string =>
    [rules.family, rules.crisis, ...FROM.flatMap((from) => [...TO, ...STAFF].map((to) => rules[from][to]))].join();
  return flat(one) === flat(other);
}

function Cells({ from, row, onChange }: { from: (typeof FROM)[number]; row: Row; onChange: (row: Row) => void }) {
  return (
    <tr>
      <th scope="row">{word('from', from)}</th>
      {TO.map((to) => (
        <td key={to} data-label={word('to', to)}>
          <select
            class="input"
            aria-label={t('admin_cell', { from: word('from', from), to: word('to', to) })}
            value={row[to]}
            onChange={(event) => onChange({ ...row, [to]: event.currentTarget.value })}
          >
            {REACHES.map((reach) => (
              <option key={reach} value={reach}>
                {word('reach', reach)}
              </option>
            ))}
          </select>
        </td>
      ))}
      {STAFF.map((to) => (
        <td key={to} data-label={word('to', to)}>
          <select
            class="input"
            aria-label={t('admin_cell', { from: word('from', from), to: word('to', to) })}
            value={row[to] ? 'yes' : 'no'}
            onChange={(event) => onChange({ ...row, [to]: event.currentTarget.value === 'yes' })}
          >
            <option value="yes">{t('admin_yes')}</option>
            <option value="no">{t('admin_no')}</option>
          </select>
        </td>
      ))}
    </tr>
  );
}

function Opened({ preview }: { preview: Preview }) {
  const name = (one: string): string => word('from', one);
  return (
    <div role="status">
      <h2>{t('admin_preview')}</h2>
      {preview.reaches.length === 0 && preview.directions.length === 0 && <p>{t('admin_preview_nothing')}</p>}
      <ul class="rows plain">
        {preview.reaches.map((change) => (
          <li key={`${change.from}-${change.to}`}>
            <p>
              {t('admin_preview_reach', {
                from: name(change.from),
                to: name(change.to),
                before: word('reach', change.before),
                after: word('reach', change.after),
              })}{' '}
              <strong>
                {change.opened > 0
                  ? t('admin_preview_opened', { n: change.opened })
                  : t('admin_preview_closed', { n: change.pairs_before - change.pairs_after })}
              </strong>
            </p>
          </li>
        ))}
        {preview.directions.map((turn) => (
          <li key={turn.group}>
            <p>{t('admin_preview_turn', { group: word('group', turn.group), before: word('way', turn.before), after: word('way', turn.after) })}</p>
          </li>
        ))}
      </ul>
      {preview.faults.length > 0 && <Notice tone="err" words={t('admin_rules_faults')} />}
      {preview.refused_to_school.length > 0 && <Notice tone="warn" words={t('admin_rules_refused')} />}
    </div>
  );
}

export function RulesSection({ place }: { place: Place }) {
  const holes = { school_id: place.school };
  const [held, setHeld] = useState<{ rules: Rules; etag: string | null } | null>(null);
  const [rules, setRules] = useState<Rules | null>(null);
  const [preview, setPreview] = useState<Preview | null>(null);
  const [said, say] = useState<{ tone: 'ok' | 'err'; words: string } | null>(null);

  const load = async (): Promise<void> => {
    const answer = await read<components['schemas']['CommunicationRulesInForce']>(at(PATH, holes));
    if (answer.kind !== 'ok') return say({ tone: 'err', words: failure(answer) });
    setHeld({ rules: answer.data.rules, etag: answer.etag });
    setRules(answer.data.rules);
  };
  useEffect(() => void load(), []);

  if (!held || !rules) return said ? <Notice {...said} /> : <p class="empty">{t('loading')}</p>;
  const changed = !same(held.rules, rules);
  const change = (next: Rules): void => {
    setRules(next);
    setPreview(null);
    say(null);
  };
  const show = async (): Promise<void> => {
    const answer = await send('post', `${PATH}/preview`, holes, rules);
    if (answer.kind === 'ok') setPreview(answer.data);
    else say({ tone: 'err', words: t('admin_failed') });
  };
  const save = async (): Promise<void> => {
    const answer = await send('put', PATH, holes, rules, { etag: held.etag });
    if (answer.kind === 'ok') {
      setHeld({ rules, etag: answer.etag });
      setPreview(null);
      return say({ tone: 'ok', words: t('admin_saved') });
    }
    if (answer.status === 412) {
      await load();
      return say({ tone: 'err', words: t('admin_changed_meanwhile') });
    }
    const refused = answer.status === 403 || answer.status === 422;
    say({ tone: 'err', words: t(refused ? 'admin_rules_refused' : 'admin_failed') });
  };
  return (
    <>
      <p class="lead">{t('admin_rules_lead')}</p>
      {said && <Notice {...said} />}
      <div class="scroll">
        <table class="data stacked matrix">
          <caption class="sr">{t('admin_rules')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('admin_rules_from')}</th>
              {[...TO, ...STAFF].map((to) => (
                <th scope="col" key={to}>
                  {word('to', to)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {FROM.map((from) => (
              <Cells key={from} from={from} row={rules[from]} onChange={(row) => change({ ...rules, [from]: row })} />
            ))}
          </tbody>
        </table>
      </div>
      <div class="rules-more">
        <div class="field">
          <label for="family">{t('admin_family')}</label>
          <select
            class="input"
            id="family"
            value={rules.family}
            onChange={(event) => change({ ...rules, family: event.currentTarget.value as Rules['family'] })}
          >
            {FAMILY.map((family) => (
              <option key={family} value={family}>
                {word('family', family)}
              </option>
            ))}
          </select>
        </div>
        <div class="check">
          <input
            type="checkbox"
            id="crisis"
            checked={rules.crisis}
            onChange={(event) => change({ ...rules, crisis: event.currentTarget.checked })}
          />
          <label for="crisis">{t('admin_crisis')}</label>
        </div>
      </div>
      {preview && <Opened preview={preview} />}
      <p class="acts">
        <button class="btn" type="button" disabled={!changed} onClick={() => void show()}>
          {t('admin_preview_show')}
        </button>
        <button class="btn primary" type="button" disabled={!changed || !preview || preview.faults.length > 0} onClick={() => void save()}>
          {t('admin_save')}
        </button>
      </p>
      <p class="hint">{t('admin_preview_first')}</p>
    </>
  );
}
