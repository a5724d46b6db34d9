import { type Action, type ActionRow, actionTable, type ResolveOutcome, StrongroomError } from '@strongroom/contract';
import type { Access, AccessSnapshot, Resource, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { allOf, andThen, type MaybePromise } from '../store/maybe-promise.ts';
import type { Store } from '../store/store.ts';
import { Fetcher, type ReportError } from './fetcher.ts';
import { LaunchTimes } from './launch-times.ts';
import { LaunchValues } from './launch-values.ts';
import { explainFailure } from './outcomes.ts';
import { fail, type Progress } from './progress.ts';
import type { Sources } from './sources/source.ts';
import { decideUse, findTarget, type Target, type UseDecision } from './targets.ts';
import { type AuthorisedWanted, wantedId } from './wanted.ts';

/**
 * How long a launch goes on deciding again while access changes under it. Changes come in bursts (a manifest applied), and a
 * run that fails for somebody else's is worse than one that starts a moment later.
 */
const decisionMilliseconds = 10_000;

/** On whose behalf: what audit records say, and whose permissions `needs` are decided for. */
export interface LaunchSubject {
  readonly id: string;
  readonly name: string;
  readonly requestId?: string;
  readonly network?: string;
  /** Of this request; the first attempt believes it, and the commit checks its revision. */
  readonly snapshot?: AccessSnapshot;
}

export interface Need {
  readonly action: Action;
  readonly resource: Resource;
  /** Whose permission it takes; absent: the subject's. */
  readonly by?: string;
}

/** @typeParam Committed what `commit` answers */
export interface ResolveRequest<Committed = void> {
  readonly verb: 'launch.resolve' | 'preflight' | 'surface.test' | 'surface.use';
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
  /**
   * Before a source is asked over a network: throws when what is then committed would be refused anyway. Without it the
   * commit alone says so.
   */
  readonly beforeAsking?: () => Promise<void>;
  /** Step 4, all resolved: makes `release` durable with `expectAuthorisationRevision: release.revision`. */
  readonly commit: (release: Release) => Promise<Committed>;
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

export type Resolution<Committed = void> =
  | {
      readonly ok: true;
      readonly values: LaunchValues;
      readonly results: readonly ReferenceResult[];
      readonly committed: Committed;
    }
  | { readonly ok: false; readonly results: readonly ReferenceResult[]; readonly problems: readonly string[] };

/** The six steps of a launch, the one way by which a value leaves the store. */
export class Resolver {
  readonly #store: Store;
  readonly #access: Access;
  readonly #fetcher: Fetcher;
  readonly #times: LaunchTimes;
  readonly #areReferencesEnabled: () => MaybePromise<boolean>;

  constructor(
    store: Store,
    access: Access,
    sources: Sources,
    areReferencesEnabled: () => MaybePromise<boolean>,
    report: ReportError,
  ) {
    this.#store = store;
    this.#access = access;
    this.#fetcher = new Fetcher(sources, report);
    this.#times = new LaunchTimes(store);
    this.#areReferencesEnabled = areReferencesEnabled;
  }

  /** Writes what is still to be noted of past launches. */
  async close(): Promise<void> {
    await this.#times.close();
  }

  /**
   * All values or none. The caller destroys `values`.
   * @throws StrongroomError `permission_missing` when a need isn't met, which is recorded; `audit_unavailable`, `storage_unavailable`;
   * `version_conflict` when access kept changing
   */
  async resolve<Committed>(request: ResolveRequest<Committed>): Promise<Resolution<Committed>> {
    const giveUpAt = performance.now() + decisionMilliseconds;
    for (let isFirst = true; ; isFirst = false) {
      const values = new LaunchValues();
      let isReleased = false;
      try {
        const resolution = await this.#attempt(request, values, isFirst);
        isReleased = resolution.ok;
        return resolution;
      } catch (error) {
        const isConflict = error instanceof StrongroomError && error.code === 'version_conflict';
        if (!isConflict || performance.now() > giveUpAt) throw error;
      } finally {
        if (!isReleased) values.destroy();
      }
    }
  }

  async #attempt<Committed>(
    request: ResolveRequest<Committed>,
    values: LaunchValues,
    isFirst: boolean,
  ): Promise<Resolution<Committed>> {
    // What is managed here is decided and read without waiting; the commit is the one wait.
    const deciding = this.#decide(request, isFirst);
    const { progress, revision } = deciding instanceof Promise ? await deciding : deciding;
    const isRefused = progress.some(({ failure }) => failure !== null);
    if (!isRefused || request.readsAll) {
      const { signal, beforeAsking } = request;
      const fetching = this.#fetcher.fetch(progress, values, { signal, beforeAsking });
      if (fetching !== undefined) await fetching;
    }
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
    const committed = await request.commit(release);
    if (request.verb === 'launch.resolve' || request.verb === 'surface.use')
      this.#times.note(release.secretIds, Date.now());
    return { ok: true, values, results, committed };
  }

  /** Step 2. Every snapshot it uses counts for `revision`: the commit refuses when any of them is no longer current. */
  #decide(request: ResolveRequest<unknown>, isFirst: boolean): MaybePromise<Decided> {
    const { domain, wanted } = request;
    const decideAll = (snapshots: Snapshots, isEnabled: boolean): MaybePromise<Decided> => {
      const steps = wanted.map((item) =>
        andThen(findTarget(this.#store, domain, item.reference), (target) => {
          if (!isEnabled && item.kind !== 'placeholder')
            return stepOf(item, target, { failure: 'feature-disabled', because: ['feature-disabled'] });
          return andThen(this.#decideOne(domain, item, target, snapshots), (decision) =>
            stepOf(item, target, decision),
          );
        }),
      );
      return andThen(allOf(steps), (progress) => ({ progress, revision: lowestRevision(snapshots) }));
    };
    return andThen(this.#snapshots(request, isFirst), (snapshots) =>
      andThen(this.#checkNeeds(request, snapshots), () =>
        andThen(wanted.length === 0 || this.#areReferencesEnabled(), (isEnabled) => decideAll(snapshots, isEnabled)),
      ),
    );
  }

  /** Of everybody whose permissions count. */
  #snapshots({ subject, wanted, needs }: ResolveRequest<unknown>, isFirst: boolean): MaybePromise<Snapshots> {
    const snapshots = new Map<string, AccessSnapshot | null>();
    if (subject.snapshot !== undefined && isFirst) snapshots.set(subject.id, subject.snapshot);
    let read: MaybePromise<Snapshots> = snapshots;
    const add = (id: string): void => {
      if (snapshots.has(id)) return;
      read = andThen(read, () => andThen(this.#access.snapshot(id), (snapshot) => snapshots.set(id, snapshot)));
    };
    add(subject.id);
    for (const { by } of needs) if (by !== undefined) add(by);
    for (const { authorisers } of wanted) for (const id of authorisers) add(id);
    return read;
  }

  #checkNeeds(request: ResolveRequest<unknown>, snapshots: Snapshots): MaybePromise<void> {
    for (const need of request.needs) {
      const snapshot = snapshots.get(need.by ?? request.subject.id) ?? null;
      const decision =
        snapshot === null
          ? { allow: false, because: ['no-principal'] }
          : this.#access.decide(snapshot, need.action, need.resource);
      if (!decision.allow) return this.#refuseNeed(request, need, decision.because);
    }
  }

  /** Recorded before it is answered, as every refusal is. */
  async #refuseNeed(
    { subject, domain, launchId }: ResolveRequest<unknown>,
    { action, resource, by = subject.id }: Need,
    because: readonly string[],
  ): Promise<never> {
    const asset = resource.kind === 'asset' ? resource.asset : null;
    const event: Writable<AuditEvent> = {
      principal: subject.id,
      principalName: subject.name,
      action,
      outcome: 'denied',
      scope: { id: domain.id, name: domain.name },
      because,
    };
    if (asset !== null) event.object = { type: asset.type, id: asset.id, name: asset.name };
    if (by !== subject.id) event.detail = { authorisedBy: by };
    if (subject.requestId !== undefined) event.requestId = subject.requestId;
    if (subject.network !== undefined) event.network = subject.network;
    if (launchId !== undefined) event.launch = launchId;
    await this.#store.execute('launches.record', undefined, { audit: [event] });
    const who = by === subject.id ? subject.name : 'Who saved it';
    const row: ActionRow = actionTable[action];
    const word = row.on === 'asset' ? row.permission : action;
    const what = asset === null ? '' : ` on ${asset.type} ${asset.name}`;
    const detail = `${who} has no ${word}${what} any more; whoever has MANAGE_ACCESS in ${domain.name} can grant it.`;
    throw new StrongroomError('permission_missing', { detail });
  }

  #decideOne(
    domain: ScopeRef,
    wanted: AuthorisedWanted,
    target: Target,
    snapshots: Snapshots,
  ): MaybePromise<UseDecision> {
    if (wanted.sourceId !== null && target.source !== null && target.source.id !== wanted.sourceId)
      return { failure: 'source-changed', because: ['source-changed'] };
    let all: MaybePromise<UseDecision> = { failure: null, because: [] };
    for (const id of wanted.authorisers)
      all = andThen(all, (before) => {
        if (before.failure !== null) return before;
        const snapshot = snapshots.get(id) ?? null;
        if (snapshot === null) return { failure: 'authoriser-gone', because: ['no-principal'] };
        return andThen(
          decideUse(this.#access, snapshot, domain, wanted.reference, target, wanted.ownedBy),
          (decision) =>
            decision.failure !== null || before.because.length === 0
              ? decision
              : { failure: null, because: [...new Set([...before.because, ...decision.because])] },
        );
      });
    return all;
  }
}

type Snapshots = ReadonlyMap<string, AccessSnapshot | null>;

interface Decided {
  readonly progress: readonly Progress[];
  readonly revision: number;
}

function stepOf(wanted: AuthorisedWanted, target: Target, { failure, because }: UseDecision): Progress {
  return {
    wanted,
    target,
    because,
    failure,
    detail: undefined,
    version: null,
    fingerprint: null,
    milliseconds: 0,
  };
}

function lowestRevision(snapshots: Snapshots): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (const snapshot of snapshots.values())
    if (snapshot !== null && snapshot.revision < lowest) lowest = snapshot.revision;
  return lowest;
}

function resultOf(
  step: Progress,
  request: ResolveRequest<unknown>,
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

function eventOf(step: Progress, request: ResolveRequest<unknown>, outcome: ResolveOutcome): AuditEvent {
  const { wanted, target, because } = step;
  const { subject, domain } = request;
  const authorisedBy = wanted.authorisers.join(' ');
  const detail: Record<string, string> = { variable: wanted.name };
  if (outcome !== 'resolved') detail['result'] = outcome;
  if (authorisedBy !== subject.id) detail['authorisedBy'] = authorisedBy;
  const event: Writable<AuditEvent> = {
    principal: subject.id,
    principalName: subject.name,
    action: request.verb,
    outcome: outcome === 'resolved' ? 'allowed' : denials.has(outcome) ? 'denied' : 'failed',
    scope: { id: domain.id, name: domain.name },
    // Whoever reads the domain's audit is not told whether there is one that the domain has not.
    object: { type: 'secret', id: outcome === 'missing' ? '' : (target.secret?.id ?? ''), name: wanted.reference.key },
    reference: wanted.text,
    source: target.source?.name ?? wanted.reference.source,
    because,
    detail,
  };
  // Assigned, not spread: one of these is made for each value that is delivered.
  if (subject.requestId !== undefined) event.requestId = subject.requestId;
  if (subject.network !== undefined) event.network = subject.network;
  if (request.launchId !== undefined) event.launch = request.launchId;
  if (step.version !== null) event.version = step.version;
  return event;
}

type Writable<Shape> = { -readonly [Name in keyof Shape]: Shape[Name] };
