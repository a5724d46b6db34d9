import { StrongroomError } from '@strongroom/contract/core';
import { EgressError } from '../egress/index.ts';
import { checkSteps, type CheckLine, type CheckStep } from '../backend.ts';
import type { VaultCall, VaultClient } from './client.ts';
import type { KvReader } from './kv.ts';
import { serverState } from './state.ts';

/** What is tried, a part for each line, in their order. Each resolves to what the line says. */
export type Steps = Partial<Record<CheckStep, () => Promise<string>>>;

/**
 * Tries one step after another. After a failed one the rest is skipped, but for those in `independent`, which need the ones
 * before them no more than each other.
 */
export async function trySteps(steps: Steps, independent: readonly CheckStep[]): Promise<CheckLine[]> {
  const lines: CheckLine[] = [];
  let hasFailed = false;
  for (const step of checkSteps) {
    const run = steps[step];
    if (run === undefined) continue;
    const line: CheckLine = hasFailed ? skipped(step) : await tryStep(step, run);
    lines.push(line);
    hasFailed ||= line.outcome === 'failed' && !independent.includes(step);
  }
  return lines;
}

/**
 * The lines that every Vault has: its address, the connection, TLS and its state are found by one request, so they are told
 * apart by how far it came.
 */
export function serverSteps(client: VaultClient, call: VaultCall): Steps {
  const { connection } = client;
  const probe = Promise.withResolvers<string>();
  // Looked at by the steps; before that nobody has to.
  probe.promise.catch(() => undefined);
  let isStarted = false;
  /** Fails only when the request came no further than the step. */
  const upTo = async (steps: readonly string[], message: string): Promise<string> => {
    if (!isStarted) {
      isStarted = true;
      serverState(connection, call.signal).then((state) => {
        if (state.failure === undefined) probe.resolve(state.message);
        else probe.reject(stateError(state));
      }, probe.reject);
    }
    try {
      await probe.promise;
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      if (steps.includes(stepOf(error))) throw error;
    }
    return message;
  };
  return {
    address: () => {
      connection.checkAddress();
      return upTo(['address'], 'The address may be used.');
    },
    reachable: () => upTo(['address', 'reachable'], 'Something listens there.'),
    tls: () =>
      upTo(
        ['tls'],
        connection.isEncrypted
          ? 'The certificate is good.'
          : 'There is no TLS; that is allowed because the connection stays on the server’s own machine.',
      ),
    state: () => probe.promise,
  };
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

async function tryStep(step: CheckStep, run: () => Promise<string>): Promise<CheckLine> {
  try {
    return { step, outcome: 'ok', message: await run() };
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return { step, outcome: 'failed', code: error.code, message: `${error.message} ${error.hint}`.trim() };
  }
}

function skipped(step: CheckStep): CheckLine {
  return { step, outcome: 'skipped', message: 'Not tried: a step before it failed.' };
}

function stepOf(error: StrongroomError): string {
  return error instanceof EgressError ? error.step : 'answer';
}

function stateError(state: { readonly message: string; readonly hint?: string }): StrongroomError {
  return new StrongroomError('backend_sealed', {
    detail: state.message,
    ...(state.hint === undefined ? {} : { hint: state.hint }),
  });
}
