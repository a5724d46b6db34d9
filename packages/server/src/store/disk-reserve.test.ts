import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, StrongroomError } from '@strongroom/contract';
import { encodePublicKeyText, kekFromBytes } from '@strongroom/crypto';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { type RequestOptions, startTestServer } from '../../testing/app.ts';
import { ephemeralJwk } from '../../testing/bodies.ts';
import { mountSmallDisk, smallDiskUnavailable } from '../../testing/small-disk.ts';
import { testEvent, type TestCommands, type TestQueries } from '../../testing/store-program.ts';
import { verifyDataDirectory } from '../audit/verify-files.ts';
import { openKeyring } from '../keys/keyring.ts';
import { commands } from './commands.ts';
import { dataFiles } from './data-directory.ts';
import { DiskReserve, reserveFileName } from './disk-reserve.ts';
import { essentialCommands } from './essential-commands.ts';
import type { LaneRequest } from './lane-protocol.ts';
import { SpaceGuard } from './space-guard.ts';
import { openSqliteStore } from './sqlite.ts';

const mebibyte = 1024 * 1024;

async function codeOf(work: Promise<unknown>): Promise<ErrorCode | 'none'> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof StrongroomError) return error.code;
    throw error;
  }
}

describe('what is essential', () => {
  it('is every way to sign in, and to take access from somebody', () => {
    const waysIn = Object.keys(commands).filter((name) => name.startsWith('identities.signIn'));
    expect(waysIn.length).toBeGreaterThanOrEqual(3);
    const waysOut = ['identities.revokeToken', 'access.deleteMember', 'access.deleteGrant', 'access.deleteBundleGrant'];
    for (const name of [...waysIn, ...waysOut]) expect([name, essentialCommands.has(name)]).toEqual([name, true]);
  });
});

describe('the reserve', () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-reserve-'));
  const file = join(directory, reserveFileName);
  const settings = { ordinaryFloorBytes: 10_000, reserveBytes: 3_000 };
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  afterEach(() => {
    vi.useRealTimers();
    rmSync(file, { force: true });
  });

  it('is made where there is room, whole, private, and made again when it was cut short', () => {
    expect(new DiskReserve(directory, settings, () => 15_999).isLow()).toBe(false);
    expect(existsSync(file)).toBe(false);
    expect(new DiskReserve(directory, settings, () => 16_000).isLow()).toBe(false);
    expect([statSync(file).size, statSync(file).mode & 0o777]).toEqual([3_000, 0o600]);
    truncateSync(file, 100);
    expect(new DiskReserve(directory, settings, () => 16_000).isLow()).toBe(false);
    expect(statSync(file).size).toBe(3_000);
  });

  it('asks the file system once a second, and is low below the floor', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    let asked = 0;
    let free = 10_000;
    const reserve = new DiskReserve(directory, settings, () => {
      asked += 1;
      return free;
    });
    expect(reserve.isLow()).toBe(false);
    free = 9_999;
    for (let call = 0; call < 100; call += 1) expect(reserve.isLow()).toBe(false);
    expect(asked).toBe(1);
    vi.advanceTimersByTime(1_000);
    expect(reserve.isLow()).toBe(true);
  });

  it('is given back once, and space is low from then on', () => {
    const reserve = new DiskReserve(directory, settings, () => 100_000);
    expect(reserve.isLow()).toBe(false);
    expect([reserve.release(), reserve.release()]).toEqual([true, false]);
    expect([existsSync(file), reserve.isLow()]).toEqual([false, true]);
  });
});

describe('a batch', () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-guard-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** A disk of so many commands; the reserve is room for two more. */
  function guard(options: { readonly room: number; readonly isLow: boolean }) {
    const ran: string[][] = [];
    let { room } = options;
    const reserve = new DiskReserve(directory, { ordinaryFloorBytes: 1, reserveBytes: 2 }, () =>
      options.isLow ? 0 : 9,
    );
    writeFileSync(join(directory, reserveFileName), 'xx');
    const run = async (requests: readonly LaneRequest[]) => {
      ran.push(requests.map(({ name }) => name));
      const has = room + (existsSync(join(directory, reserveFileName)) ? 0 : 2);
      if (requests.length > has)
        return requests.map(() => ({ ok: false, error: new StrongroomError('storage_full') }) as const);
      room -= requests.length;
      return requests.map(({ name }) => ({ ok: true, result: name }) as const);
    };
    const space = new SpaceGuard(run, reserve, new Set(['a', 'b']));
    const send = async (...names: string[]) => {
      const outcomes = await space.run(
        names.map((name) => ({
          name,
          args: null,
          audit: [],
          expectAuthorisationRevision: undefined,
          idempotency: undefined,
        })),
      );
      return outcomes.map((outcome) => (outcome.ok ? outcome.result : outcome.error.code));
    };
    return { ran, send };
  }

  it('is run whole while there is room', async () => {
    const { ran, send } = guard({ room: 3, isLow: false });
    expect(await send('a', 'x', 'b')).toEqual(['a', 'x', 'b']);
    expect(ran).toEqual([['a', 'x', 'b']]);
  });

  it('is run without what is ordinary when space is low', async () => {
    const { ran, send } = guard({ room: 9, isLow: true });
    expect(await send('x', 'a', 'y', 'b')).toEqual(['storage_full', 'a', 'storage_full', 'b']);
    expect(await send('x')).toEqual(['storage_full']);
    expect(ran).toEqual([['a', 'b']]);
  });

  it('that fills the disk is run again without what is ordinary, then with the reserve, then not at all', async () => {
    const { ran, send } = guard({ room: 1, isLow: false });
    expect(await send('x', 'a')).toEqual(['storage_full', 'a']);
    expect(ran).toEqual([['x', 'a'], ['a']]);
    expect(await send('a', 'x', 'b')).toEqual(['a', 'storage_full', 'b']);
    expect(existsSync(join(directory, reserveFileName))).toBe(false);
  });

  it('that even the reserve has no room for is refused', async () => {
    const { send } = guard({ room: 0, isLow: false });
    expect(await send('a', 'b', 'a')).toEqual(['storage_full', 'storage_full', 'storage_full']);
  });
});

const missing = smallDiskUnavailable();

describe.skipIf(missing !== undefined)(
  `on a small disk${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('a store refuses ordinary writes, goes on with audit down to the reserve, and recovers without a restart', async () => {
      const disk = mountSmallDisk(24);
      const store = await openSqliteStore<TestCommands, TestQueries>({
        directory: disk.directory,
        program: new URL('../../testing/space-program.ts', import.meta.url),
        reserve: { ordinaryFloorBytes: 4 * mebibyte, reserveBytes: 2 * mebibyte },
      });
      try {
        const keyring = await openKeyring(store, kekFromBytes(new Uint8Array(32).fill(7)));
        const keys = await keyring.auditKeys();
        const anchor = { path: dataFiles(disk.directory).anchor, isOnStdout: false };
        await store.startAudit({ keys, epoch: 1, anchor });
        const record = (name: string) => store.execute('store.record', undefined, { audit: [testEvent(name)] });
        const insert = (key: string) =>
          store.execute('test.insert', { key, value: 'x'.repeat(1000) }, { audit: [testEvent(key)] });
        const reserve = join(disk.directory, reserveFileName);
        expect(await codeOf(insert('first'))).toBe('none');
        expect(existsSync(reserve)).toBe(true);

        disk.fillTo(3 * mebibyte);
        await sleep(1_050);
        expect([await codeOf(insert('low')), await codeOf(record('low'))]).toEqual(['storage_full', 'none']);
        expect(existsSync(reserve)).toBe(true);

        disk.fillTo(0);
        const released = await Promise.all(['one', 'two', 'three'].map((name) => codeOf(record(name))));
        // The anchor's line may be what met the full disk: its record is stored, and nothing was released.
        expect(['none', 'audit_unavailable']).toContain(released[0]);
        expect(await codeOf(record('from the reserve'))).toBe('none');
        expect([existsSync(reserve), await codeOf(insert('full'))]).toEqual([false, 'storage_full']);
        expect(disk.freeBytes()).toBeGreaterThan(mebibyte);

        disk.fillTo(0);
        const codes = new Set<string>();
        for (let write = 0; write < 40; write += 1) codes.add(await codeOf(record(`none ${write}`)));
        expect([...codes].some((code) => code === 'storage_full' || code === 'audit_unavailable')).toBe(true);

        disk.empty();
        await sleep(1_050);
        expect([await codeOf(insert('again')), await codeOf(record('again'))]).toEqual(['none', 'none']);
        expect(existsSync(reserve)).toBe(true);
        expect((await store.query('test.list', { prefix: '' })).map(({ key }) => key)).toEqual(['again', 'first']);
        const publicKeyText = encodePublicKeyText(keys.publicKey);
        expect((await verifyDataDirectory(disk.directory, { publicKeyText })).bad).toEqual([]);
        keyring.close();
      } finally {
        await store.close();
        disk.unmount();
      }
    });

    it('a server delivers values and records refusals when it writes nothing else, also after a restart', async () => {
      const disk = mountSmallDisk(96);
      const test = await startTestServer({ STRONGROOM_DATA_DIR: disk.directory }).catch((error: unknown) => {
        disk.unmount();
        throw error;
      });
      try {
        await test.createDomain('finance');
        const secret = { key: 'db-password', value: 'a value' };
        await test.call('POST', '/v1/domains/finance/secrets', { body: secret });
        const workload = await test.createServiceAccount('finance', 'etl', { preset: 'MEMBER', grants: ['RESOLVE'] });
        const ann = await test.createUser('ann', { domains: { finance: 'VIEWER' } });
        const statusOf = async (method: string, path: string, options: RequestOptions): Promise<number> =>
          (await test.request(method, path, options)).status;
        const deliver = async (): Promise<number> => {
          const reference = { scope: 'domain', source: 'managed', key: 'db-password' };
          const { id } = await test.call<{ id: string }>('POST', '/v1/domains/finance/launches', {
            token: workload.token,
            body: { references: [{ name: 'PGPASSWORD', reference }] },
          });
          return statusOf('POST', `/v1/launches/${id}/resolve`, {
            token: workload.token,
            body: { publicKey: ephemeralJwk() },
          });
        };
        const create = (key: string) =>
          test.request('POST', '/v1/domains/finance/secrets', { body: { key, value: 'x' } });
        const denials = async (): Promise<number> =>
          (await test.call<{ items: unknown[] }>('GET', '/v1/audit?outcome=denied&limit=100')).items.length;
        expect(await deliver()).toBe(200);

        disk.fillTo(20 * mebibyte);
        await sleep(1_050);
        for (const round of ['running', 'restarted']) {
          const refused = await create(round);
          expect([refused.status, refused.body]).toMatchObject([503, { code: 'storage_full' }]);
          const before = await denials();
          expect(await statusOf('POST', '/v1/domains/finance/secrets', { token: ann.token, body: secret })).toBe(403);
          expect(await denials()).toBe(before + 1);
          expect(await deliver()).toBe(200);
          expect(await statusOf('GET', '/v1/domains/finance/secrets', { token: ann.token })).toBe(200);
          if (round === 'running') await test.restart();
        }
        disk.empty();
        await sleep(1_050);
        expect((await create('again')).status).toBe(201);
      } finally {
        await test.close();
        disk.unmount();
      }
    });
  },
);
