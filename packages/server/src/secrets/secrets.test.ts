import type { NotNull } from 'kysely';
import { StrongroomError, type ErrorCode } from '@strongroom/contract';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { Canaries } from '../../testing/canaries.ts';
import { describeEachStore, type TestStore } from '../../testing/stores.ts';
import { createAccess } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
import { SecretImporter } from './importer.ts';
import { SecretReader } from './reader.ts';
import { Secrets } from './service.ts';
import type { ValueInput } from './values.ts';

const global: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };
const admin: ScopeRef = { id: adminScopeId, kind: 'admin', name: 'admin' };
const caller: Caller = {
  id: 'usr_test',
  kind: 'user',
  name: 'user:ann',
  requestId: 'request',
  network: '127.0.0.1',
  credential: { type: 'token', id: 'tok_test' },
  snapshot: {
    revision: 1,
    principal: { id: 'usr_test', kind: 'user', isDisabled: false },
    roles: new Set(['PLATFORM_ADMIN', 'SECRETS_ADMIN', 'DOMAIN_MANAGER']),
    actorIds: new Set(['usr_test']),
    domains: new Map(),
  },
};
const limits = { valueBytes: 4096, keysPerScope: 1000, keptVersions: 3, retentionDays: 30 };

async function codeOf(work: Promise<unknown>): Promise<ErrorCode> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StrongroomError) return error.code;
    throw error;
  }
  throw new Error('It was not refused');
}

describeEachStore('secrets', (openStore) => {
  let test: TestStore;
  let secrets: Secrets;
  let reader: SecretReader;
  let importer: SecretImporter;
  const canaries = new Canaries();

  beforeAll(async () => {
    test = await openStore();
    reader = new SecretReader(test.store, test.keys, createAccess(test.store), async () => []);
    secrets = new Secrets(test.store, { writer: () => test.store }, test.keys, reader, limits);
    importer = new SecretImporter({
      store: test.store,
      secrets,
      reader,
      openIntegration: () => Promise.reject(new StrongroomError('not_found')),
      maxValueBytes: limits.valueBytes,
    });
  });

  /** Opens what is stored as a launch would. */
  async function stored(scope: ScopeRef, key: string): Promise<Uint8Array> {
    const row = await test.store.db
      .selectFrom('secrets')
      .innerJoin('secret_versions', (join) =>
        join
          .onRef('secret_versions.secret_id', '=', 'secrets.id')
          .onRef('secret_versions.version', '=', 'secrets.current_version'),
      )
      .select(['secrets.id', 'secret_versions.epoch', 'secret_versions.version', 'secret_versions.envelope'])
      .where('secrets.scope_id', '=', scope.id)
      .where('secrets.key', '=', key)
      .$narrowType<{ envelope: NotNull }>()
      .executeTakeFirstOrThrow();
    const place = { scopeId: scope.id, secretId: row.id, epoch: row.epoch, version: row.version };
    const value = await test.keys.open(place, row.envelope);
    return value.reveal();
  }

  it('answers a repeated request about what the first one made, never about another secret of that name', async () => {
    const keyOf = (key: string) => ({ subject: caller.id, route: 'r', key, bodyHmac: new Uint8Array(32) });
    const create = (key: string, value: string, more?: ReturnType<typeof keyOf>) =>
      secrets.create(caller, admin, { key, value }, more);
    const rotate = (value: string) => secrets.rotate(caller, admin, 'again', { value }, undefined, keyOf('rotate'));
    const made = await create('again', 'first', keyOf('create'));
    const rotated = await rotate('second');
    expect((await create('again', 'first', keyOf('create'))).id).toBe(made.id);
    expect(await rotate('second')).toEqual(rotated);
    await secrets.delete(caller, admin, 'again', { force: true, ifMatch: undefined });
    await secrets.purge(caller, admin, 'again');
    expect(await codeOf(create('again', 'first', keyOf('create')))).toBe('not_found');
    const other = await create('again', 'of somebody else');
    expect(other.id).not.toBe(made.id);
    expect(await codeOf(create('again', 'first', keyOf('create')))).toBe('not_found');
    expect(await codeOf(rotate('second'))).toBe('not_found');
    expect(Buffer.from(await stored(admin, 'again')).toString()).toBe('of somebody else');
  });

  it('creates, shows and never tells the value', async () => {
    const value = canaries.text('created');
    const view = await secrets.create(caller, global, {
      key: 'finance-db',
      value,
      description: 'reporting',
      tags: ['b', 'a'],
    });
    expect(view).toMatchObject({
      key: 'finance-db',
      reference: 'secret://global/managed/finance-db',
      version: '1.1',
      tags: ['a', 'b'],
      shape: 'text',
      usedBy: 0,
      rotation: 'none',
    });
    canaries.saw('view', JSON.stringify(view));
    canaries.saw('list', JSON.stringify(await reader.list(caller, global, {})));
    canaries.watchDirectory(test.directory);
    canaries.assertNoLeak();
    expect(Buffer.from(await stored(global, 'finance-db')).toString()).toBe(value);
  });

  it('tries a change of what is known of a secret, and of its domains, as it would make it', async () => {
    await secrets.create(caller, global, { key: 'tried', value: 'x', tags: ['a'] });
    const shown = async () => [
      await reader.get(caller, global, 'tried'),
      await reader.assignments(caller, global, 'tried'),
    ];
    const before = await shown();
    const changes = { description: 'y', folder: 'f', tags: ['c', 'b'], expiresAt: '2099-01-31T00:00:00Z' };
    const tried = await secrets.previewUpdate(caller, global, 'tried', changes, 1);
    expect(await codeOf(secrets.previewUpdate(caller, global, 'tried', {}, 7))).toBe('revision_mismatch');
    expect(await codeOf(secrets.previewUpdate(caller, global, 'nowhere', {}, 1))).toBe('not_found');
    expect(await codeOf(secrets.previewAssignment(caller, global, 'tried', { domains: ['nowhere'] }))).toBe(
      'validation_failed',
    );
    expect(await codeOf(secrets.previewAssignment(caller, global, 'tried', {}))).toBe('validation_failed');
    expect(await shown()).toEqual(before);
    const done = await secrets.update(caller, global, 'tried', changes, 1);
    expect({ ...tried, updatedAt: '' }).toEqual({ ...done, updatedAt: '' });
    const all = await secrets.previewAssignment(caller, global, 'tried', { all: true });
    expect(all).toEqual(await secrets.assign(caller, global, 'tried', { all: true }));
  });

  it.each<[string, ValueInput, Buffer]>([
    ['empty', { value: '' }, Buffer.from('')],
    ['null-text', { value: 'null' }, Buffer.from('null')],
    ['mask', { value: '*********' }, Buffer.from('*********')],
    ['blanks', { value: '  trailing \n' }, Buffer.from('  trailing \n')],
    ['nul', { value: 'a\u0000b' }, Buffer.from('a\u0000b')],
    ['bytes', { valueBase64: '//4A' }, Buffer.from([0xff, 0xfe, 0x00])],
    ['fields', { fields: { user: 'u', __proto__x: 'p' } }, Buffer.from('{"user":"u","__proto__x":"p"}')],
  ])('stores %s unaltered', async (key, input, bytes) => {
    await secrets.create(caller, admin, { key, ...input });
    expect(Buffer.from(await stored(admin, key)).equals(bytes)).toBe(true);
  });

  it('stores any text unaltered', async () => {
    let n = 0;
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 50 }), async (value) => {
        const key = `property-${(n += 1)}`;
        await secrets.create(caller, admin, { key, value });
        expect(Buffer.from(await stored(admin, key)).toString('utf8')).toBe(value);
      }),
      { numRuns: 25 },
    );
  });

  it.each<[string, ValueInput, ErrorCode]>([
    ['nothing', {}, 'validation_failed'],
    ['two shapes', { value: 'a', valueBase64: 'YQ==' }, 'validation_failed'],
    ['bad base64', { valueBase64: 'YQ' }, 'validation_failed'],
    ['a lone surrogate', { value: '\ud800' }, 'validation_failed'],
    ['one byte too many', { value: 'x'.repeat(limits.valueBytes + 1) }, 'limit_exceeded'],
  ])('refuses %s before any write', async (_name, input, code) => {
    expect(await codeOf(secrets.create(caller, admin, { key: 'refused', ...input }))).toBe(code);
    expect(await codeOf(reader.get(caller, admin, 'refused'))).toBe('not_found');
  });

  it('takes a value of exactly the limit', async () => {
    await secrets.create(caller, admin, { key: 'largest', value: 'x'.repeat(limits.valueBytes) });
    expect(await stored(admin, 'largest')).toHaveLength(limits.valueBytes);
  });

  it('keeps keys unique after case folding, and names the other key', async () => {
    await secrets.create(caller, global, { key: 'Clash', value: 'a' });
    expect(await codeOf(secrets.create(caller, global, { key: 'Clash', value: 'b' }))).toBe('already_exists');
    await expect(secrets.create(caller, global, { key: 'clash', value: 'b' })).rejects.toMatchObject({
      code: 'key_clash',
      detail: expect.stringContaining('Clash'),
    });
    expect(await codeOf(reader.get(caller, global, 'clash'))).toBe('not_found');
  });

  it('rotates, keeps the last versions, and rolls back unseen', async () => {
    await secrets.create(caller, global, { key: 'rotating', value: 'first' });
    for (const value of ['second', 'third', 'fourth'])
      await secrets.rotate(caller, global, 'rotating', { value }, undefined);
    const versions = await reader.versions(caller, global, 'rotating');
    expect(versions.map(({ version }) => version)).toEqual(['1.4', '1.3', '1.2']);
    const view = await secrets.rollback(caller, global, 'rotating', '1.2', undefined);
    expect(view.version).toBe('1.5');
    expect(Buffer.from(await stored(global, 'rotating')).toString()).toBe('second');
    expect((await reader.versions(caller, global, 'rotating'))[0]).toMatchObject({
      version: '1.5',
      isCurrent: true,
      copiedFrom: '1.2',
    });
    await expect(secrets.rollback(caller, global, 'rotating', '1.1', undefined)).rejects.toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/version', message: 'rotating has no version 1.1, or no longer' }],
    });
  });

  it('lets concurrent rotations all survive, each with a version of its own', async () => {
    await secrets.create(caller, global, { key: 'contended', value: '0' });
    const rotations = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((value) => secrets.rotate(caller, global, 'contended', { value }, undefined)),
    );
    expect(rotations.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect((await reader.get(caller, global, 'contended')).version).toBe('1.5');
  });

  it('guards against lost updates with the revision', async () => {
    const { revision } = await secrets.create(caller, global, { key: 'guarded', value: 'a' });
    await secrets.update(caller, global, 'guarded', { description: 'new' }, revision);
    expect(await codeOf(secrets.update(caller, global, 'guarded', { description: 'newer' }, revision))).toBe(
      'revision_mismatch',
    );
    expect(await codeOf(secrets.rotate(caller, global, 'guarded', { value: 'b' }, revision))).toBe('revision_mismatch');
    expect((await reader.get(caller, global, 'guarded')).description).toBe('new');
  });

  it('deletes softly, holds the key, restores and purges', async () => {
    await secrets.create(caller, global, { key: 'leaving', value: 'kept' });
    await secrets.delete(caller, global, 'leaving', { force: false, ifMatch: undefined });
    expect(await codeOf(reader.get(caller, global, 'leaving'))).toBe('not_found');
    expect(await codeOf(secrets.create(caller, global, { key: 'leaving', value: 'x' }))).toBe('soft_deleted');
    expect((await reader.list(caller, global, { state: 'deleted' })).items.map(({ key }) => key)).toContain('leaving');
    expect(await codeOf(secrets.purge(caller, global, 'finance-db'))).toBe('state_conflict');
    await secrets.restore(caller, global, 'leaving');
    expect(Buffer.from(await stored(global, 'leaving')).toString()).toBe('kept');
    await secrets.delete(caller, global, 'leaving', { force: false, ifMatch: undefined });
    await secrets.purge(caller, global, 'leaving');
    expect(await codeOf(secrets.restore(caller, global, 'leaving'))).toBe('not_found');
    await secrets.create(caller, global, { key: 'leaving', value: 'another secret of that name' });
  });

  it('pages by key, searches by fragment and by prefix, filters by folder and tag', async () => {
    for (const n of [1, 2, 3, 4, 5])
      await secrets.create(caller, admin, {
        key: `page-${n}`,
        value: 'v',
        folder: n > 3 ? 'late/more' : 'early',
        tags: [`tag-${n % 2}`],
        description: n === 4 ? 'The 100% "odd" one' : '',
      });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await reader.list(caller, admin, { q: 'page-', limit: 2, ...(cursor !== undefined && { cursor }) });
      seen.push(...page.items.map(({ key }) => key));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(['page-1', 'page-2', 'page-3', 'page-4', 'page-5']);
    const keys = async (filter: Parameters<SecretReader['list']>[2]) =>
      (await reader.list(caller, admin, filter)).items.map(({ key }) => key);
    expect(await keys({ q: 'pa' })).toEqual(seen);
    expect(await keys({ q: '100% "ODD"' })).toEqual(['page-4']);
    expect(await keys({ q: 'nowhere' })).toEqual([]);
    expect(await keys({ folder: 'late' })).toEqual(['page-4', 'page-5']);
    expect(await keys({ folder: 'lat' })).toEqual([]);
    expect(await keys({ tag: 'tag-0' })).toEqual(['page-2', 'page-4']);
  });

  it('refuses a forged cursor, and another filter with a good one', async () => {
    const { nextCursor = '' } = await reader.list(caller, admin, { q: 'page-', limit: 1 });
    expect(nextCursor).not.toBe('');
    const forged = `${nextCursor.slice(0, -2)}${nextCursor.endsWith('xx') ? 'yy' : 'xx'}`;
    expect(await codeOf(reader.list(caller, admin, { q: 'page-', limit: 1, cursor: forged }))).toBe('cursor_invalid');
    expect(await codeOf(reader.list(caller, admin, { limit: 1, cursor: nextCursor }))).toBe('cursor_invalid');
    expect(
      await codeOf(reader.list({ ...caller, id: 'usr_other' }, admin, { q: 'page-', limit: 1, cursor: nextCursor })),
    ).toBe('cursor_invalid');
  });

  it('imports .env, JSON and a Kubernetes manifest', async () => {
    const env = await importer.import(caller, global, {
      format: 'env',
      content: '# note\nexport DB_USER=ann\nDB_PASSWORD="two\nlines"\n',
      folder: 'imported',
    });
    expect(env.items).toEqual([
      { key: 'DB_USER', outcome: 'created' },
      { key: 'DB_PASSWORD', outcome: 'created' },
    ]);
    expect(Buffer.from(await stored(global, 'DB_PASSWORD')).toString()).toBe('two\nlines');
    await importer.import(caller, global, {
      format: 'json',
      content: '{"api": "k", "pair": {"user": "u", "password": "p"}}',
      prefix: 'json-',
    });
    expect((await reader.get(caller, global, 'json-pair')).fields).toEqual(['user', 'password']);
    await importer.import(caller, global, {
      format: 'kubernetes',
      content:
        'apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata:\n  tls.key: aGVsbG8=\nstringData:\n  tls.crt: text\n',
    });
    expect(Buffer.from(await stored(global, 'tls.key')).toString()).toBe('hello');
  });

  it('takes any name of a manifest for what it is, and looks at no more of one than a manifest has', async () => {
    const manifest = (data: string) => `apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n${data}`;
    const imported = await importer.import(caller, global, {
      format: 'kubernetes',
      content: manifest('data:\n  constructor: aGVsbG8=\nstringData:\n  toString: text\n'),
    });
    expect(imported.items.map(({ outcome }) => outcome)).toEqual(['created', 'created']);
    const bad = [
      [manifest('data:\n  a: aGVsbG8=\n  a: aGVsbG8=\n'), 'the YAML has an error in line 6'],
      [manifest('data: [\n'), 'the YAML has an error in line 5'],
      // Each compared with each would take minutes.
      [manifest(`data:\n${Array.from({ length: 60_000 }, (_, index) => `  k${index}: YQ==\n`).join('')}`), 'larger'],
      [manifest(`data: ${'['.repeat(100_000)}`), 'larger'],
    ] as const;
    for (const [content, message] of bad) {
      const failure = importer.import(caller, global, { format: 'kubernetes', content });
      await expect(failure).rejects.toMatchObject({ errors: [{ message: expect.stringContaining(message) }] });
    }
  }, 30_000);

  it('imports nothing when anything is wrong, and says what without a value', async () => {
    const value = canaries.text('imported');
    const work = importer.import(caller, global, {
      format: 'json',
      content: JSON.stringify({ fresh: value, DB_USER: value, '-bad': value }),
    });
    const error = await work.then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({
      code: 'validation_failed',
      errors: [{ message: 'exists' }, { pointer: '/content/-bad' }],
    });
    canaries.saw('import error', JSON.stringify(error));
    for (const content of [
      `NAME=x\n${value}`,
      `A=1\nA=${value}`,
      `A="${canaries.plain('open quote')}`,
      `A="${canaries.plain('after quote')}"${canaries.plain('behind')}`,
      `A=${canaries.plain('hash')}#${canaries.plain('cut')}`,
    ]) {
      const failure = await importer.import(caller, global, { format: 'env', content }).then(
        () => undefined,
        (caught: unknown) => caught,
      );
      expect(failure).toMatchObject({ code: 'validation_failed' });
      canaries.saw('env error', JSON.stringify(failure) + String(failure));
    }
    canaries.assertNoLeak();
    expect(await codeOf(reader.get(caller, global, 'fresh'))).toBe('not_found');
  });

  it('imports all of a file or nothing, however often it is sent with its key', async () => {
    const idempotency = {
      subject: 'usr_test',
      route: 'importGlobalSecrets',
      key: 'once',
      bodyHmac: Buffer.alloc(32, 1),
    };
    const input = { format: 'env', content: 'ONCE_A=1\nONCE_B=2\n' } as const;
    const first = await importer.import(caller, global, input, idempotency);
    expect(await importer.import(caller, global, input, idempotency)).toEqual(first);
    expect(await codeOf(importer.import(caller, global, input))).toBe('validation_failed');
    // What one of them can't get any more, as when two files are imported at the same time, takes all of them back.
    const both = await Promise.allSettled(
      ['TOGETHER_A=1\nTOGETHER_B=1\n', 'TOGETHER_B=2\nTOGETHER_A=2\n'].map((content) =>
        importer.import(caller, global, { format: 'env', content }),
      ),
    );
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const values = await Promise.all(['TOGETHER_A', 'TOGETHER_B'].map((key) => stored(global, key)));
    expect(new Set(values.map((bytes) => Buffer.from(bytes).toString())).size).toBe(1);
  });

  it('rotates the terms and seals anew, and everything still opens', async () => {
    const { resealRetired } = await import('../keys/reseal.ts');
    await test.keys.rotateValueTerm(globalScopeId);
    await secrets.create(caller, global, { key: 'after-rotation', value: 'new' });
    expect(Buffer.from(await stored(global, 'finance-db')).length).toBeGreaterThan(0);
    const { isDone, resealed } = await resealRetired(test.store, test.keys, { batches: 100 });
    expect(isDone).toBe(true);
    expect(resealed).toBeGreaterThan(3);
    expect(await test.store.query('keys.retiredCount', undefined)).toBe(0);
    await test.reopen();
    expect(Buffer.from(await stored(global, 'after-rotation')).toString()).toBe('new');
  });
});
