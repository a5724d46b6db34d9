import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import type { VaultConnection } from './connection.ts';
import { own } from './json.ts';
import { statusError } from './statuses.ts';

export interface ServerState {
  readonly name: 'active' | 'standby' | 'performance-standby' | 'recovery-secondary' | 'uninitialised' | 'sealed';
  readonly message: string;
  /** It serves no secrets. */
  readonly failure?: ErrorCode;
  readonly hint?: string;
}

/** Statuses of `sys/health` (https://developer.hashicorp.com/vault/api-docs/system/health). */
const states: Readonly<Record<number, ServerState>> = {
  200: { name: 'active', message: 'Vault is initialised, unsealed and active.' },
  429: {
    name: 'standby',
    message: 'Vault is a standby node: it serves secrets only if it forwards to the active one.',
    hint: 'Use the address of the active node, or of a load balancer that asks sys/health.',
  },
  472: {
    name: 'recovery-secondary',
    message: 'Vault is a disaster recovery secondary, which serves no secrets.',
    failure: 'backend_sealed',
    hint: 'Use the address of the primary cluster.',
  },
  473: { name: 'performance-standby', message: 'Vault is a performance standby, which serves reads.' },
  501: {
    name: 'uninitialised',
    message: 'Vault is not initialised.',
    failure: 'backend_sealed',
    hint: 'Initialise and unseal it, then try again.',
  },
  503: { name: 'sealed', message: 'Vault is sealed.', failure: 'backend_sealed' },
};

/**
 * Asks the server about itself, without a credential.
 *
 * @throws StrongroomError `backend_malformed` when what answers isn't Vault, by its status when it failed; what the egress
 * guard throws
 */
export async function serverState(connection: VaultConnection, signal: AbortSignal): Promise<ServerState> {
  const answer = await connection.send('GET', 'sys/health', { signal, isAboutServer: true });
  const state = states[answer.status];
  const isItsOwn =
    typeof own(answer.body, 'initialized') === 'boolean' && typeof own(answer.body, 'sealed') === 'boolean';
  if (state !== undefined && isItsOwn) return state;
  if (answer.status >= 400) throw statusError(answer, 'asking for its state');
  throw new StrongroomError('backend_malformed', { detail: 'What answers at this address is not Vault or OpenBao.' });
}
