import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { createAccess } from '../access/service.ts';
import type { Caller } from '../access/types.ts';
import { dataFiles } from '../store/data-directory.ts';
import { CredentialActivity } from './activity.ts';
import { createAuthentication } from './authentication.ts';
import { bootstrapIdentities, createOperatorLink } from './bootstrap.ts';
import { SignInService } from './sign-in.ts';
import { auditTrail, codeOf, here } from './testing/world.ts';

let test: TestStore;

function tokenFile(content: string, mode = 0o600): string {
  const path = join(test.directory, 'bootstrap-token');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe('the first start', () => {
  beforeEach(async () => {
    test = await openTestStore();
  });
  afterEach(() => test.close());

  async function callerOf(token: string): Promise<Caller> {
    const activity = new CredentialActivity(test.store, { count: () => undefined }, () => undefined);
    try {
      return await createAuthentication(test.store, test.keys, createAccess(test.store), activity).byBearer(
        token,
        here,
      );
    } finally {
      await activity.close();
    }
  }
  async function signInWith(token: string): Promise<Caller> {
    const activity = new CredentialActivity(test.store, { count: () => undefined }, () => undefined);
    const signIn = new SignInService(test.store, test.keys, activity);
    await activity.close();
    return callerOf((await signIn.withLink({ token, transport: 'bearer' }, here)).token);
  }

  async function leavesTheOperatorAWayIn(): Promise<void> {
    const { token } = await createOperatorLink(test.store, test.keys, ' ADMIN ');
    const caller = await signInWith(token);
    expect(caller).toMatchObject({ name: 'user:admin', credential: { type: 'session' } });
    expect(await codeOf(createOperatorLink(test.store, test.keys, 'nobody'))).toBe('not_found');
    expect(await codeOf(createOperatorLink(test.store, test.keys, '\u212a'))).toBe('not_found');
    const records = await auditTrail(test.store);
    expect(records.filter((record) => JSON.stringify(record).includes('system:operator'))).not.toEqual([]);
  }

  it('makes the user admin and a link, and another link until somebody signs in', async () => {
    const first = await bootstrapIdentities(test.store, test.keys);
    expect(first).toMatchObject({ created: 'user', signInLink: { userName: 'admin' } });
    await test.reopen();
    const second = await bootstrapIdentities(test.store, test.keys);
    expect(second.created).toBeNull();
    expect(second.signInLink?.link.token).not.toBe(first.signInLink?.link.token);
    const caller = await signInWith(second.signInLink?.link.token ?? '');
    expect(caller.name).toBe('user:admin');
    expect(caller.snapshot.roles).toContain('PLATFORM_ADMIN');
    // The file is for the first start only: it isn't read again.
    const again = await bootstrapIdentities(test.store, test.keys, { bootstrapTokenFile: '/nonexistent' });
    expect(again).toEqual({ created: null, signInLink: null });
    // Long after, too: who reads the log of a restart finds no way in.
    const database = new DatabaseSync(dataFiles(test.directory).database);
    database.exec('update sessions set created_at = 1, expires_at = 2, revoked_at = 2');
    database.close();
    await test.store.execute('identities.sweep', undefined);
    expect((await bootstrapIdentities(test.store, test.keys)).signInLink).toBeNull();
    await leavesTheOperatorAWayIn();
  });

  it('makes one administrator when two processes start at once', async () => {
    const results = await Promise.all([
      bootstrapIdentities(test.store, test.keys),
      bootstrapIdentities(test.store, test.keys),
    ]);
    expect(results.map((result) => result.created).toSorted()).toEqual([null, 'user'].toSorted());
    const rows = await test.store.db.selectFrom('principals').select('name').execute();
    expect(rows).toEqual([{ name: 'admin' }]);
  });

  it('takes exactly the token of a file, also one made with another program', async () => {
    const token = 'srt_0f7c1d2e3b4a5968778695a4b3c2d1e0';
    const result = await bootstrapIdentities(test.store, test.keys, {
      bootstrapTokenFile: tokenFile(`${token}\r\n`),
    });
    expect(result).toEqual({ created: 'service-account', signInLink: null });
    const caller = await callerOf(token);
    expect(caller.name).toBe('service-account:bootstrap');
    expect(caller.snapshot.roles).toContain('PLATFORM_ADMIN');
    expect(JSON.stringify(await auditTrail(test.store))).not.toContain(token.slice(4));
  });
});

describe('a token file that is not fit', () => {
  beforeAll(async () => {
    test = await openTestStore();
  });
  afterAll(() => test.close());

  it.each([
    ['', 0o600],
    ['srt_', 0o600],
    ['srt_short', 0o600],
    [`srt_${'a'.repeat(64)}`, 0o600],
    ['srs_0f7c1d2e3b4a5968778695a4b3c2d1e0', 0o600],
    [' srt_0f7c1d2e3b4a5968778695a4b3c2d1e0', 0o600],
    ['srt_0f7c1d2e3b4a5968778695a4b3c2d1e0\nsrt_0f7c1d2e3b4a5968778695a4b3c2d1e1', 0o600],
    ['srt_0f7c1d2e3b4a5968778695a4b3c2d1e0', 0o644],
    ['srt_0f7c1d2e3b4a5968778695a4b3c2d1e0', 0o604],
    [`srt_${'0f7c1d2e'.repeat(200)}`, 0o600],
  ])('refuses %j of mode %i, names the file and not its content, and makes nothing', async (content, mode) => {
    const path = tokenFile(content, mode);
    const refused = bootstrapIdentities(test.store, test.keys, { bootstrapTokenFile: path });
    const error: unknown = await refused.catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'state_conflict', detail: expect.stringContaining(path) });
    expect(content.length > 10 && String(error).includes(content.slice(4, 20))).toBe(false);
    expect(await test.store.db.selectFrom('principals').select('id').execute()).toEqual([]);
  });

  it('refuses a file that isn’t there', async () => {
    const missing = { bootstrapTokenFile: join(test.directory, 'missing') };
    expect(await codeOf(bootstrapIdentities(test.store, test.keys, missing))).toBe('state_conflict');
  });
});
