import { describe, expect, test } from 'vitest';
import { conformanceChecks, type ConformanceContext, type Need, runCheck } from '../src/conformance/index.ts';

/** Names of the checks that need one of these: what a backend or its fixture doesn't have. */
export function checksNeeding(...absent: readonly Need[]): string[] {
  return conformanceChecks.filter(({ needs }) => needs.some((need) => absent.includes(need))).map(({ name }) => name);
}

/** A busy machine fails no check: what ends too late is the defect suite's to find, unless a fixture says how late that is. */
function patient(context: ConformanceContext): ConformanceContext {
  return { ...context, sizes: { abortGraceMs: 30_000, checkMs: 100_000, ...context.sizes } };
}

/**
 * The conformance suite as a test for each check. `expectedSkips` are the names of just those checks that are not applicable
 * here; they are skipped with their reason. A fixture that is lost therefore fails instead of silencing checks. `unlikeTheReal`
 * says of single checks, by name, in what the test’s server differs from the vendor’s.
 */
export function describeConformance(
  title: string,
  context: () => ConformanceContext | Promise<ConformanceContext>,
  options: {
    readonly expectedSkips: readonly string[];
    readonly unlikeTheReal?: Readonly<Record<string, string>>;
  },
): void {
  describe(`conformance: ${title}`, () => {
    for (const check of conformanceChecks) {
      // The checks bring their names.
      // oxlint-disable-next-line vitest/valid-title
      test(check.name, async ({ skip, signal }) => {
        const difference = options.unlikeTheReal?.[check.name];
        if (difference !== undefined) skip(difference);
        const { name, outcome, reason } = await runCheck(check, patient(await context()), signal);
        const isSkipExpected = options.expectedSkips.includes(name);
        const expected = isSkipExpected ? { outcome: 'not-applicable', reason } : { outcome: 'passed' };
        expect({ name, outcome, ...(reason === undefined ? {} : { reason }) }).toEqual({ name, ...expected });
        if (isSkipExpected) skip(reason);
      });
    }
  });
}
