import { InvalidArgumentError } from 'commander';

/** RFC 3339 of a date or a time that somebody typed. @throws InvalidArgumentError */
export function parseTime(text: string): string {
  const time = /^\d{4}-\d{2}-\d{2}(?:$|T)/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('Write 2027-01-31, or RFC 3339.');
  return time.toISOString();
}
