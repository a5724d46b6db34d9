import { bootstrapCommands } from './bootstrap-commands.ts';
import { directoryCommands } from './directory-commands.ts';
import { groupCommands } from './group-commands.ts';
import { serviceAccountCommands } from './service-account-commands.ts';
import { signInCommands } from './sign-in-commands.ts';
import { throttleCommands } from './throttle.ts';
import { upkeepCommands } from './upkeep-commands.ts';
import { userCommands } from './user-commands.ts';

/** Every write to identities. */
export const identityCommands = {
  ...userCommands,
  ...groupCommands,
  ...directoryCommands,
  ...serviceAccountCommands,
  ...signInCommands,
  ...throttleCommands,
  ...upkeepCommands,
  ...bootstrapCommands,
};
