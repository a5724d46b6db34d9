import { rootCertificates } from 'node:tls';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { ConfigurationError, loadConfiguration, type LoadedConfiguration } from './load.ts';
import { ConfigurationSchema, settingsTable } from './schema.ts';

const canary = 'canary-7c21-do-not-print';

function load(variables: Record<string, string>, files: Record<string, string> = {}): LoadedConfiguration {
  return loadConfiguration(
    { variables, workingDirectory: '/srv' },
    {
      readFile: (path) => {
        const text = files[path];
        if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
        return Buffer.from(text);
      },
    },
  );
}

function problemsOf(variables: Record<string, string>, files: Record<string, string> = {}): readonly string[] {
  try {
    load(variables, files);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe('ConfigurationSchema', () => {
  it('is a schema', () => {
    expect(new Ajv({ strict: true }).validateSchema(ConfigurationSchema, true)).toBe(true);
    expect(() => new Ajv().validateSchema({ ...ConfigurationSchema, required: 'dataDir' }, true)).toThrow('required');
  });
});

describe('loadConfiguration', () => {
  it('has a default for everything', () => {
    const { settings, secrets } = load({});
    expect(settings).toMatchObject({
      dataDir: '/srv/data',
      listen: { host: '127.0.0.1', port: 8480 },
      database: { kind: 'sqlite' },
      kek: { kind: 'file', file: '/srv/data/kek', isDefault: true },
      auditAnchor: { kind: 'file', path: '/srv/data/audit.anchor' },
      audit: { retentionDays: undefined, archiveDir: undefined },
      runner: 'process',
      logLevel: 'info',
      features: { secretsV2: { enabled: true, setBy: 'default' } },
      limits: { valueBytes: 1_048_576, runLogRetentionDays: 30, launchRetentionDays: 90 },
    });
    expect(secrets.databaseUrl).toBeUndefined();
  });

  it('takes an authority of Vault that can be read, and no other', () => {
    const variables = {
      STRONGROOM_VAULT_ADDRESS: 'https://vault.example.com:8200',
      STRONGROOM_VAULT_PATH: '/v1/secret/data/managed',
      STRONGROOM_VAULT_CREDENTIAL_FILE: '/srv/token',
      STRONGROOM_VAULT_CA_FILE: 'ca.pem',
    };
    const damaged = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const [good = ''] = rootCertificates;
    expect(load(variables, { '/srv/ca.pem': good }).settings.managed.vault?.caCertificate).toBe(good);
    for (const bad of [damaged, `${good}\n${damaged}`, 'token', ''])
      expect(problemsOf(variables, { '/srv/ca.pem': bad })).toEqual([
        'vault.caFile: the file ca.pem is not made of certificates in PEM that can be read',
      ]);
  });

  it('removes audit records into an archive only', () => {
    const archive = { STRONGROOM_AUDIT_RETENTION_DAYS: '365', STRONGROOM_AUDIT_ARCHIVE_DIR: 'archive' };
    expect(load(archive).settings.audit).toEqual({ retentionDays: 365, archiveDir: '/srv/archive' });
    expect(problemsOf({ STRONGROOM_AUDIT_RETENTION_DAYS: '365' })).toEqual([
      'STRONGROOM_AUDIT_RETENTION_DAYS needs audit.archiveDir: records are removed only once they are archived',
    ]);
    expect(problemsOf({ ...archive, STRONGROOM_AUDIT_RETENTION_DAYS: '0' })).toHaveLength(1);
  });

  it('names the variables as the reference says', () => {
    expect(settingsTable.map((setting) => setting.variable)).toEqual(
      expect.arrayContaining([
        'STRONGROOM_DATA_DIR',
        'STRONGROOM_LISTEN',
        'STRONGROOM_DATABASE_URL',
        'STRONGROOM_DATABASE_URL_FILE',
        'STRONGROOM_KEK_FILE',
        'STRONGROOM_BOOTSTRAP_TOKEN_FILE',
        'STRONGROOM_EGRESS_ALLOW',
        'STRONGROOM_EGRESS_PROXY',
        'STRONGROOM_FEATURES_SECRETSV2_ENABLED',
        'STRONGROOM_HOSTS',
        'STRONGROOM_TRUSTED_PROXIES',
        'STRONGROOM_PUBLIC_URL',
        'STRONGROOM_TLS_CERT_FILE',
        'STRONGROOM_TLS_KEY_FILE',
        'STRONGROOM_RUNNER',
        'STRONGROOM_RUNNER_UIDS',
        'STRONGROOM_METRICS_LISTEN',
        'STRONGROOM_LOG_LEVEL',
        'STRONGROOM_AUDIT_ANCHOR',
        'STRONGROOM_LIMITS_VALUE_BYTES',
      ]),
    );
  });

  it('takes a file, lets the environment win over it, and knows who set a feature', () => {
    const files = {
      '/srv/c.yaml':
        'listen: 127.0.0.1:9000\nlimits:\n  valueBytes: 100\n  connections: 50\nhosts: [vault.example.org]\n',
    };
    const { settings } = load(
      {
        STRONGROOM_CONFIG: 'c.yaml',
        STRONGROOM_LIMITS_VALUE_BYTES: '200',
        STRONGROOM_FEATURES_SECRETSV2_ENABLED: 'false',
        STRONGROOM_EGRESS_ALLOW: '10.0.0.0/8:8200, .internal:443',
      },
      files,
    );
    expect(settings.listen.port).toBe(9000);
    expect(settings.limits).toMatchObject({ valueBytes: 200, connections: 50 });
    expect(settings.hosts).toEqual(['vault.example.org']);
    expect(settings.egress.allow).toEqual(['10.0.0.0/8:8200', '.internal:443']);
    expect(settings.features.secretsV2).toEqual({ enabled: false, setBy: 'configuration' });
  });

  it('refuses everything that is wrong, at once, and names it', () => {
    const problems = problemsOf(
      {
        STRONGROOM_CONFIG: '/c.yaml',
        STRONGROOM_LISTN: 'x',
        STRONGROOM_LIMITS_VALUE_BYTES: '1e3',
        STRONGROOM_RUNNER: 'kubernetes',
        STRONGROOM_FEATURES_SECRETSV2_ENABLED: 'yes',
        STRONGROOM_TLS_CERT_FILE: '/missing.pem',
        STRONGROOM_URL: 'https://for.the.client',
      },
      { '/c.yaml': 'limit: {}\nlimits: {connections: 1, valueByte: 3}\nlisten: 8480\n' },
    );
    const text = problems.join('\n');
    expect(text).toContain('STRONGROOM_LISTN is not a setting; did you mean STRONGROOM_LISTEN?');
    expect(text).toContain('STRONGROOM_LIMITS_VALUE_BYTES must be a whole number');
    expect(text).toContain('STRONGROOM_RUNNER must be one of process, none');
    expect(text).toContain('STRONGROOM_FEATURES_SECRETSV2_ENABLED must be true or false');
    expect(text).toContain('limit in the file is not a setting');
    expect(text).toContain('limits.valueByte in the file is not a setting; did you mean limits.valueBytes?');
    expect(text).toContain('limits.connections in the file must be >= 10');
    expect(text).toContain('listen in the file must be string');
    expect(text).not.toContain('STRONGROOM_URL');
    expect(problemsOf({ STRONGROOM_TLS_CERT_FILE: '/missing.pem' })).toEqual([
      'STRONGROOM_TLS_CERT_FILE and tlsKeyFile go together',
      'STRONGROOM_TLS_CERT_FILE: the file /missing.pem cannot be read (ENOENT)',
    ]);
  });

  it.each([
    ['STRONGROOM_LISTEN', 'localhost'],
    ['STRONGROOM_LISTEN', '127.0.0.1:70000'],
    ['STRONGROOM_PUBLIC_URL', 'https://user:secret@host'],
    ['STRONGROOM_HOSTS', 'a b'],
    ['STRONGROOM_TRUSTED_PROXIES', '10.0.0.0/33'],
    ['STRONGROOM_RUNNER_UIDS', '5-1'],
    ['STRONGROOM_RUNNER_UIDS', '0-10'],
    ['STRONGROOM_EGRESS_ALLOW', '10.0.0.0/8'],
    ['STRONGROOM_DATABASE_URL', 'mysql://x'],
    ['STRONGROOM_LIMITS_CONNECTIONS', '-5'],
    ['STRONGROOM_LIMITS_CONNECTIONS', ''],
    ['STRONGROOM_CONFIG', '/missing.yaml'],
  ])('refuses %s=%s', (variable, value) => {
    expect(problemsOf({ [variable]: value })).toHaveLength(1);
  });

  it('reads secrets from files and keeps them apart from what may be printed', () => {
    const { settings, secrets } = load(
      {
        STRONGROOM_DATABASE_URL_FILE: 'url',
        STRONGROOM_BOOTSTRAP_TOKEN_FILE: '/run/token',
        STRONGROOM_EGRESS_PROXY: `http://u:${canary}@proxy:3128`,
      },
      { '/srv/url': `postgres://app:${canary}@db.internal/strongroom\n`, '/run/token': `srt_${canary}\r\n` },
    );
    expect(secrets.databaseUrl).toBe(`postgres://app:${canary}@db.internal/strongroom`);
    expect(settings).toMatchObject({
      database: { kind: 'postgres', address: 'db.internal:5432/strongroom', servers: 1 },
      bootstrapTokenFile: '/run/token',
      egress: { hasProxy: true },
    });
    expect(JSON.stringify(settings)).not.toContain(canary);
  });

  it('never puts a value into a problem', () => {
    const problems = [
      ...problemsOf({
        STRONGROOM_DATABASE_URL: `mysql://x:${canary}@h/`,
        STRONGROOM_EGRESS_PROXY: canary,
        STRONGROOM_LISTEN: canary,
      }),
      ...problemsOf({ STRONGROOM_CONFIG: '/c' }, { '/c': `databaseUrl: "${canary}\nx: [` }),
      ...problemsOf({ STRONGROOM_CONFIG: '/c' }, { '/c': `databaseUrl: ${canary}\nlimits: ${canary}\n` }),
      ...problemsOf({ STRONGROOM_CONFIG: '/c' }, { '/c': `- ${canary}` }),
      ...problemsOf({ STRONGROOM_CONFIG: '/c' }, { '/c': `hosts: &a [x]\ntrustedProxies: *a` }),
      ...problemsOf({ STRONGROOM_DATABASE_URL_FILE: '/u' }, { '/u': `${canary}\n${canary}` }),
    ];
    expect(problems.length).toBeGreaterThan(7);
    expect(problems.join('\n')).not.toContain(canary);
  });

  it('reads every entry of the egress list at start, and names what it refuses', () => {
    expect(
      problemsOf({ STRONGROOM_EGRESS_ALLOW: `10.0.0.0/8:8200,10.0.0.0/33:443,${canary}.example:0,127.1:443` }),
    ).toEqual([
      'STRONGROOM_EGRESS_ALLOW, entry 2: the prefix length must be a number from 0 to 32',
      'STRONGROOM_EGRESS_ALLOW, entry 3: the port must be * or a number from 1 to 65535',
      'STRONGROOM_EGRESS_ALLOW, entry 4: the address is neither a.b.c.d nor [IPv6]',
    ]);
    expect(load({ STRONGROOM_EGRESS_ALLOW: '[fd00::]/8:*,*.vault.internal:443' }).settings.egress.allow).toHaveLength(
      2,
    );
    for (const proxy of [`http://p/${canary}`, `http://p?${canary}`, `http://u:${canary}%@p`, 'socks5://p'])
      expect(problemsOf({ STRONGROOM_EGRESS_PROXY: proxy }).join()).toMatch(/^STRONGROOM_EGRESS_PROXY (?!.*canary)/);
  });

  it('refuses a secret given in two ways, and duplicate keys in the file', () => {
    expect(
      problemsOf(
        { STRONGROOM_DATABASE_URL: 'postgres://a/b', STRONGROOM_DATABASE_URL_FILE: '/u' },
        { '/u': 'postgres://a/b' },
      ),
    ).toEqual(['STRONGROOM_DATABASE_URL and STRONGROOM_DATABASE_URL_FILE are both set; one is enough']);
    expect(problemsOf({ STRONGROOM_CONFIG: '/c' }, { '/c': 'runner: none\nrunner: process\n' })).toHaveLength(1);
  });

  it('notes ambient proxy variables without following them', () => {
    const { ambient, settings } = load({ HTTPS_PROXY: 'http://proxy', no_proxy: 'x', NODE_ENV: 'production' });
    expect(ambient).toMatchObject({ proxyVariables: ['HTTPS_PROXY', 'no_proxy'], isProduction: true });
    expect(settings.egress.hasProxy).toBe(false);
  });
});
