import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { group } from '../cli.ts';
import { addChoicesCommand } from './secret-choices.ts';
import { addSecretLifeCommands } from './secret-life.ts';
import { addSecretSharingCommands } from './secret-sharing.ts';
import { addSecretViewCommands } from './secret-view.ts';
import { addSecretWriteCommands } from './secret-write.ts';

export function addSecretCommands(program: Command, cli: Cli): void {
  const secret = group(program, 'secret', 'create, rotate and follow secrets; no command shows a value');
  addSecretViewCommands(secret, cli);
  addChoicesCommand(secret, cli);
  addSecretWriteCommands(secret, cli);
  addSecretLifeCommands(secret, cli);
  addSecretSharingCommands(secret, cli);
}
