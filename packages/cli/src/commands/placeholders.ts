import type { CallInput, CallResult, Client, ErrorCode } from '@strongroom/sdk';
import { type Command, InvalidArgumentError } from 'commander';
import { type Cli, group } from '../cli.ts';
import { CheckFailed, UsageError } from '../errors.ts';
import { exitCode, exitCodeOfError } from '../exit-codes.ts';
import { count } from '../output/text.ts';
import { migrateFiles, scanFiles, undoFiles } from './placeholder-files.ts';

type Output = Cli['output'];
type Scan = CallResult<'scanPlaceholders'>;
type Migrated = CallResult<'migratePlaceholders'>;
type Undone = CallResult<'undoPlaceholders'>;
type Finding = Scan['items'][number]['findings'][number];
type ScanBody = NonNullable<CallInput<'scanPlaceholders'>['body']>;
type Name = NonNullable<ScanBody['configurations']>[number];

interface PlaceOptions {
  readonly domain?: string;
  readonly platform?: true;
  readonly configuration?: readonly Name[];
}

interface ChangeOptions {
  readonly dryRun?: true;
  readonly write?: true;
}

interface FindOptions extends PlaceOptions {
  readonly databricksScope?: readonly DatabricksScope[];
}

interface DatabricksScope {
  readonly name: string;
  readonly target: string;
}

const directoryHelp =
  'With a directory it is about its files, and no server is asked: manifests and .env files take references, of all others\nit is said what is in them.';

/** Configurations in one request. */
const pageSize = 100;

/** Where configurations are: a domain's, or the platform's own. */
type Place = { readonly domain: string } | 'platform';

export function addPlaceholderCommands(program: Command, cli: Cli): void {
  const placeholders = group(
    program,
    'placeholders',
    'legacy placeholders, plain secrets and secrets of Databricks, and references in their place',
  );
  addScanCommand(placeholders, cli);
  addMigrateCommand(placeholders, cli);
  addUndoCommand(placeholders, cli);
}

function addScanCommand(placeholders: Command, cli: Cli): void {
  const command = placeholders.command('scan [directory]').description('say what there is; changes nothing');
  withDatabricks(placesOf(command))
    .option('--check', 'exit with 7 when there is anything, or a file could not be read')
    .addHelpText(
      'after',
      `\nA plain secret is named by its field, and never shown. Placeholders go on working whether they are replaced or not.\n${directoryHelp}`,
    )
    .action(
      cli.action(async (session, directory: string | undefined, options: FindOptions & { readonly check?: true }) => {
        if (directory !== undefined) return scanFiles(session, directory, options);
        const { connect, output } = session;
        const found = await scan(await connect(), placeOf(options), bodyOf(options));
        output.answer(found, () => printScan(output, found));
        const findings = found.items.reduce((sum, each) => sum + each.findings.length, 0);
        const looked = count(found.configurations, 'configuration');
        const where = findings === 0 ? looked : `${found.items.length} of ${looked}`;
        const told = `${count(findings, 'finding')} in ${where}`;
        if (options.check === true && findings > 0) throw new CheckFailed(told);
        output.note(told);
        return undefined;
      }),
    );
}

function addMigrateCommand(placeholders: Command, cli: Cli): void {
  const command = placeholders
    .command('migrate [directory]')
    .description('put references in their place, field by field');
  withWriting(withDatabricks(placesOf(command)))
    .option('--create-secrets', 'make managed secrets of plain ones, too; undo leaves these')
    .addHelpText(
      'after',
      `\nEach configuration is changed by itself or not at all. What was cut short is run again: what is done is left alone.\n${directoryHelp}`,
    )
    .action(
      cli.action(
        async (
          session,
          directory: string | undefined,
          options: FindOptions & ChangeOptions & { readonly createSecrets?: true },
        ) => {
          const { dryRun, createSecrets } = options;
          if (directory !== undefined) {
            if (createSecrets === true)
              throw new UsageError('no secrets are made of files', 'Apply them, then migrate the configurations.');
            return migrateFiles(session, directory, options);
          }
          requireNoWrite(options);
          const { connect, output } = session;
          const body = { ...bodyOf(options), ...given({ dryRun, createSecrets }) };
          const { page, ...rest } = await migrate(await connect(), placeOf(options), body);
          output.answer(page, () => printMigrated(output, page));
          const code = told(output, page, 'migrated');
          if ('error' in rest) throw rest.error;
          return code;
        },
      ),
    );
}

function addUndoCommand(placeholders: Command, cli: Cli): void {
  const command = placeholders
    .command('undo [directory]')
    .description('put back what migrate replaced, but for what was edited since');
  withWriting(placesOf(command)).action(
    cli.action(async (session, directory: string | undefined, options: PlaceOptions & ChangeOptions) => {
      if (directory !== undefined) return undoFiles(session, directory, options);
      requireNoWrite(options);
      const { connect, output } = session;
      const { configuration, dryRun } = options;
      const body = given({ configurations: configuration && [...configuration], dryRun });
      const { page, ...rest } = await undo(await connect(), placeOf(options), body);
      output.answer(page, () => printUndone(output, page));
      const code = told(output, page, 'put back');
      if ('error' in rest) throw rest.error;
      return code;
    }),
  );
}

function withWriting(command: Command): Command {
  return command
    .option('--dry-run', 'decide everything, change nothing')
    .option('--write', 'of a directory: change its files');
}

function requireNoWrite({ write }: ChangeOptions): void {
  if (write === true) throw new UsageError('--write is for the files of a directory', 'Name the directory.');
}

function placesOf(command: Command): Command {
  return command
    .option('-d, --domain <domain>', 'configurations of this domain')
    .option('--platform', 'the configurations of the platform itself')
    .option(
      '--configuration <kind/name>',
      'only this one, as spark-job/nightly (repeatable)',
      (text: string, before: readonly Name[] | undefined) => [...(before ?? []), parseName(text)],
    );
}

function parseName(text: string): Name {
  const [surface = '', name = '', more] = text.split('/');
  if (surface === '' || name === '' || more !== undefined) throw new InvalidArgumentError('It is KIND/NAME.');
  // The server knows the kinds, and names one that there is not.
  return { surface: surface as Name['surface'], name };
}

function withDatabricks(command: Command): Command {
  return command.option(
    '--databricks-scope <name=target>',
    'where the secrets of a scope of Databricks are: jobs=secret://domain/managed/jobs- (repeatable)',
    (text: string, before: readonly DatabricksScope[] | undefined) => [...(before ?? []), parseScope(text)],
  );
}

function parseScope(text: string): DatabricksScope {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError('It is NAME=TARGET.');
  return { name: text.slice(0, at), target: text.slice(at + 1) };
}

/** @throws UsageError unless one place is named */
function placeOf({ domain, platform }: PlaceOptions): Place {
  if ((domain === undefined) === (platform === undefined))
    throw new UsageError('name one of --domain, --platform and a directory', 'Add --domain NAME or --platform.');
  return domain === undefined ? 'platform' : { domain };
}

function bodyOf({ databricksScope, configuration }: FindOptions): ScanBody {
  return given({
    databricksScopes: databricksScope && [...databricksScope],
    configurations: configuration && [...configuration],
  });
}

/** The parts that were given. */
function given<Part extends Record<string, unknown>>(
  part: Part,
): { [Name in keyof Part]?: Exclude<Part[Name], undefined> } {
  return Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof given<Part>
  >;
}

interface Page<Item> {
  readonly items: Item[];
  readonly configurations: number;
  readonly nextCursor?: string;
}

type AskPage<Item> = (query: { readonly limit: number; readonly cursor?: string }) => Promise<Page<Item>>;

/** All pages as one answer. What ends it after the first is in it, beside what was done until then; there is a next page then. */
async function pagesUntil<Item>(ask: AskPage<Item>): Promise<{ readonly page: Page<Item>; readonly error?: unknown }> {
  const items: Item[] = [];
  let configurations = 0;
  let cursor: string | undefined;
  do {
    try {
      const page = await ask({ limit: pageSize, ...(cursor === undefined ? {} : { cursor }) });
      items.push(...page.items);
      configurations += page.configurations;
      cursor = page.nextCursor;
    } catch (error) {
      if (cursor === undefined) throw error;
      return { page: { items, configurations, nextCursor: cursor }, error };
    }
  } while (cursor !== undefined);
  return { page: { items, configurations } };
}

/** All pages or none: a part of it may be taken for the whole. */
async function allPages<Item>(ask: AskPage<Item>): Promise<Page<Item>> {
  const { page, ...rest } = await pagesUntil(ask);
  if ('error' in rest) throw rest.error;
  return page;
}

function scan(client: Client, place: Place, body: ScanBody): Promise<Scan> {
  return allPages((query) =>
    place === 'platform'
      ? client.scanPlatformPlaceholders({ body, query })
      : client.scanPlaceholders({ params: place, body, query }),
  );
}

function migrate(client: Client, place: Place, body: NonNullable<CallInput<'migratePlaceholders'>['body']>) {
  return pagesUntil<Migrated['items'][number]>((query) =>
    place === 'platform'
      ? client.migratePlatformPlaceholders({ body, query })
      : client.migratePlaceholders({ params: place, body, query }),
  );
}

function undo(client: Client, place: Place, body: NonNullable<CallInput<'undoPlaceholders'>['body']>) {
  return pagesUntil<Undone['items'][number]>((query) =>
    place === 'platform'
      ? client.undoPlatformPlaceholders({ body, query })
      : client.undoPlaceholders({ params: place, body, query }),
  );
}

/** Says how many; the exit code of the first that failed. */
function told(output: Output, { items, configurations, nextCursor }: Migrated | Undone, done: string): number {
  const by = (wanted: string) => items.filter(({ outcome }) => outcome === wanted).length;
  const changed = by('changed') + by('would-change');
  const would = by('would-change') > 0 ? 'would be ' : '';
  output.note(`${changed} of ${count(configurations, 'configuration')} ${would}${done}, ${by('failed')} failed`);
  if (nextCursor !== undefined)
    output.note('it ended early: this is what it told until then, and some of the next ones may be done; run it again');
  noteManagers(output, items);
  const code = items.find(({ problem }) => problem !== undefined)?.problem?.code;
  if (code === undefined) return exitCode.done;
  return Object.hasOwn(exitCodeOfError, code) ? exitCodeOfError[code as ErrorCode] : exitCode.fault;
}

const maxManagedNotes = 10;

/** What is applied from elsewhere gets its placeholders back: one by one, or how many of each where that are more than anybody reads. */
function noteManagers(output: Output, items: (Migrated | Undone)['items']): void {
  const managed = items.flatMap(({ surface, configuration, managedBy, outcome }) =>
    managedBy === undefined || outcome !== 'changed' ? [] : [{ name: `${surface}/${configuration}`, managedBy }],
  );
  for (const [managedBy, each] of Map.groupBy(managed, (one) => one.managedBy)) {
    if (each.length > maxManagedNotes)
      output.note(`${count(each.length, 'configuration')} are managed by ${managedBy}; change them there, too`);
    else for (const { name } of each) output.note(`${name} is managed by ${managedBy}; change it there, too`);
  }
}

const columns = [{ title: 'CONFIGURATION' }, { title: 'FIELD' }, { title: 'OUTCOME' }, { title: '', canWrap: true }];

function printMigrated(output: Output, { items }: Migrated): void {
  printRewritten(output, items, (each, outcome) => [
    `${each.name} ${each.pointer}`,
    each.becomes === undefined ? 'stays' : outcome,
    each.becomes === undefined ? `${foundText(each)} (${each.stays ?? 'unknown'})` : becomesText(each),
  ]);
}

function printUndone(output: Output, { items }: Undone): void {
  printRewritten(output, items, ({ name, pointer, restores, reference, stays }, outcome) => [
    pointer === undefined ? name : `${name} ${pointer}`,
    restores === undefined ? 'stays' : outcome,
    restores ?? `${reference} (${stays ?? 'unknown'})`,
  ]);
}

function printRewritten<Field extends { readonly stays?: string; readonly message?: string }>(
  output: Output,
  items: readonly (Omit<Migrated['items'][number], 'fields'> & { readonly fields: readonly Field[] })[],
  row: (field: Field, outcome: string) => string[],
): void {
  output.table(
    columns,
    items.flatMap(({ surface, configuration, outcome, fields, problem }) => {
      const named = `${surface}/${configuration}`;
      const reasons = [problem?.detail ?? '', ...(problem?.errors ?? []).map(({ message }) => message)].join(' ');
      return problem === undefined
        ? fields.map((field) => [named, ...row(field, outcome)])
        : [[named, '-', outcome, `${problem.code}: ${reasons.trim()}`]];
    }),
  );
  noteReasons(
    output,
    items.flatMap(({ fields }) => fields),
  );
}

function printScan(output: Output, { items }: Scan): void {
  output.table(
    [
      { title: 'CONFIGURATION' },
      { title: 'FIELD' },
      { title: 'LINE' },
      { title: 'FOUND' },
      { title: 'BECOMES', canWrap: true },
    ],
    items.flatMap(({ surface, configuration, findings }) =>
      findings.map((each) => [
        `${surface}/${configuration}`,
        `${each.name} ${each.pointer}`,
        String(each.line),
        foundText(each),
        becomesText(each),
      ]),
    ),
  );
  noteReasons(
    output,
    items.flatMap(({ findings }) => findings),
  );
}

/** Why something stays, once for each reason. */
function noteReasons(
  output: Output,
  fields: readonly { readonly stays?: string | undefined; readonly message?: string | undefined }[],
): void {
  const reasons = new Map(fields.flatMap(({ stays, message }) => (stays && message ? [[stays, message]] : [])));
  for (const [reason, message] of reasons) output.note(`${reason}: ${message}`);
}

function foundText({ kind, names }: Pick<Finding, 'kind' | 'names'>): string {
  return names === undefined ? kind : `${kind} ${names}`;
}

function becomesText({ becomes, createsSecret, stays }: Pick<Finding, 'becomes' | 'createsSecret' | 'stays'>): string {
  if (becomes === undefined) return `stays (${stays ?? 'unknown'})`;
  return createsSecret === true ? `${becomes} (a new secret)` : becomes;
}
