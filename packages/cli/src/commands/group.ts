import type { PlatformRole } from '@strongroom/contract/roles';
import type { Client } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group as groupOf } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import { localTime } from '../output/text.ts';
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
  impactIfThere,
  withEndOptions,
} from './impact.ts';

interface GroupOptions {
  readonly displayName?: string;
  readonly role?: PlatformRole[];
}

export function addGroupCommands(program: Command, cli: Cli): void {
  const group = groupOf(program, 'group', 'groups of users and service accounts');
  group
    .command('create <name>')
    .description('create a group')
    .option('--display-name <text>', 'what people call it')
    .addOption(roleOption())
    .action(
      cli.action(async ({ connect, output }, name: string, { displayName, role }: GroupOptions) => {
        const created = await (
          await connect()
        ).createGroup({
          body: {
            name,
            ...(displayName === undefined ? {} : { displayName }),
            ...(role === undefined ? {} : { roles: role }),
          },
        });
        output.answer(created, () => output.line(`created group ${created.name}`));
        return undefined;
      }),
    );
  addListOptions(group.command('list').description('list groups')).action(
    cli.action(async ({ connect, output }, options: ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const items = await listUpTo(await connect(), output, 'listGroups', { query }, options.limit);
      output.answer({ items }, () =>
        output.list(
          'no groups',
          [
            { title: 'NAME' },
            { title: 'DISPLAY NAME', canCut: true },
            { title: 'ROLES', canWrap: true },
            { title: 'CREATED' },
          ],
          items.map((each) => [each.name, each.displayName, each.roles.join(', ') || '-', localTime(each.createdAt)]),
        ),
      );
      return undefined;
    }),
  );
  addListOptions(group.command('show <name>').description('show a group and its members')).action(
    cli.action(async ({ connect, output }, name: string, options: ListOptions) => {
      const client = await connect();
      const found = await findNamed(client, 'listGroups', name);
      const input = { params: { group: found.id }, query: { limit: pageSize(options.limit) } };
      const members = await listUpTo(client, output, 'listGroupMembers', input, options.limit);
      output.answer({ ...found, members }, () => {
        output.facts({
          name: found.name,
          id: found.id,
          'display name': found.displayName,
          roles: found.roles.join(', ') || '-',
          created: localTime(found.createdAt),
        });
        output.line();
        output.list(
          'no members',
          [{ title: 'MEMBER' }, { title: 'NAME', canCut: true }, { title: 'SINCE' }],
          members.map((each) => [`${each.kind}:${each.name}`, each.displayName, localTime(each.addedAt)]),
        );
      });
      return undefined;
    }),
  );
  addGroupChangeCommands(group, cli);
  addImpactCommand(group, cli);
}

interface EditGroupOptions extends GroupOptions, AgreedOption {
  readonly roles: boolean;
}

function addGroupChangeCommands(group: Command, cli: Cli): void {
  for (const verb of ['add', 'remove'] as const) {
    const command = group
      .command(`${verb} <name> <principal>`)
      .description(`${verb} user:NAME or service-account:NAME`);
    if (verb === 'remove') command.option('-y, --yes', "don't ask, although launches stand on it");
    command.action(
      cli.action(async (session, name: string, principal: string, { yes }: AgreedOption) => {
        const { output } = session;
        const client = await session.connect();
        const { id } = await findNamed(client, 'listGroups', name);
        const params = { group: id, principal: await memberId(client, principal) };
        if (verb === 'remove' && yes !== true) {
          const impact = await impactIfThere(client.showGroupMemberImpact({ params }));
          if (impact !== undefined) await agreeToImpact(session, impact, `remove ${principal} from ${name}`, yes);
        }
        await (verb === 'add' ? client.addGroupMember({ params }) : client.deleteGroupMember({ params }));
        const done = verb === 'add' ? `added ${principal} to ${name}` : `removed ${principal} from ${name}`;
        output.answer({ group: name, principal, [verb === 'add' ? 'added' : 'removed']: true }, () =>
          output.line(done),
        );
        return undefined;
      }),
    );
  }
  group
    .command('edit <name>')
    .description('change display name or roles; a change of roles ends all sessions of its members')
    .option('--display-name <text>', 'what people call it')
    .addOption(roleOption())
    .option('--no-roles', 'take all roles away')
    .option('-y, --yes', "don't ask, although launches stand on a role that goes")
    .action(
      cli.action(async (session, name: string, options: EditGroupOptions) => {
        const { connect, output } = session;
        const { displayName, role, yes } = options;
        const roles = options.roles ? role : [];
        const body = {
          ...(displayName === undefined ? {} : { displayName }),
          ...(roles === undefined ? {} : { roles }),
        };
        if (Object.keys(body).length === 0) throw new UsageError('there is nothing to change');
        const client = await connect();
        const { id, revision } = await findNamed(client, 'listGroups', name);
        const params = { group: id };
        await agreeToRoles(session, roles, (query) => client.showGroupImpact({ params, query }), `group ${name}`, yes);
        const changed = await client.updateGroup({ params, body, ifMatch: revision });
        output.answer(changed, () => output.line(`changed group ${changed.name}`));
        return undefined;
      }),
    );
  group
    .command('delete <name>')
    .description('delete a group, its memberships and its grants')
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async (session, name: string, { yes }: AgreedOption) => {
        const { output } = session;
        const client = await session.connect();
        const found = await findNamed(client, 'listGroups', name);
        const read = () => client.showGroupImpact({ params: { group: found.id } });
        await agreeToEnd(session, read, `delete group ${found.name}`, yes);
        await client.deleteGroup({ params: { group: found.id }, ifMatch: found.revision });
        output.answer({ name: found.name, deleted: true }, () => output.line(`deleted group ${found.name}`));
        return undefined;
      }),
    );
}

interface GroupImpactOptions extends EndOption {
  readonly change: 'delete' | 'revoke';
}

function addImpactCommand(group: Command, cli: Cli): void {
  const impact = group
    .command('impact <name> [principal]')
    .description('show what deleting a group, taking its roles away or removing a member would hit; changes nothing');
  withEndOptions(impact, ['delete', 'revoke']).action(
    cli.action(
      async ({ connect, output }, name: string, principal: string | undefined, options: GroupImpactOptions) => {
        const query = endQuery(options.change, options.role);
        if (principal !== undefined && options.change === 'revoke')
          throw new UsageError('--change revoke is about the group itself');
        const client = await connect();
        const { id } = await findNamed(client, 'listGroups', name);
        answerImpact(
          output,
          principal === undefined
            ? await client.showGroupImpact({ params: { group: id }, query })
            : await client.showGroupMemberImpact({
                params: { group: id, principal: await memberId(client, principal) },
              }),
        );
        return undefined;
      },
    ),
  );
}

async function memberId(client: Client, principal: string): Promise<string> {
  const [kind = '', name = ''] = principal.split(/:(.*)/s);
  if (kind === 'user') return (await findNamed(client, 'listUsers', name)).id;
  if (kind === 'service-account') return (await findNamed(client, 'listServiceAccounts', name)).id;
  throw new UsageError('that is no member', 'A member is written user:NAME or service-account:NAME.');
}
