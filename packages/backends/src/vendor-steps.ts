import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import type { Entry } from './backend.ts';
import type { Steps } from './check-steps.ts';
import { VendorFailure } from './vendor-failure.ts';

export interface VendorAccess {
  readonly read: (key: string) => Promise<Entry | null>;
  /** Of the first page; `null` when it is empty. */
  readonly firstKey: () => Promise<string | null>;
  /** A key that nobody gives: what the vendor says about it shows whether the identity is known, and what it may do. */
  readonly noKey: string;
}

/** A name that nobody gives to a secret. */
export const noName = 'strongroom-connection-test';

/** The steps of a tried connection that come after TLS. */
export function vendorSteps({ read, firstKey, noKey }: VendorAccess): Required<Pick<Steps, 'login' | 'list' | 'read'>> {
  return {
    login: async () => {
      try {
        (await read(noKey))?.value.destroy();
      } catch (error) {
        if (!(error instanceof VendorFailure) || error.code !== 'backend_denied' || error.isOfIdentity) throw error;
      }
      return 'The identity is known.';
    },
    list: async () => {
      await firstKey();
      return 'Listing is allowed.';
    },
    read: async () => {
      const key = await unless('backend_denied', firstKey);
      // Of what is deleted or disabled, that is said only to whom it may be read by.
      const entry = await unless('backend_deleted', () => read(key ?? noKey));
      entry?.value.destroy();
      return entry === null && key === null ? 'Reading is allowed; no secret is there yet.' : 'Reading is allowed.';
    },
  };
}

async function unless<T>(code: ErrorCode, work: () => Promise<T | null>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StrongroomError && error.code === code) return null;
    throw error;
  }
}
