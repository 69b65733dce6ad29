/** Hours: plans of a school or a territory, who would be in under them, exceptions; and suspensions of a profile. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { listed, t, type Key } from '../i18n';
import { get, newKey, send } from './client';
import { instant, Notice, Table, useList, type Place } from './common';
import { came, Check, Choice, Field, Form, Sure, type Word } from './forms';

type Schemas = components['schemas'];
type Plan = Schemas['SlotPlan'];
type Draft = Schemas['NewSlotPlan'];
type SlotWindow = Schemas['SlotWindow'];
type Preview = Schemas['SlotPreview'];
type Exception = Schemas['SlotException'];
type Suspension = Schemas['ProfileSuspension'];

/** Words that schools write, in any language. */
const LEVELS: [SlotWindow['levels'] extends (infer L)[] | undefined ? L : never, string][] = [
  ['maternelle', 'Maternelle'], ['cp', 'CP'], ['ce1', 'CE1'], ['ce2', 'CE2'], ['cm1', 'CM1'], ['cm2', 'CM2'],
  ['6e', '6e'], ['5e', '5e'], ['4e', '4e'], ['3e', '3e'],
  ['seconde', '2de'], ['premiere', '1re'], ['terminale', 'Terminale'], ['cap', 'CAP'],
  ['seconde-pro', '2de pro'], ['premiere-pro', '1re pro'], ['terminale-pro', 'Terminale pro'],
  ['bts', 'BTS'], ['cpge', 'CPGE'], ['postbac', 'Post-bac'], ['cfa', 'CFA'],
];
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const MODES = ['advice', 'soft', 'hard'] as const;
const SERVICES = ['communication', 'directory', 'files', 'timetable'] as const;
const levelName = (level: string | null | undefined): string =>
  LEVELS.find(([word]) => word === level)?.[1] ?? level ?? t('admin_level_unknown');

const SCHOOL = {
  plans: '/api/v1/schools/{school_id}/plans',
  preview: '/api/v1/schools/{school_id}/plans/preview',
  plan: '/api/v1/schools/{school_id}/plans/{plan_id}',
  mode: '/api/v1/schools/{school_id}/plans/{plan_id}/mode',
  exceptions: '/api/v1/schools/{school_id}/slot-exceptions',
  exception: '/api/v1/schools/{school_id}/slot-exceptions/{exception_id}',
  suspensions: '/api/v1/schools/{school_id}/suspensions',
  suspension: '/api/v1/schools/{school_id}/suspensions/{suspension_id}',
} as const;
const TERRITORY = {
  plans: '/api/v1/territories/{territory_id}/plans',
  preview: '/api/v1/territories/{territory_id}/plans/preview',
  plan: '/api/v1/territories/{territory_id}/plans/{plan_id}',
  mode: '/api/v1/territories/{territory_id}/plans/{plan_id}/mode',
  exceptions: '/api/v1/territories/{territory_id}/slot-exceptions',
  exception: '/api/v1/territories/{territory_id}/slot-exceptions/{exception_id}',
  suspensions: '/api/v1/territories/{territory_id}/suspensions',
  suspension: '/api/v1/territories/{territory_id}/suspensions/{suspension_id}',
} as const;

const paths = (place: Place): typeof SCHOOL | typeof TERRITORY => (place.school ? SCHOOL : TERRITORY);
const holesOf = (place: Place): Record<string, string> => ({ school_id: place.school, territory_id: place.territory });
const ours = (place: Place, scope: string): boolean => scope === (place.school ? 'school' : 'territory');
const day = (name: string): string => listed('days', DAYS.indexOf(name as (typeof DAYS)[number]));

/** « 6e, 5e : lundi, mardi, 08:00–12:00 ». */
export function inWords(window: SlotWindow): string {
  const levels = window.levels ?? [];
  const who = window.profile === 'guardian' ? t('admin_slots_guardians') : levels.length ? levels.map(levelName).join(', ') : t('admin_slots_all');
  const days = (window.days ?? DAYS.slice(0, 5)).map(day).join(', ');
  return `${who} : ${days}, ${window.from}–${window.to === '00:00' ? '24:00' : window.to}`;
}

/** How many may come, hour by hour, on the days of the plan. */
function Seen({ seen }: { seen: Preview }) {
  return (
    <section class="card" aria-live="polite">
      <h3>{t('admin_slots_preview')}</h3>
      <p>{t('admin_slots_moved', { moved: seen.moved, all: seen.pupils })}</p>
      {seen.flaws.length > 0 && (
        <ul class="bullets">
          {seen.flaws.map((flaw) => (
            <li key={`${flaw.kind}-${flaw.day ?? ''}-${flaw.level ?? ''}`}>
              {t(`admin_slots_${flaw.kind.replace(/-/g, '_')}` as Key, { level: levelName(flaw.level), day: flaw.day ? day(flaw.day) : '' })}
            </li>
          ))}
        </ul>
      )}
      {seen.days.slice(0, 1).map((one) => (
        <table class="data stacked" key={one.day}>
          <caption>{day(one.day)}</caption>
          <thead>
            <tr>
              <th scope="col">{t('admin_slots_hours')}</th>
              <th scope="col">{t('admin_slots_pupils_in')}</th>
              <th scope="col">{t('admin_slots_levels')}</th>
            </tr>
          </thead>
          <tbody>
            {one.segments.map((part) => (
              <tr key={part.from}>
                <th scope="row">
                  {part.from}–{part.to === '00:00' ? '24:00' : part.to}
                </th>
                <td class="number">{part.pupils}</td>
                <td>{part.everybody ? t('admin_slots_everybody') : part.levels.map((level) => `${levelName(level.level)} (${level.pupils})`).join(', ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </section>
  );
}

/** Writes a plan: its windows one by one, then what it would do, then the plan. */
function Writer({ place, made }: { place: Place; made: (said: Word) => void }) {
  const [windows, setWindows] = useState<SlotWindow[]>([]);
  const [draft, setDraft] = useState<Draft | null>(null);
  const [seen, setSeen] = useState<Preview | null>(null);
  const [said, say] = useState<Word | null>(null);
  useEffect(() => {
    setSeen(null);
    setDraft(null);
  }, [windows]);
  const add = async (value: (name: string) => string, form: HTMLFormElement): Promise<void> => {
    const all = (name: string): string[] => new FormData(form).getAll(name).map(String);
    const guardian = value('profile') === 'guardian';
    const window = {
      profile: value('profile'),
      levels: guardian ? [] : all('level'),
      days: all('day'),
      from: value('from'),
      to: value('to'),
    } as SlotWindow;
    setWindows([...windows, window]);
  };
  const preview = async (value: (name: string) => string): Promise<void> => {
    const plan = {
      name: value('name'),
      mode: value('mode'),
      starts_on: value('starts_on'),
      ends_on: value('ends_on') || null,
      siblings: value('siblings') === 'on',
      windows,
    } as Draft;
    const answer = await send('post', paths(place).preview, holesOf(place), plan);
    if (answer.kind === 'ok') {
      setDraft(plan);
      setSeen(answer.data as Preview);
      say(null);
    } else say(came(answer, ''));
  };
  const save = async (): Promise<void> => {
    if (!draft) return;
    const answer = await send('post', paths(place).plans, holesOf(place), draft, { key: newKey() });
    if (answer.kind === 'ok') {
      setWindows([]);
      made(came(answer, t('admin_slots_made')));
    } else say(came(answer, ''));
  };
  return (
    <section class="card">
      <h2>{t('admin_slots_new')}</h2>
      {said && <Notice {...said} />}
      <ul class="bullets">
        {windows.map((window, at) => (
          <li key={inWords(window)}>
            {inWords(window)}{' '}
            <button class="btn" type="button" onClick={() => setWindows(windows.filter((_, other) => other !== at))}>
              {t('admin_remove')}
              <span class="sr"> {inWords(window)}</span>
            </button>
          </li>
        ))}
      </ul>
      <Form go={add} act={t('admin_slots_add')}>
        <Choice id="profile" label={t('admin_slots_who')} options={[['pupil', t('admin_slots_pupils')], ['guardian', t('admin_slots_guardians')]]} />
        <Choice id="level" label={t('admin_slots_levels')} options={LEVELS} multiple optional />
        <fieldset class="field">
          <legend>{t('admin_slots_days')}</legend>
          {DAYS.map((name, at) => (
            <Check key={name} id={`day-${name}`} name="day" value={name} label={day(name)} checked={at < 5} />
          ))}
        </fieldset>
        <Field id="from" type="time" label={t('admin_slots_from')} value="08:00" />
        <Field id="to" type="time" label={t('admin_slots_to')} value="12:00" />
      </Form>
      {windows.length > 0 && (
        <Form go={preview} act={t('admin_preview_show')}>
          <Field id="name" label={t('admin_name')} max={120} />
          <Choice id="mode" label={t('admin_slots_mode')} value="soft" options={MODES.map((mode) => [mode, t(`admin_slots_mode_${mode}` as Key)])} />
          <Field id="starts_on" type="date" label={t('admin_slots_starts_on')} />
          <Field id="ends_on" type="date" label={t('admin_until')} optional />
          <Check id="siblings" label={t('admin_slots_siblings')} checked />
        </Form>
      )}
      {seen && (
        <>
          <Seen seen={seen} />
          <p class="acts">
            <button class="btn primary" type="button" onClick={() => void save()}>
              {t('admin_slots_save')}
            </button>
          </p>
        </>
      )}
    </section>
  );
}

/** What holds until an instant: for whom, until when, why, and the act that ends it before. A school ends its own only. */
function Until<T extends { id: string; scope: string; ends_at: string; reason: string }>(props: {
  place: Place;
  list: ReturnType<typeof useList<T>>;
  caption: string;
  empty: Key;
  who: (one: T) => string;
  ended: (one: T) => boolean;
  act: string;
  ask: string;
  end: (one: T) => Promise<void>;
}) {
  const live = (one: T): boolean => !props.ended(one) && Date.parse(one.ends_at) > Date.now();
  return (
    <Table
      {...props.list}
      caption={props.caption}
      heads={[t('admin_slots_who'), t('admin_until'), t('admin_reason'), t('admin_act')]}
      empty={props.empty}
      row={(one) => (
        <tr key={one.id}>
          <th scope="row">{props.who(one)}</th>
          <td>{instant(one.ends_at)}</td>
          <td class="break">{one.reason}</td>
          <td>
            {live(one) && ours(props.place, one.scope) ? (
              <Sure act={props.act} of={one.reason} ask={props.ask} go={() => props.end(one)} />
            ) : (
              t(live(one) ? 'admin_slots_of_territory' : 'admin_over')
            )}
          </td>
        </tr>
      )}
    />
  );
}

function Exceptions({ place }: { place: Place }) {
  const [said, say] = useState<Word | null>(null);
  const list = useList<Exception>((cursor) => get(paths(place).exceptions, holesOf(place), { cursor }), 'exceptions');
  const make = async (value: (name: string) => string, form: HTMLFormElement): Promise<void> => {
    const levels = new FormData(form).getAll('exception-level').map(String) as Exception['levels'];
    const body = { levels, ends_at: new Date(`${value('exception-until')}T23:59:59`).toISOString(), reason: value('exception-reason') };
    const answer = await send('post', paths(place).exceptions, holesOf(place), body, { key: newKey() });
    say(came(answer, t('admin_slots_exception_made')));
    if (answer.kind === 'ok') list.again();
  };
  const end = async (one: Exception): Promise<void> => {
    say(came(await send('delete', paths(place).exception, { ...holesOf(place), exception_id: one.id }, undefined), t('admin_saved')));
    list.again();
  };
  const who = (one: Exception): string => {
    if (one.class_id) return t('admin_slots_a_class');
    return one.levels.length ? one.levels.map(levelName).join(', ') : t('admin_slots_all');
  };
  return (
    <section class="card">
      <h2>{t('admin_slots_exceptions')}</h2>
      {said && <Notice {...said} />}
      <Until
        {...{ place, list, who, end }}
        caption={t('admin_slots_exceptions')}
        empty="admin_slots_no_exception"
        ended={(one) => !!one.ended_at}
        act={t('admin_slots_end')}
        ask={t('admin_slots_end_sure')}
      />
      <Form go={make} act={t('admin_slots_except')}>
        <Choice id="exception-level" label={t('admin_slots_levels')} options={LEVELS} multiple optional />
        <Field id="exception-until" type="date" label={t('admin_until')} />
        <Field id="exception-reason" label={t('admin_reason')} max={300} />
      </Form>
    </section>
  );
}

export function SlotsSection({ place }: { place: Place }) {
  const [said, say] = useState<Word | null>(null);
  const list = useList<Plan>((cursor) => get(paths(place).plans, holesOf(place), { cursor }), 'plans');
  const act = async (done: Word): Promise<void> => {
    say(done);
    list.again();
  };
  const withdraw = async (one: Plan): Promise<void> =>
    act(came(await send('delete', paths(place).plan, { ...holesOf(place), plan_id: one.id }, undefined), t('admin_saved')));
  const force = async (one: Plan, mode: 'off' | 'hard' | null): Promise<void> => {
    const until = new Date(Date.now() + 4 * 3_600_000).toISOString();
    const body = mode ? { mode, until, reason: t('admin_slots_forced_by_hand') } : { mode: null };
    await act(came(await send('put', paths(place).mode, { ...holesOf(place), plan_id: one.id }, body), t('admin_saved')));
  };
  return (
    <div class="cards">
      <p class="lead">{t('admin_slots_lead')}</p>
      {said && <Notice {...said} />}
      <section class="card">
        <h2>{t('admin_slots_plans')}</h2>
        <Table
          {...list}
          caption={t('admin_slots_plans')}
          heads={[t('admin_name'), t('admin_slots_hours'), t('admin_state'), t('admin_act')]}
          empty="admin_slots_no_plan"
          row={(one) => (
            <tr key={one.id}>
              <th scope="row">
                {one.name} <span class="muted small">v{one.version}</span>
              </th>
              <td>
                <ul>
                  {one.windows.map((window) => (
                    <li key={inWords(window)}>{inWords(window)}</li>
                  ))}
                </ul>
              </td>
              <td>
                {t(`admin_slots_state_${one.state}` as Key)} · {t(`admin_slots_mode_${one.mode}` as Key)}
                {one.forced && <span class="tag warn">{t('admin_slots_forced', { mode: t(`admin_slots_force_${one.forced.mode}` as Key), when: instant(one.forced.until) })}</span>}
              </td>
              <td>
                {!ours(place, one.scope)
                  ? t('admin_slots_of_territory')
                  : one.state !== 'withdrawn' && (
                      <p class="acts">
                        <Sure act={t('admin_slots_withdraw')} of={one.name} ask={t('admin_slots_withdraw_sure')} go={() => withdraw(one)} />
                        {one.forced ? (
                          <button class="btn" type="button" onClick={() => void force(one, null)}>
                            {t('admin_slots_by_load')}
                          </button>
                        ) : (
                          <>
                            <button class="btn" type="button" onClick={() => void force(one, 'off')}>
                              {t('admin_slots_force_off')}
                            </button>
                            <button class="btn" type="button" onClick={() => void force(one, 'hard')}>
                              {t('admin_slots_force_hard')}
                            </button>
                          </>
                        )}
                      </p>
                    )}
              </td>
            </tr>
          )}
        />
      </section>
      <Writer place={place} made={(done) => void act(done)} />
      <Exceptions place={place} />
    </div>
  );
}

export function SuspensionsSection({ place }: { place: Place }) {
  const [said, say] = useState<Word | null>(null);
  const list = useList<Suspension>((cursor) => get(paths(place).suspensions, holesOf(place), { cursor }), 'suspensions');
  const decide = async (value: (name: string) => string, form: HTMLFormElement): Promise<void> => {
    const body = {
      profile: value('profile') as Suspension['profile'],
      services: new FormData(form).getAll('service').map(String),
      ends_at: new Date(`${value('until')}T${value('hour')}:00`).toISOString(),
      reason: value('reason'),
    };
    const answer = await send('post', paths(place).suspensions, holesOf(place), body, { key: newKey() });
    say(came(answer, t('admin_suspended')));
    if (answer.kind === 'ok') list.again();
  };
  const lift = async (one: Suspension): Promise<void> => {
    say(came(await send('delete', paths(place).suspension, { ...holesOf(place), suspension_id: one.id }, undefined), t('admin_saved')));
    list.again();
  };
  const who = (one: Suspension): string => {
    const profile = t(one.profile === 'guardian' ? 'admin_slots_guardians' : 'admin_slots_pupils');
    const services = one.services.map((name) => t(`admin_service_${name}` as Key)).join(', ');
    return services ? `${profile} (${services})` : profile;
  };
  return (
    <div class="cards two">
      <section class="card">
        <h2>{t('admin_suspensions')}</h2>
        <p class="hint">{t('admin_suspensions_kept')}</p>
        {said && <Notice {...said} />}
        <Until
          {...{ place, list, who }}
          caption={t('admin_suspensions')}
          empty="admin_no_suspension"
          ended={(one) => !!one.lifted_at}
          act={t('admin_suspension_lift')}
          ask={t('admin_suspension_lift_sure')}
          end={lift}
        />
      </section>
      <section class="card">
        <h2>{t('admin_suspend')}</h2>
        <Form go={decide} act={t('admin_suspend')} danger>
          <Choice id="profile" label={t('admin_slots_who')} options={[['guardian', t('admin_slots_guardians')], ['pupil', t('admin_slots_pupils')]]} />
          <fieldset class="field">
            <legend>{t('admin_suspension_services')}</legend>
            {SERVICES.map((name) => (
              <Check key={name} id={`service-${name}`} name="service" value={name} label={t(`admin_service_${name}` as Key)} />
            ))}
          </fieldset>
          <Field id="until" type="date" label={t('admin_until')} hint={t('admin_suspension_until_hint')} />
          <Field id="hour" type="time" label={t('admin_at')} value="18:00" />
          <Field id="reason" label={t('admin_reason')} max={300} hint={t('admin_suspension_reason_hint')} />
        </Form>
      </section>
    </div>
  );
}
