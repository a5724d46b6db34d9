export * from './backend.ts';
export type { BackendDefinition, BackendParts } from './definition.ts';
export { type Fault, faulty } from './wrappers/faulty.ts';
export type { BackendCall, BackendMethod } from './wrappers/intercept.ts';
export { limited, type LimitedOptions } from './wrappers/limited.ts';
export { RetryBudget, type RetryBudgetOptions } from './wrappers/retry-budget.ts';
export { traced, type TracedCall } from './wrappers/traced.ts';
