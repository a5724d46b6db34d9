import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodePublicKeyText } from '@strongroom/crypto';
import { syncDirectory } from '../store/data-directory.ts';

/** The file with the public keys, one a line, oldest first; beside the anchor. */
export function publicKeyFile(anchorPath: string): string {
  return join(dirname(anchorPath), 'audit.pub');
}

/** Adds the key to the file when it is not there. Copy the file to where the log is verified: it is what is trusted there. */
export function publishPublicKey(path: string, publicKey: Uint8Array): void {
  const line = encodePublicKeyText(publicKey);
  const known = readIfThere(path)
    .split('\n')
    .filter((text) => text !== '');
  if (known.includes(line)) return;
  writeFileSync(path, `${[...known, line].join('\n')}\n`, { mode: 0o644, flush: true });
  syncDirectory(dirname(path));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
