import type { RunLog } from './run-log.ts';
import type { Workload } from './runner.ts';

export type StopReason = 'stop' | 'shutdown';

interface LiveRun {
  workload?: Workload;
  log?: RunLog;
  stopReason?: StopReason;
  hasBegun?: boolean;
  isTakenUp?: boolean;
}

/** Runs that this process has, from their acceptance to their recorded end. */
export class LiveRuns {
  readonly #runs = new Map<string, LiveRun>();

  get ids(): string[] {
    return [...this.#runs.keys()];
  }

  has(id: string): boolean {
    return this.#runs.has(id);
  }

  add(id: string): void {
    this.#runs.set(id, {});
  }

  /** One that an earlier server began. */
  takeUp(id: string): void {
    this.#runs.set(id, { hasBegun: true, isTakenUp: true });
  }

  isTakenUp(id: string): boolean {
    return this.#runs.get(id)?.isTakenUp === true;
  }

  /** It leaves the queue. `false`: it was abandoned there. */
  begin(id: string): boolean {
    this.#change(id, { hasBegun: true });
    return this.#runs.has(id);
  }

  /** Takes a run out of the queue. `false`: it has left it. */
  abandon(id: string): boolean {
    const run = this.#runs.get(id);
    if (run === undefined || run.hasBegun === true) return false;
    return this.#runs.delete(id);
  }

  /** Its output can be followed from now on. */
  logs(id: string, log: RunLog): void {
    this.#change(id, { log });
  }

  /** It has been started; a stop that came before is passed on. */
  started(id: string, workload: Workload): void {
    this.#change(id, { workload });
    const reason = this.stopReason(id);
    if (reason !== undefined) workload.stop(reason);
  }

  logOf(id: string): RunLog | undefined {
    return this.#runs.get(id)?.log;
  }

  stop(id: string, reason: StopReason): void {
    this.#change(id, { stopReason: reason });
    this.#runs.get(id)?.workload?.stop(reason);
  }

  stopReason(id: string): StopReason | undefined {
    return this.#runs.get(id)?.stopReason;
  }

  delete(id: string): void {
    this.#runs.delete(id);
  }

  #change(id: string, change: LiveRun): void {
    const run = this.#runs.get(id);
    if (run !== undefined) Object.assign(run, change);
  }
}
