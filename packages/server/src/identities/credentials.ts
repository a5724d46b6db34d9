import { createToken } from '@strongroom/crypto';
import { StrongroomError } from '@strongroom/contract';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import type { NewLink } from './user-commands.ts';

/** What a credential's text begins with. */
export const tokenPrefixes = {
  /** Of a service account. */
  token: 'srt_',
  session: 'srs_',
  /** Held by the tab beside the session's cookie. */
  tab: 'srtab_',
  /** Of a one-time sign-in link. */
  link: 'srl_',
} as const;

const linkMilliseconds = 10 * 60_000;
export const sessionMilliseconds = 12 * 60 * 60_000;
export const sessionIdleMilliseconds = 60 * 60_000;

/** A fresh credential: the text for its holder, the keyed hash for the store. */
export interface FreshCredential {
  readonly text: string;
  readonly hmac: Uint8Array;
  readonly termId: string;
}

export function createCredential(keys: Keys, kind: keyof typeof tokenPrefixes): FreshCredential {
  return hashCredential(keys, createToken(tokenPrefixes[kind]));
}

/** @throws StrongroomError `key_unavailable` when there is no token key */
export function hashCredential(keys: Keys, text: string): FreshCredential {
  const [hash] = keys.tokenHashes(text);
  if (hash === undefined) throw new StrongroomError('key_unavailable', { detail: 'No key for tokens is available.' });
  return { text, ...hash };
}

/** A sign-in link as it is handed out, once. */
export interface SignInLink {
  readonly token: string;
  /** `/signin#…`: the token is in the fragment, which browsers don't send and servers don't log. */
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export function createLink(keys: Keys, now: number): { readonly link: SignInLink; readonly row: NewLink } {
  const { text, hmac, termId } = createCredential(keys, 'link');
  const expiresAt = now + linkMilliseconds;
  return {
    link: { token: text, path: `/signin#${text}`, expiresAt },
    row: { id: newId('link'), hmac, termId, expiresAt },
  };
}

/** The link's text for people. @param origin for instance `http://127.0.0.1:8480` */
export function signInLinkText(origin: string, link: SignInLink): string {
  return `${origin.replace(/\/$/, '')}${link.path}`;
}
