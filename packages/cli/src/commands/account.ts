import { StrongroomError } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { clientFor, findConnection } from '../connection.ts';
import { localTime } from '../output/text.ts';
import { writeProfile } from '../profile.ts';
import { askHidden, askNew } from '../prompt.ts';

/** What people do about their own account. */
export function addAccountCommands(program: Command, cli: Cli): void {
  program
    .command('password')
    .description('set your own password; ends all your other sessions')
    .action(
      cli.action(async ({ io, output }) => {
        const connection = await findConnection(io);
        if (connection.token === undefined) throw new StrongroomError('unauthenticated');
        const client = clientFor(connection);
        const { hasPassword } = await client.showMe();
        const currentPassword = hasPassword ? await askHidden(io, 'current password: ') : undefined;
        const newPassword = await askNew(io, 'new password');
        const signedIn = await client.setOwnPassword({
          body: { newPassword, ...(currentPassword === undefined ? {} : { currentPassword }) },
        });
        const { token, expiresAt, principal } = signedIn;
        if (token !== undefined)
          await writeProfile(io, { url: connection.url, token, expiresAt, name: principal.name });
        output.answer({ principal, expiresAt }, () =>
          output.line('the password is set; all other sessions have ended'),
        );
        return undefined;
      }),
    );
  const session = group(program, 'session', 'your own sessions');
  session
    .command('list')
    .description('list your sessions, newest first')
    .action(
      cli.action(async ({ connect, output }) => {
        const found = await (await connect()).listOwnSessions();
        output.answer(found, () =>
          output.table(
            [
              { title: 'ID' },
              { title: 'BY' },
              { title: 'CREATED' },
              { title: 'LAST SEEN' },
              { title: 'EXPIRES' },
              { title: '' },
            ],
            found.items.map((each) => [
              each.id,
              each.transport === 'bearer' ? 'command line' : 'console',
              localTime(each.createdAt),
              localTime(each.lastSeenAt),
              localTime(each.expiresAt),
              each.isCurrent ? 'this one' : '',
            ]),
          ),
        );
        return undefined;
      }),
    );
  session
    .command('end <id>')
    .description('end one of your sessions')
    .action(
      cli.action(async ({ connect, output }, id: string) => {
        await (await connect()).revokeOwnSession({ params: { session: id } });
        output.answer({ id, ended: true }, () => output.line(`ended session ${id}`));
        return undefined;
      }),
    );
}
