import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '@strongroom/sdk';
import { startTestServer, type TestServer } from '@strongroom/server/testing/app.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../errors.ts';
import { type Io, processIo } from '../io.ts';
import { Output } from '../output/output.ts';
import { scriptIo } from '../testing/script-io.ts';
import { ApplyStopped, execute } from './execute.ts';
import { objectKinds } from './kinds/index.ts';
import { readManifests } from './manifest.ts';
import { makePlan, type Step } from './plan.ts';
import { doingOf, nameOf, plannedItem, printPlan } from './print.ts';

let server: TestServer;
let client: Client;
let folder: string;
let io: Io;

beforeAll(async () => {
  server = await startTestServer();
  client = createClient({ url: server.url, token: server.adminToken });
  folder = mkdtempSync(join(tmpdir(), 'strongroom-apply-'));
  io = { ...processIo(), cwd: folder };
  await client.createDomain({ body: { name: 'finance' } });
  await client.createUser({ body: { name: 'ann', password: 'a long enough password' } });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const write = (path: string, text: string): void => writeFileSync(join(folder, path), text);

async function plan(text: string, options: { readonly prunes?: boolean; readonly domain?: string } = {}) {
  write('manifest.yaml', text);
  const manifests = await readManifests(io, 'manifest.yaml', undefined, objectKinds);
  const { prunes = false, domain } = options;
  return makePlan(client, objectKinds, manifests, { manager: 'these', prunes, domain });
}

/** What a plan may look at, and not touch. */
const all = () => [
  client.showDomain({ params: { domain: 'finance' } }),
  client.listMembers({ params: { domain: 'finance' } }),
  client.showBundle({ params: { domain: 'finance', bundle: 'changed' } }),
  client.showDomainSecret({ params: { domain: 'finance', key: 'changed' } }),
  client.showAssignments({ params: { key: 'apply-assigned' } }),
];

async function refusal(steps: Awaited<ReturnType<typeof plan>>): Promise<unknown> {
  const error = await execute(steps, () => undefined).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(ApplyStopped);
  return (error as ApplyStopped).cause;
}

describe('an apply', () => {
  const job = (seconds: number) =>
    `{kind: spark-job, domain: finance, name: edited, command: ['true'], timeoutSeconds: ${seconds}}`;

  it('overwrites nothing that was edited since its plan', async () => {
    await execute(await plan(job(60)), () => undefined);
    const steps = await plan(job(120));
    expect(steps.map(doingOf)).toEqual(['change']);
    await client.updateSparkJob({
      params: { domain: 'finance', name: 'edited' },
      body: { command: ['true'], timeoutSeconds: 7, managedBy: 'these' },
    });
    expect(await refusal(steps)).toMatchObject({ code: 'revision_mismatch' });
    expect(await client.showSparkJob({ params: { domain: 'finance', name: 'edited' } })).toMatchObject({
      timeoutSeconds: 7,
    });
  });

  it('deletes nothing that was edited since its plan', async () => {
    const steps = await plan('{kind: domain, name: finance}', { prunes: true });
    expect(steps.map((step) => `${doingOf(step)} ${nameOf(step)}`)).toEqual([
      'unchanged domain finance',
      'delete job edited in finance',
    ]);
    await client.updateSparkJob({
      params: { domain: 'finance', name: 'edited' },
      body: { command: ['false'], managedBy: 'these' },
    });
    expect(await refusal(steps)).toMatchObject({ code: 'revision_mismatch' });
  });

  it('gives no preset in place of one that was given since its plan', async () => {
    const member = (preset: string) => `{kind: member, domain: finance, principal: 'user:ann', preset: ${preset}}`;
    await execute(await plan(member('VIEWER')), () => undefined);
    const steps = await plan(member('OWNER'));
    await client.putMember({ params: { domain: 'finance', principal: 'user:ann' }, body: { preset: 'MEMBER' } });
    expect(await refusal(steps)).toMatchObject({ code: 'version_conflict' });
    const { items } = await client.listMembers({ params: { domain: 'finance' } });
    // What made it stays known when the preset changes.
    expect(items.find(({ principal }) => principal === 'user:ann')).toMatchObject({
      preset: 'MEMBER',
      managedBy: 'these',
    });
  });

  it('changes nothing when it is refused by what is there already', async () => {
    await expect(plan(job(60).replace('timeoutSeconds: 60', 'timeoutSeconds: -1'))).rejects.toMatchObject({
      code: 'validation_failed',
    });
    await expect(
      plan(
        job(60).replace('timeoutSeconds: 60', 'environment: [{name: A, secret: "secret://domain/managed/nowhere"}]'),
      ),
    ).rejects.toMatchObject({ code: 'reference_unresolved' });
  });

  it('knows what the server has against a creation before anything is written', async () => {
    const fresh = (more: string, name = 'fresh') =>
      `{kind: spark-job, domain: finance, name: ${name}, command: ['true'], ${more}}`;
    const nowhere = 'environment: [{name: A, secret: "secret://domain/managed/nowhere"}]';
    const first = fresh('timeoutSeconds: 60', 'first');
    await expect(plan(fresh(nowhere))).rejects.toMatchObject({ code: 'reference_unresolved' });
    await expect(plan(fresh('storageConfigs: [lake]'))).rejects.toMatchObject({ code: 'reference_unresolved' });
    await expect(plan(fresh('bundle: nobodys'))).rejects.toMatchObject({ code: 'validation_failed' });
    // What is wrong with the manifest itself no other one mends.
    await expect(plan(`${first}\n---\n${fresh('timeoutSeconds: -1')}`)).rejects.toMatchObject({
      code: 'validation_failed',
    });
    await expect(
      plan(
        '{kind: email, host: mail.example.org, port: 587, security: starttls, username: ann, senderAddress: a@example.org, password: {secret: "secret://admin/managed/nowhere"}}',
      ),
    ).rejects.toMatchObject({ code: 'reference_unresolved' });
    // What comes before it may: here the storage configuration that it uses.
    const lake = '{kind: storage-config, domain: finance, name: lake, provider: aws, region: eu-west-1, bucket: lake}';
    const steps = await plan(`${fresh('storageConfigs: [lake]')}\n---\n${lake}`);
    expect(steps.map(doingOf)).toEqual(['create', 'create']);
    expect(
      steps.map((step) => ('planned' in step && 'problem' in step.planned ? step.planned.problem?.code : 'none')),
    ).toEqual(['none', 'reference_unresolved']);
    const inBundle = await plan(`${fresh('bundle: those')}\n---\n{kind: bundle, domain: finance, name: those}`);
    expect(inBundle.map(doingOf)).toEqual(['create', 'create']);
    for (const name of ['first', 'fresh'])
      await expect(client.showSparkJob({ params: { domain: 'finance', name } })).rejects.toMatchObject({
        code: 'not_found',
      });
  });

  it('knows what the server has against a creation of every kind', async () => {
    const refused = async (text: string, code: string) => expect(plan(text)).rejects.toMatchObject({ code });
    await refused('{kind: domain, name: global}', 'already_exists');
    await refused('{kind: domain, name: fresh, store: vault}', 'validation_failed');
    await refused('{kind: member, domain: finance, principal: "user:nobody", preset: VIEWER}', 'validation_failed');
    await refused('{kind: member, domain: nowhere, principal: "user:ann", preset: VIEWER}', 'not_found');
    await refused(
      '{kind: grant, domain: finance, principal: "user:nobody", permission: CREATE_BUNDLE}',
      'validation_failed',
    );
    await refused('{kind: grant, domain: finance, principal: "user:ann", permission: RESOLVE}', 'validation_failed');
    await refused('{kind: bundle, domain: finance, name: fresh, owner: "user:nobody"}', 'validation_failed');
    const integration = (more: string) =>
      `{kind: integration, domain: finance, name: fresh, type: AWS, ${more}, settings: {region: eu-west-1, prefix: fresh, authentication: {method: assume-role}}}`;
    await refused(integration('profile: nobodys'), 'validation_failed');
    // What the caller may not see is not there for it, until its name is taken.
    await client.createBundle({ params: { domain: 'finance' }, body: { name: 'anns', owner: 'user:ann' } });
    const hidden = { name: 'hidden', command: ['true'], bundle: 'anns' };
    await client.createSparkJob({ params: { domain: 'finance' }, body: hidden });
    await expect(plan(`{kind: spark-job, domain: finance, ${JSON.stringify(hidden).slice(1)}`)).rejects.toMatchObject({
      code: 'already_exists',
      hint: expect.stringContaining('VIEW is missing') as string,
    });
    // Here it may come of what is made before it: it is said, and tried again when that is done.
    const steps = await plan(
      '{kind: grant, domain: fresh, principal: "user:ann", permission: CREATE_BUNDLE}\n---\n{kind: domain, name: fresh}',
    );
    expect(
      steps.map((step) => ('planned' in step && 'problem' in step.planned ? step.planned.problem?.code : 'none')),
    ).toEqual(['none', 'not_found']);
    await expect(client.showDomain({ params: { domain: 'fresh' } })).rejects.toMatchObject({ code: 'not_found' });
    const events = await client.listAuditRecords({ query: { action: 'domain.create', limit: 50 } });
    expect(events.items.map(({ object }) => object?.name)).not.toContain('fresh');
  });

  it('tries what a bundle that is there is given, and says of a new one that its content waits', async () => {
    const bundle = (name: string, more: string) => `{kind: bundle, domain: finance, name: ${name}, ${more}}`;
    await execute(await plan(bundle('held', 'assets: [{key: one}]')), () => undefined);
    const grant = (principal: string) =>
      `grants: [{principal: 'user:${principal}', assetType: secret, permissions: [USE]}]`;
    await expect(plan(bundle('held', grant('nobody')))).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(plan(bundle('held', 'assets: [{key: "ſ"}]'))).rejects.toMatchObject({ code: 'validation_failed' });
    const added = await plan(bundle('held', `${grant('ann')}, assets: [{key: one}, {prefix: two-}]`));
    expect(added.map((step) => plannedItem(step)['remark'])).toEqual([undefined]);
    const fresh = await plan(bundle('fresh', grant('nobody')));
    expect(fresh.map((step) => plannedItem(step)['remark'])).toEqual([
      'what is granted on it and what is in it is checked when it is there',
    ]);
    // What is wrong whoever asks is said of a new one, too.
    for (const wrong of [
      'grants: [{principal: "user:ann", assetType: notebook, permissions: [USE]}]',
      'grants: [{principal: "user:ann", assetType: constructor, permissions: [USE]}]',
      'assets: [{key: one, prefix: two}]',
      'assets: [{scope: global}]',
    ])
      await expect(plan(bundle('fresh', wrong))).rejects.toBeInstanceOf(UsageError);
    const { items } = await client.listBundleAssets({ params: { domain: 'finance', bundle: 'held' } });
    expect(items.map(({ key }) => key)).toEqual(['one']);
    await client.deleteBundle({ params: { domain: 'finance', bundle: 'held' }, query: { force: true } });
  });

  it('tells what a change or a deletion would hit, and of a change that hits nothing nothing', async () => {
    const { token } = await server.createUser('mia');
    const mia = createClient({ url: server.url, token });
    await client.createDomainSecret({ params: { domain: 'finance' }, body: { key: 'mias', value: 'x' } });
    const member = (preset: string) => `{kind: member, domain: finance, principal: 'user:mia', preset: ${preset}}`;
    const narrow = (more: string) => `{kind: bundle, domain: finance, name: narrow, owner: 'user:ann', ${more}}`;
    const domain = '{kind: domain, name: finance}';
    await execute(await plan(`${member('MEMBER')}\n---\n${narrow('')}`), () => undefined);
    await mia.createSparkJob({
      params: { domain: 'finance' },
      body: { name: 'of-mia', command: ['true'], environment: [{ name: 'A', secret: 'secret://domain/managed/mias' }] },
    });
    const said = async (text: string, prunes = false): Promise<string[]> => {
      const shown = scriptIo({ env: {}, cwd: folder });
      printPlan(new Output(shown, {}), await plan(text, { prunes }));
      return shown.stdout.text.match(/^ {4}.*hits .*$/gm) ?? [];
    };
    const hits = 'hits 1 configuration: spark-job/of-mia';
    expect(await said(member('VIEWER'))).toEqual([`    ${hits}`]);
    expect(await said(member('OWNER'))).toEqual([]);
    expect(await said(narrow('assets: [{key: mias}]'))).toEqual([`    assets domain key mias: ${hits}`]);
    expect(await said(narrow('assets: [{key: others}]'))).toEqual([]);
    expect(await said(`${domain}\n---\n${narrow('')}`, true)).toEqual([`    ${hits}`]);
    const [step] = await plan(member('VIEWER'));
    expect(plannedItem(step as Step)).toMatchObject({ hits: [{ impact: { change: 'revoke', configurations: [{}] } }] });
  });

  it('knows what the server has against an integration that waits for its credentials', async () => {
    const waiting = (more: string) =>
      `{kind: integration, domain: finance, name: waiting, type: VAULT, ${more}settings: {address: 'http://127.0.0.1:8200', path: /v1/kv/data/app, authentication: {method: token}}}`;
    const steps = await plan(waiting(''));
    expect(steps.map(doingOf)).toEqual(['wait']);
    expect(steps.map((step) => plannedItem(step)['remark'])).toEqual([
      'it needs its credentials, which no manifest holds; make it once with: strongroom integration add waiting --file manifest.yaml --domain finance',
    ]);
    await expect(plan(waiting('bundle: nobodys, '))).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(plan(waiting('').replace('address', 'adress'))).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(plan(waiting('').replace('127.0.0.1', '169.254.169.254'))).rejects.toMatchObject({
      code: 'egress_denied',
    });
    const held = waiting('');
    await client.createDomainIntegration({
      params: { domain: 'finance' },
      body: {
        name: 'waiting',
        type: 'VAULT',
        settings: { address: 'http://127.0.0.1:8200', path: '/v1/kv/data/app', authentication: { method: 'token' } },
        credentials: { token: 'x' },
      },
    });
    expect((await plan(held)).map(doingOf)).toEqual(['unchanged']);
    await expect(plan(held.replace(':8200', ':8201'))).rejects.toMatchObject({ code: 'validation_failed' });
    await client.deleteDomainIntegration({ params: { domain: 'finance', name: 'waiting' } });
    const later = await plan(`${waiting('bundle: those, ')}\n---\n{kind: bundle, domain: finance, name: those}`);
    expect(later.map(doingOf)).toEqual(['create', 'wait']);
    expect(plannedItem(later[1] as Step)['remark']).toMatch(
      /credentials.*; can be checked only when what comes before/,
    );
  });

  it('knows what the server has against a change of what is there', async () => {
    const refused = async (text: string, code: string) => expect(plan(text)).rejects.toMatchObject({ code });
    await client.createDomainSecret({ params: { domain: 'finance' }, body: { key: 'changed', value: 'x' } });
    await client.createGlobalSecret({ body: { key: 'apply-assigned', value: 'x' } });
    await client.createBundle({ params: { domain: 'finance' }, body: { name: 'changed' } });
    await client.addMember({ params: { domain: 'finance' }, body: { principal: 'user:ann', preset: 'VIEWER' } }).then(
      () => undefined,
      () => client.putMember({ params: { domain: 'finance', principal: 'user:ann' }, body: { preset: 'VIEWER' } }),
    );
    const before = await Promise.all(all());
    const first = '{kind: domain, name: finance, description: Tried}\n---\n';
    await refused('{kind: domain, name: finance, description: 3}', 'validation_failed');
    await refused('{kind: domain, name: finance, store: kubernetes}', 'state_conflict');
    await refused(`${first}{kind: member, domain: finance, principal: "user:ann", preset: KING}`, 'validation_failed');
    await refused(`${first}{kind: bundle, domain: finance, name: changed, owner: "user:nobody"}`, 'validation_failed');
    await refused('{kind: bundle, domain: finance, name: default, owner: "user:ann"}', 'state_conflict');
    await refused(`${first}{kind: secret, domain: finance, key: changed, rotateEveryDays: -1}`, 'validation_failed');
    await refused('{kind: secret, scope: global, key: apply-assigned, assignments: [nowhere]}', 'validation_failed');
    // Domains that are made before are there when it is done.
    const steps = await plan(
      '{kind: secret, scope: global, key: apply-assigned, assignments: [apply-new]}\n---\n{kind: domain, name: apply-new}',
    );
    expect(steps.map(doingOf)).toEqual(['create', 'change']);
    expect(plannedItem(steps[1] as Step)['remark']).toMatch(/^can be checked only when what comes before it is done/);
    expect(await Promise.all(all())).toEqual(before);
  });

  it('says of a bundle that goes that it will be refused while secrets are named in it', async () => {
    const bundle = (assets: string) => `{kind: bundle, domain: finance, name: going, assets: ${assets}}`;
    const remarks = async () =>
      (await plan('{kind: domain, name: finance}', { prunes: true }))
        .filter((step) => nameOf(step) === 'bundle going in finance')
        .map((step) => plannedItem(step)['remark']);
    await execute(await plan(bundle('[{key: going}]')), () => undefined);
    expect(await remarks()).toEqual([expect.stringContaining('it will be refused while secrets are named in it')]);
    await execute(await plan(bundle('[]'), { prunes: true }), () => undefined);
    expect(await remarks()).toEqual(['an apply made it, and no manifest has it any more']);
  });

  it('says what a member that goes keeps, but for what goes with it', async () => {
    const { name: kim } = await server.createUser('kim');
    const domain = '{kind: domain, name: finance}';
    const member = `{kind: member, domain: finance, principal: '${kim}', preset: VIEWER}`;
    const grant = `{kind: grant, domain: finance, principal: '${kim}', permission: CREATE_NOTEBOOK}`;
    const bundle = `{kind: bundle, domain: finance, name: kims, owner: '${kim}'}`;
    const remarks = async (text: string) =>
      (await plan(text, { prunes: true }))
        .filter((step) => nameOf(step) === `member ${kim} in finance`)
        .map((step) => plannedItem(step)['remark']);
    const gone = 'an apply made it, and no manifest has it any more';
    await execute(await plan([domain, member, grant, bundle].join('\n---\n')), () => undefined);
    await client.addBundleGrant({
      params: { domain: 'finance', bundle: 'kims' },
      body: { principal: kim, assetType: 'secret', permissions: ['USE'] },
    });
    expect(await remarks(domain)).toEqual([gone]);
    expect(await remarks(`${domain}\n---\n${grant}`)).toEqual([`${gone}; ${kim} keeps CREATE_NOTEBOOK`]);
    expect(await remarks(`${domain}\n---\n${grant}\n---\n${bundle}`)).toEqual([
      `${gone}; ${kim} keeps CREATE_NOTEBOOK, USE on each secret of the bundle kims, the bundle kims as its owner`,
    ]);
    await execute(await plan(domain, { prunes: true }), () => undefined);
  });

  it('says of a storage configuration that goes that it will be refused while it is used, and not when its users go or let go', async () => {
    const storage =
      '{kind: storage-config, domain: finance, name: pool, provider: s3-compatible, endpoint: "http://127.0.0.1:9", bucket: pool}';
    const job = (used: string) =>
      `{kind: spark-job, domain: finance, name: user-of-pool, command: ["true"], storageConfigs: [${used}]}`;
    const domain = '{kind: domain, name: finance}';
    const remarks = async (text: string) =>
      (await plan(text, { prunes: true }))
        .filter((step) => nameOf(step) === 'storage pool in finance')
        .map((step) => plannedItem(step)['remark']);
    const gone = 'an apply made it, and no manifest has it any more';
    const refused = (who: string) =>
      `${gone}; it will be refused while it is used by ${who}; first take it out of storageConfigs there`;
    await execute(await plan(`${storage}\n---\n${job('pool')}`), () => undefined);
    expect(await remarks(`${domain}\n---\n${job('pool')}`)).toEqual([refused('spark-job/user-of-pool')]);
    expect(await remarks(`${domain}\n---\n${job('')}`)).toEqual([gone]);
    expect(await remarks(domain)).toEqual([gone]);
    // Whoever else uses it has no manifest, and stays.
    await client.createNotebook({ params: { domain: 'finance' }, body: { name: 'by-hand', storageConfigs: ['pool'] } });
    expect(await remarks(domain)).toEqual([refused('notebook/by-hand')]);
    const steps = await plan(domain, { prunes: true });
    await expect(execute(steps, () => undefined)).rejects.toMatchObject({ cause: { code: 'in_use' } });
    await client.deleteNotebook({ params: { domain: 'finance', name: 'by-hand' } });
    await execute(await plan(domain, { prunes: true }), () => undefined);
    expect(await remarks(domain)).toEqual([]);
  });

  it('takes what it made from the domain that is named, and from no other', async () => {
    await client.createDomain({ body: { name: 'sales' } });
    await execute(
      await plan('{kind: grant, domain: sales, principal: "user:ann", permission: CREATE_BUNDLE}'),
      () => undefined,
    );
    const about = async (domain?: string) =>
      (await plan('{kind: domain, name: finance}', { prunes: true, ...(domain === undefined ? {} : { domain }) }))
        .filter((step) => doingOf(step) === 'delete')
        .map(nameOf);
    expect(await about()).not.toContain('grant user:ann CREATE_BUNDLE in sales');
    expect(await about('sales')).toContain('grant user:ann CREATE_BUNDLE in sales');
  });
});

describe('a folder of manifests', () => {
  it('is read by path, with the folders below it and links to files, but for what is hidden', async () => {
    for (const path of ['many', 'many/b', 'many/.git', 'elsewhere']) mkdirSync(join(folder, path));
    const domain = (name: string) => `{kind: domain, name: ${name}}`;
    write('many/c.yml', domain('c'));
    write('many/b/b.JSON', '{"kind": "domain", "name": "b"}');
    write('many/.git/x.yaml', 'no: [manifest');
    write('many/notes.txt', 'no: [manifest');
    write('many/empty.yaml', '---\n---\n');
    write('elsewhere/linked.yaml', domain('linked'));
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'many/folder.yaml'));
    symlinkSync('../elsewhere/linked.yaml', join(folder, 'many/d.yaml'));
    const names = (await readManifests(io, 'many', undefined, objectKinds)).map(({ name }) => name);
    expect(names).toEqual(['b', 'c', 'linked']);
    symlinkSync('nowhere', join(folder, 'many/e.yaml'));
    await expect(readManifests(io, 'many', undefined, objectKinds)).rejects.toThrow('leads nowhere');
  });
});
