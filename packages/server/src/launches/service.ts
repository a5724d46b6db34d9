import { StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, Resource, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { newId } from '../store/ids.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import { launchableOf } from '../surfaces/registry.ts';
import { configurationOf, findConfiguration } from '../surfaces/rows.ts';
import { refuseSave } from '../surfaces/save-check.ts';
import { assetOf, timeText } from '../surfaces/views.ts';
import { type Asked, askedReferences, configurationIn, type LaunchBody, requireOne, uniqueNames } from './asked.ts';
import { checkBinding, packDelivery } from './commands.ts';
import { referenceError } from './outcomes.ts';
import { planLaunch } from './plan.ts';
import { deliveryTime, readRequested, toRequested } from './requested.ts';
import { bindingOf, findLaunch, findLaunchScope, type LaunchRow } from './rows.ts';
import { type Need, type ReferenceResult, type Release, type Resolution, type Resolver } from './resolve.ts';
import { receiptRow } from './receipts.ts';
import { type EphemeralKey, type Recipient, type Sealer, sealValues } from './sealer.ts';
import { decideUse, findTarget } from './targets.ts';
import { type AuthorisedWanted, wantedId } from './wanted.ts';

/** How long an undelivered launch can be resolved, and how long a delivered one counts as running without a heartbeat. */
const launchTimes = { lifetimeMilliseconds: 300_000, leaseMilliseconds: 120_000 } as const;

export interface Delivered {
  readonly jwe: string;
  readonly expiresAt: string;
  readonly heartbeatUntil: string;
}

export interface LaunchParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly resolver: Resolver;
  readonly sealer: Sealer;
}

/** Values for workloads: asked for, then delivered sealed to a key that only the workload has. */
export class LaunchService {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #resolver: Resolver;
  readonly #sealer: Sealer;

  constructor({ store, access, resolver, sealer }: LaunchParts) {
    this.#store = store;
    this.#access = access;
    this.#resolver = resolver;
    this.#sealer = sealer;
  }

  /**
   * Records who asks for what. Nothing is read yet; what is known not to resolve is refused here.
   * @throws StrongroomError `validation_failed`, `reference_unresolved`, `permission_missing`, `not_found`
   */
  async create(
    caller: Caller,
    domain: ScopeRef,
    body: LaunchBody,
    idempotency?: IdempotencyKey,
  ): Promise<{
    readonly id: string;
    readonly expiresAt: string;
    readonly references: { readonly name: string; readonly reference: string }[];
  }> {
    requireOne(body);
    const result = await this.#access.decided(caller, async (current) => {
      const named = configurationIn(body);
      const asked =
        named === undefined
          ? askedReferences(current.id, domain, body.references ?? [])
          : await this.#askedConfiguration(current, domain, named);
      await this.#checkNow(current, domain, asked.wanted);
      const decision = await this.#access.require(current, 'launch.create', { kind: 'scope', scope: domain });
      const id = newId('launch');
      const event: AuditEvent = {
        principal: caller.id,
        principalName: caller.name,
        action: 'launch.create',
        outcome: 'allowed',
        scope: { id: domain.id, name: domain.name },
        requestId: caller.requestId,
        network: caller.network,
        launch: id,
        because: decision.because,
        detail: { references: asked.wanted.length },
        ...(asked.job === undefined
          ? {}
          : { object: { type: asked.job.surface, id: asked.job.id, name: asked.job.name } }),
      };
      return this.#store.execute(
        'launches.create',
        {
          id,
          scopeId: domain.id,
          subjectId: caller.id,
          configurationId: asked.job?.id ?? null,
          configurationRevision: asked.job?.revision ?? null,
          requested: JSON.stringify(asked.wanted.map(toRequested)),
          lifetimeMilliseconds: launchTimes.lifetimeMilliseconds,
        },
        {
          audit: [event],
          expectAuthorisationRevision: current.snapshot.revision,
          ...(idempotency === undefined ? {} : { idempotency }),
        },
      );
    });
    const row = await findLaunch(this.#store, result.id);
    const references = row === undefined ? [] : readRequested(row).map(({ name, text }) => ({ name, reference: text }));
    return { id: result.id, expiresAt: timeText(result.expiresAt), references };
  }

  /**
   * Delivers the values, sealed to `key`. The first key binds the launch; it may ask again for 60 s.
   * @throws StrongroomError `not_found` (also for another subject's launch), `launch_refused`, `launch_expired`,
   * `delivery_bound`, `audit_unavailable`
   */
  async resolve(caller: Caller, id: string, key: EphemeralKey, signal?: AbortSignal): Promise<Delivered> {
    const finding = this.#own(caller, id);
    const { row, domain } = finding instanceof Promise ? await finding : finding;
    const scope: Resource = { kind: 'scope', scope: domain };
    // What is refused is recorded; what isn't needs no waiting.
    if (!this.#access.decide(caller.snapshot, 'launch.create', scope).allow)
      await this.#access.require(caller, 'launch.create', scope);
    const recognised = this.#sealer.recipient(key);
    const recipient = recognised instanceof Promise ? await recognised : recognised;
    const needs: Need[] = [{ action: 'launch.create', resource: scope }];
    if (row.configuration_id !== null) needs.push(...(await this.#configurationNeeds(row.configuration_id, domain)));
    const wanted = readRequested(row);
    const resolution = await this.#deliver(caller, domain, id, recipient, { needs, wanted, signal });
    if (!resolution.ok) throw refusal(domain, wanted, resolution.results);
    try {
      const { values } = resolution;
      const sealed = sealValues(
        recipient,
        id,
        wanted.map((item) => ({ name: item.name, value: values.get(wantedId(item)) })),
      );
      const jwe = sealed instanceof Promise ? await sealed : sealed;
      return { jwe, expiresAt: deliveryTime(row.expires_at), heartbeatUntil: deliveryTime(resolution.committed) };
    } finally {
      resolution.values.destroy();
    }
  }

  /** The workload still runs. @throws StrongroomError `not_found`, `state_conflict` */
  async heartbeat(caller: Caller, id: string): Promise<{ readonly heartbeatUntil: string }> {
    await this.#own(caller, id);
    const { heartbeatUntil } = await this.#store.execute('launches.heartbeat', {
      id,
      leaseMilliseconds: launchTimes.leaseMilliseconds,
    });
    return { heartbeatUntil: timeText(heartbeatUntil) };
  }

  /** The workload has ended. @throws StrongroomError `not_found` */
  async end(caller: Caller, id: string): Promise<void> {
    const { domain } = await this.#own(caller, id);
    const event: AuditEvent = {
      principal: caller.id,
      principalName: caller.name,
      action: 'launch.end',
      outcome: 'allowed',
      scope: { id: domain.id, name: domain.name },
      requestId: caller.requestId,
      network: caller.network,
      launch: id,
    };
    await this.#store.execute('launches.end', { id }, { audit: [event] });
  }

  /** Another subject's launch, a run's and none at all are the same. */
  #own(caller: Caller, id: string): MaybePromise<OwnLaunch> {
    return andThen(findLaunch(this.#store, id), (row) => {
      if (row === undefined || row.kind !== 'workload' || row.subject_id !== caller.id)
        throw new StrongroomError('not_found');
      return andThen(findLaunchScope(this.#store, row.scope_id), (domain) => {
        if (domain === undefined) throw new StrongroomError('not_found');
        return { row, domain };
      });
    });
  }

  /**
   * The commit says whether the launch may be delivered, and to this key: what is kept here is opened in less time than a look
   * beforehand takes. Before a backend is asked for values, or a refusal is written, it is looked at as well.
   */
  async #deliver(
    caller: Caller,
    domain: ScopeRef,
    id: string,
    { thumbprint }: Recipient,
    { needs, wanted, signal }: Asking,
  ): Promise<Resolution<number>> {
    const checkNow = async (): Promise<void> => {
      const row = await this.#store.first(bindingOf, [id]);
      if (row === undefined) throw new StrongroomError('not_found');
      checkBinding(row, thumbprint, this.#store.now());
    };
    try {
      return await this.#resolver.resolve({
        verb: 'launch.resolve',
        domain,
        launchId: id,
        subject: caller,
        needs,
        wanted,
        readsAll: false,
        ...(signal === undefined ? {} : { signal }),
        beforeAsking: checkNow,
        commit: (release) => this.#commit(domain, id, thumbprint, release),
        refuse: async ({ receipts, audit }) => {
          await checkNow();
          await this.#store.execute(
            'launches.refuse',
            { id, scopeId: domain.id, receipts: receipts.map(receiptRow) },
            { audit },
          );
        },
      });
    } catch (error) {
      if (isBindingRefusal(error)) await this.#alarmAtAnotherKey(caller, domain, id, thumbprint);
      throw error;
    }
  }

  #commit(
    domain: ScopeRef,
    id: string,
    thumbprint: string,
    { receipts, secretIds, audit, revision }: Release,
  ): Promise<number> {
    const delivery = packDelivery({
      id,
      scopeId: domain.id,
      thumbprint,
      leaseMilliseconds: launchTimes.leaseMilliseconds,
      receipts: receipts.map(receiptRow),
      secretIds,
    });
    return this.#store.execute('launches.deliver', delivery, { audit, expectAuthorisationRevision: revision });
  }

  async #alarmAtAnotherKey(caller: Caller, domain: ScopeRef, id: string, thumbprint: string): Promise<void> {
    const row = await this.#store.first(bindingOf, [id]);
    const bound = row?.jwk_thumbprint ?? null;
    if (bound !== null && bound !== thumbprint) await this.#alarm(caller, domain, id);
  }

  /** Somebody with the workload's credential tries to receive its values with another key. */
  async #alarm(caller: Caller, domain: ScopeRef, launch: string): Promise<void> {
    const event: AuditEvent = {
      principal: caller.id,
      principalName: caller.name,
      action: 'alarm',
      outcome: 'denied',
      scope: { id: domain.id, name: domain.name },
      requestId: caller.requestId,
      network: caller.network,
      launch,
      because: ['delivery_bound'],
    };
    await this.#store.execute('launches.record', undefined, { audit: [event] });
  }

  async #configurationNeeds(configurationId: string, domain: ScopeRef): Promise<readonly Need[]> {
    const row = await configurationOf(this.#store, configurationId);
    if (row === undefined || row.deleted_at !== null)
      throw new StrongroomError('launch_refused', { detail: 'The configuration was deleted.' });
    if (row.is_suspended === 1) throw new StrongroomError('launch_refused', { detail: `${row.name} is suspended.` });
    return (await planLaunch(this.#store, domain, row)).needs;
  }

  async #askedConfiguration(
    caller: Caller,
    domain: ScopeRef,
    { surface: type, name }: { readonly surface: string; readonly name: string },
  ): Promise<Asked> {
    const surface = launchableOf(type);
    const row = await findConfiguration(this.#store, domain.id, surface.type, name);
    if (row === undefined) throw new StrongroomError('not_found');
    await this.#access.require(caller, surface.launch.action, { kind: 'asset', asset: assetOf(row, domain) });
    if (row.is_suspended === 1) throw new StrongroomError('state_conflict', { detail: `${name} is suspended.` });
    const { wanted, needs, problems } = await planLaunch(this.#store, domain, row, [caller.id]);
    for (const { action, resource, by } of needs)
      if (by === undefined) await this.#access.require(caller, action, resource);
    if (problems.length > 0) throw new StrongroomError('launch_refused', { detail: problems.join(' ') });
    return { job: row, wanted: uniqueNames(wanted) };
  }

  /** What is known to fail fails before a launch exists. */
  async #checkNow(caller: Caller, domain: ScopeRef, wanted: readonly AuthorisedWanted[]): Promise<void> {
    const problems = [];
    // What a storage configuration refers to is for those who put it there; who uses it needs CONSUME.
    for (const item of wanted.filter(({ authorisers }) => authorisers.includes(caller.id))) {
      const target = await findTarget(this.#store, domain, item.reference);
      const { failure, because } = await decideUse(
        this.#access,
        caller.snapshot,
        domain,
        item.reference,
        target,
        item.ownedBy,
      );
      if (failure !== null)
        problems.push({
          failure,
          wanted: item,
          because,
          error: referenceError(failure, { ...item, domain: domain.name }),
        });
    }
    if (problems.length > 0) await refuseSave(this.#store, caller, domain, problems);
  }
}

interface Asking {
  readonly needs: readonly Need[];
  readonly wanted: readonly AuthorisedWanted[];
  readonly signal: AbortSignal | undefined;
}

interface OwnLaunch {
  readonly row: LaunchRow;
  readonly domain: ScopeRef;
}

function refusal(
  domain: ScopeRef,
  wanted: readonly AuthorisedWanted[],
  results: readonly ReferenceResult[],
): StrongroomError {
  const errors = results.flatMap((result, index) => {
    const item = wanted[index];
    if (item === undefined || result.outcome === 'resolved' || result.outcome === 'withheld') return [];
    return [referenceError(result.outcome, { ...item, domain: domain.name })];
  });
  return new StrongroomError('launch_refused', {
    detail: `${errors.length} of ${wanted.length} references did not resolve; nothing was delivered.`,
    errors,
  });
}

function isBindingRefusal(error: unknown): boolean {
  return error instanceof StrongroomError && (error.code === 'delivery_bound' || error.code === 'launch_expired');
}
