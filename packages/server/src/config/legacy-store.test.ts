import { describe, expect, it } from 'vitest';
import { ConfigurationError, loadConfiguration } from './load.ts';

const canary = 'hvs.canary-5d0f';

function load(file: string, variables: Record<string, string> = {}, files: Record<string, string> = {}) {
  return loadConfiguration(
    { variables: { STRONGROOM_CONFIG: '/c.yaml', ...variables }, workingDirectory: '/srv' },
    { readFile: (path) => Buffer.from(path === '/c.yaml' ? file : (files[path] ?? '')) },
  );
}

function problemsOf(file: string, variables: Record<string, string> = {}): readonly string[] {
  try {
    load(file, variables);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

/** As its documentation has it, but for TLS. */
const vault = `
secretStore:
    # Currently supported: Database, Kubernetes, and HashiCorp Vault.
    type: vault # options: database, kubernetes, vault
    vaultSettings:
       endpoint: "https://vault.vault.svc.cluster.local:8200"
       path: "/v1/secret/data/iomete/poc"
       token: "${canary}"
`;

describe('the legacy store configuration', () => {
  it('is read as it is: vault', () => {
    const configuration = load(vault);
    expect(configuration.settings.managed).toMatchObject({
      stores: { admin: undefined, global: 'vault', domains: undefined },
      vault: {
        address: 'https://vault.vault.svc.cluster.local:8200',
        path: '/v1/secret/data/iomete/poc',
        authentication: { method: 'token' },
        legacyToken: { kind: 'configuration' },
      },
    });
    expect(configuration.secrets.legacyVaultToken).toBe(canary);
    expect(JSON.stringify(configuration.settings)).not.toContain(canary);
  });

  it('takes the token from a Secret, and from a file', () => {
    const ofSecret = vault.replace(/token: .*/, 'tokenSecret: { name: vault-token, key: token }');
    const { settings, secrets } = load(ofSecret);
    expect(settings.managed.vault?.legacyToken).toEqual({ kind: 'secret', name: 'vault-token', key: 'token' });
    expect(secrets.legacyVaultToken).toBeUndefined();
    const ofFile = load(vault.replace(/token: .*/, 'tokenFile: /t'), {}, { '/t': `${canary}\n` });
    expect(ofFile.secrets.legacyVaultToken).toBe(canary);
  });

  describe('with the type database', () => {
    const table = { table: 'secret_store', keyColumn: 'key', valueColumn: 'value' };
    const url = `postgres://iomete:${canary}@db:5432/iomete`;
    const tableOf = (block: string, files = {}) => {
      const { settings, secrets } = load(`secretStore: ${block}`, {}, files);
      expect(JSON.stringify(settings)).not.toContain(canary);
      return [settings.managed.legacyTable, secrets.legacyDatabaseUrl];
    };

    it('has its table in the database that is named, or in the server’s own PostgreSQL', () => {
      expect(tableOf('{ type: database }')).toEqual([{ database: { kind: 'unnamed' }, ...table }, undefined]);
      expect(tableOf('{ type: database, databaseSettings: { url: "", table: null } }')).toEqual([
        { database: { kind: 'unnamed' }, ...table },
        undefined,
      ]);
      expect(tableOf(`{ type: database, databaseSettings: { url: '${url}' } }`)).toEqual([
        { database: { kind: 'named' }, ...table },
        url,
      ]);
      const ofFile = '{ type: database, databaseSettings: { urlFile: /u, table: legacy.secrets, keyColumn: name } }';
      expect(tableOf(ofFile, { '/u': `${url}\n` })).toEqual([
        { database: { kind: 'named' }, ...table, table: 'legacy.secrets', keyColumn: 'name' },
        url,
      ]);
      expect(tableOf('{ type: database, databaseSettings: { sqliteFile: legacy.db } }')).toEqual([
        { database: { kind: 'sqlite', file: '/srv/legacy.db' }, ...table },
        undefined,
      ]);
      const own = load(`{ databaseUrl: '${url}', secretStore: { type: database } }`);
      expect(own.settings.managed.legacyTable).toEqual({ database: { kind: 'own' }, ...table });
      expect(load(vault).settings.managed.legacyTable).toBeNull();
    });

    it('is refused when it says half, or two things', () => {
      const name = 'secretStore.databaseSettings';
      for (const [settings, problem] of [
        ['{ table: secrets }', `${name} says which table, and no database: url, urlFile or sqliteFile`],
        [
          `{ url: '${url}', sqliteFile: x }`,
          `${name} names two databases, one by its URL and one by sqliteFile; one is enough`,
        ],
        [`{ url: '${url}', urlFile: /u }`, `${name}.url and ${name}.urlFile are both set; one is enough`],
        [`{ url: 'mysql://db/${canary}' }`, `${name}.url does not hold a URL postgres://…`],
      ]) {
        const problems = problemsOf(`secretStore: { type: database, databaseSettings: ${settings} }`);
        expect(problems).toContainEqual(problem);
        expect(problems.join()).not.toContain(canary);
      }
      const injected = problemsOf(`secretStore: { type: database, databaseSettings: { sqliteFile: x, table: 'a b' } }`);
      expect(injected).toEqual([expect.stringContaining(`${name}.table`)]);
    });
  });

  it('is read as it is: kubernetes, with the names of its install', () => {
    const { managed } = load('secretStore: { type: kubernetes }').settings;
    expect(managed.stores).toEqual({ admin: undefined, global: 'kubernetes', domains: undefined });
    expect(managed.kubernetes).toMatchObject({ layout: 'scope-objects', name: 'iomete' });
    const named = load('secretStore: { type: kubernetes }\nkubernetes: { name: poc }').settings.managed;
    expect(named.kubernetes).toMatchObject({ layout: 'scope-objects', name: 'poc' });
  });

  it('is read as it is: database, with what a chart carries along', () => {
    const { managed } = load(vault.replace('type: vault', 'type: database')).settings;
    expect(managed.stores.global).toBe('database');
    expect(managed.vault).toBeNull();
  });

  it('is not in the way of what a chart carries along empty, nor of a file that is not there', () => {
    const empty =
      'secretStore:\n  type: database\n  vaultSettings: { endpoint: "", path: "", token: "", tokenSecret: { name: "" } }';
    expect(load(empty).settings.managed.stores.global).toBe('database');
    const missing = 'secretStore: { type: kubernetes, vaultSettings: { tokenFile: /none } }';
    expect(load(missing).secrets.legacyVaultToken).toBeUndefined();
    expect(problemsOf('secretStore: { type: vault, vaultSettings: { endpoint: "" } }')).toHaveLength(3);
    expect(problemsOf('secretStore: [1]').join()).toMatch(/^secretStore/);
  });

  it('has variables', () => {
    const variables = {
      STRONGROOM_SECRET_STORE_TYPE: 'vault',
      STRONGROOM_SECRET_STORE_VAULT_SETTINGS_ENDPOINT: 'http://127.0.0.1:8200',
      STRONGROOM_SECRET_STORE_VAULT_SETTINGS_PATH: '/v1/kv/data/poc',
      STRONGROOM_SECRET_STORE_VAULT_SETTINGS_TOKEN_SECRET_NAME: 'vault-token',
      STRONGROOM_SECRET_STORE_VAULT_SETTINGS_TOKEN_SECRET_KEY: 'token',
    };
    expect(load('', variables).settings.managed.vault).toMatchObject({
      address: 'http://127.0.0.1:8200',
      legacyToken: { name: 'vault-token', key: 'token' },
    });
  });

  it.each<[string, string, RegExp]>([
    ['no type', 'secretStore: { vaultSettings: { endpoint: "https://v:8200" } }', /^secretStore.type is not set/],
    [
      'another type',
      'secretStore: { type: redis }',
      /^secretStore.type in the file must be one of database, kubernetes/,
    ],
    ['an unknown setting', 'secretStore: { type: vault, path: x }', /^secretStore.path in the file is not a setting/],
    ['no settings', 'secretStore: { type: vault }', /^secretStore.type is vault, and .*endpoint is not set/],
    ['no path', vault.replace(/path: .*/, ''), /^secretStore.type is vault, and .*path is not set/],
    ['no token', vault.replace(/token: .*/, ''), /^secretStore.type is vault, and .*token is not set/],
    ['half a Secret', vault.replace(/token: .*/, 'tokenSecret: { name: x }'), /tokenSecret needs name and key/],
    ['two tokens', `${vault}       tokenSecret: { name: x, key: y }\n`, /token and .*tokenSecret are both set/],
    ['plain HTTP', vault.replace('https:', 'http:'), /endpoint is http:.*give its https/],
    ['a path that climbs', vault.replace('/iomete/poc', '/../x'), /vaultSettings.path in the file is not of the form/],
    ['no prefix', vault.replace('/iomete/poc', ''), /path has no prefix/],
    ['our choice, too', `${vault}stores: { global: vault }`, /secretStore.type and stores.global are both set/],
    ['our default, too', `${vault}stores: { default: kubernetes }`, /secretStore.type and stores.default are both set/],
    ['our Vault, too', `${vault}vault: { address: "https://v:1" }`, /secretStore.type and vault.address are both set/],
    [
      'another layout',
      'secretStore: { type: kubernetes }\nkubernetes: { layout: object-per-secret }',
      /secretStore.type is kubernetes, and kubernetes.layout is object-per-secret/,
    ],
  ])('refuses %s by name', (_, file, problem) => {
    const problems = problemsOf(file);
    expect(problems.some((each) => problem.test(each))).toBe(true);
    expect(problems.join('\n')).not.toContain(canary);
  });

  it('names the variable where ours is one', () => {
    expect(problemsOf(vault, { STRONGROOM_STORES_GLOBAL: 'database' }).join('\n')).toContain(
      'secretStore.type and STRONGROOM_STORES_GLOBAL are both set',
    );
  });

  it('leaves admin and domains their own', () => {
    const { stores } = load(`${vault}stores: { admin: database, domains: vault }`).settings.managed;
    expect(stores).toEqual({ admin: 'database', global: 'vault', domains: 'vault' });
  });
});
