import { basename, extname } from 'node:path';
import { fileURLToPath } from 'node:url';

type FindModule = (module: URL) => URL;

let find: FindModule = (module) => module;

/** The file to start a process with for this module: the module itself, unless there is a bundle of it. */
export function startedModule(module: URL): URL {
  return find(module);
}

const isBundled = extname(fileURLToPath(import.meta.url)) === '.js';

/**
 * The file that a thread starts with or loads for this module. A bundle has those of threads in a folder of their own, apart
 * from what only the server uses: half as much to load for each thread.
 */
export function threadModule(module: URL): URL {
  return isBundled ? new URL(`./threads/${basename(module.pathname)}`, module) : find(module);
}

/**
 * From now on others than the modules themselves may be started. Tests run the sources, and let what they start come from a
 * bundle of the same sources, which loads in a quarter of the time; a server has no use for this.
 */
export function findStartedModules(by: FindModule): void {
  find = by;
}
