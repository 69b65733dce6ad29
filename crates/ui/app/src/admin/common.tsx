/** What the sections share: a list that loads by pages, a notice, a date. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Answer } from '../api';
import { listed, t, type Key } from '../i18n';
import { Icon } from '../ui/icon';

/** Where the section stands. */
export interface Place {
  school: string;
  territory: string;
}

interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

export type Loaded<T> =
  | { kind: 'loading' }
  | { kind: 'failed'; why: string }
  | { kind: 'held'; items: T[]; next: string | null };

/** What a read that brought nothing says. */
export function failure(answer: Answer<unknown>): string {
  if (answer.kind === 'absent') return t('admin_absent');
  if (answer.kind === 'signed-out') return t('admin_signed_out');
  return t('admin_failed');
}

/** A list of the API, page after page; `again` reads it from its beginning. */
export function useList<T>(ask: (cursor: string | undefined) => Promise<Answer<Page<T>>>, about: string) {
  const [list, set] = useState<Loaded<T>>({ kind: 'loading' });
  const load = async (before: T[], cursor: string | undefined): Promise<void> => {
    const answer = await ask(cursor);
    if (answer.kind !== 'ok') set({ kind: 'failed', why: failure(answer) });
    else set({ kind: 'held', items: [...before, ...answer.data.items], next: answer.data.next_cursor ?? null });
  };
  useEffect(() => {
    set({ kind: 'loading' });
    void load([], undefined);
  }, [about]);
  const more = (): void => {
    if (list.kind === 'held' && list.next) void load(list.items, list.next);
  };
  return { list, more, again: () => void load([], undefined) };
}

/** The table of a list, or why there is none. */
export function Table<T>(props: {
  list: Loaded<T>;
  caption: string;
  heads: string[];
  empty: Key;
  row: (item: T) => ComponentChildren;
  more: () => void;
}) {
  const { list } = props;
  if (list.kind === 'loading') return <p class="empty">{t('loading')}</p>;
  if (list.kind === 'failed') return <Notice tone="err" words={list.why} />;
  if (list.items.length === 0) return <p class="empty">{t(props.empty)}</p>;
  return (
    <>
      <table class="data stacked">
        <caption class="sr">{props.caption}</caption>
        <thead>
          <tr>
            {props.heads.map((head) => (
              <th scope="col" key={head}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{list.items.map(props.row)}</tbody>
      </table>
      {list.next && (
        <p class="pager">
          <button class="btn" type="button" onClick={props.more}>
            {t('admin_more')}
          </button>
        </p>
      )}
    </>
  );
}

/** What has happened, in words beside an icon. */
export function Notice({ tone, words }: { tone: 'ok' | 'err' | 'warn'; words: string }) {
  return (
    <div class={`note ${tone}`} role={tone === 'err' ? 'alert' : 'status'}>
      <Icon name={tone === 'ok' ? 'check' : 'alert'} />
      <p>{words}</p>
    </div>
  );
}

/** « 23 novembre 2026, 8:05 », on this device's clock: administrators sit in their school's zone. */
export function instant(iso: string | null | undefined): string {
  if (!iso) return '';
  const date = new Date(iso);
  const minutes = String(date.getMinutes()).padStart(2, '0');
  return `${date.getDate()} ${listed('months', date.getMonth())} ${date.getFullYear()}, ${date.getHours()}:${minutes}`;
}
