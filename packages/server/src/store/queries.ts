import { accessQueries } from '../access/queries.ts';
import { keyQueries } from '../keys/queries.ts';
import { secretQueries } from '../secrets/queries.ts';

/** Every read of many rows, by name: one literal map, one line per folder. */
export const queries = {
  ...accessQueries,
  ...keyQueries,
  ...secretQueries,
};

export type Queries = typeof queries;
