import { parseEnv } from 'node:util';
import { StrongroomError } from '@strongroom/sdk';
import { UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import type { Io } from '../io.ts';

const scheme = 'secret://';
const maxFileBytes = 1024 * 1024;
/** What `strongroom` itself signs in with; no child gets it. */
const ownVariables = new Set(['STRONGROOM_TOKEN', 'STRONGROOM_TOKEN_FILE']);

export interface Variables {
  /** What the child gets as it is. */
  readonly plain: Readonly<Record<string, string>>;
  /** References by variable. */
  readonly references: Readonly<Record<string, string>>;
}

/**
 * The child's environment: ours, then the files in order, then single variables; the later wins.
 *
 * A reference must be a variable's whole value. Text that only contains one would reach a program as a credential, so it is
 * refused; only what npm and the shell keep of the command line itself is dropped instead.
 *
 * @throws UsageError for a file or option that can't be read; StrongroomError `reference_malformed` naming the variables
 */
export async function collectVariables(
  io: Io,
  sources: { readonly files: readonly string[]; readonly single: readonly string[] },
): Promise<Variables> {
  const all = new Map<string, string>();
  for (const [name, value] of Object.entries(io.env)) {
    const isEcho = name === '_' || name.startsWith('npm_');
    const isDropped = ownVariables.has(name) || (isEcho && value !== undefined && mentionsReference(value));
    if (value !== undefined && !isDropped) all.set(name, value);
  }
  for (const file of sources.files) {
    for (const [name, value] of await readEnvFile(io, file)) all.set(name, value);
  }
  for (const each of sources.single) {
    const [name, value] = parseSingle(each);
    all.set(name, value);
  }
  for (const name of ownVariables) all.delete(name);
  return sort(all);
}

async function readEnvFile(io: Io, file: string): Promise<ReadonlyMap<string, string>> {
  // Programs of Windows begin a file with a mark that is none of its text.
  const text = utf8Text(await readInput(io, file, maxFileBytes))?.replace(/^\ufeff/, '');
  if (text === undefined) throw new UsageError(`${file} is not UTF-8 text`);
  const parsed = new Map<string, string>();
  for (const [name, value] of Object.entries(parseEnv(text))) {
    checkName(name, file);
    if (value !== undefined) parsed.set(name, value);
  }
  requireAssignments(text, parsed, file);
  await refusePlaceholders(parsed, file);
  return parsed;
}

/** Nothing resolves a placeholder here: its text would reach a program as a credential. */
async function refusePlaceholders(variables: ReadonlyMap<string, string>, file: string): Promise<void> {
  const suspects = [...variables].filter(([, value]) => value.includes('${secrets.'));
  if (suspects.length === 0) return;
  const { isPlaceholderIn } = await import('@strongroom/contract/core');
  const held = suspects.filter(([, value]) => isPlaceholderIn(value));
  if (held.length === 0) return;
  throw new StrongroomError('reference_malformed', {
    detail: `A variable of ${file} has a placeholder, which only configurations take. Nothing was started.`,
    hint: 'Put a reference in its place; strongroom placeholders migrate does that in a directory of files.',
    errors: held.map(([name]) => ({ pointer: name, message: 'a placeholder is not resolved here' })),
  });
}

/** The parser passes over lines without `=`. One that belongs to no value would be a variable that is missing without a word. */
function requireAssignments(text: string, parsed: ReadonlyMap<string, string>, file: string): void {
  for (const [index, line] of text.split('\n').entries()) {
    const bare = line.trim().replace(/["'`]\s*(?:#.*)?$/, '');
    if (bare === '' || bare.startsWith('#') || bare.includes('=')) continue;
    const isInValue = [...parsed.values()].some((value) => value.includes(bare));
    if (!isInValue) throw new UsageError(`${file}:${index + 1} is not NAME=VALUE`);
  }
}

function parseSingle(text: string): readonly [name: string, value: string] {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals));
  checkName(name, '--env');
  const value = text.slice(equals + 1);
  if (!value.startsWith(scheme)) {
    throw new UsageError(
      `--env ${name} is not a reference; other values are seen by other users of this machine when they are arguments`,
      `Write --env ${name}=secret://domain/managed/KEY, or set ${name} in the environment or a file.`,
    );
  }
  return [name, value];
}

/** POSIX.1-2017 §8.1; the name is repeated only when it is one. */
function checkName(name: string, where: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,254}$/.test(name)) throw new UsageError(`${where} has a line that is not NAME=VALUE`);
}

function sort(all: ReadonlyMap<string, string>): Variables {
  const plain = new Map<string, string>();
  const references = new Map<string, string>();
  const errors: { pointer: string; message: string }[] = [];
  for (const [name, value] of all) {
    if (value.startsWith(scheme)) references.set(name, value);
    else if (mentionsReference(value)) {
      errors.push({ pointer: name, message: 'a reference must be the whole value, beginning with secret://' });
    } else plain.set(name, value);
  }
  if (errors.length > 0) {
    throw new StrongroomError('reference_malformed', {
      detail: 'A variable contains a reference among other text. Nothing was started.',
      hint: 'Give the reference a variable of its own, and let the program put the text together.',
      errors,
    });
  }
  // `__proto__` is a name like any other.
  return { plain: Object.fromEntries(plain), references: Object.fromEntries(references) };
}

function mentionsReference(value: string): boolean {
  return value.toLowerCase().includes(scheme);
}
