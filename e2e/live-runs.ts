import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestServer } from '../packages/server/testing/app.ts';
import type { Canaries } from '../packages/server/testing/canaries.ts';

/** A JVM on two cores that others use as well takes a minute to start; nothing here measures how long. */
const patienceMilliseconds = 300_000;

export interface LiveRun {
  readonly id: string;
  readonly state: string;
  readonly exitCode?: number;
}

/**
 * Jobs have users of their own when the tests run as root. Hadoop asks the system what its user is called (Hadoop,
 * `UserGroupInformation`), so they get the one user whom every system has and who owns nothing.
 */
export const jobUserSettings: Readonly<Record<string, string>> =
  process.getuid?.() === 0 ? { STRONGROOM_RUNNER_UIDS: '65534-65534' } : {};

/** Runs of a domain of a test server, followed by their logs. */
export class LiveRuns {
  readonly #test: TestServer;
  readonly #base: string;

  constructor(test: TestServer, domain: string) {
    this.#test = test;
    this.#base = `/v1/domains/${domain}`;
  }

  /** @param path of the configuration in the domain: `spark-jobs/nightly-report` */
  async start(path: string): Promise<string> {
    const { id } = await this.#test.call<LiveRun>('POST', `${this.#base}/${path}/runs`);
    return id;
  }

  show(id: string): Promise<LiveRun> {
    return this.#test.call<LiveRun>('GET', `${this.#base}/runs/${id}`);
  }

  async log(id: string): Promise<string> {
    return (await this.#test.request('GET', `${this.#base}/runs/${id}/log`)).text;
  }

  /** The first thing found in the log of a run that goes on. @throws Error with the log, when it ends or nothing comes */
  async until<Found>(id: string, find: (log: string) => Found | undefined): Promise<Found> {
    const deadline = performance.now() + patienceMilliseconds;
    for (;;) {
      // In this order: what a run wrote last is in the log before its state is another.
      const { state } = await this.show(id);
      const log = await this.log(id);
      const found = find(log);
      if (found !== undefined) return found;
      if (!isUp(state)) throw new Error(`The run ${state}:\n${log}`);
      if (performance.now() > deadline) throw new Error(`The run doesn't say it:\n${log}`);
      await delay(200);
    }
  }

  async ended(id: string): Promise<LiveRun> {
    const deadline = performance.now() + patienceMilliseconds;
    for (;;) {
      const run = await this.show(id);
      if (!isUp(run.state)) return run;
      if (performance.now() > deadline) throw new Error(`The run doesn't end:\n${await this.log(id)}`);
      await delay(200);
    }
  }

  /** Where a run's files with values are while it is up. */
  inMemory(id: string): string {
    return `/dev/shm/strongroom-runs-${this.#test.server.keyring.installationId}/${id}`;
  }
}

function isUp(state: string): boolean {
  return state === 'queued' || state === 'running';
}

/** Watches the command lines of all processes, as any user of the machine sees them. Gives how many have `word` in them. */
export function seeCommandLines(canaries: Canaries, word: string): number {
  let count = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`);
      canaries.saw(`/proc/${pid}/cmdline`, line);
      if (line.includes(word)) count += 1;
    } catch (error) {
      // It has ended meanwhile.
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return count;
}
