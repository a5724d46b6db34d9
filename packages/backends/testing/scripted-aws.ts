import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AwsSettings } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import { definition } from '../src/aws/index.ts';
import type { Backend } from '../src/backend.ts';
import type { LentIdentity } from '../src/definition.ts';
import { createEgress } from '../src/egress/index.ts';

export interface AwsRequest {
  /** `GetSecretValue`, `AssumeRole`; the method and the path of what is no action. */
  readonly action: string;
  /** Parsed JSON, or the form of STS. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface AwsAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, unless it is text. */
  readonly body?: unknown;
}

export type AwsScript = (request: AwsRequest) => AwsAnswer;

export interface ScriptedAws extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly AwsRequest[];
  open(settings?: Partial<AwsSettings>, lent?: LentIdentity): Promise<Backend>;
}

export const accessKeyId = 'AKIACANARY0123456789';
export const secretAccessKey = 'canary-secret-access-key-7d20';
export const versionId = 'a1b2c3d4-5678-90ab-cdef-0123456789ab';

export function secretOf(name: string, text: string): object {
  return { Name: name, ARN: `arn:x:${name}`, VersionId: versionId, SecretString: text, CreatedDate: 1_760_000_000.5 };
}

/** An error as AWS answers with it. */
export function awsError(name: string, message: string, status = 400): AwsAnswer {
  return { status, body: { __type: name, message } };
}

function actionOf({ Action: action }: { readonly Action?: unknown }): string {
  return typeof action === 'string' ? action : '';
}

/** Answers as a test says, over the JSON protocol of Secrets Manager and the form of STS. It is no AWS: it knows nothing of signatures. */
export async function startScriptedAws(script: AwsScript): Promise<ScriptedAws> {
  const requests: AwsRequest[] = [];
  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const body = Buffer.concat(await incoming.toArray()).toString('utf8');
      const target = incoming.headers['x-amz-target'];
      const isForm = incoming.headers['content-type']?.includes('urlencoded') === true;
      const input = isForm ? Object.fromEntries(new URLSearchParams(body)) : parsed(body);
      const action = typeof target === 'string' ? (target.split('.')[1] ?? '') : actionOf(input);
      const request = {
        action: action === '' ? `${incoming.method} ${incoming.url}` : action,
        input,
        headers: incoming.headers,
      };
      requests.push(request);
      const { status = 200, headers = {}, body: answer = {} } = script(request);
      outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', ...headers });
      outgoing.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const egress = createEgress({ allow: [], allowLoopback: true });
  return {
    url,
    requests,
    open: (settings = {}, lent) =>
      definition.open(
        {
          region: 'eu-central-1',
          endpoint: url,
          stsEndpoint: url,
          authentication: { method: 'access-key', accessKeyId },
          ...settings,
        },
        {
          egress,
          credential: () => Promise.resolve(SecretValue.fromText(secretAccessKey)),
          ...(lent === undefined ? {} : { lent }),
          now: Date.now,
        },
      ),
    async [Symbol.asyncDispose]() {
      await egress.close();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function parsed(body: string): Record<string, unknown> {
  return body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
}

/** What STS answers with, as XML. */
export function assumedRole(expiration: Date, sessionToken = 'canary-session-token-19ae'): AwsAnswer {
  const credentials =
    `<AccessKeyId>ASIACANARY0123456789</AccessKeyId><SecretAccessKey>canary-role-key-6f11</SecretAccessKey>` +
    `<SessionToken>${sessionToken}</SessionToken><Expiration>${expiration.toISOString()}</Expiration>`;
  return {
    headers: { 'content-type': 'text/xml' },
    body: `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>${credentials}</Credentials></AssumeRoleResult></AssumeRoleResponse>`,
  };
}
