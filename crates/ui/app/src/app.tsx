import { useEffect, useRef } from 'preact/hooks';
import { wipe } from './db';
import { t } from './i18n';
import { type Route, route } from './router';
import { DayScreen } from './screens/day';
import { WeekScreen } from './screens/week';
import { type Store, useStore } from './store';
import type { Sync } from './sync';
import { Nothing, Shell } from './ui/shell';

function title(at: Route | null): string {
  const screen = at?.screen === 'week' ? t('title_week') : t('title_day');
  return `${screen} · ${t('app_name')}`;
}

export function App({ store, sync }: { store: Store; sync: Sync }) {
  const state = useStore(store);
  const at = route(state.url);
  const shown = useRef(at?.screen);

  useEffect(() => {
    document.title = title(at);
    // A new screen is announced by moving to it; another day of the same week leaves the focus on its button.
    if (shown.current !== at?.screen) {
      shown.current = at?.screen;
      scrollTo(0, 0);
      document.getElementById('contenu')?.focus({ preventScroll: true });
    }
  }, [state.url]);

  useEffect(() => {
    if (!state.signedOut) return;
    const going = state.url === '/' ? '' : `&vers=${encodeURIComponent(state.url)}`;
    location.assign(`/connexion?fin${going}`);
  }, [state.signedOut]);

  async function signOut(event: Event): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    await wipe(state.home?.data.user.id ?? null).catch(() => undefined);
    form.submit();
  }

  return (
    <Shell state={state} screen={at?.screen ?? null} onSignOut={signOut}>
      {at?.screen === 'day' && <DayScreen state={state} />}
      {at?.screen === 'week' && <WeekScreen state={state} sync={sync} at={at} />}
      {!at && (
        <div class="stack">
          <Nothing title={t('app_name')} words={t('needs_network')} />
          <p>
            <a href="/">{t('back_home')}</a>
          </p>
        </div>
      )}
    </Shell>
  );
}
