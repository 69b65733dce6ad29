/** When the territory's delivery is fetched by itself. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { get as read } from '../api';
import { t, type Key } from '../i18n';
import { at, send } from './client';
import { failure, Notice, type Place } from './common';
import { came, Check, Choice, Field, Form, type Word } from './forms';

type Held = components['schemas']['Schedule'];

const PATH = '/api/v1/territories/{territory_id}/feed-schedule' as const;
/** Formats whose files say which school they are about. */
const FORMATS = ['aaf', 'siecle'] as const;
const ZONES = ['Europe/Paris', 'America/Martinique', 'America/Guadeloupe', 'America/Cayenne', 'Indian/Reunion', 'Indian/Mayotte'];

export function Schedule({ place }: { place: Place }) {
  const holes = { territory_id: place.territory };
  const [held, set] = useState<Held | null | undefined>(undefined);
  const [said, say] = useState<Word | null>(null);
  const load = async (): Promise<void> => {
    const answer = await read<Held>(at(PATH, holes));
    if (answer.kind === 'ok') set(answer.data);
    else if (answer.kind === 'absent') set(null);
    else say({ tone: 'err', words: failure(answer) });
  };
  useEffect(() => void load(), []);
  const save = async (value: (name: string) => string): Promise<void> => {
    const time = value('at');
    const body = {
      enabled: value('enabled') === 'on',
      format: value('format'),
      directory: value('directory'),
      at: time.length === 5 ? `${time}:00` : time,
      time_zone: value('zone'),
    };
    say(came(await send('put', PATH, holes, body), t('admin_schedule_saved')));
    await load();
  };
  if (held === undefined) return said ? <Notice {...said} /> : <p class="empty">{t('loading')}</p>;
  const zones = held && !ZONES.includes(held.time_zone) ? [held.time_zone, ...ZONES] : ZONES;
  return (
    <>
      {said && <Notice {...said} />}
      {held?.last_night && <p class="muted">{t('admin_schedule_last', { night: held.last_night })}</p>}
      <Form key={held?.updated_at ?? ''} go={save} act={t('admin_save')}>
        <Check id="enabled" label={t('admin_schedule_on')} checked={held?.enabled ?? false} />
        <Choice id="format" label={t('admin_format')} value={held?.format} options={FORMATS.map((one) => [one, t(`admin_format_${one}` as Key)])} />
        <Field id="directory" label={t('admin_directory')} value={held?.directory} hint={t('admin_directory_hint')} />
        <Field id="at" label={t('admin_at')} type="time" value={held?.at.slice(0, 5) ?? '02:30'} />
        <Choice id="zone" label={t('admin_zone')} value={held?.time_zone ?? 'Europe/Paris'} options={zones.map((one) => [one, one.replace('_', ' ')])} />
      </Form>
    </>
  );
}
