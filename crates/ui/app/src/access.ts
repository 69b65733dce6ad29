/** The sign-in and activation pages work without this; it only adds « show the password ». */
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
