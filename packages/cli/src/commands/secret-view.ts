import type { CallResult } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import {
  addLimitOption,
  addListOptions,
  listPagesUpTo,
  type ListOptions,
  listUpTo,
  pageSize,
  wholeOf,
} from '../lists.ts';
import { count, localTime } from '../output/text.ts';
import { addScopeOptions, routeIn, scopeOf, type ScopeOptions } from '../scope.ts';
import { listSourcesUpTo, noteSourcesDown } from '../source-lists.ts';
import { addInventoryCommand } from './secret-inventory.ts';
import { printSecret, printSecrets, printUses } from './secret-text.ts';

const states = ['stale', 'due-soon', 'expired', 'expiring', 'unused', 'shared-value', 'deleted'] as const;

export function addSecretViewCommands(secret: Command, cli: Cli): void {
  addListCommand(secret, cli);
  addScopeOptions(secret.command('show <key>').description('show everything of a secret but its value')).action(
    cli.action(async ({ connect, output }, key: string, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const found = await (await connect())[routeIn(scope, 'show', 'Secret')]({ params: { ...scope.params, key } });
      output.answer(found, () => printSecret(output, found));
      return undefined;
    }),
  );
  addScopeOptions(secret.command('versions <key>').description('list the versions of a secret, newest first')).action(
    cli.action(async ({ connect, output }, key: string, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const found = await (
        await connect()
      )[routeIn(scope, 'list', 'SecretVersions')]({ params: { ...scope.params, key } });
      output.answer(found, () =>
        output.table(
          [
            { title: 'VERSION' },
            { title: 'VALUE' },
            { title: 'CREATED' },
            { title: 'BY', canCut: true },
            { title: '' },
          ],
          found.items.map((version) => [
            version.version,
            version.fields === undefined ? version.shape : `fields ${version.fields.join(', ')}`,
            localTime(version.createdAt),
            version.createdBy,
            [
              version.isCurrent ? 'current' : '',
              version.copiedFrom === undefined ? '' : `copied from ${version.copiedFrom}`,
            ]
              .join(' ')
              .trim(),
          ]),
        ),
      );
      return undefined;
    }),
  );
  addScopeOptions(secret.command('folders').description('list the folders in use')).action(
    cli.action(async ({ connect, output }, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const client = await connect();
      const items = await wholeOf(client.items(routeIn(scope, 'list', 'Folders'), { params: scope.params }));
      output.answer({ items }, () =>
        output.list(
          `no folders in ${scope.title}`,
          [{ title: 'FOLDER' }, { title: 'SECRETS' }],
          items.map((each) => [each.folder === '' ? '-' : each.folder, `${each.secrets}`]),
        ),
      );
      return undefined;
    }),
  );
  addWhereUsedCommand(secret, cli);
  addDriftCommand(secret, cli);
  addInventoryCommand(secret, cli);
}

interface SecretListOptions extends ScopeOptions, ListOptions {
  readonly folder?: string;
  readonly tag?: string;
  readonly state?: (typeof states)[number];
  readonly source?: string;
}

function addListCommand(secret: Command, cli: Cli): void {
  addListOptions(
    addScopeOptions(secret.command('list').description('list secrets by key, with the keys of integrations')),
  )
    .option('--source <name>', 'only of this source: managed, or an integration')
    .option('--folder <folder>', 'only in this folder')
    .option('--tag <tag>', 'only with this tag')
    .addOption(new Option('--state <state>', 'only in this state').choices(states))
    .action(
      cli.action(async ({ connect, output }, options: SecretListOptions) => {
        const scope = scopeOf(options);
        const { limit, search, folder, tag, state, source } = options;
        const filter = {
          ...(search === undefined ? {} : { q: search }),
          ...(folder === undefined ? {} : { folder }),
          ...(tag === undefined ? {} : { tag }),
          ...(state === undefined ? {} : { state }),
          ...(source === undefined ? {} : { source }),
        };
        const client = await connect();
        const { items, sources } = await listSourcesUpTo(output, limit, (page) =>
          client[routeIn(scope, 'list', 'Secrets')]({ params: scope.params, query: { ...filter, ...page } }),
        );
        output.answer({ items, sources }, () => {
          if (items.length === 0) output.note(`no secrets in ${scope.title}`);
          else printSecrets(output, items);
        });
        noteSourcesDown(output, sources);
        return undefined;
      }),
    );
}

function addWhereUsedCommand(secret: Command, cli: Cli): void {
  addLimitOption(
    addScopeOptions(
      secret
        .command('where-used <key>')
        .description('show where a secret is used, down to the field; also by reference'),
    ),
  ).action(
    cli.action(async ({ connect, output }, key: string, options: ScopeOptions & ListOptions) => {
      const scope = scopeOf(options);
      const { limit } = options;
      const query = { limit: pageSize(limit) };
      const isReference = key.startsWith('secret://');
      const client = await connect();
      const items = isReference
        ? await listUpTo(
            client,
            output,
            routeIn(scope, 'list', 'ReferenceUses'),
            { params: scope.params, query: { ...query, reference: key } },
            limit,
          )
        : await listUpTo(
            client,
            output,
            routeIn(scope, 'list', 'SecretUses'),
            { params: { ...scope.params, key }, query },
            limit,
          );
      output.answer({ items }, () => {
        if (items.length === 0) output.note('nothing you may see uses it');
        else printUses(output, items);
      });
      return undefined;
    }),
  );
}

interface DriftOptions extends ScopeOptions, ListOptions {
  readonly running?: true;
}

function addDriftCommand(secret: Command, cli: Cli): void {
  addLimitOption(
    addScopeOptions(
      secret
        .command('drift [key]')
        .description('name the runs and workloads that got an older version than the current one'),
    ),
  )
    .option('--running', 'only those that still run and have to be started again')
    .action(
      cli.action(async (session, key: string | undefined, options: DriftOptions) => {
        const scope = scopeOf(options);
        const { output } = session;
        const client = await session.connect();
        if (key !== undefined) {
          const include = options.running === true ? 'live' : 'ended';
          const { items, last } = await listPagesUpTo(output, options.limit, (page) =>
            client[routeIn(scope, 'list', 'SecretDrift')]({
              params: { ...scope.params, key },
              query: { ...page, include },
            }),
          );
          const { currentVersion } = last;
          output.answer({ currentVersion, items }, () => printDrift(output, items, options, currentVersion));
          return undefined;
        }
        if (scope.kind === 'admin') throw new UsageError('name a key: the admin scope has no list of drift');
        let unchecked: readonly Unchecked[] = [];
        const { items } = await listPagesUpTo(output, options.limit, async (page) => {
          const query = { ...page, ...(options.running === true ? {} : { include: 'ended' as const }) };
          const found =
            scope.kind === 'global'
              ? await client.listGlobalDrift({ query })
              : await client.listDrift({ params: scope.params, query });
          // On the first page alone.
          unchecked = found.unchecked ?? unchecked;
          return found;
        });
        const shown = items.map((item) => ({ ...item, configuration: item.job ?? null, startedAt: item.deliveredAt }));
        output.answer({ items, unchecked }, () => printDrift(output, shown, options));
        noteUnchecked(output, unchecked);
        return undefined;
      }),
    );
}

type Unchecked = NonNullable<CallResult<'listDrift'>['unchecked']>[number];

/** That nothing has drifted is only true of what could be looked at. */
function noteUnchecked(output: Cli['output'], unchecked: readonly Unchecked[]): void {
  for (const { source, keys, code, knownAt } of unchecked) {
    const why = code === undefined ? 'it is about to be asked' : code;
    const known = knownAt === undefined ? '' : `; last known ${localTime(knownAt)}`;
    output.note(`not checked: ${count(keys, 'key')} of ${source} (${why}${known})`);
  }
}

interface DriftRow {
  readonly launch: string;
  readonly configuration: string | null;
  readonly domain: string;
  readonly name: string;
  readonly reference: string;
  readonly version: string;
  readonly currentVersion?: string;
  readonly state: string;
  readonly startedAt: string;
}

function printDrift(
  output: Cli['output'],
  rows: readonly DriftRow[],
  options: DriftOptions,
  currentVersion?: string,
): void {
  if (rows.length === 0) {
    const current = currentVersion === undefined ? '' : ` (${currentVersion})`;
    const who = options.running === true ? 'no running workload holds' : 'no run or workload got';
    output.note(`${who} an older version than the current one${current}`);
    return;
  }
  output.table(
    [
      { title: 'DOMAIN' },
      { title: 'CONFIGURATION' },
      { title: 'LAUNCH' },
      { title: 'STATE' },
      { title: 'NAME' },
      { title: 'REFERENCE', canWrap: true },
      { title: 'HAS' },
      { title: 'CURRENT' },
      { title: 'SINCE' },
    ],
    rows.map((row) => [
      row.domain,
      row.configuration ?? '-',
      row.launch,
      row.state,
      row.name,
      row.reference,
      row.version,
      row.currentVersion ?? 'deleted',
      localTime(row.startedAt),
    ]),
  );
  if (rows.some(({ state }) => state !== 'ended'))
    output.note('a running workload keeps what it got; to start jobs anew: strongroom drift redeploy --help');
}
