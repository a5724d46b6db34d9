// Where bundles of this program are, and which one is right to run. scripts/bundle.ts writes them.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const sources = new URL('../src/main.ts', import.meta.url);
const repository = new URL('../../../', import.meta.url);

/** Holds a folder for each bundle, and `current.json`, which names the newest and what it was made of. */
export const bundlesFolder = new URL('../bundle/', import.meta.url);

/** The sources themselves: what runs when there is no bundle of them as they are now. */
export const fromSources = { id: 'sources', main: sources };

/**
 * The bundle that was made of exactly these sources; undefined when there is none, or one of them was changed since. A
 * published package brings no sources, and its bundle is always right.
 *
 * @returns {{ id: string, main: URL } | undefined}
 */
export function currentBundle(bundles = bundlesFolder) {
  const { id, inputs } = readCurrent(new URL('current.json', bundles));
  if (typeof id !== 'string' || typeof inputs !== 'object' || inputs === null) return undefined;
  const main = new URL(`${id}/src/main.js`, bundles);
  if (!existsSync(main)) return undefined;
  const isCurrent = !existsSync(sources) || Object.entries(inputs).every(([path, input]) => isUnchanged(path, input));
  return isCurrent ? { id, main } : undefined;
}

/** Empty where there is none, and where a power cut left a part of one. */
function readCurrent(file) {
  if (!existsSync(file)) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}

/** Its content is read only where its time is another one, as after a copy. */
function isUnchanged(path, { bytes, modified, sha256 }) {
  const file = new URL(path, repository);
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined || stats.size !== bytes) return false;
  return stats.mtimeMs === modified || createHash('sha256').update(readFileSync(file)).digest('hex') === sha256;
}

/** Of the user alone: in a shared folder somebody else could plant code. */
export function userCacheFolder() {
  const configured = process.env.XDG_CACHE_HOME ?? '';
  return join(configured.startsWith('/') ? configured : join(homedir(), '.cache'), 'strongroom');
}
