import * as fc from 'fast-check';
import { actionTable, isAction } from '@strongroom/contract';
import { expect, it } from 'vitest';
import { decide } from './decide.ts';
import { oracleAllows } from './testing/cedar-oracle.ts';
import { resourceOf, snapshotOf } from './testing/world-snapshot.ts';
import { anyQuestion, anyWorld } from './testing/world.ts';

it('decides like Cedar in 10,000 random worlds', { timeout: 240_000 }, () => {
  const allowed = new Set<string>();
  const refused = new Set<string>();
  fc.assert(
    fc.property(anyWorld, fc.array(anyQuestion, { minLength: 2, maxLength: 2 }), (world, questions) => {
      const snapshot = snapshotOf(world);
      for (const question of questions) {
        const decision = decide(snapshot, question.action, resourceOf(world, question));
        const expected = oracleAllows(world, question);
        if (decision.allow !== expected) {
          throw new Error(
            `decide says ${String(decision.allow)} because ${decision.because.join(', ')}; Cedar says ${String(expected)}: ${JSON.stringify(question)}`,
          );
        }
        (expected ? allowed : refused).add(question.action);
      }
    }),
    { numRuns: 10_000 },
  );
  // Every action was seen allowed and refused, else the comparison says nothing about it.
  const actions = Object.keys(actionTable).filter(isAction).sort();
  expect([...allowed].sort()).toEqual(actions);
  expect([...refused].sort()).toEqual(actions);
});
