export * from './backend.ts';
export type { BackendDefinition, BackendParts } from './definition.ts';
