import { type Command, Option } from 'commander';
import type { CallResult } from '@strongroom/sdk';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { addListOptions, type ListOptions } from '../lists.ts';
import { listSourcesUpTo, noteSourcesDown } from '../source-lists.ts';

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
        const { items, sources } = await listSourcesUpTo(output, limit, async (page): Promise<Choices> => {
          const query = { ...filter, ...page };
          return domain === undefined
            ? client.listPlatformChoices({ query })
            : client.listDomainChoices({ params: { domain }, query });
        });
        output.answer({ items, sources }, () =>
          output.list(
            'nothing to choose from',
            [{ title: 'REFERENCE' }, { title: 'SOURCE' }, { title: 'TYPE' }],
            items.map(({ reference, source, sourceType }) => [reference, source, sourceType]),
          ),
        );
        noteSourcesDown(output, sources);
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
