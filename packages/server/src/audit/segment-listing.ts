import { type auditRoutes, type ResponseOf, StrongroomError } from '@strongroom/contract';
import type { Caller } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import type { Store } from '../store/store.ts';
import { signingKeyId } from './record.ts';
import { openSegment, segmentDigest, segmentName, type SignedSegment } from './segment-document.ts';

type SegmentPage = ResponseOf<Extract<(typeof auditRoutes)[number], { readonly id: 'listAuditSegments' }>>;

const defaultLimit = 50;

/**
 * Marks of what is archived, oldest first. What a mark that this installation's key did not sign says is left out.
 *
 * @throws StrongroomError `cursor_invalid`
 */
export async function listSegments(
  parts: {
    readonly store: Pick<Store, 'query'>;
    readonly keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
    readonly publicKey: Uint8Array;
  },
  caller: Pick<Caller, 'id'>,
  query: { readonly limit?: number | undefined; readonly cursor?: string | undefined },
): Promise<SegmentPage> {
  const limit = query.limit ?? defaultLimit;
  const binding = JSON.stringify(['audit-segments', caller.id]);
  const place = query.cursor === undefined ? { after: 0 } : parts.keys.openCursor(query.cursor, binding);
  const after = place?.['after'];
  if (typeof after !== 'number') throw new StrongroomError('cursor_invalid');
  const marks = await parts.store.query('audit.segments', { after, limit: limit + 1 });
  const shown = marks.slice(0, limit);
  const items = shown.map((mark) => segmentItem(mark, parts.publicKey));
  const last = shown.at(-1);
  if (marks.length <= limit || last === undefined) return { items };
  return { items, nextCursor: parts.keys.sealCursor({ after: last.number }, binding) };
}

function segmentItem(mark: SignedSegment, publicKey: Uint8Array): SegmentPage['items'][number] {
  const place = { number: mark.number, digest: segmentDigest(mark) };
  const document = openSegment(mark, new Map([[signingKeyId(publicKey), publicKey]]));
  if ('why' in document) return { ...place, unreadable: true };
  const { file, records, from, to, at } = document;
  const time = (milliseconds: number): string => new Date(milliseconds).toISOString();
  return {
    ...place,
    segment: segmentName(document),
    sha256: file.sha256,
    bytes: file.bytes,
    records,
    from: time(from),
    to: time(to),
    sealedAt: time(at),
  };
}
