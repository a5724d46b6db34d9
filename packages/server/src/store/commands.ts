import { accessCommands } from '../access/commands.ts';
import { identityCommands } from '../identities/commands.ts';
import { keyCommands } from '../keys/commands.ts';
import { secretCommands } from '../secrets/commands.ts';
import { surfaceCommands } from '../surfaces/commands.ts';

/** Every write there is, by name: one literal map, one line per folder. */
export const commands = {
  ...accessCommands,
  ...identityCommands,
  ...keyCommands,
  ...secretCommands,
  ...surfaceCommands,
};

export type Commands = typeof commands;
