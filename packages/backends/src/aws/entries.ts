import { StrongroomError } from '@strongroom/contract/core';
import { CryptoError, SecretValue } from '@strongroom/crypto';
import type { Entry } from '../backend.ts';
import { malformed } from './failures.ts';

/** What a secret may be called, also by AWS itself (`rds!…`): nothing that could be taken for an ARN. */
const namePattern = /^[A-Za-z0-9/_+=.@!-]{1,512}$/;
/** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
const versionPattern = /^[A-Za-z0-9-]{32,64}$/;

/** @throws StrongroomError `validation_failed` for what can't be the name of a secret, or isn't one of this integration's */
export function checkName(key: string, prefix: string): string {
  if (!namePattern.test(key))
    throw new StrongroomError('validation_failed', {
      detail: 'A name in AWS Secrets Manager has 1 to 512 letters, digits and /_+=.@-',
    });
  if (!key.startsWith(prefix))
    throw new StrongroomError('validation_failed', {
      detail: `The integration is for secrets whose names begin with ${prefix}`,
    });
  return key;
}

export function isVersion(text: string): boolean {
  return versionPattern.test(text);
}

/** @throws StrongroomError `validation_failed` */
export function checkVersion(version: string): string {
  if (isVersion(version)) return version;
  throw new StrongroomError('validation_failed', { detail: 'A version in AWS is an id of 32 to 64 characters.' });
}

/** What AWS answers with for one secret, as the SDK reads it: whether the types hold is looked at here. */
export interface SecretAnswer {
  readonly Name?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly SecretString?: string | undefined;
  readonly SecretBinary?: Uint8Array | undefined;
  readonly CreatedDate?: Date | undefined;
}

/** @throws StrongroomError `backend_malformed` for what is no secret, or another one than was asked for */
export function toEntry(answer: SecretAnswer, key: string): Entry {
  const { Name: name, VersionId: version, CreatedDate: created } = answer;
  if (name !== key || typeof version !== 'string' || !versionPattern.test(version)) throw notASecret();
  const time = created instanceof Date ? created.getTime() : Number.NaN;
  return { ...contentOf(answer), fieldNames: null, version, updatedAt: Number.isNaN(time) ? null : time };
}

function contentOf({ SecretString: text, SecretBinary: bytes }: SecretAnswer): Pick<Entry, 'shape' | 'value'> {
  if (typeof text === 'string' && bytes === undefined) {
    try {
      return { shape: 'text', value: SecretValue.fromText(text) };
    } catch (error) {
      if (error instanceof CryptoError) throw notASecret();
      throw error;
    }
  }
  if (!(bytes instanceof Uint8Array) || text !== undefined) throw notASecret();
  const value = SecretValue.fromBytes(bytes);
  bytes.fill(0);
  return { shape: 'binary', value };
}

function notASecret(): StrongroomError {
  return malformed('reading a secret');
}
