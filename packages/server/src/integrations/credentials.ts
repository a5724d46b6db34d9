import { StrongroomError } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import type { Keys, ValuePlace } from '../keys/keys.ts';
import { sealInScope } from '../keys/seal-in-scope.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { type BoundSettings, boundSettings, fulfils } from './bound-settings.ts';
import type { SealedCredential } from './credential-commands.ts';
import { declarationOf, type Settings } from './connection.ts';
import { credentialPlaceId } from './credential-place.ts';
import type { OutsideCredentials } from './outside-credentials.ts';

type CredentialRow = Tables['integration_credentials'];

/** Integration, name → the credential. */
const credentialByName = hotStatement<CredentialRow>('integrations.credential', (db) =>
  db.selectFrom('integration_credentials').selectAll().where('source_id', '=', '').where('name', '=', '').compile(),
);

/** What a credential belongs to. */
export interface CredentialOwner {
  readonly id: string;
  readonly scopeId: string;
  readonly type: string;
  readonly settings: Settings;
}

/**
 * Credentials of integrations, sealed in their scope, or kept in Kubernetes with the scope's values. One opens only for the settings it was typed for: their digest is in the
 * envelope's additional data, and what they were is compared before.
 */
export class IntegrationCredentials {
  readonly #store: Store;
  readonly #keys: Keys;
  readonly #outside: OutsideCredentials | null;

  /** @param outside of scopes that keep them in Kubernetes; null: this server has none */
  constructor(store: Store, keys: Keys, outside: OutsideCredentials | null = null) {
    this.#store = store;
    this.#keys = keys;
    this.#outside = outside;
  }

  /**
   * @param by who typed them
   * @throws StrongroomError `not_found` when the scope is just being deleted, `key_unavailable`; what the cluster says
   */
  async seal(owner: CredentialOwner, given: ReadonlyMap<string, string>, by: string): Promise<SealedCredential[]> {
    const { epoch } = await this.#store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
    const bound = boundSettings(declarationOf(owner.type), owner.settings);
    const outside = given.size > 0 && (await this.#outside?.isFor(owner.scopeId)) === true ? this.#outside : null;
    const sealed: SealedCredential[] = [];
    for (const [name, text] of given) {
      const before = await this.#store.first(credentialByName, [owner.id, name]);
      const beforeOutside = await this.#outside?.current(owner.id, name);
      const version = Math.max(before?.version ?? 0, beforeOutside?.version ?? 0) + 1;
      const value = SecretValue.fromText(text);
      try {
        if (outside !== null) {
          const place = { scopeId: owner.scopeId, sourceId: owner.id, name, epoch, version, bound };
          sealed.push({ name, entry: await outside.put(place, value, by) });
          continue;
        }
        const place = placeOf(owner, name, bound, epoch, version);
        const { envelope, termId } = await sealInScope(this.#store, this.#keys, place, value);
        sealed.push({ name, epoch, version, boundTo: JSON.stringify(bound), envelope, termId });
      } finally {
        value.destroy();
      }
    }
    return sealed;
  }

  /**
   * A copy, which the caller destroys.
   * @throws StrongroomError `state_conflict` when there is none, or it was typed for another destination
   */
  async open(owner: CredentialOwner, name: string): Promise<SecretValue> {
    const sealed = await this.#store.first(credentialByName, [owner.id, name]);
    const outside = sealed === undefined ? await this.#outside?.current(owner.id, name) : undefined;
    const row = sealed ?? outside;
    const bound = row === undefined ? [] : (JSON.parse(row.bound_to) as BoundSettings);
    if (row === undefined || !fulfils(bound, owner.settings))
      throw new StrongroomError('state_conflict', {
        detail: `The credential ${name} has to be typed again for this destination.`,
      });
    if (sealed !== undefined)
      return this.#keys.open(placeOf(owner, name, bound, sealed.epoch, sealed.version), sealed.envelope);
    if (this.#outside === null || outside === undefined) throw new StrongroomError('not_supported');
    return this.#outside.open(outside);
  }

  /** Which are kept; never what they are. */
  async list(ids: readonly string[]): Promise<ReadonlyMap<string, readonly CredentialSummary[]>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#store.db
      .selectFrom('integration_credentials')
      .select(['source_id', 'name', 'epoch', 'version', 'created_at', 'created_by'])
      .where('source_id', 'in', ids)
      .execute();
    const outside = await this.#store.db
      .selectFrom('outside_credentials')
      .select(['source_id', 'name', 'epoch', 'version', 'changed_at as created_at', 'created_by'])
      .where('source_id', 'in', ids)
      .where('state', '=', 'current')
      .execute();
    const all = [...rows, ...outside].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return Map.groupBy(all, ({ source_id }) => source_id);
  }
}

export type CredentialSummary = Pick<CredentialRow, 'name' | 'epoch' | 'version' | 'created_at' | 'created_by'>;

function placeOf(
  owner: CredentialOwner,
  name: string,
  bound: BoundSettings,
  epoch: number,
  version: number,
): ValuePlace {
  return { scopeId: owner.scopeId, secretId: credentialPlaceId(owner.id, name, bound), epoch, version };
}
