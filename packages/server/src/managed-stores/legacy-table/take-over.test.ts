import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer } from '../../../testing/app.ts';
import { Canaries } from '../../../testing/canaries.ts';
import { postgresUnavailable } from '../../../testing/postgres.ts';
import { createMigratedDatabase } from '../../../testing/stores.ts';
import { loadConfiguration } from '../../config/load.ts';
import { withLease } from '../../store/leases.ts';
import { adoptLegacyTable, configuredTable } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-take-over-'));
afterAll(() => rmSync(folder, { recursive: true }));
const missing = postgresUnavailable();
const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;

interface Legacy {
  readonly settings: Readonly<Record<string, string>>;
  run(statement: string): Promise<unknown>;
  close(): Promise<void>;
}

/** The database is only the server's: the settings name the file. */
async function inFile(): Promise<Legacy> {
  const file = join(folder, 'legacy.db');
  const database = new DatabaseSync(file);
  return {
    settings: { STRONGROOM_SECRET_STORE_DATABASE_SETTINGS_SQLITE_FILE: file },
    run: async (statement) => database.exec(statement),
    close: async () => database.close(),
  };
}

/** As after an upgrade in place: nothing but the type is said. */
async function inOwnDatabase(url: string): Promise<Legacy> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return { settings: {}, run: (statement) => client.query(statement), close: () => client.end() };
}

// The server is over PostgreSQL, so that the command that adopts works beside it.
describe.skipIf(missing !== undefined).each([
  ['a file of its own', inFile],
  ['the server’s database', inOwnDatabase],
] as const)(`a legacy install whose secrets are in a table of %s${skipped}`, (_place, openLegacy) => {
  const canaries = new Canaries();
  const value = canaries.text('legacy');
  const edited = canaries.text('edited');
  const ours = canaries.text('ours');
  let legacy: Legacy;
  let test: TestServer;

  beforeAll(async () => {
    const url = await createMigratedDatabase('icu');
    legacy = await openLegacy(url);
    await legacy.run('CREATE TABLE secret_store (key TEXT, value TEXT)');
    await legacy.run(`INSERT INTO secret_store VALUES ('DB_PASSWORD', '${value}')`);
    const database = { STRONGROOM_SECRET_STORE_TYPE: 'database', STRONGROOM_DATABASE_URL: url };
    test = await startTestServer({ ...database, ...legacy.settings }, { canaries });
    await test.createDomain('finance');
    await test.call('POST', '/v1/domains/finance/spark-jobs', {
      body: {
        name: 'nightly',
        command: ['sh', '-c', 'printf %s "$PASSWORD" | sha256sum'],
        environment: [{ name: 'PASSWORD', value: '${secrets.DB_PASSWORD}' }],
      },
    });
  }, 60_000);
  afterAll(async () => {
    await test.close();
    await legacy.close();
  });

  const secret = () => test.request('GET', '/v1/global/secrets/DB_PASSWORD');
  /** What the server does by itself, within a minute of its start and each minute after that. */
  const follow = async () => {
    const job = test.jobs.find(({ name }) => name === 'follow-legacy-table');
    if (job === undefined) throw new Error('The table is not followed');
    await withLease(test.server.store, `job.${job.name}`, 'take-over.test', 60_000, job.run);
  };
  const doctor = async () => {
    const { checks } = await test.call<{ checks: { id: string; status: string; finding: string }[] }>(
      'GET',
      '/v1/doctor',
    );
    return checks.find(({ id }) => id === 'legacy-table');
  };
  /** The end of a job, and the SHA-256 of what it was given. */
  async function runJob(): Promise<readonly [string, string]> {
    const at = '/v1/domains/finance';
    const { id } = await test.call<{ id: string }>('POST', `${at}/spark-jobs/nightly/runs`);
    for (;;) {
      const { state } = await test.call<{ state: string }>('GET', `${at}/runs/${id}`);
      if (state !== 'queued' && state !== 'running') {
        const { text } = await test.request('GET', `${at}/runs/${id}/log`);
        return [state, text];
      }
      await delay(20);
    }
  }
  const digest = async (text: string) =>
    Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(text))).toString('hex');

  it('appears under Global by itself, is used, and only read', async () => {
    await follow();
    const found = await secret();
    expect(found.body).toMatchObject({ key: 'DB_PASSWORD', isUnmarked: true, createdBy: 'outside' });
    expect(await doctor()).toMatchObject({ status: 'amber', finding: 'secret_store holds a secret in plain text.' });
    const [state, log] = await runJob();
    expect([state, log]).toEqual(['succeeded', expect.stringContaining(await digest(value))]);
    const rotated = await test.request('PUT', '/v1/global/secrets/DB_PASSWORD/value', { body: { value: ours } });
    expect([rotated.status, codeOf(rotated)]).toEqual([409, 'state_conflict']);
    expect(rotated.text).toContain('strongroom store adopt');
    const deleted = await test.request('DELETE', '/v1/global/secrets/DB_PASSWORD?force=true');
    expect([deleted.status, codeOf(deleted)]).toEqual([409, 'state_conflict']);
  }, 60_000);

  it('is ours once it is adopted, and then written', async () => {
    await legacy.run(`UPDATE secret_store SET value = '${edited}'`);
    const configuration = loadConfiguration({
      variables: { ...test.settings, STRONGROOM_DATA_DIR: test.dataDir },
      workingDirectory: folder,
    });
    const place = configuredTable(configuration);
    if (place === null) throw new Error('No table is configured');
    const { items, note } = await adoptLegacyTable(configuration, place, { isTrial: false });
    expect(items).toEqual([{ key: 'DB_PASSWORD', outcome: 'erased' }]);
    expect(note).toContain('backups');
    expect(await runJob()).toEqual(['succeeded', expect.stringContaining(await digest(edited))]);
    expect(await doctor()).toMatchObject({ status: 'ok' });
    await test.call('PUT', '/v1/global/secrets/DB_PASSWORD/value', { body: { value: ours } });
    expect((await secret()).body).not.toHaveProperty('isUnmarked');
    expect(await runJob()).toEqual(['succeeded', expect.stringContaining(await digest(ours))]);
  }, 60_000);

  it('leaves no value anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});
