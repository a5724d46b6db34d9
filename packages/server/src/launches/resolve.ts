import { parse as parseJson, stringify as stringifyJson } from 'lossless-json';
import { type ResolveOutcome, StrongroomError } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import type { Access, AccessSnapshot, Resource, ScopeRef } from '../access/types.ts';
import type { Action } from '@strongroom/contract';
import type { AuditEvent } from '../audit/event.ts';
import type { Store } from '../store/store.ts';
import { Flights, Gate } from './flights.ts';
import { explainFailure, type Failure } from './outcomes.ts';
import type { Fetched, FetchKey, Sources } from './sources/source.ts';
import { decideUse, findTarget, type Target, type TargetSource } from './targets.ts';
import { type AuthorisedWanted, wantedId } from './wanted.ts';

/** Milliseconds for all of a launch's reading. */
export const launchDeadlineMilliseconds = 30_000;
/** Requests at once for one source, over all launches. */
const parallelPerSource = 16;
/** How often a launch decides again when access changed under it. */
const maxAttempts = 3;

/** On whose behalf: what audit records say, and whose permissions `needs` are decided for. */
export interface LaunchSubject {
  readonly id: string;
  readonly name: string;
  readonly requestId?: string;
  readonly network?: string;
}

export interface Need {
  readonly action: Action;
  readonly resource: Resource;
}

export interface ResolveRequest {
  readonly verb: 'launch.resolve' | 'preflight';
  readonly domain: ScopeRef;
  readonly launchId?: string;
  readonly subject: LaunchSubject;
  /** What the subject itself must be allowed, decided with every attempt. */
  readonly needs: readonly Need[];
  readonly wanted: readonly AuthorisedWanted[];
  /** Read every value that may be read, even when another one failed already. */
  readonly readsAll: boolean;
  /** Looks at the values before anything is committed; says which don't fit their place. It must keep nothing. */
  readonly inspect?: (values: LaunchValues) => Inspection;
  /** Step 4, all resolved: makes `release` durable with `expectAuthorisationRevision: release.revision`. */
  readonly commit: (release: Release) => Promise<void>;
  /** Step 4, something failed: makes the refusal durable. */
  readonly refuse: (release: Release, problems: readonly string[]) => Promise<void>;
  readonly signal?: AbortSignal;
}

export interface Inspection {
  /** By {@link wantedId}: why a value does not fit. */
  readonly misfits: ReadonlyMap<string, string>;
  /** By {@link wantedId}: why the log will not mask it. */
  readonly unmasked: ReadonlyMap<string, string>;
  /** What else stops the launch. */
  readonly problems: readonly string[];
}

/** Values of one launch by {@link wantedId}. Whoever has them calls `destroy`, on every path. */
export class LaunchValues {
  readonly #values = new Map<string, SecretValue>();
  readonly #owned = new Set<SecretValue>();

  /** Takes a value into custody. */
  own(value: SecretValue): void {
    this.#owned.add(value);
  }

  set(id: string, value: SecretValue): void {
    this.#values.set(id, value);
    this.#owned.add(value);
  }

  get(id: string): SecretValue {
    const value = this.#values.get(id);
    if (value === undefined) throw new TypeError('A value was asked for that the launch did not resolve');
    return value;
  }

  has(id: string): boolean {
    return this.#values.has(id);
  }

  /** Every distinct value. */
  all(): readonly SecretValue[] {
    return [...new Set(this.#values.values())];
  }

  destroy(): void {
    for (const value of this.#owned) value.destroy();
    this.#owned.clear();
    this.#values.clear();
  }
}

/** What a launch records about one wanted place; a row of `receipts` but for the launch. */
export interface ReceiptDraft {
  readonly name: string;
  readonly pointer: string;
  readonly reference: string;
  readonly secretId: string | null;
  readonly sourceId: string;
  readonly sourceName: string;
  readonly targetKey: string;
  readonly version: string | null;
  readonly fingerprint: Uint8Array | null;
  readonly outcome: ResolveOutcome;
  readonly milliseconds: number;
  readonly unmasked: string | null;
}

export interface Release {
  readonly receipts: readonly ReceiptDraft[];
  /** Managed secrets that must still be there when it is committed. */
  readonly secretIds: readonly string[];
  readonly revision: number;
  readonly audit: readonly AuditEvent[];
}

export interface ReferenceResult extends ReceiptDraft {
  readonly cause?: string;
  readonly fixableBy?: readonly string[];
}

export type Resolution =
  | { readonly ok: true; readonly values: LaunchValues; readonly results: readonly ReferenceResult[] }
  | { readonly ok: false; readonly results: readonly ReferenceResult[]; readonly problems: readonly string[] };

/** One wanted place on its way through the steps. */
interface Progress {
  readonly wanted: AuthorisedWanted;
  readonly target: Target;
  readonly because: readonly string[];
  failure: Failure | null;
  detail: string | undefined;
  version: string | null;
  fingerprint: Uint8Array | null;
  milliseconds: number;
}

/** The six steps of a launch, the one way by which a value leaves the store. */
export class Resolver {
  readonly #store: Store;
  readonly #access: Access;
  readonly #sources: Sources;
  readonly #areReferencesEnabled: () => Promise<boolean>;
  readonly #flights = new Flights();
  readonly #gates = new Map<string, Gate>();

  constructor(store: Store, access: Access, sources: Sources, areReferencesEnabled: () => Promise<boolean>) {
    this.#store = store;
    this.#access = access;
    this.#sources = sources;
    this.#areReferencesEnabled = areReferencesEnabled;
  }

  /**
   * All values or none. The caller destroys `values`.
   * @throws StrongroomError `permission_missing` when a need isn't met; `audit_unavailable`, `storage_unavailable`;
   * `version_conflict` when access kept changing
   */
  async resolve(request: ResolveRequest): Promise<Resolution> {
    for (let attempt = 1; ; attempt += 1) {
      const values = new LaunchValues();
      let isReleased = false;
      try {
        const resolution = await this.#attempt(request, values);
        isReleased = resolution.ok;
        return resolution;
      } catch (error) {
        const isConflict = error instanceof StrongroomError && error.code === 'version_conflict';
        if (!isConflict || attempt === maxAttempts) throw error;
      } finally {
        if (!isReleased) values.destroy();
      }
    }
  }

  async #attempt(request: ResolveRequest, values: LaunchValues): Promise<Resolution> {
    const { progress, revision } = await this.#decide(request);
    const isRefused = progress.some(({ failure }) => failure !== null);
    if (!isRefused || request.readsAll) await this.#fetchAll(request, progress, values);
    const hasFailed = (): boolean => progress.some(({ failure }) => failure !== null);
    const inspection = hasFailed() ? undefined : request.inspect?.(values);
    for (const step of progress) {
      const misfit = inspection?.misfits.get(wantedId(step.wanted));
      if (misfit !== undefined) fail(step, 'invalid-value', misfit);
    }
    const problems = inspection?.problems ?? [];
    const ok = !hasFailed() && problems.length === 0;
    const results = progress.map((step) => resultOf(step, request, ok, inspection));
    const release: Release = {
      receipts: results,
      secretIds: [...new Set(progress.flatMap(({ target }) => (target.secret === null ? [] : [target.secret.id])))],
      revision,
      audit: progress.map((step, index) => eventOf(step, request, results[index]?.outcome ?? 'withheld')),
    };
    if (!ok) {
      await request.refuse(release, problems);
      return { ok: false, results, problems };
    }
    await request.commit(release);
    return { ok: true, values, results };
  }

  /** Step 2. Every snapshot it uses counts for `revision`: the commit refuses when any of them is no longer current. */
  async #decide(request: ResolveRequest): Promise<{ readonly progress: Progress[]; readonly revision: number }> {
    const { domain, subject, wanted } = request;
    const snapshots = new Map<string, AccessSnapshot | null>();
    for (const id of new Set([subject.id, ...wanted.flatMap(({ authorisers }) => authorisers)]))
      snapshots.set(id, await this.#access.snapshot(id));
    this.#checkNeeds(request, snapshots.get(subject.id) ?? null);
    const isEnabled = wanted.length === 0 || (await this.#areReferencesEnabled());
    const progress: Progress[] = [];
    for (const item of wanted) {
      const target = await findTarget(this.#store, domain, item.reference);
      const { failure, because } =
        isEnabled || item.kind === 'placeholder'
          ? await this.#decideOne(domain, item, target, snapshots)
          : { failure: 'feature-disabled' as const, because: ['feature-disabled'] };
      progress.push({
        wanted: item,
        target,
        because,
        failure,
        detail: undefined,
        version: null,
        fingerprint: null,
        milliseconds: 0,
      });
    }
    const revisions = [...snapshots.values()].flatMap((snapshot) => (snapshot === null ? [] : [snapshot.revision]));
    return { progress, revision: Math.min(...revisions) };
  }

  #checkNeeds(request: ResolveRequest, snapshot: AccessSnapshot | null): void {
    for (const { action, resource } of request.needs) {
      const decision = snapshot === null ? null : this.#access.decide(snapshot, action, resource);
      if (decision?.allow === true) continue;
      throw new StrongroomError('permission_missing', {
        detail: `${request.subject.name} may not ${action} any more.`,
      });
    }
  }

  async #decideOne(
    domain: ScopeRef,
    wanted: AuthorisedWanted,
    target: Target,
    snapshots: ReadonlyMap<string, AccessSnapshot | null>,
  ): Promise<{ readonly failure: Failure | null; readonly because: readonly string[] }> {
    if (wanted.sourceId !== null && target.source !== null && target.source.id !== wanted.sourceId)
      return { failure: 'source-changed', because: ['source-changed'] };
    const because: string[] = [];
    for (const id of wanted.authorisers) {
      const snapshot = snapshots.get(id) ?? null;
      if (snapshot === null) return { failure: 'authoriser-gone', because: ['no-principal'] };
      const decision = await decideUse(this.#access, snapshot, domain, wanted.reference, target);
      because.push(...decision.because);
      if (decision.failure !== null) return { failure: decision.failure, because: decision.because };
    }
    return { failure: null, because: [...new Set(because)] };
  }

  /** Step 3: what is allowed, grouped by source. */
  async #fetchAll(request: ResolveRequest, progress: readonly Progress[], values: LaunchValues): Promise<void> {
    const allowed = progress.filter(({ failure }) => failure === null);
    const groups = Map.groupBy(allowed, ({ target }) => target.source?.id ?? '');
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    const timer = setTimeout(abort, launchDeadlineMilliseconds);
    request.signal?.addEventListener('abort', abort, { once: true });
    if (request.signal?.aborted === true) abort();
    try {
      await Promise.all([...groups.values()].map((steps) => this.#fetchSource(steps, values, controller.signal)));
    } finally {
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', abort);
    }
  }

  async #fetchSource(steps: readonly Progress[], values: LaunchValues, signal: AbortSignal): Promise<void> {
    const info = steps[0]?.target.source ?? null;
    const source = info === null ? null : this.#sources(info.type);
    if (info === null || source === null) {
      for (const step of steps) fail(step, 'source-unavailable', 'This server does not serve sources of its kind.');
      return;
    }
    const started = performance.now();
    const byKey = Map.groupBy(steps, ({ wanted }) => wanted.reference.key);
    const prefix = source.flightPrefix(info);
    const flightKey = (key: string, target: Target): string =>
      `${prefix} ${target.secret === null ? '' : `${target.secret.id}@${target.secret.epoch}.${target.secret.version}`} ${key}`;
    const missing: FetchKey[] = [];
    const flights: { readonly flight: string; readonly steps: readonly Progress[] }[] = [];
    for (const [key, same] of byKey) {
      const target = same[0]?.target;
      if (target === undefined) continue;
      const flight = flightKey(key, target);
      flights.push({ flight, steps: same });
      if (!this.#flights.isFlying(flight)) missing.push({ key, target });
    }
    // The fetch has a life of its own: whoever began it may leave, the others still get their values.
    const fetching = missing.length === 0 ? undefined : this.#fetchBatch(info, source, missing);
    for (const { key, target } of missing) {
      const one = fetching?.then((fetched) => fetched.get(key) ?? absent) ?? Promise.resolve(absent);
      this.#flights.start(flightKey(key, target), one);
    }
    await Promise.all(
      flights.map(async ({ flight, steps: same }) => {
        const fetched = await this.#flights.join(flight, signal);
        const milliseconds = Math.round(performance.now() - started);
        for (const step of same) take(step, fetched, values, milliseconds);
      }),
    );
  }

  async #fetchBatch(
    info: TargetSource,
    source: NonNullable<ReturnType<Sources>>,
    keys: readonly FetchKey[],
  ): Promise<ReadonlyMap<string, Fetched>> {
    let gate = this.#gates.get(info.id);
    if (gate === undefined) this.#gates.set(info.id, (gate = new Gate(parallelPerSource)));
    const signal = AbortSignal.timeout(launchDeadlineMilliseconds);
    try {
      return await gate.run(() => source.fetch(keys, signal));
    } catch (error) {
      // What a source throws is an outage, never an absence; its text stays inside.
      const detail = error instanceof StrongroomError ? error.message : undefined;
      const failed: Fetched = {
        kind: 'failed',
        failure: 'source-unavailable',
        ...(detail === undefined ? {} : { detail }),
      };
      return new Map(keys.map(({ key }) => [key, failed]));
    }
  }
}

const absent: Fetched = { kind: 'failed', failure: 'source-unavailable' };

function fail(step: Progress, failure: Failure, detail?: string): void {
  step.failure = failure;
  step.detail = detail;
}

function take(step: Progress, fetched: Fetched, values: LaunchValues, milliseconds: number): void {
  step.milliseconds = milliseconds;
  if (fetched.kind === 'failed') {
    fail(step, fetched.failure, fetched.detail);
    return;
  }
  values.own(fetched.value);
  step.version = fetched.version;
  step.fingerprint = fetched.fingerprint;
  const { field } = step.wanted.reference;
  if (field === undefined) {
    values.set(wantedId(step.wanted), fetched.value);
    return;
  }
  const picked = pickField(fetched.value, field);
  if (picked === null) fail(step, 'field-missing');
  else values.set(wantedId(step.wanted), picked);
}

/** One field of a multi-field value: a text as it is, anything else as its JSON, numbers digit by digit. */
export function pickField(value: SecretValue, field: string): SecretValue | null {
  let fields: unknown;
  try {
    fields = parseJson(value.revealText());
  } catch {
    // Not JSON: the parser's message would quote the value.
    return null;
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || !Object.hasOwn(fields, field))
    return null;
  const picked = (fields as Record<string, unknown>)[field];
  if (typeof picked === 'string') return SecretValue.fromText(picked);
  return SecretValue.fromText(stringifyJson(picked) ?? 'null');
}

function resultOf(
  step: Progress,
  request: ResolveRequest,
  ok: boolean,
  inspection: Inspection | undefined,
): ReferenceResult {
  const { wanted, target } = step;
  const isWithheld = !ok && step.failure === null && !request.readsAll;
  const outcome: ResolveOutcome = step.failure ?? (isWithheld ? 'withheld' : 'resolved');
  const draft: ReceiptDraft = {
    name: wanted.name,
    pointer: wanted.pointer,
    reference: wanted.text,
    secretId: target.secret?.id ?? null,
    sourceId: target.source?.id ?? '',
    sourceName: target.source?.name ?? wanted.reference.source,
    targetKey: wanted.reference.key,
    version: step.version,
    fingerprint: step.fingerprint,
    outcome,
    milliseconds: step.milliseconds,
    unmasked: inspection?.unmasked.get(wantedId(wanted)) ?? null,
  };
  if (outcome === 'resolved') return draft;
  const { cause, fixableBy } = explainFailure(
    outcome,
    { domain: request.domain.name, reference: wanted.reference },
    step.detail,
  );
  return { ...draft, cause, fixableBy };
}

const denials: ReadonlySet<ResolveOutcome> = new Set([
  'use-missing',
  'authoriser-gone',
  'not-yours',
  'feature-disabled',
  'source-changed',
]);

function eventOf(step: Progress, request: ResolveRequest, outcome: ResolveOutcome): AuditEvent {
  const { wanted, target, because } = step;
  const { subject, domain } = request;
  return {
    principal: subject.id,
    principalName: subject.name,
    action: request.verb,
    outcome: outcome === 'resolved' ? 'allowed' : denials.has(outcome) ? 'denied' : 'failed',
    scope: { id: domain.id, name: domain.name },
    object: { type: 'secret', id: target.secret?.id ?? '', name: wanted.reference.key },
    ...(subject.requestId === undefined ? {} : { requestId: subject.requestId }),
    ...(subject.network === undefined ? {} : { network: subject.network }),
    ...(request.launchId === undefined ? {} : { launch: request.launchId }),
    reference: wanted.text,
    source: target.source?.name ?? wanted.reference.source,
    ...(step.version === null ? {} : { version: step.version }),
    because,
    detail: { variable: wanted.name, result: outcome, authorisedBy: wanted.authorisers.join(' ') },
  };
}
