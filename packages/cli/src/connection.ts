import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { checkServerAddress, type Client, createClient, ServerError, StrongroomError } from '@strongroom/sdk';
import { tokenFromFile, workloadTokenFile } from '@strongroom/sdk/token-file';
import { UsageError } from './errors.ts';
import type { Io } from './io.ts';
import { readProfile } from './profile.ts';
import { version } from './version.ts';

const defaultUrl = 'http://127.0.0.1:8480';

/** Which server, and who is calling. */
export interface Connection {
  /** Checked, without a slash at its end. */
  readonly url: string;
  readonly token: string | (() => Promise<string>) | undefined;
  readonly tokenFrom: 'STRONGROOM_TOKEN' | 'STRONGROOM_TOKEN_FILE' | 'profile' | 'the pod’s token' | 'nowhere';
}

/**
 * Finds server and credential. The environment wins over the profile, and the profile's session goes to the profile's
 * server only. In a pod there is neither: its projected token goes to the server that STRONGROOM_URL names.
 *
 * @param mounted where a pod has its token
 * @throws UsageError for settings that contradict each other or can't be read; StrongroomError for a bad address
 */
export async function findConnection(io: Io, mounted = workloadTokenFile): Promise<Connection> {
  const { STRONGROOM_URL: url = '', STRONGROOM_TOKEN: token = '', STRONGROOM_TOKEN_FILE: file = '' } = io.env;
  if (token !== '' && file !== '') {
    throw new UsageError('STRONGROOM_TOKEN and STRONGROOM_TOKEN_FILE are both set', 'Unset one of them.');
  }
  const configured = url === '' ? undefined : checkServerAddress(url);
  if (configured !== undefined && token !== '') return { url: configured, token, tokenFrom: 'STRONGROOM_TOKEN' };
  if (configured !== undefined && file !== '') {
    return { url: configured, token: await fileToken(io, file), tokenFrom: 'STRONGROOM_TOKEN_FILE' };
  }
  const profile = await readProfile(io);
  const address = configured ?? checkServerAddress(profile?.url ?? defaultUrl);
  if (token !== '') return { url: address, token, tokenFrom: 'STRONGROOM_TOKEN' };
  if (file !== '') return { url: address, token: await fileToken(io, file), tokenFrom: 'STRONGROOM_TOKEN_FILE' };
  if (profile !== undefined && checkServerAddress(profile.url) === address) {
    return { url: address, token: profile.token, tokenFrom: 'profile' };
  }
  if (configured !== undefined && (await isThere(mounted)))
    return { url: address, token: tokenFromFile(mounted), tokenFrom: 'the pod’s token' };
  return { url: address, token: undefined, tokenFrom: 'nowhere' };
}

/** A client for calls that need no credential, or that have it. */
export function clientFor(connection: Pick<Connection, 'url' | 'token'>, timeoutMilliseconds?: number): Client {
  return createClient({
    url: connection.url,
    userAgent: `strongroom-cli/${version}`,
    ...(connection.token === undefined ? {} : { token: connection.token }),
    ...(timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds }),
  });
}

/** @throws StrongroomError `unauthenticated` when there is no credential */
export async function connect(io: Io, timeoutMilliseconds?: number): Promise<Client> {
  const connection = await findConnection(io);
  if (connection.token === undefined) {
    throw new StrongroomError('unauthenticated', { detail: `There is no session for ${connection.url}.` });
  }
  return clientFor(connection, timeoutMilliseconds);
}

/** What stood in for a session that the server doesn't take; without one, the table's own words say enough. */
const refused: Partial<Record<Connection['tokenFrom'], { readonly detail: string; readonly hint: string }>> = {
  STRONGROOM_TOKEN: {
    detail: 'The server does not take the token in STRONGROOM_TOKEN.',
    hint: 'It has expired, was revoked, or is of another server. Unset it to use the session of strongroom login.',
  },
  STRONGROOM_TOKEN_FILE: {
    detail: 'The server does not take the token in the file that STRONGROOM_TOKEN_FILE names.',
    hint: 'It has expired, was revoked, or is of another server.',
  },
  profile: { detail: 'The session has ended.', hint: 'Run strongroom login.' },
};

/** The error as it is, or with what was not taken where the server only says that somebody has to sign in. */
export async function withTokenSource(error: ServerError, io: Io): Promise<ServerError> {
  if (error.detail !== undefined) return error;
  const { tokenFrom } = await findConnection(io);
  const said = refused[tokenFrom];
  if (said === undefined) return error;
  return new ServerError('unauthenticated', {
    ...said,
    cause: error,
    ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
  });
}

/** Read anew for each call: it is renewed in place while a command runs. */
async function fileToken(io: Io, file: string): Promise<() => Promise<string>> {
  const read = tokenFromFile(resolve(io.cwd, file));
  await read().catch((error: unknown) => {
    throw error instanceof StrongroomError
      ? new UsageError(`STRONGROOM_TOKEN_FILE: ${error.message.replace(/\.$/, '')}`)
      : error;
  });
  return read;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
