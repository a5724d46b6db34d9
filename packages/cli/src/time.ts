import { InvalidArgumentError } from 'commander';

/**
 * RFC 3339 of a date or a time that somebody typed; without a zone it is local, and a date alone begins in UTC.
 * @throws InvalidArgumentError also for a day that no month has
 */
export function parseTime(text: string): string {
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})(?:$|T)/.exec(text) ?? [];
  const isDay = day !== undefined && Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  const time = new Date(isDay ? text : Number.NaN);
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('Write 2027-01-31, or RFC 3339.');
  return time.toISOString();
}
