import { keyQueries } from '../keys/queries.ts';

/** Every read of many rows, by name: one literal map, one line per folder. */
export const queries = {
  ...keyQueries,
};

export type Queries = typeof queries;
