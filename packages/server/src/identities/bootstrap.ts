import { open } from 'node:fs/promises';
import { StrongroomError } from '@strongroom/contract';
import { isChosenToken, isPrivateFile, parseToken } from '@strongroom/crypto';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { createLink, hashCredential, type SignInLink, tokenPrefixes } from './credentials.ts';
import { foldUserName } from './user-name.ts';

const firstUserName = 'admin';
const bootstrapAccountName = 'bootstrap';
/** Bytes; the file holds one token and at most a line end. */
const maxTokenFileBytes = 1024;

export interface BootstrapOptions {
  /** STRONGROOM_BOOTSTRAP_TOKEN_FILE */
  readonly bootstrapTokenFile?: string | undefined;
  readonly clock?: () => number;
}

export interface BootstrapResult {
  /** What this start made, on an empty installation only. */
  readonly created: 'user' | 'service-account' | null;
  /** To print: the first administrator has not signed in yet and has no password. */
  readonly signInLink: { readonly userName: string; readonly link: SignInLink } | null;
}

/**
 * Makes the first administrator of an empty installation: the user `admin`, or with a token file the service account
 * `bootstrap` with exactly that token, which never expires (revoke it when real identities exist). On later starts the file is
 * not read.
 *
 * While `admin` has neither a password nor ever had a session, every start makes a new one-time link.
 * @throws StrongroomError `state_conflict` for a token file that is missing, malformed or open to others; nothing is created
 */
export async function bootstrapIdentities(
  store: Store,
  keys: Keys,
  options: BootstrapOptions = {},
): Promise<BootstrapResult> {
  const clock = options.clock ?? Date.now;
  const existing = await store.db.selectFrom('principals').select('id').limit(1).executeTakeFirst();
  let created: BootstrapResult['created'] = null;
  if (existing === undefined) created = await createFirst(store, keys, options.bootstrapTokenFile);
  if (!(await isAdminUntouched(store))) return { created, signInLink: null };
  const link = await createOperatorLink(store, keys, firstUserName, clock);
  return { created, signInLink: { userName: firstUserName, link } };
}

async function createFirst(
  store: Store,
  keys: Keys,
  tokenFile: string | undefined,
): Promise<'user' | 'service-account' | null> {
  if (tokenFile === undefined) {
    const first = { kind: 'user', id: newId('user'), name: firstUserName } as const;
    return (await store.execute('identities.bootstrap', { first })) ? 'user' : null;
  }
  const text = await readTokenFile(tokenFile);
  const { hmac, termId } = hashCredential(keys, text);
  const token = {
    id: newId('token'),
    hmac,
    termId,
    lastFour: text.slice(-4),
    description: 'From the bootstrap token file',
    expiresAt: null,
  };
  const first = { kind: 'service-account', id: newId('serviceAccount'), name: bootstrapAccountName, token } as const;
  return (await store.execute('identities.bootstrap', { first })) ? 'service-account' : null;
}

async function isAdminUntouched(store: Store): Promise<boolean> {
  const admin = await store.db
    .selectFrom('principals')
    .select(['id', 'password_hash'])
    .where('kind', '=', 'user')
    .where('name', '=', firstUserName)
    .where('created_by', '=', 'system')
    .where('deleted_at', 'is', null)
    .where('disabled_at', 'is', null)
    .executeTakeFirst();
  if (admin === undefined || admin.password_hash !== null) return false;
  const session = await store.db
    .selectFrom('sessions')
    .select('id')
    .where('principal_id', '=', admin.id)
    .limit(1)
    .executeTakeFirst();
  return session === undefined;
}

/**
 * A one-time sign-in link made on the server's own machine, for somebody who can read its key anyway. The way back in when
 * nobody can sign in.
 * @throws StrongroomError `not_found`; `state_conflict` for a disabled user
 */
export async function createOperatorLink(
  store: Store,
  keys: Keys,
  userName: string,
  clock: () => number = Date.now,
): Promise<SignInLink> {
  const name = foldUserName(userName);
  if (name === null) throw new StrongroomError('not_found', { detail: 'There is no user of this name.' });
  const { link, row } = createLink(keys, clock());
  await store.execute('identities.createOperatorLink', { userName: name, link: row });
  return link;
}

/** @throws StrongroomError `state_conflict`; the message never holds the file's content */
async function readTokenFile(path: string): Promise<string> {
  const refuse = (reason: string, cause?: unknown): StrongroomError =>
    new StrongroomError('state_conflict', {
      detail: `The bootstrap token file ${path} ${reason}.`,
      hint: 'STRONGROOM_BOOTSTRAP_TOKEN_FILE names a file of mode 0600 with one srt_ token of at least 32 characters.',
      cause,
    });
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw refuse('cannot be opened', cause);
  });
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw refuse('is not a file');
    if (!isPrivateFile(stat)) throw refuse('can be read by others: chmod 600');
    if (stat.size > maxTokenFileBytes) throw refuse('is too long');
    const text = (await file.readFile('utf8')).replace(/\r?\n$/, '');
    if (!isBootstrapToken(text)) throw refuse('does not hold a well-formed token');
    return text;
  } finally {
    await file.close();
  }
}

/** Ours, or one an operator made. */
function isBootstrapToken(text: string): boolean {
  return isChosenToken(text) || parseToken(text)?.prefix === tokenPrefixes.token;
}
