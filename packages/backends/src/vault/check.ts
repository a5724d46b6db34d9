import { StrongroomError } from '@strongroom/contract/core';
import { connectionSteps, type Steps } from '../check-steps.ts';
import type { VaultCall, VaultClient } from './client.ts';
import type { KvReader } from './kv.ts';
import { serverState } from './state.ts';

/**
 * The lines that every Vault has: its address, the connection, TLS and its state are found by one request, so they are told
 * apart by how far it came.
 */
export function serverSteps(client: VaultClient, call: VaultCall): Steps {
  const { connection } = client;
  const { steps, outcome } = connectionSteps({
    checkAddress: () => connection.checkAddress(),
    isEncrypted: connection.isEncrypted,
    probe: async () => {
      const state = await serverState(connection, call.signal);
      if (state.failure !== undefined) throw stateError(state);
      return state.message;
    },
  });
  return { ...steps, state: async () => String(await outcome()) };
}

/** The lines about signing in and the engine. */
export function engineSteps(client: VaultClient, kv: KvReader, call: VaultCall, isLogIn: boolean): Steps {
  return {
    login: async () => {
      kv.forgetMount();
      await client.tokens.current(call.signal);
      if (isLogIn) return 'The log-in works.';
      // A token that somebody made has no log-in: it is good when it may do anything at all with the mount, or is known.
      await assertKnown(client, kv, call);
      return 'The token is known.';
    },
    store: async () => {
      await kv.assertVersion2(call);
      return 'The mount is a KV engine of version 2.';
    },
  };
}

/** Looking at itself is allowed by the policy `default`; a token without that policy shows at the mount that it is known. */
async function assertKnown(client: VaultClient, kv: KvReader, call: VaultCall): Promise<void> {
  const request = { about: 'looking at the token', answers: [403] };
  const { status } = await client.send('GET', 'auth/token/lookup-self', request, call);
  if (status !== 403) return;
  try {
    await kv.assertVersion2(call);
  } catch (error) {
    if (!(error instanceof StrongroomError) || error.code !== 'backend_denied') return;
    throw new StrongroomError('backend_denied', {
      detail: 'Vault does not know the token, or it may do nothing at this mount.',
      hint: 'Check that the token has not expired, and its policies.',
    });
  }
}

function stateError(state: { readonly message: string; readonly hint?: string }): StrongroomError {
  return new StrongroomError('backend_sealed', {
    detail: state.message,
    ...(state.hint === undefined ? {} : { hint: state.hint }),
  });
}
