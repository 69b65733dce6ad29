/**
 * The Rust pages work without this. It adds « show the password », printing and passkeys; and where there is a line to wait
 * in, it keeps the password in memory, and nowhere else, until the person enters.
 */
import { follow } from './queue';

/** What was typed, while its owner waits. */
let typed: [string, string][] | null = null;

/** Sends a form without leaving the page: what comes back is a page to show, or an address to go on to. */
async function send(form: HTMLFormElement): Promise<void> {
  const fields = [...new FormData(form)].map(([name, value]): [string, string] => [name, String(value)]);
  const body = new URLSearchParams(typed?.concat(fields.filter(([name]) => !typed?.some((one) => one[0] === name))) ?? fields);
  for (const button of form.querySelectorAll('button')) button.disabled = true;
  let answer: Response;
  try {
    answer = await fetch(form.action, { method: 'POST', body, headers: { 'x-preau-script': 'yes' } });
  } catch {
    for (const button of form.querySelectorAll('button')) button.disabled = false;
    if (!typed) form.submit(); // the browser says what is wrong with the network
    return;
  }
  const to = answer.headers.get('x-preau-to');
  if (to) {
    typed = null;
    return location.assign(to);
  }
  typed = answer.status === 202 ? [...body] : null;
  show(await answer.text());
  scrollTo(0, 0);
  document.querySelector<HTMLElement>('#resume a, h1')?.focus();
}

/** Puts a page in the place of this one. */
function show(page: string): void {
  const next = new DOMParser().parseFromString(page, 'text/html');
  // Parsed without scripts, what is for browsers without them is there as well: a reload by itself, of all things.
  for (const other of next.querySelectorAll('noscript')) other.remove();
  document.head.replaceWith(document.adoptNode(next.head));
  document.body.replaceWith(document.adoptNode(next.body));
  arrive();
}

/** Takes up a page that has just come, from the server or in place of another. */
function arrive(): void {
  for (const form of document.querySelectorAll<HTMLFormElement>('form[data-line], #go[method=post]')) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void send(form);
    });
  }
  // What the page asks again for those who have no program, this one remembers.
  const own = document.getElementById('go');
  if (own && typed && document.getElementById('place')) {
    for (const field of own.querySelectorAll('label')) field.remove();
    own.hidden = true;
  }
  const turned = (): void => {
    const go = document.getElementById('go');
    if (!go) return;
    if (typed) for (const field of go.querySelectorAll('label')) field.remove();
    go.hidden = false;
  };
  follow(document, turned, show);
  const kept = document.getElementById('kept');
  if (kept && navigator.serviceWorker?.controller && localStorage.getItem('preau.person')) kept.hidden = false;
  reveal();
}

/** « Show the password ». */
function reveal(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-reveal]')) {
    const field = document.getElementById(button.dataset.reveal ?? '');
    if (!(field instanceof HTMLInputElement)) continue;
    button.hidden = false;
    button.addEventListener('click', () => {
      const shown = field.type === 'text';
      field.type = shown ? 'password' : 'text';
      button.setAttribute('aria-pressed', String(!shown));
    });
    // A browser remembers what a text field held; a password field it does not.
    field.form?.addEventListener('submit', () => (field.type = 'password'));
  }
}

arrive();

for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-print]')) {
  button.hidden = false;
  button.addEventListener('click', () => print());
}

/** base64url, as the server writes and reads bytes. */
const bytes = (text: string): ArrayBuffer =>
  Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0)).buffer;
const text = (buffer: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

type Json = Record<string, unknown>;

/** The options as the browser wants them. `parse…OptionsFromJSON` is too young for the phones we serve. */
function options(json: string): Json {
  const { publicKey } = JSON.parse(json) as { publicKey: Json & { user?: Json } };
  const ids = (list: unknown) => (list as Json[] | undefined)?.map((one) => ({ ...one, id: bytes(String(one.id)) }));
  return {
    ...publicKey,
    challenge: bytes(String(publicKey.challenge)),
    ...(publicKey.user && { user: { ...publicKey.user, id: bytes(String(publicKey.user.id)) } }),
    ...(publicKey.allowCredentials !== undefined && { allowCredentials: ids(publicKey.allowCredentials) }),
    ...(publicKey.excludeCredentials !== undefined && { excludeCredentials: ids(publicKey.excludeCredentials) }),
  };
}

/** What the device answered, as the server reads it. */
function answer(credential: PublicKeyCredential): string {
  const { response } = credential;
  const parts: Json = { clientDataJSON: text(response.clientDataJSON) };
  for (const part of ['attestationObject', 'authenticatorData', 'signature', 'userHandle'] as const) {
    const value = (response as unknown as Record<string, ArrayBuffer | null | undefined>)[part];
    if (value) parts[part] = text(value);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response: parts,
    clientExtensionResults: credential.getClientExtensionResults(),
  });
}

async function ask(request: () => Promise<Credential | null>, done: (said: string) => void, failed: Element | null) {
  if (failed) failed.toggleAttribute('hidden', true);
  try {
    const credential = await request();
    if (!credential) throw new Error('nothing chosen');
    done(answer(credential as PublicKeyCredential));
  } catch {
    if (failed) failed.toggleAttribute('hidden', false);
  }
}

/** A form for a page that has none: a browser sends only what is in the document. */
function ownForm(): HTMLFormElement {
  const form = document.createElement('form');
  form.method = 'post';
  document.body.append(form);
  return form;
}

if (window.PublicKeyCredential) {
  const alone = document.querySelector<HTMLButtonElement>('button[data-passkeys]');
  alone?.toggleAttribute('hidden', false);
  alone?.addEventListener('click', (event) => {
    const form = alone.form;
    if (!form) return;
    event.preventDefault(); // the line's script would send the form where a password goes
    form.action = alone.formAction;
    form.querySelector<HTMLInputElement>('#password')!.value = '';
    form.submit();
  });
  for (const box of document.querySelectorAll<HTMLElement>('[data-passkey]')) {
    box.hidden = false;
    box.querySelector('button')?.addEventListener('click', () => {
      const publicKey = options(box.dataset.passkey ?? '') as unknown as PublicKeyCredentialRequestOptions;
      const form = document.querySelector<HTMLFormElement>('main form') ?? ownForm();
      void ask(
        () => navigator.credentials.get({ publicKey }),
        (said) => {
          const field = document.createElement('input');
          field.type = 'hidden';
          field.name = 'assertion';
          field.value = said;
          form.append(field);
          form.submit(); // not `requestSubmit`: the code's field may stay empty
        },
        box.querySelector('[role=alert]'),
      );
    });
  }
  for (const form of document.querySelectorAll<HTMLFormElement>('form[data-passkey-new]')) {
    const button = form.querySelector('button');
    button?.toggleAttribute('hidden', false);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const publicKey = options(form.dataset.passkeyNew ?? '') as unknown as PublicKeyCredentialCreationOptions;
      void ask(
        () => navigator.credentials.create({ publicKey }),
        (said) => {
          form.querySelector<HTMLInputElement>('[name=credential]')!.value = said;
          form.submit();
        },
        form.querySelector('[role=alert]'),
      );
    });
  }
}
