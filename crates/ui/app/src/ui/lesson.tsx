import { capital, t } from '../i18n';
import { hue, phase } from '../lessons';
import { dayOf, hour, longDay } from '../time';
import type { Lesson } from '../types';
import { Icon } from './icon';

/** Whom a lesson is shown to: pupils want the teacher's name, teachers the class's. */
export type Reader = 'learner' | 'teacher';

function meta(lesson: Lesson, reader: Reader): string {
  const people = reader === 'teacher' ? lesson.audience : lesson.teachers;
  // A lesson at a distance is held in no room, whatever the timetable's file says there.
  const room = lesson.room && !lesson.at_distance ? [t('room', { room: lesson.room })] : [];
  return [people.join(', '), ...room].filter(Boolean).join(' · ');
}

function Tags({ lesson, live }: { lesson: Lesson; live: boolean }) {
  return (
    <>
      {lesson.cancelled && (
        <span class="tag off">
          <Icon name="cross" size={14} />
          {t('cancelled')}
        </span>
      )}
      {lesson.at_distance && !lesson.cancelled && (
        <span class="tag far">
          <Icon name="far" size={14} />
          {t('at_distance')}
        </span>
      )}
      {live && !lesson.cancelled && <span class="tag live">{t('in_progress')}</span>}
    </>
  );
}

/** One line of a day. */
export function LessonRow(props: { lesson: Lesson; tz: string; now: number; reader: Reader }) {
  const { lesson, tz, now, reader } = props;
  const at = phase(lesson, now);
  const said = meta(lesson, reader);
  const mark = `${lesson.cancelled ? ' cancelled' : ''}${at === 'later' || lesson.cancelled ? '' : ` ${at}`}`;
  return (
    <li class={`lesson h${hue(lesson.subject)}${mark}`}>
      <p class="when">
        <time dateTime={lesson.starts_at}>{hour(lesson.starts_at, tz)}</time>{' '}
        <span class="end">
          <span class="sr">–</span> <time dateTime={lesson.ends_at}>{hour(lesson.ends_at, tz)}</time>
        </span>
      </p>
      <div class="lesson-body">
        <p class="lesson-title">{lesson.subject.label}</p>
        {said && <p class="lesson-meta">{said}</p>}
        <Tags lesson={lesson} live={at === 'live'} />
      </div>
    </li>
  );
}

/** The lesson under way, or the one after it, as a card; a lesson of another day names its day. */
export function Moment(props: {
  lesson: Lesson;
  tz: string;
  now: number;
  reader: Reader;
  live: boolean;
  /** One below the title of the person's day, where that day has one. */
  heading: 'h2' | 'h3';
}) {
  const { lesson, tz, now, reader, live, heading: Heading } = props;
  const day = dayOf(Date.parse(lesson.starts_at), tz);
  const said = meta(lesson, reader);
  return (
    <section class={`moment h${hue(lesson.subject)}${live ? ' live' : ''}`}>
      <Heading class="moment-label">{live ? t('now') : t('next')}</Heading>
      <p class="lesson-title">{lesson.subject.label}</p>
      <p class="when">
        {day !== dayOf(now, tz) && `${capital(longDay(day))}, `}
        <span class="hours">
          <time dateTime={lesson.starts_at}>{hour(lesson.starts_at, tz)}</time> –{' '}
          <time dateTime={lesson.ends_at}>{hour(lesson.ends_at, tz)}</time>
        </span>
      </p>
      {said && <p class="lesson-meta">{said}</p>}
      <Tags lesson={lesson} live={false} />
    </section>
  );
}
