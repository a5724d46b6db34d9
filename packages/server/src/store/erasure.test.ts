import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { writeDeadlineMilliseconds } from '../../testing/write-deadline.ts';
import { openSqliteStore } from './sqlite.ts';

let test: TestServer | undefined;

afterEach(async () => {
  await test?.close();
  test = undefined;
});

/** One column of the first row, as another process reads it. */
function bytesOf(dataDir: string, sql: string): Buffer {
  const database = new DatabaseSync(join(dataDir, 'strongroom.db'), { readOnly: true });
  try {
    return Buffer.from(Object.values(database.prepare(sql).get() ?? {})[0] as Uint8Array);
  } finally {
    database.close();
  }
}

function filesWith(dataDir: string, bytes: Buffer): string[] {
  expect(bytes.length).toBeGreaterThan(30);
  return readdirSync(dataDir).filter((name) => readFileSync(join(dataDir, name)).includes(bytes));
}

describe('what is purged', () => {
  it('is in no file of the store: a secret’s envelopes', async () => {
    test = await startTestServer();
    await test.createDomain('finance');
    const secret = '/v1/domains/finance/secrets/leaving';
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'leaving', value: 'first' } });
    const first = bytesOf(test.dataDir, 'select envelope from secret_versions');
    await test.call('PUT', `${secret}/value`, { body: { value: 'second' } });
    const second = bytesOf(test.dataDir, 'select envelope from secret_versions order by version desc');
    expect(first.equals(second)).toBe(false);
    const { revision } = await test.call<{ revision: number }>('GET', secret);
    await test.call('DELETE', secret, { headers: { 'if-match': `"${revision}"` } });
    expect(filesWith(test.dataDir, first)).not.toEqual([]);
    await test.call('POST', `${secret}/purge`);
    expect([...filesWith(test.dataDir, first), ...filesWith(test.dataDir, second)]).toEqual([]);
  });

  it('is in no file of the store: the keys of a domain', async () => {
    test = await startTestServer();
    await test.createDomain('finance');
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'leaving', value: 'a value' } });
    const wrapped = bytesOf(
      test.dataDir,
      "select wrapped from key_terms where purpose = 'value' and scope_id = (select id from scopes where name = 'finance')",
    );
    expect(filesWith(test.dataDir, wrapped)).not.toEqual([]);
    const { revision } = await test.call<{ revision: number }>('GET', '/v1/domains/finance');
    await test.call('DELETE', '/v1/domains/finance?force=true', { headers: { 'if-match': `"${revision}"` } });
    expect(filesWith(test.dataDir, wrapped)).toEqual([]);
  });

  it('is in no file of the store: keys as another key-encryption key had them, and credentials that an integration had', async () => {
    test = await startTestServer();
    await test.createDomain('finance');
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'staying', value: 'a value' } });
    const wrapped = bytesOf(test.dataDir, "select wrapped from key_terms where purpose = 'value' order by id desc");
    await test.call('POST', '/v1/keys/rotate', { body: { what: 'kek' } });
    expect(filesWith(test.dataDir, wrapped)).toEqual([]);
    const settings = { address: 'http://127.0.0.1:9', path: '/v1/kv/data/app', authentication: { method: 'token' } };
    const body = { name: 'vault', type: 'VAULT', settings, credentials: { token: 'a-token-of-vault' } };
    await test.call('POST', '/v1/domains/finance/integrations', { body });
    const envelope = bytesOf(test.dataDir, 'select envelope from integration_credentials');
    expect(filesWith(test.dataDir, envelope)).not.toEqual([]);
    const path = '/v1/domains/finance/integrations/vault';
    const headers = async () => {
      const { revision } = (await test?.call<{ revision: number }>('GET', path)) ?? {};
      return { 'if-match': `"${revision}"` };
    };
    await test.call('PATCH', path, { body: { credentials: { token: 'another-token' } }, headers: await headers() });
    expect(filesWith(test.dataDir, envelope)).toEqual([]);
    const replaced = bytesOf(test.dataDir, 'select envelope from integration_credentials');
    expect(filesWith(test.dataDir, replaced)).not.toEqual([]);
    await test.call('DELETE', path, { headers: await headers() });
    expect(filesWith(test.dataDir, replaced)).toEqual([]);
  });

  it('goes as soon as nobody reads from the log any more, or at a start after a kill, and holds nobody up until then', async () => {
    test = await startTestServer();
    await test.createDomain('finance');
    const secret = '/v1/domains/finance/secrets/leaving';
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'leaving', value: 'a value' } });
    const envelope = bytesOf(test.dataDir, 'select envelope from secret_versions');
    const { revision } = await test.call<{ revision: number }>('GET', secret);
    await test.call('DELETE', secret, { headers: { 'if-match': `"${revision}"` } });
    const reader = new DatabaseSync(join(test.dataDir, 'strongroom.db'), { readOnly: true });
    try {
      reader.exec('begin');
      reader.prepare('select count(*) from secrets').get();
      await test.call('POST', `${secret}/purge`);
      await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'another', value: 'b value' } });
      expect(filesWith(test.dataDir, envelope)).not.toEqual([]);
      // What a kill at this moment would leave.
      const left = join(test.dataDir, '..', 'left');
      cpSync(test.dataDir, left, { recursive: true });
      expect(filesWith(left, envelope)).not.toEqual([]);
      const store = await openSqliteStore({ directory: left, writeDeadlineMilliseconds });
      await expect.poll(() => filesWith(left, envelope), { timeout: 30_000 }).toEqual([]);
      await store.close();
    } finally {
      reader.close();
    }
    const { dataDir } = test;
    await expect.poll(() => filesWith(dataDir, envelope), { timeout: 30_000 }).toEqual([]);
  });
});
