import { type Command, Option } from 'commander';
import type { CallResult } from '@strongroom/sdk';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { addListOptions, type ListOptions, pageSize } from '../lists.ts';
import { visible } from '../output/text.ts';

interface ChoiceOptions extends ListOptions {
  readonly domain?: string;
  readonly platform?: true;
  readonly source?: string;
  readonly scope?: 'admin' | 'global' | 'domain';
}

type Choices = CallResult<'listDomainChoices'>;

export function addChoicesCommand(secret: Command, cli: Cli): void {
  addListOptions(secret.command('choices').description('list what may be referred to, from all sources'))
    .option('-d, --domain <domain>', 'in configurations of this domain')
    .option('--platform', "in the platform's own settings")
    .option('--source <source>', 'only of managed, or of this integration')
    .addOption(new Option('--scope <scope>', 'only of this scope').choices(['admin', 'global', 'domain']))
    .action(
      cli.action(async ({ connect, output }, options: ChoiceOptions) => {
        const { domain, platform, limit } = options;
        if ((domain === undefined) === (platform === undefined))
          throw new UsageError('name either a domain or the platform', 'Add --domain NAME or --platform.');
        const client = await connect();
        const filter = filterOf(options);
        const items: Choices['items'] = [];
        let sources: Choices['sources'] = [];
        for (let cursor: string | undefined; items.length < limit;) {
          const query = {
            ...filter,
            limit: pageSize(limit - items.length),
            ...(cursor === undefined ? {} : { cursor }),
          };
          const page: Choices =
            domain === undefined
              ? await client.listPlatformChoices({ query })
              : await client.listDomainChoices({ params: { domain }, query });
          items.push(...page.items);
          ({ sources } = page);
          if (page.nextCursor === undefined) break;
          cursor = page.nextCursor;
        }
        if (items.length > limit) output.note(`there are more than ${limit}; --limit shows more of them`);
        const shown = items.slice(0, limit);
        output.answer({ items: shown, sources }, () =>
          output.table(
            [{ title: 'REFERENCE' }, { title: 'SOURCE' }, { title: 'TYPE' }],
            shown.map(({ reference, source, sourceType }) => [reference, source, sourceType]),
          ),
        );
        for (const { source, health } of sources)
          if (health.error !== undefined) output.note(`${visible(source)} is down: ${visible(health.error.message)}`);
        return undefined;
      }),
    );
}

function filterOf({ search, source, scope }: ChoiceOptions) {
  return {
    ...(search === undefined ? {} : { q: search }),
    ...(source === undefined ? {} : { source }),
    ...(scope === undefined ? {} : { scope }),
  };
}
