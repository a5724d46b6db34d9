import { StrongroomError } from '@strongroom/contract/errors';

const loopbackV4 = /^127(?:\.\d{1,3}){3}$/;

/**
 * Checks a server's address: https, or plain http to loopback, without credentials, query or fragment. A path is kept as
 * the prefix of every route.
 *
 * @returns The address without a slash at its end.
 * @throws StrongroomError `validation_failed`; the text isn't repeated, it may hold a password.
 */
export function checkServerAddress(text: string): string {
  if (!URL.canParse(text)) throw refused('is not a URL; write it like https://strongroom.example.com');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw refused('must not hold a user name or password');
  if (url.search !== '' || url.hash !== '') throw refused('must not have a query or a fragment');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    throw refused('must be https; plain http is taken for loopback only, as it would show the token to the network');
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || loopbackV4.test(host);
}

function refused(reason: string): StrongroomError {
  return new StrongroomError('validation_failed', {
    detail: `The server's address ${reason}.`,
    hint: 'Set STRONGROOM_URL, like https://strongroom.example.com.',
  });
}
