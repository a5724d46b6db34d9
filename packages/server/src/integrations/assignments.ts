import { StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller } from '../access/types.ts';
import { idsOfDomains } from '../domains/named-domains.ts';
import type { Store } from '../store/store.ts';
import { changeableRow, listedRow } from './changeable-row.ts';
import { integrationEvent } from './events.ts';

interface AssignmentInput {
  readonly all?: boolean;
  readonly domains?: readonly string[];
}

/** Which domains may use a Global integration. */
export class IntegrationAssignments {
  readonly #store: Store;
  readonly #access: AccessService;

  constructor(store: Store, access: AccessService) {
    this.#store = store;
    this.#access = access;
  }

  /** @throws StrongroomError `not_found` */
  async list(asset: AssetRef): Promise<{ all: boolean; domains: string[] }> {
    const row = await listedRow(this.#store, asset.scope, asset.id);
    const rows = await this.#store.db
      .selectFrom('integration_assignments')
      .innerJoin('scopes', 'scopes.id', 'integration_assignments.scope_id')
      .select('scopes.name')
      .where('integration_assignments.source_id', '=', row.id)
      .where('scopes.deleted_at', 'is', null)
      .orderBy('scopes.name')
      .execute();
    return { all: row.is_for_all === 1, domains: rows.map(({ name }) => name) };
  }

  /** All domains, named ones, or none. @throws StrongroomError `validation_failed` */
  async assign(caller: Caller, asset: AssetRef, input: AssignmentInput): Promise<{ all: boolean; domains: string[] }> {
    const { isForAll, found } = await this.#read(input);
    await this.#access.decided(caller, async (current) => {
      const row = await changeableRow(this.#store, this.#access, current, asset);
      const because = ['assign', ...(isForAll ? ['all'] : [])];
      await this.#store.execute(
        'integration.assign',
        { id: row.id, revision: row.revision, isForAll, scopeIds: found, by: caller.name },
        {
          audit: [
            integrationEvent(current, asset.scope, 'integration.update', row, because, { domains: found.length }),
          ],
          expectAuthorisationRevision: current.snapshot.revision,
        },
      );
    });
    return this.list(asset);
  }

  /** What {@link assign} would make, with nothing written. @throws as `assign` */
  async preview(caller: Caller, asset: AssetRef, input: AssignmentInput): Promise<{ all: boolean; domains: string[] }> {
    const { isForAll, names } = await this.#read(input);
    return this.#access.decided(caller, async (current) => {
      await changeableRow(this.#store, this.#access, current, asset);
      return { all: isForAll, domains: names.toSorted() };
    });
  }

  async #read({ all, domains }: AssignmentInput) {
    const names = domains ?? [];
    const isForAll = all === true;
    if (isForAll ? names.length > 0 : domains === undefined)
      throw new StrongroomError('validation_failed', {
        errors: [{ pointer: '/domains', message: 'send either all: true or the domains, which may be none' }],
      });
    return { isForAll, names, found: await idsOfDomains(this.#store, names) };
  }
}
