import type { CallInput, CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { isRecord, UsageError } from '../errors.ts';
import type { Io } from '../io.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize, wholeOf } from '../lists.ts';
import { readDocuments } from '../apply/manifest.ts';
import { count, localTime } from '../output/text.ts';

type Profile = CallResult<'showProfile'>;

interface FileOption {
  readonly file: string;
}

export function addProfileCommands(program: Command, cli: Cli): void {
  const profile = group(program, 'profile', 'identities of the server that integrations may use');
  addListOptions(profile.command('list').description('list profiles'))
    .option('-d, --domain <domain>', 'those that integrations of this domain may name')
    .action(
      cli.action(async ({ connect, output }, options: ListOptions & { readonly domain?: string }) => {
        const client = await connect();
        if (options.domain !== undefined) {
          const params = { domain: options.domain };
          const items = await wholeOf(client.items('listDomainProfiles', { params }));
          output.answer({ items }, () =>
            output.table(
              [{ title: 'NAME' }, { title: 'TYPE' }, { title: 'KEYS' }, { title: 'DESCRIPTION', canCut: true }],
              items.map((each) => [each.name, each.type, `${each.prefix}*`, each.description]),
            ),
          );
          return undefined;
        }
        const query = {
          limit: pageSize(options.limit),
          ...(options.search === undefined ? {} : { q: options.search }),
        };
        const items = await listUpTo(client, output, 'listProfiles', { query }, options.limit);
        output.answer({ items }, () =>
          output.table(
            [{ title: 'NAME' }, { title: 'TYPE' }, { title: 'USED BY' }, { title: 'BOUND TO', canCut: true }],
            items.map((each) => [each.name, each.type, count(each.usedBy, 'integration'), boundTo(each)]),
          ),
        );
        return undefined;
      }),
    );
  profile
    .command('show <name>')
    .description('show a profile')
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        const found = await (await connect()).showProfile({ params: { profile: name } });
        output.answer(found, () =>
          output.facts({
            name: found.name,
            type: found.type,
            description: found.description === '' ? undefined : found.description,
            ...found.settings,
            'external id': found.externalId,
            'bound to': boundTo(found),
            'used by': count(found.usedBy, 'integration'),
            updated: `${localTime(found.updatedAt)} by ${found.updatedBy}`,
          }),
        );
        return undefined;
      }),
    );
  addWriteCommands(profile, cli);
}

function addWriteCommands(profile: Command, cli: Cli): void {
  const fromFile = (command: Command): Command =>
    command.requiredOption('-f, --file <file>', 'the manifest, YAML or JSON (- is stdin): the object of the API');
  fromFile(profile.command('create').description('make a profile as a manifest says')).action(
    cli.action(async ({ io, connect, output }, { file }: FileOption) => {
      const client = await connect();
      const body = (await readManifest(io, file)) as CallInput<'createProfile'>['body'];
      const made = await client.createProfile({ body });
      output.answer(made, () => output.line(`made profile ${made.name}, external id ${made.externalId}`));
      return undefined;
    }),
  );
  fromFile(
    profile.command('update <name>').description('change a profile as a manifest says; what is left out stays'),
  ).action(
    cli.action(async ({ io, connect, output }, name: string, { file }: FileOption) => {
      const client = await connect();
      const params = { profile: name };
      const { revision } = await client.showProfile({ params });
      const body = (await readManifest(io, file)) as NonNullable<CallInput<'updateProfile'>['body']>;
      const changed = await client.updateProfile({ params, body, ifMatch: revision });
      output.answer(changed, () => output.line(`changed profile ${changed.name}, revision ${changed.revision}`));
      return undefined;
    }),
  );
  profile
    .command('delete <name>')
    .description('delete a profile that no integration names')
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        await (await connect()).deleteProfile({ params: { profile: name } });
        output.answer({ name, deleted: true }, () => output.line(`deleted profile ${name}`));
        return undefined;
      }),
    );
}

/** The server's schema decides; its errors name each field. */
async function readManifest(io: Io, file: string): Promise<unknown> {
  const documents = await readDocuments(io, file);
  const [document] = documents;
  if (documents.length !== 1 || !isRecord(document)) throw new UsageError(`${file} is not one object`);
  return document;
}

function boundTo({ bindings }: Profile): string {
  return bindings.length === 0
    ? 'nobody'
    : bindings
        .map(({ scope, domain, prefix }) => `${domain ?? scope}${prefix === '' ? '' : ` (${prefix}*)`}`)
        .join(', ');
}
