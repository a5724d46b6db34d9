import { StrongroomError } from '@strongroom/contract';
import type { ManagedWrites } from '../managed-stores/writes.ts';
import type { WritePlan } from '../managed-stores/plan.ts';
import type { IdempotencyKey, Writer } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { ParsedValue } from './values.ts';

/** A scope's managed store. */
export interface ManagedSource {
  readonly id: string;
  readonly type: Tables['sources']['type'];
}

export interface SecretWrite {
  /** Commits it where the values are in the database; elsewhere the intent, before anything is put. */
  readonly writer: Writer;
  readonly scopeId: string;
  readonly source: ManagedSource;
  readonly key: string;
  readonly plan: WritePlan;
  /** Null for a purge. The caller destroys its value. */
  readonly parsed: ParsedValue | null;
  readonly idempotency?: IdempotencyKey | undefined;
}

/** For reading an old version back, in milliseconds. */
const readMilliseconds = 20_000;

/** Makes changes of values durable where the scope keeps them. */
export class SecretWrites {
  readonly #outside: ManagedWrites | null;

  /** @param outside for scopes whose values aren't in the database; null: this server has none */
  constructor(outside: ManagedWrites | null) {
    this.#outside = outside;
  }

  /**
   * @returns the secret that it was about; of a request that is repeated, that of the first one, where that is known
   * @throws StrongroomError those of the change; those of a backend
   */
  async write({ writer, source, plan, parsed, idempotency, scopeId, key }: SecretWrite): Promise<string | undefined> {
    if (source.type !== 'DATABASE') {
      const content = parsed === null ? null : { value: parsed.value, shape: parsed.shape };
      return this.#requireOutside().write({
        writer,
        scopeId,
        sourceId: source.id,
        key,
        plan,
        content,
        ...(idempotency && { idempotency }),
      });
    }
    const options = { audit: [plan.audit], ...(idempotency && { idempotency }) };
    // What an earlier version of the server kept of a rotation has no id.
    let answer: { readonly id?: string } | undefined;
    if (plan.kind === 'create') answer = await writer.execute('secret.create', plan.args, options);
    else if (plan.kind === 'set') answer = await writer.execute('secret.setValue', plan.args, options);
    else await writer.execute('secret.purge', plan.args, options);
    return answer?.id;
  }

  /**
   * An older version's value, from a store outside the database. The caller destroys it.
   * @throws StrongroomError `not_supported` where older versions can't be read; `backend_deleted` when it is gone
   */
  async readVersion(
    source: ManagedSource,
    key: string,
    version: Pick<Tables['secret_versions'], 'backend_version'>,
  ): Promise<ParsedValue> {
    const backend = await this.#requireOutside().backend(source.id);
    if (!backend.capabilities.versions || version.backend_version === null)
      throw new StrongroomError('not_supported', {
        detail: 'The managed store of this scope keeps no older versions.',
        hint: 'Give the secret its old value with strongroom secret rotate.',
      });
    const signal = AbortSignal.timeout(readMilliseconds);
    const entry = await backend.get(key, { version: version.backend_version, signal });
    if (entry === null)
      throw new StrongroomError('backend_deleted', {
        detail: 'The managed store has that version no longer.',
        hint: 'Roll back to another one, or give the secret its old value with strongroom secret rotate.',
      });
    const { value, shape, fieldNames } = entry;
    return { value, shape, fieldNames: fieldNames === null ? null : JSON.stringify(fieldNames) };
  }

  #requireOutside(): ManagedWrites {
    if (this.#outside !== null) return this.#outside;
    throw new StrongroomError('not_supported', {
      detail: 'This server is not configured for the managed store of this scope.',
    });
  }
}
