import { isPath, StrongroomError } from '@strongroom/contract/core';
import { CryptoError, SecretValue } from '@strongroom/crypto';
import type { Entry } from '../backend.ts';
import type { JsonObject } from './json.ts';
import type { SecretMetadata } from './kv.ts';
import { malformed } from './statuses.ts';

/** The field of a secret that is its value where nobody names a field. */
const valueField = 'value';

/** The field that a managed store in the same Vault keeps beside the value: nobody's content. */
export const writeField = '_strongroom';

const maxKeyLength = 1024;

/**
 * A key as references have it: segments that can't climb (`isPathSegment`).
 *
 * @throws StrongroomError `reference_malformed`; the key is not repeated
 */
export function checkKey(key: string): string {
  if (key.length <= maxKeyLength && isPath(key)) return key;
  throw new StrongroomError('reference_malformed', {
    detail:
      'The key is not a name in Vault: it is too long, or has an empty, dot or control segment, a backslash or a percent sign.',
  });
}

/**
 * A key that is a part of a path. Vault answers 400 for what its language doesn't print (Go's `unicode.IsPrint`).
 *
 * @throws StrongroomError `reference_malformed`; the key is not repeated
 */
export function checkPathKey(key: string): string {
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u.test(key)) return checkKey(key);
  throw new StrongroomError('reference_malformed', {
    detail: 'The key is not a name in Vault: it has a character that is not printed.',
  });
}

/** @throws StrongroomError `validation_failed` */
export function checkVersion(version: string | undefined): string | undefined {
  if (version === undefined || /^[1-9]\d{0,8}$/.test(version)) return version;
  throw new StrongroomError('validation_failed', { detail: 'A version in Vault is a number from 1 on.' });
}

/**
 * A secret as an entry: text when `value` is its only field, else fields. Every field has to be text: what isn't would be
 * altered or left out.
 *
 * @throws StrongroomError `backend_malformed`
 */
export function secretEntry(data: JsonObject, metadata: SecretMetadata): Entry {
  const names = Object.keys(data).filter((name) => name !== writeField);
  return names.length === 1 && names[0] === valueField
    ? textEntry(data[valueField], metadata)
    : fieldsEntry(data, names, metadata);
}

/** @throws StrongroomError `backend_malformed` for what isn't text */
export function textEntry(value: unknown, metadata: SecretMetadata): Entry {
  if (typeof value !== 'string') throw notText();
  return { shape: 'text', value: toSecret(value), fieldNames: null, ...entryMetadata(metadata) };
}

function fieldsEntry(data: JsonObject, names: readonly string[], metadata: SecretMetadata): Entry {
  const members = names.map((name) => {
    const value = data[name];
    if (typeof value !== 'string') throw notText();
    return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  });
  return {
    shape: 'fields',
    value: toSecret(`{${members.join(',')}}`),
    fieldNames: names,
    ...entryMetadata(metadata),
  };
}

export function deletedVersion(): StrongroomError {
  return new StrongroomError('backend_deleted', { detail: 'The version was deleted or destroyed in Vault.' });
}

export function updatedAt({ createdTime }: SecretMetadata): number | null {
  const time = Date.parse(createdTime);
  return Number.isNaN(time) ? null : time;
}

function entryMetadata(metadata: SecretMetadata): { readonly version: string; readonly updatedAt: number | null } {
  return { version: String(metadata.version), updatedAt: updatedAt(metadata) };
}

function toSecret(text: string): SecretValue {
  try {
    return SecretValue.fromText(text);
  } catch (error) {
    if (error instanceof CryptoError) throw notText();
    throw error;
  }
}

function notText(): StrongroomError {
  return malformed('a field of the secret is not text');
}
