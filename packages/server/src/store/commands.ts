import { keyCommands } from '../keys/commands.ts';

/** Every write there is, by name: one literal map, one line per folder. */
export const commands = {
  ...keyCommands,
};

export type Commands = typeof commands;
