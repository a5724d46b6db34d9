/**
 * One suite that every backend, and every wrapper around one, passes: a list of named checks without a test runner. The
 * tests run it through an adapter; operators run it against their own backend.
 */
export { conformanceChecks } from './checks/index.ts';
export type { ConformanceCheck, Need } from './check.ts';
export {
  type ConformanceContext,
  type ConformancePlace,
  type ConformanceSizes,
  type FaultKind,
  faultKinds,
  type ForeignThing,
  type ForeignThings,
  type InjectFault,
} from './context.ts';
export { ConformanceFailure } from './failure.ts';
export { type KeyKind, keyKinds } from './key-kinds.ts';
export { leakIn } from './leaks.ts';
export { placeThrough } from './place.ts';
export { type ConformanceResult, type ConformanceRunOptions, runCheck, runConformance } from './run.ts';
