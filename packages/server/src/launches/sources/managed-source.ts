import { StrongroomError } from '@strongroom/contract';
import type { Entry } from '@strongroom/backends';
import type { KnownEntries, KnownVersion } from '../../managed-stores/known-entries.ts';
import type { ManagedStores } from '../../managed-stores/opened-stores.ts';
import { parsePlan } from '../../managed-stores/plan.ts';
import type { EntryPlace, WriteSettler } from '../../managed-stores/settler.ts';
import { outageOf } from '../backend-failures.ts';
import type { Fetched, FetchKey, RemoteSource } from './source.ts';

export interface ManagedSourceParts {
  readonly stores: ManagedStores;
  readonly known: KnownEntries;
  readonly settler: WriteSettler;
}

type Answer = Entry | null | StrongroomError;

/** Looks at the catalogue again when a write gets in between, so often. */
const looks = 3;

/**
 * A managed store outside the database. Versions are the catalogue's, found by what the entry says of itself; what was edited
 * outside becomes a version first.
 */
export function createManagedSource(parts: ManagedSourceParts): RemoteSource {
  return {
    kind: 'remote',
    flightPrefix: ({ id, type }) => `managed ${id} ${type}`,
    async fetch(keys, signal) {
      const fetched = new Map<string, Fetched>();
      const sourceId = keys[0]?.target.source?.id;
      if (sourceId === undefined) return fetched;
      const backend = await parts.stores.of(sourceId);
      const names = keys.map(({ key }) => key);
      const answers = await backend.getMany(names, { signal });
      try {
        for (const wanted of keys)
          fetched.set(wanted.key, await identify(parts, sourceId, wanted, answers.get(wanted.key)));
        return fetched;
      } catch (error) {
        for (const answer of answers.values())
          if (answer !== null && !(answer instanceof StrongroomError)) answer.value.destroy();
        throw error;
      }
    },
  };
}

async function identify(
  parts: ManagedSourceParts,
  sourceId: string,
  { key, target: { secret } }: FetchKey,
  answer: Answer | undefined,
): Promise<Fetched> {
  if (secret === null || answer === undefined) return { kind: 'failed', failure: 'source-unavailable' };
  const isDeleted = answer instanceof StrongroomError && answer.code === 'backend_deleted';
  if (answer instanceof StrongroomError && !isDeleted) return outageOf(answer);
  if (answer === null || answer instanceof StrongroomError) return missing(parts, secret.id);
  for (let look = 0; look < looks; look += 1) {
    const known = await parts.known.current(secret.id);
    if (known === undefined) break;
    const version = await versionOf(parts, { sourceId, key }, known, answer);
    if (version !== null) return { kind: 'value', value: answer.value, ...version };
  }
  answer.value.destroy();
  return { kind: 'failed', failure: 'source-unavailable', detail: 'The secret is being written; try again.' };
}

async function missing({ known }: ManagedSourceParts, secretId: string): Promise<Fetched> {
  const version = await known.current(secretId);
  if (version !== undefined) await known.note(version, null);
  return { kind: 'failed', failure: 'missing', detail: 'The managed store of the scope has no such entry.' };
}

/** Which version an entry is; `null` when the catalogue has changed and is to be looked at again. */
async function versionOf(
  { known: entries, settler }: ManagedSourceParts,
  { sourceId, key }: Omit<EntryPlace, 'secretId'>,
  known: KnownVersion,
  entry: Entry,
): Promise<{ readonly version: string; readonly fingerprint: Uint8Array } | null> {
  if (await entries.isCurrent(known, entry)) {
    if (known.storeState === 'missing') await entries.note(known, entry);
    return { version: `${known.epoch}.${known.version}`, fingerprint: known.fingerprint };
  }
  const writer = entry.intentId === undefined ? undefined : await entries.intent(entry.intentId);
  if (writer !== undefined && writer.secret_id === known.secretId && writer.state === 'pending') {
    const plan = parsePlan(writer.plan);
    if (plan.kind === 'purge') return null;
    const { epoch, version, fingerprint } = plan.args.sealed;
    return { version: `${epoch}.${version}`, fingerprint };
  }
  await settler.explain({ secretId: known.secretId, sourceId, key }, entry);
  return null;
}
