/** « Accueil »: where am I expected now, where next, and what is left of the day. */
import { capital, t, zoneName } from '../i18n';
import { nowAndNext } from '../lessons';
import { weekUrl } from '../router';
import type { State } from '../store';
import { weekKey } from '../sync';
import { age, dayOf, hour, longDay, mondayOf } from '../time';
import type { Lesson, School, Slot, View } from '../types';
import { LessonRow, Moment, type Reader } from '../ui/lesson';
import { Age, Nothing } from '../ui/shell';

/** The lessons to list, and the day they are of: today if we hold it, else the last day the server told. */
function lessonsOf(school: School, view: View, state: State): { date: string; lessons: Lesson[] } {
  const today = dayOf(state.now, school.tz);
  if (school.date === today) return { date: today, lessons: view.today };
  const week = state.weeks[weekKey(school.id, view.person.id, mondayOf(today))];
  const day = week?.kind === 'held' ? week.kept.data.days.find((d) => d.date === today) : undefined;
  return day ?? { date: school.date, lessons: view.today };
}

export function reader(school: School, view: View): Reader {
  return view.relation === 'self' && school.roles.includes('teacher') ? 'teacher' : 'learner';
}

/** What stands above one person's day. A pupil of one school needs no title: it is plainly his own. */
export function heading(school: School, view: View, alone: boolean): { title: string; note: string } | null {
  const classes = view.classes.length > 0 ? t('class_of', { classes: view.classes.join(', ') }) : '';
  if (view.relation === 'child') {
    const note = [classes, alone ? '' : school.name].filter(Boolean).join(' · ');
    return { title: t('child_day', { name: view.person.first_name }), note };
  }
  return alone ? null : { title: school.name, note: classes };
}

/** « Votre créneau aujourd’hui : 8:30 – 9:00 », a line a school where some hours are mine today. */
export function slotLines(slots: Slot[], schools: School[], now: number): string[] {
  const lines = slots.flatMap(({ school_id, today, tz }) => {
    const hours = today
      .filter((span) => dayOf(Date.parse(span.from), tz) === dayOf(now, tz))
      .map((span) => `${hour(span.from, tz)} – ${hour(span.to, tz)}`);
    const school = schools.length > 1 ? schools.find((one) => one.id === school_id) : undefined;
    return hours.length > 0 ? [t('slot_today', { hours: hours.join(', ') }) + (school ? ` · ${school.name}` : '')] : [];
  });
  return [...new Set(lines)];
}

function OneDay(props: { school: School; view: View; state: State; alone: boolean; choice: boolean }) {
  const { school, view, state } = props;
  const { tz } = school;
  const today = dayOf(state.now, tz);
  const { date, lessons } = lessonsOf(school, view, state);
  const known = view.next && !lessons.some((l) => l.id === view.next?.id) ? [...lessons, view.next] : lessons;
  const moments = nowAndNext(known, state.now);
  const as = reader(school, view);
  const head = heading(school, view, props.alone);
  const Heading = head ? 'h3' : 'h2';
  const zone = zoneName(tz);
  const whose = props.choice ? { school: school.id, person: view.person.id } : null;
  const draw = (lesson: Lesson, live: boolean) => (
    <Moment lesson={lesson} tz={tz} now={state.now} reader={as} live={live} heading={Heading} />
  );
  return (
    <section class="day">
      {(head || zone) && (
        <div class="day-head">
          {head && <h2>{head.title}</h2>}
          {head?.note && <p>{head.note}</p>}
          {zone && <p>{t('school_zone', { city: zone })}</p>}
        </div>
      )}
      <div class="day-grid">
        <div>
          {moments.now && draw(moments.now, true)}
          {moments.next && draw(moments.next, false)}
          {!moments.now && !moments.next && <p class="empty">{t('nothing_next')}</p>}
        </div>
        <div>
          <div class="list-head">
            <Heading>{date === today ? t('today') : t('lessons_of', { day: longDay(date) })}</Heading>
            <a href={weekUrl(date, whose)}>{t('open_week')}</a>
          </div>
          {lessons.length > 0 ? (
            <ul class="lessons">
              {lessons.map((l) => (
                <LessonRow key={l.id} lesson={l} tz={tz} now={state.now} reader={as} />
              ))}
            </ul>
          ) : (
            <p class="empty">{date === today ? t('nothing_today') : t('nothing_that_day')}</p>
          )}
        </div>
      </div>
    </section>
  );
}

export function DayScreen({ state }: { state: State }) {
  const home = state.home;
  if (!home) {
    const words = state.online && state.refused === null ? t('loading') : t('nothing_stored');
    return <Nothing title={t('title_day')} words={words} />;
  }
  const { user, schools } = home.data;
  const views = schools.reduce((n, s) => n + s.views.length, 0);
  const only = views === 1 ? schools.find((s) => s.views.length === 1) : undefined;
  const own = only?.views[0];
  const mine = only && own?.relation === 'self' && reader(only, own) === 'learner' ? own.classes : [];
  const tz = schools[0]?.tz ?? 'Europe/Paris';
  return (
    <>
      <div class="head">
        <div>
          <h1>{t('hello', { name: user.first_name })}</h1>
          <p class="muted">{[capital(longDay(dayOf(state.now, tz))), ...mine.map((c) => c.replace(/ /g, '\u00a0'))].join(' · ')}</p>
        </div>
        <Age words={age(home.at, state.now)} />
      </div>
      {slotLines(state.slots ?? [], schools, state.now).map((line) => (
        <p key={line} class="slot">
          {line} <a href="/plages-horaires">{t('slot_rules')}</a>
        </p>
      ))}
      {schools.length === 0 && <p class="empty">{t('no_school')}</p>}
      {schools.length > 0 && views === 0 && <p class="empty">{t('no_view')}</p>}
      {schools.map((school) =>
        school.views.map((view) => (
          <OneDay
            key={school.id + view.person.id}
            school={school}
            view={view}
            state={state}
            alone={schools.length === 1}
            choice={views > 1}
          />
        )),
      )}
    </>
  );
}
