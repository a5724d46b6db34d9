import type { CallInput } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import { isRecord, UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import { type Io, isInteractive } from '../io.ts';
import { readDocuments } from '../apply/manifest.ts';
import { askHidden } from '../prompt.ts';
import { collect } from '../values.ts';

/** Of any kind: which settings belong to which is the server's to check. */
export type Body = CallInput<'createDomainIntegration'>['body'];
export type FormBody = CallInput<'testDomainIntegrationForm'>['body'];

/** Where an integration leads and how it signs in, as the API takes it; its schema is the server's to check. */
export interface Connection {
  readonly type: Body['type'];
  readonly settings: Body['settings'];
  readonly credentials?: NonNullable<Body['credentials']>;
  readonly profile?: string;
}

/** What a manifest may say besides. */
export interface ManifestLabelling {
  readonly name?: string;
  readonly description?: string;
  readonly bundle?: string;
}

export interface ConnectionOptions {
  readonly file?: string;
  readonly address?: string;
  readonly path?: string;
  readonly namespace?: string;
  readonly layout?: string;
  readonly caFile?: string;
  readonly auth?: string;
  readonly roleId?: string;
  readonly role?: string;
  readonly mount?: string;
  readonly audience?: string;
  readonly profile?: string;
  readonly credential?: readonly string[];
}

/** What each way to sign in needs to be told in secret. */
const credentialOf: Readonly<Record<string, string>> = {
  'app-role': 'secretId',
  token: 'token',
  jwt: 'jwt',
  'access-key': 'secretAccessKey',
  'assume-role': 'secretAccessKey',
  'client-secret': 'clientSecret',
  'client-certificate': 'clientCertificate',
  'service-account': 'serviceAccountKey',
};
const maxCredentialBytes = 64 * 1024;

export function addConnectionOptions(command: Command): Command {
  return command
    .option('-f, --file <file>', 'take the integration from a manifest, YAML or JSON (- is stdin)')
    .option('--address <url>', 'base URL of Vault or OpenBao')
    .option('--path <path>', 'where the secrets are: /v1/MOUNT/data/PATH')
    .option('--namespace <namespace>', "Vault's namespace")
    .addOption(new Option('--layout <layout>', 'what a key is').choices(['secret-per-key', 'fields']))
    .option('--ca-file <file>', 'the authority of its certificate, PEM')
    .addOption(new Option('--auth <method>', 'how to sign in').choices(['app-role', 'token', 'kubernetes', 'jwt']))
    .option('--role-id <id>', 'role id, for app-role')
    .option('--role <role>', 'role, for kubernetes and jwt')
    .option('--mount <mount>', 'where the method is mounted')
    .option('--audience <audience>', 'what the token must be meant for, for kubernetes')
    .option('--profile <name>', 'a profile of ambient identity, in place of a credential')
    .option(
      '--credential <name[=@file]>',
      'a credential by name, from a file (@- is stdin); asks for it without =@file',
      collect,
    )
    .addHelpText(
      'after',
      '\nCredentials come from a file, from stdin, or from a hidden prompt; never from an argument and never from a\nmanifest. A final newline is not part of them.',
    );
}

/** Whether the options say anything about the connection. */
export function namesConnection(options: ConnectionOptions): boolean {
  const { profile, credential, ...settings } = options;
  return profile !== undefined || credential !== undefined || hasSettings(settings);
}

function hasSettings(options: ConnectionOptions): boolean {
  const { file, address, path, namespace, layout, caFile, auth, roleId, role, mount, audience } = options;
  return [file, address, path, namespace, layout, caFile, auth, roleId, role, mount, audience].some(
    (option) => option !== undefined,
  );
}

/** Which one of a file is meant. */
export interface MeantIntegration {
  readonly name?: string | undefined;
  readonly domain?: string | undefined;
}

/**
 * The connection that a manifest and the options describe.
 * @param before settings that stay where the options say nothing
 * @param meant which one of a manifest that holds more
 * @throws UsageError; it holds nothing that was read
 */
export async function readConnection(
  io: Io,
  options: ConnectionOptions,
  { before, ...meant }: { readonly before?: Connection['settings'] | undefined } & MeantIntegration = {},
): Promise<Connection & ManifestLabelling> {
  const manifest = options.file === undefined ? undefined : await readManifest(io, options.file, meant);
  const { settings: given, type = 'VAULT', profile: named, ...labelling } = manifest ?? {};
  const settings = await settingsOf(io, options, isRecord(given) ? given : (before ?? {}));
  const profile = options.profile ?? (typeof named === 'string' ? named : undefined);
  // What a manifest says is checked by the server, which names every bad field.
  return { ...labelling, type, settings, ...(profile === undefined ? {} : { profile }) } as Connection &
    ManifestLabelling;
}

async function readManifest(
  io: Io,
  file: string,
  { name, domain }: MeantIntegration,
): Promise<Readonly<Record<string, unknown>>> {
  const documents = await readDocuments(io, file);
  const isMeant = (each: unknown): boolean =>
    isRecord(each) &&
    each['kind'] === 'integration' &&
    (name === undefined || each['name'] === name) &&
    (each['domain'] === undefined || each['domain'] === domain);
  const meant = documents.length === 1 ? documents : documents.filter(isMeant);
  const [document] = meant;
  if (documents.length === 1 && !isRecord(document)) throw new UsageError(`${file} is not one object`);
  if (meant.length !== 1 || !isRecord(document))
    throw new UsageError(
      `${file} holds ${meant.length} integrations${name === undefined ? '' : ` named ${name}`} in this place`,
      'Say which one it is, by its name.',
    );
  // What else an apply reads of it is said by options here.
  const { kind, domain: _domain, scope: _scope, assignments: _assignments, ...body } = document;
  if (kind !== 'integration') throw new UsageError(`${file} has no kind, or another one than integration`);
  if ('credentials' in body)
    throw new UsageError(`${file} holds credentials`, 'Take them out and give them with --credential NAME=@FILE.');
  return body;
}

async function settingsOf(
  io: Io,
  options: ConnectionOptions,
  before: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const { address, path, namespace, layout, caFile, auth, roleId, role, mount, audience } = options;
  const held = isRecord(before['authentication']) ? before['authentication'] : {};
  const authentication = {
    // Another way to sign in has other settings.
    ...(auth === undefined || auth === held['method'] ? held : {}),
    ...defined({ method: auth, roleId, role, mount, audience }),
  };
  const caCertificate = caFile === undefined ? undefined : await readText(io, caFile);
  return {
    ...before,
    ...defined({ address, path, namespace, layout, caCertificate }),
    ...(Object.keys(authentication).length === 0 ? {} : { authentication }),
  };
}

function defined(parts: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parts).flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const])),
  );
}

/**
 * The credentials that the options name; when they name none and `isNeeded`, the one that the method needs, from stdin or a
 * prompt.
 */
export async function readCredentials(
  io: Io,
  options: ConnectionOptions,
  settings: Connection['settings'],
  isNeeded: boolean,
): Promise<Pick<Connection, 'credentials'>> {
  const named = options.credential ?? [];
  const { authentication } = settings as { readonly authentication?: { readonly method?: string } };
  const needed = credentialOf[authentication?.method ?? ''];
  if (named.length === 0 && (!isNeeded || needed === undefined)) return {};
  const credentials = new Map<string, string>();
  for (const each of named.length === 0 ? [`${needed}=@-`] : named) {
    const equals = each.indexOf('=');
    const name = equals === -1 ? each : each.slice(0, equals);
    const source = equals === -1 ? undefined : each.slice(equals + 1);
    if (source !== undefined && !source.startsWith('@'))
      throw new UsageError(
        `the credential ${name} is not taken from an argument: other users of this machine see it`,
        `Write --credential ${name}=@FILE, or --credential ${name} to be asked for it.`,
      );
    if (credentials.has(name)) throw new UsageError(`the credential ${name} is given twice`);
    const isAsked = source === undefined || (source === '@-' && named.length === 0 && isInteractive(io));
    credentials.set(name, isAsked ? await askHidden(io, `${name}: `) : await readCredential(io, source.slice(1)));
  }
  // Any name is one, for the server to refuse; `__proto__`, too.
  return { credentials: Object.fromEntries(credentials) };
}

async function readCredential(io: Io, file: string): Promise<string> {
  if (file === '-' && io.stdin.isTTY === true)
    throw new UsageError('there is no credential', 'Pipe it in, or use --credential NAME=@FILE.');
  return (await readText(io, file)).replace(/\r?\n$/, '');
}

async function readText(io: Io, file: string): Promise<string> {
  const text = utf8Text(await readInput(io, file, maxCredentialBytes));
  if (text === undefined) throw new UsageError(`${file === '-' ? 'stdin' : file} is not UTF-8 text`);
  return text;
}
