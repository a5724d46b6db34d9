import { StrongroomError } from '@strongroom/contract/core';
import { EgressError } from '../egress/index.ts';
import type { VaultAnswer, VaultConnection } from './connection.ts';
import { serverState } from './state.ts';
import { loginRefusal, statusError } from './statuses.ts';

/**
 * The error for an answer, in our words. A 503 is looked into: sealed, not initialised, or something before it.
 *
 * @param about what was asked for; completes the detail
 */
export async function failureOf(
  answer: VaultAnswer,
  about: string,
  connection: VaultConnection,
  signal: AbortSignal,
): Promise<StrongroomError> {
  const state = answer.status === 503 ? await stateFailure(connection, signal) : null;
  return state ?? statusError(answer, about);
}

export async function loginFailureOf(
  answer: VaultAnswer,
  connection: VaultConnection,
  signal: AbortSignal,
): Promise<StrongroomError> {
  return loginRefusal(answer) ?? failureOf(answer, 'log-in', connection, signal);
}

/**
 * The error of a request that had no answer. A standby node redirects to the active one, which isn't followed: a credential
 * was given for this address.
 */
export async function explained(error: unknown, connection: VaultConnection, signal: AbortSignal): Promise<unknown> {
  if (!(error instanceof EgressError) || error.code !== 'backend_malformed') return error;
  return (await stateFailure(connection, signal)) ?? error;
}

/**
 * Why the server serves no secrets, by its own word; `null` when it says that it does, or nothing that is clear. A standby
 * node is asked about only when it did not serve.
 */
async function stateFailure(connection: VaultConnection, signal: AbortSignal): Promise<StrongroomError | null> {
  try {
    const { name, failure, message, hint } = await serverState(connection, signal);
    if (failure === undefined && name !== 'standby') return null;
    return new StrongroomError('backend_sealed', { detail: message, ...(hint === undefined ? {} : { hint }) });
  } catch (error) {
    // The question helps to explain another failure, which stands when there is no answer.
    if (error instanceof StrongroomError) return null;
    throw error;
  }
}
