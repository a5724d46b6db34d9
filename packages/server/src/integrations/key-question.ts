import { type ExplainOutcome, formatReference, type Reference, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import { integrationEvent } from './events.ts';
import type { OpenedBackends } from './opened-backends.ts';

const deadlineMilliseconds = 5_000;

/** What a backend says of a key, for the link of the chain that is its. */
export interface KeyFinding {
  readonly outcome: ExplainOutcome;
  readonly because: readonly string[];
  readonly detail: string;
}

/** Asks the backend of an integration whether it answers and holds a key. Reads no value, on no way. */
export type AskKey = (
  caller: Caller,
  place: ScopeRef,
  integration: AssetRef,
  reference: Reference,
) => Promise<KeyFinding>;

/**
 * Bounded by five seconds and put on record before. Only who has USE of the integration may have it asked: which keys are
 * there is theirs alone to know.
 *
 * @throws StrongroomError `audit_unavailable`
 */
export function keyQuestion(
  store: Pick<Store, 'execute'>,
  access: Pick<AccessService, 'decide'>,
  backends: Pick<OpenedBackends, 'open'>,
): AskKey {
  return async (caller, place, integration, reference) => {
    if (!access.decide(caller.snapshot, 'integration.use', { kind: 'asset', asset: integration }).allow)
      return notAsked('The backend is asked only for those who may use the integration');
    const event = integrationEvent(caller, place, 'explain', integration, ['backend']);
    const audit = [{ ...event, reference: formatReference(reference), source: integration.name }];
    await store.execute('access.record', undefined, { audit });
    try {
      const backend = await backends.open(integration.id);
      if (backend.versions === undefined)
        return notAsked('The backend has no question about a key without its value; a preflight reads it');
      const signal = AbortSignal.timeout(deadlineMilliseconds);
      const answer = (await backend.versions([reference.key], { signal })).get(reference.key);
      if (answer instanceof StrongroomError) return ofKey(answer);
      if (answer === undefined) return notTold;
      if (answer === null) return { outcome: 'deny', because: ['key-missing'], detail: 'The backend has no such key' };
      const detail = 'The backend answers and holds the key; whether its value may be read, a preflight tells';
      return { outcome: 'allow', because: ['key-found'], detail };
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      return failed(error, error.code === 'backend_denied' ? 'deny' : 'unknown');
    }
  };
}

/** What the backend says of the key itself: deleted, or no name of its. */
const definite: ReadonlySet<string> = new Set(['backend_deleted', 'validation_failed', 'reference_malformed']);

/** A refusal of this question need not be one of the value. */
function ofKey(error: StrongroomError): KeyFinding {
  if (error.code === 'backend_denied') return notTold;
  return failed(error, definite.has(error.code) ? 'deny' : 'unknown');
}

/** An outage is no denial: it says nothing about the key. */
function failed({ code, message }: StrongroomError, outcome: ExplainOutcome): KeyFinding {
  return { outcome, because: [code], detail: message };
}

function notAsked(detail: string): KeyFinding {
  return { outcome: 'unknown', because: ['not-asked'], detail };
}

const notTold: KeyFinding = {
  outcome: 'unknown',
  because: ['not-told'],
  detail: 'The backend answers, and does not say without the value whether it holds the key; a preflight reads it',
};
