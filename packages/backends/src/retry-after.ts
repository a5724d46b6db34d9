/** A pause that is longer is nobody's to wait for: what waits is told this much and asks again by itself. */
const maxRetryAfterSeconds = 3600;

/** IMF-fixdate and the obsolete form of RFC 850 (RFC 9110 section 5.6.7); that of asctime says no time zone to `Date.parse`. */
const httpDate = /^(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?, .{1,40} GMT$/;

/**
 * Seconds that an answer asks to wait (RFC 9110 section 10.2.3), an hour at most; `undefined` when it doesn't say. A date is
 * compared with the server's own time, where that is said.
 */
export function retryAfterSeconds(header: (name: 'retry-after' | 'date') => string | undefined): number | undefined {
  const text = header('retry-after') ?? '';
  if (/^\d+$/.test(text)) return withinReason(Number(text));
  if (!httpDate.test(text)) return undefined;
  const now = Date.parse(header('date') ?? '');
  const seconds = (Date.parse(text) - (Number.isNaN(now) ? Date.now() : now)) / 1000;
  return Number.isNaN(seconds) ? undefined : withinReason(seconds);
}

/** Whole seconds from 0 to an hour. */
export function withinReason(seconds: number): number {
  return Math.min(Math.max(0, Math.ceil(seconds)), maxRetryAfterSeconds);
}
