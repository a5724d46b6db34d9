import { StrongroomError } from '@strongroom/contract';
import type { Entry } from '@strongroom/backends';
import type { OpenedBackends } from '../../integrations/opened-backends.ts';
import type { Keys } from '../../keys/keys.ts';
import { failureOf } from '../backend-failures.ts';
import type { Fetched, FetchKey, RemoteSource } from './source.ts';

type Answers = ReadonlyMap<string, Entry | null | StrongroomError>;

/**
 * Somebody's own backend, as its integration is set up at this moment. Requests at once and retries are bounded where it is
 * opened, for all who read from it.
 */
export function createIntegrationSource(
  backends: Pick<OpenedBackends, 'open'>,
  keys: Pick<Keys, 'fingerprint'>,
): RemoteSource {
  return {
    kind: 'remote',
    flightPrefix: ({ id, revision }) => `integration ${id} ${revision ?? ''}`,
    async fetch(wanted, signal) {
      const sourceId = wanted[0]?.target.source?.id ?? '';
      let opened;
      let answers: Answers;
      try {
        opened = await backends.open(sourceId);
        answers = await opened.getMany(
          wanted.map(({ key }) => key),
          { signal },
        );
      } catch (error) {
        const failed = failureOf(error);
        return new Map(wanted.map(({ key }) => [key, failed]));
      }
      const { fields } = opened.capabilities;
      const fetched = new Map<string, Fetched>();
      try {
        for (const { key, target } of wanted) fetched.set(key, await judge(keys, answers.get(key), target, fields));
        return fetched;
      } catch (error) {
        for (const answer of answers.values())
          if (answer !== null && !(answer instanceof StrongroomError)) answer.value.destroy();
        throw error;
      }
    },
  };
}

async function judge(
  keys: Pick<Keys, 'fingerprint'>,
  answer: Entry | null | undefined | StrongroomError,
  { scopeId }: FetchKey['target'],
  fields: 'native' | 'json',
): Promise<Fetched> {
  // What was left out was not said to be missing.
  if (answer === undefined) return { kind: 'failed', failure: 'source-unavailable' };
  if (answer === null) return { kind: 'failed', failure: 'missing' };
  if (answer instanceof StrongroomError) return failureOf(answer);
  const { fingerprint } = await keys.fingerprint(scopeId, answer.value);
  const { value, version, shape } = answer;
  return { kind: 'value', value, version, fingerprint, entry: { shape, fields } };
}
