import { createHash } from 'node:crypto';
import { startTestServer, type TestServer } from '../packages/server/testing/app.ts';
import type { Canaries } from '../packages/server/testing/canaries.ts';
import { LiveRuns } from './live-runs.ts';

/** A server with the domain `finance` and its secrets, for runs that are real. */
export interface LiveDomain {
  readonly test: TestServer;
  readonly runs: LiveRuns;
}

export const financeBase = '/v1/domains/finance';

/** @param values of the domain's secrets, by key */
export async function openLiveDomain(
  canaries: Canaries,
  values: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, string>> = {},
): Promise<LiveDomain> {
  const test = await startTestServer(settings, { canaries });
  await test.createDomain('finance');
  for (const [key, value] of Object.entries(values))
    await test.call('POST', `${financeBase}/secrets`, { body: { key, value } });
  return { test, runs: new LiveRuns(test, 'finance') };
}

/** What a program shows of a value that it was given: not the value. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
