/** The Rust pages work without this; it only adds « show the password », printing, and passkeys. */
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

if (window.PublicKeyCredential) {
  for (const box of document.querySelectorAll<HTMLElement>('[data-passkey]')) {
    box.hidden = false;
    box.querySelector('button')?.addEventListener('click', () => {
      const publicKey = options(box.dataset.passkey ?? '') as unknown as PublicKeyCredentialRequestOptions;
      const form = document.querySelector<HTMLFormElement>('main form') ?? document.createElement('form');
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
