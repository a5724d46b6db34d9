import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { localTime } from '../output/text.ts';
import { addConfigOption, type ConfigOptions, loadSettings, withServer } from './configuration.ts';

export function addLoginLinkCommand(program: Command, cli: Cli): void {
  addConfigOption(
    program
      .command('login-link <user>')
      .description('print a sign-in link on the server’s own machine; the server is stopped'),
  )
    .addHelpText('after', '\nThe way back in when nobody can sign in. Somebody who can uses strongroom user link NAME.')
    .action(
      cli.action(async ({ io, output }, user: string, options: ConfigOptions) => {
        const link = await withServer((server) => server.makeSignInLink(loadSettings(server, io, options), user));
        output.answer(link, () => output.line(link.url));
        output.note(`start the server; the link works once, until ${localTime(link.expiresAt.toISOString())}`);
        return undefined;
      }),
    );
}
