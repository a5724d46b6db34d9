/** Every write there is, by name: one literal map, one line per folder. */
export const commands = {};

export type Commands = typeof commands;
