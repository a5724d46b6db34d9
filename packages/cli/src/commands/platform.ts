import { type CallInput, type CallResult, type Client, StrongroomError } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { isRecord, UsageError } from '../errors.ts';
import { exitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { readDocuments } from '../manifest.ts';
import { localTime } from '../output/text.ts';
import { confirm } from '../prompt.ts';
import { contentOf } from './configuration.ts';
import { type CredentialFile, readCredentials, withCredentials } from './configuration-apply.ts';
import { printSurfaceTest } from './surface-test.ts';

type Output = Cli['output'];
type Credential = CallResult<'showEmail'>['password'];

interface Shown {
  readonly revision: number;
}

/** One configuration of the platform, as commands name it and as the API does. */
interface PlatformNoun<One extends Shown> {
  readonly word: string;
  readonly title: string;
  readonly show: (client: Client) => Promise<One>;
  readonly put: (client: Client, body: unknown, ifMatch: number | undefined) => Promise<One>;
  readonly delete: (client: Client, ifMatch: number) => Promise<unknown>;
  readonly print: (output: Output, found: One) => void;
}

interface FileOptions {
  readonly file: string;
  readonly credential?: readonly CredentialFile[];
}

/** The mail server. */
export function addEmailCommands(program: Command, cli: Cli): void {
  const email = group(program, 'email', 'the mail server that the platform sends through');
  addPlatformCommands(email, cli, emailNoun);
  addTest(email, 'really send a message as a manifest says, without saving it')
    .requiredOption('--to <address>', 'who gets it')
    .action(
      cli.action(async ({ io, connect, output }, options: TestOptions & { readonly to: string }) => {
        const form = { ...(await readForm(io, options)), recipient: options.to, ...saved(options) };
        const tested = await (await connect()).testEmail({ body: form as CallInput<'testEmail'>['body'] });
        return printSurfaceTest(output, tested);
      }),
    );
}

/** The directory. */
export function addLdapCommands(program: Command, cli: Cli): void {
  const ldap = group(program, 'ldap', 'the directory whose users and groups are synced, and sign in by bind');
  addPlatformCommands(ldap, cli, ldapNoun);
  addTest(ldap, 'try the connection, or the bind and the searches, as a manifest says')
    .addOption(
      new Option('--what <step>', 'connection: the URL alone')
        .choices(['connection', 'authentication'])
        .default('authentication'),
    )
    .action(
      cli.action(async ({ io, connect, output }, options: TestOptions & { readonly what: string }) => {
        const form = { ...(await readForm(io, options)), what: options.what, ...saved(options) };
        const tested = await (await connect()).testLdap({ body: form as CallInput<'testLdap'>['body'] });
        return printSurfaceTest(output, tested);
      }),
    );
  ldap
    .command('sync')
    .description('sync users and groups now; exit code 7 when it fails')
    .action(
      cli.action(async ({ connect, output }) => {
        const state = await (await connect()).syncLdap();
        output.answer(state, () => printSync(output, state));
        return state.outcome === 'ok' ? undefined : exitCode.check;
      }),
    );
}

const emailNoun: PlatformNoun<CallResult<'showEmail'>> = {
  word: 'email',
  title: 'mail server',
  show: (client) => client.showEmail(),
  // The server's schema decides; its errors name each field.
  put: (client, body, ifMatch) =>
    client.putEmail({ body: body as CallInput<'putEmail'>['body'], ...(ifMatch === undefined ? {} : { ifMatch }) }),
  delete: (client, ifMatch) => client.deleteEmail({ ifMatch }),
  print: (output, found) =>
    output.facts({
      host: found.host,
      port: `${found.port}`,
      security: found.security,
      username: found.username,
      password: credentialText(found.password),
      sender: found.senderName === undefined ? found.senderAddress : `${found.senderName} <${found.senderAddress}>`,
      ...lastFacts(found),
    }),
};

const ldapNoun: PlatformNoun<CallResult<'showLdap'>> = {
  word: 'ldap',
  title: 'directory',
  show: (client) => client.showLdap(),
  put: (client, body, ifMatch) =>
    client.putLdap({ body: body as CallInput<'putLdap'>['body'], ...(ifMatch === undefined ? {} : { ifMatch }) }),
  delete: (client, ifMatch) => client.deleteLdap({ ifMatch }),
  print: (output, found) => {
    output.facts({
      url: found.url,
      'start TLS': found.startTls ? 'yes' : undefined,
      'bind DN': found.bindDn,
      'bind credential': credentialText(found.bindCredential),
      'base DN': found.baseDn,
      filter: found.filter,
      'group filter': found.groupFilter,
      'sync every': `${found.syncPeriodSeconds} s`,
      ...lastFacts(found),
    });
    if (found.sync !== undefined) printSync(output, found.sync);
  },
};

function addPlatformCommands<One extends Shown>(command: Command, cli: Cli, noun: PlatformNoun<One>): void {
  const { word, title } = noun;
  command
    .command('show')
    .description(`show the ${title}: settings and references, no secret`)
    .action(
      cli.action(async ({ connect, output }) => {
        const found = await noun.show(await connect());
        output.answer(found, () => noun.print(output, found));
        return undefined;
      }),
    );
  withForm(command.command('apply').description(`make or change the ${title} as a manifest says`)).action(
    cli.action(async ({ io, connect, output }, options: FileOptions) => {
      const client = await connect();
      const body = await readForm(io, options);
      const before = await noun.show(client).catch((error: unknown) => {
        if (error instanceof StrongroomError && error.code === 'not_found') return undefined;
        throw error;
      });
      const after = await noun.put(client, body, before?.revision);
      const isSame = before?.revision === after.revision;
      const outcome = before === undefined ? 'created' : isSame ? 'unchanged' : 'changed';
      output.answer({ outcome, [word]: after }, () => output.line(`${outcome} ${word}, revision ${after.revision}`));
      return undefined;
    }),
  );
  command
    .command('delete')
    .description(`delete the ${title}, and the secret that it owns`)
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async ({ io, connect, output }, options: { readonly yes?: boolean }) => {
        const client = await connect();
        const { revision } = await noun.show(client);
        if (options.yes !== true) await confirm(io, `delete the ${title}?`);
        await noun.delete(client, revision);
        output.answer({ [word]: word, deleted: true }, () => output.line(`deleted ${word}`));
        return undefined;
      }),
    );
}

interface TestOptions extends FileOptions {
  readonly useSaved?: boolean;
}

function addTest(command: Command, description: string): Command {
  return withForm(command.command('test').description(`${description}; exit code 7 when a step fails`)).option(
    '--use-saved',
    'with the saved credential, where none is given',
  );
}

function withForm(command: Command): Command {
  return withCredentials(
    command.requiredOption('-f, --file <file>', 'the manifest, YAML or JSON (- is stdin): the object of the API'),
  );
}

function saved({ useSaved }: TestOptions): { readonly useSaved?: true } {
  return useSaved === true ? { useSaved } : {};
}

/** A manifest holds references; a value comes from a file of its own. */
async function readForm(io: Io, { file, credential = [] }: FileOptions): Promise<Record<string, unknown>> {
  const documents = await readDocuments(io, file);
  const [document] = documents;
  if (documents.length !== 1 || !isRecord(document)) throw new UsageError(`${file} is not one object`);
  for (const [field, content] of Object.entries(document))
    if (isRecord(content) && ('set' in content || 'value' in content))
      throw new UsageError(
        `${file}: ${field} holds a value`,
        `A manifest holds references; give a value with --credential ${field}=FILE.`,
      );
  return { ...document, ...(await readCredentials(io, credential)) };
}

function printSync(output: Output, state: CallResult<'syncLdap'>): void {
  output.facts({
    'last sync': `${state.outcome}${state.cause === undefined ? '' : `: ${state.cause}`}, ${localTime(state.startedAt)}`,
    message: state.message,
    users: `${state.users}`,
    groups: `${state.groups}`,
    changed: `${state.changed}`,
  });
  if (state.conflicts.length === 0) return;
  output.line();
  output.table(
    [{ title: 'LEFT ALONE' }, { title: 'NAME' }, { title: 'BECAUSE' }],
    state.conflicts.map(({ kind, name, reason }) => [kind, name, reason]),
  );
}

function credentialText({ isSet, isOwned, secret }: Credential): string {
  return isSet ? `${contentOf(undefined, secret)}${isOwned === true ? ' (its own)' : ''}` : '-';
}

function lastFacts(found: { readonly updatedAt: string; readonly updatedBy: string; readonly revision: number }) {
  return { updated: `${localTime(found.updatedAt)} by ${found.updatedBy}`, revision: `${found.revision}` };
}
