import type { TestCause } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { Socket } from 'node:net';
import { checkMessages } from '../whole-messages.ts';
import { PostgresMessages } from './postgres-messages.ts';

/** One session of PostgreSQL over a connection that stands already; see the manual, "Frontend/Backend Protocol". */

/** Why it did not come about, in our words; the server's own are not kept. */
export class PostgresFailure extends Error {
  readonly step: 'tls' | 'sign-in' | 'query';
  readonly reason: TestCause;
  readonly words: string;

  constructor(step: PostgresFailure['step'], reason: TestCause, words: string) {
    super(words);
    this.step = step;
    this.reason = reason;
    this.words = words;
  }
}

/** SSLRequest: length 8, code 80877103. */
const tlsRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const answerMilliseconds = 8_000;
const noPostgres = 'What answers there does not speak PostgreSQL.';
/** What is said of a server that is not listened to any longer. */
export const tooLong = 'The server answered far more than a session begins with.';

/** Asks for TLS before anything else is sent. @throws PostgresFailure when it is not offered */
export async function requestTls(socket: Socket, signal: AbortSignal): Promise<void> {
  const answer = await new Promise<Buffer | 'closed' | 'late'>((resolve) => {
    const done = (bytes: Buffer | 'closed' | 'late'): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', late);
      socket.off('data', done);
      socket.off('close', closed);
      // What follows belongs to TLS.
      socket.pause();
      resolve(bytes);
    };
    const late = (): void => done('late');
    const closed = (): void => done('closed');
    const timer = setTimeout(late, answerMilliseconds);
    signal.addEventListener('abort', late, { once: true });
    socket.on('data', done);
    socket.on('close', closed);
    socket.write(tlsRequest);
  });
  if (answer === 'late') throw new PostgresFailure('tls', 'deadline', 'It took too long.');
  if (answer === 'closed')
    throw new PostgresFailure('tls', 'malformed', 'Nothing that speaks PostgreSQL answered there.');
  // More than one byte before TLS stands was put there by somebody between (CVE-2021-23222).
  if (answer.length === 1 && answer[0] === 0x53) return;
  if (answer.length === 1 && answer[0] === 0x4e)
    throw new PostgresFailure(
      'tls',
      'tls-refused',
      'The server offers no TLS; on this machine sslMode disable goes without.',
    );
  throw new PostgresFailure('tls', 'malformed', noPostgres);
}

export interface PostgresSignIn {
  readonly user: string;
  readonly database: string;
  readonly password: SecretValue | undefined;
}

/** Signs in, asks `SELECT 1`, and ends. @throws PostgresFailure */
export async function signIn(stream: Socket, account: PostgresSignIn, signal: AbortSignal): Promise<void> {
  const messages = new PostgresMessages();
  const refusal = checkMessages(stream, (piece) => messages.take(piece));
  if (refusal() !== undefined) throw new PostgresFailure('sign-in', 'malformed', noPostgres);
  const { default: pg } = await import('pg');
  const { user, database, password } = account;
  const client = new pg.Client({
    user,
    database,
    // pg would look for a file of passwords, and a variable, when it has none.
    password: password?.revealText() ?? '',
    host: '127.0.0.1',
    stream: () => connected(stream),
    ssl: false,
    connectionTimeoutMillis: answerMilliseconds,
    query_timeout: answerMilliseconds,
    application_name: 'strongroom-test',
  });
  // Its errors quote what the server says; a rejected promise tells, too.
  client.on('error', () => stream.destroy());
  const stop = (): void => void stream.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await within('sign-in', signal, () => client.connect());
    await within('query', signal, () => client.query('SELECT 1'));
  } catch (error) {
    if (refusal() !== 'truncated' || !(error instanceof PostgresFailure)) throw error;
    throw new PostgresFailure(error.step, 'malformed', tooLong);
  } finally {
    signal.removeEventListener('abort', stop);
    stream.destroy();
  }
}

/** pg connects what it is given; this one is. */
function connected(stream: Socket): Socket {
  stream.connect = () => {
    process.nextTick(() => stream.emit('connect'));
    return stream;
  };
  return stream;
}

async function within(step: 'sign-in' | 'query', signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (signal.aborted) throw new PostgresFailure(step, 'deadline', 'It took too long.');
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
    const [reason, words] = causeOf(code, step);
    throw new PostgresFailure(step, reason, words);
  }
}

/** By SQLSTATE: manual, appendix "PostgreSQL Error Codes". */
function causeOf(code: string, step: 'sign-in' | 'query'): readonly [TestCause, string] {
  if (code === '28P01' || code === '28000')
    return ['authentication-refused', 'The server refuses the user name, the password, or the address of this server.'];
  if (code === '3D000') return ['target-missing', 'There is no database of this name.'];
  if (code === '42501') return ['permission-refused', 'The user may not connect to this database.'];
  if (code === '53300' || code === '57P03') return ['throttled', 'The server takes no more connections now.'];
  if (code === 'ETIMEDOUT') return ['deadline', 'It took too long.'];
  if (/^[0-9A-Z]{5}$/.test(code)) return ['permission-refused', `The server refused (SQLSTATE ${code}).`];
  return step === 'sign-in'
    ? ['malformed', 'The server ended the connection, asks for another way to sign in, or does not speak PostgreSQL.']
    : ['malformed', 'The server did not answer the query.'];
}
