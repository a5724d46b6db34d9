/** Every read of many rows, by name: one literal map, one line per folder. */
export const queries = {};

export type Queries = typeof queries;
