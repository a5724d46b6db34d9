import { isUtf8 } from 'node:buffer';
import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Entry, ListItem } from '../backend.ts';
import { crc32c } from './crc32c.ts';
import { malformed } from './failures.ts';
import type { AccessAnswer, DescribedVersion, ListedSecret } from './sdk.ts';

/** https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1#createsecretrequest */
const namePattern = /^[A-Za-z0-9_-]{1,255}$/;
const versionPattern = /^[1-9]\d{0,17}$/;
/** Answers name the project by its number, whichever was asked for. */
const secretPattern = /^projects\/[^/]{1,63}(?:\/locations\/([^/]{1,63}))?\/secrets\/([^/]{1,255})$/;
const secretVersionPattern = /^(.+)\/versions\/([1-9]\d{0,17})$/;

/** @throws StrongroomError `validation_failed` for what can't be the name of a secret, or isn't one of this integration's */
export function checkName(key: string, prefix: string): string {
  if (!namePattern.test(key))
    throw new StrongroomError('validation_failed', {
      detail: 'A name in Google Secret Manager has 1 to 255 letters, digits, hyphens and underscores.',
    });
  if (!key.startsWith(prefix))
    throw new StrongroomError('validation_failed', {
      detail: `The integration is for secrets whose names begin with ${prefix}`,
    });
  return key;
}

/** @throws StrongroomError `validation_failed` */
export function checkVersion(version: string): string {
  if (versionPattern.test(version)) return version;
  throw new StrongroomError('validation_failed', { detail: 'A version in Google Secret Manager is a number.' });
}

/** A secret that an answer is about. */
export interface Named {
  readonly key: string;
  readonly location: string | undefined;
}

/**
 * @param version the one that was asked for; `undefined`: whichever is current
 * @throws StrongroomError `backend_malformed` for what is no secret, another one than was asked for, or a damaged one
 */
export function toEntry(answer: AccessAnswer, { key, location }: Named, version: string | undefined): Entry {
  const { data } = answer.payload ?? {};
  if (!(data instanceof Uint8Array)) throw notASecret();
  try {
    const found = versionOf(answer, { key, location });
    if (version !== undefined && found !== version) throw notASecret();
    checkPayload(data, answer.payload?.dataCrc32c);
    const shape = isUtf8(data) ? 'text' : 'binary';
    return { shape, value: SecretValue.fromBytes(data), fieldNames: null, version: found, updatedAt: null };
  } finally {
    data.fill(0);
  }
}

/**
 * The version that an answer is about.
 *
 * @throws StrongroomError `backend_malformed` when it is none of the secret that was asked for
 */
export function versionOf(answer: AccessAnswer | DescribedVersion, { key, location }: Named): string {
  const [, name = '', version = ''] = (typeof answer.name === 'string' && secretVersionPattern.exec(answer.name)) || [];
  const named = namedBy(name);
  if (named?.key !== key || named.location !== location) throw notASecret();
  return version;
}

/** Google keeps no empty secrets, and an answer without a payload reads like one: only its checksum tells them apart. */
function checkPayload(data: Uint8Array, checksum: unknown): void {
  if (checksum === undefined || checksum === null) {
    if (data.length === 0) throw notASecret();
    return;
  }
  if (checksum === String(crc32c(data))) return;
  throw new StrongroomError('backend_malformed', {
    detail: 'The secret arrived from Google with another checksum (CRC32C) than it was stored with.',
    hint: 'Try again; what is between the server and Google damages data.',
  });
}

/** @throws StrongroomError `backend_malformed` */
export function toItem(secret: ListedSecret, location: string | undefined): ListItem {
  const named = namedBy(secret.name);
  if (named === null || named.location !== location || !namePattern.test(named.key)) throw malformed('listing');
  return { key: named.key };
}

function namedBy(text: unknown): Named | null {
  const found = typeof text === 'string' ? secretPattern.exec(text) : null;
  return found === null ? null : { key: found[2] ?? '', location: found[1] };
}

function notASecret(): StrongroomError {
  return malformed('reading a secret');
}
