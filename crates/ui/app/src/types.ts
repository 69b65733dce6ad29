/** What `/api/v1/home` and the timetable answer, as the screens read it. */

/** One lesson; instants are RFC 3339 UTC. */
export interface Lesson {
  id: string;
  subject: { code: string; label: string };
  teachers: string[];
  audience: string[];
  room: string | null;
  starts_at: string;
  ends_at: string;
  at_distance: boolean;
  cancelled: boolean;
}

/** One person's day in one school: mine, or a child's. */
export interface View {
  person: { id: string; first_name: string; last_name: string };
  relation: 'self' | 'child';
  classes: string[];
  now: Lesson | null;
  next: Lesson | null;
  today: Lesson[];
}

export interface School {
  id: string;
  name: string;
  /** IANA zone. Every time of this school is shown in it, whatever the device says. */
  tz: string;
  /** The school's own day, `YYYY-MM-DD`. */
  date: string;
  roles: string[];
  views: View[];
}

export interface Home {
  user: { id: string; first_name: string; last_name: string; lang: string };
  schools: School[];
  generated_at: string;
}

/** One day of a week. */
export interface Day {
  date: string;
  lessons: Lesson[];
}

/** Consecutive school days of one person in one school. */
export interface Timetable {
  tz: string;
  from: string;
  days: Day[];
}
