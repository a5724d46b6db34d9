import { hash } from 'node:crypto';
import { auditMac, type KeyTerm, TermKey } from '@strongroom/crypto';
import { installationScopeId } from '../keys/terms.ts';
import type { AuditEvent } from './event.ts';

/** Names the hash's input; a change of the record's form or of the input is a new label. */
const recordFormat = 'strongroom/audit-record/v1';
/** SHA-256. */
const hashBytes = 32;
/** What the first record of a chain has as its previous hash. */
export const noPreviousHash: Uint8Array = new Uint8Array(hashBytes);

/** Longest text kept, in UTF-16 code units; the rest is cut and the record says so. */
const maxTextLength = 2048;
/** Entries kept of `because` and of `detail`. */
const maxEntries = 64;

/** A position in a chain with what it hashes to (lower-case hex). */
export interface ChainHead {
  readonly chain: string;
  readonly sequence: number;
  readonly hash: string;
}

/** A line of an anchor series: SHA-256 of the line's bytes without its newline, lower-case hex. */
export interface AnchorPosition {
  readonly series: string;
  readonly line: number;
  readonly hash: string;
}

/** What the first record of a chain says beside its event; ties the chain to all that was before it. */
export interface Genesis {
  readonly installation: string;
  readonly epoch: number;
  /** Term of the MAC key. */
  readonly macTerm: string;
  /** Id of the key that signs this chain's anchor lines. */
  readonly signingKey: string;
  /** The newest checkpoint at that time; it covers every head that is not in `heads`. */
  readonly checkpoint: { readonly id: string; readonly digest: string } | null;
  /** Heads of chains that have moved since that checkpoint. */
  readonly heads: readonly ChainHead[];
  /** The last line of the anchor file before this chain; null when there was none. */
  readonly anchor: AnchorPosition | null;
}

/**
 * An event as a chain takes it: its part of the record's text, then what is kept in columns. Strings at fixed places cross
 * threads cheaply.
 */
export type EncodedEvent = readonly [
  text: string,
  principal: string,
  action: string,
  outcome: AuditEvent['outcome'],
  scopeId: string | null,
];

/** What of a record doesn't depend on where in a chain it will be, ready to send to the chain's writer. */
export function encodeEvent(event: AuditEvent): EncodedEvent {
  return [eventText(event), event.principal, event.action, event.outcome, event.scope?.id ?? null];
}

/**
 * The exact bytes of a record: UTF-8 JSON on one line, fields in a fixed order, absent ones left out, keys of `detail`
 * sorted. Control characters, line and paragraph separators, invisible and bidirectional formatting characters and lone
 * surrogates are `\u` escapes, so that no name can start a line, end a line or reorder one on a terminal.
 *
 * @param now milliseconds since 1970
 */
export function encodeRecord(event: AuditEvent, now: number, genesis?: Genesis): Buffer {
  return completeRecord(encodeEvent(event), now, genesis);
}

/** {@link encodeRecord} of an event that is encoded already. */
export function completeRecord([text]: EncodedEvent, now: number, genesis?: Genesis): Buffer {
  const end = genesis === undefined ? '}' : `,"genesis":${escapeText(JSON.stringify(genesis))}}`;
  return Buffer.from(`{"v":1,"at":"${timeText(now)}"${text}${end}`, 'utf8');
}

/** The record's fields between the time and the genesis. */
function eventText(event: AuditEvent): string {
  const cut = { isCut: false };
  const { scope, object, because, detail } = event;
  let json = `,"principal":${named(event.principal, event.principalName, cut)}`;
  json += `,"action":${quoted(event.action, cut)},"outcome":${quoted(event.outcome, cut)}`;
  if (scope !== undefined) json += `,"scope":${named(scope.id, scope.name, cut)}`;
  if (object !== undefined)
    json += `,"object":{"type":${quoted(object.type, cut)},"id":${quoted(object.id, cut)},"name":${quoted(object.name, cut)}}`;
  for (const name of optionalTexts) {
    const text = event[name];
    if (text !== undefined) json += `,"${name}":${quoted(text, cut)}`;
  }
  if (because !== undefined)
    json += `,"because":[${cutEntries(because, cut)
      .map((reason) => quoted(reason, cut))
      .join(',')}]`;
  if (detail !== undefined) json += `,"detail":${detailText(detail, cut)}`;
  return cut.isCut ? `${json},"cut":true` : json;
}

const optionalTexts = ['requestId', 'network', 'launch', 'reference', 'source', 'version'] as const;

function named(id: string, name: string, cut: { isCut: boolean }): string {
  return `{"id":${quoted(id, cut)},"name":${quoted(name, cut)}}`;
}

// Printable ASCII without quote and backslash is its own JSON.
const plainText = /^[ !#-[\]-~]*$/;

function quoted(text: string, cut: { isCut: boolean }): string {
  const kept = cutText(text, cut);
  return plainText.test(kept) ? `"${kept}"` : escapeText(JSON.stringify(kept));
}

let lastTime = { at: Number.NaN, text: '' };

/** RFC 3339. The records of one batch have one time. */
function timeText(now: number): string {
  if (lastTime.at !== now) lastTime = { at: now, text: new Date(now).toISOString() };
  return lastTime.text;
}

type Detail = NonNullable<AuditEvent['detail']>;

/** Written entry by entry: an object would put keys that look like numbers before the others. */
function detailText(detail: Detail, cut: { isCut: boolean }): string {
  let json = '';
  let previous: string | undefined;
  for (const key of cutEntries(Object.keys(detail).sort(), cut)) {
    const value = detail[key];
    const kept = cutText(key, cut);
    // Keys that are the same once they are cut lie side by side.
    if (value === undefined || kept === previous) continue;
    previous = kept;
    json += `${json === '' ? '' : ','}${quoted(kept, cut)}:${typeof value === 'string' ? quoted(value, cut) : JSON.stringify(value)}`;
  }
  return `{${json}}`;
}

function cutText(text: string, cut: { isCut: boolean }): string {
  if (text.length <= maxTextLength) return text;
  cut.isCut = true;
  return text.slice(0, maxTextLength);
}

function cutEntries<Entry>(entries: readonly Entry[], cut: { isCut: boolean }): readonly Entry[] {
  if (entries.length <= maxEntries) return entries;
  cut.isCut = true;
  return entries.slice(0, maxEntries);
}

// C0 controls, quotes and lone surrogates are JSON.stringify's own; these it leaves as they are.
const unsafeCharacters = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** JSON text with every character escaped that could be taken for layout. */
export function escapeText(json: string): string {
  return json.replace(unsafeCharacters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * SHA-256 over the length-prefixed list (format, chain id, sequence, previous hash, record). Lengths are 4 bytes, the
 * sequence 8 bytes, both big-endian.
 */
export function createRecordHash(
  chain: string,
): (sequence: number, previous: Uint8Array, record: Uint8Array) => Buffer {
  const label = Buffer.concat([lengthPrefixed(Buffer.from(recordFormat)), lengthPrefixed(Buffer.from(chain))]);
  const previousAt = label.length + 4 + 8 + 4;
  const recordAt = previousAt + hashBytes + 4;
  return (sequence, previous, record) => {
    const input = Buffer.allocUnsafe(recordAt + record.length);
    label.copy(input);
    input.writeUInt32BE(8, label.length);
    input.writeBigUInt64BE(BigInt(sequence), label.length + 4);
    input.writeUInt32BE(hashBytes, previousAt - 4);
    input.set(previous, previousAt);
    input.writeUInt32BE(record.length, recordAt - 4);
    input.set(record, recordAt);
    return hash('sha256', input, 'buffer');
  };
}

function lengthPrefixed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** MACs the hashes of records, so the stored bytes, their place and all that came before. Owns its copy of the key. */
export type RecordMac = (recordHash: Uint8Array) => Uint8Array;

/** @param key 32 bytes, of the term */
export function createRecordMac(installationId: string, termId: string, key: Uint8Array): RecordMac {
  // The parts of a stored term that only its keeper needs are left empty.
  const term: KeyTerm = {
    id: termId,
    scopeId: installationScopeId,
    purpose: 'audit-mac',
    number: 0,
    wrapped: new Uint8Array(0),
    kekId: '',
    uses: 0,
    state: 'active',
  };
  const termKey = new TermKey(installationId, term, Uint8Array.from(key));
  return (recordHash) => auditMac(termKey, recordHash);
}

/** SHA-256, lower-case hex. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex');
}

/** Names a signing key in anchor lines and checkpoints: 16 hex digits of its public key's SHA-256. */
export function signingKeyId(publicKey: Uint8Array): string {
  return sha256Hex(publicKey).slice(0, 16);
}
