import { createHash, createHmac } from 'node:crypto';
import { httpRequest } from '../../../servers/http-request.ts';
import type { Moto } from '../../../servers/moto.ts';
import type { ConformancePlace } from '../src/conformance/index.ts';

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const region = 'us-east-1';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const anybody: AwsKeys = { accessKeyId: 'any', secretAccessKey: 'any' };

/** What an integration needs and nothing else; the same as in docs/guides/aws.md. */
const readPolicy = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: [
        'secretsmanager:ListSecrets',
        'secretsmanager:BatchGetSecretValue',
        'secretsmanager:GetSecretValue',
        'secretsmanager:DescribeSecret',
      ],
      Resource: '*',
    },
  ],
};
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

/** Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
async function send(
  moto: Moto,
  service: string,
  body: string,
  fields: Record<string, string>,
  keys: AwsKeys,
): Promise<string> {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const headers: Record<string, string> = { ...fields, host: new URL(moto.url).host, 'x-amz-date': time };
  const sorted = Object.entries(headers).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const names = sorted.map(([name]) => name).join(';');
  const canonical = sorted.map(([name, value]) => `${name}:${value}\n`).join('');
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${keys.secretAccessKey}`);
  const request = sha256(['POST', '/', '', canonical, names, sha256(body)].join('\n'));
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, request].join('\n')).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  const answer = await httpRequest(`${moto.url}/`, {
    method: 'POST',
    headers: { ...headers, authorization },
    body,
  });
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
  if (answer.status >= 300) throw new Error(`${service}: ${answer.status} ${text}`);
  return text;
}

/** A service of the query protocol; what it answers is XML. */
export function query(
  moto: Moto,
  service: string,
  action: string,
  input: Readonly<Record<string, string>>,
  keys = anybody,
): Promise<string> {
  // Encoded as moto's own client does, which it computes the signature with.
  const encoded = (text: string) => encodeURIComponent(text).replaceAll('*', '%2A');
  const fields = Object.entries({ Action: action, Version: '2010-05-08', ...input });
  const body = fields.map(([name, value]) => `${name}=${encoded(value)}`).join('&');
  return send(moto, service, body, { 'content-type': 'application/x-www-form-urlencoded' }, keys);
}

/** A service of the JSON protocol; `target` is its name there and the action. */
export function jsonCall(moto: Moto, service: string, target: string, input: object, keys = anybody): Promise<string> {
  const fields = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target };
  return send(moto, service, JSON.stringify(input), fields, keys);
}

export interface AwsUsers {
  readonly reader: AwsKeys;
  readonly admin: AwsKeys;
  /** Takes the reader's policy away until the returned function is called. */
  deny(): Promise<() => Promise<void>>;
}

/** Users of IAM, whose policies and signatures moto enforces from then on. */
export async function createUsers(moto: Moto): Promise<AwsUsers> {
  const makeUser = async (name: string): Promise<AwsKeys> => {
    await query(moto, 'iam', 'CreateUser', { UserName: name });
    const answer = await query(moto, 'iam', 'CreateAccessKey', { UserName: name });
    const part = (tag: string): string => new RegExp(`<${tag}>([^<]+)</${tag}>`).exec(answer)?.[1] ?? '';
    return { accessKeyId: part('AccessKeyId'), secretAccessKey: part('SecretAccessKey') };
  };
  const [reader, admin] = [await makeUser('reader'), await makeUser('admin')];
  const setPolicy = (name: string, policy: object, keys?: AwsKeys) => {
    const input = { UserName: name, PolicyName: 'own', PolicyDocument: JSON.stringify(policy) };
    return query(moto, 'iam', 'PutUserPolicy', input, keys);
  };
  await setPolicy('reader', readPolicy);
  await setPolicy('admin', everything);
  const { status } = await httpRequest(`${moto.url}/moto-api/reset-auth`, { method: 'POST', body: '0' });
  if (status !== 200) throw new Error(`moto does not enforce policies: ${status}`);
  return {
    reader,
    admin,
    deny: async () => {
      await query(moto, 'iam', 'DeleteUserPolicy', { UserName: 'reader', PolicyName: 'own' }, admin);
      return async () => {
        await setPolicy('reader', readPolicy, admin);
      };
    },
  };
}

/** Each key a secret. */
export function secretsPlace(moto: Moto, keys: () => AwsKeys): ConformancePlace {
  const call = (action: string, input: object) =>
    jsonCall(moto, 'secretsmanager', `secretsmanager.${action}`, input, keys());
  return {
    seed: async (key, { value, shape }) => {
      const content =
        shape === 'binary'
          ? { SecretBinary: Buffer.from(value.reveal()).toString('base64') }
          : { SecretString: value.revealText() };
      try {
        await call('PutSecretValue', { SecretId: key, ...content });
      } catch {
        await call('CreateSecret', { Name: key, ...content });
      }
    },
    remove: async (key) => {
      await call('DeleteSecret', { SecretId: key, ForceDeleteWithoutRecovery: true });
    },
    softDelete: async (key) => {
      await call('DeleteSecret', { SecretId: key, RecoveryWindowInDays: 7 });
    },
  };
}
