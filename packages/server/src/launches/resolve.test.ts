import { StrongroomError } from '@strongroom/contract';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Canaries } from '../../testing/canaries.ts';
import { ended, type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { preflight } from './preflight.ts';

const environment = (...keys: string[]) =>
  keys.map((key, index) => ({ name: `V${index}`, secret: `secret://domain/managed/${key}` }));
const show = ['sh', '-c', 'echo started'];

describeEachStore('a launch', (_, database) => {
  let world: LaunchWorld;
  let isEnabled = true;
  const canaries = new Canaries();

  beforeAll(async () => {
    world = await openLaunchWorld({ database, areReferencesEnabled: async () => isEnabled });
    for (const key of ['one', 'two', 'three']) await world.addSecret(world.finance, key, { value: canaries.text(key) });
    await world.addSecret(world.finance, 'pair', { fields: { user: 'u-12345678', password: canaries.text('field') } });
    await world.addSecret(world.global, 'shared', { value: canaries.text('shared') });
  });
  afterAll(() => world.close());

  const receiptsOf = (id: string) =>
    world.test.store.db.selectFrom('receipts').selectAll().where('launch_id', '=', id).orderBy('pointer').execute();
  const auditOf = async (id: string) => {
    const rows = await world.test.store.db
      .selectFrom('audit_records')
      .select(['record', 'action', 'outcome'])
      .execute();
    return rows
      .filter((row) => row.action === 'launch.resolve')
      .map(
        (row) =>
          JSON.parse(Buffer.from(row.record).toString('utf8')) as {
            event?: { launch?: string; reference?: string };
            launch?: string;
          },
      )
      .filter((record) => JSON.stringify(record).includes(id));
  };

  it('records a receipt and an audit record for each reference, and no value', async () => {
    const job = await world.addJob({ name: 'all', command: show, environment: environment('one', 'two', 'one') });
    const { id, row } = await world.finish(job);
    expect(row.state).toBe('succeeded');
    const receipts = await receiptsOf(id);
    expect(receipts.map(({ name, outcome, version, unmasked }) => ({ name, outcome, version, unmasked }))).toEqual([
      { name: 'V0', outcome: 'resolved', version: '1.1', unmasked: null },
      { name: 'V1', outcome: 'resolved', version: '1.1', unmasked: null },
      { name: 'V2', outcome: 'resolved', version: '1.1', unmasked: null },
    ]);
    expect(receipts.every((receipt) => receipt.delivered_at !== null && receipt.fingerprint?.length === 32)).toBe(true);
    expect(await auditOf(id)).toHaveLength(3);
    canaries.saw('receipts', JSON.stringify(receipts));
    canaries.watchDirectory(world.test.directory);
    canaries.assertNoLeak();
  });

  it('is all or nothing: one deleted secret and nothing is delivered', async () => {
    await world.addSecret(world.finance, 'brief', { value: 'brief-value' });
    const job = await world.addJob({ name: 'partial', command: show, environment: environment('one', 'brief') });
    await world.secrets.delete(await world.caller('root'), world.finance, 'brief', { force: true, ifMatch: undefined });
    const { id, row, log } = await world.finish(job);
    expect(row).toMatchObject({ state: 'failed', failure_code: 'launch_refused', started_at: null });
    expect(row.failure_detail).toBe('V1 (secret://domain/managed/brief): deleted');
    expect(log).toBe('');
    expect((await receiptsOf(id)).map(({ name, outcome, delivered_at: at }) => [name, outcome, at])).toEqual([
      ['V0', 'withheld', null],
      ['V1', 'deleted', null],
    ]);
  });

  it('stops when the authoriser may use the secret no more', async () => {
    const job = await world.addJob({ name: 'authorised', command: show, environment: environment('one') }, 'bob');
    expect((await world.finish(job, 'ann')).row.state).toBe('succeeded');
    const bob = world.idOf('bob');
    await world.test.store.execute('test.rows', {
      update: [{ table: 'principals', id: bob, set: { disabled_at: 1 } }],
    });
    const { row } = await world.finish(job, 'ann');
    expect(row).toMatchObject({ state: 'failed', failure_code: 'launch_refused' });
    expect(row.failure_detail).toContain('authoriser-gone');
    await world.test.store.execute('test.rows', {
      update: [{ table: 'principals', id: bob, set: { disabled_at: null } }],
    });
    await world.test.store.execute('test.rows', { deleteMember: { scopeId: world.finance.id, principalId: bob } });
    expect((await world.finish(job, 'ann')).row.failure_code).toBe('launch_refused');
  });

  it('decides again when access changes between the decision and the commit', async () => {
    const job = await world.addJob({ name: 'raced', command: show, environment: environment('one') }, 'olga');
    const olga = world.idOf('olga');
    const { resolver, test } = world;
    let attempts = 0;
    const caller = await world.caller('ann');
    const uses = await test.store.db.selectFrom('uses').selectAll().where('configuration_id', '=', job.id).execute();
    const wanted = uses.map((use) => ({
      name: use.name,
      pointer: use.pointer,
      reference: { scope: 'domain', source: 'managed', key: 'one' } as const,
      text: use.reference,
      kind: 'reference' as const,
      authorisers: [use.authorised_by],
      sourceId: use.target_source_id,
    }));
    const committed: unknown[] = [];
    const refused: unknown[] = [];
    const resolution = await resolver.resolve({
      verb: 'launch.resolve',
      domain: world.finance,
      launchId: 'lch_test',
      subject: caller,
      needs: [],
      wanted,
      readsAll: false,
      commit: async (release) => {
        attempts += 1;
        if (attempts === 1)
          await test.store.execute('test.rows', {
            update: [{ table: 'principals', id: olga, set: { disabled_at: 1 } }],
          });
        await test.store.execute('launches.record', undefined, {
          audit: release.audit,
          expectAuthorisationRevision: release.revision,
        });
        committed.push(release);
      },
      refuse: async (release) => void refused.push(release.receipts.map(({ outcome }) => outcome)),
    });
    expect(resolution.ok).toBe(false);
    expect(committed).toEqual([]);
    expect(refused).toEqual([['authoriser-gone']]);
    await test.store.execute('test.rows', { update: [{ table: 'principals', id: olga, set: { disabled_at: null } }] });
  });

  it('records the refusal of what the launch itself needs', async () => {
    const asset = await world.addJob({ name: 'not-run-by-vic', command: show });
    const untold = async (): Promise<never> => Promise.reject(new Error('nothing is to be committed'));
    const resolving = world.resolver.resolve({
      verb: 'preflight',
      domain: world.finance,
      launchId: 'lch_needs',
      subject: await world.caller('vic'),
      needs: [{ action: 'spark-job.run', resource: { kind: 'asset', asset } }],
      wanted: [],
      readsAll: false,
      commit: untold,
      refuse: untold,
    });
    await expect(resolving).rejects.toMatchObject({ code: 'permission_missing' });
    const rows = await world.test.store.db
      .selectFrom('audit_records')
      .select('record')
      .where('action', '=', 'spark-job.run')
      .where('outcome', '=', 'denied')
      .execute();
    const text = rows.map(({ record }) => Buffer.from(record).toString()).join();
    for (const part of ['user:vic', 'lch_needs', 'not-run-by-vic', 'missing:RUN']) expect(text).toContain(part);
  });

  it('releases nothing when the audit record can not be written', async () => {
    const caller = await world.caller('ann');
    const unwritable = new StrongroomError('audit_unavailable');
    const reference = { scope: 'domain', source: 'managed', key: 'one' } as const;
    const request = {
      verb: 'launch.resolve',
      domain: world.finance,
      subject: caller,
      needs: [],
      wanted: [
        {
          name: 'A',
          pointer: '/a',
          reference,
          text: 'secret://domain/managed/one',
          kind: 'reference',
          authorisers: [caller.id],
          sourceId: null,
        },
      ],
      readsAll: false,
      commit: async () => Promise.reject(unwritable),
      refuse: async () => undefined,
    } as const;
    await expect(world.resolver.resolve(request)).rejects.toBe(unwritable);
  });

  it('resolves placeholders from Global in one pass, and files from the environment', async () => {
    const job = await world.addJob({
      name: 'legacy',
      command: [
        'sh',
        '-c',
        'echo "$URL"; cat conf/app.json; echo; cat key; stat -Lc "%a" key conf/app.json; readlink -f key | cut -d/ -f1-3; test -O key && echo mine',
      ],
      environment: [
        { name: 'URL', value: 'db://u:${secrets.shared}@h $${secrets.shared}' },
        { name: 'PASS', secret: 'secret://domain/managed/pair#password' },
      ],
      files: [
        { name: 'conf/app.json', content: '{"password": "${PASS}", "plain": "$${PASS}"}', template: true },
        { name: 'key', secret: 'secret://domain/managed/two' },
      ],
    });
    const { row, log } = await world.finish(job);
    expect(row).toMatchObject({ state: 'succeeded' });
    expect(log).toBe(
      'db://u:[redacted:URL]@h ${secrets.shared}\n{"password": "[redacted:PASS]", "plain": "${PASS}"}\n[redacted:key]600\n600\n/dev/shm\nmine\n',
    );
  });

  it('stops for an unknown placeholder', async () => {
    const job = await world.addJob({
      name: 'unknown',
      command: show,
      environment: [{ name: 'A', value: '${secrets.unknown}' }],
    });
    expect((await world.finish(job)).row).toMatchObject({
      failure_code: 'launch_refused',
      failure_detail: 'A (secret://global/managed/unknown): missing',
    });
  });

  it('refuses references, not placeholders, while the feature is off', async () => {
    const references = await world.addJob({ name: 'flag-r', command: show, environment: environment('one') });
    const placeholders = await world.addJob({
      name: 'flag-p',
      command: show,
      environment: [{ name: 'A', value: '${secrets.shared}' }],
    });
    isEnabled = false;
    try {
      expect((await world.finish(references)).row.failure_detail).toContain('feature-disabled');
      expect((await world.finish(placeholders)).row.state).toBe('succeeded');
    } finally {
      isEnabled = true;
    }
  });

  it('does not inherit a reference to a source made anew', async () => {
    const job = await world.addJob({ name: 'source', command: show, environment: environment('one') });
    const caller = await world.caller('ann');
    const seen: string[] = [];
    await world.resolver.resolve({
      verb: 'preflight',
      domain: world.finance,
      subject: caller,
      needs: [],
      wanted: [
        {
          name: 'A',
          pointer: '/a',
          reference: { scope: 'domain', source: 'managed', key: 'one' },
          text: 'secret://domain/managed/one',
          kind: 'reference',
          authorisers: [caller.id],
          sourceId: 'src_earlier',
        },
      ],
      readsAll: true,
      commit: async () => undefined,
      refuse: async ({ receipts }) => void seen.push(...receipts.map(({ outcome }) => outcome)),
    });
    expect(seen).toEqual(['source-changed']);
    expect(job.name).toBe('source');
  });

  it.each<[string, { readonly value: string } | { readonly valueBase64: string }, string]>([
    ['nul', { value: 'a\u0000b' }, 'NUL'],
    ['bytes', { valueBase64: '//79' }, 'UTF-8'],
    ['huge', { value: 'x'.repeat(131_072) }, '131072'],
  ])('refuses a value that no variable can hold: %s', async (key, value, reason) => {
    await world.addSecret(world.finance, key, value);
    const job = await world.addJob({ name: `unfit-${key}`, command: show, environment: environment(key) });
    const { row } = await world.finish(job);
    expect(row).toMatchObject({
      failure_code: 'launch_refused',
      failure_detail: `V0 (secret://domain/managed/${key}): invalid-value`,
    });
    const result = await preflight(
      { store: world.test.store, resolver: world.resolver, runs: world.runs },
      await world.caller('ann'),
      job,
    );
    expect(result).toMatchObject({ ok: false, references: [{ outcome: 'invalid-value' }] });
    expect(result.references[0]?.cause).toContain(reason);
    const asFile = await world.addJob({
      name: `fit-${key}`,
      command: ['sh', '-c', 'wc -c < key'],
      files: [{ name: 'key', secret: `secret://domain/managed/${key}` }],
    });
    expect((await world.finish(asFile)).row.state).toBe('succeeded');
  });

  it('preflight tells what each reference gives, starts nothing and keeps no value', async () => {
    await world.addSecret(world.finance, 'gone', { value: 'gone-value' });
    const job = await world.addJob({
      name: 'pre',
      command: ['true'],
      runner: 'kubernetes',
      environment: environment('one', 'gone'),
    });
    await world.secrets.delete(await world.caller('root'), world.finance, 'gone', { force: true, ifMatch: undefined });
    const before = await world.test.store.db.selectFrom('runs').select('id').execute();
    const result = await preflight(
      { store: world.test.store, resolver: world.resolver, runs: world.runs },
      await world.caller('ann'),
      job,
    );
    expect(result).toMatchObject({
      ok: false,
      references: [
        { name: 'V0', outcome: 'resolved', version: '1.1', source: 'managed' },
        { name: 'V1', outcome: 'deleted', fixableBy: ['MANAGE_SECRETS in finance'] },
      ],
      problems: ['pre names no image, and the Kubernetes runner starts nothing else.'],
    });
    canaries.saw('preflight', JSON.stringify(result));
    canaries.assertNoLeak();
    expect(await world.test.store.db.selectFrom('runs').select('id').execute()).toEqual(before);
    const audited = await world.test.store.db
      .selectFrom('audit_records')
      .select('outcome')
      .where('action', '=', 'preflight')
      .execute();
    expect(audited.length).toBeGreaterThanOrEqual(2);
  });

  it('waits for its turn and is resumed in order', async () => {
    const job = await world.addJob({ name: 'many', command: ['true'], environment: environment('one') });
    const caller = await world.caller('ann');
    const started = await Promise.all(Array.from({ length: 8 }, () => world.runs.start(caller, job)));
    const rows = await Promise.all(started.map(({ id }) => ended(world.rowOf, id)));
    expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['succeeded']));
  });
});
