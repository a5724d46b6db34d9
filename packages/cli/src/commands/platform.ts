import { type CallInput, type CallResult, StrongroomError } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { exitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { orAbsent } from '../apply/kind.ts';
import { platformKinds } from '../apply/kinds/platform.ts';
import { type Manifest, readManifests } from '../apply/manifest.ts';
import { localTime } from '../output/text.ts';
import { confirm } from '../prompt.ts';
import { applyManifests, type ApplyOptions, withApplyOptions } from './apply.ts';
import { credentialText } from './configuration.ts';
import { type CredentialFile, readCredentials, withCredentials } from './configuration-apply.ts';
import { platformCalls, type PlatformCalls, type ShownPlatform } from './platform-calls.ts';
import { addPlatformPreflight } from './preflight.ts';
import { printSurfaceTest } from './surface-test.ts';

type Output = Cli['output'];

/** One configuration of the platform, as commands name it and as the API does. */
interface PlatformNoun<One extends ShownPlatform> {
  readonly word: keyof typeof platformCalls;
  readonly title: string;
  readonly calls: PlatformCalls<One>;
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
        const form = { ...(await readManifest(io, 'email', options)).body, recipient: options.to, ...saved(options) };
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
        const form = { ...(await readManifest(io, 'ldap', options)).body, what: options.what, ...saved(options) };
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
  calls: platformCalls.email,
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
  calls: platformCalls.ldap,
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

function addPlatformCommands<One extends ShownPlatform>(command: Command, cli: Cli, noun: PlatformNoun<One>): void {
  const { word, title } = noun;
  addPlatformPreflight(command, cli, { name: word, preflight: noun.calls.preflight });
  command
    .command('show')
    .description(`show the ${title}: settings and references, no secret`)
    .action(
      cli.action(async ({ connect, output }) => {
        const found = await orAbsent(noun.calls.show(await connect()));
        output.answer(found ?? null, () => {
          if (found !== undefined) noun.print(output, found);
        });
        if (found === undefined)
          throw new StrongroomError('not_found', {
            detail: `No ${title} is configured, or it is not yours to see.`,
            hint: `strongroom ${word} apply -f FILE configures one.`,
          });
        return undefined;
      }),
    );
  withApplyOptions(
    withForm(command.command('apply').description(`make or change the ${title} as a manifest says`)),
  ).action(
    cli.action(async (session, options: FileOptions & ApplyOptions) => {
      const manifest = await readManifest(session.io, word, options);
      return applyManifests(session, [manifest], kindsOf(word), options);
    }),
  );
  command
    .command('delete')
    .description(`delete the ${title}, and the secret that it owns`)
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async ({ io, connect, output }, options: { readonly yes?: boolean }) => {
        const client = await connect();
        const { revision } = await noun.calls.show(client);
        if (options.yes !== true) await confirm(io, `delete the ${title}?`);
        await noun.calls.delete(client, revision);
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

function kindsOf(word: string) {
  return platformKinds.filter(({ kind }) => kind === word);
}

/** A manifest holds references; a value comes from a file of its own. */
async function readManifest(io: Io, word: string, { file, credential = [] }: FileOptions): Promise<Manifest> {
  const [only, second] = await readManifests(io, file, undefined, kindsOf(word));
  if (only === undefined || second !== undefined) throw new UsageError(`${file} is not one object`);
  return { ...only, body: { ...only.body, ...(await readCredentials(io, credential)) } };
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

function lastFacts(found: { readonly updatedAt: string; readonly updatedBy: string; readonly revision: number }) {
  return { updated: `${localTime(found.updatedAt)} by ${found.updatedBy}`, revision: `${found.revision}` };
}
