import { X509Certificate } from 'node:crypto';
import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import { parseDocument } from 'yaml';
import type { Egress, EgressResponse } from '../egress/index.ts';
import { own } from '../vault/json.ts';
import { type ApiConnection, type ApiRequest, answerOf, maxAnswerBytes } from './api.ts';

/** What a kubeconfig that a user typed comes down to. */
export interface TypedKubeconfig {
  /** An https URL; goes through the egress guard. */
  readonly server: string;
  /** PEM; the system's authorities without it. */
  readonly caCertificate: string | undefined;
  readonly token: SecretValue;
  readonly namespace: string | undefined;
}

const maxBytes = 64 * 1024;

/** What each part may have; anything else is refused by name, so that nothing new is let through. */
const allowed = {
  config: ['apiVersion', 'kind', 'preferences', 'clusters', 'contexts', 'users', 'current-context'],
  cluster: ['server', 'certificate-authority-data'],
  user: ['token'],
  context: ['cluster', 'user', 'namespace'],
} as const;

const reasons: Readonly<Record<string, string>> = {
  exec: 'it starts a program on the server',
  'auth-provider': 'it starts a program on the server, or has it call another address',
  'client-certificate': 'it reads a file of the server',
  'client-key': 'it reads a file of the server',
  'certificate-authority': 'it reads a file of the server',
  tokenFile: 'it reads a file of the server',
  'insecure-skip-tls-verify': 'the server’s certificate has to be checked',
  'tls-server-name': 'the certificate has to be for the address itself',
  'proxy-url': 'the server’s own proxy is the only one',
  as: 'it speaks for somebody else',
};

/**
 * Reads a kubeconfig that a user typed, by the current context: an https address, an authority and a token, all written in it. What
 * would run a program, read a file or weaken TLS is refused, wherever in the text it is.
 *
 * @throws StrongroomError `validation_failed`; names the field and holds nothing of its content
 */
export function readTypedKubeconfig(text: string): TypedKubeconfig {
  const config = parse(text);
  assertFields(config, allowed.config, '');
  const clusters = named(config, 'clusters', 'cluster', allowed.cluster);
  const users = named(config, 'users', 'user', allowed.user);
  const contexts = named(config, 'contexts', 'context', allowed.context);
  const context = find(contexts, own(config, 'current-context'), 'the current-context');
  const cluster = find(clusters, own(context, 'cluster'), 'the cluster of the current context');
  const user = find(users, own(context, 'user'), 'the user of the current context');
  const token = own(user, 'token');
  if (typeof token !== 'string' || !/^[!-~]{1,16384}$/.test(token)) throw invalid('the user needs a token');
  const server = own(cluster, 'server');
  if (typeof server !== 'string' || !server.startsWith('https://'))
    throw invalid('the cluster needs a server, https://…');
  const namespace = own(context, 'namespace');
  if (namespace !== undefined && typeof namespace !== 'string') throw invalid('the namespace is no text');
  return { server, caCertificate: authorityOf(cluster), token: SecretValue.fromText(token), namespace };
}

/** The cluster of a typed kubeconfig, through the egress guard. @throws EgressError `egress_denied` for its address */
export function openTypedCluster({ server, caCertificate, token }: TypedKubeconfig, egress: Egress): ApiConnection {
  const { href } = egress.checkUrl(server, { schemes: ['https'] });
  const origin = href.replace(/\/$/, '');
  const send = async ({ method, path, body }: ApiRequest, signal: AbortSignal): Promise<EgressResponse> => {
    try {
      return await egress.request(`${origin}${path}`, {
        method,
        signal,
        maxBytes: maxAnswerBytes,
        headers: {
          accept: 'application/json',
          authorization: SecretValue.fromText(`Bearer ${token.revealText()}`),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body }),
        ...(caCertificate === undefined ? {} : { ca: caCertificate }),
      });
    } finally {
      body?.destroy();
    }
  };
  return {
    verifiesTls: true,
    async send(request, signal) {
      const response = await send(request, signal);
      try {
        return answerOf(response);
      } finally {
        response.destroy();
      }
    },
    stream(path, limits, signal) {
      return egress.stream(`${origin}${path}`, limits, {
        signal,
        headers: { accept: '*/*', authorization: SecretValue.fromText(`Bearer ${token.revealText()}`) },
        ...(caCertificate === undefined ? {} : { ca: caCertificate }),
      });
    },
    async close() {
      token.destroy();
    },
  };
}

function parse(text: string): unknown {
  if (Buffer.byteLength(text) > maxBytes) throw invalid(`it is larger than ${maxBytes} bytes`);
  const document = parseDocument(text, { uniqueKeys: true, strict: true, prettyErrors: false });
  // The messages quote the line, in which a token may be.
  if (document.errors.length > 0 || document.warnings.length > 0) throw invalid('it is not one valid YAML document');
  try {
    return document.toJS({ maxAliasCount: 0 }) as unknown;
  } catch {
    throw invalid('it uses aliases');
  }
}

function named(config: unknown, list: string, part: string, fields: readonly string[]): Map<string, unknown> {
  const entries = own(config, list);
  if (!Array.isArray(entries)) throw invalid(`it has no list ${list}`);
  const found = new Map<string, unknown>();
  for (const [index, entry] of (entries as readonly unknown[]).entries()) {
    const where = `${list}[${index}]`;
    assertFields(entry, ['name', part], where);
    const name = own(entry, 'name');
    if (typeof name !== 'string' || found.has(name)) throw invalid(`${where} has no name of its own`);
    assertFields(own(entry, part), fields, `${where}.${part}`);
    found.set(name, own(entry, part));
  }
  return found;
}

function find(entries: ReadonlyMap<string, unknown>, name: unknown, what: string): unknown {
  const entry = typeof name === 'string' ? entries.get(name) : undefined;
  if (entry === undefined) throw invalid(`${what} is not in it`);
  return entry;
}

function assertFields(value: unknown, fields: readonly string[], where: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${where === '' ? 'it' : where} is no mapping`);
  for (const field of Object.keys(value)) {
    if (fields.includes(field)) continue;
    // Somebody may have put a token where a name belongs.
    const name = Object.hasOwn(reasons, field) ? field : 'a field that is not known here';
    const why = Object.hasOwn(reasons, field) ? `: ${reasons[field]}` : '';
    throw invalid(`${where === '' ? '' : `${where} has `}${name}, which is not allowed${why}`);
  }
}

function authorityOf(cluster: unknown): string | undefined {
  const data = own(cluster, 'certificate-authority-data');
  if (data === undefined) return undefined;
  const pem = typeof data === 'string' ? Buffer.from(data, 'base64').toString('utf8') : '';
  try {
    return new X509Certificate(pem).toString() === '' ? undefined : pem;
  } catch {
    throw invalid('certificate-authority-data is no certificate in base64');
  }
}

function invalid(what: string): StrongroomError {
  return new StrongroomError('validation_failed', {
    detail: `The kubeconfig can not be used: ${what}.`,
    hint: 'It needs the address, the certificate authority and a token, all written in it.',
  });
}
