import { accessCommands } from '../access/commands.ts';
import { keyCommands } from '../keys/commands.ts';
import { secretCommands } from '../secrets/commands.ts';

/** Every write there is, by name: one literal map, one line per folder. */
export const commands = {
  ...accessCommands,
  ...keyCommands,
  ...secretCommands,
};

export type Commands = typeof commands;
