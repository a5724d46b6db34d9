import { StrongroomError } from '@strongroom/contract';
import type { Keys } from '../../keys/keys.ts';
import type { Target } from '../targets.ts';
import type { Fetched, LocalSource } from './source.ts';

/** The managed store `database`: the catalogue's row brings the envelope, the keyring opens it. */
export function createDatabaseSource(keys: Pick<Keys, 'open'>): LocalSource {
  return {
    kind: 'local',
    async open({ scopeId, secret }: Target): Promise<Fetched> {
      if (secret === null || secret.stored === null) return { kind: 'failed', failure: 'missing' };
      const { id, epoch, version, stored } = secret;
      try {
        const value = await keys.open({ scopeId, secretId: id, epoch, version }, stored.envelope);
        return { kind: 'value', value, version: `${epoch}.${version}`, fingerprint: stored.fingerprint };
      } catch (error) {
        if (!(error instanceof StrongroomError)) throw error;
        return { kind: 'failed', failure: 'key-unavailable', detail: error.message };
      }
    },
  };
}
