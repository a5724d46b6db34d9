import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { version } from '../version.ts';

export function addOpenapiCommand(program: Command, cli: Cli): void {
  program
    .command('openapi')
    .description('print the OpenAPI 3.1 document of this version; asks no server')
    .action(
      cli.action(async ({ io }) => {
        const { openapi, routes } = await import('@strongroom/contract');
        io.stdout.write(`${JSON.stringify(openapi(routes, version), undefined, 2)}\n`);
        return undefined;
      }),
    );
}
