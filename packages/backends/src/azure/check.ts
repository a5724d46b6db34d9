import { StrongroomError } from '@strongroom/contract/core';
import type { CheckLine, Entry } from '../backend.ts';
import { connectionSteps, trySteps } from '../check-steps.ts';
import type { AddressRules, Egress } from '../egress/index.ts';
import { AzureFailure } from './failures.ts';

export interface AzureCheckParts {
  readonly egress: Egress;
  readonly vaultUrl: string;
  readonly rules: AddressRules;
  readonly signal: AbortSignal;
  readonly read: (key: string) => Promise<Entry | null>;
  /** Of the first page; `null` when it is empty. */
  readonly firstKey: () => Promise<string | null>;
}

/** A name that nobody gives: what Azure says about it shows whether the identity is known, and what it may do. */
const noName = 'strongroom-connection-test';

export async function checkAzure(parts: AzureCheckParts): Promise<CheckLine[]> {
  const { egress, vaultUrl, rules, signal } = parts;
  const { steps } = connectionSteps({
    checkAddress: () => egress.checkUrl(vaultUrl, { schemes: ['https'], ...rules }),
    isEncrypted: true,
    probe: () => egress.request(`${vaultUrl}/`, { ...rules, signal }),
  });
  return trySteps(
    {
      ...steps,
      login: async () => {
        try {
          await parts.read(noName);
        } catch (error) {
          if (!(error instanceof AzureFailure) || error.code !== 'backend_denied' || error.isOfIdentity) throw error;
        }
        return 'Signing in works.';
      },
      list: async () => {
        await parts.firstKey();
        return 'Listing is allowed.';
      },
      read: async () => {
        const key = await parts.firstKey().catch((error: unknown) => {
          if (error instanceof StrongroomError && error.code === 'backend_denied') return null;
          throw error;
        });
        const entry = await parts.read(key ?? noName);
        entry?.value.destroy();
        return entry === null ? 'Reading is allowed; no secret is there yet.' : 'Reading is allowed.';
      },
    },
    ['list'],
  );
}
