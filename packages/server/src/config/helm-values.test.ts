import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfiguration } from './load.ts';
import { settingsTable } from './schema.ts';

const root = new URL('../../../../', import.meta.url);
const chart = new URL('deploy/helm/strongroom/', root);
const read = (path: string, from = chart): string => readFileSync(new URL(path, from), 'utf8');

type Values = Record<string, unknown>;
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly pattern?: string;
}

const schema: Schema = JSON.parse(read('values.schema.json'));
const values: Values = parse(read('values.yaml'));
const settingNames: readonly string[] = JSON.parse(/^\[.*\]$/m.exec(read('templates/_settings.tpl'))?.[0] ?? '[]');
const validate = new Ajv({ allowUnionTypes: true, strict: true }).compile(schema);

function problemsOf(given: unknown): readonly string[] {
  return validate(given)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

/** What the chart would put into the file: the values that are settings, unless they are empty. */
function settingsOf(given: Values): Values {
  const entries = Object.entries({ ...values, ...given });
  return Object.fromEntries(
    entries.filter(([name, value]) => settingNames.includes(name) && JSON.stringify(value) !== '{}'),
  );
}

function load(given: Values) {
  const file = JSON.stringify(settingsOf({ behindTlsProxy: true, ...given }));
  return loadConfiguration(
    { variables: { STRONGROOM_CONFIG: '/etc/strongroom/strongroom.yaml' }, workingDirectory: '/var/lib/strongroom' },
    { readFile: () => Buffer.from(file) },
  );
}

it('has values that are its own schema’s, and settings that the server takes', () => {
  expect(problemsOf(values)).toEqual([]);
  expect(load({}).settings).toMatchObject({
    dataDir: '/var/lib/strongroom/data',
    listen: { host: '0.0.0.0', port: 8480 },
    database: { kind: 'sqlite' },
    runner: 'none',
    // Not in the file, so that the API may change it.
    features: { secretsV2: { enabled: true, setBy: 'default' } },
    managed: { stores: { admin: undefined, global: undefined, domains: undefined }, kubernetes: { inCluster: true } },
  });
});

it.each([false, true])('has features.secretsV2.enabled as a value of that name: %s', (enabled) => {
  const features = { secretsV2: { enabled } };
  expect(problemsOf({ ...values, features })).toEqual([]);
  expect(load({ features }).settings.features.secretsV2).toEqual({ enabled, setBy: 'configuration' });
});

it('has all settings under their own names, but for those that hold a secret', () => {
  const find = (path: readonly string[]): Schema | undefined =>
    path.reduce<Schema | undefined>((node, name) => node?.properties?.[name], schema);
  const isThere = (path: readonly string[]): boolean =>
    ![undefined, '{"const":""}'].includes(JSON.stringify(find(path)));
  const isWrong = settingsTable.filter(({ path, isSecret }) => isThere(path) === isSecret);
  expect(isWrong.map(({ path }) => path.join('.'))).toEqual([]);
  expect(settingsTable.filter(({ isSecret }) => isSecret).length).toBeGreaterThan(2);
});

it('takes every default of the server', () => {
  for (const { path, default: value } of settingsTable) {
    if (value === undefined) continue;
    const given = path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
    expect(problemsOf(given)).toEqual([]);
  }
});

it('says something of each value of its own', () => {
  const own = Object.keys(schema.properties ?? {}).filter((name) => !settingNames.includes(name) && name !== 'global');
  for (const name of own) expect(values).toHaveProperty(name);
  expect(Object.keys(values).filter((name) => !own.includes(name) && !settingNames.includes(name))).toEqual([]);
});

it.each([
  ['a misspelt setting', { features: { secretsV2: { enable: true } } }],
  ['a setting that there isn’t', { feature: {} }],
  ['a number out of range', { limits: { connections: 1 } }],
  ['a word for another one', { logLevel: 'loud' }],
  ['the URL of a database', { databaseUrl: 'postgres://u:p@h/d' }],
  ['the address of a proxy', { egress: { proxy: 'http://u:p@h:1' } }],
  ['the token of the legacy Vault', { secretStore: { type: 'vault', vaultSettings: { token: 'root' } } }],
  ['a key without its Secret', { kekFile: { key: 'kek' } }],
  ['a key that is no file', { listen: { secretName: 'a', key: 'b' } }],
  ['a secret in a ConfigMap', { kekFile: { configMapName: 'a', key: 'b' } }],
])('refuses %s', (_, given) => {
  expect(problemsOf(given)).not.toEqual([]);
});

it.each([
  ['a file by its path', { kekFile: '/run/kek' }],
  [
    'a file by its Secret',
    { databaseUrlFile: { secretName: 'a', key: 'b' }, egress: { proxyFile: { secretName: 'a', key: 'b' } } },
  ],
  ['a certificate by its ConfigMap', { vault: { caFile: { configMapName: 'a', key: 'ca.crt' } } }],
])('takes %s', (_, given) => {
  expect(problemsOf(given)).toEqual([]);
});

it.each([
  ['OpenMetadata’s block, as it is', openMetadata({}), true],
  ['no more than that block has', openMetadata({ region: 'x' }), false],
  [
    'a legacy block with what it carries along, empty',
    {
      secretStore: {
        type: 'kubernetes',
        vaultSettings: { endpoint: '', path: '', token: '', tokenSecret: { name: '', key: '' } },
      },
    },
    true,
  ],
])('takes %s, as the server does', (_, given, isTaken) => {
  expect(validate(given)).toBe(isTaken);
  if (isTaken) expect(load(given).settings.managed.stores.global).toBe('kubernetes');
  else expect(() => load(given)).toThrow('region');
});

function openMetadata(more: Readonly<Record<string, string>>): Values {
  const parameters = { namespace: 'data', kubeconfigPath: '', inCluster: '${OM_SM_IN_CLUSTER:-false}', ...more };
  const block = { secretsManager: '${SECRET_MANAGER:-kubernetes}', prefix: '', tags: '[team:data]', parameters };
  return { secretsManagerConfiguration: block, clusterName: 'openmetadata' };
}

it('has patterns that Helm’s language knows, which has no lookaround and no back references', () => {
  const patterns = JSON.stringify(schema).match(/"pattern":"(?:[^"\\]|\\.)*"/g) ?? [];
  expect(patterns.length).toBeGreaterThan(10);
  expect(patterns.filter((pattern) => /\(\?[^:]|\\\\[1-9]/.test(pattern))).toEqual([]);
});

it('is of this version, and the image of the Node that everything runs on', () => {
  const { version } = JSON.parse(read('packages/cli/package.json', root));
  expect(parse(read('Chart.yaml'))).toMatchObject({ appVersion: version });
  const { devDependencies } = JSON.parse(read('package.json', root));
  expect(read('deploy/docker/Dockerfile', root)).toContain(`node:${String(devDependencies.node)}-`);
});
