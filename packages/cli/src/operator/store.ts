import { type Command, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { count, visible } from '../output/text.ts';
import { addScopeOptions, type ScopeOptions, scopeOf } from '../scope.ts';
import { addConfigOption, type ConfigOptions, loadSettings, withServer } from './configuration.ts';

interface AdoptOptions extends ConfigOptions, ScopeOptions {
  readonly store: 'kubernetes' | 'vault';
  readonly dryRun?: true;
}

export function addStoreCommands(program: Command, cli: Cli): void {
  const store = group(program, 'store', 'managed stores outside of the database');
  addScopeOptions(
    addConfigOption(
      store
        .command('adopt [keys...]')
        .description('let what another program left in a managed store be written, too; its values stay'),
    ),
  )
    .addOption(new Option('--store <store>', 'which store').choices(['kubernetes', 'vault']).default('kubernetes'))
    .option('--dry-run', 'say what would be marked, and change nothing')
    .addHelpText(
      'after',
      '\nWhat is not marked as ours is read, and neither changed nor deleted. In the layout scope-objects (an IOMETE\ninstall: name iomete) the scope has one Secret, and no keys are named; else each key is named.\n\n  strongroom store adopt --global --dry-run\n  strongroom store adopt --domain finance',
    )
    .action(
      cli.action(async ({ io, output }, keys: readonly string[], options: AdoptOptions) => {
        const scope = scopeOf(options);
        const isTrial = options.dryRun === true;
        const adopted = await withServer((server) =>
          server.adoptStore(loadSettings(server, io, options), {
            store: options.store,
            scope: scope.kind === 'domain' ? { kind: scope.kind, name: scope.params.domain } : { kind: scope.kind },
            keys,
            isTrial,
          }),
        );
        output.answer({ dryRun: isTrial, items: adopted }, () => {
          for (const { object, isAdopted, keys: own } of adopted) {
            const what = !isAdopted ? 'was ours before' : isTrial ? 'would be adopted' : 'adopted';
            output.line(visible(`${object}: ${what}, ${count(own.length, 'key')}`));
          }
        });
        return undefined;
      }),
    );
}
