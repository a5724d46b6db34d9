import { StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { IdempotencyKey, Store, Writer } from '../store/store.ts';
import type { ImportedItem } from './import-command.ts';
import type { ManagedSource, SecretWrites } from './secret-writes.ts';
import type { ListedSecret } from './queries.ts';
import type { Secrets } from './service.ts';
import type { ParsedValue } from './values.ts';

/** What becomes of one entry; `parsed` when a value is to be written, over `existing` when there is one. */
export interface Planned {
  readonly item: ImportedItem;
  readonly parsed?: ParsedValue;
  readonly existing?: ListedSecret;
}

export interface EachParts {
  readonly store: Store;
  readonly secrets: Secrets;
  readonly writes: SecretWrites;
  readonly caller: Caller;
  readonly scope: ScopeRef;
  readonly source: ManagedSource;
  readonly folder: string | undefined;
}

/**
 * An import into a store outside the database: what is refused beforehand stops it, then entry by entry until one fails.
 * What is written stays; the answer says what became of each, and a repeat with `skip` goes on.
 */
export async function importEach(
  parts: EachParts,
  plan: readonly Planned[],
  idempotency: IdempotencyKey | undefined,
): Promise<{ readonly items: readonly ImportedItem[] }> {
  const { store, secrets, caller, scope } = parts;
  const writer = secrets.writer(caller, scope);
  const answer = (items: readonly ImportedItem[], by = writer) =>
    by.execute('secret.import', { items, created: [], rotated: [] }, idempotency ? { idempotency } : {});
  const planned = plan.map(({ item }) => item);
  const isRefused = planned.some(({ outcome }) => outcome === 'refused');
  if (isRefused || (await isAnswered(store, idempotency))) return answer(planned);
  const items: ImportedItem[] = [];
  let failure: string | null = null;
  for (const entry of plan) {
    const { item, parsed } = entry;
    if (parsed !== undefined) failure ??= await importOne(parts, writer, entry, parsed);
    const isDone = parsed === undefined || failure === null;
    items.push(isDone ? item : { key: item.key, outcome: 'failed', reason: failure ?? '' });
  }
  // Who may no longer is refused, unless there is something to tell: what was written before stays.
  return items.some(isWritten) ? answer(items, store) : answer(items);
}

function isWritten({ outcome }: ImportedItem): boolean {
  return outcome === 'created' || outcome === 'rotated';
}

/** @returns why it was not written */
async function importOne(
  { secrets, writes, caller, scope, source, folder }: EachParts,
  writer: Writer,
  { item: { key }, existing }: Planned,
  parsed: ParsedValue,
): Promise<string | null> {
  try {
    const metadata = folder === undefined ? {} : { folder };
    const plan =
      existing === undefined
        ? ({ kind: 'create', ...(await secrets.newSecret(caller, scope, source, key, parsed, metadata)) } as const)
        : ({
            kind: 'set',
            ...(await secrets.newVersion(caller, scope, existing, { parsed, copiedFrom: null }, 'rotate')),
          } as const);
    await writes.write({ writer, scopeId: scope.id, source, key, plan, parsed });
    return null;
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return error.message;
  }
}

/** Whether this very request was answered before: then its answer is repeated. */
export async function isAnswered(store: Store, idempotency: IdempotencyKey | undefined): Promise<boolean> {
  if (idempotency === undefined) return false;
  const row = await store.db
    .selectFrom('idempotency')
    .select('expires_at')
    .where('subject', '=', idempotency.subject)
    .where('route', '=', idempotency.route)
    .where('key', '=', idempotency.key)
    .executeTakeFirst();
  return row !== undefined && row.expires_at > store.now();
}
