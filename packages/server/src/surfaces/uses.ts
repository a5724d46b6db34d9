import { parseReference, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { findTarget } from '../launches/targets.ts';
import type { Store } from '../store/store.ts';
import type { FoundUse } from './queries.ts';
import { maySee } from './registry.ts';
import { assetOf } from './views.ts';

export interface UsesQuery {
  readonly reference: string;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface UseView {
  readonly domain: string;
  readonly surface: string;
  /** Absent where the caller may not see the configuration. */
  readonly configuration?: string;
  readonly name: string;
  readonly pointer: string;
  readonly reference: string;
  readonly kind: 'reference' | 'placeholder';
  readonly suspended: boolean;
}

/** Where a reference is used in a domain, down to the field; also keys of integrations, which have no row of their own. */
export class ReferenceUses {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;

  constructor(store: Store, access: AccessService, keys: Pick<Keys, 'sealCursor' | 'openCursor'>) {
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
  }

  /**
   * With a field in the reference the uses of that field, without one those of the whole secret and of its fields.
   * @throws StrongroomError `reference_malformed`, `cursor_invalid`
   */
  async list(caller: Caller, domain: ScopeRef, query: UsesQuery): Promise<{ items: UseView[]; nextCursor?: string }> {
    const reference = parseReference(query.reference);
    if (reference.scope === 'admin') return { items: [] };
    const { limit = 50, cursor } = query;
    const binding = JSON.stringify(['surfaces.usesOf', caller.id, domain.id, query.reference]);
    const after = cursor === undefined ? undefined : readPosition(this.#keys.openCursor(cursor, binding));
    const target = await findTarget(this.#store, domain, reference);
    const rows = await this.#store.query('surfaces.usesOf', {
      scopeId: target.scopeId,
      sourceId: target.source?.id ?? '',
      key: reference.key,
      usedIn: domain.id,
      limit: limit + 1,
      ...(reference.field === undefined ? {} : { field: reference.field }),
      ...(after === undefined ? {} : { after }),
    });
    const page = rows.slice(0, limit);
    const items = page.map((row) => this.#view(caller, domain, row));
    const last = page.at(-1);
    if (rows.length <= limit || last === undefined) return { items };
    const position = { configurationId: last.configuration_id, pointer: last.pointer, reference: last.reference };
    return { items, nextCursor: this.#keys.sealCursor(position, binding) };
  }

  #view(caller: Caller, domain: ScopeRef, row: FoundUse): UseView {
    const asset = assetOf(
      { id: row.configuration_id, name: row.configuration_name, bundle_id: row.bundle_id, surface: row.surface },
      domain,
    );
    const isSeen = maySee(this.#access, caller.snapshot, asset);
    return {
      domain: domain.name,
      surface: row.surface,
      ...(isSeen ? { configuration: row.configuration_name } : {}),
      name: row.name,
      pointer: row.pointer,
      reference: row.reference,
      kind: row.kind,
      suspended: row.is_suspended === 1,
    };
  }
}

function readPosition(position: unknown): {
  readonly configurationId: string;
  readonly pointer: string;
  readonly reference: string;
} {
  const { configurationId, pointer, reference } = (position ?? {}) as Record<string, unknown>;
  if (typeof configurationId !== 'string' || typeof pointer !== 'string' || typeof reference !== 'string')
    throw new StrongroomError('cursor_invalid');
  return { configurationId, pointer, reference };
}
