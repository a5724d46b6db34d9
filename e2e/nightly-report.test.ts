import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Canaries } from '../packages/server/testing/canaries.ts';
import { postgresUnavailable } from '../packages/server/testing/postgres.ts';
import { CommandLine } from './command-line.ts';
import { type FinanceDatabase, startFinanceDatabase } from './finance-database.ts';
import { copyNightlyReport } from './nightly-report-folder.ts';

const missing = postgresUnavailable();

/** The whole way of a data engineer's real job, as the README tells it; the tests are its steps, in order. */
describe.skipIf(missing !== undefined)(
  `the nightly report${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const canaries = new Canaries();
    const first = canaries.plain('the first password');
    const second = canaries.text('the second password');
    const line = new CommandLine();
    let database: FinanceDatabase;
    let folder: ReturnType<typeof copyNightlyReport>;

    beforeAll(async () => {
      database = await startFinanceDatabase(first);
      folder = copyNightlyReport(database);
      const output = await line.serve();
      const link = /Sign in\s+(\S+)/.exec(output)?.[1] ?? '';
      await line.must(['login', '--link', link]);
      await line.must(['domain', 'create', 'finance']);
    });

    afterAll(async () => {
      await line.close();
      await database.stop();
      rmSync(folder.directory, { recursive: true, force: true });
    });

    it('reports with the injected password', async () => {
      await line.must(
        ['secret', 'create', 'db-password', '--domain', 'finance', '--description', 'reporting database'],
        { input: first },
      );
      await line.must(['job', 'apply', '-f', folder.manifest]);
      await line.must(['job', 'preflight', 'nightly-report', '--domain', 'finance']);
      const run = await line.run(['job', 'run', 'nightly-report', '--domain', 'finance', '--follow']);
      expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining('3 accounts, 30 payments') });
      expect(readFileSync(folder.report, 'utf8')).toBe(
        'account,payments,total\naccount-0,10,206.25\naccount-1,10,181.25\naccount-2,10,193.75\n',
      );
    });

    it('fails when the password changed at its source only', async () => {
      await database.setPassword(second);
      const run = await line.run(['job', 'run', 'nightly-report', '--domain', 'finance', '--follow']);
      expect(run.code).toBe(1);
      expect(run.stdout).toContain('password authentication failed');
    });

    it('works again after a rotation, without touching the job', async () => {
      const before = JSON.parse(await line.must(['--json', 'job', 'show', 'nightly-report', '--domain', 'finance']));
      await line.must(['secret', 'rotate', 'db-password', '--domain', 'finance'], { input: second });
      const run = await line.run(['job', 'run', 'nightly-report', '--domain', 'finance', '--follow']);
      expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining('3 accounts, 30 payments') });
      const after = JSON.parse(await line.must(['--json', 'job', 'show', 'nightly-report', '--domain', 'finance']));
      expect(after.revision).toBe(before.revision);
    });

    it('names the runs that had the old password, and where it is used', async () => {
      const runs = JSON.parse(await line.must(['--json', 'job', 'runs', 'nightly-report', '--domain', 'finance']));
      const ids: string[] = runs.items.map((run: { id: string }) => run.id);
      expect(ids).toHaveLength(3);
      const drift = await line.must(['secret', 'drift', 'db-password', '--domain', 'finance']);
      expect(drift).not.toContain(ids[0]);
      expect(drift).toContain(ids[1]);
      expect(drift).toContain(ids[2]);
      expect(await line.must(['secret', 'where-used', 'db-password', '--domain', 'finance'])).toMatch(
        /nightly-report\s+PGPASSWORD/,
      );
    });

    it('explains who may use it, and who not', async () => {
      await line.must(['user', 'create', 'ann']);
      const ask = [
        'explain',
        '--principal',
        'user:ann',
        '--action',
        'use',
        '--reference',
        'secret://domain/managed/db-password',
        '--domain',
        'finance',
      ];
      expect((await line.run(ask)).stdout).toContain('user:ann may not use');
      await line.must(['domain', 'member', 'add', 'user:ann', '--preset', 'MEMBER', '--domain', 'finance']);
      expect((await line.run(ask)).stdout).toContain('user:ann may use');
    });

    it('delivers sealed to a workload, and masks what its command prints', async () => {
      await line.must(['service-account', 'create', 'etl', '--domain', 'finance']);
      await line.must([
        'domain',
        'member',
        'add',
        'service-account:finance/etl',
        '--preset',
        'MEMBER',
        '--domain',
        'finance',
      ]);
      await line.must(['grant', 'add', 'service-account:finance/etl', 'RESOLVE', '--domain', 'finance']);
      const issued = JSON.parse(
        await line.must(['--json', 'service-account', 'token', 'issue', 'etl', '--domain', 'finance']),
      );
      writeFileSync(join(line.directory, '.env'), 'PGPASSWORD=secret://domain/managed/db-password\nPGHOST=127.0.0.1\n');
      const script =
        'console.log(process.env.PGPASSWORD, process.env.PGHOST, process.env.STRONGROOM_TOKEN, process.env.PGPASSWORD.length); process.exitCode = 9';
      const ran = await line.run(['run', '--domain', 'finance', '--env-file', '.env', '--', 'node', '-e', script], {
        env: { STRONGROOM_TOKEN: issued.token },
      });
      expect(ran).toMatchObject({ code: 9, stdout: `[redacted:PGPASSWORD] 127.0.0.1 undefined ${second.length}\n` });
    });

    it('shows nothing of the value in the log of a job that prints everything', async () => {
      const program = `
      const value = process.env.PASSWORD;
      const bytes = Buffer.from(value);
      console.log(JSON.stringify(process.env));
      console.log(JSON.stringify(JSON.stringify({ value })));
      for (const pad of ['', 'x', 'xx']) console.log(Buffer.from(pad + value + 'tail').toString('base64'), Buffer.from(pad + value).toString('base64url'));
      console.log(bytes.toString('hex'), bytes.toString('hex').toUpperCase(), encodeURIComponent(value));
      let at = 0;
      const timer = setInterval(() => {
        process.stdout.write(bytes.subarray(at, at + 3));
        process.stderr.write(bytes.toString('hex').slice(at * 2, at * 2 + 6));
        at += 3;
        if (at >= bytes.length) { clearInterval(timer); console.log(); }
      }, 5);`;
      const manifest = join(line.directory, 'leaky.json');
      writeFileSync(
        manifest,
        JSON.stringify({
          kind: 'spark-job',
          domain: 'finance',
          name: 'leaky',
          command: ['node', 'leaky.cjs'],
          environment: [{ name: 'PASSWORD', secret: 'secret://domain/managed/db-password' }],
          files: [{ name: 'leaky.cjs', content: program }],
        }),
      );
      await line.must(['job', 'apply', '-f', manifest]);
      const run = await line.run(['job', 'run', 'leaky', '--domain', 'finance', '--follow']);
      expect(run.code).toBe(0);
      expect(run.stdout.match(/\[redacted:PASSWORD\]/g)?.length).toBeGreaterThan(10);
    });

    it('verifies the audit offline, and finds a cut tail', async () => {
      expect(await line.stop()).toBe(0);
      expect((await line.run(['audit', 'verify'])).code).toBe(0);
      const copy = join(line.directory, 'copy');
      cpSync(line.dataDirectory, copy, { recursive: true });
      const db = new DatabaseSync(join(copy, 'strongroom.db'));
      db.exec(`delete from audit_records where sequence > (select max(sequence) - 3 from audit_records)`);
      db.close();
      const cut = await line.run(['audit', 'verify'], { env: { STRONGROOM_DATA_DIR: copy } });
      expect(cut.code).toBe(7);
    });

    it('left no password anywhere', () => {
      canaries.saw('everything printed', line.printed.join('\n'));
      canaries.watchDirectory(line.directory);
      canaries.watchDirectory(folder.directory);
      canaries.assertNoLeak();
    });
  },
);
