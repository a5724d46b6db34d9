import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Answer, codeOf, startTestServer, type TestServer } from '../../testing/app.ts';
import { ephemeralJwk } from '../../testing/bodies.ts';
import { Canaries } from '../../testing/canaries.ts';
import { type LoopbackCluster, openLoopbackCluster } from '../../testing/loopback-cluster.ts';
import { freshName } from '../../testing/samples.ts';
import { shape } from '../../testing/shapes.ts';

let test: TestServer;
let cluster: LoopbackCluster;
let canaries: Canaries;
let audience: string;
let account: { readonly id: string; readonly name: string };
/** The ServiceAccount in the cluster that is bound to `account`. */
let pod: Pod;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly podUid: string;
}

beforeAll(async () => {
  cluster = await openLoopbackCluster();
  canaries = new Canaries();
  test = await startTestServer({}, { canaries });
  await Promise.all(['finance', 'sales'].map((name) => test.createDomain(name)));
  await test.call('POST', '/v1/admin/secrets', { body: { key: 'cluster', value: cluster.token } });
  const access = cluster.access('secret://admin/managed/cluster');
  ({ audience } = await test.call<{ audience: string }>('POST', '/v1/clusters', { body: { name: 'prod', access } }));
  await test.call('PUT', '/v1/clusters/prod/targets/jobs', { body: { domain: 'finance' } });
  await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'db-password', value: 'a value' } });
});
beforeEach(async () => {
  cluster.trouble = null;
  account = await test.createServiceAccount('finance', freshName(), { preset: 'MEMBER', grants: ['RESOLVE'] });
  pod = { namespace: 'jobs', name: 'report', uid: randomUUID(), podUid: randomUUID() };
  await bind(pod);
});
afterAll(async () => {
  vi.useRealTimers();
  await test.close();
  await cluster.close();
});

const workloads = (): string => `/v1/domains/finance/service-accounts/${account.id}/workloads`;
const formOf = ({ namespace, name, uid }: Pod) => ({ cluster: 'prod', namespace, serviceAccount: name, uid });
const bind = (it: Pod) => test.call<{ id: string }>('POST', workloads(), { body: formOf(it) });

type Claims = Readonly<Record<string, unknown>>;

function claimsOf({ namespace, name, uid, podUid }: Pod): Claims {
  return {
    iss: cluster.issuer,
    aud: [audience],
    sub: `system:serviceaccount:${namespace}:${name}`,
    exp: Math.floor(Date.now() / 1000) + 600,
    nbf: Math.floor(Date.now() / 1000),
    jti: randomUUID(),
    'kubernetes.io': { namespace, serviceaccount: { name, uid }, pod: { name: 'pod-1', uid: podUid } },
  };
}

async function tokenOf(it: Pod, claims: Claims = {}, header: object = {}): Promise<string> {
  const made = await new SignJWT({ ...claimsOf(it), ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'key-1', ...header })
    .sign(privateKey);
  canaries.add(`token ${randomUUID()}`, made);
  return made;
}

/** The cluster takes the token, and says this of it. */
function taken(
  token: string,
  { namespace, name, uid, podUid }: Pod,
  audiences: readonly string[] = [audience],
): string {
  const extra = {
    'authentication.kubernetes.io/pod-name': ['pod-1'],
    'authentication.kubernetes.io/pod-uid': [podUid],
  };
  cluster.tokens.set(token, {
    audiences,
    user: { username: `system:serviceaccount:${namespace}:${name}`, uid, extra },
  });
  return token;
}

const me = (token: string): Promise<Answer> => test.request('GET', '/v1/auth/me', { token });
/** Whatever the wall clock says meanwhile. */
async function tenSecondsLater(work: () => Promise<void>): Promise<void> {
  vi.useFakeTimers({ now: Date.now() - 30_000, toFake: ['Date'] });
  const begun = performance.now.bind(performance);
  const steady = vi.spyOn(performance, 'now').mockImplementation(() => begun() + 10_001);
  try {
    await work();
  } finally {
    steady.mockRestore();
    vi.useRealTimers();
  }
}
const reviews = (): number => cluster.requests.filter((each) => each.endsWith('/tokenreviews')).length;

describe('a pod’s token', () => {
  it('receives values as the service account that its ServiceAccount is bound to', async () => {
    const token = taken(await tokenOf(pod), pod);
    expect((await me(token)).body).toMatchObject({
      principal: { id: account.id },
      credential: { type: 'workload' },
    });
    const before = reviews();
    const reference = 'secret://domain/managed/db-password';
    const body = { references: [{ name: 'PGPASSWORD', reference }] };
    const { id } = await test.call<{ id: string }>('POST', '/v1/domains/finance/launches', { token, body });
    const delivered = await test.call<{ jwe: string }>('POST', `/v1/launches/${id}/resolve`, {
      token,
      body: { publicKey: ephemeralJwk() },
    });
    expect(delivered.jwe.split('.')).toHaveLength(5);
    // What the cluster said a moment ago holds for a moment.
    expect(reviews()).toBe(before);
    const { items } = await test.call<{ items: { detail?: object }[] }>(
      'GET',
      `/v1/audit?action=sign-in&principal=${account.id}`,
    );
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      because: ['workload'],
      detail: { cluster: 'prod', namespace: 'jobs', serviceAccount: 'report', podUid: pod.podUid },
    });
    // What ending it would hit: nothing while the account has a token, else what it does itself.
    const [bound] = (await test.call<{ items: { id: string }[] }>('GET', workloads())).items;
    const impactOf = (workload: string) => test.request('GET', `${workloads()}/${workload}/impact`);
    expect((await impactOf(bound?.id ?? '')).body).toMatchObject({
      change: 'revoke',
      configurations: [],
      workloads: [],
    });
    const tokens = workloads().replace(/workloads$/, 'tokens');
    for (const each of (await test.call<{ items: { id: string }[] }>('GET', tokens)).items)
      await test.call('DELETE', `${tokens}/${each.id}`);
    expect((await impactOf(bound?.id ?? '')).body).toMatchObject({
      launchers: [{ principal: account.name, domain: 'finance', launches: 1 }],
      workloads: [{ launch: id }],
    });
    expect((await impactOf(account.id)).status).toBe(404);
  });

  it('is asked about once by many who come together, and again after ten seconds', async () => {
    const token = taken(await tokenOf(pod), pod);
    const before = reviews();
    await Promise.all(Array.from({ length: 8 }, () => me(token)));
    expect(reviews()).toBe(before + 1);
    await tenSecondsLater(async () => {
      cluster.tokens.delete(token);
      expect((await me(token)).status).toBe(401);
    });
  });

  it('is nobody’s once it is unbound, its account is disabled or deleted, or its namespace is taken away', async () => {
    const token = taken(await tokenOf(pod), pod);
    expect((await me(token)).status).toBe(200);
    const path = `/v1/domains/finance/service-accounts/${account.id}`;
    await test.call('PATCH', path, { body: { isDisabled: true } });
    expect((await me(token)).status).toBe(401);
    await test.call('PATCH', path, { body: { isDisabled: false } });
    expect((await me(token)).status).toBe(200);
    expect(codeOf(await test.request('DELETE', '/v1/clusters/prod/targets/jobs'))).toBe('in_use');
    const { items } = await test.call<{ items: { id: string }[] }>('GET', workloads());
    expect(items).toMatchObject([formOf(pod)]);
    await test.call('DELETE', `${workloads()}/${items[0]?.id}`);
    expect((await me(token)).status).toBe(401);
    await bind(pod);
    expect((await me(token)).status).toBe(200);
    await test.call('DELETE', path);
    expect((await me(token)).status).toBe(401);
    account = await test.createServiceAccount('finance', freshName());
    await bind(pod);
  });

  it('is refused alike, whatever is wrong with it, and what is wrong in itself is asked nobody', async () => {
    const [issued, audiences] = [Math.floor(Date.now() / 1000), ['kubernetes.io', audience]];
    const secret = new TextEncoder().encode(cluster.caCertificate);
    const parts = (await tokenOf(pod)).split('.');
    const none = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url');
    const bad: Readonly<Record<string, string>> = {
      'alg none': `${none}.${parts[1]}.`,
      'alg none, signed': `${none}.${parts[1]}.${parts[2]}`,
      'HMAC with the public key': await new SignJWT(claimsOf(pod)).setProtectedHeader({ alg: 'HS256' }).sign(secret),
      'no audience': await tokenOf(pod, { aud: undefined }),
      'empty audience': await tokenOf(pod, { aud: [] }),
      'another audience': await tokenOf(pod, { aud: ['https://kubernetes.default.svc'] }),
      'several audiences': await tokenOf(pod, { aud: audiences }),
      'audience is an object': await tokenOf(pod, { aud: { 0: audience } }),
      'another issuer': await tokenOf(pod, { iss: 'https://issuer.example' }),
      'not valid yet': await tokenOf(pod, { nbf: issued + 600 }),
      'made in the future': await tokenOf(pod, { iat: issued + 600 }),
      expired: await tokenOf(pod, { exp: issued - 1 }),
      'never expires': await tokenOf(pod, { exp: undefined }),
      'kid leads elsewhere': await tokenOf(pod, {}, { kid: '../../../dev/null' }),
      'kid is SQL': await tokenOf(pod, {}, { kid: "x' union select 'key" }),
      jku: await tokenOf(pod, {}, { jku: 'https://evil.example/jwks' }),
      jwk: await tokenOf(pod, {}, { jwk: ephemeralJwk() }),
      x5u: await tokenOf(pod, {}, { x5u: 'https://evil.example/chain' }),
      JWE: [...parts, parts[0], parts[1]].join('.'),
      'no pod': await tokenOf(pod, {
        'kubernetes.io': { namespace: 'jobs', serviceaccount: { name: pod.name, uid: pod.uid } },
      }),
      'subject is another': await tokenOf(pod, { sub: 'system:serviceaccount:kube-system:admin' }),
      'no JSON': `${parts[0]}.${Buffer.from('{').toString('base64url')}.${parts[2]}`,
      'another uid': await tokenOf({ ...pod, uid: randomUUID() }),
      'another namespace': await tokenOf({ ...pod, namespace: 'other' }),
      'too long': await tokenOf(pod, { more: 'x'.repeat(9_000) }),
    };
    // A cluster that would take them all.
    for (const token of Object.values(bad)) taken(token, pod);
    const before = reviews();
    const expected = shape(await me('srt_wrong'));
    const answers = await Promise.all(
      Object.entries(bad).map(async ([name, token]) => [name, shape(await me(token))] as const),
    );
    expect(answers.filter(([, answer]) => answer !== expected)).toEqual([]);
    expect(reviews()).toBe(before);
  });

  it('is refused alike when its cluster does not take it, or says that it is another’s', async () => {
    const expected = shape(await me('srt_wrong'));
    const make = () => tokenOf(pod);
    const answers = [
      await me(await make()),
      await me(taken(await make(), pod, ['https://kubernetes.default.svc'])),
      await me(taken(await make(), { ...pod, uid: randomUUID() })),
      await me(taken(await make(), { ...pod, podUid: randomUUID() })),
      await me(taken(await make(), { ...pod, name: 'other' })),
      await me(taken(await make(), { ...pod, namespace: 'other' })),
    ];
    const user = await make();
    cluster.tokens.set(user, { audiences: [audience], user: { username: 'admin', uid: pod.uid } });
    answers.push(await me(user));
    expect(answers.map(shape).filter((answer) => answer !== expected)).toEqual([]);
  });

  it('is no statement about the token when its cluster is away or is another one', async () => {
    const token = taken(await tokenOf(pod), pod);
    cluster.trouble = { status: 500, body: { message: token } };
    expect(codeOf(await me(token))).toBe('backend_unavailable');
    cluster.trouble = null;
    const { uid } = cluster;
    cluster.uid = randomUUID();
    const before = reviews();
    expect(codeOf(await me(token))).toBe('backend_unavailable');
    // The other cluster has not seen the token.
    expect(reviews()).toBe(before);
    cluster.uid = uid;
    expect((await me(token)).status).toBe(200);
  });
});

describe('binding', () => {
  it('takes a namespace of the domain, once, and the rights of the service account', async () => {
    const attempt = async (body: object, token?: string): Promise<string | undefined> =>
      codeOf(await test.request('POST', workloads(), { body, ...(token === undefined ? {} : { token }) }));
    const uid = randomUUID();
    expect(await attempt({ ...formOf(pod), uid, namespace: 'other' })).toBe('validation_failed');
    expect(await attempt({ ...formOf(pod), uid, cluster: 'absent' })).toBe('validation_failed');
    expect(await attempt(formOf(pod))).toBe('already_exists');
    const manager = await test.createUser(freshName(), { grants: { finance: ['MANAGE_ACCESS'] } });
    expect(await attempt({ ...formOf(pod), uid }, manager.token)).toBe('permission_missing');
    const owner = await test.createUser(freshName(), { domains: { sales: 'OWNER' } });
    expect(await attempt({ ...formOf(pod), uid }, owner.token)).toBe('not_found');
  });
});

describe('made-up tokens', () => {
  it('of somebody who knows whose they should be are asked about so often, and are in no known pod’s way', async () => {
    const token = taken(await tokenOf(pod), pod);
    expect((await me(token)).status).toBe(200);
    const [header, claims] = token.split('.');
    const forged = () => me(`${header}.${claims}.${randomBytes(64).toString('base64url')}`);
    const before = reviews();
    let answer = await forged();
    expect(answer.status).toBe(401);
    for (let made = 1; made < 200 && answer.status === 401; made += 1) answer = await forged();
    expect(codeOf(answer)).toBe('throttled');
    expect(reviews() - before).toBeLessThan(130);
    const asked = reviews();
    expect((await forged()).status).toBe(429);
    expect(reviews()).toBe(asked);
    await tenSecondsLater(async () => {
      expect((await me(token)).status).toBe(200);
    });
    expect(reviews()).toBe(asked + 1);
  });
});

describe('what was done', () => {
  it('leaves no token anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});
