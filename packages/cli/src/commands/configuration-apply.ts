import { type Command, InvalidArgumentError } from 'commander';
import { configurationKinds } from '../apply/kinds/configuration.ts';
import { type Manifest, readManifests } from '../apply/manifest.ts';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import type { Io } from '../io.ts';
import { applyManifests, type ApplyOptions, withApplyOptions } from './apply.ts';
import type { ConfigurationNoun } from './configuration-noun.ts';

interface FileOptions {
  readonly file: string;
  readonly domain?: string;
  readonly credential?: readonly CredentialFile[];
}

export interface CredentialFile {
  readonly field: string;
  readonly path: string;
}

const manifestHelp =
  '\nA manifest is the object of the API with kind and domain, and holds references alone. In files, fromFile takes the\ncontent of a file beside the manifest; a relative workingDirectory is beside the manifest, too.';

/** `apply` and `create` of one kind. */
export function addApplyCommands(group: Command, cli: Cli, noun: ConfigurationNoun, takesCredentials = false): void {
  const own = new Map([[noun.kind, noun]]);
  const credentials = (command: Command): Command => (takesCredentials ? withCredentials(command) : command);
  credentials(
    withApplyOptions(fromFile(group.command('apply').description(`create or change ${noun.word}s as a manifest says`))),
  )
    .addHelpText('after', manifestHelp)
    .action(
      cli.action(async (session, options: FileOptions & ApplyOptions) => {
        const manifests = await readConfigurations(session.io, options, own);
        return applyManifests(session, manifests, kindsOf(own), options);
      }),
    );
  credentials(
    fromFile(group.command('create').description(`create ${noun.word}s as a manifest says; refused when one exists`)),
  ).action(
    cli.action(async ({ io, connect, output }, options: FileOptions) => {
      const client = await connect();
      for (const { domain, body, managedBy } of await readConfigurations(io, options, own)) {
        const created = await noun.create(client, domain, {
          ...body,
          ...(managedBy === undefined ? {} : { managedBy }),
        });
        output.item({ outcome: 'created', [noun.word]: created }, () =>
          output.line(`created ${noun.word} ${created.name} in ${created.domain}, revision ${created.revision}`),
        );
        for (const warning of created.warnings) output.note(`${warning.pointer}: ${warning.message}`);
      }
      return undefined;
    }),
  );
}

function fromFile(command: Command): Command {
  return command
    .requiredOption('-f, --file <file>', 'the manifest, YAML or JSON, or a folder of them (- is stdin)')
    .option('-d, --domain <domain>', 'the domain, when the manifest names none');
}

export function withCredentials(command: Command): Command {
  return command.option(
    '--credential <field=file>',
    'a credential and the file that holds it (- is stdin); it becomes a secret of its own',
    (text: string, before: readonly CredentialFile[] | undefined) => [...(before ?? []), parseCredential(text)],
  );
}

function parseCredential(text: string): CredentialFile {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError('It is FIELD=FILE.');
  return { field: text.slice(0, at), path: text.slice(at + 1) };
}

const maxCredentialBytes = 65_536;

/** @throws UsageError also when a credential is given for more than one */
export async function readConfigurations(
  io: Io,
  { file, domain, credential = [] }: FileOptions,
  known: ReadonlyMap<string, ConfigurationNoun>,
): Promise<readonly Manifest[]> {
  const manifests = await readManifests(io, file, domain, kindsOf(known));
  if (credential.length === 0) return manifests;
  const [only, second] = manifests;
  if (only === undefined || second !== undefined)
    throw new UsageError('--credential is for a manifest with one configuration');
  return [{ ...only, body: { ...only.body, ...(await readCredentials(io, credential)) } }];
}

function kindsOf(known: ReadonlyMap<string, ConfigurationNoun>) {
  return configurationKinds.filter(({ kind }) => known.has(kind));
}

/** What is sent of credentials that are in files. */
export async function readCredentials(io: Io, credential: readonly CredentialFile[]) {
  const sent = new Map<string, { readonly set: string }>();
  for (const { field, path } of credential) {
    if (sent.has(field)) throw new UsageError(`the credential ${field} is given twice`);
    const text = utf8Text(await readInput(io, path, maxCredentialBytes));
    if (text === undefined) throw new UsageError(`${path} is not UTF-8 text`);
    // An editor's newline at the end is no part of a credential.
    sent.set(field, { set: text.replace(/\r?\n$/, '') });
  }
  // Any name is one, for the server to refuse; `__proto__`, too.
  return Object.fromEntries(sent);
}
