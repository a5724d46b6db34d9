import { checkpointState } from './queries.ts';
import { Readable } from 'node:stream';
import { type auditRoutes, StrongroomError } from '@strongroom/contract';
import { encodePublicKeyText } from '@strongroom/crypto';
import type { Caller } from '../access/types.ts';
import type { HandlersOf } from '../http/handler.ts';
import { untilAborted } from '../http/until-aborted.ts';
import type { Keys } from '../keys/keys.ts';
import type { Store } from '../store/store.ts';
import { readAnchorTail } from './anchor.ts';
import type { CheckpointDocument } from './checkpoint-document.ts';
import { exportCsv, exportJsonLines } from './export.ts';
import { archivedIn, filterOf, listRecords } from './listing.ts';
import { signingKeyId } from './record.ts';
import { listSegments } from './segment-listing.ts';

export interface AuditRouteParts {
  readonly store: Pick<Store, 'query' | 'execute' | 'db' | 'dialect'>;
  readonly keys: Pick<Keys, 'installationId' | 'sealCursor' | 'openCursor'>;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** This server's anchor file; null when the anchor is on the standard output alone. */
  readonly anchorPath: string | null;
}

export function auditHandlers(parts: AuditRouteParts): HandlersOf<typeof auditRoutes> {
  const { store, keys, publicKey, anchorPath } = parts;
  const publicKeyText = encodePublicKeyText(publicKey);
  return {
    async listAuditRecords({ caller, query }) {
      return { body: await listRecords(parts, caller, query) };
    },
    async listDomainAuditRecords({ caller, scope, query }) {
      return { body: await listRecords(parts, caller, query, scope.id) };
    },
    async exportAuditRecords({ caller, query, signal }) {
      const { format = 'jsonl', ...filters } = query;
      const filter = filterOf(filters);
      const [filtered] = Object.keys(filter);
      if (format === 'jsonl' && filtered !== undefined)
        throw new StrongroomError('validation_failed', {
          errors: [
            {
              pointer: filtered,
              message: 'is for format=csv: JSON Lines are always whole, or nothing could be verified',
            },
          ],
        });
      await recordExport(store, caller, { format, ...filter });
      const archived = await archivedIn(store, filter);
      const chunks =
        format === 'csv'
          ? exportCsv(store, filter)
          : exportJsonLines(store, { id: keys.installationId, publicKeyText });
      return {
        stream: untilAborted(Readable.from(chunks, { objectMode: false }), signal),
        headers: {
          'content-disposition': `attachment; filename="audit.${format}"`,
          ...(archived !== null && { 'strongroom-archived': `${archived.from}/${archived.to}` }),
          ...(format === 'csv' && { 'content-type': 'text/csv; charset=utf-8; header=present' }),
        },
      };
    },
    async listAuditSegments({ caller, query }) {
      return { body: await listSegments(parts, caller, query) };
    },
    async showAuditAnchor() {
      const { previous: latest } = await checkpointState(store);
      const tail = anchorPath === null ? null : readAnchorTail(anchorPath);
      return {
        body: {
          installation: keys.installationId,
          publicKey: publicKeyText,
          keyId: signingKeyId(publicKey),
          checkpoint: latest === null ? null : checkpointView(latest),
          lines: tail === null ? [] : [tail.text],
        },
      };
    },
  };
}

/** Who takes the log away is in the log. */
async function recordExport(
  store: Pick<Store, 'execute'>,
  caller: Caller,
  detail: Readonly<Record<string, string | number>>,
): Promise<void> {
  await store.execute('access.record', undefined, {
    audit: [
      {
        principal: caller.id,
        principalName: caller.name,
        action: 'audit.export',
        outcome: 'allowed',
        requestId: caller.requestId,
        network: caller.network,
        detail,
      },
    ],
  });
}

interface StoredCheckpoint {
  readonly id: string;
  readonly at: number;
  readonly document: Uint8Array;
  readonly signature: Uint8Array;
  readonly key_id: string;
}

function checkpointView(stored: StoredCheckpoint) {
  const document = Buffer.from(stored.document).toString('utf8');
  return {
    id: stored.id,
    at: new Date(stored.at).toISOString(),
    keyId: stored.key_id,
    document,
    signature: Buffer.from(stored.signature).toString('base64url'),
    heads: headsOf(document),
  };
}

// Somebody may have changed the stored document; the verifier says so, here the heads are left out.
function headsOf(document: string): { chain: string; sequence: number; hash: string }[] {
  try {
    const { heads } = JSON.parse(document) as Partial<CheckpointDocument>;
    return Array.isArray(heads) ? heads.map(({ chain, sequence, hash }) => ({ chain, sequence, hash })) : [];
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return [];
    throw error;
  }
}
