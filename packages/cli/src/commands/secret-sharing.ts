import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { addLimitOption, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import { addScopeOptions, routeIn, scopeOf, type ScopeOptions } from '../scope.ts';
import { collect } from '../values.ts';
import { agreeToImpact, type AgreedOption, keptDomains } from './impact.ts';
import { brokenText, printUses } from './secret-text.ts';

export function addSecretSharingCommands(secret: Command, cli: Cli): void {
  addLimitOption(
    addScopeOptions(secret.command('access <key>').description('show who may use or manage a secret, and why')),
  ).action(
    cli.action(async ({ connect, output }, key: string, options: ScopeOptions & ListOptions) => {
      const scope = scopeOf(options);
      const { limit } = options;
      const input = { params: { ...scope.params, key }, query: { limit: pageSize(limit) } };
      const items = await listUpTo(await connect(), output, routeIn(scope, 'list', 'SecretAccess'), input, limit);
      output.answer({ items }, () =>
        output.list(
          'nobody you may see may use or manage it',
          [{ title: 'PRINCIPAL' }, { title: 'MAY' }, { title: 'BECAUSE', canWrap: true }],
          items.map((item) => [item.principal, item.action, item.because.join('; ')]),
        ),
      );
      return undefined;
    }),
  );
  addAssignCommand(secret, cli);
}

interface AssignOptions {
  readonly to?: readonly string[];
  readonly all?: true;
}

function addAssignCommand(secret: Command, cli: Cli): void {
  secret
    .command('assign <key>')
    .description('show or set which domains may use a global secret')
    .option('--to <domain>', 'exactly these domains, may be repeated', collect)
    .option('--all', 'every domain')
    .option('-y, --yes', "don't ask, although launches of other domains stand on it")
    .action(
      cli.action(async (session, key: string, options: AssignOptions & AgreedOption) => {
        const { connect, output } = session;
        const { to, all, yes } = options;
        const ways = [to, all].filter((way) => way !== undefined).length;
        if (ways > 1) throw new UsageError('give one of --to and --all');
        const client = await connect();
        const params = { key };
        if (ways === 0) {
          const assigned = await client.showAssignments({ params });
          output.answer(assigned, () => output.line(assignedTo(assigned)));
          return undefined;
        }
        if (to !== undefined && yes !== true) {
          const impact = await client.showAssignmentsImpact({ params, query: keptDomains(to) });
          await agreeToImpact(session, impact, `leave ${key} to ${to.join(', ')} alone`, yes);
        }
        const body = all === true ? { all: true } : { all: false, domains: [...(to ?? [])] };
        const assigned = await client.putAssignments({ params, body });
        output.answer(assigned, () => {
          output.line(`assigned ${key} to ${assignedTo(assigned)}`);
          if (assigned.brokenUses.length > 0) printUses(output, assigned.brokenUses);
        });
        if (assigned.brokenUses.length > 0) {
          output.note(brokenText(assigned));
        }
        return undefined;
      }),
    );
}

function assignedTo({ all, domains }: { readonly all: boolean; readonly domains: readonly string[] }): string {
  return all ? 'every domain' : domains.join(', ');
}
