import type { PlatformRole } from '@strongroom/contract/roles';
import type { CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group, type Session } from '../cli.ts';
import { findConnection } from '../connection.ts';
import { UsageError } from '../errors.ts';
import { readStdin, utf8Text } from '../input.ts';
import { type Io, isInteractive } from '../io.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import { localTime } from '../output/text.ts';
import { askNew } from '../prompt.ts';
import { roleOption } from '../role-option.ts';
import { findNamed } from './identity-text.ts';
import {
  agreeToEnd,
  agreeToImpact,
  type AgreedOption,
  agreeToRoles,
  answerImpact,
  type EndOption,
  endQuery,
  withEndOptions,
} from './impact.ts';

interface UserOptions {
  readonly displayName?: string;
  readonly email?: string;
  readonly role?: PlatformRole[];
  readonly password?: true;
  readonly link?: true;
}

export function addUserCommands(program: Command, cli: Cli): void {
  const user = group(program, 'user', 'local users');
  user
    .command('create <name>')
    .description('create a user, with a sign-in link or a password')
    .option('--display-name <text>', 'what people call her or him')
    .option('--email <address>', 'the mail address')
    .addOption(roleOption())
    .option('--password', 'ask for a password, or read it from stdin')
    .option('--link', 'print a one-time sign-in link; so without --password')
    .action(
      cli.action(async (session, name: string, options: UserOptions) => {
        const { output } = session;
        const { displayName, email, role, password, link } = options;
        const client = await session.connect();
        const typed = password === true ? await readPassword(session.io) : undefined;
        const created = await client.createUser({
          body: {
            name,
            ...(displayName === undefined ? {} : { displayName }),
            ...(email === undefined ? {} : { email }),
            ...(role === undefined ? {} : { roles: role }),
            ...(typed === undefined ? {} : { password: typed }),
            ...(link === true || typed === undefined ? { signInLink: true } : {}),
          },
        });
        output.answer(created, () => output.line(`created user ${created.user.name}`));
        if (created.signInLink !== undefined && !output.isJson) await printLink(session, created.signInLink);
        return undefined;
      }),
    );
  addListOptions(user.command('list').description('list users')).action(
    cli.action(async ({ connect, output }, options: ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const items = await listUpTo(await connect(), output, 'listUsers', { query }, options.limit);
      output.answer({ items }, () =>
        output.list(
          'no users',
          [
            { title: 'NAME' },
            { title: 'DISPLAY NAME', canCut: true },
            { title: 'ROLES', canWrap: true },
            { title: 'STATE' },
            { title: 'CREATED' },
          ],
          items.map((each) => [
            each.name,
            each.displayName,
            each.roles.join(', ') || '-',
            each.isDisabled ? 'disabled' : 'active',
            localTime(each.createdAt),
          ]),
        ),
      );
      return undefined;
    }),
  );
  user
    .command('show <name>')
    .description('show a user')
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        const found = await findNamed(await connect(), 'listUsers', name);
        output.answer(found, () =>
          output.facts({
            name: found.name,
            id: found.id,
            'display name': found.displayName,
            email: found.email,
            roles: found.roles.join(', ') || '-',
            state: found.isDisabled ? 'disabled' : 'active',
            password: found.hasPassword ? 'set' : 'none',
            created: localTime(found.createdAt),
          }),
        );
        return undefined;
      }),
    );
  addUserChangeCommands(user, cli);
}

interface EditUserOptions {
  readonly displayName?: string;
  readonly email?: string;
  readonly role?: PlatformRole[];
  readonly roles: boolean;
}

function addUserChangeCommands(user: Command, cli: Cli): void {
  user
    .command('edit <name>')
    .description('change display name, mail address or roles; a change of roles ends all sessions')
    .option('--display-name <text>', 'what people call her or him')
    .option('--email <address>', 'the mail address; none: no address')
    .addOption(roleOption())
    .option('--no-roles', 'take all roles away')
    .option('-y, --yes', "don't ask, although launches stand on a role that goes")
    .action(
      cli.action(async (session, name: string, options: EditUserOptions & AgreedOption) => {
        const { connect, output } = session;
        const { displayName, email, role, yes } = options;
        const roles = options.roles ? role : [];
        const body = {
          ...(displayName === undefined ? {} : { displayName }),
          ...(email === undefined ? {} : { email: email === 'none' ? null : email }),
          ...(roles === undefined ? {} : { roles }),
        };
        if (Object.keys(body).length === 0) throw new UsageError('there is nothing to change');
        const client = await connect();
        const { id, revision } = await findNamed(client, 'listUsers', name);
        const params = { user: id };
        await agreeToRoles(session, roles, (query) => client.showUserImpact({ params, query }), `user ${name}`, yes);
        const changed = await client.updateUser({ params, body, ifMatch: revision });
        output.answer(changed, () => output.line(`changed user ${changed.name}`));
        return undefined;
      }),
    );
  for (const [verb, isDisabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    const command = user
      .command(`${verb} <name>`)
      .description(isDisabled ? 'end all sessions and refuse new ones' : 'let a disabled user sign in again');
    if (isDisabled) command.option('-y, --yes', "don't ask, although launches stand on it");
    command.action(
      cli.action(async (session, name: string, { yes }: AgreedOption) => {
        const { output } = session;
        const client = await session.connect();
        const { id, revision } = await findNamed(client, 'listUsers', name);
        if (isDisabled && yes !== true) {
          const impact = await client.showUserImpact({ params: { user: id }, query: { change: 'disable' } });
          await agreeToImpact(session, impact, `disable user ${name}`, yes);
        }
        const changed = await client.updateUser({ params: { user: id }, body: { isDisabled }, ifMatch: revision });
        output.answer(changed, () => output.line(`${verb}d user ${changed.name}`));
        return undefined;
      }),
    );
  }
  user
    .command('delete <name>')
    .description('delete a user, with sessions, memberships and grants')
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async (session, name: string, { yes }: AgreedOption) => {
        const { output } = session;
        const client = await session.connect();
        const found = await findNamed(client, 'listUsers', name);
        const read = () => client.showUserImpact({ params: { user: found.id } });
        await agreeToEnd(session, read, `delete user ${found.name}`, yes);
        await client.deleteUser({ params: { user: found.id }, ifMatch: found.revision });
        output.answer({ name: found.name, deleted: true }, () => output.line(`deleted user ${found.name}`));
        return undefined;
      }),
    );
  const impact = user
    .command('impact <name>')
    .description('show what disabling or deleting a user, or taking roles away, would hit; changes nothing');
  withEndOptions(impact, ['delete', 'disable', 'revoke']).action(
    cli.action(async ({ connect, output }, name: string, { change, role }: EndOption) => {
      const query = endQuery(change, role);
      const client = await connect();
      const { id } = await findNamed(client, 'listUsers', name);
      answerImpact(output, await client.showUserImpact({ params: { user: id }, query }));
      return undefined;
    }),
  );
  user
    .command('link <name>')
    .description('print a one-time sign-in link, valid for ten minutes')
    .option('--reset-password', 'take the password and all sessions away')
    .action(
      cli.action(async (session, name: string, options: { readonly resetPassword?: true }) => {
        const client = await session.connect();
        const { id } = await findNamed(client, 'listUsers', name);
        const link = await client.createSignInLink({ params: { user: id }, body: options });
        if (session.output.isJson) session.output.answer(link, () => undefined);
        else await printLink(session, link);
        return undefined;
      }),
    );
  user
    .command('sign-out <name>')
    .description('end all sessions and void open sign-in links')
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        const client = await connect();
        const found = await findNamed(client, 'listUsers', name);
        await client.revokeUserSessions({ params: { user: found.id } });
        output.answer({ name: found.name, signedOut: true }, () => output.line(`signed ${found.name} out everywhere`));
        return undefined;
      }),
    );
}

/** The link alone on stdout, so that it can be passed on. */
async function printLink({ io, output }: Session, link: CallResult<'createSignInLink'>): Promise<void> {
  const { url } = await findConnection(io);
  output.line(`${url}${link.path}`);
  output.note(`the link works once, until ${localTime(link.expiresAt)}`);
}

const maxPasswordBytes = 4096;

async function readPassword(io: Io): Promise<string> {
  if (isInteractive(io)) return askNew(io, 'password');
  const text = utf8Text(await readStdin(io, maxPasswordBytes))?.replace(/\r?\n$/, '') ?? '';
  if (text === '')
    throw new UsageError('no password was given', 'Pipe it in, or leave --password out for a sign-in link.');
  return text;
}
