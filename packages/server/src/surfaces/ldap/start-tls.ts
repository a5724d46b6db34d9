import type { Egress } from '@strongroom/backends/egress';
import type { Socket } from 'node:net';
import { causeOfEgress, isEgressError } from '../network-step.ts';
import { MessageRefusal } from '../whole-messages.ts';
import { LdapFailure } from './failure.ts';
import { MessageReader } from './messages.ts';

/** StartTLS (RFC 4511 §4.14): what is said before TLS stands, and nothing of what came before it is believed after it. */

/** ExtendedRequest with message identifier 1. */
const request = Buffer.concat([
  Buffer.from([0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16]),
  Buffer.from('1.3.6.1.4.1.1466.20037', 'latin1'),
]);
const answerMilliseconds = 10_000;

export interface TlsPlace {
  readonly host: string;
  readonly port: number;
  readonly ca?: string;
}

/**
 * Asks for TLS over a new connection, and begins it.
 *
 * @returns the connection to go on with; the one that was given is TLS's own from here on
 * @throws LdapFailure; the connection is gone then
 */
export async function startTls(egress: Egress, socket: Socket, place: TlsPlace, signal: AbortSignal): Promise<Socket> {
  try {
    const answer = await ask(socket, signal);
    const { BerReader } = await import('ldapts');
    const reader = new BerReader(answer);
    reader.readSequence();
    reader.readInt();
    const operation = reader.readSequence();
    if (operation !== 0x78 || reader.readEnumeration() !== 0) throw new LdapFailure('tls', 'tls-refused');
    return await egress.startTls(socket, { ...place, signal });
  } catch (error) {
    socket.destroy();
    if (error instanceof MessageRefusal) throw new LdapFailure('tls', error.reason);
    if (error instanceof Error && isEgressError(error)) throw new LdapFailure('tls', causeOfEgress(error));
    throw error;
  }
}

/** The one message that is answered. @throws MessageRefusal, LdapFailure */
async function ask(socket: Socket, signal: AbortSignal): Promise<Buffer> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(answerMilliseconds)]);
  const reader = new MessageReader();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const onData = (piece: Buffer): void => {
    try {
      const [answer, more] = [...reader.take(piece)];
      if (answer === undefined) return;
      // What follows before TLS stands was put there by somebody between, to be taken for what TLS protects.
      if (more !== undefined || !reader.isBetween) throw new MessageRefusal('malformed');
      resolve(answer);
    } catch (error) {
      reject(error);
    }
  };
  const onClose = (): void => reject(new LdapFailure('tls', 'unreachable'));
  const onAbort = (): void => reject(new LdapFailure('tls', 'deadline'));
  socket.on('data', onData).on('close', onClose);
  limited.addEventListener('abort', onAbort, { once: true });
  if (limited.aborted) onAbort();
  try {
    socket.write(request);
    return await promise;
  } finally {
    limited.removeEventListener('abort', onAbort);
    socket.off('data', onData).off('close', onClose).pause();
  }
}
