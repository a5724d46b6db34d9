import { StrongroomError } from '@strongroom/contract/core';
import type {
  Backend,
  CallOptions,
  Capabilities,
  CheckLine,
  Entry,
  GetOptions,
  ListOptions,
  ListPage,
  VersionAnswers,
} from '../backend.ts';
import { trySteps } from '../check-steps.ts';
import { engineSteps, serverSteps } from './check.ts';
import { startCall, type VaultClient } from './client.ts';
import type { KvReader } from './kv.ts';
import type { Layout } from './layout.ts';

export interface VaultBackendParts {
  readonly client: VaultClient;
  readonly kv: KvReader;
  readonly layout: Layout;
  readonly capabilities: Capabilities;
  /** A log-in is sent; without it the token is somebody's own. */
  readonly isLogIn: boolean;
}

/** Somebody's Vault or OpenBao, KV version 2. It is sent GET, LIST and the log-in, and nothing else. */
export class VaultBackend implements Backend {
  readonly type = 'vault';
  readonly capabilities: Capabilities;
  readonly #parts: VaultBackendParts;

  constructor(parts: VaultBackendParts) {
    this.#parts = parts;
    this.capabilities = parts.capabilities;
  }

  async get(key: string, { signal, version }: GetOptions): Promise<Entry | null> {
    return this.#parts.layout.get(key, version, this.#start(signal));
  }

  async getMany(
    keys: readonly string[],
    { signal }: CallOptions,
  ): Promise<ReadonlyMap<string, Entry | null | StrongroomError>> {
    return this.#parts.layout.getMany(keys, this.#start(signal));
  }

  async versions(keys: readonly string[], { signal }: CallOptions): Promise<VersionAnswers> {
    return this.#parts.layout.versions(keys, this.#start(signal));
  }

  async list({ signal, cursor, limit }: ListOptions): Promise<ListPage> {
    return this.#parts.layout.list(cursor, limit, this.#start(signal));
  }

  async check({ signal }: CallOptions): Promise<readonly CheckLine[]> {
    const { client, kv, layout, isLogIn } = this.#parts;
    const call = { signal, hasLoggedInAgain: false };
    const steps = {
      ...serverSteps(client, call),
      ...engineSteps(client, kv, call, isLogIn),
      list: async () => {
        await layout.list(undefined, 1, call);
        return 'Listing is allowed.';
      },
      read: () => layout.tryRead(call),
    };
    return trySteps(steps, ['list']);
  }

  async put(): Promise<never> {
    throw readOnly();
  }

  async delete(): Promise<never> {
    throw readOnly();
  }

  async close(): Promise<void> {
    this.#parts.client.tokens.close();
  }

  #start(signal: AbortSignal) {
    this.#parts.client.tokens.assertOpen();
    return startCall(signal);
  }
}

function readOnly(): StrongroomError {
  return new StrongroomError('not_supported', {
    detail: 'A Vault integration is only read.',
    hint: 'Change the secret in Vault.',
  });
}
