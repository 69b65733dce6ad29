/** « Semaine »: one day at a time on a phone, the whole table on a wide screen, A4 landscape on paper. */
import { useEffect } from 'preact/hooks';
import { capital, t, zoneName } from '../i18n';
import { grid } from '../lessons';
import { type Route, weekUrl } from '../router';
import type { State } from '../store';
import { type Sync, weekKey } from '../sync';
import { addDays, age, dayHead, dayOf, hour, longDay, mondayOf, shortDay, weekTitle, weekday } from '../time';
import type { Day, Home, School, Timetable, View } from '../types';
import { Icon } from '../ui/icon';
import { LessonRow } from '../ui/lesson';
import { Age, Nothing } from '../ui/shell';
import { reader } from './day';

type WeekRoute = Extract<Route, { screen: 'week' }>;

/** The person whose week is asked for, or the first one of the account. */
function chosen(home: Home, at: WeekRoute): { school: School; view: View } | null {
  const all = home.schools.flatMap((school) => school.views.map((view) => ({ school, view })));
  return all.find((c) => c.school.id === at.school && c.view.person.id === at.person) ?? all[0] ?? null;
}

/** Monday to Friday, and the week-end days on which there is a lesson. */
export function shownDays(table: Timetable | null, monday: string): Day[] {
  return Array.from({ length: 7 }, (_, n) => {
    const date = addDays(monday, n);
    return { date, lessons: table?.days.find((d) => d.date === date)?.lessons ?? [] };
  }).filter((day) => weekday(day.date) < 5 || day.lessons.length > 0);
}

function Who({ home, at, school, view }: { home: Home; at: WeekRoute; school: School; view: View }) {
  const all = home.schools.flatMap((s) => s.views.map((v) => ({ s, v })));
  if (all.length < 2) return null;
  const several = home.schools.length > 1;
  return (
    <nav class="who" aria-label={t('week_whose')}>
      {all.map(({ s, v }) => (
        <a
          key={s.id + v.person.id}
          href={weekUrl(at.date, { school: s.id, person: v.person.id })}
          aria-current={s.id === school.id && v.person.id === view.person.id ? 'true' : undefined}
        >
          {v.relation === 'child' ? v.person.first_name : s.name}
          {v.relation === 'child' && several && <span class="sr"> {s.name}</span>}
        </a>
      ))}
    </nav>
  );
}

export function WeekScreen({ state, sync, at }: { state: State; sync: Sync; at: WeekRoute }) {
  const home = state.home?.data;
  const choice = home ? chosen(home, at) : null;
  const monday = mondayOf(at.date);
  const key = choice ? weekKey(choice.school.id, choice.view.person.id, monday) : '';

  useEffect(() => {
    if (choice) void sync.week(choice.school.id, choice.view.person.id, monday);
    // `online` is among the reasons: a week that was missing offline is fetched when the network is back.
  }, [key, state.online]);

  if (!home) {
    const words = state.online && state.refused === null ? t('loading') : t('nothing_stored');
    return <Nothing title={t('title_week')} words={words} />;
  }
  if (!choice) return <Nothing title={t('title_week')} words={t('no_view')} />;

  const { school, view } = choice;
  const { tz } = school;
  const week = state.weeks[key];
  const kept = week?.kind === 'held' ? week.kept : null;
  const days = shownDays(kept?.data ?? null, monday);
  const whose =
    home.schools.reduce((n, s) => n + s.views.length, 0) > 1 ? { school: school.id, person: view.person.id } : null;
  const today = dayOf(state.now, tz);
  const date = days.some((d) => d.date === at.date) ? at.date : monday;
  const day = days.find((d) => d.date === date);
  const as = reader(school, view);
  const zone = zoneName(tz);
  const none = kept !== null && days.every((d) => d.lessons.length === 0);
  const row = (lesson: Day['lessons'][number]) => (
    <LessonRow key={lesson.id} lesson={lesson} tz={tz} now={state.now} reader={as} />
  );
  const turn = (days: number, icon: 'left' | 'right', label: string) => (
    <a class="btn icon" href={weekUrl(addDays(monday, days), whose)} aria-label={label} title={label}>
      <Icon name={icon} />
    </a>
  );

  return (
    <>
      <Who home={home} at={at} school={school} view={view} />
      <div class="week-nav">
        {turn(-7, 'left', t('week_prev'))}
        <h1>{weekTitle(monday, days[days.length - 1]?.date ?? monday)}</h1>
        {turn(7, 'right', t('week_next'))}
        <span class="spacer" />
      </div>
      <ul class="chips" aria-label={t('week_days')}>
        {days.map((d) => {
          const short = shortDay(d.date);
          return (
            <li key={d.date}>
              <a
                href={weekUrl(d.date, whose)}
                aria-current={d.date === date ? 'date' : undefined}
              >
                <span aria-hidden="true">
                  {short.name} <strong>{short.number}</strong>
                </span>
                <span class="sr">{capital(longDay(d.date))}</span>
              </a>
            </li>
          );
        })}
      </ul>

      {kept && !none && (
        <>
          <section class="one-day">
            <h2>{capital(longDay(date))}</h2>
            {day && day.lessons.length > 0 ? (
              <ul class="lessons">{day.lessons.map(row)}</ul>
            ) : (
              <p class="empty">{t('nothing_that_day')}</p>
            )}
          </section>
          <table class="week-table">
            <caption class="sr">{weekTitle(monday, days[days.length - 1]?.date ?? monday)}</caption>
            <thead>
              <tr>
                <th class="hour" scope="col">
                  {t('week_hour')}
                </th>
                {days.map((d) => (
                  <th key={d.date} scope="col" class={d.date === today ? 'is-today' : ''}>
                    {dayHead(d.date)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {grid(days, (iso) => hour(iso, tz)).map((r) => (
                <tr key={r.label}>
                  <th class="hour" scope="row">
                    {r.label}
                  </th>
                  {r.cells.map(
                    (cell, n) =>
                      cell && (
                        <td key={n} rowSpan={cell.span}>
                          {cell.lessons.length > 0 && <ul>{cell.lessons.map(row)}</ul>}
                        </td>
                      ),
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      {none && <p class="empty">{t('week_empty')}</p>}
      {(!week || week.kind === 'loading') && <p class="empty">{t('week_loading')}</p>}
      {week?.kind === 'none' && <p class="empty">{state.online ? t('week_failed') : t('week_not_stored')}</p>}

      <div class="week-foot">
        <div>
          {kept && <Age words={age(kept.at, state.now)} />}
          {zone && <p class="muted small">{t('school_zone', { city: zone })}</p>}
        </div>
        {kept && !none && (
          <button class="btn" type="button" onClick={() => print()}>
            <Icon name="print" />
            {t('print')}
          </button>
        )}
      </div>
    </>
  );
}
