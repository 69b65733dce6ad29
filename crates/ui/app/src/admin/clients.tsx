/** Programs that call the API in the name of a school or of the territory, and readings that wait for a second person. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { components } from '../gen/api';
import { t } from '../i18n';
import { get, newKey, send, type Changed } from './client';
import { instant, Notice, Table, useList, type Place } from './common';
import { came, Check, chosen, draft, Field, Form, refusal, SchoolPicker, Sure, type Word } from './forms';

type Schemas = components['schemas'];
type Client = Schemas['ApiClient'];
type Approval = Schemas['ReadApproval'];
type WithSecret = Schemas['ApiClientWithSecret'];

const OF_SCHOOL = '/api/v1/schools/{school_id}/api-clients' as const;
const OF_TERRITORY = '/api/v1/territories/{territory_id}/api-clients' as const;
const DRAFT = 'client';
/** The server's own defaults: its document asks for them. */
const OVERLAP_HOURS = 24;
const REQUESTS_PER_MINUTE = 600;

/** The same acts on the clients of a school and on those of the territory. */
function door(place: Place) {
  const school = { school_id: place.school };
  const territory = { territory_id: place.territory };
  const key = newKey();
  return {
    list: (cursor: string | undefined) => (place.school ? get(OF_SCHOOL, school, { cursor }) : get(OF_TERRITORY, territory, { cursor })),
    make: (body: Schemas['NewApiClient']): Promise<Changed<WithSecret>> =>
      place.school ? send('post', OF_SCHOOL, school, body, { key }) : send('post', OF_TERRITORY, territory, body, { key }),
    end: (id: string): Promise<Changed<unknown>> =>
      place.school
        ? send('delete', `${OF_SCHOOL}/{client_id}` as const, { ...school, client_id: id }, undefined)
        : send('delete', `${OF_TERRITORY}/{client_id}` as const, { ...territory, client_id: id }, undefined),
    rotate: (id: string): Promise<Changed<WithSecret>> =>
      place.school
        ? send('post', `${OF_SCHOOL}/{client_id}/secrets` as const, { ...school, client_id: id }, { overlap_hours: OVERLAP_HOURS }, { key: newKey() })
        : send('post', `${OF_TERRITORY}/{client_id}/secrets` as const, { ...territory, client_id: id }, { overlap_hours: OVERLAP_HOURS }, { key: newKey() }),
  };
}

/** A secret, for as long as the page stays open. */
function Given({ made }: { made: WithSecret }) {
  return (
    <section class="card made" role="status">
      <h2>{t('admin_secret')}</h2>
      <p>{t('admin_secret_lead')}</p>
      <dl class="facts">
        <div>
          <dt>client_id</dt>
          <dd class="given break">{made.client.id}</dd>
        </div>
        <div>
          <dt>client_secret</dt>
          <dd class="given break">{made.client_secret ?? t('admin_secret_shown')}</dd>
        </div>
      </dl>
    </section>
  );
}

function NewClient({ place, made, say }: { place: Place; made: (made: WithSecret) => void; say: (word: Word) => void }) {
  const [scopes, setScopes] = useState<Schemas['ScopeView'][]>([]);
  // A form that led to the proof of who one is comes back as it was left.
  const kept = useMemo(() => draft.take(DRAFT), []);
  const was = (name: string): string => kept.find(([one]) => one === name)?.[1] ?? '';
  useEffect(() => {
    const load = async (): Promise<void> => {
      const answer = await get('/api/v1/api-client-scopes', {});
      if (answer.kind === 'ok') setScopes(answer.data.items.filter((one) => !one.of_territory || !place.school));
    };
    void load();
  }, []);
  const create = async (value: (name: string) => string, form: HTMLFormElement): Promise<void> => {
    const schools = chosen(form, 'schools');
    const body = {
      name: value('name'),
      purpose: value('purpose'),
      contact: value('contact'),
      scopes: chosen(form, 'scopes') as Schemas['Scope'][],
      expires_on: value('expires_on'),
      requests_per_minute: REQUESTS_PER_MINUTE,
      ...(schools.length > 0 && { school_ids: schools }),
    };
    draft.keep(DRAFT, form);
    const answer = await door(place).make(body);
    if (answer.kind === 'ok' || answer.code !== 'proof-required') draft.take(DRAFT);
    if (answer.kind === 'refused') return say({ tone: 'err', words: refusal(answer.code) });
    form.reset();
    made(answer.data);
  };
  return (
    <Form go={create} act={t('admin_client_make')}>
      <Field id="name" label={t('admin_name')} value={was('name')} max={100} />
      <Field id="purpose" label={t('admin_purpose')} value={was('purpose')} />
      <Field id="contact" label={t('admin_contact')} value={was('contact')} type="email" />
      <Field id="expires_on" label={t('admin_until')} value={was('expires_on')} type="date" hint={t('admin_client_life')} />
      <fieldset>
        <legend>{t('admin_scopes')}</legend>
        {scopes.map((one) => (
          <Check
            key={one.scope}
            id={`scope-${one.scope}`}
            name="scopes"
            value={one.scope}
            label={`${one.label} (${one.scope})`}
            checked={kept.some(([name, value]) => name === 'scopes' && value === one.scope)}
          />
        ))}
      </fieldset>
      {!place.school && <SchoolPicker territory={place.territory} id="schools" label={t('admin_client_schools')} multiple optional />}
    </Form>
  );
}

function Clients({ place, say }: { place: Place; say: (word: Word) => void }) {
  const act = door(place);
  const clients = useList<Client>(act.list, 'clients');
  const [given, give] = useState<WithSecret | null>(null);
  const made = (one: WithSecret): void => {
    give(one);
    clients.again();
  };
  const rotate = async (id: string): Promise<void> => {
    const answer = await door(place).rotate(id);
    if (answer.kind === 'ok') made(answer.data);
    else say({ tone: 'err', words: refusal(answer.code) });
  };
  const end = async (id: string): Promise<void> => {
    say(came(await door(place).end(id), t('admin_client_ended')));
    clients.again();
  };
  const live = (one: Client): boolean => !one.revoked_at && Date.parse(one.expires_at) > Date.now();
  return (
    <>
      {given && <Given made={given} />}
      <section class="card">
        <h2>{t('admin_clients')}</h2>
        <Table
          {...clients}
          caption={t('admin_clients')}
          heads={[t('admin_name'), t('admin_scopes'), t('admin_until'), t('admin_act')]}
          empty="admin_no_client"
          row={(one) => (
            <tr key={one.id}>
              <th scope="row">
                {one.name} <span class="muted small">{one.purpose}</span>
              </th>
              <td class="break">{one.scopes.join(', ')}</td>
              <td>{instant(one.expires_at)}</td>
              <td>
                {live(one) ? (
                  <span class="acts">
                    <button class="btn" type="button" onClick={() => void rotate(one.id)}>
                      {t('admin_rotate')}
                      <span class="sr"> {one.name}</span>
                    </button>
                    <Sure act={t('admin_revoke')} of={one.name} ask={t('admin_client_end_sure')} go={() => end(one.id)} />
                  </span>
                ) : (
                  t('admin_over')
                )}
              </td>
            </tr>
          )}
        />
        <p class="hint">{t('admin_rotate_hint')}</p>
      </section>
      <section class="card">
        <h2>{t('admin_client_new')}</h2>
        <NewClient place={place} made={made} say={say} />
      </section>
    </>
  );
}

const APPROVALS = '/api/v1/schools/{school_id}/read-approvals' as const;

function Asked({ one, again, say }: { one: Approval; again: () => void; say: (word: Word) => void }) {
  const decide = async (grant: boolean, reason: string): Promise<void> => {
    const holes = { school_id: one.school_id, approval_id: one.id };
    const answer = await send('post', `${APPROVALS}/{approval_id}/decision` as const, holes, { grant, reason }, { key: newKey() });
    say(came(answer, t(grant ? 'admin_approval_granted' : 'admin_approval_refused')));
    again();
  };
  const end = async (): Promise<void> => {
    const holes = { school_id: one.school_id, approval_id: one.id };
    say(came(await send('delete', `${APPROVALS}/{approval_id}` as const, holes, undefined), t('admin_approval_ended')));
    again();
  };
  if (one.state === 'granted') return <Sure act={t('admin_end')} of={one.reason} ask={t('admin_end_sure')} go={end} />;
  if (one.state !== 'asked') return null;
  return (
    <Form go={(value) => decide(value('grant') === 'yes', value(`why-${one.id}`))} act={t('admin_decide')}>
      <Field id={`why-${one.id}`} label={t('admin_decision_reason')} />
      <div class="field">
        <label for={`grant-${one.id}`}>{t('admin_decision')}</label>
        <select class="input" id={`grant-${one.id}`} name="grant">
          <option value="yes">{t('admin_approve')}</option>
          <option value="no">{t('admin_refuse')}</option>
        </select>
      </div>
    </Form>
  );
}

function Approvals({ place, say }: { place: Place; say: (word: Word) => void }) {
  const approvals = useList<Approval>(
    (cursor) =>
      place.school
        ? get(APPROVALS, { school_id: place.school }, { cursor })
        : get('/api/v1/territories/{territory_id}/read-approvals', { territory_id: place.territory }, { cursor }),
    'approvals',
  );
  const ask = async (value: (name: string) => string, form: HTMLFormElement): Promise<void> => {
    const body = { records_per_day: Number(value('records')), ends_on: value('approval_ends'), reason: value('why') };
    const answer = await send('post', APPROVALS, { school_id: place.school }, body, { key: newKey() });
    say(came(answer, t('admin_approval_asked')));
    if (answer.kind === 'ok') form.reset();
    approvals.again();
  };
  return (
    <section class="card">
      <h2>{t('admin_approvals')}</h2>
      <p class="hint">{t('admin_approvals_lead')}</p>
      <Table
        {...approvals}
        caption={t('admin_approvals')}
        heads={[t('admin_reason'), t('admin_records'), t('admin_until'), t('admin_state'), t('admin_act')]}
        empty="admin_no_approval"
        row={(one) => (
          <tr key={one.id}>
            <th scope="row">{one.reason}</th>
            <td class="number" data-label={t('admin_records')}>
              {one.records_per_day}
            </td>
            <td>{one.ends_on}</td>
            <td>{t(`admin_asking_${one.state}`)}</td>
            <td>
              <Asked one={one} again={approvals.again} say={say} />
            </td>
          </tr>
        )}
      />
      {place.school && (
        <>
          <h3>{t('admin_approval_ask')}</h3>
          <Form go={ask} act={t('admin_approval_ask')}>
            <Field id="records" label={t('admin_records')} type="number" value="5000" />
            <Field id="approval_ends" label={t('admin_until')} type="date" hint={t('admin_approval_life')} />
            <Field id="why" label={t('admin_reason')} />
          </Form>
        </>
      )}
    </section>
  );
}

export function ClientsSection({ place }: { place: Place }) {
  const [said, say] = useState<Word | null>(null);
  return (
    <div class="cards">
      {said && <Notice {...said} />}
      <Clients place={place} say={say} />
      <Approvals place={place} say={say} />
    </div>
  );
}
