import { decodeBase64url } from './encoding.ts';
import { CryptoError } from './errors.ts';
import type { TermKey } from './keyring.ts';
import { MAC_BYTES, termMac, timingSafeEqualBytes } from './mac.ts';

const FORMAT = 1;
const PAYLOAD_AT = 1 + MAC_BYTES;

/** The longest cursor that is looked at, in characters. */
export const MAX_CURSOR_CHARACTERS = 4096;

/**
 * Makes a list position that the client carries back: base64url of a format byte (1), a MAC (32 bytes) and the
 * payload's JSON. The payload is authenticated, not hidden: put nothing in it that the caller may not see.
 *
 * @param binding what the cursor is good for (subject, route, filter), not carried in it. Build it injectively.
 * @throws TypeError for a payload whose cursor `openCursor` wouldn't accept.
 */
export function sealCursor(termKey: TermKey, payload: object, binding: string): string {
  const json = Buffer.from(JSON.stringify(payload), 'utf8');
  const cursor = Buffer.concat([Uint8Array.of(FORMAT), cursorMac(termKey, binding, json), json]).toString('base64url');
  if (cursor.length > MAX_CURSOR_CHARACTERS) throw new TypeError("The cursor's payload is too large");
  return cursor;
}

/**
 * The payload, or null for anything that `sealCursor` didn't make under this term for this binding.
 *
 * @throws CryptoError `term_destroyed`; TypeError for a term whose purpose isn't `cursor`.
 */
export function openCursor(termKey: TermKey, cursor: string, binding: string): Record<string, unknown> | null {
  const bytes = decodeCursor(cursor);
  if (bytes === null || bytes[0] !== FORMAT || bytes.length < PAYLOAD_AT || !binding.isWellFormed()) return null;
  const json = bytes.subarray(PAYLOAD_AT);
  if (!timingSafeEqualBytes(bytes.subarray(1, PAYLOAD_AT), cursorMac(termKey, binding, json))) return null;
  return JSON.parse(json.toString('utf8'));
}

function decodeCursor(cursor: string): Buffer | null {
  if (cursor.length > MAX_CURSOR_CHARACTERS) return null;
  try {
    return decodeBase64url(cursor);
  } catch (error) {
    if (error instanceof CryptoError) return null;
    throw error;
  }
}

function cursorMac(termKey: TermKey, binding: string, json: Uint8Array): Buffer {
  return termMac(termKey, 'cursor', 'strongroom/cursor/v1', [termKey.installationId, termKey.scopeId, binding, json]);
}
