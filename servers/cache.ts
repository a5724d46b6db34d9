import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface FolderOptions {
  /** Jobs run it, which have users of their own when the tests run as root: nobody else gets into root's home. */
  readonly isForJobs?: boolean;
}

/**
 * The folder of one version of something that live tests install: never inside the repository.
 * @param recipe everything else the result depends on; another recipe is another folder, so nothing installed is ever changed
 */
export function serverFolder(
  name: string,
  version: string,
  recipe: readonly (string | Uint8Array)[],
  { isForJobs = false }: FolderOptions = {},
): string {
  const own = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const parent = join(isForJobs && process.getuid?.() === 0 ? '/var/cache' : own, 'strongroom-servers');
  mkdirSync(parent, { recursive: true });
  const hash = createHash('sha256');
  for (const part of recipe) hash.update(createHash('sha256').update(part).digest());
  return join(parent, `${name}-${version}-${hash.digest('hex').slice(0, 8)}`);
}
