import type { CallInput, CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { addConfigurationCommands, contentOf, lastFacts, printFields } from './configuration.ts';
import { addApplyCommands, type CredentialFile, readConfigurations, withCredentials } from './configuration-apply.ts';
import { storageNoun } from './configuration-noun.ts';
import { printSurfaceTest } from './surface-test.ts';

/** The server's schema decides; its errors name each field. */
type Form = NonNullable<CallInput<'testStorageConfig'>['body']>;

export function addStorageCommands(program: Command, cli: Cli): void {
  const storage = group(program, 'storage', 'storage configurations: buckets and the keys that open them');
  addApplyCommands(storage, cli, storageNoun, true);
  addConfigurationCommands(storage, cli, storageNoun, printStorage);
  addTest(storage, cli);
}

interface TestOptions {
  readonly file?: string;
  readonly domain?: string;
  readonly credential?: readonly CredentialFile[];
}

function addTest(storage: Command, cli: Cli): void {
  withCredentials(
    storage
      .command('test [storage]')
      .description(
        'list, write, read and delete there, as it is saved, as a manifest says, or as a manifest would change it; exit code 7 when a step fails',
      )
      .option('-f, --file <file>', 'the manifest, YAML or JSON (- is stdin); nothing of it is kept')
      .option('-d, --domain <domain>', 'the domain, when the manifest names none'),
  ).action(
    cli.action(async ({ io, connect, output }, name: string | undefined, options: TestOptions) => {
      const { file, domain: named, credential } = options;
      if (file === undefined && credential !== undefined) throw new UsageError('--credential goes with --file');
      if (file !== undefined) {
        const known = new Map([[storageNoun.kind, storageNoun]]);
        const [only, second] = await readConfigurations(io, { ...options, file }, known);
        if (only === undefined || second !== undefined) throw new UsageError(`${file} is not one configuration`);
        const { domain, body } = only;
        const client = await connect();
        return printSurfaceTest(
          output,
          name === undefined
            ? await client.testStorageConfigForm({ params: { domain }, body: body as Form })
            : await client.testStorageConfig({ params: { domain, name }, body: body as Form }),
        );
      }
      if (name === undefined || named === undefined)
        throw new UsageError('it is not said what to try', 'Name a storage configuration and --domain, or a --file.');
      const client = await connect();
      const params = { domain: named, name };
      const { provider, region, endpoint, bucket, basePath, usesPathStyle } = await client.showStorageConfig({
        params,
      });
      // Its credentials are left out, which keeps them.
      const rest = { region, endpoint, basePath, usesPathStyle };
      const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
      return printSurfaceTest(output, await client.testStorageConfig({ params, body: { provider, bucket, ...given } }));
    }),
  );
}

function printStorage(output: Cli['output'], storage: CallResult<'showStorageConfig'>): void {
  output.facts({
    name: storage.name,
    domain: storage.domain,
    id: storage.id,
    description: storage.description,
    provider: storage.provider,
    endpoint: storage.endpoint,
    region: storage.region,
    bucket: storage.bucket,
    'base path': storage.basePath,
    ...lastFacts(storage),
  });
  printFields(
    output,
    (['accessKey', 'secretKey'] as const).map((name) => {
      const { isSet, isOwned, secret } = storage[name];
      return [
        'credential',
        name,
        isSet ? `${contentOf(undefined, secret)}${isOwned === true ? ' (its own)' : ''}` : '-',
      ];
    }),
  );
}
