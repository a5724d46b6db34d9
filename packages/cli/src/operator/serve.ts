import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { addConfigOption, type ConfigOptions, withServer } from './configuration.ts';

export function addServeCommand(program: Command, cli: Cli): void {
  addConfigOption(
    program.command('serve').description('start the server; settings are STRONGROOM_* variables and a file'),
  )
    .option('--demo', 'make a domain to try things with, once; on loopback only')
    .action(
      cli.action(async (_session, options: ConfigOptions & { readonly demo?: true }) =>
        withServer((server) => server.serve({ configFile: options.config, demo: options.demo })),
      ),
    );
}
