/** The operator's desk: Rust draws it, this brings it anew every two seconds, and says how old it is when nothing comes. */
import { t } from '../i18n';

const EVERY = 2_000;
/** Three turns without an answer: what is on screen is old, and says so. */
const OLD = 3 * EVERY;

/** Keeps the part that changes fresh. Pausing is a button; whoever is inside it with the keyboard is not disturbed. */
export function live(root: HTMLElement, ask: (url: string) => Promise<Response> = fetch): () => void {
  let paused = false;
  let fresh = Date.now();
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'btn';
  const said = document.createElement('p');
  said.className = 'note warn';
  said.setAttribute('role', 'status');
  said.hidden = true;
  const say = (): void => {
    button.textContent = t(paused ? 'admin_load_resume' : 'admin_load_pause');
    const age = Date.now() - fresh;
    said.hidden = paused || age < OLD;
    if (!said.hidden) said.textContent = t('admin_load_old', { n: Math.round(age / 1000) });
    root.querySelector('#live')?.classList.toggle('stale', !said.hidden);
  };
  button.addEventListener('click', () => {
    paused = !paused;
    fresh = Date.now();
    say();
  });
  root.prepend(button, said);
  say();

  async function turn(): Promise<void> {
    const shown = root.querySelector('#live');
    if (paused || document.hidden || !shown || shown.contains(document.activeElement)) return say();
    try {
      const answer = await ask(location.pathname);
      // Signed out, or asked for a proof: the page itself leads there.
      if (answer.redirected) return location.assign(answer.url);
      const page = answer.ok ? new DOMParser().parseFromString(await answer.text(), 'text/html') : null;
      const next = page?.querySelector('#live');
      if (next) {
        shown.replaceWith(next);
        fresh = Date.now();
      }
    } catch {
      // The network is away: the age says so.
    }
    say();
  }
  const timer = setInterval(() => void turn(), EVERY);
  return () => clearInterval(timer);
}
