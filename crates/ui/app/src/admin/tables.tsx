/** People by the table: a CSV that is read, explained, then applied; and lists that leave the product. */
import { useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { t, type Key } from '../i18n';
import { newKey, send } from './client';
import { Notice, type Place } from './common';
import { came, Check, Form, refusal, type Word } from './forms';

type Bulk = components['schemas']['BulkChange'];

const EXPORTS = ['people', 'classes', 'groups', 'links'] as const;

/** Lines that are shown; a file of nothing but faults is mended at its beginning. */
const SHOWN = 100;

function Report({ bulk }: { bulk: Bulk }) {
  const { report } = bulk;
  return (
    <>
      <dl class="facts">
        {(['lines', 'created', 'changed', 'ended', 'refused'] as const).map((what) => (
          <div key={what}>
            <dt>{t(`admin_bulk_${what}` as Key)}</dt>
            <dd>{report[what]}</dd>
          </div>
        ))}
      </dl>
      {report.faults.length > 0 && (
        <table class="data stacked">
          <caption class="sr">{t('admin_faults')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('admin_line')}</th>
              <th scope="col">{t('admin_column')}</th>
              <th scope="col">{t('admin_what')}</th>
            </tr>
          </thead>
          <tbody>
            {report.faults.slice(0, SHOWN).map((fault) => (
              <tr key={`${fault.line}-${fault.column}-${fault.code}`}>
                <th scope="row">{t('admin_line_of', { n: fault.line })}</th>
                <td>{fault.column}</td>
                <td>
                  {fault.refused && <span class="tag warn">{t('admin_line_refused')}</span>} {fault.message}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

export function TablesSection({ place }: { place: Place }) {
  const holes = { school_id: place.school };
  const [bulk, setBulk] = useState<Bulk | null>(null);
  const [said, say] = useState<Word | null>(null);
  const prepare = async (_: unknown, form: HTMLFormElement): Promise<void> => {
    const file = (form.elements.namedItem('csv') as HTMLInputElement).files?.[0];
    if (!file) return;
    // Windows calls a table an Excel document: what it is, the server reads.
    const table = new Blob([file], { type: 'text/csv' });
    const answer = await send('post', '/api/v1/schools/{school_id}/administration/bulk-changes', holes, table, { key: newKey() });
    setBulk(answer.kind === 'ok' ? answer.data : null);
    say(answer.kind === 'ok' ? null : { tone: 'err', words: refusal(answer.code) });
  };
  const apply = async (value: (name: string) => string): Promise<void> => {
    if (!bulk) return;
    const path = '/api/v1/schools/{school_id}/administration/bulk-changes/{bulk_id}/application' as const;
    const body = { leave_refused: value('leave') === 'on' };
    const answer = await send('post', path, { ...holes, bulk_id: bulk.id }, body, { key: newKey() });
    if (answer.kind === 'ok') setBulk(answer.data);
    say(came(answer, t('admin_bulk_applied')));
  };
  const empty = bulk ? bulk.report.created + bulk.report.changed + bulk.report.ended === 0 : true;
  return (
    <>
      {said && <Notice {...said} />}
      <div class="cards two">
        <section class="card">
          <h2>{t('admin_bulk')}</h2>
          <p class="hint">{t('admin_bulk_lead')}</p>
          <p class="hint break">
            <code>action;identifiant;profil;nom;prenom;civilite;naissance;courriel;mobile;classe;fonction</code>
          </p>
          <Form go={prepare} act={t('admin_bulk_read')}>
            <div class="field">
              <label for="csv">{t('admin_file')}</label>
              <input class="input" id="csv" name="csv" type="file" accept=".csv,text/csv" required />
            </div>
          </Form>
        </section>
        <section class="card">
          <h2>{t('admin_exports')}</h2>
          <p class="hint">{t('admin_exports_lead')}</p>
          <ul class="rows plain">
            {EXPORTS.map((what) => (
              <li key={what}>
                <a href={`/api/v1/schools/${place.school}/administration/exports/${what}`} download={`${what}.csv`}>
                  {t(`admin_export_${what}` as Key)}
                </a>
              </li>
            ))}
          </ul>
        </section>
      </div>
      {bulk && (
        <section class="card" aria-live="polite">
          <h2>{t(bulk.applied_at ? 'admin_bulk_done' : 'admin_bulk_would')}</h2>
          <Report bulk={bulk} />
          {!bulk.applied_at && !empty && (
            <Form go={apply} act={t('admin_bulk_apply')}>
              {bulk.report.refused > 0 && <Check id="leave" label={t('admin_bulk_leave')} />}
            </Form>
          )}
        </section>
      )}
    </>
  );
}
