import { type StoreName, storeNames } from '@strongroom/contract/store-names';
import type { CallResult } from '@strongroom/sdk';
import { Argument, type Command } from 'commander';
import { type Cli, group } from '../cli.ts';

export function addSettingsCommands(program: Command, cli: Cli): void {
  const settings = group(program, 'settings', 'feature flags and limits of the server');
  settings
    .command('show')
    .description('show version, feature flags and limits')
    .action(
      cli.action(async ({ connect, output }) => {
        const found = await (await connect()).showSettings();
        output.answer(found, () => printSettings(output, found));
        return undefined;
      }),
    );
  settings
    .command('feature')
    .description('turn a feature on or off, unless the configuration sets it')
    .addArgument(new Argument('<feature>', 'which').choices(['secretsV2']))
    .addArgument(new Argument('<state>', 'on or off').choices(['on', 'off']))
    .option('--force', 'turn it off although configurations hold references, which then fail to launch')
    .action(
      cli.action(
        async ({ connect, output }, feature: 'secretsV2', state: 'on' | 'off', options: { readonly force?: true }) => {
          const client = await connect();
          const { revision } = await client.call('showSettings', {});
          const changed = await client.updateSettings({
            body: { features: { [feature]: { enabled: state === 'on' } } },
            ...(options.force === undefined ? {} : { query: { force: options.force } }),
            ...(revision === undefined ? {} : { ifMatch: revision }),
          });
          output.answer(changed, () =>
            output.line(`${feature} is ${changed.features[feature].enabled ? 'on' : 'off'}`),
          );
          return undefined;
        },
      ),
    );
  settings
    .command('store')
    .description('choose where the values of the admin or the global scope are, while it holds no secret')
    .addArgument(new Argument('<scope>', 'which').choices(['admin', 'global']))
    .addArgument(new Argument('<store>', 'where').choices([...storeNames]))
    .action(
      cli.action(async ({ connect, output }, scope: 'admin' | 'global', store: StoreName) => {
        const client = await connect();
        const changed = await client.updateSettings({ body: { managedStores: { [scope]: store } } });
        output.answer(changed, () => output.line(`values of ${scope} are in ${changed.managedStores[scope].store}`));
        return undefined;
      }),
    );
}

function printSettings(
  output: Cli['output'],
  { version, features, limits, runner, store, managedStores }: CallResult<'showSettings'>,
): void {
  output.facts({ version, runner, store });
  output.line();
  output.table(
    [{ title: 'FEATURE' }, { title: 'STATE' }, { title: 'SET BY' }],
    Object.entries(features).map(([name, { enabled, setBy }]) => [name, enabled ? 'on' : 'off', setBy]),
  );
  output.line();
  output.table(
    [{ title: 'VALUES OF' }, { title: 'ARE IN' }, { title: 'SET BY' }],
    Object.entries(managedStores).map(([name, found]) => [
      name === 'domains' ? 'new domains' : name,
      found.store,
      found.setBy,
    ]),
  );
  output.line();
  output.table(
    [{ title: 'LIMIT' }, { title: 'VALUE' }],
    Object.entries(limits).map(([name, limit]) => [name, `${limit}`]),
  );
}
