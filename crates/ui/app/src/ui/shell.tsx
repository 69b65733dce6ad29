import type { ComponentChildren } from 'preact';
import { t } from '../i18n';
import { weekUrl } from '../router';
import type { State } from '../store';
import { dayOf, wait } from '../time';
import type { Home } from '../types';
import { Icon } from './icon';

/** The school named in the top bar: only when there is exactly one to name. */
function schoolName(home: Home | undefined): string {
  return home?.schools.length === 1 ? (home.schools[0]?.name ?? '') : '';
}

/** Whether the navigation leads to the administration. A territory's administrator may have no school: the page says so. */
export function administers(home: Home): boolean {
  return document.body.dataset.admin === 'yes' || home.schools.some((school) => school.roles.includes('school_admin'));
}

/** Why what is on screen may be old; nothing when all is well. */
export function banner(state: State): string | null {
  if (state.reading) return t('reading_banner');
  if (!state.online) return t('offline_banner');
  if (state.refused === null) return state.light ? t('light_banner') : null;
  return state.refused > 0 ? t('busy_banner', { wait: wait(state.refused) }) : t('stale_banner');
}

/** The frame round every screen: skip link, top bar, banner, main, navigation. */
export function Shell(props: {
  state: State;
  screen: 'day' | 'week' | null;
  onSignOut: (event: Event) => void;
  children: ComponentChildren;
}) {
  const { state, screen } = props;
  const home = state.home?.data;
  const said = banner(state);
  const tz = home?.schools[0]?.tz ?? 'Europe/Paris';
  const entry = (name: 'home' | 'week' | 'gear' | 'user', href: string, label: string, current: boolean) => (
    <li>
      <a href={href} aria-current={current ? 'page' : undefined}>
        <Icon name={name} />
        {label}
      </a>
    </li>
  );
  return (
    <div class={said ? 'shell has-banner' : 'shell'}>
      <a class="skip" href="#contenu">
        {t('skip')}
      </a>
      <header class="top">
        <a class="brand" href="/">
          <Icon name="logo" size={28} />
          {t('app_name')}
        </a>
        <p class="top-school">{schoolName(home)}</p>
        {!state.online && (
          <p class="net">
            <Icon name="offline" />
            <span>{t('offline')}</span>
          </p>
        )}
        {home && (
          <details class="account">
            <summary>
              <span aria-hidden="true">
                {home.user.first_name.charAt(0)}
                {home.user.last_name.charAt(0)}
              </span>
              <span class="sr">{t('account_of', { name: `${home.user.first_name} ${home.user.last_name}` })}</span>
            </summary>
            <div class="account-menu">
              <p>
                <strong>
                  {home.user.first_name} {home.user.last_name}
                </strong>
              </p>
              <a href="/compte">
                <Icon name="user" />
                {t('my_account')}
              </a>
              <a href="/appareils">
                <Icon name="devices" />
                {t('my_devices')}
              </a>
              {home.schools.some((school) => school.roles.includes('teacher')) && (
                <a href="/fiches">
                  <Icon name="print" />
                  {t('my_sheets')}
                </a>
              )}
              <form method="post" action="/deconnexion" onSubmit={props.onSignOut}>
                <button>
                  <Icon name="out" />
                  {t(document.body.dataset.waiting === 'yes' ? 'sign_out_leave' : 'sign_out')}
                </button>
              </form>
            </div>
          </details>
        )}
      </header>
      {said && (
        <div class="banner" role="status">
          <Icon name={state.online ? 'alert' : 'offline'} />
          <p>
            {said} {state.reading && <a href="/connexion">{t('reading_back')}</a>}
          </p>
        </div>
      )}
      <main id="contenu" class="page" tabIndex={-1}>
        {props.children}
      </main>
      <nav class="nav" aria-label={t('nav_label')}>
        <ul>
          {entry('home', '/', t('nav_home'), screen === 'day')}
          {entry('week', weekUrl(dayOf(state.now, tz)), t('nav_week'), screen === 'week')}
          {home && administers(home) && entry('gear', '/administration', t('nav_admin'), false)}
          {entry('user', '/compte', t('nav_account'), false)}
        </ul>
      </nav>
    </div>
  );
}

/** A screen that has nothing to show, and why. */
export function Nothing({ title, words }: { title: string; words: string }) {
  return (
    <>
      <h1 class="sr">{title}</h1>
      <p class="empty">{words}</p>
    </>
  );
}

/** How old the data on screen is. */
export function Age({ words }: { words: string }) {
  return (
    <p class="age">
      <Icon name="clock" size={16} />
      <span>&nbsp;{words}</span>
    </p>
  );
}
