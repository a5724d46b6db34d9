// Makes of the sources and the packages they use the few files that `strongroom` runs: loading a thousand modules one by one
// takes three times as long. packages/cli/bin/bundle.mjs finds the result, and passes over it once a source was changed.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type OutputChunk, type Plugin, rolldown } from 'rolldown';
import { bundlesFolder, fromSources, userCacheFolder } from '../packages/cli/bin/bundle.mjs';
import { type BundleEntries, type Entries, programEntries } from './bundle-entries.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const assets = join(root, 'packages/server/assets');

/** What most servers never load stays where it is installed: SDKs of vendors; and what `pg` uses where somebody installed it. */
const loadedAtFirstUse = [
  /^@aws-sdk\//,
  /^@azure\//,
  /^@google-cloud\//,
  /^google-gax(?:\/|$)/,
  /^@kubernetes\//,
  'ldapts',
  'nodemailer',
  'pg-native',
];

/** Besides the modules: what decides which modules they are, and what is copied. */
const otherInputs = ['package-lock.json', 'packages/*/package.json', 'packages/server/assets/*', 'scripts/bundle*.ts'];

/** Of a file that went into the bundle. */
interface Input {
  readonly bytes: number;
  /** Unix milliseconds. */
  readonly modified: number;
  readonly sha256: string;
}

interface Compiled {
  readonly chunks: readonly OutputChunk[];
  /** From the root of the repository, with `/`. */
  readonly sources: readonly string[];
}

/**
 * Makes a bundle and lets it be the current one.
 *
 * @param directory where bundles are kept, a folder each: a server that runs keeps its own
 * @param outside packages that are not bundled, besides those that the program loads at first use
 * @returns the id of the bundle: what is in it, hashed
 * @throws Error when it can't be made or a source was changed meanwhile; the current one is then the same as before
 */
export async function bundle(
  directory: string,
  entries: BundleEntries = programEntries,
  outside: readonly string[] = [],
): Promise<string> {
  const started = Date.now();
  const ofProcesses = await compile(entries.processes, '', outside);
  const ofThreads = await compile(entries.threads, 'threads/', outside);
  const chunks = [...ofProcesses.chunks, ...ofThreads.chunks];
  const sources = [...ofProcesses.sources, ...ofThreads.sources];
  const id = idOf(chunks);
  const folder = join(directory, id);
  if (!existsSync(folder)) {
    const unfinished = join(directory, `unfinished-${process.pid}`);
    writePackage(unfinished, chunks);
    renameSync(unfinished, folder);
  }
  const inputs = Object.fromEntries(
    [...new Set([...sources, ...globSync(otherInputs, { cwd: root }).map(withSlashes)])]
      .sort()
      .map((path) => [path, readInput(path, started)]),
  );
  const current = join(directory, 'current.json');
  const written = `${current}.${process.pid}`;
  writeFileSync(written, JSON.stringify({ id, inputs }));
  renameSync(written, current);
  return id;
}

/** An import of `node:http` reads all that it exports, and some of that loads all of undici when it is read. */
const onlyWhatIsUsedOfHttp: Plugin = {
  name: 'only-what-is-used-of-http',
  resolveId: (specifier, _importer, { kind }) =>
    specifier === 'node:http' && kind === 'import-statement' ? '\0node:http' : null,
  load: (id) =>
    id === '\0node:http'
      ? `export const { createServer, IncomingMessage, request, ServerResponse } = process.getBuiltinModule('node:http');`
      : null,
};

/** @param folder where the result is, among the others of the bundle */
async function compile(entries: Entries, folder: '' | 'threads/', outside: readonly string[]): Promise<Compiled> {
  const build = await rolldown({
    cwd: root,
    input: entries,
    platform: 'node',
    external: [...loadedAtFirstUse, ...outside],
    plugins: [onlyWhatIsUsedOfHttp],
    onLog: (level, log) => {
      if (level === 'warn') throw new Error(`It is not fit to run: ${log.message}`);
    },
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      entryFileNames: `${folder}[name].js`,
      chunkFileNames: `${folder}[name]-[hash].js`,
    });
    const sources = (await build.watchFiles).map((path) => withSlashes(relative(root, path)));
    return {
      chunks: output.filter((file) => file.type === 'chunk'),
      sources: sources.filter((path) => path.startsWith('packages/') && !path.includes('node_modules/')),
    };
  } finally {
    await build.close();
  }
}

/** Shaped like a package, so that code finds its version and its assets where it does in the sources. */
function writePackage(folder: string, chunks: readonly OutputChunk[]): void {
  for (const place of new Set(chunks.map(({ fileName }) => dirname(join(folder, 'src', fileName)))))
    mkdirSync(place, { recursive: true });
  const { name, version } = JSON.parse(readFileSync(join(root, 'packages/cli/package.json'), 'utf8'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version, type: 'module' }));
  cpSync(assets, join(folder, 'assets'), { recursive: true });
  for (const { fileName, code } of chunks) writeFileSync(join(folder, 'src', fileName), code);
}

function idOf(chunks: readonly OutputChunk[]): string {
  const hash = createHash('sha256');
  for (const { fileName, code } of chunks) hash.update(`${fileName}\n${code.length}\n${code}\n`);
  for (const path of [
    ...globSync('*', { cwd: assets })
      .sort()
      .map((file) => join(assets, file)),
    join(root, 'packages/cli/package.json'),
  ])
    hash.update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

function readInput(path: string, started: number): Input {
  const file = join(root, path);
  const stats = statSync(file);
  // Not its time of modification, which a copy or an unpacking sets to the past.
  if (stats.ctimeMs >= started) throw new Error(`${path} was changed while the bundle was made`);
  return {
    bytes: stats.size,
    modified: stats.mtimeMs,
    sha256: createHash('sha256').update(readFileSync(file)).digest('hex'),
  };
}

/** Of older bundles the newest stays, for a server that still runs it; of compiled code, what belongs to neither goes. */
function removeOlder(directory: string, current: string): void {
  const older = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== current)
    .map(({ name }) => ({ name, modified: statSync(join(directory, name)).mtimeMs }))
    .sort((one, other) => other.modified - one.modified);
  for (const { name } of older.slice(1)) rmSync(join(directory, name), { recursive: true, force: true });
  const kept = new Set([current, older[0]?.name, fromSources.id]);
  const code = join(userCacheFolder(), 'code');
  for (const name of existsSync(code) ? readdirSync(code) : [])
    if (!kept.has(name)) rmSync(join(code, name), { recursive: true, force: true });
}

function withSlashes(path: string): string {
  return path.split(sep).join('/');
}

if (import.meta.main) {
  const directory = fileURLToPath(bundlesFolder);
  removeOlder(directory, await bundle(directory));
}
