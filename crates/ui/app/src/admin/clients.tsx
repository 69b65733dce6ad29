/** Programs that call the API in the territory's name, and readings that wait for a second person. */
import { useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { t } from '../i18n';
import { get } from './client';
import { instant, Notice, Table, useList, type Place } from './common';

type Schemas = components['schemas'];

export function ClientsSection({ place }: { place: Place }) {
  const holes = { territory_id: place.territory };
  const [note] = useState<string | null>(null);
  const clients = useList<Schemas['ApiClient']>(
    (cursor) => get('/api/v1/territories/{territory_id}/api-clients', holes, { cursor }),
    'clients',
  );
  const approvals = useList<Schemas['ReadApproval']>(
    (cursor) => get('/api/v1/territories/{territory_id}/read-approvals', holes, { cursor }),
    'approvals',
  );
  return (
    <div class="cards">
      {note && <Notice tone="ok" words={note} />}
      <section class="card">
        <h2>{t('admin_clients')}</h2>
        <Table
          {...clients}
          caption={t('admin_clients')}
          heads={[t('admin_name'), t('admin_scopes')]}
          empty="admin_no_client"
          row={(one) => (
            <tr key={one.id}>
              <th scope="row">{one.name}</th>
              <td class="break">{one.scopes.join(', ')}</td>
            </tr>
          )}
        />
      </section>
      <section class="card">
        <h2>{t('admin_approvals')}</h2>
        <Table
          {...approvals}
          caption={t('admin_approvals')}
          heads={[t('admin_reason'), t('admin_records'), t('admin_until'), t('admin_state')]}
          empty="admin_no_approval"
          row={(one) => (
            <tr key={one.id}>
              <th scope="row">{one.reason}</th>
              <td class="number">{one.records_per_day}</td>
              <td>{one.ends_on}</td>
              <td>
                {one.state} {instant(null)}
              </td>
            </tr>
          )}
        />
      </section>
    </div>
  );
}
