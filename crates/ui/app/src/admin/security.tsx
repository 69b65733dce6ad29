/** What is asked of whoever signs in: a second step of teachers, and of whoever opens the administration. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { t } from '../i18n';
import { get, send } from './client';
import { failure, Notice, type Place } from './common';
import { came, Check, draft, Form, type Word } from './forms';

type Schemas = components['schemas'];
type OfSchool = Schemas['SchoolFactorPolicy'];
type OfTerritory = Schemas['TerritoryFactorPolicy'];
type Lacking = Schemas['Lacking'];

const SCHOOL = '/api/v1/schools/{school_id}/second-factor-policy' as const;
const TERRITORY = '/api/v1/territories/{territory_id}/second-factor-policy' as const;
const DRAFT = 'security';

/** What is said, or would be. */
interface Wish {
  teachers: boolean;
  closed: boolean;
}

/** What holds in a school: on teachers, its territory's word until it has one of its own. */
export function ofSchool(found: OfSchool): Wish {
  return {
    teachers: (found.school ?? found.territory)?.teachers_must ?? false,
    closed: found.school?.administrators_prove ?? false,
  };
}

const ofTerritory = (found: OfTerritory): Wish => ({
  teachers: found.territory?.teachers_must ?? false,
  closed: found.territory?.administrators_prove ?? false,
});

/** What a wish would change in a school, in words. */
export function inSchool(found: OfSchool, wish: Wish): string[] {
  const now = ofSchool(found);
  const said: string[] = [];
  const { administrators, delegates, teachers } = found;
  if (wish.teachers !== now.teachers) {
    said.push(wish.teachers ? t('admin_factor_teachers_on', { n: teachers.without_factor, all: teachers.people }) : t('admin_factor_teachers_off'));
  }
  if (wish.closed !== now.closed && !found.territory?.administrators_prove) {
    const holes = { n: administrators.without_factor + delegates.without_factor, all: administrators.people + delegates.people };
    said.push(wish.closed ? t('admin_factor_closed_on', holes) : t('admin_factor_closed_off'));
  }
  return said;
}

function inTerritory(found: OfTerritory, wish: Wish): string[] {
  const now = ofTerritory(found);
  const said: string[] = [];
  if (wish.teachers !== now.teachers) {
    said.push(wish.teachers ? t('admin_factor_teachers_on_all', { n: found.teachers }) : t('admin_factor_teachers_off'));
  }
  if (wish.closed !== now.closed) {
    said.push(wish.closed ? t('admin_factor_closed_on_all', { n: found.administrators }) : t('admin_factor_closed_off'));
  }
  return said;
}

function Row({ of, who }: { of: string; who: Lacking }) {
  return (
    <tr>
      <th scope="row">{of}</th>
      <td class="number" data-label={t('admin_factor_people')}>
        {who.people}
      </td>
      <td class="number" data-label={t('admin_factor_without')}>
        {who.without_factor}
      </td>
    </tr>
  );
}

function WhoOfSchool({ found }: { found: OfSchool }) {
  return (
    <table class="data stacked">
      <caption class="sr">{t('admin_factor_who')}</caption>
      <thead>
        <tr>
          <th scope="col">{t('admin_factor_who')}</th>
          <th scope="col">{t('admin_factor_people')}</th>
          <th scope="col">{t('admin_factor_without')}</th>
        </tr>
      </thead>
      <tbody>
        <Row of={t('admin_factor_of_administrators')} who={found.administrators} />
        <Row of={t('admin_factor_of_delegates')} who={found.delegates} />
        <Row of={t('admin_factor_of_teachers')} who={found.teachers} />
      </tbody>
    </table>
  );
}

function WhoOfTerritory({ found }: { found: OfTerritory }) {
  const facts: [string, number][] = [
    [t('admin_schools'), found.schools],
    [t('admin_factor_own'), found.schools_with_own],
    [t('admin_factor_of_administrators'), found.administrators],
    [t('admin_factor_of_teachers_reached'), found.teachers],
  ];
  return (
    <>
      <dl class="facts">
        {facts.map(([words, n]) => (
          <div key={words}>
            <dt>{words}</dt>
            <dd>{n}</dd>
          </div>
        ))}
      </dl>
      <p class="hint">{t('admin_factor_counted')}</p>
    </>
  );
}

/** What was read, for a school or for a territory. */
type Found = { school: OfSchool } | { territory: OfTerritory };

const holds = (found: Found): Wish => ('school' in found ? ofSchool(found.school) : ofTerritory(found.territory));
const changes = (found: Found, wish: Wish): string[] =>
  'school' in found ? inSchool(found.school, wish) : inTerritory(found.territory, wish);

export function SecuritySection({ place }: { place: Place }) {
  const holes = { school_id: place.school, territory_id: place.territory };
  // A form that led to the proof of who one is comes back as it was left.
  const kept = useMemo(() => draft.take(DRAFT), []);
  const [found, setFound] = useState<Found | null>(null);
  const [wish, setWish] = useState<Wish | null>(null);
  const [said, say] = useState<Word | null>(null);

  const load = async (before: [string, string][]): Promise<void> => {
    const answer = place.school ? await get(SCHOOL, holes) : await get(TERRITORY, holes);
    if (answer.kind !== 'ok') return say({ tone: 'err', words: failure(answer) });
    const read: Found = 'teachers' in answer.data && 'delegates' in answer.data ? { school: answer.data } : { territory: answer.data as OfTerritory };
    const had = (name: string): boolean => before.some(([one]) => one === name);
    setFound(read);
    setWish(before.length > 0 ? { teachers: had('teachers_must'), closed: had('administrators_prove') } : holds(read));
  };
  useEffect(() => void load(kept), []);

  if (!found || !wish) return said ? <Notice {...said} /> : <p class="empty">{t('loading')}</p>;
  const save = async (value: (name: string) => string, form: HTMLFormElement): Promise<void> => {
    const body = { teachers_must: value('teachers_must') === 'on', administrators_prove: value('administrators_prove') === 'on' };
    draft.keep(DRAFT, form);
    const answer = await send('put', place.school ? SCHOOL : TERRITORY, holes, body);
    if (answer.kind === 'ok' || answer.code !== 'proof-required') draft.take(DRAFT);
    say(came(answer, t('admin_factor_saved')));
    if (answer.kind === 'ok') await load([]);
  };
  const above = 'school' in found ? found.school.territory : null;
  const own = 'school' in found ? found.school.school : null;
  const coming = changes(found, wish);
  return (
    <>
      <p class="lead">{t('admin_factor_lead')}</p>
      {said && <Notice {...said} />}
      <div class="cards two">
        <section class="card">
          <h2>{t('admin_factor')}</h2>
          {above?.teachers_must && !own && <Notice tone="warn" words={t('admin_factor_above_teachers')} />}
          {above?.administrators_prove && <Notice tone="warn" words={t('admin_factor_above_closed')} />}
          <Form go={save} act={t('admin_save')}>
            <input type="hidden" name="draft" value="kept" />
            <Check id="teachers_must" label={t('admin_factor_teachers')} checked={wish.teachers} onChange={(on) => setWish({ ...wish, teachers: on })} />
            <Check id="administrators_prove" label={t('admin_factor_closed')} checked={wish.closed} onChange={(on) => setWish({ ...wish, closed: on })} />
            <p class="hint">{t('admin_factor_closed_hint')}</p>
            <div role="status">
              {coming.length > 0 && (
                <>
                  <h3>{t('admin_factor_preview')}</h3>
                  <ul class="rows plain">
                    {coming.map((words) => (
                      <li key={words}>{words}</li>
                    ))}
                  </ul>
                </>
              )}
            </div>
          </Form>
        </section>
        <section class="card">
          <h2>{t('admin_factor_who')}</h2>
          {'school' in found ? <WhoOfSchool found={found.school} /> : <WhoOfTerritory found={found.territory} />}
        </section>
      </div>
    </>
  );
}
