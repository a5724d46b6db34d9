// A double of Google Secret Manager, in this process: gRPC over TLS with Google's own definitions of the service, which come
// with its SDK, and behaviour written from Google's reference pages. It shows that the SDK and we agree with those pages, not
// that Google does. There is no Secret Manager to install.
// https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1
import { createRequire } from 'node:module';
import type { protos } from '@google-cloud/secret-manager';
import { GoogleAuth, grpc, GrpcClient } from 'google-gax';
import { crc32c } from '../src/google/crc32c.ts';
import type { Certificate } from './certificate.ts';

type V1 = typeof protos.google.cloud.secretmanager.v1;
type AccessRequest = ReturnType<V1['AccessSecretVersionRequest']['create']>;
type ListRequest = ReturnType<V1['ListSecretsRequest']['create']>;
type State = 'ENABLED' | 'DISABLED' | 'DESTROYED';

/** An answer: a message of the service, bytes in its place, or an error. */
export type GoogleAnswer =
  | { readonly message: object }
  | { readonly bytes: Uint8Array }
  | { readonly code: number; readonly details?: string; readonly metadata?: Readonly<Record<string, Buffer>> };

export interface GoogleRequest {
  readonly method: 'accessSecretVersion' | 'getSecretVersion' | 'listSecrets';
  readonly name: string;
  readonly authority: string;
}

interface Version {
  state: State;
  readonly data: Buffer;
}

interface Secret {
  readonly labels: Readonly<Record<string, string>>;
  readonly aliases: Map<string, number>;
  readonly versions: Version[];
}

export interface GoogleSecretManager extends AsyncDisposable {
  readonly port: number;
  readonly requests: readonly GoogleRequest[];
  /** Tokens that are taken. */
  readonly tokens: Set<string>;
  /** In place of its own answer, where there is one. */
  script: ((request: GoogleRequest) => GoogleAnswer | null) | null;
  /** Adds a version. */
  set(name: string, data: Uint8Array, labels?: Readonly<Record<string, string>>): void;
  alias(name: string, alias: string, version: number): void;
  /** Of the newest version. */
  setState(name: string, state: State): void;
  delete(name: string): void;
}

export const googleProject = 'finance-prod';
/** Answers name the project by it. */
const projectNumber = '123456789012';
/** A word that no error of ours may repeat. */
const loud = 'The message of Google names the caller and the secret.';
const raw = Symbol('bytes in place of a message');

/** Google's own definition of the service, which takes bytes in place of its answers. */
function serviceDefinition(): grpc.ServiceDefinition {
  const json = createRequire(import.meta.url)('@google-cloud/secret-manager/build/protos/protos.json') as object;
  const loaded = new GrpcClient({ auth: new GoogleAuth() }).loadProtoJSON(json) as unknown as {
    readonly google: {
      readonly cloud: { readonly secretmanager: { readonly v1: Record<string, { service: grpc.ServiceDefinition }> } };
    };
  };
  const definition = loaded.google.cloud.secretmanager.v1['SecretManagerService']?.service;
  if (definition === undefined) throw new Error('The SDK has no definition of the service');
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => {
      const responseSerialize = (value: object): Buffer =>
        raw in value ? Buffer.from(value[raw] as Uint8Array) : method.responseSerialize(value);
      return [name, { ...method, responseSerialize }];
    }),
  );
}

/** @param names the certificate is for them */
export async function startGoogleSecretManager({ key, certificate }: Certificate): Promise<GoogleSecretManager> {
  const secrets = new Map<string, Secret>();
  const requests: GoogleRequest[] = [];

  const find = (name: string): { readonly secret: Secret; readonly number: number; readonly path: string } | null => {
    const [, parent = '', id = '', wanted = ''] =
      /^projects\/([^/]+(?:\/locations\/[^/]+)?)\/secrets\/([^/]+)\/versions\/([^/]+)$/.exec(name) ?? [];
    const secret = secrets.get(id);
    if (secret === undefined) return null;
    const number = wanted === 'latest' ? secret.versions.length : (secret.aliases.get(wanted) ?? Number(wanted));
    if (secret.versions[number - 1] === undefined) return null;
    return {
      secret,
      number,
      path: `projects/${parent.replace(googleProject, projectNumber)}/secrets/${id}/versions/${number}`,
    };
  };

  const access = ({ name }: AccessRequest): GoogleAnswer => {
    const found = find(name);
    const version = found?.secret.versions[found.number - 1];
    if (found === null || version === undefined) return { code: grpc.status.NOT_FOUND, details: loud };
    if (version.state !== 'ENABLED') return { code: grpc.status.FAILED_PRECONDITION, details: loud };
    return { message: { name: found.path, payload: { data: version.data, dataCrc32c: String(crc32c(version.data)) } } };
  };

  const getVersion = ({ name }: AccessRequest): GoogleAnswer => {
    const found = find(name);
    if (found === null) return { code: grpc.status.NOT_FOUND, details: loud };
    return { message: { name: found.path, state: found.secret.versions[found.number - 1]?.state } };
  };

  const list = ({ parent, pageSize, pageToken, filter }: ListRequest): GoogleAnswer => {
    const after = Buffer.from(pageToken, 'base64url').toString('utf8');
    const isWanted = ([name, { labels }]: readonly [string, Secret]): boolean =>
      filter.split(' AND ').every((term) => {
        const [, key, value] = /^labels\.([^=]+)=(.*)$/.exec(term) ?? [];
        if (key !== undefined) return labels[key] === value;
        return name.includes(term.replace(/^name:/, ''));
      });
    const rest = [...secrets]
      .filter(isWanted)
      .filter(([name]) => name > after)
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    const page = rest.slice(0, pageSize);
    const last = page.at(-1)?.[0] ?? '';
    return {
      message: {
        secrets: page.map(([name, { labels }]) => ({
          name: `${parent.replace(googleProject, projectNumber)}/secrets/${name}`,
          labels,
        })),
        nextPageToken: rest.length > pageSize ? Buffer.from(last).toString('base64url') : '',
      },
    };
  };

  const handle =
    <Request extends AccessRequest | ListRequest>(
      method: GoogleRequest['method'],
      own: (request: Request) => GoogleAnswer,
    ) =>
    (call: grpc.ServerUnaryCall<Request, object>, done: grpc.sendUnaryData<object>): void => {
      const { request } = call;
      const asked = { method, name: 'name' in request ? request.name : request.parent, authority: call.getHost() };
      requests.push(asked);
      const token = /^Bearer (.+)$/.exec(String(call.metadata.get('authorization')[0]))?.[1] ?? '';
      const unknown: GoogleAnswer = { code: grpc.status.UNAUTHENTICATED, details: loud };
      const answer = double.script?.(asked) ?? (double.tokens.has(token) ? own(request) : unknown);
      if ('message' in answer) done(null, answer.message);
      else if ('bytes' in answer) done(null, { [raw]: answer.bytes });
      else done({ code: answer.code, details: answer.details ?? loud, metadata: metadataOf(answer.metadata ?? {}) });
    };

  const server = new grpc.Server({ 'grpc.max_send_message_length': -1 });
  server.addService(serviceDefinition(), {
    accessSecretVersion: handle('accessSecretVersion', access),
    getSecretVersion: handle('getSecretVersion', getVersion),
    listSecrets: handle('listSecrets', list),
  });
  const credentials = grpc.ServerCredentials.createSsl(Buffer.from(certificate), [
    { private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) },
  ]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });

  const must = (name: string): Secret => {
    const secret = secrets.get(name);
    if (secret === undefined) throw new Error('There is no such secret');
    return secret;
  };
  const double: GoogleSecretManager = {
    port,
    requests,
    tokens: new Set(),
    script: null,
    set(name, data, labels = {}) {
      const secret: Secret = secrets.get(name) ?? { labels, aliases: new Map(), versions: [] };
      secret.versions.push({ state: 'ENABLED', data: Buffer.from(data) });
      secrets.set(name, secret);
    },
    alias: (name, alias, version) => void must(name).aliases.set(alias, version),
    setState(name, state) {
      const version = must(name).versions.at(-1);
      if (version !== undefined) version.state = state;
    },
    delete: (name) => void secrets.delete(name),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
  return double;
}

function metadataOf(entries: Readonly<Record<string, Buffer>>): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}
