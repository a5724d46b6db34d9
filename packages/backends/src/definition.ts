import type { SecretValue } from '@strongroom/crypto';
import type { Backend, Capabilities } from './backend.ts';
import type { Egress } from './egress/index.ts';

/**
 * A kind of backend. Its settings are declared in the contract (`contract/src/backends/<type>.ts`), where the API, the
 * documentation and forms take them from; by the time they come here they are valid.
 */
export interface BackendDefinition<Settings> {
  readonly type: string;
  /** For people. */
  readonly title: string;
  /** What an opened one can do at most. */
  readonly capabilities: Capabilities;
  /** Loads what the backend needs (its SDK), at its first use. Asks nobody: an address that is refused is found by the first call. */
  open(settings: Settings, parts: BackendParts): Promise<Backend>;
}

/** What an opened backend is given. */
export interface BackendParts {
  /** The only way to an address that somebody typed. */
  readonly egress: Egress;
  /** Reads a credential when it is needed. The caller of it destroys the value. @throws StrongroomError when there is none */
  readonly credential: (name: string) => Promise<SecretValue>;
  /** There when a platform administrator lends the identity that the server has where it runs; never without. */
  readonly lent?: LentIdentity;
  /** Milliseconds; the wall clock. */
  readonly now: () => number;
}

export interface LentIdentity {
  /** Made by the server for whom it is lent to, and shown to who trusts it (AWS: `ExternalId`). */
  readonly externalId: string;
}
