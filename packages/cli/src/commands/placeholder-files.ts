import { resolve } from 'node:path';
import type { Cli, Session } from '../cli.ts';
import { CheckFailed, UsageError } from '../errors.ts';
import { exitCode } from '../exit-codes.ts';
import { count } from '../output/text.ts';
import type { DatabricksScopes, FileFinding } from '../placeholders/finding.ts';
import type { DirectoryOutcome, UndoneEdit } from '../placeholders/rewrite-directory.ts';

/** `strongroom placeholders … DIRECTORY`: files, without a server. */

type Output = Cli['output'];

interface FileOptions {
  readonly domain?: string;
  readonly platform?: true;
  readonly configuration?: readonly unknown[];
  readonly databricksScope?: readonly { readonly name: string; readonly target: string }[];
  readonly dryRun?: true;
  readonly write?: true;
}

export async function scanFiles(
  { io, output }: Session,
  directory: string,
  options: FileOptions & { readonly check?: true },
): Promise<undefined> {
  requireFilesOnly(options);
  const { migrateDirectory } = await import('../placeholders/rewrite-directory.ts');
  const found = await migrateDirectory(resolve(io.cwd, directory), await scopesOf(options), false);
  const { items, files, skipped } = found;
  const scanned = { items: items.map(({ file, findings }) => ({ file, findings })), files, skipped };
  output.answer(scanned, () => printFindings(output, found));
  noteSkipped(output, found);
  const findings = items.reduce((sum, each) => sum + each.findings.length, 0);
  const told = `${count(findings, 'finding')} in ${count(files, 'file')}`;
  if (options.check === true && findings > 0) throw new CheckFailed(told);
  const unseen = skipped.filter(({ reason }) => reason === 'unreadable' || reason === 'too-large');
  if (options.check === true && unseen.length > 0)
    throw new CheckFailed(`${told}, and ${unseen.length} left out that may hold some`);
  output.note(told);
  return undefined;
}

/** Writes with `--write` alone. */
export async function migrateFiles({ io, output }: Session, directory: string, options: FileOptions): Promise<number> {
  const isWritten = mayWrite(options);
  const { migrateDirectory } = await import('../placeholders/rewrite-directory.ts');
  const done = await migrateDirectory(resolve(io.cwd, directory), await scopesOf(options), isWritten);
  output.answer(done, () => printFindings(output, done));
  return told(output, done, 'migrated');
}

/** Writes with `--write` alone. */
export async function undoFiles({ io, output }: Session, directory: string, options: FileOptions): Promise<number> {
  const isWritten = mayWrite(options);
  const { undoDirectory } = await import('../placeholders/rewrite-directory.ts');
  const done = await undoDirectory(resolve(io.cwd, directory), isWritten);
  output.answer(done, () => printUndone(output, done));
  return told(output, done, 'put back');
}

function mayWrite(options: FileOptions): boolean {
  requireFilesOnly(options);
  if (options.write === true && options.dryRun === true)
    throw new UsageError('--write and --dry-run are one or the other');
  return options.write === true;
}

function requireFilesOnly({ domain, platform, configuration }: FileOptions): void {
  if (domain !== undefined || platform !== undefined || configuration !== undefined)
    throw new UsageError('a directory has no --domain, --platform or --configuration', 'Run it once for each.');
}

/** @throws UsageError for a scope named twice, or a target that makes no reference */
async function scopesOf({ databricksScope = [] }: FileOptions): Promise<DatabricksScopes> {
  const { parseReference, StrongroomError } = await import('@strongroom/contract/core');
  const scopes = new Map<string, string>();
  for (const { name, target } of databricksScope) {
    if (scopes.has(name)) throw new UsageError(`the scope ${name} is there twice`);
    try {
      if (parseReference(`${target}key`).field !== undefined)
        throw new UsageError(`the target of ${name} ends where the key begins`);
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      throw new UsageError(`the target of ${name} makes no reference`, error.hint);
    }
    scopes.set(name, target);
  }
  return scopes;
}

const reasons: Readonly<Record<NonNullable<FileFinding['stays']>, string>> = {
  'not-closed': 'It means no secret, wherever it is used. Close it: ${secrets.KEY}.',
  'no-key': 'It means no secret, wherever it is used: none can have the key. Write ${secrets.KEY}.',
  'inside-text': 'It is part of a longer text; placeholders there go on working. Give the secret a field of its own.',
  'part-of-value':
    'strongroom run takes a reference as a whole value alone. Give the secret a variable of its own, and put the text together in the program.',
  'other-place': 'No reference is resolved here. Use an environment variable or a manifest.',
  'text-only': 'The field takes a text and no reference; a placeholder there goes on working.',
  'in-code': 'It is code. Have the value in an environment variable and read that.',
  'scope-not-mapped': 'Say with --databricks-scope where the secrets of this scope are.',
  'needs-server':
    'Only the server makes secrets: migrate the configuration with --create-secrets, or create one and refer to it.',
  notation:
    'The way in which it is written is left alone. Write it on one line, as NAME: TEXT or NAME=TEXT, then migrate.',
  encoding: 'The file is not UTF-8, and is only read. Save it as UTF-8, then migrate.',
};

function noteReasons(output: Output, items: DirectoryOutcome<FileFinding>['items']): void {
  const named = new Set(items.flatMap(({ findings }) => findings.flatMap(({ stays }) => (stays ? [stays] : []))));
  for (const reason of named) output.note(`${reason}: ${reasons[reason]}`);
}

function printFindings(output: Output, { items }: DirectoryOutcome<FileFinding>): void {
  output.table(
    [
      { title: 'FILE' },
      { title: 'NAME' },
      { title: 'FOUND' },
      { title: 'OUTCOME' },
      { title: 'BECOMES', canWrap: true },
    ],
    items.flatMap(({ file, findings, outcome, problem }) =>
      findings.map(({ line, name = '-', kind, names, becomes = '-', stays }) => [
        `${file}:${line}`,
        name,
        names === undefined ? kind : `${kind} ${names}`,
        stays === undefined ? outcome : `stays (${stays})`,
        problem ?? becomes,
      ]),
    ),
  );
  noteReasons(output, items);
}

function printUndone(output: Output, { items }: DirectoryOutcome<UndoneEdit>): void {
  output.table(
    [{ title: 'FILE' }, { title: 'REFERENCE' }, { title: 'OUTCOME', canWrap: true }],
    items.flatMap(({ file, findings, outcome, problem }) =>
      problem === undefined
        ? findings.map(({ reference, stays }) => [file, reference, stays === undefined ? outcome : `stays (${stays})`])
        : [[file, '-', `failed: ${problem}`]],
    ),
  );
}

function told(output: Output, done: DirectoryOutcome<unknown>, verb: string): number {
  noteSkipped(output, done);
  const by = (wanted: string) => done.items.filter(({ outcome }) => outcome === wanted).length;
  if (by('would-change') > 0) output.note(`${count(by('would-change'), 'file')} would be ${verb}; --write does it`);
  else output.note(`${count(by('changed'), 'file')} ${verb}, ${by('failed')} failed`);
  return by('failed') > 0 ? exitCode.conflict : exitCode.done;
}

function noteSkipped(output: Output, { skipped }: DirectoryOutcome<unknown>): void {
  for (const { file, reason } of skipped) output.note(`left out ${file} (${reason})`);
}
