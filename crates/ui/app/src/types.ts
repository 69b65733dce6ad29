/** The answers that the screens read, by the names they are known by here. The shapes come from the server's document. */
import type { components } from './gen/api';

type Schemas = components['schemas'];

/** One lesson; instants are RFC 3339 UTC. */
export type Lesson = Schemas['Lesson'];
/** One person's day in one school: mine, or a child's. */
export type View = Schemas['HomeDay'];
/** A school of mine or of my children; every time of it is shown in its `tz`, whatever the device says. */
export type School = Schemas['HomeSchool'];
export type Home = Schemas['HomeView'];
/** Where one stands among the hours of a school: what the day shows of it. */
export type Slot = Pick<Schemas['SlotStanding'], 'school_id' | 'today' | 'tz'>;
/** One day of a week. */
export type Day = Schemas['TimetableDay'];
/** Consecutive school days of one person in one school. */
export type Timetable = Schemas['TimetableDays'];
