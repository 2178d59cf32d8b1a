/** Local wall times without an offset, as the server sends them: "2024-05-31T08:05:00". */

const MINUTE = 60_000;

/** Milliseconds of a wall time, as if it were UTC: for differences alone. */
export function millis(text) {
  return Date.parse(`${text}Z`);
}

/** The wall time of so many milliseconds. */
export function wall(ms) {
  return new Date(ms).toISOString().slice(0, 19);
}

/** A wall time some seconds later. */
export function later(text, seconds) {
  return wall(millis(text) + seconds * 1000);
}

/** Midnight of its day. */
export function midnight(text) {
  return `${text.slice(0, 10)}T00:00:00`;
}

/** Hours and minutes. */
export function clock(text) {
  return text.slice(11, 16);
}

/** Minutes since midnight of a day; the end of the day is 1,440. */
export function minutes(text, day) {
  return (millis(text) - millis(midnight(day))) / MINUTE;
}

/** What the clocks of a time zone show now. */
export function now(timezone) {
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: timezone,
    dateStyle: "short",
    timeStyle: "medium",
  });
  return format.format(new Date()).replace(" ", "T");
}
