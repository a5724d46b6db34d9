import { connect as connectNet, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Address, parseAddress } from './addresses.ts';
import { denied, EgressError, reasonOf } from './errors.ts';
import { isLoopbackName } from './host-name.ts';
import { loopbackAddresses, type Policy, type UseRules } from './policy.ts';
import { connectThroughProxy } from './proxy.ts';
import type { Resolve } from './resolve.ts';
import type { Target } from './target.ts';

export interface ConnectParts {
  readonly policy: Policy;
  readonly resolve: Resolve;
  readonly proxy: URL | undefined;
}

/** How TLS is done; certificate and name are always verified. */
export interface TlsOptions {
  /** PEM certificates to trust instead of the well-known ones. */
  readonly ca?: string;
  /** The one protocol that is agreed on by ALPN (RFC 7301). */
  readonly protocol?: string;
}

const maxAddressesTried = 4;
const attemptMilliseconds = 2_000;

/**
 * A TCP connection to the target, after the check of every address that its name has. The signal ends it at any point,
 * by then throwing the signal's reason.
 *
 * @throws EgressError
 */
export async function openSocket(
  parts: ConnectParts,
  target: Target,
  rules: UseRules,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  parts.policy.checkTarget(target, rules);
  if (parts.proxy !== undefined && parts.policy.usesProxy(target))
    return connectThroughProxy(parts.proxy, target, signal);
  const addresses = target.address === null ? await addressesOf(parts, target, signal) : [target.address];
  parts.policy.checkAddresses(target, addresses, rules);
  return connectChecked(target, addresses.slice(0, maxAddressesTried), signal);
}

async function addressesOf(
  { resolve }: ConnectParts,
  target: Target,
  signal: AbortSignal,
): Promise<readonly Address[]> {
  if (isLoopbackName(target.host)) return loopbackAddresses;
  const texts = await orAborted(resolve(target.host), signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw unresolved(target, error);
  });
  const addresses = texts.map(parseAddress);
  if (addresses.length === 0) throw unresolved(target, undefined);
  // A zone, or something that is no address: nothing that may be guessed at.
  if (addresses.includes(null)) throw denied(`${target.label} leads to an address that is not allowed.`);
  return addresses.filter((address) => address !== null);
}

function unresolved(target: Target, error: unknown): EgressError {
  const reason = reasonOf(error);
  const isMissing = reason === undefined || reason === 'ENOTFOUND' || reason === 'ENODATA';
  return new EgressError('backend_unavailable', 'reachable', {
    detail: `${target.label}: ${isMissing ? 'there is no such name' : 'the name could not be looked up'}.`,
    ...(reason === undefined ? {} : { reason }),
  });
}

/** The first of `promise` and the end of the signal; what comes later is dropped. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Connects to one of these addresses and to no other. The name goes along for the lookup alone, which answers with them. */
async function connectChecked(target: Target, addresses: readonly Address[], signal: AbortSignal): Promise<Socket> {
  const [first] = addresses;
  const socket = connectNet({
    port: target.port,
    noDelay: true,
    keepAlive: true,
    ...(addresses.length === 1 && first !== undefined
      ? { host: first.text }
      : {
          host: target.host,
          autoSelectFamily: true,
          autoSelectFamilyAttemptTimeout: attemptMilliseconds,
          lookup: (_host, _options, done) =>
            done(
              null,
              addresses.map(({ text, family }) => ({ address: text, family: family === 'ipv4' ? 4 : 6 })),
            ),
        }),
  });
  await opened(socket, 'connect', signal, (error) => unreachable(target, error));
  if (!isPeerAmong(socket, addresses)) {
    socket.destroy();
    throw denied(`${target.label}: the connection led to another address than the one that was checked.`);
  }
  return socket;
}

/** Whether the other end is one of the checked addresses. */
export function isPeerAmong(
  socket: { readonly remoteAddress?: string | undefined },
  addresses: readonly Address[],
): boolean {
  const peer = parseAddress(socket.remoteAddress ?? '');
  return peer !== null && addresses.some(({ text }) => text === peer.text);
}

function unreachable(target: Target, error: unknown): EgressError {
  const reason = reasonOf(error instanceof AggregateError ? error.errors[0] : error);
  return new EgressError('backend_unavailable', 'reachable', {
    detail: `${target.label} ${reason === 'ECONNREFUSED' ? 'refused the connection' : 'could not be reached'}.`,
    ...(reason === undefined ? {} : { reason }),
  });
}

/**
 * TLS (1.2 or newer) over an open connection, verified for the target's host: for an address its IP entry, for a name its
 * DNS entry. Destroys the connection when it fails.
 *
 * @throws EgressError
 */
export async function startTls(
  socket: Socket,
  target: Target,
  tls: TlsOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  if (signal.aborted) socket.destroy();
  signal.throwIfAborted();
  let secured: TLSSocket;
  try {
    secured = connectTls({
      socket,
      host: target.host,
      ...(target.address === null ? { servername: target.host } : {}),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      // Both are the defaults; said here, no variable of the environment changes them.
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ...(tls.protocol === undefined ? {} : { ALPNProtocols: [tls.protocol] }),
    });
  } catch (error) {
    socket.destroy();
    throw tlsFailure(target, error);
  }
  await opened(secured, 'secureConnect', signal, (error) => tlsFailure(target, error));
  return secured;
}

const certificateProblems: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another name',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is not signed by a trusted authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is not signed by a trusted authority',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate is not signed by a trusted authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is not signed by a trusted authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is not signed by a trusted authority',
};

function tlsFailure(target: Target, error: unknown): EgressError {
  const reason = reasonOf(error);
  return new EgressError('backend_unavailable', 'tls', {
    detail: `${target.label}: ${certificateProblems[reason ?? ''] ?? 'TLS could not be agreed on'}.`,
    hint: 'Check the scheme, the port and the CA certificate.',
    ...(reason === undefined ? {} : { reason }),
  });
}

/** Waits until a socket is open; destroys it and throws when it fails or closes first, or the signal ends. */
function opened(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
  explain: (error: unknown) => EgressError,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      socket.off(event, onOpen).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      finish();
    };
    const fail = (error: Error): void =>
      settle(() => {
        // Destroying may report once more; what matters is said already.
        socket.on('error', () => undefined).destroy();
        reject(error);
      });
    const onOpen = (): void => settle(resolve);
    const onError = (error: Error): void => fail(explain(error));
    const onClose = (): void => fail(explain(undefined));
    const onAbort = (): void => fail(signal.reason as Error);
    socket.on(event, onOpen).on('error', onError).on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
