import { StrongroomError } from '@strongroom/contract/core';
import { checkSteps, type CheckLine, type CheckStep } from './backend.ts';
import { EgressError } from './egress/index.ts';

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

export interface TriedConnection {
  /** @throws StrongroomError for an address that may not be used */
  checkAddress(): void;
  readonly isEncrypted: boolean;
  /** One request; what it fails with beyond the connection itself is for the steps after it. */
  probe(): Promise<unknown>;
}

/**
 * Where something listens, and TLS: both are found by one request, the first time that a step asks for it, and told apart by
 * how far it came.
 *
 * @returns the steps, and the request's outcome
 */
export function connectionSteps(connection: TriedConnection): {
  readonly steps: Required<Pick<Steps, 'address' | 'reachable' | 'tls'>>;
  readonly outcome: () => Promise<unknown>;
} {
  let started: Promise<unknown> | undefined;
  const outcome = (): Promise<unknown> => (started ??= connection.probe());
  /** Fails only when the request came no further than the step. */
  const upTo = async (steps: readonly string[], message: string): Promise<string> => {
    try {
      await outcome();
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      if (steps.includes(error instanceof EgressError ? error.step : 'answer')) throw error;
    }
    return message;
  };
  return {
    outcome,
    steps: {
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
    },
  };
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
