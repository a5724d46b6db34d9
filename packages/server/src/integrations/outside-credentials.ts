import { randomBytes } from 'node:crypto';
import { StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';
import type { SecretValue } from '@strongroom/crypto';
import type { StoreScope } from '../managed-stores/opened-stores.ts';
import { sql } from 'kysely';
import { asStrongroomError } from '../store/errors.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { BoundSettings } from './bound-settings.ts';
import { credentialPlaceId } from './credential-place.ts';

export type OutsideRow = Tables['outside_credentials'];

/** Opens the object in Kubernetes that has a scope's credentials. */
export type OpenCredentialStore = (scope: StoreScope) => Promise<Backend>;

export interface OutsideCredentialsParts {
  readonly store: Store;
  readonly open: OpenCredentialStore;
  /** Whether scopes whose values are in Kubernetes have their integrations' credentials there, too: the legacy layout. */
  readonly isUsed: boolean;
}

/** What a credential is put under. */
export interface CredentialPlace {
  readonly scopeId: string;
  readonly sourceId: string;
  readonly name: string;
  readonly epoch: number;
  readonly version: number;
  readonly bound: BoundSettings;
}

const currentCredential = hotStatement<OutsideRow>('integrations.outsideCredential', (db) =>
  db
    .selectFrom('outside_credentials')
    .selectAll()
    .where('source_id', '=', '')
    .where('name', '=', '')
    .where('state', '=', sql.lit('current'))
    .compile(),
);

/** For one request to the cluster, in milliseconds. */
const callMilliseconds = 15_000;
/** What is not in force is taken away after this long: until then its writer, or a reader, may be at it. */
const lingerMilliseconds = 15 * 60_000;
const entriesAtOnce = 100;

/**
 * Credentials of integrations that are kept in Kubernetes, as IOMETE has them: in `<name>-vault-credentials-<scope>`, an object
 * that no reference names and no API reads. Each version has an entry of its own that is written once. A row says what is meant
 * before it is written, which is in force, and what is to be taken away; so a process may die anywhere.
 */
export class OutsideCredentials {
  readonly #parts: OutsideCredentialsParts;
  readonly #opened = new Map<string, Promise<Backend>>();

  constructor(parts: OutsideCredentialsParts) {
    this.#parts = parts;
  }

  /** Whether credentials of the scope go there from now on. */
  async isFor(scopeId: string): Promise<boolean> {
    if (!this.#parts.isUsed) return false;
    const source = await this.#parts.store.db
      .selectFrom('sources')
      .select('type')
      .where('scope_id', '=', scopeId)
      .where('name', '=', 'managed')
      .executeTakeFirst();
    return source?.type === 'KUBERNETES';
  }

  async current(sourceId: string, name: string): Promise<OutsideRow | undefined> {
    return this.#parts.store.first(currentCredential, [sourceId, name]);
  }

  /**
   * Writes a version that is not in force yet.
   * @returns its entry. @throws StrongroomError what the cluster says; `not_found` when the scope is being deleted
   */
  async put(place: CredentialPlace, value: SecretValue, by: string): Promise<string> {
    const { scopeId, sourceId, name, epoch, version, bound } = place;
    const entry = `${sourceId}.${name}.${epoch}.${version}.${randomBytes(6).toString('hex')}`;
    const backend = await this.#of(scopeId);
    await this.#parts.store.execute('integration.beginCredential', {
      entry,
      scopeId,
      sourceId,
      name,
      epoch,
      version,
      boundTo: JSON.stringify(bound),
      by,
    });
    const signal = AbortSignal.timeout(callMilliseconds);
    const intentId = intentOf(place, entry);
    await backend.put(entry, { value, shape: 'text' }, { expect: { kind: 'absent' }, intentId, signal });
    return entry;
  }

  /**
   * A copy, which the caller destroys.
   * @throws StrongroomError `state_conflict` when it is not what was written there; what the cluster says
   */
  async open(row: OutsideRow): Promise<SecretValue> {
    const { scope_id: scopeId, source_id: sourceId, name, epoch, version, entry } = row;
    const backend = await this.#of(scopeId);
    const found = await backend.get(entry, { signal: AbortSignal.timeout(callMilliseconds) });
    const bound = JSON.parse(row.bound_to) as BoundSettings;
    const place = { scopeId, sourceId, name, epoch, version, bound };
    if (found !== null && found.intentId === intentOf(place, entry)) return found.value;
    found?.value.destroy();
    throw new StrongroomError('state_conflict', {
      detail: `The credential ${name} was ${found === null ? 'taken away' : 'changed'} in the cluster itself.`,
      hint: 'Type it again in the integration.',
    });
  }

  /** Takes away what is not in force. @throws StrongroomError of the first that failed; the others were taken away */
  async sweep(signal: AbortSignal): Promise<void> {
    const rows = await this.#parts.store.db
      .selectFrom('outside_credentials')
      .select(['entry', 'scope_id'])
      .where('state', '!=', 'current')
      .where('changed_at', '<=', this.#parts.store.now() - lingerMilliseconds)
      .orderBy('changed_at')
      .limit(entriesAtOnce)
      .execute();
    let failure: StrongroomError | undefined;
    for (const { entry, scope_id: scopeId } of rows) {
      if (signal.aborted) return;
      try {
        const backend = await this.#of(scopeId);
        const ends = AbortSignal.any([signal, AbortSignal.timeout(callMilliseconds)]);
        await backend.delete(entry, { expect: { kind: 'any' }, signal: ends });
        await this.#parts.store.execute('integration.forgetCredential', { entry });
      } catch (error) {
        failure ??= asStrongroomError(error);
      }
    }
    if (failure !== undefined) throw failure;
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#opened.values());
    this.#opened.clear();
    await Promise.all(opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value.close()] : [])));
  }

  /** Of a deleted domain, too: what it left is taken away. */
  async #of(scopeId: string): Promise<Backend> {
    let opened = this.#opened.get(scopeId);
    if (opened === undefined) {
      opened = this.#open(scopeId);
      this.#opened.set(scopeId, opened);
      opened.catch(() => this.#opened.delete(scopeId));
    }
    return opened;
  }

  async #open(scopeId: string): Promise<Backend> {
    const { store, open } = this.#parts;
    const scope = await store.db
      .selectFrom('scopes')
      .select(['id', 'kind', 'name'])
      .where('id', '=', scopeId)
      .executeTakeFirst();
    if (scope === undefined) throw new StrongroomError('not_found');
    return open(scope);
  }
}

/** What the entry says that it is of: which version, and what it was typed for. Another one's entry does not say it. */
function intentOf({ sourceId, name, bound }: CredentialPlace, entry: string): string {
  return `${credentialPlaceId(sourceId, name, bound)}/${entry}`;
}
