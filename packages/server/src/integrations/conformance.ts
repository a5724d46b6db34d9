import { formatReference, StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';
import type { AssetRef, Caller } from '../access/types.ts';
import { listedPages } from '../listed-pages.ts';
import type { Store } from '../store/store.ts';
import { integrationEvent } from './events.ts';
import type { OpenedBackends } from './opened-backends.ts';
import type { ConformanceView } from './views.ts';

/** Milliseconds for all checks; what was not reached by then is not tried. */
const deadlineMilliseconds = 45_000;
const checkMilliseconds = 10_000;
/** As many keys as one run reads. */
const maxKeys = 20;

/** Versions in the backend's own form that no entry ever had. */
const unknownVersions: Readonly<Record<string, string>> = {
  VAULT: '99999',
  AWS: '00000000-0000-4000-8000-000000000000',
  GOOGLE: '999999999',
  AZURE: '0'.repeat(32),
};

/**
 * Runs the suite that every backend passes against somebody's own, where the credentials are. It reads a few keys, each on
 * record before, keeps nothing of them, and has no place to write to.
 */
export class IntegrationConformance {
  readonly #store: Store;
  readonly #backends: OpenedBackends;
  readonly #underWay = new Set<string>();

  constructor(store: Store, backends: OpenedBackends) {
    this.#store = store;
    this.#backends = backends;
  }

  /**
   * @param given keys that are there; without them the first ones that it lists
   * @throws StrongroomError `state_conflict` while another run of it goes on; what keeps it from being opened
   */
  async run(
    caller: Caller,
    asset: AssetRef,
    given: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<ConformanceView> {
    if (this.#underWay.has(asset.id))
      throw new StrongroomError('state_conflict', { detail: 'Another run of the suite goes on.' });
    this.#underWay.add(asset.id);
    try {
      return await this.#run(
        caller,
        asset,
        given,
        AbortSignal.any([signal, AbortSignal.timeout(deadlineMilliseconds)]),
      );
    } finally {
      this.#underWay.delete(asset.id);
    }
  }

  async #run(
    caller: Caller,
    asset: AssetRef,
    given: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<ConformanceView> {
    await this.#record(caller, asset, ['conformance', 'begin']);
    const { backend, row, keyPrefix } = await this.#backends.openAt(asset.id);
    const keys = given ?? (await firstKeys(backend, signal));
    // Without known keys the suite would look for some by itself, and read what is not on record.
    if (typeof keys === 'string') {
      await this.#record(caller, asset, ['conformance', 'end', noKeys.name], false);
      return { ok: false, isComplete: false, keys: 0, checks: [{ ...noKeys, reason: keys, durationMilliseconds: 0 }] };
    }
    await this.#recordReads(caller, asset, keys);
    const { conformanceChecks, runConformance } = await import('@strongroom/backends/conformance');
    const unknownVersion = unknownVersions[row.type];
    const results = await runConformance(
      {
        open: () => this.#backends.openAnother(asset.id),
        existingKeys: keys,
        keyPrefix,
        ...(unknownVersion === undefined ? {} : { unknownVersion }),
        sizes: { checkMs: checkMilliseconds },
      },
      { signal },
    );
    const failed = results.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name);
    const isComplete = results.length === conformanceChecks.length;
    const ok = failed.length === 0 && isComplete;
    await this.#record(caller, asset, ['conformance', 'end', ...failed], ok);
    return {
      ok,
      isComplete,
      keys: keys.length,
      checks: results.map(({ name, about, outcome, reason, durationMs }) => ({
        name,
        about,
        outcome,
        ...(reason === undefined ? {} : { reason }),
        durationMilliseconds: durationMs,
      })),
    };
  }

  async #record(caller: Caller, asset: AssetRef, because: readonly string[], ok = true): Promise<void> {
    const event = integrationEvent(caller, asset.scope, 'integration.test', asset, because);
    const outcome = ok ? 'allowed' : 'failed';
    await this.#store.execute('access.record', undefined, { audit: [{ ...event, outcome }] });
  }

  /** What is read is on record before. */
  async #recordReads(caller: Caller, asset: AssetRef, keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const event = integrationEvent(caller, asset.scope, 'integration.test', asset, ['conformance', 'read']);
    const audit = keys.map((key) => ({
      ...event,
      reference: formatReference({ scope: asset.scope.kind, source: asset.name, key }),
      source: asset.name,
    }));
    await this.#store.execute('access.record', undefined, { audit });
  }
}

const noKeys = { name: 'keys-to-read', about: 'There are keys to try with', outcome: 'failed' } as const;

/** Some keys, or why there are none. */
async function firstKeys(backend: Backend, signal: AbortSignal): Promise<readonly string[] | string> {
  if (!backend.capabilities.list) return 'it has no list; name keys that are there';
  const keys: string[] = [];
  try {
    for await (const page of listedPages((start) => backend.list({ limit: maxKeys, signal, ...start }))) {
      keys.push(...page.items.map(({ key }) => key));
      if (keys.length >= maxKeys) break;
    }
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    // Who may not list may read all the same.
    return `listing its keys: ${error.code}${error.code === 'backend_denied' ? '; name keys that are there' : ''}`;
  }
  return keys.length === 0 ? 'it lists no key' : keys.slice(0, maxKeys);
}
