import { existsSync } from 'node:fs';

/** The folder of this package, wherever the build put this file: the nearest one above that has a package.json. */
export const packageRoot: URL = find(new URL('./', import.meta.url));

function find(folder: URL): URL {
  if (existsSync(new URL('package.json', folder))) return folder;
  const parent = new URL('../', folder);
  if (parent.href === folder.href) throw new TypeError('This file is in no package');
  return find(parent);
}
