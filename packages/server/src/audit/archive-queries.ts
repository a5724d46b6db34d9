import type { QueryContext } from '../store/store.ts';
import type { SignedSegment } from './segment-document.ts';

/** Marks by number, after one of them. */
async function segments(
  context: QueryContext,
  args: { readonly after: number; readonly limit: number },
): Promise<SignedSegment[]> {
  const rows = await context.db
    .selectFrom('audit_segments')
    .selectAll()
    .where('number', '>', args.after)
    .orderBy('number')
    .limit(args.limit)
    .execute();
  return rows.map(({ number, document, signature, key_id: keyId }) => ({ number, document, signature, keyId }));
}

/** Times between which records are in the archive. */
export interface ArchivedRange {
  readonly from: number;
  readonly to: number;
}

/** What of a range of time is archived; null when nothing is. Milliseconds since 1970. */
async function archivedRange(
  context: QueryContext,
  args: { readonly from?: number; readonly to?: number },
): Promise<ArchivedRange | null> {
  let query = context.db
    .selectFrom('audit_segments')
    .select((row) => [row.fn.min('first_at').as('from'), row.fn.max('last_at').as('to')]);
  if (args.from !== undefined) query = query.where('last_at', '>=', args.from);
  if (args.to !== undefined) query = query.where('first_at', '<', args.to);
  const row = await query.executeTakeFirst();
  // Of no rows at all both are null, which the types don't say.
  const { from, to } = (row ?? {}) as { readonly from?: number | null; readonly to?: number | null };
  return typeof from === 'number' && typeof to === 'number' ? { from, to } : null;
}

export const archiveQueries = { 'audit.segments': segments, 'audit.archivedRange': archivedRange };
