import { setTimeout as sleep } from 'node:timers/promises';
import { foldKey, StrongroomError } from '@strongroom/contract';
import type { Backend, Content, Expectation } from '@strongroom/backends';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store, Writer } from '../store/store.ts';
import type { Begun } from './commands.ts';
import { type KnownEntries, readEntry } from './known-entries.ts';
import type { ManagedStores } from './opened-stores.ts';
import { secretIdOf, type WritePlan } from './plan.ts';
import type { EntryPlace, WriteSettler } from './settler.ts';

/** Instead of a backend's version, which may be any text: nothing is left to do. */
const done = Symbol('done');

/** How far a write has come, for drills that stop there. */
export type WriteStep = 'intent' | 'put' | 'committed';

export interface ManagedWritesParts {
  readonly store: Store;
  readonly stores: ManagedStores;
  readonly known: KnownEntries;
  readonly settler: WriteSettler;
  /** Told of each step once it is durable. */
  readonly reached?: (step: WriteStep) => void;
  /** How long a write is its writer's alone; tests shorten it. */
  readonly lifetimeMilliseconds?: number;
}

export interface ManagedWrite {
  /** Records the intent; what is put after that is committed whoever may what by then. */
  readonly writer: Writer;
  readonly scopeId: string;
  readonly sourceId: string;
  readonly key: string;
  readonly plan: WritePlan;
  /** What is put; the caller destroys it. Null for a purge. */
  readonly content: Content | null;
  readonly idempotency?: IdempotencyKey;
}

/** The backend's part ends well before the intent's time does: what follows it takes some, too. */
const lifetimeMilliseconds = 30_000;
const putShare = 2 / 3;
/** How long a write waits for another one of its key. */
const waitMilliseconds = 5_000;

/** Writes to stores outside the database: intent, put, commit. */
export class ManagedWrites {
  readonly #parts: ManagedWritesParts;
  readonly #lifetime: number;
  readonly #putMilliseconds: number;

  constructor(parts: ManagedWritesParts) {
    this.#parts = parts;
    this.#lifetime = parts.lifetimeMilliseconds ?? lifetimeMilliseconds;
    this.#putMilliseconds = Math.floor(this.#lifetime * putShare);
  }

  /** The backend of a scope. @throws StrongroomError `not_supported` */
  backend(sourceId: string): Promise<Backend> {
    return this.#parts.stores.of(sourceId);
  }

  /**
   * @throws StrongroomError those of the change itself; `limit_exceeded`; the backend's; `version_conflict`: read again and
   * repeat; `already_exists` and `state_conflict` when the entry there is somebody else's. After `backend_unavailable` and
   * `deadline_exceeded` the outcome can be unknown; it is found out later, by itself.
   * @returns the secret that it was about; of a request that is repeated, that of the first one, unless that is forgotten
   */
  async write(write: ManagedWrite): Promise<string | undefined> {
    const { stores } = this.#parts;
    const backend = await stores.of(write.sourceId);
    checkSize(write, backend);
    const id = newId('intent');
    const begun = await this.#begin(write, id);
    if (begun.id !== id) return this.#replay(write, begun.id);
    this.#parts.reached?.('intent');
    const row = { id, kind: write.plan.kind, source_id: write.sourceId, key: write.key };
    const version = await this.#change(write, backend, begun);
    if (version === done) return secretIdOf(write.plan);
    this.#parts.reached?.('put');
    await this.#parts.settler.commit(row, version, false);
    this.#parts.reached?.('committed');
    return secretIdOf(write.plan);
  }

  async #begin(write: ManagedWrite, id: string): Promise<Begun> {
    const { known, settler } = this.#parts;
    const { idempotency, writer } = write;
    const foldedKey = foldKey(write.key);
    const giveUpAt = performance.now() + waitMilliseconds;
    for (;;) {
      try {
        return await writer.execute(
          'managed.begin',
          {
            id,
            scopeId: write.scopeId,
            sourceId: write.sourceId,
            key: write.key,
            foldedKey,
            plan: write.plan,
            lifetimeMilliseconds: this.#lifetime,
            idempotency: idempotency === undefined ? null : nameOf(idempotency),
          },
          idempotency === undefined ? {} : { idempotency },
        );
      } catch (error) {
        const isConflict = error instanceof StrongroomError && error.code === 'version_conflict';
        const pending = isConflict ? await known.pending(write.sourceId, foldedKey) : undefined;
        // Another value came first: the caller reads again.
        if (pending === undefined || performance.now() > giveUpAt) throw error;
        if (pending.expires_at <= this.#parts.store.now()) await settler.settle(pending.id);
        else await sleep(20 + Math.random() * 80);
      }
    }
  }

  /** The answer to a request that was made before. */
  async #replay(write: ManagedWrite, id: string): Promise<string | undefined> {
    const { known, settler } = this.#parts;
    const row = await known.intent(id);
    // Ended and forgotten, or done.
    if (row === undefined || row.state === 'committed') return row?.secret_id;
    if (row.state === 'pending' && row.expires_at > this.#parts.store.now())
      throw new StrongroomError('version_conflict', { detail: 'The same request is still under way.' });
    return (await settler.settle(id)) === 'abandoned' ? this.write(write) : row.secret_id;
  }

  /** The backend's part. @returns its version of the entry, or that everything is done already */
  async #change(write: ManagedWrite, backend: Backend, begun: Begun): Promise<string | null | typeof done> {
    const signal = AbortSignal.timeout(this.#putMilliseconds);
    const expect = backend.capabilities.cas ? begun.expect : ({ kind: 'any' } as const);
    try {
      if (write.content !== null && expect !== null)
        return (await backend.put(write.key, write.content, { expect, intentId: begun.id, signal })).version;
      if (expect !== null) await deleteEntry(backend, write.key, expect, signal);
      return null;
    } catch (error) {
      return this.#afterFailure(write, backend, begun.id, error);
    }
  }

  async #afterFailure(write: ManagedWrite, backend: Backend, id: string, error: unknown): Promise<typeof done> {
    const { settler } = this.#parts;
    if (!(error instanceof StrongroomError)) throw error;
    if (error.code === 'backend_unavailable' || error.code === 'deadline_exceeded') {
      if ((await this.#settleOwn(id, error)) === 'committed') return done;
      throw error;
    }
    await settler.abandon(id, error.code);
    if (error.code !== 'version_conflict') throw error;
    const entry = await readEntry(backend, write.key, AbortSignal.timeout(this.#putMilliseconds));
    try {
      const found = await settler.explain(placeOf(write), entry);
      if (write.plan.kind === 'create' && found === 'late') {
        await this.write(write);
        return done;
      }
      // Else what is known now is another version than the one that this write was made for.
      const isGone = write.plan.kind === 'create' && entry === null;
      throw found === 'noted' && !isGone ? editedOutside(write) : error;
    } finally {
      entry?.value.destroy();
    }
  }

  /** It isn't known whether the backend did it: asked now, and left to the settling when it doesn't answer. */
  async #settleOwn(id: string, cause: StrongroomError): Promise<'committed' | 'abandoned'> {
    try {
      return await this.#parts.settler.settle(id);
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      throw new StrongroomError(cause.code, {
        detail: `${cause.message} Whether the store took the change isn’t known; Strongroom finds out when it answers.`,
        hint: 'Look at the secret again in a minute.',
        cause,
      });
    }
  }
}

function placeOf({ plan, sourceId, key }: ManagedWrite): EntryPlace {
  return { secretId: secretIdOf(plan), sourceId, key };
}

function editedOutside({ plan, key }: ManagedWrite): StrongroomError {
  if (plan.kind === 'create')
    return new StrongroomError('already_exists', {
      detail: `The store has an entry for ${key} which is not of this catalogue.`,
      hint: 'Choose another key, or take the entry away in the store itself.',
    });
  return new StrongroomError('state_conflict', {
    detail: `The entry of ${key} was changed in the store itself. The catalogue knows of it now; nothing was changed.`,
    hint: 'Look at the secret, then repeat: what is there now will be replaced.',
  });
}

function nameOf({ subject, route, key }: IdempotencyKey): Pick<IdempotencyKey, 'subject' | 'route' | 'key'> {
  return { subject, route, key };
}

function checkSize({ content }: ManagedWrite, { capabilities: { limits } }: Backend): void {
  if (content !== null && content.value.byteLength > limits.valueBytes)
    throw new StrongroomError('limit_exceeded', {
      detail: `The value is larger than the store's limit of ${limits.valueBytes} bytes.`,
    });
}

/** One that is gone already is deleted. */
async function deleteEntry(backend: Backend, key: string, expect: Expectation, signal: AbortSignal): Promise<void> {
  try {
    await backend.delete(key, { expect, signal });
  } catch (error) {
    if (!(error instanceof StrongroomError) || error.code !== 'version_conflict') throw error;
    const entry = await readEntry(backend, key, signal);
    entry?.value.destroy();
    if (entry !== null) throw error;
  }
}
