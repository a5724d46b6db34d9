import type { ConfigurationRow } from '../surfaces/rows.ts';
import type { RenderInput } from '../surfaces/definition.ts';
import type { RunRow } from './commands.ts';
import type { ProcessSpec } from './process-spec.ts';

export type RunnerName = 'process' | 'kubernetes';

/** Where runs happen. The queue, the launch, the log and the record are the same for all. */
export interface Runner {
  /** Runs at once on this server; the rest are queued. */
  readonly maxConcurrent: number;
  /**
   * When what is left of a run goes: a process's folder with the process; an object in a cluster tells how the run ended, so
   * it stays until that is durable.
   */
  readonly removal: 'before-end' | 'after-end';
  /**
   * Where a run of a configuration would be. Nothing is made and nobody is asked.
   * @param runId `null`: none is started, this is to see whether it would fit
   * @throws StrongroomError `runner_unavailable` with what is missing
   */
  place(runId: string | null, configuration: ConfigurationRow): Promise<RunPlace>;
  /**
   * A run that had begun on a server that is gone. What of it can't go on is ended.
   * @returns `null` when none of it goes on
   */
  takeUp(run: RunRow): Promise<Workload | null>;
  /** Takes away what is left of a run; what can't be taken now is left for `sweep`, and reported. */
  remove(runId: string): Promise<void>;
  /** Takes away what is left of runs that have ended or never were. */
  sweep(signal: AbortSignal): Promise<void>;
  /** All of its runs have ended, or are left to others. */
  close?(): Promise<void>;
}

/** Where one run is going to be. */
export interface RunPlace {
  readonly rendering: Pick<RenderInput, 'name' | 'home' | 'hasOwnUser' | 'isForOperator'>;
  /** What of a rendered launch doesn't fit there; no word of a value. */
  check(spec: ProcessSpec): readonly string[];
  /** What the release puts on record, before anything of it exists; `null`: nothing. */
  readonly workload: NewWorkload | null;
  /** Starts it. Whoever called drops the spec. @throws StrongroomError; what was made until then goes with `remove` */
  start(spec: ProcessSpec, output: RunOutput): Promise<Workload>;
}

/** What a run is in a cluster. */
export interface NewWorkload {
  readonly clusterId: string;
  readonly namespace: string;
  readonly form: WorkloadForm;
  readonly name: string;
}

export const workloadForms = ['job', 'pod', 'spark-application'] as const;
export type WorkloadForm = (typeof workloadForms)[number];

export interface RunOutput {
  readonly stdout: (bytes: Uint8Array) => void;
  readonly stderr: (bytes: Uint8Array) => void;
  /** One line of the runner's own, about the run; holds nothing that the workload wrote. */
  readonly note: (text: string) => void;
}

export type EndReason = 'stop' | 'timeout' | 'shutdown';

export interface WorkloadExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why it was ended, when it was. */
  readonly endedFor: 'stop' | 'timeout' | null;
  /** What else ended it than its command. */
  readonly failure?: { readonly code: string; readonly detail: string };
}

/** A started run. */
export interface Workload {
  /** When all of it has ended and its output is read; `null`: it goes on, and this server follows it no more. */
  readonly exited: Promise<WorkloadExit | null>;
  stop(reason: EndReason): void;
}
