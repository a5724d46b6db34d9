import { realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { isPlaceholderIn } from '@strongroom/contract/core';
import { isRecord, UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import type { Io } from '../io.ts';
import { type ManifestFile, readManifestFiles } from './manifest-files.ts';
import { parseYaml } from './yaml.ts';

/** Where an object is. */
export type ManifestScope = 'domain' | 'global' | 'admin' | 'platform';

/** One object of a manifest, as the API takes it. */
export interface Manifest {
  readonly kind: string;
  readonly scope: ManifestScope;
  /** Of a domain's object, and of a domain itself; else empty. */
  readonly domain: string;
  /** What tells it from others of its kind and place. */
  readonly name: string;
  /** What applies it, where the manifest says so. */
  readonly managedBy: string | undefined;
  /** Checked by the server, which names every bad field. */
  readonly body: Readonly<Record<string, unknown>>;
  /** As it is said in errors. */
  readonly where: string;
  /** The file that it is in. */
  readonly file: string;
}

/** How manifests of a kind say what they are about. */
export interface ManifestShape {
  readonly kind: string;
  /** scope: a domain, or `scope: global` or `admin`; self: it is a domain. */
  readonly place: 'domain' | 'scope' | 'platform' | 'self';
  /** Of fields that together name it; absent: there is one. */
  readonly namedBy: readonly string[];
}

const maxIncludedBytes = 4 * 1024 * 1024;

/**
 * Reads manifests in YAML: the API's own objects with `kind` and `domain`. Two things are relative to the file:
 * `files[].fromFile`, whose content is taken, and `workingDirectory`, which is made absolute.
 *
 * @param path a file, a folder, or `-` for stdin, which is relative to the working folder
 * @param domain for documents that name none; another one in a document is refused
 * @param shapes of the kinds that are taken; a document of the only one may leave out its kind when that is of the platform
 * @throws UsageError naming the file and the place, never with what is there: it may be a value by mistake
 */
export async function readManifests(
  io: Io,
  path: string,
  domain: string | undefined,
  shapes: readonly ManifestShape[],
): Promise<readonly Manifest[]> {
  const manifests: Manifest[] = [];
  const seen = new Map<string, string>();
  for (const file of await readManifestFiles(io, path)) {
    const documents = await parseYaml(file.text, file.path);
    for (const [index, document] of documents.entries()) {
      const where = documents.length === 1 ? file.path : `${file.path}, document ${index + 1}`;
      const manifest = await toManifest(io, document, where, file, domain, shapes);
      const before = seen.get(identityOf(manifest));
      if (before !== undefined) throw new UsageError(`${where} is about the same ${manifest.kind} as ${before}`);
      seen.set(identityOf(manifest), where);
      manifests.push(manifest);
    }
  }
  if (manifests.length === 0) throw new UsageError(`${path} holds no manifest`);
  return manifests;
}

/** The documents of a YAML file that are not empty. @throws UsageError with line and column, never with a line of the file */
export async function readDocuments(io: Io, path: string): Promise<readonly unknown[]> {
  const [file] = await readManifestFiles(io, path);
  return file === undefined ? [] : parseYaml(file.text, file.path);
}

/** The same for two that are about one object. */
export function identityOf(manifest: Pick<Manifest, 'kind' | 'scope' | 'domain' | 'name'>): string {
  return JSON.stringify([manifest.kind, manifest.scope, manifest.domain, manifest.name]);
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

/** A text with placeholders says where its values are, and is shown as it was written. */
function isValue(sent: unknown): boolean {
  return sent !== undefined && !(typeof sent === 'string' && isPlaceholderIn(sent));
}

function refuseValues(body: Readonly<Record<string, unknown>>, kind: string, where: string): void {
  for (const [field, content] of [...Object.entries(body), ...typedCredentials(body['config'], 'config')])
    if (isRecord(content) && (isValue(content['set']) || isValue(content['value'])))
      throw new UsageError(
        `${where}: ${field} holds a value`,
        `A manifest holds references; give a value with --credential ${field}=FILE.`,
      );
  if (kind === 'integration' && 'credentials' in body)
    throw new UsageError(`${where} holds credentials`, 'Take them out; strongroom integration add takes them.');
  const typed = ['value', 'valueBase64', 'fields'].find((field) => kind === 'secret' && field in body);
  if (typed !== undefined)
    throw new UsageError(`${where}: ${typed} holds a value`, 'Take it out; strongroom secret create takes it.');
}

async function toManifest(
  io: Io,
  document: unknown,
  where: string,
  file: ManifestFile,
  domain: string | undefined,
  shapes: readonly ManifestShape[],
): Promise<Manifest> {
  if (!isRecord(document)) throw new UsageError(`${where} is not an object`);
  const [only, second] = shapes;
  const { kind = second === undefined && only?.place === 'platform' ? only.kind : undefined, ...rest } = document;
  const shape = shapes.find((each) => each.kind === kind);
  if (shape === undefined)
    throw new UsageError(
      `${where} has no kind, or another one than ${shapes.map((each) => each.kind).join(', ')}`,
      'What is no manifest belongs under another ending, or into another folder.',
    );
  refuseValues(rest, shape.kind, where);
  const { place, body } = placeOf(shape, rest, where, domain);
  const { managedBy, ...content } = body;
  if (managedBy !== undefined && (typeof managedBy !== 'string' || managedBy === ''))
    throw new UsageError(`${where}: managedBy is not text`);
  return {
    ...place,
    kind: shape.kind,
    name: nameIn(shape, content, where),
    managedBy,
    body: await withFiles(io, content, where, file),
    where,
    file: file.path,
  };
}

function nameIn({ namedBy }: ManifestShape, body: Readonly<Record<string, unknown>>, where: string): string {
  const names = namedBy.map((field) => {
    const name = body[field];
    if (typeof name !== 'string') throw new UsageError(`${where} has no ${field}`);
    return name;
  });
  return names.join(' ');
}

interface Placed {
  readonly place: Pick<Manifest, 'scope' | 'domain'>;
  readonly body: Readonly<Record<string, unknown>>;
}

function placeOf(
  shape: ManifestShape,
  document: Readonly<Record<string, unknown>>,
  where: string,
  given: string | undefined,
): Placed {
  if (shape.place === 'platform') return { place: { scope: 'platform', domain: '' }, body: document };
  const takesScope = shape.place === 'scope';
  const { scope: written, domain: own, ...rest } = document;
  // Only where an object may be elsewhere; of others it is the server's to refuse.
  const content = takesScope || written === undefined ? rest : { scope: written, ...rest };
  const scope = takesScope ? (written ?? 'domain') : 'domain';
  if (scope !== 'domain' && scope !== 'global' && scope !== 'admin')
    throw new UsageError(`${where}: scope is none of domain, global, admin`);
  if (scope !== 'domain') {
    if (own !== undefined) throw new UsageError(`${where} has a domain and the scope ${scope}`);
    return { place: { scope, domain: '' }, body: content };
  }
  if (own !== undefined && typeof own !== 'string') throw new UsageError(`${where}: domain is not text`);
  const named = shape.place === 'self' && typeof document['name'] === 'string' ? document['name'] : own;
  if (named !== undefined && given !== undefined && named !== given)
    throw new UsageError(`${where} is for the domain ${named}, and --domain says ${given}`);
  const domain = named ?? given;
  if (domain === undefined) throw new UsageError(`${where} names no domain`, 'Add domain: to it, or --domain.');
  return { place: { scope, domain }, body: content };
}

async function withFiles(
  io: Io,
  body: Readonly<Record<string, unknown>>,
  where: string,
  file: ManifestFile,
): Promise<Record<string, unknown>> {
  const { workingDirectory, files } = body;
  return {
    ...body,
    ...(typeof workingDirectory === 'string' ? { workingDirectory: absolute(file.folder, workingDirectory) } : {}),
    ...(Array.isArray(files) ? { files: await inlineFiles(io, files, where, file) } : {}),
  };
}

function absolute(folder: string, path: string): string {
  return isAbsolute(path) ? path : resolve(folder, path);
}

async function inlineFiles(
  io: Io,
  files: readonly unknown[],
  where: string,
  { folder, root }: ManifestFile,
): Promise<unknown[]> {
  const inlined: unknown[] = [];
  for (const file of files) {
    if (!isRecord(file) || !('fromFile' in file)) {
      inlined.push(file);
      continue;
    }
    const { fromFile, ...rest } = file;
    if (typeof fromFile !== 'string') throw new UsageError(`${where}: fromFile is not text`);
    if ('content' in rest) throw new UsageError(`${where}: a file has both content and fromFile`);
    const path = absolute(folder, fromFile);
    if (!(await isBelow(root, path)))
      throw new UsageError(
        `${where}: ${fromFile} is outside of the folder of the manifest`,
        'What it includes is sent to the server: copy the file into the folder if it is meant.',
      );
    const content = utf8Text(await readInput(io, path, maxIncludedBytes));
    if (content === undefined) throw new UsageError(`${where}: ${fromFile} is not UTF-8 text`);
    inlined.push({ ...rest, content });
  }
  return inlined;
}

/** Also where a link leads. Of what is not there only the path is judged; reading it says the rest. */
async function isBelow(root: string, path: string): Promise<boolean> {
  const real = await realpath(path).catch(() => undefined);
  const [top, target] = real === undefined ? [root, path] : [await realpath(root), real];
  const way = relative(top, target);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
