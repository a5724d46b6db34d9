import { StrongroomError } from '@strongroom/contract';
import { compactDecrypt, type CryptoKey, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Canaries } from '../../testing/canaries.ts';
import { type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { DriftService } from './drift.ts';
import type { EphemeralKey } from './sealer.ts';
import { endSilentLaunches } from './silent.ts';

interface KeyPair {
  readonly publicKey: EphemeralKey;
  readonly privateKey: CryptoKey;
}

async function keyPair(crv: 'X25519' | 'P-256' = 'X25519'): Promise<KeyPair> {
  const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv });
  const { kty, x, y } = await exportJWK(publicKey);
  return { publicKey: { kty: kty as 'OKP', crv, x: x ?? '', ...(y === undefined ? {} : { y }) }, privateKey };
}

interface Payload {
  readonly launch: string;
  readonly values: readonly { readonly name: string; readonly valueBase64: string }[];
}

async function open(jwe: string, { privateKey }: KeyPair): Promise<Payload> {
  const { plaintext } = await compactDecrypt(jwe, privateKey);
  return JSON.parse(new TextDecoder().decode(plaintext)) as Payload;
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof StrongroomError) return error.code;
    throw error;
  }
}

describeEachStore('delivery to a workload', (_, database) => {
  let world: LaunchWorld;
  const canaries = new Canaries();
  const secretText = canaries.text('delivered');

  beforeAll(async () => {
    world = await openLaunchWorld({ database });
    await world.addSecret(world.finance, 'one', { value: secretText });
    await world.addSecret(world.finance, 'bytes', { valueBase64: '//4AAQ==' });
    await world.addSecret(world.global, 'shared', { value: 'shared-value-1' });
  });
  afterAll(() => world.close());

  const references = [
    { name: 'PGPASSWORD', reference: 'secret://domain/managed/one' },
    { name: 'KEY', reference: { scope: 'domain', source: 'managed', key: 'bytes' } as const },
  ];
  const create = async (by = 'svc', body: Parameters<typeof world.launches.create>[2] = { references }) =>
    world.launches.create(await world.caller(by), world.finance, body);
  const resolve = async (id: string, key: EphemeralKey, by = 'svc') =>
    world.launches.resolve(await world.caller(by), id, key);
  const alarms = async () =>
    (await world.test.store.db.selectFrom('audit_records').select('sequence').where('action', '=', 'alarm').execute())
      .length;

  it.each(['X25519', 'P-256'] as const)('is a JWE to the workload’s %s key', async (crv) => {
    const pair = await keyPair(crv);
    const launch = await create();
    expect(launch.references).toEqual([
      { name: 'PGPASSWORD', reference: 'secret://domain/managed/one' },
      { name: 'KEY', reference: 'secret://domain/managed/bytes' },
    ]);
    const delivered = await resolve(launch.id, pair.publicKey);
    expect(decodeProtectedHeader(delivered.jwe)).toMatchObject({ alg: 'ECDH-ES', enc: 'A256GCM', kid: launch.id });
    expect(decodeProtectedHeader(delivered.jwe)).not.toHaveProperty('zip');
    const payload = await open(delivered.jwe, pair);
    expect(payload).toEqual({
      launch: launch.id,
      values: [
        { name: 'PGPASSWORD', valueBase64: Buffer.from(secretText).toString('base64') },
        { name: 'KEY', valueBase64: '//4AAQ==' },
      ],
    });
    canaries.saw('answer', JSON.stringify(delivered));
    canaries.watchDirectory(world.test.directory);
    canaries.assertNoLeak();
  });

  it('does not open with another header', async () => {
    const pair = await keyPair();
    const { id } = await create();
    const { jwe } = await resolve(id, pair.publicKey);
    const [header = '', ...rest] = jwe.split('.');
    const forged = JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, unknown>;
    const moved = [Buffer.from(JSON.stringify({ ...forged, kid: 'lch_other' })).toString('base64url'), ...rest].join(
      '.',
    );
    await expect(compactDecrypt(moved, pair.privateKey)).rejects.toMatchObject({ code: 'ERR_JWE_DECRYPTION_FAILED' });
  });

  it('is bound to the first key: the same may repeat, another is an alarm', async () => {
    const [mine, theirs] = [await keyPair(), await keyPair()];
    const { id } = await create();
    const before = await alarms();
    await resolve(id, mine.publicKey);
    expect((await open((await resolve(id, mine.publicKey)).jwe, mine)).values).toHaveLength(2);
    expect(await alarms()).toBe(before);
    expect(await codeOf(resolve(id, theirs.publicKey))).toBe('delivery_bound');
    expect(await alarms()).toBe(before + 1);
    const bound = await world.test.store.db
      .selectFrom('launches')
      .select('bound_at')
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    // Also where the clock was set back since: nobody can tell how long it has been.
    for (const since of [-61_000, 90_000]) {
      await world.test.store.execute('test.rows', {
        update: [{ table: 'launches', id, set: { bound_at: (bound.bound_at ?? 0) + since } }],
      });
      expect(await codeOf(resolve(id, mine.publicKey))).toBe('delivery_bound');
    }
    expect(await alarms()).toBe(before + 1);
  });

  it('lets one of two keys win that come at the same moment', async () => {
    const pairs = await Promise.all([keyPair(), keyPair(), keyPair()]);
    const { id } = await create();
    const before = await alarms();
    const codes = await Promise.all(pairs.map(({ publicKey }) => codeOf(resolve(id, publicKey))));
    expect(codes.filter((code) => code === 'delivery_bound')).toHaveLength(2);
    expect(codes).toContain(undefined);
    expect(await alarms()).toBe(before + 2);
  });

  it('expires, and ends', async () => {
    const pair = await keyPair();
    const { id } = await create();
    await world.test.store.execute('test.rows', { update: [{ table: 'launches', id, set: { expires_at: 1 } }] });
    expect(await codeOf(resolve(id, pair.publicKey))).toBe('launch_expired');
    const second = await create();
    const caller = await world.caller('svc');
    expect(await codeOf(world.launches.heartbeat(caller, second.id))).toBe('state_conflict');
    await resolve(second.id, pair.publicKey);
    await world.launches.end(caller, second.id);
    expect(await codeOf(resolve(second.id, pair.publicKey))).toBe('launch_expired');
    expect(await codeOf(world.launches.heartbeat(caller, second.id))).toBe('state_conflict');
  });

  it('is for its own subject alone', async () => {
    const pair = await keyPair();
    const { id } = await create();
    for (const by of ['ann', 'olga', 'eve', 'root']) {
      const caller = await world.caller(by);
      expect(await codeOf(world.launches.resolve(caller, id, pair.publicKey))).toBe('not_found');
      expect(await codeOf(world.launches.heartbeat(caller, id))).toBe('not_found');
      expect(await codeOf(world.launches.end(caller, id))).toBe('not_found');
    }
    expect(await codeOf(resolve('lch_00000000000000000000000000', pair.publicKey))).toBe('not_found');
  });

  it('needs RESOLVE and USE, at the request and at the delivery', async () => {
    expect(await codeOf(create('olga'))).toBe('permission_missing');
    expect(
      await codeOf(create('svc', { references: [{ name: 'A', reference: 'secret://domain/managed/nope' }] })),
    ).toBe('reference_unresolved');
    const pair = await keyPair();
    const { id } = await create();
    const svc = world.idOf('svc');
    const member = await world.test.store.db
      .selectFrom('members')
      .selectAll()
      .where('principal_id', '=', svc)
      .executeTakeFirstOrThrow();
    await world.test.store.execute('test.rows', { deleteMember: { scopeId: world.finance.id, principalId: svc } });
    const error = await world.launches
      .resolve(await world.caller('svc'), id, pair.publicKey)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'launch_refused',
      errors: [{ pointer: '/references/0/reference' }, { pointer: '/references/1/reference' }],
    });
    await world.test.store.execute('test.rows', { insert: [{ table: 'members', values: member }] });
    expect(await codeOf(resolve(id, pair.publicKey))).toBeUndefined();
  });

  it('delivers a saved job’s references, for RUN and USE of both', async () => {
    await world.addJob({
      name: 'pulled',
      command: ['true'],
      environment: [
        { name: 'A', secret: 'secret://domain/managed/one' },
        { name: 'B', value: 'x${secrets.shared}${secrets.shared}' },
      ],
    });
    const pair = await keyPair();
    const { id, references: names } = await create('svc', { sparkJob: 'pulled' });
    expect(names.map(({ name }) => name)).toEqual(['A', '${secrets.shared}']);
    expect((await open((await resolve(id, pair.publicKey)).jwe, pair)).values.map(({ name }) => name)).toEqual([
      'A',
      '${secrets.shared}',
    ]);
    expect(await codeOf(create('svc', { sparkJob: 'nope' }))).toBe('not_found');
    const second = await create('svc', { sparkJob: 'pulled' });
    await world.jobs.suspend(await world.caller('ann'), await world.asset('pulled'), true);
    expect(await codeOf(resolve(second.id, pair.publicKey))).toBe('launch_refused');
  });

  it.each<[string, EphemeralKey]>([
    ['a point off the curve', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }],
    ['a point of small order', { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) }],
    ['a curve of another type', { kty: 'EC', crv: 'X25519', x: 'A'.repeat(43) }],
    ['P-256 without y', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43) }],
  ])('refuses %s', async (_name, key) => {
    const { id } = await create();
    expect(await codeOf(resolve(id, key))).toBe('validation_failed');
  });

  it.each([
    ['nothing', {}],
    ['both', { references, sparkJob: 'pulled' }],
    [
      'a name twice',
      { references: [references[0] ?? { name: 'A', reference: 'x' }, references[0] ?? { name: 'A', reference: 'x' }] },
    ],
    ['no reference', { references: [{ name: 'A', reference: 'hunter2' }] }],
    ['an admin secret', { references: [{ name: 'A', reference: 'secret://admin/managed/k' }] }],
  ])('refuses to ask for %s', async (_name, body) => {
    expect(await codeOf(create('svc', body))).toBe('validation_failed');
  });

  it('ends for who was not heard of for a month, and for whom nobody came', async () => {
    const { store } = world.test;
    const pair = await keyPair();
    const [heard, silent, forgotten] = [await create(), await create(), await create()];
    for (const { id } of [heard, silent]) await resolve(id, pair.publicKey);
    const day = 24 * 60 * 60_000;
    const now = Date.now() + 31 * day;
    await store.execute('test.rows', {
      update: [{ table: 'launches', id: heard.id, set: { heartbeat_until: now - 29 * day } }],
    });
    await endSilentLaunches(store, now, AbortSignal.timeout(5_000));
    const ended = await store.db
      .selectFrom('launches')
      .select('id')
      .where('id', 'in', [heard.id, silent.id, forgotten.id])
      .where('ended_at', 'is not', null)
      .execute();
    expect(ended.map(({ id }) => id).toSorted()).toEqual([silent.id, forgotten.id].toSorted());
    const held = await store.db
      .selectFrom('receipts')
      .select('launch_id')
      .distinct()
      .where('launch_id', 'in', [heard.id, silent.id])
      .where('held', '=', 1)
      .execute();
    expect(held).toEqual([{ launch_id: heard.id }]);
    const records = await store.db
      .selectFrom('audit_records')
      .select('record')
      .where('action', '=', 'launch.end')
      .where('principal_id', '=', 'system')
      .execute();
    expect(records.map(({ record }) => JSON.parse(Buffer.from(record).toString('utf8')))).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ launch: silent.id, because: ['silent'] }),
        expect.objectContaining({ launch: forgotten.id, because: ['not-delivered'] }),
      ]),
    );
    expect(await codeOf(world.launches.heartbeat(await world.caller('svc'), silent.id))).toBe('state_conflict');
  });

  it('shows who holds an old version, live ones first, ended ones when asked', async () => {
    await world.addSecret(world.finance, 'rotating', { value: 'rotating-1' });
    const drift = new DriftService(world.test.store, world.access, world.test.keys);
    const olga = await world.caller('olga');
    const svc = await world.caller('svc');
    const pair = await keyPair();
    const body = { references: [{ name: 'R', reference: 'secret://domain/managed/rotating' }] };
    const [live, lapsed, over] = [await create('svc', body), await create('svc', body), await create('svc', body)];
    for (const { id } of [live, lapsed, over]) await resolve(id, pair.publicKey);
    await world.test.store.execute('test.rows', {
      update: [{ table: 'launches', id: lapsed.id, set: { heartbeat_until: 1 } }],
    });
    await world.launches.end(svc, over.id);
    const mine = (items: readonly { readonly name: string; readonly state: string; readonly launch: string }[]) =>
      items.filter(({ name }) => name === 'R').map(({ launch, state }) => [launch, state]);
    expect(mine((await drift.ofDomain(olga, world.finance, {})).items)).toEqual([]);
    await world.rotate(world.finance, 'rotating', { value: 'rotating-2' });
    expect(mine((await drift.ofDomain(olga, world.finance, {})).items)).toEqual([
      [lapsed.id, 'unknown'],
      [live.id, 'running'],
    ]);
    const all = await drift.ofDomain(olga, world.finance, { include: 'ended', limit: 2 });
    expect(all.items[0]).toMatchObject({
      launch: over.id,
      state: 'ended',
      version: '1.1',
      currentVersion: '1.2',
      subject: 'service-account:svc',
      kind: 'workload',
    });
    const rest = await drift.ofDomain(olga, world.finance, { include: 'ended', limit: 2, cursor: all.nextCursor });
    expect(mine([...all.items, ...rest.items])).toEqual([
      [over.id, 'ended'],
      [lapsed.id, 'unknown'],
      [live.id, 'running'],
    ]);
    const { id: secretId } = await world.test.store.db
      .selectFrom('secrets')
      .select('id')
      .where('key', '=', 'rotating')
      .executeTakeFirstOrThrow();
    const ended = { include: 'ended' } as const;
    const whole = await drift.ofSecret(olga, world.finance, secretId, ended);
    expect(whole).toMatchObject({
      currentVersion: '1.2',
      items: [{ state: 'ended' }, { state: 'unknown' }, { state: 'running' }],
    });
    expect(whole).not.toHaveProperty('nextCursor');
    const newest = await drift.ofSecret(olga, world.finance, secretId, { ...ended, limit: 2 });
    const { nextCursor: cursor } = newest;
    const oldest = await drift.ofSecret(olga, world.finance, secretId, { ...ended, limit: 2, cursor });
    expect([newest.items.length, oldest]).toMatchObject([2, { currentVersion: '1.2' }]);
    expect([...newest.items, ...oldest.items]).toEqual(whole.items);
    expect(oldest).not.toHaveProperty('nextCursor');
    for (const foreign of [
      () => drift.ofSecret(svc, world.finance, secretId, { ...ended, cursor }),
      () => drift.ofSecret(olga, world.finance, secretId, { cursor }),
      () => drift.ofDomain(olga, world.finance, { ...ended, cursor }),
    ])
      expect(await codeOf(foreign())).toBe('cursor_invalid');
    expect((await world.launches.heartbeat(svc, lapsed.id)).heartbeatUntil > new Date().toISOString()).toBe(true);
    await resolve(live.id, pair.publicKey);
    expect(mine((await drift.ofDomain(olga, world.finance, {})).items)).toEqual([[lapsed.id, 'running']]);
  });
});
