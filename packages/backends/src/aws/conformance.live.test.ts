// @needs moto
import type { AwsSettings } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Moto, startMoto } from '../../../../servers/moto.ts';
import { checksNeeding, describeConformance } from '../../testing/conformance.ts';
import { FaultProxy, type NetworkFault } from '../../testing/fault-proxy.ts';
import { type AwsUsers, createUsers, query, secretsPlace } from '../../testing/live-aws.ts';
import type { Backend } from '../backend.ts';
import { createEgress, type Egress } from '../egress/index.ts';
import { definition } from './index.ts';

let moto: Moto;
let users: AwsUsers;
let proxy: FaultProxy;
let egress: Egress;

beforeAll(async () => {
  moto = await startMoto();
  users = await createUsers(moto);
  proxy = new FaultProxy(moto.url);
  await proxy.listen();
  egress = createEgress({ allow: [], allowLoopback: true });
});
afterAll(async () => {
  await egress.close();
  await proxy.close();
  await moto.stop();
});

function open(settings: Partial<AwsSettings> = {}, secret = users.reader.secretAccessKey): Promise<Backend> {
  return definition.open(
    {
      region: 'us-east-1',
      endpoint: proxy.url,
      stsEndpoint: moto.url,
      authentication: { method: 'access-key', accessKeyId: users.reader.accessKeyId },
      ...settings,
    },
    { egress, credential: () => Promise.resolve(SecretValue.fromText(secret)), now: Date.now },
  );
}

const networkFaults: readonly NetworkFault[] = ['unreachable', 'cut', 'hanging', 'failing', 'throttled', 'malformed'];
const notTried = checksNeeding(
  'put',
  'delete',
  'fields',
  'empty',
  'existing keys',
  'fault sealed',
  'foreign.beside',
  'foreign.inPlaceOf',
);

describeConformance(
  'AWS Secrets Manager',
  () => ({
    open: () => open({ prefix: 'conformance/' }),
    place: secretsPlace(moto, () => users.admin),
    keyPrefix: 'conformance/',
    keyKinds: ['nested', 'deep', 'upper-case', 'underscore', 'dot', 'plus', 'at', 'equals', 'long'],
    shapes: ['text', 'binary'],
    keepsEmpty: false,
    unknownVersion: '00000000-0000-4000-8000-000000000000',
    faults: {
      ...Object.fromEntries(networkFaults.map((kind) => [kind, proxy.fault(kind)])),
      denied: users.deny,
    },
    credentials: [SecretValue.fromText(users.reader.secretAccessKey)],
  }),
  {
    expectedSkips: notTried,
    unlikeTheReal: { 'list-while-it-changes': 'moto’s tokens are positions in its list, which move when it changes' },
  },
);

describe('identities at moto, which checks signatures and policies', () => {
  const signal = () => AbortSignal.timeout(20_000);

  it('are refused with another secret key', async () => {
    const backend = await open({}, 'not-the-secret-key');
    await expect(backend.get('x', { signal: signal() })).rejects.toMatchObject({ code: 'backend_denied' });
    const lines = await backend.check({ signal: signal() });
    // moto refuses it with an error of another service, which does not say that it is about the signature.
    expect(lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({ code: 'backend_denied' });
  });

  it('pass every step of a tried connection', async () => {
    const lines = await (await open()).check({ signal: signal() });
    expect(lines.map(({ step, outcome }) => [step, outcome])).toEqual(
      ['address', 'reachable', 'tls', 'login', 'list', 'read'].map((step) => [step, 'ok']),
    );
  });

  it('read with an assumed role', async () => {
    const trust = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }],
    };
    const role = { RoleName: 'finance', AssumeRolePolicyDocument: JSON.stringify(trust) };
    const made = await query(moto, 'iam', 'CreateRole', role, users.admin);
    const roleArn = /<Arn>([^<]+)<\/Arn>/.exec(made)?.[1] ?? '';
    const policy = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }],
    };
    const attached = { RoleName: 'finance', PolicyName: 'own', PolicyDocument: JSON.stringify(policy) };
    await query(moto, 'iam', 'PutRolePolicy', attached, users.admin);
    const content = { value: SecretValue.fromText('canary-4471'), shape: 'text' } as const;
    await secretsPlace(moto, () => users.admin).seed('finance/db', content);
    const { accessKeyId, secretAccessKey } = users.admin;
    const authentication = { method: 'assume-role', accessKeyId, roleArn, externalId: 'given-1' } as const;
    const backend = await open({ authentication }, secretAccessKey);
    const entry = await backend.get('finance/db', { signal: signal() });
    expect(entry?.value.revealText()).toBe('canary-4471');
  });
});
