import { presets, type Preset } from '@strongroom/contract/roles';
import { type StoreName, storeNames } from '@strongroom/contract/store-names';
import type { CallResult } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { UsageError } from '../errors.ts';
import { isInteractive } from '../io.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import {
  agreeToImpact,
  type AgreedOption,
  answerImpact,
  impactIfThere,
  impactText,
  isHit,
  printImpact,
  unasked,
} from './impact.ts';
import { addTargetsOfDomain } from './kubernetes-cluster.ts';
import { localTime } from '../output/text.ts';
import { confirmByTyping } from '../prompt.ts';
import { printRemains } from './remains.ts';

interface DescribeOptions {
  readonly displayName?: string;
  readonly description?: string;
  readonly store?: StoreName;
}

function storeOption(description: string): Option {
  return new Option('--store <store>', description).choices([...storeNames]);
}

export function addDomainCommands(program: Command, cli: Cli): void {
  const domain = group(program, 'domain', 'create domains and say who belongs to them');
  domain
    .command('create <domain>')
    .description('create a domain; you become its owner')
    .option('--display-name <text>', 'what people call it')
    .option('--description <text>', 'what it is for')
    .addOption(storeOption('where the values of its secrets will be; as the server is configured without it'))
    .action(
      cli.action(async ({ connect, output }, name: string, options: DescribeOptions) => {
        const created = await (await connect()).createDomain({ body: { name, ...options } });
        output.answer(created, () => output.line(`created domain ${created.name}`));
        return undefined;
      }),
    );
  addListOptions(domain.command('list').description('list the domains you see')).action(
    cli.action(async ({ connect, output }, options: ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const items = await listUpTo(await connect(), output, 'listDomains', { query }, options.limit);
      output.answer({ items }, () => {
        output.list(
          'you see no domain',
          [
            { title: 'NAME' },
            { title: 'DISPLAY NAME', canCut: true },
            { title: 'CREATED' },
            { title: 'DESCRIPTION', canCut: true },
          ],
          items.map((each) => [each.name, each.displayName, localTime(each.createdAt), each.description]),
        );
      });
      return undefined;
    }),
  );
  domain
    .command('show <domain>')
    .description('show a domain')
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        const found = await (await connect()).showDomain({ params: { domain: name } });
        output.answer(found, () => printDomain(output, found));
        return undefined;
      }),
    );
  domain
    .command('edit <domain>')
    .description('change what a domain is called and described as, and where its values are; its name stays')
    .option('--display-name <text>', 'what people call it')
    .option('--description <text>', 'what it is for')
    .addOption(storeOption('where the values of its secrets will be; only while it holds none'))
    .action(
      cli.action(async ({ connect, output }, name: string, options: DescribeOptions) => {
        if (Object.keys(options).length === 0) throw new UsageError('there is nothing to change');
        const client = await connect();
        const { revision } = await client.showDomain({ params: { domain: name } });
        const changed = await client.updateDomain({ params: { domain: name }, body: options, ifMatch: revision });
        output.answer(changed, () => output.line(`changed domain ${changed.name}`));
        return undefined;
      }),
    );
  addTargetsOfDomain(domain, cli);
  addDeleteCommand(domain, cli);
  addMemberCommands(domain, cli);
}

function printDomain(output: Cli['output'], domain: CallResult<'showDomain'>): void {
  output.facts({
    name: domain.name,
    id: domain.id,
    'display name': domain.displayName,
    description: domain.description === '' ? undefined : domain.description,
    store: domain.store,
    created: localTime(domain.createdAt),
    updated: localTime(domain.updatedAt),
    revision: `${domain.revision}`,
  });
}

function addDeleteCommand(domain: Command, cli: Cli): void {
  domain
    .command('impact <domain>')
    .description('show what deleting a domain would hit: all it holds; changes nothing')
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        answerImpact(output, await (await connect()).showDomainImpact({ params: { domain: name } }));
        return undefined;
      }),
    );
  domain
    .command('delete <domain>')
    .description('delete a domain and destroy the keys of its secrets; nothing brings them back')
    .option('-y, --yes', "don't ask; still refused while it holds something")
    .option('--force', "don't ask, and delete what it holds")
    .action(
      cli.action(async (session, name: string, options: { readonly yes?: true; readonly force?: true }) => {
        const { io, output } = session;
        const client = await session.connect();
        const { revision } = await client.showDomain({ params: { domain: name } });
        if (options.yes !== true && options.force !== true) {
          const impact = await client.showDomainImpact({ params: { domain: name } });
          if (!isInteractive(io)) throw unasked(impact, 'deleting', isHit(impact) ? 'Add --force.' : 'Add --yes.');
          if (!output.isJson) printImpact(output, impact);
          const hit = isHit(impact) ? `, with ${impactText(impact)}` : '';
          await confirmByTyping(io, `the domain ${name} and the keys of its secrets will be destroyed${hit}`, name);
        }
        await client.deleteDomain({
          params: { domain: name },
          ...(options.force === true ? { query: { force: true } } : {}),
          ifMatch: revision,
        });
        output.answer({ domain: name, deleted: true }, () => output.line(`deleted domain ${name}`));
        return undefined;
      }),
    );
}

interface MemberOptions extends DomainOption {
  readonly preset: Preset;
}

function addMemberCommands(domain: Command, cli: Cli): void {
  const member = group(domain, 'member', 'who belongs to a domain, and as what');
  addListOptions(requireDomain(member.command('list').description('list the members of a domain'))).action(
    cli.action(async ({ connect, output }, options: DomainOption & ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const input = { params: { domain: options.domain }, query };
      const items = await listUpTo(await connect(), output, 'listMembers', input, options.limit);
      output.answer({ items }, () =>
        output.list(
          `no members in ${options.domain}`,
          [
            { title: 'PRINCIPAL' },
            { title: 'AS' },
            { title: 'NAME', canCut: true },
            { title: 'SINCE' },
            { title: 'BY', canCut: true },
          ],
          items.map((each) => [
            each.principal,
            each.preset,
            each.displayName,
            localTime(each.createdAt),
            each.createdBy,
          ]),
        ),
      );
      return undefined;
    }),
  );
  const withPreset = (command: Command): Command =>
    requireDomain(command).addOption(
      new Option('--preset <preset>', 'as what').choices([...presets]).default('MEMBER'),
    );
  withPreset(member.command('add <principal>').description('add user:NAME, group:NAME or service-account:NAME')).action(
    cli.action(async ({ connect, output }, principal: string, { domain: name, preset }: MemberOptions) => {
      const added = await (await connect()).addMember({ params: { domain: name }, body: { principal, preset } });
      output.answer(added, () => output.line(`added ${added.principal} to ${name} as ${added.preset}`));
      return undefined;
    }),
  );
  withPreset(member.command('set <principal>').description('give a member another preset, or add it'))
    .option('-y, --yes', "don't ask, although launches stand on what it loses")
    .action(
      cli.action(async (session, principal: string, options: MemberOptions & AgreedOption) => {
        const { domain: name, preset, yes } = options;
        const client = await session.connect();
        const params = { domain: name, principal };
        // Who is no member yet loses nothing.
        const impact =
          yes === true ? undefined : await impactIfThere(client.showMemberImpact({ params, query: { preset } }));
        if (impact !== undefined) await agreeToImpact(session, impact, `make ${principal} ${preset} of ${name}`, yes);
        const changed = await client.putMember({ params, body: { preset } });
        session.output.answer(changed, () =>
          session.output.line(`${changed.principal} is ${changed.preset} of ${name}`),
        );
        return undefined;
      }),
    );
  requireDomain(
    member
      .command('remove <principal>')
      .description('take the preset away; names what stays: grants, and bundles it owns'),
  )
    .option('-y, --yes', "don't ask, although launches stand on it")
    .action(
      cli.action(async (session, principal: string, { domain: name, yes }: DomainOption & AgreedOption) => {
        const client = await session.connect();
        const params = { domain: name, principal };
        const impact = await client.showMemberImpact({ params });
        await agreeToImpact(session, impact, `remove ${principal} from ${name}`, yes);
        await client.deleteMember({ params });
        const { remains } = impact;
        const { output } = session;
        output.answer({ principal, removed: true, ...(remains === undefined ? {} : { remains }) }, () => {
          output.line(`removed ${principal} from ${name}`);
          printRemains(output, remains, principal, name);
        });
        return undefined;
      }),
    );
  requireDomain(
    member
      .command('impact <principal>')
      .description('show what removing a member, or giving it another preset, would hit; changes nothing'),
  )
    .addOption(new Option('--preset <preset>', 'what it would be; nothing, when left out').choices([...presets]))
    .action(
      cli.action(
        async ({ connect, output }, principal: string, options: DomainOption & { readonly preset?: Preset }) => {
          const { domain: name, preset } = options;
          const query = preset === undefined ? {} : { preset };
          const impact = await (await connect()).showMemberImpact({ params: { domain: name, principal }, query });
          answerImpact(output, impact);
          if (output.isJson || impact.remains === undefined) return undefined;
          if (isHit(impact)) output.line();
          printRemains(output, impact.remains, principal, name);
          return undefined;
        },
      ),
    );
}
