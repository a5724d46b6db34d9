import { type Client, StrongroomError } from '@strongroom/sdk';
import { type Command, InvalidArgumentError } from 'commander';
import type { Cli, Session } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import type { Io } from '../io.ts';
import { type Manifest, readManifests } from '../manifest.ts';
import { type ConfigurationNoun, nouns, type Shown } from './configuration-noun.ts';

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

/** `strongroom apply -f`: manifests of whichever kind. */
export function addApplyCommand(program: Command, cli: Cli): void {
  fromFile(program.command('apply').description('create or change configurations of any kind as a manifest says'))
    .addHelpText('after', manifestHelp)
    .action(cli.action((session, options: FileOptions) => applyAll(session, options, nouns)));
}

/** `apply` and `create` of one kind. */
export function addApplyCommands(group: Command, cli: Cli, noun: ConfigurationNoun, takesCredentials = false): void {
  const own = new Map([[noun.kind, noun]]);
  const credentials = (command: Command): Command => (takesCredentials ? withCredentials(command) : command);
  credentials(fromFile(group.command('apply').description(`create or change ${noun.word}s as a manifest says`)))
    .addHelpText('after', manifestHelp)
    .action(cli.action((session, options: FileOptions) => applyAll(session, options, own)));
  credentials(
    fromFile(group.command('create').description(`create ${noun.word}s as a manifest says; refused when one exists`)),
  ).action(
    cli.action(async ({ io, connect, output }, options: FileOptions) => {
      const client = await connect();
      for (const { domain, body } of await readConfigurations(io, options, own)) {
        const created = await noun.create(client, domain, body);
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
    .requiredOption('-f, --file <file>', 'the manifest, YAML or JSON (- is stdin)')
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
  const manifests = await readManifests(io, file, domain, [...known.keys()]);
  if (credential.length === 0) return manifests;
  const [only, second] = manifests;
  if (only === undefined || second !== undefined)
    throw new UsageError('--credential is for a manifest with one configuration');
  return [{ ...only, body: { ...only.body, ...(await readCredentials(io, credential)) } }];
}

/** What is sent of credentials that are in files. */
export async function readCredentials(io: Io, credential: readonly CredentialFile[]) {
  const sent: Record<string, { readonly set: string }> = {};
  for (const { field, path } of credential) {
    const text = utf8Text(await readInput(io, path, maxCredentialBytes));
    if (text === undefined) throw new UsageError(`${path} is not UTF-8 text`);
    // An editor's newline at the end is no part of a credential.
    sent[field] = { set: text.replace(/\r?\n$/, '') };
  }
  return sent;
}

async function applyAll(
  { io, connect, output }: Session,
  options: FileOptions,
  known: ReadonlyMap<string, ConfigurationNoun>,
): Promise<undefined> {
  const client = await connect();
  for (const manifest of await readConfigurations(io, options, known)) {
    const noun = known.get(manifest.kind);
    if (noun === undefined) throw new UsageError(`there is no kind ${manifest.kind}`);
    const { outcome, applied } = await apply(client, noun, manifest);
    output.item({ outcome, [noun.word]: applied }, () =>
      output.line(`${outcome} ${noun.word} ${applied.name} in ${applied.domain}, revision ${applied.revision}`),
    );
    for (const warning of applied.warnings) output.note(`${warning.pointer}: ${warning.message}`);
  }
  return undefined;
}

interface Applied {
  readonly outcome: 'created' | 'changed' | 'unchanged';
  readonly applied: Shown;
}

/** Somebody else's change in between is a `revision_mismatch`, never overwritten. */
async function apply(client: Client, noun: ConfigurationNoun, { domain, name, body }: Manifest): Promise<Applied> {
  const before = await noun.show(client, domain, name).catch((error: unknown) => {
    if (error instanceof StrongroomError && error.code === 'not_found') return undefined;
    throw error;
  });
  if (before === undefined) return { outcome: 'created', applied: await noun.create(client, domain, body) };
  const after = await noun.update(client, domain, name, body, before.revision);
  return { outcome: after.revision === before.revision ? 'unchanged' : 'changed', applied: after };
}
