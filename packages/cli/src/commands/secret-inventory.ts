import type { ItemOf } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.ts';
import { addLimitOption, listPagesUpTo, type ListOptions, parseCount } from '../lists.ts';
import { localTime } from '../output/text.ts';
import { addScopeOptions, routeIn, scopeOf, type ScopeOptions } from '../scope.ts';

const findings = [
  'expired',
  'expiring',
  'stale',
  'due-soon',
  'used-but-missing',
  'shared-value',
  'unused',
] as const satisfies readonly Found['finding'][];

type Output = Cli['output'];
type Found = ItemOf<'listDomainInventory'>;

interface InventoryOptions extends ScopeOptions, ListOptions {
  readonly finding?: Found['finding'];
  readonly within: number;
  readonly unusedFor: number;
}

/** What needs care in a scope, and what to do about it. */
export function addInventoryCommand(secret: Command, cli: Cli): void {
  addLimitOption(
    addScopeOptions(
      secret
        .command('inventory')
        .description('show what needs care, and what to do: expired, stale, used but missing, shared, unused'),
    ),
  )
    .addOption(new Option('--finding <finding>', 'only this').choices(findings))
    .option('--within <days>', 'what counts as expiring and as due soon', parseCount, 30)
    .option('--unused-for <days>', 'for how long what is unused was neither made nor launched', parseCount, 90)
    .action(
      cli.action(async ({ connect, output }, options: InventoryOptions) => {
        const scope = scopeOf(options);
        const { limit, finding, within, unusedFor } = options;
        const query = { withinDays: within, unusedForDays: unusedFor, ...(finding === undefined ? {} : { finding }) };
        const client = await connect();
        const { items, last } = await listPagesUpTo(output, limit, (page) =>
          client[routeIn(scope, 'list', 'Inventory')]({ params: scope.params, query: { ...query, ...page } }),
        );
        const { withheld } = last;
        output.answer({ items, withheld }, () => {
          if (items.length === 0) output.line(`nothing in ${scope.title} needs care`);
          else printFindings(output, items);
        });
        if (finding === undefined && withheld.length > 0)
          output.note(`not told to you: ${withheld.join(', ')} (it is for who manages secrets)`);
        return undefined;
      }),
    );
}

function printFindings(output: Output, items: readonly Found[]): void {
  for (const each of items) {
    const when = each.at === null ? '' : `, ${localTime(each.at)}`;
    output.line(`${each.finding}: ${each.key}${when}${aboutText(each)}`);
    output.line(`  ${each.advice}`);
  }
}

function aboutText({ use, cause, sharedWith, secret }: Found): string {
  if (use !== undefined)
    return `, ${cause ?? ''}: ${use.surface} ${use.configuration ?? '(not yours)'} uses it as ${use.name}`;
  if (sharedWith !== undefined) return `, the same value as ${sharedWith.join(', ')}`;
  return secret === undefined || secret.owner === '' ? '' : `, owner ${secret.owner}`;
}
