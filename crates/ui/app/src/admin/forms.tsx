/** What the forms share: fields with their labels, acts that are asked for twice, and what a refusal says. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { known, t } from '../i18n';
import { get, type Changed } from './client';

/** What has happened, for a `Notice`. */
export interface Word {
  tone: 'ok' | 'err' | 'warn';
  words: string;
}

/** A sentence for why something was not done; the code itself where there is none yet. */
export function refusal(code: string): string {
  return known(`admin_code_${code.replace(/-/g, '_')}`) ?? t('admin_not_done', { code });
}

/** What an act came to. */
export function came(answer: Changed<unknown>, done: string): Word {
  return answer.kind === 'ok' ? { tone: 'ok', words: done } : { tone: 'err', words: refusal(answer.code) };
}

/** What a form holds, field by field. */
export function valuesOf(form: HTMLFormElement): (name: string) => string {
  const held = new FormData(form);
  return (name) => String(held.get(name) ?? '').trim();
}

/** A form that does its work once at a time. */
export function Form(props: { go: (value: (name: string) => string, form: HTMLFormElement) => Promise<void>; act: string; danger?: boolean; children: ComponentChildren }) {
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setBusy(true);
    try {
      await props.go(valuesOf(form), form);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      {props.children}
      <p class="acts">
        <button class={`btn ${props.danger ? 'danger' : 'primary'}`} disabled={busy}>
          {props.act}
        </button>
      </p>
    </form>
  );
}

/** A line to fill. */
export function Field(props: { id: string; label: string; value?: string | null | undefined; type?: 'text' | 'date' | 'email' | 'tel' | 'number' | 'time'; hint?: string; optional?: boolean; max?: number; pattern?: string }) {
  const hint = props.hint ? `${props.id}-hint` : undefined;
  return (
    <div class="field">
      <label for={props.id}>
        {props.label} {props.optional && <span class="muted">{t('admin_optional')}</span>}
      </label>
      {props.hint && (
        <p class="hint" id={hint}>
          {props.hint}
        </p>
      )}
      <input
        class="input"
        id={props.id}
        name={props.id}
        // Each type has attributes of its own to Preact; these are those that all of them share.
        type={(props.type ?? 'text') as 'text'}
        defaultValue={props.value ?? ''}
        required={!props.optional}
        maxLength={props.max ?? 200}
        pattern={props.pattern}
        autocomplete="off"
        aria-describedby={hint}
      />
    </div>
  );
}

/** One of several. */
export function Choice(props: { id: string; label: string; options: [string, string][]; value?: string | undefined; multiple?: boolean; optional?: boolean }) {
  return (
    <div class="field">
      <label for={props.id}>
        {props.label} {props.optional && <span class="muted">{t('admin_optional')}</span>}
      </label>
      <select class="input" id={props.id} name={props.id} multiple={props.multiple} required={!props.optional}>
        {props.options.map(([value, words]) => (
          <option key={value} value={value} selected={value === props.value}>
            {words}
          </option>
        ))}
      </select>
    </div>
  );
}

/** Yes or no. */
export function Check(props: { id: string; label: string; name?: string; value?: string; checked?: boolean; onChange?: (on: boolean) => void }) {
  return (
    <div class="check">
      <input
        type="checkbox"
        id={props.id}
        name={props.name ?? props.id}
        value={props.value ?? 'on'}
        defaultChecked={props.checked ?? false}
        onChange={(event) => props.onChange?.(event.currentTarget.checked)}
      />
      <label for={props.id}>{props.label}</label>
    </div>
  );
}

/** An act that takes something away: its button says so, and asks once more. */
export function Sure(props: { act: string; of: string; ask: string; go: () => Promise<void> }) {
  const [asking, ask] = useState(false);
  if (!asking) {
    return (
      <button class="btn danger" type="button" onClick={() => ask(true)}>
        {props.act}
        <span class="sr"> {props.of}</span>
      </button>
    );
  }
  return (
    <span class="sure" role="group" aria-label={props.ask}>
      <span>{props.ask}</span>
      <button class="btn danger" type="button" onClick={() => void props.go().finally(() => ask(false))}>
        {t('admin_yes')}
        <span class="sr">
          {' '}
          {props.act} {props.of}
        </span>
      </button>
      <button class="btn" type="button" onClick={() => ask(false)}>
        {t('admin_no')}
      </button>
    </span>
  );
}

/** Finds schools of the territory by name or UAI, for a form. */
export function SchoolPicker(props: { territory: string; id: string; label: string; multiple?: boolean; optional?: boolean }) {
  const [found, setFound] = useState<[string, string][]>([]);
  const search = async (q: string): Promise<void> => {
    const path = '/api/v1/territories/{territory_id}/schools' as const;
    const answer = await get(path, { territory_id: props.territory }, { q, limit: '50' });
    if (answer.kind === 'ok') setFound(answer.data.items.map((one) => [one.id, `${one.name} (${one.uai})`]));
  };
  useEffect(() => void search(''), [props.territory]);
  const none: [string, string][] = props.optional && !props.multiple ? [['', t('admin_no_school')]] : [];
  return (
    <>
      <div class="field">
        <label for={`${props.id}-q`}>{t('admin_school_search')}</label>
        <input class="input" id={`${props.id}-q`} type="search" autocomplete="off" onInput={(event) => void search(event.currentTarget.value.trim())} />
      </div>
      <Choice id={props.id} label={props.label} options={[...none, ...found]} multiple={props.multiple ?? false} optional={props.optional ?? false} />
    </>
  );
}

/** What was chosen in a field of several. */
export function chosen(form: HTMLFormElement, name: string): string[] {
  return new FormData(form).getAll(name).map(String).filter(Boolean);
}

/** Keeps what was typed while the reader proves who they are on another page; it is gone once it is back. */
export const draft = {
  keep(name: string, form: HTMLFormElement): void {
    sessionStorage.setItem(`draft ${name}`, JSON.stringify([...new FormData(form).entries()]));
  },
  take(name: string): [string, string][] {
    const kept = sessionStorage.getItem(`draft ${name}`);
    sessionStorage.removeItem(`draft ${name}`);
    return kept ? (JSON.parse(kept) as [string, string][]) : [];
  },
};

/** The end of a day as a date field names it, on this device's clock. */
export function endOf(day: string): string | null {
  return day ? new Date(`${day}T23:59:59`).toISOString() : null;
}
