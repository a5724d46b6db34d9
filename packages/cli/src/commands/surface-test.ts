import type { CallResult } from '@strongroom/sdk';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';

/** What a test of a form found, a line for each step; the exit code that it gives. */
export function printSurfaceTest(output: Cli['output'], tested: CallResult<'testEmail'>): number | undefined {
  output.answer(tested, () =>
    output.table(
      [{ title: 'STEP' }, { title: 'OUTCOME' }, { title: 'CAUSE' }, { title: 'MESSAGE', canWrap: true }],
      tested.steps.map(({ name, outcome, cause, message }) => [name, outcome, cause ?? '', message ?? '']),
    ),
  );
  return tested.ok ? undefined : exitCode.check;
}
