import type { CallInput, CallResult } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { isRecord, UsageError } from '../errors.ts';
import type { Io } from '../io.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import { changesBetween } from '../apply/diff.ts';
import { readDocuments } from '../apply/manifest.ts';
import { count, localTime } from '../output/text.ts';
import { collect } from '../values.ts';
import { type AgreedOption, agreeToImpact, answerImpact, keptDomains } from './impact.ts';

type Profile = CallResult<'showProfile'>;
type Changes = NonNullable<CallInput<'updateProfile'>['body']>;
type Binding = NonNullable<Changes['bindings']>[number];

interface FileOption {
  readonly file: string;
}

export function addProfileCommands(program: Command, cli: Cli): void {
  const profile = group(program, 'profile', 'identities of the server that integrations may use');
  addListOptions(profile.command('list').description('list profiles'))
    .option('-d, --domain <domain>', 'those that integrations of this domain may name')
    .action(
      cli.action(async ({ connect, output }, options: ListOptions & { readonly domain?: string }) => {
        if (options.domain !== undefined && options.search !== undefined)
          throw new UsageError('give one of --domain and --search', 'A domain is lent few profiles.');
        const client = await connect();
        if (options.domain !== undefined) {
          const params = { domain: options.domain };
          const query = { limit: pageSize(options.limit) };
          const items = await listUpTo(client, output, 'listDomainProfiles', { params, query }, options.limit);
          output.answer({ items }, () =>
            output.list(
              `no profiles are lent to ${options.domain}`,
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
          output.list(
            'no profiles',
            [{ title: 'NAME' }, { title: 'TYPE' }, { title: 'USED BY' }, { title: 'BOUND TO', canWrap: true }],
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
  addImpactCommand(profile, cli);
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
  fromFile(profile.command('update <name>').description('change a profile as a manifest says; what is left out stays'))
    .option('-y, --yes', "don't ask, although launches stand on what it lends")
    .action(
      cli.action(async (session, name: string, { file, yes }: FileOption & AgreedOption) => {
        const { io, connect, output } = session;
        const client = await connect();
        const params = { profile: name };
        const before = await client.showProfile({ params });
        const body = (await readManifest(io, file)) as Changes;
        const query = yes === true ? undefined : impactQuery(before, body);
        if (query !== undefined)
          await agreeToImpact(session, await client.showProfileImpact({ params, query }), `change ${name}`, yes);
        const changed = await client.updateProfile({ params, body, ifMatch: before.revision });
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

function addImpactCommand(profile: Command, cli: Cli): void {
  profile
    .command('impact <name>')
    .description('show what changing or deleting a profile, or lending it to fewer, would hit')
    .addOption(
      new Option('--change <change>', 'what would be done').choices(['delete', 'edit', 'revoke']).default('delete'),
    )
    .option(
      '--to <domain>',
      'with --change revoke: a domain that it stays lent to, global or admin; may be repeated',
      collect,
    )
    .action(
      cli.action(async ({ connect, output }, name: string, { change, to }: ImpactOptions) => {
        if (to !== undefined && change !== 'revoke') throw new UsageError('--to goes with --change revoke');
        const query = change === 'revoke' ? { change, ...keptDomains(to ?? []) } : { change };
        answerImpact(output, await (await connect()).showProfileImpact({ params: { profile: name }, query }));
        return undefined;
      }),
    );
}

interface ImpactOptions {
  readonly change: 'delete' | 'edit' | 'revoke';
  readonly to?: readonly string[];
}

/** What to ask of a change; nothing where all stay lent what they are, and of what the server will not take. */
function impactQuery(before: Profile, { settings, bindings }: Changes) {
  if (bindings !== undefined && !(Array.isArray(bindings) && bindings.every(isRecord))) return undefined;
  const lent = (each: Binding): string => each.domain ?? each.scope;
  const prefixes = new Map(bindings?.map((each) => [lent(each), each.prefix ?? '']));
  const isEdited =
    (settings !== undefined && changesBetween(before.settings, settings).length > 0) ||
    before.bindings.some((each) => (prefixes.get(lent(each)) ?? each.prefix) !== each.prefix);
  if (isEdited) return { change: 'edit' } as const;
  if (bindings === undefined || before.bindings.every((each) => prefixes.has(lent(each)))) return undefined;
  return { change: 'revoke', ...keptDomains([...prefixes.keys()]) } as const;
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
