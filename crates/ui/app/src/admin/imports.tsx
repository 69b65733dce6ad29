/** Imports: send a file, follow the job, read what it would do, decide on the schools that wait. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { known, t, type Key } from '../i18n';
import { get, newKey, send } from './client';
import { instant, Notice, Table, useList, type Place } from './common';
import { Choice, SchoolPicker } from './forms';
import { Schedule } from './schedule';

type Schemas = components['schemas'];
type Job = Schemas['Job'];
type Hold = Schemas['Hold'];

const POLL_MS = 3000;
const over = (job: Job): boolean => job.state !== 'queued' && job.state !== 'running';

/** What a table may be said to hold, where its columns do not say it. */
const PROFILES = ['pupil', 'guardian', 'teacher', 'staff', 'guest', 'by_row'] as const;

/** Why a school waits, with its figures; the code itself where this program does not know it yet. */
function why(code: string, counts: Record<string, number>): string {
  const key = `admin_hold_${code.replace(/-/g, '_')}`;
  return known(key) === null ? code : t(key as Key, counts);
}

/** What would happen in a school, in numbers. */
function figures(hold: Hold): Record<string, number> {
  const counts = hold.counts as unknown as Record<string, number>;
  return { ...counts, gone: (counts.left ?? 0) + (counts.moved ?? 0) };
}

function Send({ place, begun }: { place: Place; begun: () => void }) {
  const holes = { territory_id: place.territory };
  const [state, set] = useState<{ tone: 'ok' | 'err' | 'warn'; words: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const file = (form.elements.namedItem('file') as HTMLInputElement).files?.[0];
    const dry = (form.elements.namedItem('dry') as HTMLInputElement).checked;
    if (!file) return;
    setBusy(true);
    set({ tone: 'warn', words: t('admin_sending') });
    const upload = await send('post', '/api/v1/territories/{territory_id}/uploads', holes, file);
    if (upload.kind === 'ok') {
      const chosen = (name: string): string => (form.elements.namedItem(name) as HTMLSelectElement).value;
      const body = {
        upload_id: upload.data.id,
        name: file.name.slice(0, 200),
        dry_run: dry,
        school_id: chosen('school') || null,
        profile: (chosen('profile') || null) as Schemas['TableProfile'] | null,
      };
      const job = await send('post', '/api/v1/territories/{territory_id}/directory-imports', holes, body, { key: newKey() });
      set(job.kind === 'ok' ? { tone: 'ok', words: t('admin_import_begun') } : { tone: 'err', words: t('admin_import_refused', { code: job.code }) });
      if (job.kind === 'ok') {
        form.reset();
        begun();
      }
    } else set({ tone: 'err', words: t('admin_import_refused', { code: upload.code }) });
    setBusy(false);
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      {state && <Notice {...state} />}
      <div class="field">
        <label for="file">{t('admin_file')}</label>
        <p class="hint" id="file-hint">
          {t('admin_file_hint')}
        </p>
        <input class="input" id="file" name="file" type="file" required aria-describedby="file-hint" />
      </div>
      <SchoolPicker territory={place.territory} id="school" label={t('admin_import_school')} optional />
      <Choice
        id="profile"
        label={t('admin_import_profile')}
        options={[['', t('admin_table_auto')], ...PROFILES.map((one): [string, string] => [one, t(`admin_table_${one}` as Key)])]}
        optional
      />
      <div class="check">
        <input type="checkbox" id="dry" name="dry" defaultChecked />
        <label for="dry">{t('admin_dry')}</label>
      </div>
      <button class="btn primary" disabled={busy}>
        {t('admin_import')}
      </button>
    </form>
  );
}

function Jobs({ place, jobs }: { place: Place; jobs: ReturnType<typeof useList<Job>> }) {
  return (
    <Table
      {...jobs}
      caption={t('admin_jobs')}
      heads={[t('admin_when'), t('admin_state'), t('admin_progress'), t('admin_report')]}
      empty="admin_no_import"
      row={(job) => (
        <tr key={job.id}>
          <th scope="row">
            {instant(job.created_at)} <span class="muted small">{job.kind}</span>
          </th>
          <td>{t(`admin_job_${job.state}` as Key)}</td>
          <td>
            {!over(job) && job.total ? (
              <progress max={job.total} value={job.done} aria-label={t('admin_progress')} />
            ) : (
              `${job.done}${job.total ? ` / ${job.total}` : ''}`
            )}
          </td>
          <td>{over(job) && <a href={`/api/v1/territories/${place.territory}/jobs/${job.id}/report.csv`}>{t('admin_report_csv')}</a>}</td>
        </tr>
      )}
    />
  );
}

function Waiting({ hold, decide }: { hold: Hold; decide: (hold: Hold, approve: boolean) => void }) {
  const counts = figures(hold);
  return (
    <li class="card">
      <h3>
        {hold.school_name} <span class="muted small">{hold.uai}</span>
      </h3>
      <ul>
        {hold.reasons.map((reason) => (
          <li key={reason}>
            <strong>{why(reason, counts)}</strong>
          </li>
        ))}
      </ul>
      <p>{t('admin_hold_would', counts)}</p>
      <p class="muted small">{t('admin_held_since', { when: instant(hold.held_at) })}</p>
      <p class="acts">
        <button class="btn primary" type="button" onClick={() => decide(hold, true)}>
          {t('admin_approve')}
          <span class="sr"> {hold.school_name}</span>
        </button>
        <button class="btn danger" type="button" onClick={() => decide(hold, false)}>
          {t('admin_refuse')}
          <span class="sr"> {hold.school_name}</span>
        </button>
      </p>
    </li>
  );
}

export function ImportsSection({ place }: { place: Place }) {
  const holes = { territory_id: place.territory };
  const [note, say] = useState<{ tone: 'ok' | 'err'; words: string } | null>(null);
  const jobs = useList<Job>((cursor) => get('/api/v1/territories/{territory_id}/jobs', holes, { cursor, limit: '20' }), 'jobs');
  const holds = useList<Hold>(
    (cursor) => get('/api/v1/territories/{territory_id}/feed-holds', holes, { cursor, state: 'waiting' }),
    'holds',
  );
  const moving = jobs.list.kind === 'held' && jobs.list.items.some((job) => !over(job));
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) {
        jobs.again();
        holds.again();
      }
    }, POLL_MS);
    return () => {
      clearInterval(timer);
      // The last look at the jobs may have come after the last look at who waits.
      holds.again();
    };
  }, [moving]);
  const decide = async (hold: Hold, approve: boolean): Promise<void> => {
    const path = '/api/v1/territories/{territory_id}/feed-holds/{hold_id}/decisions' as const;
    const body = { approve, delivery: hold.delivery };
    const answer = await send('post', path, { ...holes, hold_id: hold.id }, body, { key: newKey() });
    if (answer.kind === 'ok') say({ tone: 'ok', words: t(approve ? 'admin_approved' : 'admin_refused', { school: hold.school_name }) });
    else say({ tone: 'err', words: t('admin_decision_failed') });
    holds.again();
    jobs.again();
  };
  return (
    <div class="cards">
      {note && <Notice {...note} />}
      <section class="card">
        <h2>{t('admin_holds')}</h2>
        {holds.list.kind === 'held' && holds.list.items.length > 0 ? (
          <ul class="cards">
            {holds.list.items.map((hold) => (
              <Waiting key={hold.id} hold={hold} decide={(one, approve) => void decide(one, approve)} />
            ))}
          </ul>
        ) : (
          <p class="muted">{holds.list.kind === 'failed' ? holds.list.why : t('admin_no_hold')}</p>
        )}
      </section>
      <section class="card">
        <h2>{t('admin_import')}</h2>
        <Send place={place} begun={jobs.again} />
      </section>
      <section class="card">
        <h2>{t('admin_schedule')}</h2>
        <Schedule place={place} />
      </section>
      <section class="card">
        <h2>{t('admin_jobs')}</h2>
        <Jobs place={place} jobs={jobs} />
      </section>
    </div>
  );
}
