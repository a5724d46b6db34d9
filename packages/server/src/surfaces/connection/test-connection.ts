import type { Egress, EgressError } from '@strongroom/backends/egress';
import { connectionTypes } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { Socket } from 'node:net';
import type { TestStep, TriedForm } from '../form-test.ts';
import { causeOfEgress, failedStep } from '../network-step.ts';
import { destinationOf } from './destination.ts';
import type { ConnectionDocument } from './document.ts';
import { PostgresFailure, requestTls, signIn, tooLong } from './postgres-session.ts';

/** Trying a connection: that something listens, and for PostgreSQL that the credentials open the database. */

/** What a test of a type tries. */
export function testsOf(type: string): ('tcp' | 'sql')[] {
  if (connectionTypes.get(type)?.destination === undefined) return [];
  return type === 'postgres' ? ['tcp', 'sql'] : ['tcp'];
}

const connectMilliseconds = 8_000;
/** Of all that a database says from the first byte to the answer of one query, TLS's own bytes included. */
const maxAnswerBytes = 256 * 1024;

/** Nothing is sent but by PostgreSQL's protocol, and no value without TLS beyond this machine. */
export async function tryConnection(form: TriedForm<ConnectionDocument>, egress: Egress): Promise<TestStep[]> {
  const { document, signal } = form;
  const place = destinationOf(document);
  if (place === null)
    return [
      {
        name: 'reach',
        outcome: 'skipped',
        message: 'Its type and settings name no host and port that could be tried.',
      },
    ];
  const { host, port } = place;
  const limits = { host, port, signal, deadlineMilliseconds: connectMilliseconds };
  let socket: Socket;
  try {
    socket = await egress.connectTcp({ ...limits, maxBytes: maxAnswerBytes, allowPlaintext: true });
  } catch (error) {
    const failed = failedStep('reach', causeOfEgress(asEgress(error)));
    return document.type === 'postgres' ? [failed, skipped('tls'), skipped('sign-in'), skipped('query')] : [failed];
  }
  socket.on('error', () => socket.destroy());
  try {
    const reached: TestStep = { name: 'reach', outcome: 'ok' };
    return document.type === 'postgres' ? [reached, ...(await tryPostgres(form, egress, socket, limits))] : [reached];
  } finally {
    socket.destroy();
  }
}

interface PostgresConfig {
  readonly username: string;
  readonly database: string;
  readonly sslMode?: string;
}

async function tryPostgres(
  { document, credential, signal }: TriedForm<ConnectionDocument>,
  egress: Egress,
  socket: Socket,
  limits: { readonly host: string; readonly port: number },
): Promise<TestStep[]> {
  const config = document.config as unknown as PostgresConfig;
  const password = credential('config/authType/password');
  const after = [skipped('sign-in'), skipped('query')];
  let stream = socket;
  let encrypted: TestStep;
  if (config.sslMode === 'disable') {
    if (!isLoopback(socket.remoteAddress))
      return [
        failedStep('tls', 'tls-refused', 'sslMode is disable; a password is sent in plain text on this machine only.'),
        ...after,
      ];
    encrypted = { name: 'tls', outcome: 'skipped', message: 'sslMode is disable.' };
  } else {
    try {
      await requestTls(socket, signal);
      const ca = credential('config/sslConfig/caCertificate');
      const trust = ca === undefined ? {} : { ca: ca.revealText() };
      stream = await egress.startTls(socket, {
        ...limits,
        ...trust,
        signal,
        deadlineMilliseconds: connectMilliseconds,
      });
      stream.on('error', () => stream.destroy());
      encrypted = { name: 'tls', outcome: 'ok' };
    } catch (error) {
      return [
        error instanceof PostgresFailure
          ? failedStep('tls', error.reason, error.words)
          : failedStep('tls', causeOfEgress(asEgress(error))),
        ...after,
      ];
    }
  }
  return [encrypted, ...(await query(egress, stream, config, password, signal))];
}

async function query(
  egress: Egress,
  stream: Socket,
  config: PostgresConfig,
  password: SecretValue | undefined,
  signal: AbortSignal,
): Promise<TestStep[]> {
  try {
    await signIn(stream, { user: config.username, database: config.database, password }, signal);
    return ['sign-in', 'query'].map((name) => ({ name, outcome: 'ok' }));
  } catch (error) {
    if (!(error instanceof PostgresFailure)) throw error;
    const failed = egress.isCutOff(stream)
      ? failedStep(error.step, 'malformed', tooLong)
      : failedStep(error.step, error.reason, error.words);
    return error.step === 'query' ? [{ name: 'sign-in', outcome: 'ok' }, failed] : [failed, skipped('query')];
  }
}

function skipped(name: string): TestStep {
  return { name, outcome: 'skipped' };
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (/^(?:::ffff:)?127\./.test(address) || address === '::1');
}

/** What the egress guard throws; anything else is a fault of ours. */
function asEgress(error: unknown): Pick<EgressError, 'code' | 'step' | 'reason'> {
  if (error instanceof Error && 'step' in error && 'code' in error) return error as EgressError;
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError'))
    return { code: 'deadline_exceeded', step: 'reachable', reason: undefined };
  throw error;
}
