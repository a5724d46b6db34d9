import { resolve } from 'node:path';
import type { LegacyTablePlace } from '@strongroom/server';
import { type Command, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import type { Io } from '../io.ts';
import type { Output } from '../output/output.ts';
import { count } from '../output/text.ts';
import { addScopeOptions, type Scope, type ScopeOptions, scopeOf } from '../scope.ts';
import {
  addConfigOption,
  type Configuration,
  type ConfigOptions,
  loadSettings,
  type ServerModule,
  withServer,
} from './configuration.ts';

interface AdoptOptions extends ConfigOptions, ScopeOptions {
  readonly store?: 'database' | 'kubernetes' | 'vault';
  readonly credentials?: true;
  readonly dryRun?: true;
  readonly sqlite?: string;
  readonly urlFile?: string;
  readonly table?: string;
  readonly keyColumn?: string;
  readonly valueColumn?: string;
}

const maxUrlBytes = 8192;

export function addStoreCommands(program: Command, cli: Cli): void {
  const store = group(program, 'store', 'what other programs left in managed stores');
  addScopeOptions(
    addConfigOption(
      store
        .command('adopt [keys...]')
        .description('let what another program left in a managed store be written, too; its values stay'),
    ),
  )
    .addOption(
      new Option('--store <store>', 'which store; without it the one that the settings choose for the scope').choices([
        'database',
        'kubernetes',
        'vault',
      ]),
    )
    .option('--dry-run', 'say what would be done, and change nothing')
    .option('--credentials', 'kubernetes: what the scope’s integrations sign in with, in place of its secrets')
    .option('--sqlite <file>', 'database: the SQLite file that has the table')
    .option('--url-file <file>', 'database: file with the postgres:// URL; - is stdin')
    .option('--table <name>', 'database: the table of plaintext secrets (default: secret_store)')
    .option('--key-column <name>', 'database: its column of keys (default: key)')
    .option('--value-column <name>', 'database: its column of values (default: value)')
    .addHelpText(
      'after',
      '\nWhat is not marked as ours is read, and neither changed nor deleted. In the layout scope-objects (an IOMETE\ninstall: name iomete) the scope has one Secret, and no keys are named; in Vault none means all; else each key is\nnamed. With --store database the rows of a plaintext table are encrypted into Global, read back, and then erased; the\ntable is the one of secretStore.databaseSettings, else of the server’s own PostgreSQL.\n\n  strongroom store adopt --global --dry-run\n  strongroom store adopt --domain finance\n  strongroom store adopt --global --store database --sqlite /srv/iomete.db',
    )
    .action(
      cli.action(async ({ io, output }, keys: readonly string[], options: AdoptOptions) => {
        const scope = scopeOf(options);
        await withServer(async (server) => {
          const configuration = loadSettings(server, io, options);
          const chosen = configuration.settings.managed.stores[scope.kind === 'domain' ? 'domains' : scope.kind];
          if ((options.store ?? chosen) === 'database')
            await adoptTable(server, configuration, io, output, scope, keys, options);
          else await adoptEntries(server, configuration, output, scope, keys, options);
        });
        return undefined;
      }),
    );
}

async function adoptEntries(
  server: ServerModule,
  configuration: Configuration,
  output: Output,
  scope: Scope,
  keys: readonly string[],
  options: AdoptOptions,
): Promise<void> {
  if (options.sqlite !== undefined || options.urlFile !== undefined)
    throw new UsageError('--sqlite and --url-file go with --store database');
  const isTrial = options.dryRun === true;
  const { store } = options;
  const { items, catalogue } = await server.adoptStore(configuration, {
    ...(store === undefined || store === 'database' ? {} : { store }),
    scope: scope.kind === 'domain' ? { kind: scope.kind, name: scope.params.domain } : { kind: scope.kind },
    keys,
    isForCredentials: options.credentials === true,
    isTrial,
    report: (done, all) => output.note(`${done} of ${count(all, 'key')}`),
  });
  output.answer({ dryRun: isTrial, items, catalogue }, () => {
    for (const { object, isAdopted, keys: own } of items) {
      const what = !isAdopted ? 'was ours before' : isTrial ? 'would be adopted' : 'adopted';
      output.line(`${object}: ${what}, ${count(own.length, 'key')}`);
    }
    if (items.length === 0) output.line('nothing is there that is not ours');
  });
  if (catalogue === 'left-to-server') output.note('the running server takes the keys up within two minutes');
  if (catalogue === 'later') output.note('a server takes the keys up once this store is the scope’s');
}

async function adoptTable(
  server: ServerModule,
  configuration: Configuration,
  io: Io,
  output: Output,
  scope: Scope,
  keys: readonly string[],
  options: AdoptOptions,
): Promise<void> {
  if (scope.kind !== 'global') throw new UsageError('the rows of a table become secrets of Global', 'Add --global.');
  if (keys.length > 0) throw new UsageError('the rows of a table are adopted together; name no keys');
  const isTrial = options.dryRun === true;
  const place = await placeOf(server, configuration, io, options);
  const { items, note } = await server.adoptLegacyTable(configuration, place, { isTrial });
  output.answer({ dryRun: isTrial, items }, () => {
    for (const { key, outcome, reason } of items) {
      const text = outcome === 'refused' ? `left: ${reason ?? ''}` : outcomeText[outcome];
      output.line(`${key}: ${text}`);
    }
    if (items.length === 0) output.line('the table has no rows');
  });
  if (note !== null) output.note(note);
  const left = items.filter(({ outcome }) => outcome === 'refused').length;
  if (left > 0 && !isTrial) output.note(`${count(left, 'row')} stayed in the table, in plain text`);
}

const outcomeText = {
  erased: 'encrypted, read back, and erased from the table',
  'would-be-adopted': 'would be encrypted and erased',
} as const;

/** What the options name, and else the settings. */
async function placeOf(
  server: ServerModule,
  configuration: Configuration,
  io: Io,
  options: AdoptOptions,
): Promise<LegacyTablePlace> {
  const { sqlite, urlFile } = options;
  if (sqlite !== undefined && urlFile !== undefined)
    throw new UsageError('--sqlite and --url-file are two databases; one is enough');
  const isNamed = sqlite !== undefined || urlFile !== undefined;
  const configured = isNamed ? null : server.configuredTable(configuration);
  const database = isNamed ? await namedDatabase(io, options) : (configured?.database ?? ownDatabase(configuration));
  const said = configured ?? server.defaultTable;
  const { table = said.table, keyColumn = said.keyColumn, valueColumn = said.valueColumn } = options;
  return { database, table, keyColumn, valueColumn };
}

function ownDatabase({ secrets }: Configuration): LegacyTablePlace['database'] {
  if (secrets.databaseUrl !== undefined) return { kind: 'postgres', url: secrets.databaseUrl };
  throw new UsageError(
    'the database of the table is not named',
    'Add --sqlite FILE or --url-file FILE, or set secretStore.databaseSettings.',
  );
}

async function namedDatabase(io: Io, { sqlite, urlFile = '' }: AdoptOptions): Promise<LegacyTablePlace['database']> {
  if (sqlite !== undefined) return { kind: 'sqlite', file: resolve(io.cwd, sqlite) };
  const url = utf8Text(await readInput(io, urlFile, maxUrlBytes))?.replace(/\r?\n$/, '');
  if (url === undefined || !/^postgres(?:ql)?:\/\/[!-~]+$/.test(url))
    throw new UsageError(`the file ${urlFile} does not hold a URL postgres://…`);
  return { kind: 'postgres', url };
}
