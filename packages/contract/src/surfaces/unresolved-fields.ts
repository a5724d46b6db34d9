import { parseText } from '../placeholders.ts';
import type { SurfaceName } from './actions.ts';
import type { ConfigSchema } from './connection-types.ts';

/**
 * Texts in which no placeholder is resolved, and why: in every other text of a configuration it is, where the configuration is
 * used. A field that is added to a surface is resolved, or has its line here.
 */

/** Keyword of a body in which somebody sends a form: whose fields these are, in the table below. */
export const formKeyword = 'x-form';

/** What is sent in forms: configurations, and settings that are none but look alike. */
export type FormName = SurfaceName | 'notices';

/** Why a placeholder is not resolved in a text, and what to do instead; `people`: it may stand there, as it is written. */
export const unresolvedReasons = {
  name: 'It is a name that something is known by. Write the name itself.',
  choice: 'It is one of a few words. Write the word itself.',
  size: 'It is an amount. Write it itself.',
  address:
    'It decides where values are sent, and no change of a secret may send them elsewhere. Write the address itself.',
  trust: 'It decides whom values are sent to, which no change of a secret may. Write the certificates themselves.',
  'command-line': 'Every user of the machine can read a command line. Use an environment variable or a file.',
  workload:
    'It is part of what describes the workload, which holds no value. Write the text itself, or use an environment variable.',
  schema: 'It says which fields there are. Write the schema itself; its fields take placeholders.',
  reference: 'It names a secret by itself. Write the reference, or put the placeholder into "value".',
  people: 'It is for people, who see what was written.',
} as const;
export type UnresolvedReason = keyof typeof unresolvedReasons;

type Lines = Readonly<Record<string, UnresolvedReason>>;

const common: Lines = { '/name': 'name', '/bundle': 'name', '/managedBy': 'name', '/description': 'people' };
const launched: Lines = {
  ...common,
  '/storageConfigs/*': 'name',
  '/runner': 'choice',
  '/kubernetes/**': 'workload',
  '/image': 'workload',
  '/sizes/*': 'size',
  '/environment/*/name': 'name',
  '/environment/*/secret/**': 'reference',
  '/envSecrets/**': 'reference',
};
const properties: Lines = {
  '/sparkConfig/*/name': 'name',
  '/sparkConfig/*/secret/**': 'reference',
  '/sparkConfSecrets/**': 'reference',
};

/** By form, then by pointer into what is sent: `*` is one part of it, `**` at the end whatever is there and below. */
export const unresolvedFields: Readonly<Record<FormName, Lines>> = {
  'spark-job': {
    ...launched,
    ...properties,
    '/command/*': 'command-line',
    '/spark/**': 'command-line',
    '/workingDirectory': 'workload',
    '/files/*/name': 'name',
    '/files/*/secret/**': 'reference',
  },
  'compute-cluster': { ...launched, ...properties },
  notebook: launched,
  'storage-config': {
    ...common,
    '/provider': 'choice',
    '/region': 'address',
    '/endpoint': 'address',
    '/bucket': 'address',
    '/accessKey/secret/**': 'reference',
    '/secretKey/secret/**': 'reference',
  },
  // What is in its config is said by its schema: see `unresolvedConfigReason`.
  connection: { ...common, '/type': 'choice', '/schema/**': 'schema' },
  email: {
    '/description': 'people',
    '/host': 'address',
    '/security': 'choice',
    '/caCertificate': 'trust',
    '/password/secret/**': 'reference',
    '/recipient': 'address',
  },
  ldap: {
    '/description': 'people',
    '/url': 'address',
    '/caCertificate': 'trust',
    '/bindCredential/secret/**': 'reference',
    '/attributes/*': 'name',
    '/what': 'choice',
  },
  notices: {
    '/recipients/*': 'address',
    '/webhook/url': 'address',
    '/webhook/urlSecret/**': 'reference',
    '/webhook/signingSecret/**': 'reference',
  },
};

/** Why no placeholder is resolved in a text of a form; `undefined`: it is resolved. */
export function unresolvedReason(form: FormName, pointer: string): UnresolvedReason | undefined {
  const parts = pointer.split('/');
  const line = Object.entries(unresolvedFields[form]).find(([pattern]) => isAt(pattern.split('/'), parts));
  return line?.[1];
}

function isAt(pattern: readonly string[], parts: readonly string[]): boolean {
  const isOpen = pattern.at(-1) === '**';
  const wanted = isOpen ? pattern.slice(0, -1) : pattern;
  if (isOpen ? parts.length < wanted.length : parts.length !== wanted.length) return false;
  return wanted.every((part, index) => part === '*' || part === parts[index]);
}

/** The same of a text in the config of a connection. @param isItemId it tells an item of a list from others */
export function unresolvedConfigReason(schema: ConfigSchema, isItemId: boolean): UnresolvedReason | undefined {
  if (schema['x-destination'] === true) return 'address';
  if (schema.enum !== undefined) return 'choice';
  return isItemId ? 'name' : undefined;
}

/** What is said at a save of a placeholder that nothing would resolve. */
export function unresolvedMessage(reason: UnresolvedReason): string {
  return `No placeholder is resolved here. ${unresolvedReasons[reason]}`;
}

/** A text of a document or a form, and its place. */
export interface PlacedString {
  /** RFC 6901. */
  readonly pointer: string;
  readonly text: string;
}

/** Every text of a document. */
export function textsOf(part: unknown, pointer = ''): PlacedString[] {
  if (typeof part === 'string') return [{ pointer, text: part }];
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([name, member]) =>
    textsOf(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  );
}

/** The texts of a form that hold a placeholder where none is resolved, as far as the table says; each with the reason. */
export function misplacedPlaceholders(form: FormName, sent: unknown): { pointer: string; reason: UnresolvedReason }[] {
  return textsOf(sent).flatMap(({ pointer, text }) => {
    if (!isPlaceholderIn(text)) return [];
    const reason = unresolvedReason(form, pointer);
    return reason === undefined || reason === 'people' ? [] : [{ pointer, reason }];
  });
}

/** Whether a text holds a placeholder, and not only what is spelt like one. */
export function isPlaceholderIn(text: string): boolean {
  return parseText(text).parts.some(({ kind }) => kind === 'placeholder');
}
