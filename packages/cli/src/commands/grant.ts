import { domainPermissions, type DomainPermission } from '@strongroom/contract/roles';
import { Argument, type Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import { localTime } from '../output/text.ts';
import { agreeToImpact, answerImpact } from './impact.ts';

export function addGrantCommands(program: Command, cli: Cli): void {
  const grant = group(program, 'grant', 'single permissions in a domain, beside what members have');
  addListOptions(requireDomain(grant.command('list').description('list single permissions'))).action(
    cli.action(async ({ connect, output }, options: DomainOption & ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const input = { params: { domain: options.domain }, query };
      const items = await listUpTo(await connect(), output, 'listGrants', input, options.limit);
      output.answer({ items }, () =>
        output.list(
          `no single permissions in ${options.domain}`,
          [
            { title: 'ID' },
            { title: 'PRINCIPAL' },
            { title: 'PERMISSION' },
            { title: 'SINCE' },
            { title: 'BY', canCut: true },
          ],
          items.map((each) => [each.id, each.principal, each.permission, localTime(each.createdAt), each.createdBy]),
        ),
      );
      return undefined;
    }),
  );
  requireDomain(grant.command('add').description('grant a permission; RESOLVE lets its holder receive values'))
    .argument('<principal>', 'user:NAME, group:NAME, service-account:NAME or service-account:DOMAIN/NAME')
    .addArgument(new Argument('<permission>', 'what to grant').choices([...domainPermissions]))
    .option('--acknowledge', 'yes, people are to receive values: needed for RESOLVE to a user or group')
    .action(
      cli.action(
        async (
          { connect, output },
          principal: string,
          permission: DomainPermission,
          options: DomainOption & { readonly acknowledge?: true },
        ) => {
          const { domain, acknowledge } = options;
          const added = await (
            await connect()
          ).addGrant({
            params: { domain },
            body: { principal, permission, ...(acknowledge === undefined ? {} : { acknowledge }) },
          });
          output.answer(added, () =>
            output.line(`granted ${added.permission} in ${domain} to ${added.principal} (${added.id})`),
          );
          if (added.warning !== undefined) output.note(added.warning);
          return undefined;
        },
      ),
    );
  requireDomain(grant.command('remove <id>').description('take a permission back'))
    .option('-y, --yes', "don't ask, although launches stand on it")
    .action(
      cli.action(async (session, id: string, { domain, yes }: DomainOption & { readonly yes?: true }) => {
        const client = await session.connect();
        const params = { domain, grant: id };
        if (yes !== true)
          await agreeToImpact(session, await client.showGrantImpact({ params }), `remove grant ${id}`, yes);
        await client.deleteGrant({ params });
        session.output.answer({ id, removed: true }, () => session.output.line(`removed grant ${id}`));
        return undefined;
      }),
    );
  requireDomain(
    grant.command('impact <id>').description('show what taking a permission back would hit, and take nothing'),
  ).action(
    cli.action(async ({ connect, output }, id: string, { domain }: DomainOption) => {
      answerImpact(output, await (await connect()).showGrantImpact({ params: { domain, grant: id } }));
      return undefined;
    }),
  );
}
