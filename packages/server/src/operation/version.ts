import { readFileSync } from 'node:fs';
import { packageRoot } from '../package-root.ts';

/** The version of this package, from its own package.json. */
export const version: string = readVersion();

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8'));
  if (
    typeof manifest === 'object' &&
    manifest !== null &&
    'version' in manifest &&
    typeof manifest.version === 'string'
  )
    return manifest.version;
  throw new TypeError('package.json has no version');
}
