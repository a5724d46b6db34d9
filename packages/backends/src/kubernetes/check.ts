import { StrongroomError } from '@strongroom/contract/core';
import { EgressError } from '../egress/errors.ts';
import { checkSteps, type CheckLine, type CheckStep } from '../backend.ts';
import type { ApiConnection } from './api.ts';
import type { Layout } from './layout.ts';
import type { SecretApi } from './secret-api.ts';
import { CredentialUnknown } from './statuses.ts';

const steps: readonly CheckStep[] = ['address', 'reachable', 'tls', 'state', 'login', 'read', 'store', 'write'];

/**
 * Tries the store, a line for each step. One read shows how far everything before it is: it failed at the connection, at
 * signing in, or at the role.
 */
export async function checkStore(api: SecretApi, layout: Layout, signal: AbortSignal): Promise<CheckLine[]> {
  const lines = new Map<CheckStep, CheckLine>();
  const say = (step: CheckStep, message: string) => lines.set(step, { step, outcome: 'ok', message });
  const fail = (step: CheckStep, error: StrongroomError) =>
    lines.set(step, { step, outcome: 'failed', code: error.code, message: `${error.message} ${error.hint}`.trim() });
  try {
    const store = await layout.tryStore(signal);
    sayReached(api.connection, say, 'read');
    say('read', 'Reading is allowed.');
    say('store', store);
    try {
      say('write', await tryWriting(api, layout, signal));
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      fail('write', error);
    }
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    const failed = stepOf(error);
    sayReached(api.connection, say, failed);
    fail(failed, error);
  }
  return checkSteps
    .filter((step) => steps.includes(step))
    .map((step) => lines.get(step) ?? { step, outcome: 'skipped', message: 'Not tried: a step before it failed.' });
}

/** The lines of what has to be good for `step` to be tried. */
function sayReached(
  { verifiesTls }: ApiConnection,
  say: (step: CheckStep, message: string) => void,
  step: CheckStep,
): void {
  const messages: Partial<Record<CheckStep, string>> = {
    address: 'The credentials can be had.',
    reachable: 'Something listens there.',
    tls: verifiesTls ? 'The certificate is good.' : 'Warning: the kubeconfig says not to check the certificate.',
    state: 'Kubernetes answers.',
    login: 'The credential is known.',
  };
  for (const before of steps.slice(0, steps.indexOf(step))) {
    const message = messages[before];
    if (message !== undefined) say(before, message);
  }
}

function stepOf(error: StrongroomError): CheckStep {
  if (error instanceof EgressError && error.step !== 'answer') return error.step;
  if (error.code !== 'backend_denied') return 'state';
  return error instanceof CredentialUnknown ? 'login' : 'read';
}

async function tryWriting(api: SecretApi, { verbs, objectName }: Layout, signal: AbortSignal): Promise<string> {
  const answers: (readonly [string, boolean | null])[] = [];
  for (const verb of verbs) answers.push([verb, await api.isAllowed(verb, objectName, signal)]);
  const refused = answers.filter(([, isAllowed]) => isAllowed === false).map(([verb]) => verb);
  if (refused.length > 0)
    throw new StrongroomError('backend_denied', {
      detail: `The role does not allow for Secrets in ${api.namespace}: ${refused.join(', ')}.`,
      hint: 'strongroom k8s rbac prints the role that is needed.',
    });
  const isKnown = answers.every(([, isAllowed]) => isAllowed === true);
  return isKnown ? 'Writing and deleting are allowed.' : 'The cluster does not say whether writing is allowed.';
}
