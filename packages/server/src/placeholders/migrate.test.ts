import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { inFinance, managedReference, onlyJob, outcomes, PlaceholderWorld } from '../../testing/placeholder-world.ts';
import { runKilledPlaceholders, storedDocuments } from '../../testing/placeholders-kills.ts';

const world = new PlaceholderWorld();
const { shared, typed } = world;

describe('a configuration with plain, placeholder and reference fields side by side', () => {
  const names = ['PLAIN', 'WHOLE', 'INSIDE', 'REFERENCE', 'API_TOKEN', 'ESCAPED'];
  const digests = () =>
    [
      'plain text',
      shared,
      `<${shared}>`,
      'value of its own',
      typed,
      '${secrets.shared}',
      `whole file: ${shared}`.slice(12),
    ].map((text) => createHash('sha256').update(text).digest('hex'));

  it('launches, is migrated field by field, and launches the same', async () => {
    const print = `for name in ${names.join(' ')}; do eval printf %s "\\"\\$$name\\"" | sha256sum; done; sha256sum < conf`;
    await world.saveJob('mixed', {
      command: ['sh', '-c', print],
      environment: [
        { name: 'PLAIN', value: 'plain text' },
        { name: 'WHOLE', value: '${secrets.shared}' },
        { name: 'INSIDE', value: '<${secrets.shared}>' },
        { name: 'REFERENCE', secret: managedReference('domain', 'own') },
        { name: 'API_TOKEN', value: typed },
        { name: 'ESCAPED', value: '$${secrets.shared}' },
      ],
      files: [{ name: 'conf', content: '${secrets.shared}' }],
    });
    const before = await world.printed('mixed');
    expect([...before.matchAll(/^[0-9a-f]{64}/gm)].map(String)).toEqual(digests());

    const dry = await world.ask('migrate', { dryRun: true, createSecrets: true });
    expect([outcomes(dry), (await world.showJob('mixed')).revision]).toEqual([['mixed would-change'], 1]);
    const done = await world.ask('migrate', { createSecrets: true });
    expect(outcomes(done)).toEqual(['mixed changed']);
    const { revision, environment, files } = await world.showJob('mixed');
    expect([revision, environment, files]).toEqual([
      2,
      [
        { name: 'PLAIN', value: 'plain text' },
        { name: 'WHOLE', secret: managedReference('global', 'shared') },
        { name: 'INSIDE', value: '<${secrets.shared}>' },
        { name: 'REFERENCE', secret: managedReference('domain', 'own') },
        { name: 'API_TOKEN', secret: managedReference('domain', 'mixed-api-token') },
        { name: 'ESCAPED', value: '$${secrets.shared}' },
      ],
      [{ name: 'conf', secret: managedReference('global', 'shared') }],
    ]);
    expect(await world.printed('mixed')).toBe(before);
    const audit = await world.test.call<{ items: { because: string[] }[] }>(
      'GET',
      '/v1/audit?action=spark-job.update&limit=1',
    );
    expect(audit.items[0]?.because).toEqual(['placeholders.migrate', 'environment', 'files']);
    // What was done is found no more: whoever was cut short does it again.
    expect((await world.ask('migrate', { createSecrets: true })).items[0]?.outcome).toBe('unchanged');
  });

  it('is put back but for the secret, unless somebody has edited a field since', async () => {
    const moved = [
      { name: 'NEW', value: 'first' },
      { name: 'WHOLE', secret: managedReference('global', 'shared') },
      { name: 'API_TOKEN', secret: managedReference('domain', 'mixed-api-token') },
    ];
    await world.test.call('PUT', `${inFinance}/spark-jobs/mixed`, {
      body: {
        command: ['true'],
        environment: moved,
        files: [{ name: 'conf', secret: managedReference('domain', 'own') }],
      },
    });
    expect(outcomes(await world.ask('undo', { dryRun: true }))).toEqual(['mixed would-change']);
    const done = await world.ask('undo');
    expect(outcomes(done)).toEqual(['mixed changed']);
    expect(done.items[0]?.fields.map(({ pointer, restores, stays }) => `${pointer} ${restores ?? stays}`)).toEqual([
      '/environment/2/secret secret-kept',
      '/environment/1/secret ${secrets.shared}',
      '/files/0/secret edited-since',
    ]);
    const { environment, files } = await world.showJob('mixed');
    expect(environment).toEqual([moved[0], { name: 'WHOLE', value: '${secrets.shared}' }, moved[2]]);
    expect(files).toEqual([{ name: 'conf', secret: managedReference('domain', 'own') }]);
    expect(outcomes(await world.ask('undo'))).toEqual(['mixed unchanged']);
  });
});

describe('migrate', () => {
  it('restores exactly what it changed', async () => {
    await world.saveJob('exact', { environment: [{ name: 'A', value: '${secrets.shared}' }], description: 'kept' });
    const before = await world.showJob('exact');
    await world.ask('migrate', onlyJob('exact'));
    expect((await world.showJob('exact')).environment).toEqual([
      { name: 'A', secret: managedReference('global', 'shared') },
    ]);
    await world.ask('undo', onlyJob('exact'));
    const { environment, files } = await world.showJob('exact');
    expect({ environment, files }).toEqual({ environment: before.environment, files: before.files });
  });

  it('makes no secret unless asked to, and names one otherwise when its name is taken', async () => {
    await world.test.call('POST', `${inFinance}/secrets`, {
      body: { key: 'Plain-PASSWORD', value: 'somebody else’s' },
    });
    await world.saveJob('plain', { environment: [{ name: 'PASSWORD', value: typed }] });
    const left = await world.ask('migrate', onlyJob('plain'));
    expect(left.items).toMatchObject([{ outcome: 'unchanged', fields: [{ stays: 'not-asked' }] }]);
    await world.test.call('POST', `${inFinance}/secrets`, { body: { key: 'plain-password-2', value: 'deleted' } });
    await world.test.call('DELETE', `${inFinance}/secrets/plain-password-2`);
    const becomes = 'secret://domain/managed/plain-password-3';
    // The dry run says the very name.
    expect(
      (await world.ask('migrate', { ...onlyJob('plain'), createSecrets: true, dryRun: true })).items,
    ).toMatchObject([{ outcome: 'would-change', fields: [{ becomes }] }]);
    const done = await world.ask('migrate', { ...onlyJob('plain'), createSecrets: true });
    expect(done.items).toMatchObject([{ outcome: 'changed', fields: [{ becomes }] }]);
  });

  it('takes up the very secret that was made before a crash', async () => {
    await world.saveJob('crashed', { environment: [{ name: 'PASSWORD', value: typed }] });
    const body = { ...onlyJob('crashed'), createSecrets: true };
    await world.ask('migrate', body);
    // As if the configuration's own transaction had not come about.
    await world.test.call('PUT', `${inFinance}/spark-jobs/crashed`, {
      token: world.ann.token,
      body: { command: ['true'], environment: [{ name: 'PASSWORD', value: typed }] },
    });
    const again = await world.ask('migrate', body);
    expect(again.items[0]?.fields[0]?.becomes).toBe('secret://domain/managed/crashed-password');
    const { items } = await world.test.call<{ items: { key: string }[] }>('GET', `${inFinance}/secrets?q=crashed`);
    expect(items.map(({ key }) => key)).toEqual(['crashed-password']);
  });

  it('touches one configuration only at the revision that was meant, and only the fields that are named', async () => {
    const value = '${secrets.shared}';
    await world.saveJob('meant', {
      environment: [
        { name: 'A', value },
        { name: 'B', value },
      ],
    });
    const stale = await world.ask('migrate', onlyJob('meant', { revision: 7 }));
    expect(stale.items).toMatchObject([{ outcome: 'failed', problem: { code: 'revision_mismatch' } }]);
    await world.ask('migrate', onlyJob('meant', { revision: 1, pointers: ['/environment/1/value'] }));
    expect((await world.showJob('meant')).environment).toMatchObject([{ value }, { secret: {} }]);
    expect((await world.ask('undo', onlyJob('meant', { revision: 1 }))).items[0]?.problem?.code).toBe(
      'revision_mismatch',
    );
  });

  it('goes on after one that fails, and says why', async () => {
    await world.test.call('POST', `${inFinance}/bundles`, { token: world.ann.token, body: { name: 'closed' } });
    const environment = [{ name: 'A', value: '${secrets.shared}' }];
    await world.saveJob('page-a', { environment, bundle: 'closed' });
    await world.test.call('POST', `${inFinance}/bundles/closed/grants`, {
      token: world.ann.token,
      body: { principal: 'user:bob', assetType: 'spark-job', permissions: ['VIEW'] },
    });
    await world.saveJob('page-b', { environment });
    const both = { configurations: ['page-a', 'page-b'].map((name) => ({ surface: 'spark-job', name })) };
    const done = await world.ask('migrate', both, world.bob.token);
    expect(outcomes(done)).toEqual(['page-a failed', 'page-b changed']);
    expect(done.items[0]?.problem?.code).toBe('permission_missing');
    const audit = await world.test.call<{ items: object[] }>(
      'GET',
      '/v1/audit?action=spark-job.update&outcome=denied&limit=1',
    );
    expect(audit.items).toMatchObject([{ principal: { name: 'user:bob' }, object: { name: 'page-a' } }]);
    const unseen = await world.test.request('POST', `${inFinance}/placeholders/migrate`, {
      token: world.vic.token,
      body: onlyJob('page-a'),
    });
    expect([unseen.status, unseen.body]).toMatchObject([403, { detail: 'It needs UPDATE in domain finance.' }]);
    const noSecret = await world.ask('migrate', { ...onlyJob('page-b'), createSecrets: true }, world.bob.token);
    expect(noSecret.items).toEqual([]);
    await world.saveJob('typed-by-bob', { environment: [{ name: 'PASSWORD', value: typed }] });
    const refused = await world.ask('migrate', { ...onlyJob('typed-by-bob'), createSecrets: true }, world.bob.token);
    expect(refused.items).toMatchObject([{ outcome: 'failed', problem: { code: 'permission_missing' } }]);
  });

  it('goes by pages', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = `?limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`;
      const page = await world.ask('migrate', { dryRun: true }, world.ann.token, query);
      expect(page.configurations).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ configuration }) => configuration));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toContain('page-a');
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('forgets with its configuration', async () => {
    await world.test.call('DELETE', `${inFinance}/spark-jobs/page-b`);
    await world.saveJob('page-b', { environment: [{ name: 'A', secret: managedReference('global', 'shared') }] });
    expect(outcomes(await world.ask('undo', onlyJob('page-b')))).toEqual([]);
  });

  it('killed in the middle, and an undo as well, leaves each configuration as it was or as it was to be', async () => {
    const names = ['kill-a', 'kill-b', 'kill-c'];
    for (const name of names)
      await world.saveJob(name, {
        environment: [
          { name: 'A', value: '${secrets.shared}' },
          { name: 'URL', value: 'x${secrets.shared}' },
          ...(name === 'kill-b' ? [{ name: 'PASSWORD', value: typed }] : []),
        ],
      });
    const configurations = names.map((name) => ({ surface: 'spark-job', name }));
    const asked = { configurations, token: world.ann.token };
    const stored = () => storedDocuments(world.test, 'kill-');
    const old = stored();
    expect(old.map(({ changes }) => changes)).toEqual([0, 0, 0]);
    await world.test.server.stop();
    // The secret is there, the configuration does not refer to it yet.
    const made = { command: 'secret.create', count: 1, when: 'answered' } as const;
    await runKilledPlaceholders(world.test, { ...asked, verbs: ['migrate'], ...made });
    const first = stored();
    expect(first.map(({ changes }) => changes)).toEqual([1, 0, 0]);
    expect([first[1], first[2]]).toEqual([old[1], old[2]]);
    // What is left of the migration, then the second configuration of an undo.
    const under = { command: 'placeholders.rewrite', count: 4, when: 'sent' } as const;
    await runKilledPlaceholders(world.test, { ...asked, verbs: ['migrate', 'undo'], ...under });
    const left = stored();
    for (const { document, changes } of left) {
      const isOld = !document.includes('"secret":{"scope":"global"');
      // The secret that was typed stays one.
      expect(changes - (document.includes('kill-b-password') ? 1 : 0)).toBe(isOld ? 0 : 1);
    }
    // The first was done before the kill, the last is as the migration left it.
    expect([left[0], left[2]?.changes]).toEqual([old[0], 1]);
    expect(left[1]?.document).toContain('kill-b-password');
    await world.test.restart();
    const { items } = await world.test.call<{ items: { key: string }[] }>('GET', `${inFinance}/secrets?q=kill-b`);
    expect(items.map(({ key }) => key)).toEqual(['kill-b-password']);
    await world.ask('undo', { configurations });
    const [a, b, c] = stored();
    expect([a, c]).toEqual([old[0], old[2]]);
    const secret = JSON.stringify(managedReference('domain', 'kill-b-password'));
    expect(b?.document).toBe(old[1]?.document.replace(`"value":${JSON.stringify(typed)}`, `"secret":${secret}`));
  });

  it('shows no plain secret, and keeps none beside the secret itself', async () => {
    const database = new DatabaseSync(join(world.test.dataDir, 'strongroom.db'), { readOnly: true });
    const kept = database.prepare('select name, text from placeholder_changes order by name').all();
    database.close();
    expect(kept).toContainEqual({ name: 'API_TOKEN', text: null });
    world.plain.saw('what undo has', JSON.stringify(kept));
    expect(world.plain.leaks()).toEqual([]);
    await world.test.assertNoLeak();
  });
});
