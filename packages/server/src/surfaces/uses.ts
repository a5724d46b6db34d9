import { parseReference, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import { kindsSeen } from '../impact/holders.ts';
import type { Keys } from '../keys/keys.ts';
import { findTarget } from '../launches/targets.ts';
import { type SeesUse, usesSeenBy } from '../secrets/seen-uses.ts';
import type { UseRow } from '../secrets/use-rows.ts';
import { positionOf, type UsePosition } from '../secrets/used-by.ts';
import type { Store } from '../store/store.ts';

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

/** What of uses somebody may know of: where the secret is, and in which scopes it is used. */
export interface UseVisibility {
  visibility(caller: Caller, scope: ScopeRef): { readonly usesIn: readonly string[] | null };
}

/** Where a reference is used in a scope, down to the field; also keys of integrations, which have no row of their own. */
export class ReferenceUses {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly #secrets: UseVisibility;

  constructor(
    store: Store,
    access: AccessService,
    keys: Pick<Keys, 'sealCursor' | 'openCursor'>,
    secrets: UseVisibility,
  ) {
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
    this.#secrets = secrets;
  }

  /**
   * With a field in the reference the uses of that field, without one those of the whole secret and of its fields. In a domain,
   * or in the admin scope, what is there refers to its own secrets and to Global's; of Global every use the caller may know of.
   * @throws StrongroomError `reference_malformed`, `cursor_invalid`
   */
  async list(caller: Caller, scope: ScopeRef, query: UsesQuery): Promise<{ items: UseView[]; nextCursor?: string }> {
    const reference = parseReference(query.reference);
    if (reference.scope !== 'global' && reference.scope !== scope.kind) return { items: [] };
    const { limit = 50, cursor } = query;
    const binding = JSON.stringify(['surfaces.usesOf', caller.id, scope.id, query.reference]);
    const target = await findTarget(this.#store, scope, reference);
    const sourceId = target.source?.id ?? '';
    const rows = await this.#store.query('secret.usedBy', {
      target: {
        scopeId: target.scopeId,
        sourceId,
        key: reference.key,
        ...(reference.field === undefined ? {} : { field: reference.field }),
      },
      held: { sourceId, key: reference.key, kinds: kindsSeen(this.#access, caller.snapshot) },
      usesIn: scope.kind === 'global' ? this.#secrets.visibility(caller, scope).usesIn : [scope.id],
      limit: limit + 1,
      after: cursor === undefined ? undefined : readPosition(this.#keys.openCursor(cursor, binding)),
    });
    const page = rows.slice(0, limit);
    const sees = usesSeenBy(this.#access, caller.snapshot, scope);
    const items = page.map((row) => viewOf(row, sees));
    const last = page.at(-1);
    if (rows.length <= limit || last === undefined) return { items };
    return { items, nextCursor: this.#keys.sealCursor({ ...positionOf(last) }, binding) };
  }
}

function viewOf(row: UseRow, sees: SeesUse): UseView {
  return {
    domain: row.domain,
    surface: row.surface,
    ...(sees(row) ? { configuration: row.configuration } : {}),
    name: row.name,
    pointer: row.pointer,
    reference: row.reference,
    kind: row.kind,
    suspended: row.is_suspended === 1,
  };
}

function readPosition(position: unknown): UsePosition {
  const { configurationId, pointer, reference } = (position ?? {}) as Record<string, unknown>;
  if (typeof configurationId !== 'string' || typeof pointer !== 'string' || typeof reference !== 'string')
    throw new StrongroomError('cursor_invalid');
  return { configurationId, pointer, reference };
}
