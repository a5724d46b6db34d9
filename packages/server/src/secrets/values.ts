import { maxFieldLength, StrongroomError } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import type { Tables } from '../store/tables.ts';

/** A value from a request, in one of its three shapes. */
export interface ValueInput {
  readonly value?: string;
  readonly valueBase64?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

/** A value that may be stored. `fieldNames` is a JSON array, null unless the value has fields. */
export interface ParsedValue {
  readonly value: SecretValue;
  readonly shape: Tables['secrets']['shape'];
  readonly fieldNames: string | null;
}

/** Shorter values are left out of the shared-value report: comparing them would confirm guesses. */
export const minComparableBytes = 16;

/**
 * Takes exactly one of the three shapes, unaltered. Fields become the UTF-8 bytes of a JSON object in the order given.
 *
 * @throws StrongroomError `validation_failed`; `limit_exceeded` when the bytes to store are more than `maxBytes`. No message
 * holds any part of the value.
 */
export function parseValue(input: ValueInput, maxBytes: number): ParsedValue {
  const given = (['value', 'valueBase64', 'fields'] as const).filter((name) => input[name] !== undefined);
  if (given.length !== 1) {
    throw invalid(given[1] ?? 'value', 'send exactly one of value, valueBase64 and fields');
  }
  const parsed = parseShape(input);
  if (parsed.value.byteLength > maxBytes) {
    parsed.value.destroy();
    throw new StrongroomError('limit_exceeded', {
      detail: `The value is larger than the store's limit of ${maxBytes} bytes.`,
    });
  }
  return parsed;
}

function parseShape(input: ValueInput): ParsedValue {
  if (input.value !== undefined) {
    if (!input.value.isWellFormed()) throw invalid('value', 'the text has a lone surrogate; send bytes as valueBase64');
    return { value: SecretValue.fromText(input.value), shape: 'text', fieldNames: null };
  }
  if (input.valueBase64 !== undefined) {
    const bytes = Buffer.from(input.valueBase64, 'base64');
    // Buffer ignores what it does not know; a value must not be stored altered.
    if (bytes.toString('base64') !== input.valueBase64)
      throw invalid('valueBase64', 'not base64 with padding (RFC 4648 §4)');
    const value = SecretValue.fromBytes(bytes);
    bytes.fill(0);
    return { value, shape: 'binary', fieldNames: null };
  }
  const entries = Object.entries(input.fields ?? {});
  if (entries.length === 0) throw invalid('fields', 'at least one field is needed');
  for (const [name, text] of entries) {
    if (name === '' || name.length > maxFieldLength || !name.isWellFormed() || /\p{Cc}/u.test(name))
      throw invalid('fields', `names are 1 to ${maxFieldLength} printable characters`);
    if (!text.isWellFormed()) throw invalid('fields', 'a text has a lone surrogate');
  }
  // Built by hand so that a field called __proto__ is an ordinary one.
  const json = `{${entries.map(([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`).join(',')}}`;
  return {
    value: SecretValue.fromText(json),
    shape: 'fields',
    fieldNames: JSON.stringify(entries.map(([name]) => name)),
  };
}

function invalid(field: string, message: string): StrongroomError {
  return new StrongroomError('validation_failed', { errors: [{ pointer: `/${field}`, message }] });
}
