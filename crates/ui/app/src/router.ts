/** French, stable addresses. Whatever is not in this list is a page of the server, reached by an ordinary link. */
import { isDay } from './time';

export type Route =
  | { screen: 'day' }
  | { screen: 'week'; date: string; school: string | null; person: string | null };

/** The screen of an address, or nothing when the program has none for it. */
export function route(url: string): Route | null {
  const { pathname, searchParams } = new URL(url, 'http://preau.invalid');
  if (pathname === '/') return { screen: 'day' };
  const week = /^\/semaine\/([^/]+)$/.exec(pathname);
  if (week?.[1] && isDay(week[1])) {
    return { screen: 'week', date: week[1], school: searchParams.get('ecole'), person: searchParams.get('personne') };
  }
  return null;
}

/** The address of a week; the school and person are named only when there is a choice. */
export function weekUrl(date: string, whose?: { school: string; person: string } | null): string {
  return `/semaine/${date}${whose ? `?ecole=${whose.school}&personne=${whose.person}` : ''}`;
}

/** Turns plain clicks on our own links into changes of screen, and leaves all others to the browser. */
export function followLinks(go: (url: string) => void): void {
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.origin !== location.origin || link.target || link.hash) return;
    const url = link.pathname + link.search;
    if (!route(url)) return;
    event.preventDefault();
    if (url !== location.pathname + location.search) history.pushState(null, '', url);
    go(url);
  });
  addEventListener('popstate', () => go(location.pathname + location.search));
}
