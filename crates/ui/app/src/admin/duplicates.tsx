/** Records that may be one person: look, say that they are two, or merge; and take a merge back. */
import { useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { get as read } from '../api';
import { known, t } from '../i18n';
import { at, get, newKey, send, type Changed } from './client';
import { instant, Notice, Table, useList, type Place } from './common';
import { came, Sure, type Word } from './forms';

type Schemas = components['schemas'];
type Pair = Schemas['DuplicatePair'];
type One = Schemas['DuplicateOne'];
type Merge = Schemas['AccountMerge'];

const name = (one: One): string => `${one.first_name} ${one.last_name}`;

function Record({ one, keep }: { one: One; keep: () => Promise<void> }) {
  return (
    <div class="row-text">
      <p>
        <strong>{name(one)}</strong>
      </p>
      <p class="muted small">
        {one.birth_on && `${t('admin_born', { on: one.birth_on })} · `}
        {t('admin_in_schools', { n: one.school_ids.length })}
      </p>
      <Sure act={t('admin_keep')} of={name(one)} ask={t('admin_keep_sure')} go={keep} />
    </div>
  );
}

function Pairs(props: { list: ReturnType<typeof useList<Pair>>; merge: (pair: Pair, kept: string) => Promise<void>; distinct: (pair: Pair) => Promise<void> }) {
  const { list } = props.list;
  if (list.kind === 'loading') return <p class="empty">{t('loading')}</p>;
  if (list.kind === 'failed') return <Notice tone="err" words={list.why} />;
  if (list.items.length === 0) return <p class="empty">{t('admin_no_duplicate')}</p>;
  return (
    <>
      <ul class="cards">
        {list.items.map((pair) => (
          <li class="card" key={pair.id}>
            <h3>
              {name(pair.one)} <span class="muted small">{t('admin_score', { n: pair.score })}</span>
            </h3>
            <p>
              {pair.reasons.map((reason) => (
                <span class="tag plain" key={reason}>
                  {known(`admin_shared_${reason.replace(/-/g, '_')}`) ?? reason}
                </span>
              ))}
            </p>
            <div class="pair">
              <Record one={pair.one} keep={() => props.merge(pair, pair.one.id)} />
              <Record one={pair.other} keep={() => props.merge(pair, pair.other.id)} />
            </div>
            <p class="acts">
              <button class="btn" type="button" onClick={() => void props.distinct(pair)}>
                {t('admin_distinct')}
                <span class="sr"> {name(pair.one)}</span>
              </button>
            </p>
          </li>
        ))}
      </ul>
      {list.next && (
        <p class="pager">
          <button class="btn" type="button" onClick={props.list.more}>
            {t('admin_more')}
          </button>
        </p>
      )}
    </>
  );
}

/** Merges of the territory, the newest first, each of which can be taken back. */
function Merges({ place, about, say }: { place: Place; about: string; say: (word: Word) => void }) {
  const holes = { territory_id: place.territory };
  const merges = useList<Merge>((cursor) => read(at('/api/v1/territories/{territory_id}/merges', holes, { cursor })), about);
  const undo = async (merge: Merge): Promise<void> => {
    const path = '/api/v1/territories/{territory_id}/merges/{merge_id}/undo' as const;
    const body = { merged_id: merge.merged_id };
    const answer = await send('post', path, { ...holes, merge_id: merge.id }, body, { key: newKey() });
    say(came(answer, t('admin_undo_begun')));
    merges.again();
  };
  return (
    <Table
      {...merges}
      caption={t('admin_merges')}
      heads={[t('admin_when'), t('admin_state'), t('admin_schools'), t('admin_act')]}
      empty="admin_no_merge"
      row={(one) => (
        <tr key={one.id}>
          <th scope="row">{instant(one.made_at)}</th>
          <td>{known(`admin_merge_${one.state}`) ?? one.state}</td>
          <td class="number" data-label={t('admin_schools')}>
            {one.school_ids.length}
          </td>
          <td>{one.state === 'merged' && <Sure act={t('admin_undo')} of={instant(one.made_at)} ask={t('admin_undo_sure')} go={() => undo(one)} />}</td>
        </tr>
      )}
    />
  );
}

export function DuplicatesSection({ place }: { place: Place }) {
  const school = { school_id: place.school };
  const territory = { territory_id: place.territory };
  const [said, say] = useState<Word | null>(null);
  const [turn, next] = useState(0);
  const pairs = useList<Pair>(
    (cursor) =>
      place.school
        ? get('/api/v1/schools/{school_id}/administration/duplicates', school, { cursor, state: 'open' })
        : get('/api/v1/territories/{territory_id}/duplicates', territory, { cursor, state: 'open' }),
    'pairs',
  );
  const done = (answer: Changed<unknown>, words: string): void => {
    say(came(answer, words));
    pairs.again();
    next(turn + 1);
  };
  const distinct = async (pair: Pair): Promise<void> => {
    const body = { verdict: 'distinct' as const };
    const answer = place.school
      ? await send('put', '/api/v1/schools/{school_id}/administration/duplicates/{pair_id}/verdict', { ...school, pair_id: pair.id }, body)
      : await send('put', '/api/v1/territories/{territory_id}/duplicates/{pair_id}/verdict', { ...territory, pair_id: pair.id }, body);
    done(answer, t('admin_distinct_done'));
  };
  const merge = async (pair: Pair, kept: string): Promise<void> => {
    const other = pair.one.id === kept ? pair.other.id : pair.one.id;
    const key = newKey();
    const answer = place.school
      ? await send('post', '/api/v1/schools/{school_id}/administration/duplicates/{pair_id}/merge', { ...school, pair_id: pair.id }, { kept_id: kept }, { key })
      : await send('post', '/api/v1/territories/{territory_id}/merges', territory, { kept_id: kept, merged_id: other }, { key });
    done(answer, t('admin_merge_begun'));
  };
  const search = async (): Promise<void> => {
    const answer = await send('post', '/api/v1/territories/{territory_id}/duplicate-searches', territory, {}, { key: newKey() });
    done(answer, t('admin_search_begun'));
  };
  return (
    <>
      {said && <Notice {...said} />}
      <section class="card">
        <h2>{t('admin_duplicates')}</h2>
        <p class="hint">{t('admin_duplicates_lead')}</p>
        {!place.school && (
          <p class="acts">
            <button class="btn" type="button" onClick={() => void search()}>
              {t('admin_duplicates_search')}
            </button>
          </p>
        )}
        <Pairs list={pairs} merge={merge} distinct={distinct} />
      </section>
      {!place.school && (
        <section class="card">
          <h2>{t('admin_merges')}</h2>
          <Merges place={place} about={`merges ${turn}`} say={say} />
        </section>
      )}
    </>
  );
}
