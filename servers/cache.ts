import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder of one version of something that live tests install: never inside the repository. */
export function serverFolder(name: string, version: string): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const parent = join(cache, 'strongroom-servers');
  mkdirSync(parent, { recursive: true });
  return join(parent, `${name}-${version}`);
}
