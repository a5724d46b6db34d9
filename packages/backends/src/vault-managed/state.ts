import { StrongroomError } from '@strongroom/contract/core';
import type { Expectation } from '../backend.ts';
import type { VaultCall } from '../vault/client.ts';
import { writeField } from '../vault/entries.ts';
import type { JsonObject } from '../vault/json.ts';
import type { KvReader, SecretMetadata, SecretState } from '../vault/kv.ts';
import { hasOwnerMark, readWriteMark, type WriteMark } from './mark.ts';

/** What is at a key's place. */
export interface Place {
  readonly secret: SecretState;
  readonly mark: WriteMark | null;
  /** Something is there, and it isn't ours to change. */
  readonly isForeign: boolean;
  readonly hasOwnerMark: boolean;
  /** An entry that a caller can see: not absent, not deleted in Vault, not being deleted by us. */
  readonly entry: { readonly data: JsonObject; readonly metadata: SecretMetadata } | null;
  /** What a check-and-set write has to name. */
  readonly cas: number;
}

const nowhere: Place = {
  secret: { kind: 'absent' },
  mark: null,
  isForeign: false,
  hasOwnerMark: false,
  entry: null,
  cas: 0,
};

export async function readPlace(kv: KvReader, path: string, call: VaultCall, version?: string): Promise<Place> {
  const secret = await kv.read(path, call, version);
  if (secret.kind === 'absent') return nowhere;
  const mark =
    secret.kind === 'present' && Object.hasOwn(secret.data, writeField)
      ? readWriteMark(secret.data[writeField], placeOf(kv, path))
      : null;
  const isMarked = hasOwnerMark(secret.customMetadata);
  const isVisible = secret.kind === 'present' && mark?.shape !== 'deleted';
  return {
    secret,
    mark,
    // A write that was cut off before it set the owner's mark left its own.
    isForeign: !isMarked && mark === null,
    hasOwnerMark: isMarked,
    entry: isVisible ? { data: secret.data, metadata: secret } : null,
    cas: secret.version,
  };
}

export function placeOf(kv: KvReader, path: string): string {
  return `${kv.mount}/${path}`;
}

/**
 * The number that KV has, and when it was made: a secret that is deleted and made anew begins at 1 again, and an
 * expectation of the one before must not fit it.
 */
export function versionOf({ version, createdTime }: Pick<SecretMetadata, 'version' | 'createdTime'>): string {
  return `${version}@${createdTime}`;
}

/** @returns the number for Vault and what the secret's version has to be. @throws StrongroomError `validation_failed` */
export function parseVersion(version: string): string {
  const [, number] = /^([1-9]\d{0,8})@[0-9A-Z:.+-]{1,64}$/.exec(version) ?? [];
  if (number === undefined)
    throw new StrongroomError('validation_failed', { detail: 'The version is none of the managed store in Vault.' });
  return number;
}

/** The id of the write that left this version; a change from outside carries the mark of the one before. */
export function intentOf({ mark, secret }: Place): string | undefined {
  return secret.kind !== 'absent' && mark?.version === secret.version ? mark.intentId : undefined;
}

/** @throws StrongroomError `version_conflict` */
export function assertExpected(place: Place, expect: Expectation): void {
  if (isExpected(place, expect)) return;
  throw conflict();
}

function isExpected(place: Place, expect: Expectation): boolean {
  const { entry } = place;
  switch (expect.kind) {
    case 'any':
      return true;
    case 'absent':
      return entry === null && !isDeletedInVault(place);
    case 'version':
      return entry !== null && versionOf(entry.metadata) === expect.version;
    case 'intent':
      return entry !== null && intentOf(place) === expect.intentId;
  }
}

/** Its version was deleted with Vault's own means and can be brought back: `absent` would be wrong. */
export function isDeletedInVault({ secret }: Place): boolean {
  return secret.kind === 'deleted';
}

export function conflict(): StrongroomError {
  return new StrongroomError('version_conflict', { detail: 'The secret in Vault is not the one that was expected.' });
}

export function foreign(): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: 'The secret in Vault was not written by Strongroom, so it is not changed.',
    hint: 'strongroom store adopt marks it as Strongroom’s; until then it can be read.',
  });
}
