import type { Command } from 'commander';

export interface DomainOption {
  readonly domain: string;
}

/** `--domain`, which the command can't do without. */
export function requireDomain(command: Command): Command {
  return command.requiredOption('-d, --domain <domain>', 'the domain');
}
