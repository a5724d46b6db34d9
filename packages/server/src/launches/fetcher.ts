import { StrongroomError } from '@strongroom/contract';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { outageOf } from './backend-failures.ts';
import { Flights } from './flights.ts';
import type { LaunchValues } from './launch-values.ts';
import { fail, type Progress, take } from './progress.ts';
import { SharedDeadline } from './shared-deadline.ts';
import type { Fetched, FetchKey, LocalSource, RemoteSource, Sources } from './sources/source.ts';
import type { Target, TargetSource } from './targets.ts';

/** For errors that nobody expects: told to operators, who see no more of them than the log shows. */
export type ReportError = (message: string, error: unknown) => void;

/** Milliseconds for all of a launch's reading. */
const deadlineMilliseconds = 30_000;

export interface FetchLimits {
  readonly signal: AbortSignal | undefined;
  /** Before the first source is asked over a network; what it throws stops the launch. */
  readonly beforeAsking: (() => Promise<void>) | undefined;
}

interface Group<Source> {
  readonly info: TargetSource;
  readonly source: Source;
  readonly steps: readonly Progress[];
}

interface Missing extends FetchKey {
  readonly flight: string;
}

/** Step 3 of a launch: reads what is allowed, grouped by source, and puts it into the launch's values. */
export class Fetcher {
  readonly #sources: Sources;
  readonly #report: ReportError;
  readonly #flights = new Flights();
  readonly #deadline = new SharedDeadline(deadlineMilliseconds);

  constructor(sources: Sources, report: ReportError) {
    this.#sources = sources;
    this.#report = report;
  }

  /** At once when nothing is read over a network, and every key was used before. */
  fetch(progress: readonly Progress[], values: LaunchValues, limits: FetchLimits): MaybePromise<void> {
    let done: MaybePromise<void> = undefined;
    const remote: Group<RemoteSource>[] = [];
    const allowed = progress.filter(({ failure }) => failure === null);
    for (const steps of Map.groupBy(allowed, ({ target }) => target.source?.id ?? '').values()) {
      const info = steps[0]?.target.source ?? null;
      const source = info === null ? null : this.#sources(info);
      if (info === null || source === null)
        for (const step of steps) fail(step, 'source-unavailable', 'This server does not serve sources of its kind.');
      else if (source.kind === 'local') done = andThen(done, () => openAll(source, steps, values));
      else remote.push({ info, source, steps });
    }
    return remote.length === 0 ? done : andThen(done, () => this.#fetchRemote(remote, values, limits));
  }

  async #fetchRemote(
    groups: readonly Group<RemoteSource>[],
    values: LaunchValues,
    { signal, beforeAsking }: FetchLimits,
  ): Promise<void> {
    await beforeAsking?.();
    const deadline = this.#deadline.signal;
    const signals = signal === undefined ? [deadline] : [signal, deadline];
    await Promise.all(groups.map((group) => this.#fetchGroup(group, values, signals)));
  }

  async #fetchGroup(
    { info, source, steps }: Group<RemoteSource>,
    values: LaunchValues,
    signals: readonly AbortSignal[],
  ): Promise<void> {
    const started = performance.now();
    const prefix = source.flightPrefix(info);
    const missing: Missing[] = [];
    const flights: { readonly flight: string; readonly same: readonly Progress[] }[] = [];
    for (const [key, same] of Map.groupBy(steps, ({ wanted }) => wanted.reference.key)) {
      const target = same[0]?.target;
      if (target === undefined) continue;
      const flight = flightKey(prefix, key, target);
      flights.push({ flight, same });
      if (!this.#flights.isFlying(flight)) missing.push({ flight, key, target });
    }
    if (missing.length > 0) this.#begin(source, missing);
    await Promise.all(
      flights.map(async ({ flight, same }) => {
        const fetched = await this.#flights.join(flight, signals);
        const milliseconds = Math.round(performance.now() - started);
        for (const step of same) take(step, fetched, values, milliseconds);
      }),
    );
  }

  /** The fetch has a life of its own: whoever began it may leave, the others still get their values. */
  #begin(source: RemoteSource, missing: readonly Missing[]): void {
    const fetching = this.#fetchAll(source, missing, this.#deadline.signal);
    for (const { flight, key } of missing)
      this.#flights.start(
        flight,
        fetching.then((fetched) => fetched.get(key) ?? absent),
      );
  }

  async #fetchAll(
    source: RemoteSource,
    keys: readonly FetchKey[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Fetched>> {
    try {
      return await source.fetch(keys, signal);
    } catch (error) {
      // What a source throws is an outage, never an absence; the text of what is no error of ours stays inside.
      const isOurs = error instanceof StrongroomError;
      if (!isOurs && !signal.aborted) this.#report('a source of values broke down', error);
      const failed = isOurs ? outageOf(error) : absent;
      return new Map(keys.map(({ key }) => [key, failed]));
    }
  }
}

/** A source that leaves a key out has not said that it is missing. */
const absent = { kind: 'failed', failure: 'source-unavailable' } as const;

/** With the version where it is known, so that a fetch is never joined across a write. */
function flightKey(prefix: string, key: string, { secret }: Target): string {
  return JSON.stringify([prefix, secret === null ? '' : `${secret.id}@${secret.epoch}.${secret.version}`, key]);
}

/** One after the other: they may wait for the same key. */
function openAll(source: LocalSource, steps: readonly Progress[], values: LaunchValues): MaybePromise<void> {
  let done: MaybePromise<void> = undefined;
  for (const same of Map.groupBy(steps, ({ target }) => target.secret?.id ?? '').values())
    done = andThen(done, () => openOne(source, same, values));
  return done;
}

function openOne(source: LocalSource, same: readonly Progress[], values: LaunchValues): MaybePromise<void> {
  const target = same[0]?.target;
  if (target === undefined) return;
  const started = performance.now();
  return andThen(source.open(target), (fetched) => {
    const milliseconds = Math.round(performance.now() - started);
    for (const step of same) take(step, fetched, values, milliseconds);
  });
}
