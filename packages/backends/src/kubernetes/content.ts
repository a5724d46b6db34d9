import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Content, Entry } from '../backend.ts';
import type { WriteMark } from './marks.ts';
import { malformed } from './statuses.ts';

/** MaxSecretSize of Kubernetes: bytes of all values of a Secret together. */
export const maxObjectBytes = 1024 * 1024;

/**
 * Keyed fingerprints of values, kept in annotations: they show that a value is still the one that was written, and confirm
 * no guess to somebody without the key. They are compared by `matches` alone, so that a key can be exchanged.
 */
export interface Fingerprints {
  /** At most 128 characters. */
  make(value: SecretValue): Promise<string>;
  /** `false` for what another key made, too. */
  matches(value: SecretValue, fingerprint: string): Promise<boolean>;
}

export type ReadContent = Pick<Entry, 'value' | 'shape' | 'fieldNames' | 'intentId'>;

/**
 * A value as an entry. What somebody wrote past us is text where it is UTF-8, and has no intent, whatever the mark says.
 *
 * @param base64 as the API has it
 * @throws StrongroomError `backend_malformed`
 */
export async function readContent(
  base64: string,
  mark: WriteMark | null,
  fingerprints: Fingerprints,
): Promise<ReadContent> {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) throw malformed('the value is not in base64');
  const value = SecretValue.fromBytes(bytes);
  const isUtf8 = isText(bytes);
  bytes.fill(0);
  const isOurs = mark !== null && (await fingerprints.matches(value, mark.fingerprint));
  const shape = isOurs ? mark.shape : isUtf8 ? 'text' : 'binary';
  return {
    value,
    shape,
    fieldNames: shape === 'fields' ? fieldNames(value.revealText()) : null,
    ...(isOurs ? { intentId: mark.intentId } : {}),
  };
}

export interface WrittenContent {
  readonly base64: string;
  readonly mark: WriteMark;
}

/** @throws StrongroomError `validation_failed` for what isn't of its shape; `backend_limit` */
export async function writeContent(
  { value, shape }: Content,
  intentId: string,
  fingerprints: Fingerprints,
): Promise<WrittenContent> {
  if (value.byteLength > maxObjectBytes) throw tooLarge('a value');
  const bytes = Buffer.from(value.reveal().buffer);
  try {
    if (shape !== 'binary' && !isText(bytes)) throw invalid('The value is not text in UTF-8.');
    if (shape === 'fields') fieldNames(bytes.toString('utf8'));
    return { base64: bytes.toString('base64'), mark: { intentId, shape, fingerprint: await fingerprints.make(value) } };
  } finally {
    bytes.fill(0);
  }
}

/** @param what completes "…, 1048576 bytes at most" */
export function tooLarge(what: string): StrongroomError {
  return new StrongroomError('backend_limit', {
    detail: `Kubernetes does not take ${what} of this size; a Secret has at most ${maxObjectBytes} bytes.`,
  });
}

/**
 * Names in the order of the text, which `JSON.parse` loses for names like `10`.
 *
 * @throws StrongroomError `validation_failed` when it isn't a JSON object of texts, or has a name twice
 */
function fieldNames(text: string): string[] {
  const parsed = parse(text);
  const isFields =
    typeof parsed === 'object' &&
    parsed !== null &&
    !Array.isArray(parsed) &&
    Object.values(parsed).every((each) => typeof each === 'string');
  if (!isFields) throw invalid('The value is not a JSON object of texts.');
  const strings = text.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
  const names = strings.filter((_, index) => index % 2 === 0).map((token) => JSON.parse(token) as string);
  if (new Set(names).size !== names.length) throw invalid('A field is there twice.');
  return names;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // The parser quotes its input.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function isText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function invalid(detail: string): StrongroomError {
  return new StrongroomError('validation_failed', { detail });
}
