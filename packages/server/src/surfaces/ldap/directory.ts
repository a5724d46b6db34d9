import type { Egress } from '@strongroom/backends/egress';
import { ldapLimits, type TestCause } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { Client, Entry } from 'ldapts';
import type { Socket } from 'node:net';
import { causeOfEgress, isEgressError } from '../network-step.ts';
import { checkMessages } from '../whole-messages.ts';
import { destination } from './definition.ts';
import type { LdapDocument } from './document.ts';
import { LdapFailure, type LdapStep } from './failure.ts';
import { withValues } from './filter.ts';
import { MessageReader } from './messages.ts';
import { startTls } from './start-tls.ts';

export interface DirectoryUser {
  /** What stays the same when the entry is renamed; its name where the directory has no such attribute. */
  readonly id: string;
  readonly dn: string;
  readonly name: string;
  readonly displayName: string;
  readonly mail: string | null;
}

export interface DirectoryGroup {
  readonly id: string;
  readonly name: string;
  /** Distinguished names or names of users, as the directory has them. */
  readonly members: readonly string[];
}

/** What a search found. */
export interface Found<Item> {
  readonly items: readonly Item[];
  /** The directory pointed elsewhere for more, where the server doesn't go. */
  readonly isPartial: boolean;
}

const operationMilliseconds = 10_000;
const pageSize = 500;
/** Of all that a directory answers over one connection. */
const maxAnswerBytes = 128 * 1024 * 1024;

/** One connection to a directory: TLS stands before anything else is said. */
export class DirectoryConnection {
  readonly #client: Client;
  readonly #document: LdapDocument;
  /** Why it was ended from here; `undefined`: it was not. */
  readonly #refusal: () => TestCause | undefined;

  private constructor(client: Client, document: LdapDocument, refusal: () => TestCause | undefined) {
    this.#client = client;
    this.#document = document;
    this.#refusal = refusal;
  }

  /** @param maxBytes of all that is answered. @throws LdapFailure */
  static async open(
    egress: Egress,
    document: LdapDocument,
    signal: AbortSignal,
    maxBytes = maxAnswerBytes,
  ): Promise<DirectoryConnection> {
    const { port } = destination(document);
    const socket = await connect(egress, document, signal, maxBytes);
    const reader = new MessageReader();
    const refused = checkMessages(socket, (piece) => reader.take(piece));
    const refusal = (): TestCause | undefined => (egress.isCutOff(socket) ? 'truncated' : refused());
    const { Client } = await import('ldapts');
    let isUsed = false;
    const client = new Client({
      url: `ldap://127.0.0.1:${port}`,
      timeout: operationMilliseconds,
      connectTimeout: operationMilliseconds,
      createConnection: () => {
        // It would connect anew, without TLS and unbound, once the first connection is gone.
        if (isUsed || socket.destroyed) throw new Error('The connection is gone');
        isUsed = true;
        return socket;
      },
    });
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
    return new DirectoryConnection(client, document, refusal);
  }

  /**
   * Signs in with a name and its credential; without a name nothing is sent.
   * @throws LdapFailure `authentication-refused` also for an empty credential, which a directory would take for nobody's
   * (RFC 4513 §5.1.2)
   */
  async bind(dn: string | undefined, credential: SecretValue | string | undefined): Promise<void> {
    if (dn === undefined) return;
    const text = typeof credential === 'string' ? credential : (credential?.revealText() ?? '');
    if (text === '' || dn === '') throw new LdapFailure('bind', 'authentication-refused');
    try {
      await this.#client.bind(dn, text);
    } catch (error) {
      throw this.#failureOf('bind', error);
    }
  }

  /** @param names only these. @throws LdapFailure; `truncated` when a limit of the directory cut the answer off */
  async users(names?: readonly string[]): Promise<Found<DirectoryUser>> {
    const { baseDn, filter, attributes } = this.#document;
    const { id, name, displayName, mail } = attributes;
    const asked = names === undefined ? filter : withValues(filter, name, names);
    const wanted = [id, name, displayName, mail];
    return this.#search('search users', baseDn, asked, wanted, ldapLimits.users, (entry) => {
      const found = firstOf(entry, name);
      return {
        id: idOf(entry, id) ?? found,
        dn: entry.dn,
        name: found,
        displayName: firstOf(entry, displayName) || found,
        mail: firstOf(entry, mail) || null,
      };
    });
  }

  /** @throws LdapFailure */
  async groups(): Promise<Found<DirectoryGroup>> {
    const { groupBaseDn, groupFilter, attributes } = this.#document;
    const { id, groupName, member } = attributes;
    const wanted = [id, groupName, member];
    return this.#search('search groups', groupBaseDn, groupFilter, wanted, ldapLimits.groups, (entry) => {
      const name = firstOf(entry, groupName);
      return { id: idOf(entry, id) ?? name, name, members: textsOf(entry, member) };
    });
  }

  async #search<Item>(
    step: LdapStep,
    base: string,
    filter: string,
    attributes: string[],
    limit: number,
    read: (entry: Entry) => Item,
  ): Promise<Found<Item>> {
    const [id = ''] = attributes;
    const items: Item[] = [];
    let isPartial = false;
    try {
      const pages = this.#client.searchPaginated(base, {
        scope: 'sub',
        filter,
        attributes: [...new Set(attributes)],
        explicitBufferAttributes: [id],
        paged: { pageSize },
      });
      for await (const { searchEntries, searchReferences } of pages) {
        if (items.length + searchEntries.length > limit) throw new LdapFailure(step, 'truncated');
        items.push(...searchEntries.map(read));
        isPartial ||= searchReferences.length > 0;
      }
      return { items, isPartial };
    } catch (error) {
      throw error instanceof LdapFailure ? error : this.#failureOf(step, error);
    }
  }

  #failureOf(step: LdapStep, error: unknown): LdapFailure {
    const refusal = this.#refusal();
    return refusal === undefined ? failureOf(step, error) : new LdapFailure(step, refusal);
  }

  async close(): Promise<void> {
    // A connection that is gone already is closed, too.
    await this.#client.unbind().catch(() => undefined);
  }
}

/**
 * Runs work over a connection that is closed after it.
 * @param maxBytes of all its answers
 * @throws LdapFailure; `truncated` for longer answers
 */
export async function withDirectory<Result>(
  egress: Egress,
  document: LdapDocument,
  signal: AbortSignal,
  work: (connection: DirectoryConnection) => Promise<Result>,
  maxBytes = maxAnswerBytes,
): Promise<Result> {
  const connection = await DirectoryConnection.open(egress, document, signal, maxBytes);
  try {
    return await work(connection);
  } catch (error) {
    if (signal.aborted && error instanceof LdapFailure) throw new LdapFailure(error.step, 'deadline');
    throw error;
  } finally {
    await connection.close();
  }
}

/** A connection on which TLS stands where it is to stand. @throws LdapFailure */
async function connect(egress: Egress, document: LdapDocument, signal: AbortSignal, maxBytes: number): Promise<Socket> {
  const { scheme, host, port } = destination(document);
  const trust = document.caCertificate === undefined ? {} : { ca: document.caCertificate };
  const tls = scheme === 'ldaps' ? { tls: trust } : { allowPlaintext: document.startTls };
  let socket: Socket;
  try {
    socket = await egress.connectTcp({ host, port, signal, maxBytes, ...tls });
  } catch (error) {
    if (error instanceof Error && isEgressError(error))
      throw new LdapFailure(error.step === 'tls' ? 'tls' : 'connect', causeOfEgress(error));
    throw error;
  }
  return document.startTls ? startTls(egress, socket, { host, port, ...trust }, signal) : socket;
}

function valuesOf(entry: Entry, name: string): (string | Buffer)[] {
  // Names of attributes don't differ in case alone (RFC 4512 §2.5).
  const key = Object.keys(entry).find((each) => each.toLowerCase() === name.toLowerCase());
  const found = key === undefined ? [] : entry[key];
  return Array.isArray(found) ? found : found === undefined ? [] : [found];
}

function textsOf(entry: Entry, name: string): string[] {
  return valuesOf(entry, name).map((value) => (typeof value === 'string' ? value : value.toString('utf8')));
}

function firstOf(entry: Entry, name: string): string {
  return textsOf(entry, name)[0] ?? '';
}

/** A UUID as text where it is one, else its bytes in hex (`objectGUID`). */
function idOf(entry: Entry, name: string): string | undefined {
  const [value] = valuesOf(entry, name);
  if (value === undefined || value.length === 0) return undefined;
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  const text = bytes.toString('latin1');
  return /^[!-~]{1,128}$/.test(text) ? text.toLowerCase() : bytes.toString('hex').slice(0, 256);
}

/** By the result codes of RFC 4511 appendix A. */
const causesByCode: Readonly<Record<number, TestCause>> = {
  2: 'malformed',
  3: 'deadline',
  4: 'truncated',
  7: 'authentication-refused',
  8: 'authentication-refused',
  11: 'truncated',
  12: 'malformed',
  13: 'tls-refused',
  18: 'filter-refused',
  21: 'filter-refused',
  32: 'target-missing',
  34: 'target-missing',
  48: 'authentication-refused',
  49: 'authentication-refused',
  50: 'permission-refused',
  51: 'throttled',
  52: 'unreachable',
  53: 'permission-refused',
};

function failureOf(step: LdapStep, error: unknown): LdapFailure {
  const code: unknown = Object(error).code;
  if (typeof code === 'number') return new LdapFailure(step, causesByCode[code] ?? 'malformed');
  const isTimeout = error instanceof Error && /timed out|timeout/i.test(error.message);
  return new LdapFailure(step, isTimeout ? 'deadline' : 'unreachable');
}
