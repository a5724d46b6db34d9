import { missingNeed, type ConformanceCheck } from './check.ts';
import { conformanceChecks } from './checks/index.ts';
import type { ConformanceContext } from './context.ts';
import { ConformanceFailure, describeError, NotApplicable } from './failure.ts';
import { Trial } from './trial.ts';

const defaultCheckMs = 60_000;

export interface ConformanceResult {
  /** Of the check. */
  readonly name: string;
  readonly about: string;
  readonly outcome: 'passed' | 'failed' | 'not-applicable';
  /** What is wrong, or what is missing for it to be tried. Holds no value, and nothing of the backend's text. */
  readonly reason?: string;
  readonly durationMs: number;
}

export interface ConformanceRunOptions {
  /** Ends the run after the check under way. */
  readonly signal: AbortSignal;
  /** Told of each result as it is there. */
  readonly onResult?: (result: ConformanceResult) => void;
  /** Names of the checks to run; all by default. */
  readonly only?: readonly string[];
}

/**
 * Runs the checks one after another: some disturb the place that all of them share.
 *
 * @returns a result for each check that was reached, in their order
 * @throws what `open` throws, before any check, when the backend can't be opened at all
 */
export async function runConformance(
  context: ConformanceContext,
  options: ConformanceRunOptions,
): Promise<ConformanceResult[]> {
  const results: ConformanceResult[] = [];
  const checks = conformanceChecks.filter(({ name }) => options.only?.includes(name) ?? true);
  for (const check of checks) {
    if (options.signal.aborted) break;
    const result = await runCheck(check, context, options.signal);
    results.push(result);
    options.onResult?.(result);
  }
  return results;
}

/** One check, to its result; it has ended, with what it left taken away, when this resolves. */
export async function runCheck(
  check: ConformanceCheck,
  context: ConformanceContext,
  signal: AbortSignal,
): Promise<ConformanceResult> {
  const startedAt = performance.now();
  const found = await outcomeOf(check, context, signal);
  return { name: check.name, about: check.about, ...found, durationMs: Math.round(performance.now() - startedAt) };
}

type Found = Pick<ConformanceResult, 'outcome' | 'reason'>;

async function outcomeOf(check: ConformanceCheck, context: ConformanceContext, signal: AbortSignal): Promise<Found> {
  const checkMs = context.sizes?.checkMs ?? defaultCheckMs;
  const trial = new Trial(context, AbortSignal.any([signal, AbortSignal.timeout(checkMs)]));
  const reason = missingNeed(check, context, await trial.open());
  const found: Found =
    reason === null
      ? await settle(() => within(check.run(trial), checkMs * 1.1))
      : { outcome: 'not-applicable', reason };
  const ended = await settle(() => within(trial.end(), checkMs));
  return found.outcome === 'failed' || ended.outcome === 'passed' ? found : ended;
}

async function settle(run: () => Promise<void>): Promise<Found> {
  try {
    await run();
    return { outcome: 'passed' };
  } catch (error) {
    if (error instanceof NotApplicable) return { outcome: 'not-applicable', reason: error.message };
    return { outcome: 'failed', reason: describeError(error) };
  }
}

/** A check hangs when the backend ignores the signal; it must not take the run with it. */
async function within(work: Promise<void>, ms: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new ConformanceFailure(`it did not end within ${Math.round(ms)} ms`)), ms);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
