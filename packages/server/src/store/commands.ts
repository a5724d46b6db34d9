import { accessCommands } from '../access/commands.ts';
import { clusterCommands } from '../clusters/commands.ts';
import { workloadCommands } from '../workloads/commands.ts';
import { auditCommands } from '../audit/commands.ts';
import { identityCommands } from '../identities/commands.ts';
import { keyCommands } from '../keys/commands.ts';
import { secretCommands } from '../secrets/commands.ts';
import { importCommands } from '../secrets/import-command.ts';
import { integrationCommands } from '../integrations/commands.ts';
import { managedStoreCommands } from '../managed-stores/commands.ts';
import { placeholderCommands } from '../placeholders/commands.ts';
import { surfaceCommands } from '../surfaces/commands.ts';
import { launchCommands } from '../launches/commands.ts';
import { noticeCommands } from '../notices/commands.ts';
import { runCommands } from '../runs/commands.ts';
import { operationCommands } from '../operation/commands.ts';
import { storeCommands } from './store-commands.ts';
import { domainCommands } from '../domains/commands.ts';

/** Every write there is, by name: one literal map, one line per folder. */
export const commands = {
  ...domainCommands,
  ...clusterCommands,
  ...workloadCommands,
  ...accessCommands,
  ...auditCommands,
  ...identityCommands,
  ...keyCommands,
  ...secretCommands,
  ...importCommands,
  ...integrationCommands,
  ...managedStoreCommands,
  ...placeholderCommands,
  ...surfaceCommands,
  ...launchCommands,
  ...noticeCommands,
  ...runCommands,
  ...operationCommands,
  ...storeCommands,
};

export type Commands = typeof commands;
