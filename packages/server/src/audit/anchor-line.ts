import { type SigningKey, verifySignature } from '@strongroom/crypto';
import { type AnchorPosition, type ChainHead, sha256Hex } from './record.ts';

const type = 'strongroom.audit.anchor';
const signatureMark = ',"signature":"';
const noPreviousLine = '0'.repeat(64);

/** What one line of the anchor says: at this time this chain ended here. */
export interface AnchorStatement extends ChainHead {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly epoch: number;
}

export interface AnchorLine extends AnchorStatement {
  readonly series: string;
  readonly line: number;
  /** Hash of the series' line before; zeros in the first. */
  readonly previous: string;
  readonly keyId: string;
  /** Of this line. */
  readonly lineHash: string;
  /** The line without its newline. */
  readonly text: string;
}

/**
 * One line of JSON, without newline. The signature (Ed25519, base64url) covers the line's bytes up to the comma before
 * `"signature"`; `previous` covers the whole line before, its signature included.
 */
export function encodeAnchorLine(
  statement: AnchorStatement,
  place: { readonly series: string; readonly line: number; readonly previous: AnchorPosition | null },
  key: { readonly id: string; readonly signing: SigningKey },
): string {
  const unsigned = JSON.stringify({
    type,
    v: 1,
    series: place.series,
    line: place.line,
    at: new Date(statement.at).toISOString(),
    epoch: statement.epoch,
    chain: statement.chain,
    sequence: statement.sequence,
    hash: statement.hash,
    previous: place.previous?.hash ?? noPreviousLine,
    key: key.id,
  }).slice(0, -1);
  const signature = Buffer.from(key.signing.sign(Buffer.from(unsigned))).toString('base64url');
  return `${unsigned}${signatureMark}${signature}"}`;
}

const hex = (digits: number): string => `[0-9a-f]{${digits}}`;
// Everything is printable ASCII, in one form only; what does not match is no anchor line.
const linePattern = new RegExp(
  `^\\{"type":"strongroom\\.audit\\.anchor","v":1,"series":"(?<series>${hex(32)})","line":(?<line>[1-9]\\d{0,15}),` +
    `"at":"(?<at>\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z)","epoch":(?<epoch>\\d{1,15}),` +
    `"chain":"(?<chain>chn_[0-9a-v]{26})","sequence":(?<sequence>[1-9]\\d{0,15}),"hash":"(?<hash>${hex(64)})",` +
    `"previous":"(?<previous>${hex(64)})","key":"(?<key>${hex(16)})","signature":"[A-Za-z0-9_-]{86}"\\}$`,
);

/** `null` for anything else than an anchor line, torn ones included. The signature is not looked at. */
export function parseAnchorLine(text: string): AnchorLine | null {
  const groups = linePattern.exec(text)?.groups;
  if (groups === undefined) return null;
  const { series, line, at, epoch, chain, sequence, hash, previous, key } = groups as Record<string, string>;
  const atMilliseconds = Date.parse(at as string);
  if (Number.isNaN(atMilliseconds)) return null;
  return {
    series: series as string,
    line: Number(line),
    at: atMilliseconds,
    epoch: Number(epoch),
    chain: chain as string,
    sequence: Number(sequence),
    hash: hash as string,
    previous: previous as string,
    keyId: key as string,
    lineHash: sha256Hex(text),
    text,
  };
}

export function isSignedBy(publicKey: Uint8Array, line: AnchorLine): boolean {
  const at = line.text.lastIndexOf(signatureMark);
  const signature = Buffer.from(line.text.slice(at + signatureMark.length, -2), 'base64url');
  return verifySignature(publicKey, Buffer.from(line.text.slice(0, at)), signature);
}

/** Whether `next` follows `line` in its series. */
export function isLinked(line: AnchorLine, next: AnchorLine): boolean {
  return next.series === line.series && next.line === line.line + 1 && next.previous === line.lineHash;
}
