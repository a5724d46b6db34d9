import { type AuditRecord, StrongroomError } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { Caller } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import type { Store } from '../store/store.ts';
import type { ListedRecord, RecordFilter, RecordPlace } from './queries.ts';
import { parseRecord } from './record-content.ts';

export type AuditRecordView = Static<typeof AuditRecord>;

/** What the list routes take in their query. */
export interface ListQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly scope?: string | undefined;
  readonly principal?: string | undefined;
  readonly action?: string | undefined;
  readonly outcome?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** A page of records, and when it concerns such: what of the time asked for is in the archive. */
interface AuditPage {
  readonly items: AuditRecordView[];
  readonly nextCursor?: string;
  readonly archived?: ArchivedTimes;
}

/** From when to when records are in the archive, RFC 3339. */
interface ArchivedTimes {
  readonly from: string;
  readonly to: string;
}

const defaultLimit = 50;

/**
 * One page, newest first. A cursor is good for its caller and its filter only.
 *
 * @param scopeId only records of this scope, whatever the query says
 * @throws StrongroomError `cursor_invalid`, `validation_failed` for a time there is not
 */
export async function listRecords(
  parts: { readonly store: Pick<Store, 'query'>; readonly keys: Pick<Keys, 'sealCursor' | 'openCursor'> },
  caller: Pick<Caller, 'id'>,
  query: ListQuery,
  scopeId?: string,
): Promise<AuditPage> {
  const limit = query.limit ?? defaultLimit;
  const filter = { ...filterOf(query), ...(scopeId !== undefined && { scope: scopeId }) };
  const binding = JSON.stringify([
    'audit',
    caller.id,
    ...[filter.scope, filter.principal, filter.action, filter.outcome, filter.from, filter.to].map(
      (part) => part ?? null,
    ),
  ]);
  const before = query.cursor === undefined ? undefined : openPlace(parts.keys, query.cursor, binding);
  const [rows, archived] = await Promise.all([
    parts.store.query('audit.list', { ...filter, ...(before !== undefined && { before }), limit: limit + 1 }),
    archivedIn(parts.store, filter),
  ]);
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const views = items.map(recordView);
  const page = { items: views, ...(archived !== null && { archived }) };
  if (rows.length <= limit || last === undefined) return page;
  const place: RecordPlace = { at: last.at, chain: last.chain_id, sequence: last.sequence };
  return { ...page, nextCursor: parts.keys.sealCursor(place, binding) };
}

/** Whether there are archived records in a filter's time, whatever else it says. */
export async function archivedIn(
  store: Pick<Store, 'query'>,
  { from, to }: RecordFilter,
): Promise<ArchivedTimes | null> {
  const range = await store.query('audit.archivedRange', {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  });
  if (range === null) return null;
  return { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
}

/** @throws StrongroomError `validation_failed` for a time there is not */
export function filterOf(query: ListQuery): RecordFilter {
  const { scope, principal, action, outcome } = query;
  const from = timeOf(query.from, 'from');
  const to = timeOf(query.to, 'to');
  return {
    ...(scope !== undefined && { scope }),
    ...(principal !== undefined && { principal }),
    ...(action !== undefined && { action }),
    ...(outcome !== undefined && { outcome }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

// The format lets a leap second through, which is no time here.
function timeOf(text: string | undefined, parameter: string): number | undefined {
  if (text === undefined) return undefined;
  const at = Date.parse(text);
  if (Number.isNaN(at))
    throw new StrongroomError('validation_failed', { errors: [{ pointer: parameter, message: 'is no time' }] });
  return at;
}

function openPlace(keys: Pick<Keys, 'openCursor'>, cursor: string, binding: string): RecordPlace {
  const place = keys.openCursor(cursor, binding);
  const { at, chain, sequence } = place ?? {};
  if (typeof at !== 'number' || typeof chain !== 'string' || typeof sequence !== 'number')
    throw new StrongroomError('cursor_invalid');
  return { at, chain, sequence };
}

function recordView(row: ListedRecord): AuditRecordView {
  const place = { chain: row.chain_id, sequence: row.sequence, hash: Buffer.from(row.hash).toString('hex') };
  const record = parseRecord(row.record);
  if (record === null) {
    const principal = { id: row.principal_id ?? '', name: '' };
    const { action, outcome } = row;
    return { ...place, at: new Date(row.at).toISOString(), principal, action, outcome, unreadable: true };
  }
  const { v: _v, genesis: _genesis, because, detail, ...rest } = record;
  return { ...rest, ...place, ...(because && { because: [...because] }), ...(detail && { detail: { ...detail } }) };
}
