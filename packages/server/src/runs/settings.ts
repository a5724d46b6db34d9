import type { Settings } from '../config/settings.ts';
import type { RunFolders } from './run-folder.ts';
import type { RunLogSettings } from './run-logs.ts';

export interface RunnerSettings {
  readonly folders: RunFolders;
  readonly logs: RunLogSettings;
  /** PATH and LANG of jobs that set none. */
  readonly path: string;
  readonly language: string;
  /** Users for jobs when the server was started as root: one for each domain, from this range. */
  readonly jobUsers: { readonly firstUid: number; readonly count: number };
  /** Runs at once on this server; the rest are queued. */
  readonly maxConcurrent: number;
  /** Off where the operator doesn't want commands started on the server's machine. */
  readonly processRunner: 'available' | 'off';
  readonly defaultRunner: 'process' | 'kubernetes';
}

/** Above what systems give to people, below what they give to services. */
export const defaultJobUsers = { firstUid: 50_000, count: 10_000 } as const;

/** The range of user ids that an operator named, or the default. */
export function jobUsersOf({ runnerUids }: Pick<Settings, 'runnerUids'>): RunnerSettings['jobUsers'] {
  if (runnerUids === undefined) return defaultJobUsers;
  return { firstUid: runnerUids.first, count: runnerUids.last - runnerUids.first + 1 };
}

/** Where failures of background work go; never with a value. */
export type Report = (message: string, error: unknown) => void;
