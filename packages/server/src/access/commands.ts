import { assetCommands } from './asset-commands.ts';
import { bundleCommands } from './bundle-commands.ts';
import { memberCommands } from './member-commands.ts';

/** Appends the records passed with it: a refusal changes nothing else. */
async function record(): Promise<void> {
  // The write lane appends `options.audit` in the same transaction.
}

export const accessCommands = {
  'access.record': record,
  ...memberCommands,
  ...bundleCommands,
  ...assetCommands,
};
