import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createToken } from '@strongroom/crypto';
import {
  archiveAudit,
  backup,
  createLog,
  loadConfiguration,
  type LoadedConfiguration,
  restore,
  type RunningServer,
  startServer,
  type VerifyReport,
} from '@strongroom/server';
import { compileCache, strongroomProgram } from '@strongroom/server/testing/programs.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../program.ts';
import { scriptIo } from '../testing/script-io.ts';

describe('audit archive', () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-archive-cli-'));
  const archive = join(directory, 'archive');
  const configurationOf = (dataDir: string) =>
    loadConfiguration({
      variables: {
        STRONGROOM_DATA_DIR: dataDir,
        STRONGROOM_LISTEN: '127.0.0.1:0',
        STRONGROOM_KEK_FILE: join(directory, 'kek'),
        STRONGROOM_BOOTSTRAP_TOKEN_FILE: join(directory, 'token'),
      },
      workingDirectory: directory,
    });
  const start = (configuration = configurationOf('data')): Promise<RunningServer> =>
    startServer({
      configuration,
      log: createLog('silent', { write: () => undefined }),
      writeDeadlineMilliseconds: 60_000,
    });
  const archiveMore = async (configuration: LoadedConfiguration): Promise<void> => {
    await (await start(configuration)).stop();
    expect(await archiveAudit(configuration, { directory: archive, before: Date.now() })).toHaveLength(1);
  };
  interface Outcome {
    readonly code: number | string;
    readonly out: string;
    readonly errors: string;
  }
  const variables = { HOME: directory, STRONGROOM_KEK_FILE: join(directory, 'kek') };
  /** As a process of its own, which finds a server of another one at the store. */
  const runProgram = (...words: readonly string[]) =>
    new Promise<Outcome>((resolve) => {
      const env = { PATH: process.env['PATH'], ...compileCache, ...variables };
      execFile(process.execPath, [strongroomProgram(), ...words], { env, cwd: directory }, (error, out, errors) =>
        resolve({ code: error?.code ?? 0, out, errors }),
      );
    });
  const runWith = async (more: Readonly<Record<string, string>>, ...words: readonly string[]): Promise<Outcome> => {
    const io = scriptIo({ env: { ...variables, ...more }, cwd: directory });
    const code = await runCommandLine(words, io);
    return { code, out: io.stdout.text, errors: io.stderr.text };
  };
  const run = (...words: readonly string[]) => runWith({}, ...words);

  beforeAll(async () => {
    mkdirSync(archive);
    writeFileSync(join(directory, 'token'), createToken('srt_'), { mode: 0o600 });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('moves records of a stopped server, and every way to verify finds all well', async () => {
    const server = await start();
    const words = ['audit', 'archive', '--before', new Date().toISOString(), '--to', 'archive'];
    const refused = await runProgram(...words);
    expect(refused).toMatchObject({ code: 5, errors: expect.stringContaining('STRONGROOM_AUDIT_RETENTION_DAYS') });
    await server.stop();
    await (await start()).stop();
    expect(await run('audit', 'archive', '--before', '2999-01-01', '--to', 'archive')).toMatchObject({ code: 2 });
    expect(await run('audit', 'archive', '--before', '2020-01-01')).toMatchObject({ code: 2 });
    expect(await run('audit', 'archive', '--before', '2020-01-01', '--to', 'nowhere')).toMatchObject({ code: 5 });
    expect(await run('audit', 'archive', '--before', '2020-01-01', '--to', 'archive')).toMatchObject({
      code: 0,
      out: expect.stringContaining('nothing was old enough'),
    });
    const before = new Date().toISOString();
    const archived = await runProgram('audit', 'archive', '--before', before, '--to', 'archive', '--json');
    expect(archived.errors).toBe('');
    const { segments } = JSON.parse(archived.out) as { segments: { segment: string; digest: string }[] };
    expect(segments.map(({ segment }) => segment)).toEqual(['audit-1-000001']);

    const alone = await runProgram('audit', 'verify');
    expect(alone).toMatchObject({ code: 0, out: expect.stringContaining(`its mark ${segments[0]!.digest}`) });
    const whole = await runProgram('audit', 'verify', '--archive', 'archive', '--with-keys');
    expect(whole).toMatchObject({ code: 0, out: expect.stringMatching(/audit-1-000001: .*: read\n/) });
    // What the settings name is read by itself.
    const named = { STRONGROOM_AUDIT_ARCHIVE_DIR: 'archive' };
    expect(await runWith(named, 'audit', 'verify')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/audit-1-000001: .*: read\n/),
    });
    expect(await runWith(named, 'audit', 'verify', '--no-archive')).toMatchObject({
      code: 0,
      out: expect.stringContaining('not read'),
    });
    const nowhere = await runWith({ STRONGROOM_AUDIT_ARCHIVE_DIR: 'nowhere' }, 'audit', 'verify');
    expect(nowhere).toMatchObject({ code: 1, errors: expect.stringContaining('nowhere') });
    const keys = ['--public-key', 'data/audit.pub'];
    expect(await run('audit', 'verify', '--archive', 'archive', '--archive-only', ...keys)).toMatchObject({ code: 0 });
    expect(await run('audit', 'verify', '--archive-only', ...keys)).toMatchObject({ code: 2 });
    expect(await run('audit', 'verify', '--archive', 'archive', '--archive-only')).toMatchObject({ code: 2 });
  });

  it('a backup carries the marks, and a restored log verifies with the archive', async () => {
    await backup(configurationOf('data'), join(directory, 'backup'));
    const elsewhere = configurationOf('elsewhere');
    await restore(elsewhere, { backup: join(directory, 'backup') });
    const report = await run('audit', 'verify', '--data-dir', 'elsewhere', '--archive', 'archive', '--json');
    expect(report.code).toBe(0);
    expect(JSON.parse(report.out)).toMatchObject({ ok: true, archivedCount: 1, archived: [{ isRead: true }] });

    // Both go on from the backup: each has segments of its own, and knows of the other's that they are not its own.
    await archiveMore(configurationOf('data'));
    await archiveMore(elsewhere);
    const names = readdirSync(archive).filter((name) => name.endsWith('.gz'));
    expect(names).toEqual(['audit-1-000001.jsonl.gz', 'audit-1-000002.jsonl.gz', 'audit-2-000002.jsonl.gz']);
    const branched = await run('audit', 'verify', '--data-dir', 'elsewhere', '--archive', 'archive', '--json');
    expect(branched.code).toBe(0);
    const { archived, unprotectedWindow } = JSON.parse(branched.out) as VerifyReport;
    expect(archived.map(({ segment }) => segment)).toEqual(['audit-1-000001', 'audit-2-000002']);
    expect(unprotectedWindow.map(({ why }) => why)).toContainEqual(
      expect.stringContaining('audit-1-000002 that the log does not name'),
    );
    const only = await run(
      'audit',
      'verify',
      '--archive',
      'archive',
      '--archive-only',
      '--public-key',
      'data/audit.pub',
    );
    expect(only).toMatchObject({
      code: 0,
      out: expect.stringContaining('audit-1-000002 that the others do not link to'),
    });

    for (const name of readdirSync(archive)) rmSync(join(archive, name));
    const missing = await run('audit', 'verify', '--data-dir', 'elsewhere', '--archive', 'archive');
    expect(missing).toMatchObject({
      code: 7,
      out: expect.stringContaining('audit-1-000001 is missing in the archive'),
    });
    expect(await run('audit', 'verify', '--data-dir', 'elsewhere')).toMatchObject({ code: 0 });
  });
});
