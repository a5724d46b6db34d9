import { dirname, isAbsolute, resolve } from 'node:path';
import { isRecord, UsageError } from './errors.ts';
import { readInput, utf8Text } from './input.ts';
import type { Io } from './io.ts';

/** One configuration of a manifest, as the API takes it. */
export interface Manifest {
  readonly kind: string;
  readonly domain: string;
  readonly name: string;
  /** Checked by the server, which names every bad field. */
  readonly body: Readonly<Record<string, unknown>>;
}

const maxManifestBytes = 4 * 1024 * 1024;
/** What a manifest is managed by when it doesn't say. */
const manager = 'strongroom apply';

/**
 * Reads a YAML manifest (one or more documents): the API's own object with `kind` and `domain`. Two things are relative to
 * the file: `files[].fromFile`, whose content is taken, and `workingDirectory`, which is made absolute.
 *
 * @param path `-` is stdin, relative to the working folder
 * @param domain for documents that name none; another one in a document is refused
 * @param kinds that are taken
 * @throws UsageError with line and column, never with a line of the file: it may hold a value by mistake
 */
export async function readManifests(
  io: Io,
  path: string,
  domain: string | undefined,
  kinds: readonly string[],
): Promise<readonly Manifest[]> {
  const folder = path === '-' ? io.cwd : dirname(resolve(io.cwd, path));
  const documents = await readDocuments(io, path);
  if (documents.length === 0) throw new UsageError(`${path} holds no configuration`);
  const manifests: Manifest[] = [];
  for (const [index, document] of documents.entries()) {
    const where = documents.length === 1 ? path : `${path}, document ${index + 1}`;
    manifests.push(await toManifest(io, document, where, folder, domain, kinds));
  }
  return manifests;
}

/** The documents of a YAML file that are not empty. @throws UsageError with line and column, never with a line of the file */
export async function readDocuments(io: Io, path: string): Promise<readonly unknown[]> {
  const text = utf8Text(await readInput(io, path, maxManifestBytes));
  if (text === undefined) throw new UsageError(`${path} is not UTF-8 text`);
  return parseYaml(text, path);
}

async function parseYaml(text: string, path: string): Promise<readonly unknown[]> {
  const { isEmpty, LineCounter, parseAllDocuments } = await loadYaml();
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { prettyErrors: false, lineCounter, uniqueKeys: true, version: '1.2' });
  if (isEmpty(documents)) return [];
  const values: unknown[] = [];
  for (const document of documents) {
    const [error] = document.errors;
    if (error !== undefined) {
      const { line, col } = lineCounter.linePos(error.pos[0]);
      throw new UsageError(`${path}:${line}:${col} is not YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`);
    }
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    // What follows the last `---` may be empty.
    if (value !== null) values.push(value);
  }
  return values;
}

async function loadYaml() {
  const yaml = await import('yaml');
  type Documents = ReturnType<typeof yaml.parseAllDocuments>;
  const isEmpty = (documents: Documents): documents is Extract<Documents, { empty: true }> => 'empty' in documents;
  return { ...yaml, isEmpty };
}

/** What is typed anywhere in a connection's config, by its place. */
function typedCredentials(part: unknown, place: string): [string, unknown][] {
  if (!isRecord(part) && !Array.isArray(part)) return [];
  return Object.entries(part).flatMap(([name, content]): [string, unknown][] => {
    const at = `${place}.${name}`;
    const [only, second] = isRecord(content) ? Object.keys(content) : [];
    const isTyped = second === undefined && (only === 'set' || only === 'value');
    return isTyped ? [[at, content]] : typedCredentials(content, at);
  });
}

async function toManifest(
  io: Io,
  document: unknown,
  where: string,
  folder: string,
  domain: string | undefined,
  kinds: readonly string[],
): Promise<Manifest> {
  if (!isRecord(document)) throw new UsageError(`${where} is not an object`);
  const { kind, domain: own, ...body } = document;
  if (typeof kind !== 'string' || !kinds.includes(kind))
    throw new UsageError(`${where} has no kind, or another one than ${kinds.join(', ')}`);
  for (const [field, content] of [...Object.entries(body), ...typedCredentials(body['config'], 'config')])
    if (isRecord(content) && ('set' in content || 'value' in content))
      throw new UsageError(
        `${where}: ${field} holds a value`,
        `A manifest holds references; give a value with --credential ${field}=FILE.`,
      );
  if (own !== undefined && typeof own !== 'string') throw new UsageError(`${where}: domain is not text`);
  if (own !== undefined && domain !== undefined && own !== domain) {
    throw new UsageError(`${where} is for the domain ${own}, and --domain says ${domain}`);
  }
  const target = own ?? domain;
  if (target === undefined) throw new UsageError(`${where} names no domain`, 'Add domain: to it, or --domain.');
  const { name } = body;
  if (typeof name !== 'string') throw new UsageError(`${where} has no name`);
  const { workingDirectory, files } = body;
  const filled = {
    managedBy: manager,
    ...body,
    ...(typeof workingDirectory === 'string' ? { workingDirectory: absolute(folder, workingDirectory) } : {}),
    ...(Array.isArray(files) ? { files: await inlineFiles(io, files, where, folder) } : {}),
  };
  return { kind, domain: target, name, body: filled };
}

function absolute(folder: string, path: string): string {
  return isAbsolute(path) ? path : resolve(folder, path);
}

async function inlineFiles(io: Io, files: readonly unknown[], where: string, folder: string): Promise<unknown[]> {
  const inlined: unknown[] = [];
  for (const file of files) {
    if (!isRecord(file) || !('fromFile' in file)) {
      inlined.push(file);
      continue;
    }
    const { fromFile, ...rest } = file;
    if (typeof fromFile !== 'string') throw new UsageError(`${where}: fromFile is not text`);
    if ('content' in rest) throw new UsageError(`${where}: a file has both content and fromFile`);
    const content = utf8Text(await readInput(io, absolute(folder, fromFile), maxManifestBytes));
    if (content === undefined) throw new UsageError(`${where}: ${fromFile} is not UTF-8 text`);
    inlined.push({ ...rest, content });
  }
  return inlined;
}
