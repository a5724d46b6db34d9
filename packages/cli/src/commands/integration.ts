import { type Command, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { exitCode } from '../exit-codes.ts';
import { isInteractive } from '../io.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import { count } from '../output/text.ts';
import { confirmByTyping } from '../prompt.ts';
import { addScopeOptions, routeIn, scopeOf, type ScopeOptions } from '../scope.ts';
import { collect } from '../values.ts';
import { healthText, indexText, printIntegration } from './integration-text.ts';
import { addIntegrationWriteCommands } from './integration-write.ts';
import {
  agreeToImpact,
  type AgreedOption,
  answerImpact,
  keptDomains,
  printImpact,
  requireGlobalRevoke,
  unasked,
} from './impact.ts';
import { brokenText, printUses } from './secret-text.ts';

export function addIntegrationCommands(program: Command, cli: Cli): void {
  const integration = group(
    program,
    'integration',
    'connections to backends of a team: Vault, AWS, Google, Azure; no command shows a credential',
  );
  addIntegrationWriteCommands(integration, cli);
  addViewCommands(integration, cli);
  addRefreshCommand(integration, cli);
  addImpactCommand(integration, cli);
  addDeleteCommand(integration, cli);
  addAssignCommand(integration, cli);
}

function addViewCommands(integration: Command, cli: Cli): void {
  addListOptions(addScopeOptions(integration.command('list').description('list integrations'))).action(
    cli.action(async ({ connect, output }, options: ScopeOptions & ListOptions) => {
      const scope = scopeOf(options);
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const input = { params: scope.params, query };
      const items = await listUpTo(
        await connect(),
        output,
        routeIn(scope, 'list', 'Integrations'),
        input,
        options.limit,
      );
      output.answer({ items }, () => {
        output.list(
          `no integrations in ${scope.title}`,
          [
            { title: 'NAME' },
            { title: 'TYPE' },
            { title: 'USED BY' },
            { title: 'KEYS' },
            { title: 'HEALTH', canWrap: true },
          ],
          items.map((each) => [each.name, each.type, `${each.usedBy}`, indexText(each.index), healthText(each.health)]),
        );
      });
      return undefined;
    }),
  );
  addScopeOptions(integration.command('show <name>').description('show an integration without its credential')).action(
    cli.action(async ({ connect, output }, name: string, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const client = await connect();
      const found = await client[routeIn(scope, 'show', 'Integration')]({ params: { ...scope.params, name } });
      output.answer(found, () => printIntegration(output, found));
      return undefined;
    }),
  );
}

function addRefreshCommand(integration: Command, cli: Cli): void {
  addScopeOptions(
    integration.command('refresh <name>').description('list its keys anew; exit code 7 when that fails'),
  ).action(
    cli.action(async ({ connect, output }, name: string, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const client = await connect();
      const refreshed = await client[routeIn(scope, 'refresh', 'Integration')]({ params: { ...scope.params, name } });
      output.answer(refreshed, () =>
        output.facts({ health: healthText(refreshed.health), index: indexText(refreshed.index) }),
      );
      return refreshed.health.error === undefined ? undefined : exitCode.check;
    }),
  );
}

interface DeleteOptions extends ScopeOptions {
  readonly force?: true;
  readonly yes?: true;
}

function addDeleteCommand(integration: Command, cli: Cli): void {
  addScopeOptions(integration.command('delete <name>').description('delete an integration and destroy its credentials'))
    .option('--force', 'although its keys are used')
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async ({ io, connect, output }, name: string, options: DeleteOptions) => {
        const scope = scopeOf(options);
        const client = await connect();
        const params = { ...scope.params, name };
        const { revision, usedBy } = await client[routeIn(scope, 'show', 'Integration')]({ params });
        if (options.yes !== true) {
          const impact = await client[routeIn(scope, 'show', 'IntegrationImpact')]({ params });
          if (!isInteractive(io))
            throw unasked(impact, 'deleting', usedBy > 0 ? 'Add --yes and --force.' : 'Add --yes.');
          if (usedBy > 0 && !output.isJson) printImpact(output, impact);
          await confirmByTyping(io, `delete ${name} in ${scope.title}, used by ${count(usedBy, 'field')}`, name);
        }
        // Who types its name has seen what uses it.
        const isForced = options.force === true || (options.yes !== true && usedBy > 0);
        const deleted = await client[routeIn(scope, 'delete', 'Integration')]({
          params,
          ...(isForced ? { query: { force: true } } : {}),
          ifMatch: revision,
        });
        output.answer(deleted, () => {
          output.line(`deleted ${name} from ${scope.title}`);
          if (deleted.brokenUses.length > 0) printUses(output, deleted.brokenUses);
        });
        if (deleted.brokenUses.length > 0) output.note(brokenText(deleted));
        return undefined;
      }),
    );
}

interface ImpactOptions extends ScopeOptions {
  readonly change: 'delete' | 'edit' | 'revoke';
  readonly to?: readonly string[];
}

function addImpactCommand(integration: Command, cli: Cli): void {
  addScopeOptions(
    integration
      .command('impact <name>')
      .description(
        'show what changing, deleting or taking back an integration would hit: configurations, what runs, domains',
      ),
  )
    .addOption(
      new Option('--change <change>', 'what would be done').choices(['delete', 'edit', 'revoke']).default('delete'),
    )
    .option('--to <domain>', 'with --change revoke: a domain that goes on using it, may be repeated', collect)
    .action(
      cli.action(async ({ connect, output }, name: string, { change, to, ...where }: ImpactOptions) => {
        const scope = scopeOf(where);
        const isRevoke = requireGlobalRevoke(scope, change, to);
        const client = await connect();
        const params = { ...scope.params, name };
        const impact = isRevoke
          ? await client.showIntegrationAssignmentsImpact({ params: { name }, query: keptDomains(to ?? []) })
          : await client[routeIn(scope, 'show', 'IntegrationImpact')]({
              params,
              query: { change: change === 'edit' ? change : 'delete' },
            });
        answerImpact(output, impact);
        return undefined;
      }),
    );
}

interface AssignOptions {
  readonly to?: readonly string[];
  readonly all?: true;
  readonly none?: true;
}

function addAssignCommand(integration: Command, cli: Cli): void {
  integration
    .command('assign <name>')
    .description('show or set which domains may use a global integration')
    .option('--to <domain>', 'exactly these domains, may be repeated', collect)
    .option('--all', 'every domain')
    .option('--none', 'no domain')
    .option('-y, --yes', "don't ask, although launches of other domains stand on it")
    .action(
      cli.action(async (session, name: string, { to, all, none, yes }: AssignOptions & AgreedOption) => {
        const { connect, output } = session;
        const ways = [to, all, none].filter((way) => way !== undefined).length;
        if (ways > 1) throw new UsageError('give one of --to, --all and --none');
        const client = await connect();
        const params = { name };
        const body = all === true ? { all: true } : { domains: [...(to ?? [])] };
        if (ways > 0 && all !== true && yes !== true) {
          const impact = await client.showIntegrationAssignmentsImpact({ params, query: keptDomains(to ?? []) });
          await agreeToImpact(session, impact, `leave ${name} to ${to?.join(', ') ?? 'no domain'} alone`, yes);
        }
        const assigned =
          ways === 0
            ? await client.showIntegrationAssignments({ params })
            : await client.putIntegrationAssignments({ params, body });
        const domains = assigned.domains.length === 0 ? 'no domain' : assigned.domains.join(', ');
        output.answer(assigned, () => output.line(assigned.all ? 'every domain' : domains));
        return undefined;
      }),
    );
}
