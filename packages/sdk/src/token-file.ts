import { readFile } from 'node:fs/promises';
import { StrongroomError } from './errors.ts';

/** Where a pod's projected token is, unless `STRONGROOM_TOKEN_FILE` names another place. */
export const workloadTokenFile = '/var/run/secrets/strongroom/token';

const maxTokenBytes = 16_384;

/**
 * A credential in a file, read anew for each call: a projected token is renewed in place, before it expires. For
 * `ClientOptions.token`.
 *
 * @throws StrongroomError (when called) `unauthenticated`; it says the path and the system's code, nothing of the content
 */
export function tokenFromFile(path: string): () => Promise<string> {
  return async () => {
    const bytes = await readFile(path).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
      throw new StrongroomError('unauthenticated', {
        detail: `The token’s file ${path} can't be read${code}.`,
        hint: 'Mount a projected ServiceAccount token there, or set STRONGROOM_TOKEN_FILE.',
      });
    });
    const token = bytes.byteLength > maxTokenBytes ? '' : bytes.toString('utf8').trim();
    if (token !== '') return token;
    throw new StrongroomError('unauthenticated', { detail: `The file ${path} does not hold a token.` });
  };
}
