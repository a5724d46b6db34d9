import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Canaries } from '../../testing/canaries.ts';
import { ended, type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import type { Holder } from './holder.ts';
import { LiveRuns } from './live-runs.ts';
import { type OrphanParts, recoverRuns } from './orphans.ts';
import { processesOf } from './process-identity.ts';
import { RunReader } from './reader.ts';
import { RunLauncher } from './run-launcher.ts';
import { defaultLogLimits, RunLogs } from './run-logs.ts';
import type { Runner } from './runner.ts';

const isRoot = process.getuid?.() === 0;

describe('runs', () => {
  let world: LaunchWorld;
  const canaries = new Canaries();
  const value = canaries.text('password');
  const environment = [
    { name: 'PGPASSWORD', secret: 'secret://domain/managed/db-password' },
    { name: 'PGHOST', value: '127.0.0.1' },
  ];

  beforeAll(async () => {
    world = await openLaunchWorld();
    await world.addSecret(world.finance, 'db-password', { value });
    await world.addSecret(world.finance, 'short', { value: 'ab' });
  });
  afterAll(() => world.close());
  afterEach(() => {
    if (world.reports.length > 0) throw new Error(JSON.stringify(world.reports));
  });

  const until = async (id: string, isThere: (row: Awaited<ReturnType<typeof world.rowOf>>) => boolean) => {
    for (;;) {
      const row = await world.rowOf(id);
      if (isThere(row)) return row;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  it('gives a command its secret, and its log and rows show nothing, in no encoding, split or not', async () => {
    const script = `
      const v = process.env.PGPASSWORD;
      const forms = [v, Buffer.from(v).toString('base64'), Buffer.from('x' + v).toString('base64'), Buffer.from(v).toString('hex'), encodeURIComponent(v), JSON.stringify({ v })];
      const write = (stream, text) => new Promise((done) => stream.write(text, done));
      const pause = () => new Promise((done) => setTimeout(done, 1));
      for (const form of forms) {
        await write(process.stdout, 'all:' + form + '\\n');
        for (let i = 0; i < form.length; i += 7) { await write(process.stderr, form.slice(i, i + 7)); await pause(); }
        await write(process.stderr, '\\n');
      }
      await write(process.stdout, v.length + ' ' + process.env.PGHOST + ' ' + Object.keys(process.env).sort().join(','));
    `;
    const job = await world.addJob({
      name: 'forms',
      command: [process.execPath, '--input-type=module', '-e', script],
      environment,
    });
    const { id, row, log } = await world.finish(job);
    expect(row).toMatchObject({ state: 'succeeded', exit_code: 0, failure_code: null });
    expect(log.match(/\[redacted:PGPASSWORD\]/g)?.length).toBeGreaterThanOrEqual(12);
    expect(log).toContain(`${value.length} 127.0.0.1 HOME,LANG,PATH,PGHOST,PGPASSWORD,STRONGROOM_RUN_ID,TMPDIR`);
    const reader = new RunReader(world.test.store, world.access, world.test.keys);
    const page = await reader.get(await world.caller('vic'), world.finance, id);
    expect(page).toMatchObject({
      state: 'succeeded',
      startedBy: 'user:ann',
      variables: [{ name: 'PGPASSWORD', outcome: 'resolved', version: '1.1', source: 'managed' }],
    });
    for (const [where, seen] of [
      ['log', log],
      ['page', JSON.stringify(page)],
      ['row', JSON.stringify(row)],
    ] as const)
      canaries.saw(where, seen);
    canaries.watchDirectory(world.test.directory);
    canaries.watchDirectory(world.runDirectory);
    canaries.assertNoLeak();
  });

  it('says which values are not masked', async () => {
    const job = await world.addJob({
      name: 'short',
      command: ['true'],
      environment: [{ name: 'PIN', secret: 'secret://domain/managed/short' }],
    });
    const { id } = await world.finish(job);
    const reader = new RunReader(world.test.store, world.access, world.test.keys);
    expect((await reader.get(await world.caller('ann'), world.finance, id)).variables).toMatchObject([
      { name: 'PIN', unmasked: 'too_short' },
    ]);
  });

  it.runIf(process.platform === 'linux')(
    'puts no value into arguments; has its own group, folder and user, and no core',
    async () => {
      const job = await world.addJob({
        name: 'inside',
        command: [
          'sh',
          '-c',
          'pwd; cat /proc/self/status | grep -E "^(Uid|Gid|Groups):"; grep core /proc/self/limits; cat marker; sleep 300',
        ],
        environment,
        files: [{ name: 'marker', content: 'plain\n' }],
        sparkConfig: [{ name: 'spark.password', secret: 'secret://domain/managed/db-password' }],
      });
      const { id } = await world.runs.start(await world.caller('ann'), job);
      const row = await until(id, ({ pid }) => pid !== null);
      const pid = row.pid ?? 0;
      while (!(await readSoFar(world, id)).includes('plain')) await new Promise((resolve) => setTimeout(resolve, 20));
      canaries.saw('argv', readFileSync(`/proc/${pid}/cmdline`));
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
      expect(Number(stat[2])).toBe(pid);
      const folders = readdirSync(world.runDirectory).find((name) => name.startsWith('strongroom-runs-'));
      const top = join(world.runDirectory, folders ?? '', id);
      const work = join(top, 'work');
      expect(statSync(work).mode & 0o777).toBe(0o700);
      expect(statSync(join(work, 'marker')).mode & 0o777).toBe(0o600);
      expect(statSync(join(work, 'spark.properties')).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(work, 'spark.properties'), 'utf8')).toContain('spark.password=cnry');
      canaries.watchDirectory(top);
      canaries.assertNoLeak();
      const vault = join('/dev/shm', folders ?? '', id);
      expect(existsSync(vault)).toBe(true);
      await world.runs.stop(await world.rowOf(id), await world.caller('ann'), world.finance);
      expect(await ended(world.rowOf, id)).toMatchObject({ state: 'stopped', signal: 'SIGTERM' });
      expect([existsSync(top), existsSync(vault)]).toEqual([false, false]);
      const log = await world.logOf(id);
      expect(log).toContain(work);
      expect(log).toMatch(/Max core file size\s+0\s+0/);
      const user = isRoot ? '50000' : String(process.getuid?.());
      expect(log).toMatch(new RegExp(`^Uid:\\s+${user}\\s+${user}\\s+${user}\\s`, 'm'));
      expect(/^Groups:\s*$/m.test(log)).toBe(isRoot || process.getgroups?.().length === 0);
    },
  );

  it.runIf(isRoot)('gives each domain a user of its own, for ever, and never one twice', async () => {
    const uidOf = async (scopeId: string, count: number) =>
      world.test.store.execute('runs.jobUser', { scopeId, firstUid: 50_000, count });
    const finance = await uidOf(world.finance.id, 10);
    expect(await uidOf(world.finance.id, 10)).toEqual(finance);
    expect(await uidOf(world.other.id, 10)).toEqual({ uid: finance.uid + 1 });
    await expect(uidOf('dom_third', 2)).rejects.toMatchObject({ code: 'runner_unavailable' });
  });

  it.runIf(isRoot)('keeps a job out of the data directory and of another domain’s run', async () => {
    const job = await world.addJob({
      name: 'nosy',
      command: [
        'sh',
        '-c',
        `cat ${world.test.directory}/* ${world.runDirectory}/run-logs/*; ls ${world.runDirectory}/strongroom-runs-*`,
      ],
    });
    const { row, log } = await world.finish(job);
    expect(row.state).toBe('failed');
    expect(log).not.toMatch(/SQLite|SRLOG/);
    expect(log.match(/Permission denied/g)?.length).toBeGreaterThanOrEqual(2);
  });

  it.each<[string, string[], Record<string, unknown>]>([
    ['an exit code', ['sh', '-c', 'exit 7'], { exit_code: 7, failure_code: 'command_failed' }],
    ['a signal', ['sh', '-c', 'kill -SEGV $$'], { signal: 'SIGSEGV', failure_code: 'command_failed' }],
    ['a command that is not there', ['no-such-command-here'], { exit_code: null, failure_code: 'launch_failed' }],
    ['a file that is not executable', ['/etc/passwd'], { exit_code: null, failure_code: 'launch_failed' }],
  ])('keeps %s', async (name, command, expected) => {
    const job = await world.addJob({ name: name.replaceAll(' ', '-'), command, environment });
    const { row } = await world.finish(job);
    expect(row).toMatchObject({ state: 'failed', ...expected });
    canaries.saw(name, JSON.stringify(row));
    canaries.assertNoLeak();
  });

  it('says clearly when spark-submit or a folder is missing', async () => {
    const spark = await world.addJob({
      name: 'spark',
      spark: { mainFile: 'job.py' },
      environment: [{ name: 'PATH', value: '/nowhere' }],
    });
    expect((await world.finish(spark)).row).toMatchObject({
      failure_code: 'launch_failed',
      failure_detail: 'spark-submit is not on the job’s PATH.',
    });
    const folder = await world.addJob({ name: 'folder', command: ['true'], workingDirectory: '/no/such/folder' });
    expect((await world.finish(folder)).row).toMatchObject({
      failure_code: 'launch_failed',
      failure_detail: 'The working folder /no/such/folder is not there.',
    });
  });

  it('gives spark-submit its properties in a file', async () => {
    const bin = {
      name: 'spark-submit',
      content:
        '#!/bin/sh\nfor a in "$@"; do echo "arg:$a"; done\nwhile [ "$1" != "--properties-file" ]; do shift; done; cat "$2"\n',
    };
    const first = await world.addJob({
      name: 'fake-spark',
      command: [
        'sh',
        '-c',
        'chmod 700 spark-submit; ./spark-submit --properties-file spark.properties; stat -Lc %a spark.properties',
      ],
      files: [bin],
      sparkConfig: [
        { name: 'spark.db.password', secret: 'secret://domain/managed/db-password' },
        { name: 'spark.x', value: 'a b' },
      ],
    });
    const { log } = await world.finish(first);
    expect(log).toContain(
      'arg:--properties-file\narg:spark.properties\nspark.redaction.regex=(?i)secret|password|token|access[.]?key|\\\\Qspark.db.password\\\\E\nspark.db.password=[redacted:spark.db.password]\nspark.x=a b\n600\n',
    );
  });

  it('stops what is late, with everything it started', async () => {
    const job = await world.addJob({
      name: 'late',
      command: ['sh', '-c', 'setsid sleep 300 & sleep 300 & wait'],
      timeoutSeconds: 1,
    });
    const { id, row } = await world.finish(job);
    expect(row).toMatchObject({
      state: 'failed',
      failure_code: 'timeout',
      failure_detail: 'It ran longer than 1 seconds and was stopped.',
    });
    expect((await processesOf(new Set([id]))).size).toBe(0);
  });

  it('ends what a finished command left behind', async () => {
    const job = await world.addJob({ name: 'daemon', command: ['sh', '-c', 'setsid sleep 300 & echo done'] });
    const { id, row, log } = await world.finish(job);
    expect([row.state, log]).toEqual(['succeeded', 'done\n']);
    expect((await processesOf(new Set([id]))).size).toBe(0);
  });

  it('lets a queued run go at once when it is stopped, and notes when a secret was launched', async () => {
    const caller = await world.caller('ann');
    const slow = await world.addJob({ name: 'occupying', command: ['sleep', '300'], environment });
    const occupying = await Promise.all(Array.from({ length: 4 }, () => world.runs.start(caller, slow)));
    const queued = await world.runs.start(caller, slow);
    const left = new AbortController();
    const abandoned = world.runs.log(await world.rowOf(queued.id), true, left.signal);
    left.abort();
    expect(await (await abandoned).toArray()).toEqual([]);
    const following = world.runs.log(await world.rowOf(queued.id), true);
    await world.runs.stop(await world.rowOf(queued.id), caller, world.finance);
    expect(await world.rowOf(queued.id)).toMatchObject({ state: 'stopped', started_at: null });
    expect(await (await following).toArray()).toEqual([]);
    for (const { id } of occupying) {
      await until(id, ({ pid }) => pid !== null);
      await world.runs.stop(await world.rowOf(id), caller, world.finance);
    }
    for (const { id } of occupying) expect(await ended(world.rowOf, id)).toMatchObject({ state: 'stopped' });
    await world.resolver.close();
    const secret = await world.test.store.db
      .selectFrom('secrets')
      .select('last_launched_at')
      .where('key', '=', 'db-password')
      .executeTakeFirstOrThrow();
    expect(secret.last_launched_at).toBeGreaterThan(0);
  });

  it('ends a run of its own whose end could not be recorded when it came', async () => {
    const { store } = world.test;
    const { id, row } = await world.finish(await world.addJob({ name: 'forgotten', command: ['true'] }));
    await store.execute('test.rows', { update: [{ table: 'runs', id, set: { state: 'running', ended_at: null } }] });
    const holder: Holder = { text: row.holder ?? '', host: 'here', bootId: row.boot_id };
    const runner = { removal: 'after-end', takeUp: async () => null, remove: async () => undefined };
    const runnerOf = () => runner as unknown as Runner;
    const logs = new RunLogs(store, { ...defaultLogLimits, directory: world.runDirectory });
    const { resolver } = world;
    const report = (message: string, error: unknown) => void world.reports.push({ message, error });
    const live = new LiveRuns();
    const launcher = new RunLauncher({ store, resolver, settings: {} as never, report, logs, live, holder, runnerOf });
    // Of what runs nothing is swept, however old.
    const own = join(world.runDirectory, `${id}.log`);
    const strange = join(world.runDirectory, 'lch_strange.log');
    for (const path of [own, strange]) {
      writeFileSync(path, '');
      utimesSync(path, 1, 1);
    }
    await logs.sweep(Date.now());
    expect([own, strange].map((path) => existsSync(path))).toEqual([true, false]);
    const settled: Promise<void>[] = [];
    const parts: OrphanParts = {
      store,
      holder,
      logs,
      launcher,
      runnerOf,
      enqueue: (queued) => report('was queued', queued.id),
      follow: (followed) => report('was followed', followed.id),
      isLive: (each) => live.has(each),
      settle: (each, work) => {
        live.takeUp(each);
        settled.push(work());
      },
      forgotten: new Set(),
    };
    // What nobody is at work on at one moment may have been accepted, or have ended, at just that.
    await recoverRuns(parts);
    expect(settled).toHaveLength(0);
    await recoverRuns(parts);
    await recoverRuns(parts);
    expect(settled).toHaveLength(1);
    await settled[0];
    expect(await world.rowOf(id)).toMatchObject({ state: 'failed', failure_code: 'orphaned' });
  });

  it('answers a repeated request with the first run', async () => {
    const job = await world.addJob({ name: 'once', command: ['true'] });
    const caller = await world.caller('ann');
    const idempotency = { subject: caller.id, route: 'runSparkJob', key: 'k', bodyHmac: new Uint8Array([1]) };
    const first = await world.runs.start(caller, job, idempotency);
    await ended(world.rowOf, first.id);
    expect(await world.runs.start(caller, job, idempotency)).toEqual({ id: first.id, state: 'succeeded' });
    const reader = new RunReader(world.test.store, world.access, world.test.keys);
    expect((await reader.ofConfiguration(caller, job, {})).items).toHaveLength(1);
  });

  it('hides runs from who may not see the job, and lists them to others', async () => {
    const job = await world.addJob({ name: 'seen', command: ['true'] });
    const { id } = await world.finish(job);
    const reader = new RunReader(world.test.store, world.access, world.test.keys);
    const refused = await reader.get(await world.caller('eve'), world.finance, id).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StrongroomError);
    expect(refused).toMatchObject({ code: 'not_found' });
    await expect(reader.get(await world.caller('eve'), world.other, id)).rejects.toMatchObject({ code: 'not_found' });
    const page = await reader.ofDomain(await world.caller('vic'), world.finance, { limit: 3 });
    expect(page.items[0]?.id).toBe(id);
    const next = await reader.ofDomain(await world.caller('vic'), world.finance, { limit: 3, cursor: page.nextCursor });
    expect(next.items.some((item) => page.items.some((other) => other.id === item.id))).toBe(false);
    await expect(world.runs.start(await world.caller('vic'), job)).rejects.toMatchObject({
      code: 'permission_missing',
    });
    await expect(world.runs.start(await world.caller('eve'), job)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is refused where the runner is off or another', async () => {
    const job = await world.addJob({ name: 'pod', command: ['true'], runner: 'kubernetes' });
    await expect(world.runs.start(await world.caller('ann'), job)).rejects.toMatchObject({
      code: 'runner_unavailable',
    });
  });
});

async function readSoFar(world: LaunchWorld, id: string): Promise<string> {
  const pieces: string[] = [];
  for await (const piece of await world.runs.log(await world.rowOf(id), false)) pieces.push(String(piece));
  return pieces.join('');
}
