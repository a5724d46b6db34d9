import type { SignedCheckpoint } from './checkpoint-document.ts';
import type { ExportedRow } from './queries.ts';
import type { ChainHead } from './record.ts';
import { parseRecord } from './record-content.ts';
import type { SignedSegment } from './segment-document.ts';
import type { StoredRecord } from './source.ts';

/** Longest line of an export that is read; a record is far below. */
export const maxExportLineBytes = 8 * 1024 * 1024;

/**
 * The lines of the JSON Lines export, each with its newline: one header, the chains' heads, the marks of archived segments,
 * the checkpoints, the records.
 */
export function encodeHeaderLine(installation: string, publicKeyText: string, at: number): string {
  const header = {
    type: 'strongroom.audit.export',
    v: 1,
    installation,
    at: new Date(at).toISOString(),
    publicKey: publicKeyText,
  };
  return `${JSON.stringify(header)}\n`;
}

export function encodeChainLine({ chain, sequence, hash }: ChainHead): string {
  return `${JSON.stringify({ type: 'strongroom.audit.chain', chain, sequence, hash })}\n`;
}

export function encodeCheckpointLine(checkpoint: SignedCheckpoint): string {
  return `${JSON.stringify({
    type: 'strongroom.audit.checkpoint',
    id: checkpoint.id,
    at: checkpoint.at,
    key: checkpoint.keyId,
    signature: Buffer.from(checkpoint.signature).toString('base64url'),
    document: Buffer.from(checkpoint.document).toString('base64url'),
  })}\n`;
}

/** The mark of an archived segment; also the only line of the file beside it. */
export function encodeSegmentLine(segment: SignedSegment): string {
  return `${JSON.stringify({
    type: 'strongroom.audit.segment',
    number: segment.number,
    key: segment.keyId,
    signature: Buffer.from(segment.signature).toString('base64url'),
    document: Buffer.from(segment.document).toString('base64url'),
  })}\n`;
}

/**
 * `record` comes last and is the stored bytes as they are, so a reader of JSON sees the record and the verifier its bytes.
 * Bytes that were tampered with may be no JSON, or end the line; they are exported all the same, as `recordBase64`.
 */
export function encodeRecordLine(chain: string, row: ExportedRow): Buffer {
  const place = JSON.stringify({
    type: 'strongroom.audit.record',
    chain,
    sequence: row.sequence,
    hash: Buffer.from(row.hash).toString('hex'),
    mac: Buffer.from(row.mac).toString('hex'),
  }).slice(0, -1);
  const isPlain = parseRecord(row.record) !== null && !row.record.includes(0x0a);
  return isPlain
    ? Buffer.concat([Buffer.from(`${place},"record":`), row.record, Buffer.from('}\n')])
    : Buffer.from(`${place},"recordBase64":"${Buffer.from(row.record).toString('base64')}"}\n`);
}

export type ExportLine =
  | { readonly type: 'header' }
  | { readonly type: 'chain'; readonly head: ChainHead }
  | { readonly type: 'checkpoint'; readonly checkpoint: SignedCheckpoint }
  | { readonly type: 'segment'; readonly segment: SignedSegment }
  | { readonly type: 'record'; readonly record: StoredRecord };

const recordPattern =
  /^\{"type":"strongroom\.audit\.record","chain":"(?<chain>[a-z0-9_]{1,64})","sequence":(?<sequence>[1-9]\d{0,15}),"hash":"(?<hash>[0-9a-f]*)","mac":"(?<mac>[0-9a-f]*)","record(?<form>Base64":"|":)/;

/** Reads what the encoders above wrote, without newline; `null` for a line that is damaged. */
export function parseExportLine(line: Buffer): ExportLine | null {
  const start = recordPattern.exec(line.subarray(0, 512).toString('latin1'));
  if (start !== null) return { type: 'record', record: parseRecordLine(line, start) };
  const fields = parseFields(line.toString('utf8'));
  switch (fields?.['type']) {
    case 'strongroom.audit.export':
      return { type: 'header' };
    case 'strongroom.audit.chain': {
      const { chain, sequence, hash } = fields;
      if (typeof chain !== 'string' || typeof hash !== 'string' || typeof sequence !== 'number') return null;
      return { type: 'chain', head: { chain, sequence, hash } };
    }
    case 'strongroom.audit.checkpoint': {
      const { id, at } = fields;
      const signed = parseSigned(fields);
      if (signed === null || typeof id !== 'string' || typeof at !== 'number') return null;
      return { type: 'checkpoint', checkpoint: { id, at, ...signed } };
    }
    case 'strongroom.audit.segment': {
      const { number } = fields;
      const signed = parseSigned(fields);
      if (signed === null || typeof number !== 'number') return null;
      return { type: 'segment', segment: { number, ...signed } };
    }
    default:
      return null;
  }
}

function parseSigned({ key, signature, document }: Readonly<Record<string, unknown>>) {
  if (typeof key !== 'string' || typeof signature !== 'string' || typeof document !== 'string') return null;
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
  return { keyId: key, signature: bytes(signature), document: bytes(document) };
}

function parseRecordLine(line: Buffer, start: RegExpExecArray): StoredRecord {
  const { chain, sequence, hash, mac, form } = start.groups as Record<string, string>;
  const rest = line.subarray(start[0].length);
  return {
    chain: chain as string,
    sequence: Number(sequence),
    hash: Buffer.from(hash as string, 'hex'),
    mac: Buffer.from(mac as string, 'hex'),
    record: form === '":' ? rest.subarray(0, -1) : Buffer.from(rest.subarray(0, -2).toString('latin1'), 'base64'),
  };
}

function parseFields(text: string): Record<string, unknown> | null {
  try {
    const fields: unknown = JSON.parse(text);
    return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
