import { StrongroomError } from '@strongroom/contract';
import type { Store } from '../store/store.ts';
import type { SignedCheckpoint } from './checkpoint-document.ts';
import { csvHeader, encodeCsvLine } from './csv.ts';
import {
  encodeChainLine,
  encodeCheckpointLine,
  encodeHeaderLine,
  encodeRecordLine,
  encodeSegmentLine,
} from './export-lines.ts';
import type { RecordFilter, RecordPlace } from './queries.ts';

const rowsPerChunk = 500;

/**
 * The whole log in JSON Lines as it stood at the beginning, in chunks; `verifyExport` reads it. It holds the stored bytes,
 * whatever they are; of what is archived it holds the marks.
 *
 * @throws StrongroomError `version_conflict` at its end when records were archived meanwhile: it lacks them, and their marks
 */
export async function* exportJsonLines(
  store: Pick<Store, 'query'>,
  installation: { readonly id: string; readonly publicKeyText: string },
): AsyncGenerator<Buffer> {
  const { chains, lastCheckpointId, lastSegment } = await store.query('audit.exportStart', undefined);
  const header = encodeHeaderLine(installation.id, installation.publicKeyText, Date.now());
  yield Buffer.from(header + chains.map(encodeChainLine).join(''));
  yield* exportMarks(store, lastSegment);
  if (lastCheckpointId !== null) yield* exportCheckpoints(store, lastCheckpointId);
  for (const { chain, sequence: to } of chains) {
    for (let after = 0; after < to;) {
      const rows = await store.query('audit.exportRecords', { chain, after, to, limit: rowsPerChunk });
      const last = rows.at(-1);
      if (last === undefined) break;
      yield Buffer.concat(rows.map((row) => encodeRecordLine(chain, row)));
      after = last.sequence;
    }
  }
  const [archivedMeanwhile] = await store.query('audit.segments', { after: lastSegment, limit: 1 });
  if (archivedMeanwhile !== undefined)
    throw new StrongroomError('version_conflict', {
      detail: 'Records were archived while the log was exported.',
      hint: 'Export it again.',
    });
}

async function* exportMarks(store: Pick<Store, 'query'>, last: number): AsyncGenerator<Buffer> {
  for (let after = 0; after < last;) {
    const marks = await store.query('audit.segments', { after, limit: rowsPerChunk });
    const wanted = marks.filter(({ number }) => number <= last);
    const end = wanted.at(-1);
    if (end === undefined) return;
    yield Buffer.from(wanted.map(encodeSegmentLine).join(''));
    after = end.number;
  }
}

async function* exportCheckpoints(store: Pick<Store, 'query'>, lastId: string): AsyncGenerator<Buffer> {
  let after: { readonly at: number; readonly id: string } | null = null;
  for (;;) {
    const checkpoints: SignedCheckpoint[] = await store.query('audit.exportCheckpoints', {
      after,
      limit: rowsPerChunk,
    });
    const end = checkpoints.findIndex(({ id }) => id === lastId);
    const wanted = end === -1 ? checkpoints : checkpoints.slice(0, end + 1);
    const last = wanted.at(-1);
    if (last === undefined) return;
    yield Buffer.from(wanted.map(encodeCheckpointLine).join(''));
    if (end !== -1) return;
    after = { at: last.at, id: last.id };
  }
}

/** Filtered records as CSV (RFC 4180), newest first, in chunks. */
export async function* exportCsv(store: Pick<Store, 'query'>, filter: RecordFilter): AsyncGenerator<string> {
  yield csvHeader;
  let before: RecordPlace | undefined;
  for (;;) {
    const rows = await store.query('audit.list', {
      ...filter,
      ...(before !== undefined && { before }),
      limit: rowsPerChunk,
    });
    if (rows.length > 0) yield rows.map(encodeCsvLine).join('');
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsPerChunk) return;
    before = { at: last.at, chain: last.chain_id, sequence: last.sequence };
  }
}
