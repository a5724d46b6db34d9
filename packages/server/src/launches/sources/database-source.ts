import { StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { Keys } from '../../keys/keys.ts';
import type { MaybePromise } from '../../store/maybe-promise.ts';
import type { Target } from '../targets.ts';
import { OpenedTogether } from './opened-together.ts';
import type { Fetched, LocalSource } from './source.ts';

/** The managed store `database`: the catalogue's row brings the envelope, the keyring opens it. */
export function createDatabaseSource(keys: Pick<Keys, 'open'>): LocalSource {
  const together = new OpenedTogether(keys);
  return {
    kind: 'local',
    open({ scopeId, secret }: Target): MaybePromise<Fetched> {
      if (secret === null || secret.stored === null) return { kind: 'failed', failure: 'missing' };
      const { id, epoch, version, stored } = secret;
      const opened = (value: SecretValue): Fetched => ({
        kind: 'value',
        value,
        version: `${epoch}.${version}`,
        fingerprint: stored.fingerprint,
      });
      try {
        const value = together.open({ scopeId, secretId: id, epoch, version }, stored.envelope);
        return value instanceof Promise ? value.then(opened, unavailable) : opened(value);
      } catch (error) {
        return unavailable(error);
      }
    },
  };
}

function unavailable(error: unknown): Fetched {
  if (!(error instanceof StrongroomError)) throw error;
  return { kind: 'failed', failure: 'key-unavailable', detail: error.message };
}
