import { StrongroomError } from '@strongroom/contract';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { Flights, Gate } from './flights.ts';
import type { LaunchValues } from './launch-values.ts';
import { fail, type Progress, take } from './progress.ts';
import type { Fetched, FetchKey, LocalSource, RemoteSource, Sources } from './sources/source.ts';
import type { Target, TargetSource } from './targets.ts';

/** Milliseconds for all of a launch's reading. */
const deadlineMilliseconds = 30_000;
/** Requests at once for one source, over all launches. */
const parallelPerSource = 16;

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

/** Step 3 of a launch: reads what is allowed, grouped by source, and puts it into the launch's values. */
export class Fetcher {
  readonly #sources: Sources;
  readonly #flights = new Flights();
  readonly #gates = new Map<string, Gate>();

  constructor(sources: Sources) {
    this.#sources = sources;
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
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    const timer = setTimeout(abort, deadlineMilliseconds);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    try {
      await Promise.all(groups.map((group) => this.#fetchGroup(group, values, controller.signal)));
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  async #fetchGroup(
    { info, source, steps }: Group<RemoteSource>,
    values: LaunchValues,
    signal: AbortSignal,
  ): Promise<void> {
    const started = performance.now();
    const prefix = source.flightPrefix(info);
    const missing: FetchKey[] = [];
    const flights: { readonly flight: string; readonly same: readonly Progress[] }[] = [];
    for (const [key, same] of Map.groupBy(steps, ({ wanted }) => wanted.reference.key)) {
      const target = same[0]?.target;
      if (target === undefined) continue;
      const flight = flightKey(prefix, key, target);
      flights.push({ flight, same });
      if (!this.#flights.isFlying(flight)) missing.push({ key, target });
    }
    // The fetch has a life of its own: whoever began it may leave, the others still get their values.
    const fetching = missing.length === 0 ? undefined : this.#fetchBatch(info, source, missing);
    for (const { key, target } of missing) {
      const one = fetching?.then((fetched) => fetched.get(key) ?? absent) ?? Promise.resolve(absent);
      this.#flights.start(flightKey(prefix, key, target), one);
    }
    await Promise.all(
      flights.map(async ({ flight, same }) => {
        const fetched = await this.#flights.join(flight, signal);
        const milliseconds = Math.round(performance.now() - started);
        for (const step of same) take(step, fetched, values, milliseconds);
      }),
    );
  }

  async #fetchBatch(
    info: TargetSource,
    source: RemoteSource,
    keys: readonly FetchKey[],
  ): Promise<ReadonlyMap<string, Fetched>> {
    let gate = this.#gates.get(info.id);
    if (gate === undefined) this.#gates.set(info.id, (gate = new Gate(parallelPerSource)));
    // Not `AbortSignal.timeout`: its timer runs on for the whole time, beyond the end of the fetch.
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), deadlineMilliseconds);
    try {
      return await gate.run(() => source.fetch(keys, controller.signal));
    } catch (error) {
      // What a source throws is an outage, never an absence; its text stays inside.
      const detail = error instanceof StrongroomError ? { detail: error.message } : {};
      return new Map(keys.map(({ key }) => [key, { ...absent, ...detail }]));
    } finally {
      clearTimeout(timer);
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
