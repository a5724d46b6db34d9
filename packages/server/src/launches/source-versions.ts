import { StrongroomError } from '@strongroom/contract';
import type { VersionAnswers } from '@strongroom/backends';
import type { OpenedBackends } from '../integrations/opened-backends.ts';
import type { Store } from '../store/store.ts';
import type { HeldKey } from './queries.ts';
import type { Observed } from './version-commands.ts';

/** Keys asked for in one round, over all integrations. */
const keysPerRound = 200;
/** A key is asked for at most so often. */
const everyMilliseconds = 60_000;
const askMilliseconds = 20_000;
const sourcesAtOnce = 4;

/**
 * Learns which versions backends of integrations have of the keys that something running got, for drift. Nothing else is asked
 * for, within a budget, and no value is read: what the backend or its policy does not say without one stays unknown, with the
 * reason.
 */
export class SourceVersions {
  readonly #store: Store;
  readonly #backends: Pick<OpenedBackends, 'open'>;

  constructor(store: Store, backends: Pick<OpenedBackends, 'open'>) {
    this.#store = store;
    this.#backends = backends;
  }

  /** One round. A source that is down holds up no other, and leaves what is known of it as it is, with its age. */
  async round(signal: AbortSignal, every = everyMilliseconds): Promise<void> {
    const now = this.#store.now();
    const due = await this.#store.query('launches.heldKeys', { now, before: now - every, limit: keysPerRound });
    const work = [...Map.groupBy(due, ({ source_id: id }) => id).values()].values();
    const worker = async (): Promise<void> => {
      for (const keys of work) if (!signal.aborted) await this.#ask(keys, signal);
    };
    await Promise.all(Array.from({ length: sourcesAtOnce }, worker));
  }

  async #ask(held: readonly HeldKey[], signal: AbortSignal): Promise<void> {
    const [first] = held;
    if (first === undefined) return;
    await this.#record(first, held.length);
    const keys = held.map(({ key }) => key);
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(askMilliseconds)]);
    const observed = await this.#versionsOf(first.source_id, keys, bounded);
    if (!signal.aborted) await this.#store.execute('launches.observed', observed);
  }

  async #record(of: HeldKey, keys: number): Promise<void> {
    await this.#store.execute('access.record', undefined, {
      audit: [
        {
          principal: 'system',
          principalName: 'system',
          action: 'integration.refresh',
          outcome: 'allowed',
          scope: { id: of.scope_id, name: of.scope_name },
          object: { type: 'integration', id: of.source_id, name: of.source_name },
          because: ['drift'],
          detail: { keys },
        },
      ],
    });
  }

  async #versionsOf(sourceId: string, keys: readonly string[], signal: AbortSignal): Promise<Observed> {
    let answers: VersionAnswers;
    try {
      const backend = await this.#backends.open(sourceId);
      if (backend.versions === undefined) throw new StrongroomError('not_supported');
      answers = await backend.versions(keys, { signal });
    } catch (error) {
      const code = codeOf(error);
      return { sourceId, found: [], failed: keys.map((key) => ({ key, code })) };
    }
    const found: Observed['found'][number][] = [];
    const failed: Observed['failed'][number][] = [];
    for (const key of keys) {
      const answer = answers.get(key);
      if (answer === undefined) failed.push({ key, code: 'not_supported' });
      else if (answer === null) found.push({ key, version: null, isAbsent: true });
      else if (answer instanceof StrongroomError) {
        if (answer.code === 'backend_deleted') found.push({ key, version: null, isAbsent: true });
        else failed.push({ key, code: answer.code });
      } else found.push({ key, version: answer.version, isAbsent: false });
    }
    return { sourceId, found, failed };
  }
}

function codeOf(error: unknown): string {
  if (error instanceof StrongroomError) return error.code;
  throw error;
}
