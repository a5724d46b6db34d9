import type { CallInput, CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { addConfigurationCommands, credentialText, lastFacts, printFields } from './configuration.ts';
import { addApplyCommands } from './configuration-apply.ts';
import { storageNoun } from './configuration-noun.ts';
import { addFormTest } from './form-test.ts';
import { addPreflight } from './preflight.ts';

/** The server's schema decides; its errors name each field. */
type Form = NonNullable<CallInput<'testStorageConfig'>['body']>;

export function addStorageCommands(program: Command, cli: Cli): void {
  const storage = group(program, 'storage', 'storage configurations: buckets and the keys that open them');
  addApplyCommands(storage, cli, storageNoun, true);
  addConfigurationCommands(storage, cli, storageNoun, printStorage);
  addPreflight(storage.command('preflight <storage>'), cli, {
    preflight: (client, domain, name) => client.preflightStorageConfig({ params: { domain, name } }),
    verb: 'be usable',
  });
  addFormTest(storage, cli, storageNoun, 'list, write, read and delete there', {
    form: (client, domain, body) => client.testStorageConfigForm({ params: { domain }, body: body as Form }),
    change: (client, domain, name, body) => client.testStorageConfig({ params: { domain, name }, body: body as Form }),
    saved: async (client, domain, name) => {
      const shown = await client.showStorageConfig({ params: { domain, name } });
      const { provider, region, endpoint, bucket, basePath, usesPathStyle } = shown;
      // What is not there is no member of JSON.
      return { provider, region, endpoint, bucket, basePath, usesPathStyle };
    },
  });
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
    (['accessKey', 'secretKey'] as const).map((name) => ['credential', name, credentialText(storage[name])]),
  );
}
