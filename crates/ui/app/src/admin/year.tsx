/** The year's end: count, start, then confirm or take back. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { get as read } from '../api';
import { t, type Key } from '../i18n';
import { at, newKey, send } from './client';
import { instant, Notice, useList, type Place } from './common';
import { came, chosen, Field, Form, SchoolPicker, Sure, type Word } from './forms';

type Year = components['schemas']['YearTransition'];
type Step = components['schemas']['YearTransitionStep'];

const PATH = '/api/v1/territories/{territory_id}/year-transitions' as const;
const COUNTS = ['schools', 'classes', 'groups', 'places_of_pupils', 'places_of_teachers'] as const;
const POLL_MS = 3000;

/** What may follow a state. */
const STEPS: Record<Year['state'], Step[]> = {
  previewed: ['start'],
  running: [],
  done: ['confirm', 'undo'],
  undoing: [],
  undone: [],
  confirmed: [],
};

/** The year that ends this summer, or has just ended. */
export function endingYear(now: Date): string {
  const from = now.getMonth() >= 8 ? now.getFullYear() : now.getFullYear() - 1;
  return `${from}-${from + 1}`;
}

function Transition({ year, move }: { year: Year; move: (year: Year, step: Step) => Promise<void> }) {
  return (
    <li class="card">
      <h3>
        {year.year} <span class="muted small">{t(`admin_year_${year.state}` as Key)}</span>
      </h3>
      <p class="muted small">{t('admin_prepared_on', { when: instant(year.made_at) })}</p>
      <dl class="facts">
        {COUNTS.map((what) => (
          <div key={what}>
            <dt>{t(`admin_count_${what}` as Key)}</dt>
            <dd>{year.preview[what]}</dd>
          </div>
        ))}
      </dl>
      <p class="acts">
        {STEPS[year.state].map((step) => (
          <Sure key={step} act={t(`admin_step_${step}` as Key)} of={year.year} ask={t(`admin_sure_${step}` as Key)} go={() => move(year, step)} />
        ))}
      </p>
    </li>
  );
}

export function YearSection({ place }: { place: Place }) {
  const holes = { territory_id: place.territory };
  const [said, say] = useState<Word | null>(null);
  const years = useList<Year>((cursor) => read(at(PATH, holes, { cursor })), 'years');
  const { list } = years;
  const moving = list.kind === 'held' && list.items.some((one) => one.state === 'running' || one.state === 'undoing');
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setInterval(() => !document.hidden && years.again(), POLL_MS);
    return () => clearInterval(timer);
  }, [moving]);
  const prepare = async (value: (name: string) => string, form: HTMLFormElement): Promise<void> => {
    const schools = chosen(form, 'schools');
    const body = { year: value('year'), ...(schools.length > 0 && { school_ids: schools }) };
    say(came(await send('post', PATH, holes, body, { key: newKey() }), t('admin_year_prepared')));
    years.again();
  };
  const move = async (year: Year, step: Step): Promise<void> => {
    const path = `${PATH}/{transition_id}/steps` as const;
    const answer = await send('post', path, { ...holes, transition_id: year.id }, { step }, { key: newKey() });
    say(came(answer, t('admin_year_moved')));
    years.again();
  };
  return (
    <>
      {said && <Notice {...said} />}
      <section class="card">
        <h2>{t('admin_year_new')}</h2>
        <p class="hint">{t('admin_year_lead')}</p>
        <Form go={prepare} act={t('admin_year_prepare')}>
          <Field id="year" label={t('admin_year_ending')} value={endingYear(new Date())} pattern="\d{4}-\d{4}" max={9} />
          <SchoolPicker territory={place.territory} id="schools" label={t('admin_year_schools')} multiple optional />
        </Form>
      </section>
      <section class="card">
        <h2>{t('admin_years')}</h2>
        {list.kind === 'failed' && <Notice tone="err" words={list.why} />}
        {list.kind === 'loading' && <p class="empty">{t('loading')}</p>}
        {list.kind === 'held' && list.items.length === 0 && <p class="empty">{t('admin_no_year')}</p>}
        {list.kind === 'held' && (
          <ul class="cards">
            {list.items.map((year) => (
              <Transition key={year.id} year={year} move={move} />
            ))}
          </ul>
        )}
      </section>
    </>
  );
}
