import { runsWithLogs } from './queries.ts';
import { statfsSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Store } from '../store/store.ts';
import { readRunLog, RunLog } from './run-log.ts';

export interface RunLogSettings {
  /** A folder of the data directory. */
  readonly directory: string;
  /** Bytes of all logs together; the oldest go first. */
  readonly quotaBytes: number;
  readonly keepDays: number;
  /** Bytes that stay free on the disk: logs are the first to stop. */
  readonly reserveBytes: number;
}

export const defaultLogLimits = { quotaBytes: 1024 ** 3, keepDays: 30, reserveBytes: 256 * 1024 * 1024 } as const;

/** How long an answer about the free space is believed, in milliseconds. */
const spaceMilliseconds = 2_000;
const dayMilliseconds = 86_400_000;
const sweepEveryMilliseconds = 600_000;

/** The files of all runs' logs. */
export class RunLogs {
  readonly #store: Store;
  #nextSweepAt = 0;
  readonly #settings: RunLogSettings;
  #space = { at: -Infinity, isEnough: true };

  constructor(store: Store, settings: RunLogSettings) {
    this.#store = store;
    this.#settings = settings;
  }

  async create(runId: string): Promise<RunLog> {
    await mkdir(this.#settings.directory, { recursive: true, mode: 0o700 });
    return RunLog.create(this.#path(runId), { hasSpace: () => this.#hasSpace() });
  }

  /** `null`: there is none, or it was deleted. */
  async read(runId: string): Promise<Readable | null> {
    return readRunLog(this.#path(runId));
  }

  /** Bytes of a log that nobody closed. */
  async size(runId: string): Promise<number> {
    const found = await stat(this.#path(runId)).catch(() => null);
    return found?.size ?? 0;
  }

  /**
   * Deletes logs that are too old, the oldest beyond the quota, and files of runs that don't exist; at most every ten
   * minutes, however often it is called.
   */
  async sweep(now: number, rowsAtOnce = 1_000): Promise<void> {
    if (now < this.#nextSweepAt) return;
    this.#nextSweepAt = now + sweepEveryMilliseconds;
    let total: number | undefined;
    for (;;) {
      const logs = await runsWithLogs(this.#store, { limit: rowsAtOnce });
      const isAll = logs.length < rowsAtOnce;
      // An idle server starts no reader for a sum that it sees by itself.
      total ??= isAll
        ? logs.reduce((sum, log) => sum + log.log_bytes, 0)
        : await this.#store.query('runs.logBytes', undefined);
      const doomed: string[] = [];
      for (const { id, ended_at: endedAt, log_bytes: bytes } of logs) {
        const isOld = endedAt < now - this.#settings.keepDays * dayMilliseconds;
        if (!isOld && total <= this.#settings.quotaBytes) break;
        doomed.push(id);
        total -= bytes;
      }
      await this.#delete(doomed);
      if (isAll || doomed.length < logs.length) break;
    }
    await this.#sweepFiles(now);
  }

  async #delete(runIds: readonly string[]): Promise<void> {
    for (const id of runIds) await rm(this.#path(id), { force: true });
    for (let start = 0; start < runIds.length; start += 200)
      await this.#store.execute('runs.logDeleted', { ids: runIds.slice(start, start + 200) });
  }

  /** Files of runs that don't exist, and those whose logs another server over the same database has deleted. */
  async #sweepFiles(now: number): Promise<void> {
    const { directory, keepDays } = this.#settings;
    const ids = (await readdir(directory).catch((): string[] => [])).map((name) => basename(name, '.log'));
    for (let start = 0; start < ids.length; start += 200) {
      const some = ids.slice(start, start + 200);
      const rows = await this.#store.db
        .selectFrom('runs')
        .select(['id', 'ended_at', 'log_bytes'])
        .where('id', 'in', some)
        .execute();
      for (const id of some) {
        const run = rows.find((row) => row.id === id);
        // What runs for months may be silent for weeks.
        if (run !== undefined && run.ended_at === null) continue;
        const found = await stat(this.#path(id)).catch(() => null);
        const isDeleted = run?.log_bytes === 0;
        if (found !== null && (isDeleted || found.mtimeMs < now - (keepDays + 1) * dayMilliseconds))
          await rm(this.#path(id), { force: true });
      }
    }
  }

  #hasSpace(): boolean {
    const now = performance.now();
    if (now - this.#space.at < spaceMilliseconds) return this.#space.isEnough;
    const { bavail, bsize } = statfsSync(this.#settings.directory);
    this.#space = { at: now, isEnough: bavail * bsize > this.#settings.reserveBytes };
    return this.#space.isEnough;
  }

  #path(runId: string): string {
    return join(this.#settings.directory, `${runId}.log`);
  }
}
