import { StrongroomError } from '@strongroom/contract/core';
import type { SecretValue } from '@strongroom/crypto';

/** A credential is given as a SecretValue and becomes text at the last moment. */
export type Headers = Readonly<Record<string, string | SecretValue>>;

/** What the guard itself decides. */
const own = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Headers as they are sent, always with `accept-encoding: identity`.
 *
 * @throws StrongroomError `validation_failed` for a value with anything but visible ASCII, blanks and tabs (RFC 9110 §5.5);
 * it names the header only
 */
export function readHeaders(headers: Headers): Record<string, string> {
  const read: Record<string, string> = { 'accept-encoding': 'identity' };
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (own.has(lower) || !/^[a-z0-9-]{1,64}$/.test(lower))
      throw new TypeError(`The header ${name} is not the caller’s to set`);
    const text = typeof value === 'string' ? value : revealed(value, name);
    if (!/^[\t -~]*$/.test(text))
      throw new StrongroomError('validation_failed', {
        detail: `The value of the header ${name} holds characters that headers can’t have.`,
      });
    read[lower] = text;
  }
  return read;
}

function revealed(value: SecretValue, name: string): string {
  const bytes = value.reveal();
  // One character for each byte; what is beyond ASCII is refused by the caller.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  bytes.fill(0);
  if (text === '')
    throw new StrongroomError('validation_failed', { detail: `The value of the header ${name} is empty.` });
  return text;
}
