import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import { type Io, isInteractive } from '../io.ts';
import { parseCount } from '../lists.ts';
import { count } from '../output/text.ts';
import { addScopeOptions, routeIn, scopeOf, type ScopeOptions } from '../scope.ts';
import { agreeToImpact } from './impact.ts';
import { parseTime } from '../time.ts';
import { addValueOptions, collect, readValue, type ValueOptions } from '../values.ts';

export function addSecretWriteCommands(secret: Command, cli: Cli): void {
  addCreateCommand(secret, cli);
  addRotateCommand(secret, cli);
  addEditCommand(secret, cli);
  addImportCommand(secret, cli);
}

interface Destination {
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
}

/** What can be said about a secret; what is left out stays, `none` takes it away. */
interface MetadataOptions {
  readonly description?: string;
  readonly folder?: string;
  readonly tag?: readonly string[];
  readonly owner?: string;
  readonly expiresAt?: string | null;
  readonly rotateEvery?: number | null;
  readonly destination?: readonly Destination[] | null;
}

function addMetadataOptions(command: Command): Command {
  return command
    .option('--description <text>', 'what it is for; everybody who may list it reads this')
    .option('--folder <folder>', 'the folder to show it in')
    .option('--tag <tag>', 'a tag, may be repeated; all tags at once', collect)
    .option('--owner <who>', 'who answers for it')
    .option('--expires-at <time>', 'when it expires, as 2027-01-31 or RFC 3339; none: never', parseExpiry)
    .option('--rotate-every <days>', 'how often it is to be rotated; none: never', parseDays)
    .option(
      '--destination <url>',
      'where it may be sent, as scheme://host:port, may be repeated; none: anywhere',
      collectDestinations,
    );
}

function metadataBody(options: MetadataOptions) {
  const { description, folder, tag, owner, expiresAt, rotateEvery, destination } = options;
  return {
    ...(description === undefined ? {} : { description }),
    ...(folder === undefined ? {} : { folder }),
    ...(tag === undefined ? {} : { tags: tag.filter((each) => each !== '') }),
    ...(owner === undefined ? {} : { owner }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(rotateEvery === undefined ? {} : { rotateEveryDays: rotateEvery }),
    ...(destination === undefined ? {} : { destinations: destination === null ? null : [...destination] }),
  };
}

function parseExpiry(text: string): string | null {
  return text === 'none' ? null : parseTime(text);
}

function parseDays(text: string): number | null {
  return text === 'none' ? null : parseCount(text);
}

function collectDestinations(text: string, previous?: readonly Destination[] | null): readonly Destination[] | null {
  if (text === 'none') return null;
  const parts = /^([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-f:.]+\]|[^/:@\s]+):(\d{1,5})$/i.exec(text);
  if (parts === null) throw new InvalidArgumentError('Write scheme://host:port, like postgres://db.example.com:5432.');
  const [, scheme = '', host = '', port = ''] = parts;
  return [...(previous ?? []), { scheme: scheme.toLowerCase(), host, port: Number(port) }];
}

function addCreateCommand(secret: Command, cli: Cli): void {
  const command = secret
    .command('create <key>')
    .description('create a secret; its value comes from stdin, a file or a prompt');
  addMetadataOptions(addValueOptions(addScopeOptions(command))).action(
    cli.action(async ({ io, connect, output }, key: string, options: ScopeOptions & ValueOptions & MetadataOptions) => {
      const scope = scopeOf(options);
      const client = await connect();
      const value = await readValue(io, output, options);
      const created = await client[routeIn(scope, 'create', 'Secret')]({
        params: scope.params,
        body: { key, ...value, ...metadataBody(options) },
      });
      output.answer(created, () => {
        output.line(`created ${created.key} in ${scope.title}, version ${created.version}`);
        output.line(`reference: ${created.reference}`);
      });
      return undefined;
    }),
  );
}

interface RotateOptions extends ScopeOptions, ValueOptions {
  readonly yes?: true;
}

function addRotateCommand(secret: Command, cli: Cli): void {
  const command = secret.command('rotate <key>').description('give a secret a new value');
  addValueOptions(addScopeOptions(command))
    .option('-y, --yes', "don't ask, whatever still runs with the old value")
    .addHelpText(
      'after',
      '\nOn a terminal it is asked first where something runs with the old value. A script is not asked: what runs keeps\nwhat it got, and secret rollback brings the old value back.',
    )
    .action(
      cli.action(async (session, key: string, options: RotateOptions) => {
        const { io, output } = session;
        const scope = scopeOf(options);
        const client = await session.connect();
        if (options.yes !== true && isInteractive(io)) {
          const params = { ...scope.params, key };
          const impact = await client[routeIn(scope, 'show', 'SecretImpact')]({ params, query: { change: 'rotate' } });
          if (impact.workloads.length + impact.hidden.workloads > 0)
            await agreeToImpact(session, impact, `rotate ${key} in ${scope.title}`, undefined);
        }
        const value = await readValue(io, output, options);
        const rotated = await client[routeIn(scope, 'rotate', 'Secret')]({
          params: { ...scope.params, key },
          body: value,
        });
        output.answer(rotated, () =>
          output.line(`rotated ${rotated.key} in ${scope.title}, version ${rotated.version}`),
        );
        if (rotated.usedBy > 0) {
          const fields = count(rotated.usedBy, 'field');
          output.note(
            `used by ${fields}; running workloads keep the old value: strongroom secret drift ${key} ${scope.flags}`,
          );
        }
        return undefined;
      }),
    );
}

function addEditCommand(secret: Command, cli: Cli): void {
  const command = secret
    .command('edit <key>')
    .description('change what is said about a secret; what is left out stays');
  addMetadataOptions(addScopeOptions(command)).action(
    cli.action(async ({ connect, output }, key: string, options: ScopeOptions & MetadataOptions) => {
      const scope = scopeOf(options);
      const body = metadataBody(options);
      if (Object.keys(body).length === 0)
        throw new UsageError('there is nothing to change', 'Add --description, --folder, …');
      const client = await connect();
      const params = { ...scope.params, key };
      const { revision } = await client[routeIn(scope, 'show', 'Secret')]({ params });
      const edited = await client[routeIn(scope, 'update', 'Secret')]({ params, body, ifMatch: revision });
      output.answer(edited, () => output.line(`changed ${edited.key} in ${scope.title}, revision ${edited.revision}`));
      return undefined;
    }),
  );
}

interface ImportOptions extends ScopeOptions {
  readonly format?: 'env' | 'json' | 'kubernetes';
  readonly folder?: string;
  readonly prefix?: string;
  readonly onExisting: 'refuse' | 'skip' | 'rotate';
  readonly dryRun?: true;
  readonly from?: string;
  readonly fromPrefix?: string;
}

const maxImportBytes = 4 * 1024 * 1024;

function addImportCommand(secret: Command, cli: Cli): void {
  addScopeOptions(
    secret.command('import [file]').description('create many secrets from a file (- is stdin), or from an integration'),
  )
    .addOption(
      new Option('--format <format>', 'what the file is; by its name when left out').choices([
        'env',
        'json',
        'kubernetes',
      ]),
    )
    .option('--from <integration>', 'take them from this integration of the same scope, in place of a file')
    .option('--from-prefix <text>', 'only its keys that begin like this, which is left out')
    .option('--folder <folder>', 'the folder to show them in')
    .option('--prefix <text>', 'put before every key')
    .addOption(
      new Option('--on-existing <what>', 'what to do with keys that exist')
        .choices(['refuse', 'skip', 'rotate'])
        .default('refuse'),
    )
    .option('--dry-run', 'say what would happen, change nothing')
    .action(
      cli.action(async ({ io, connect, output }, file: string | undefined, options: ImportOptions) => {
        const scope = scopeOf(options);
        const source = await readSource(io, file, options);
        const client = await connect();
        const { folder, prefix, onExisting, dryRun } = options;
        const result = await client[routeIn(scope, 'import', 'Secrets')]({
          params: scope.params,
          body: {
            ...source,
            onExisting,
            ...(folder === undefined ? {} : { folder }),
            ...(prefix === undefined ? {} : { prefix }),
            ...(dryRun === undefined ? {} : { dryRun }),
          },
        });
        output.answer(result, () => {
          output.table(
            [{ title: 'KEY' }, { title: 'OUTCOME' }, { title: 'REASON', canWrap: true, isOptional: true }],
            result.items.map((item) => [item.key, item.outcome, item.reason ?? '']),
          );
          if (result.isDryRun) output.note('nothing was changed: this was a dry run');
        });
        return undefined;
      }),
    );
}

async function readSource(io: Io, file: string | undefined, { from, fromPrefix, format }: ImportOptions) {
  if ((file === undefined) === (from === undefined))
    throw new UsageError('give either a file or --from', 'Write strongroom secret import FILE, or --from INTEGRATION.');
  if (file === undefined)
    return { from: { integration: from ?? '', ...(fromPrefix === undefined ? {} : { prefix: fromPrefix }) } };
  const read = format ?? formatOf(file);
  const content = utf8Text(await readInput(io, file, maxImportBytes));
  if (content === undefined) throw new UsageError(`${file} is not UTF-8 text`);
  return { format: read, content };
}

function formatOf(file: string): 'env' | 'json' | 'kubernetes' {
  if (/(?:^|[./])env(?:\.[^./]*)?$/i.test(file)) return 'env';
  if (/\.json$/i.test(file)) return 'json';
  if (/\.ya?ml$/i.test(file)) return 'kubernetes';
  throw new UsageError(`the name ${file} doesn't say what it is`, 'Add --format env, json or kubernetes.');
}
