import type { CheckLine, Entry } from '../backend.ts';
import { connectionSteps, trySteps } from '../check-steps.ts';
import type { Egress } from '../egress/index.ts';
import { checkEndpoint, type Endpoint } from './endpoint.ts';
import { AwsFailure } from './failures.ts';
import { StrongroomError } from '@strongroom/contract/core';

export interface AwsCheckParts {
  readonly egress: Egress;
  readonly endpoint: Endpoint;
  readonly signal: AbortSignal;
  /** Reads the secret of this name behind the prefix. */
  readonly read: (name: string) => Promise<Entry | null>;
  readonly readKey: (key: string) => Promise<Entry | null>;
  /** Of the first page; `null` when it is empty. */
  readonly firstKey: () => Promise<string | null>;
}

/** A name that nobody gives: what AWS says about it shows whether the identity is known, and what it may do. */
const noName = 'strongroom-connection-test';

export async function checkAws(parts: AwsCheckParts): Promise<CheckLine[]> {
  const { egress, endpoint, signal } = parts;
  const { steps } = connectionSteps({
    checkAddress: () => checkEndpoint(endpoint, egress),
    isEncrypted: endpoint.url.startsWith('https:'),
    probe: () => egress.request(`${endpoint.url}/`, { ...endpoint.rules, signal }),
  });
  return trySteps(
    {
      ...steps,
      login: async () => {
        try {
          await parts.read(noName);
        } catch (error) {
          if (!(error instanceof AwsFailure) || error.code !== 'backend_denied' || error.isOfIdentity) throw error;
        }
        return 'The identity is known.';
      },
      list: async () => {
        await parts.firstKey();
        return 'Listing is allowed.';
      },
      read: async () => {
        const entry = await readSome(parts);
        entry?.value.destroy();
        return entry === null ? 'Reading is allowed; no secret is there yet.' : 'Reading is allowed.';
      },
    },
    ['list'],
  );
}

async function readSome({ firstKey, readKey, read }: AwsCheckParts): Promise<Entry | null> {
  const key = await firstKey().catch((error: unknown) => {
    if (error instanceof StrongroomError && error.code === 'backend_denied') return null;
    throw error;
  });
  return key === null ? read(noName) : readKey(key);
}
