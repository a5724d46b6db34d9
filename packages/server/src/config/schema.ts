import { Closed, kubernetesStore, storeNames, vaultBackend } from '@strongroom/contract';
import { type Static, type TSchema, Type } from 'typebox';
import { logLevels } from '../operation/log.ts';
import { legacyStoreSchema } from './legacy-store.ts';
import { kmsAccess } from './kms-access.ts';
import { vaultAccess } from './vault-access.ts';

const mebibyte = 1024 * 1024;
const Path = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });
const Address = (description: string, options: { readonly default?: string } = {}) =>
  Type.String({
    pattern: '^(?:\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+):\\d{1,5}$',
    description,
    ...options,
  });
const List = (item: TSchema, description: string) => Type.Array(item, { maxItems: 1000, description, default: [] });
const Limit = (minimum: number, maximum: number, byDefault: number, description: string) =>
  Type.Integer({ minimum, maximum, default: byDefault, description });

const StoreChoice = (description: string) =>
  Type.Union(
    storeNames.map((name) => Type.Literal(name)),
    { description },
  );

/**
 * Every setting there is. The names here are those of the YAML file; the variable of `limits.valueBytes` is
 * `STRONGROOM_LIMITS_VALUE_BYTES`. The guide `docs/guides/configuration.md` has the same table, made from this schema.
 */
export const ConfigurationSchema = Closed({
  dataDir: Type.String({
    minLength: 1,
    default: 'data',
    description: 'Folder of the database, the key file and run logs',
  }),
  listen: Address('Address and port to serve; port 0 takes a free one', { default: '127.0.0.1:8480' }),
  publicUrl: Type.Optional(
    Type.String({
      pattern: '^https?://[A-Za-z0-9.:[\\]-]+/?$',
      description: 'Address people use, when it is another one',
    }),
  ),
  hosts: List(
    Type.String({ pattern: '^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])$' }),
    'Host names served besides the loopback ones and that of publicUrl, without port',
  ),
  trustedProxies: List(Type.String(), 'Addresses or networks (CIDR) of proxies whose X-Forwarded-For is believed'),
  behindTlsProxy: Type.Boolean({
    default: false,
    description: 'Says that a proxy in front ends TLS, so that plain HTTP may be served beyond loopback',
  }),
  tlsCertFile: Type.Optional(Path('PEM file of the certificate and its chain: serves HTTPS')),
  tlsKeyFile: Type.Optional(Path('PEM file of the certificate’s key')),
  databaseUrl: Type.Optional(
    Type.String({
      pattern: '^postgres(?:ql)?://.',
      description:
        'postgres://…, of one server or several (HOST1:PORT,HOST2:PORT); without it SQLite in the data folder',
    }),
  ),
  databaseUrlFile: Type.Optional(Path('File that holds databaseUrl')),
  kekFile: Type.Optional(
    Path('File of the key-encryption key; by default `kek` in the data folder, made at first start'),
  ),
  kekSource: Type.Union([Type.Literal('file'), Type.Literal('vault'), Type.Literal('aws-kms')], {
    default: 'file',
    description:
      'Where the key-encryption key is read from at start: kekFile, a field of a secret in Vault (kekVault), or a file that AWS KMS decrypts (kekAwsKms)',
  }),
  kekVault: Closed(
    {
      ...vaultAccess,
      path: Type.Optional(vaultBackend.settings.properties.path),
      field: Type.String({
        pattern: '^[A-Za-z0-9_.-]{1,128}$',
        default: 'kek',
        description: 'Field that holds the key; a rotation reads the new one from FIELD_next',
      }),
    },
    { default: {} },
  ),
  kekAwsKms: Closed(kmsAccess, { default: {} }),
  bootstrapTokenFile: Type.Optional(
    Path('File of a token srt_…; at first start makes the service account bootstrap, PLATFORM_ADMIN, with that token'),
  ),
  auditAnchor: Type.Optional(
    Path(
      'Where the heads of the audit chains are noted before any answer: a file, or `stdout`; by default `audit.anchor` in the data folder',
    ),
  ),
  audit: Closed(
    {
      retentionDays: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 36_500,
          description:
            'Days that audit records stay in the database before they go to audit.archiveDir; by default for ever',
        }),
      ),
      archiveDir: Type.Optional(
        Path(
          'Folder of the archived audit segments; it must be there, and be kept: records are removed once they are in it',
        ),
      ),
    },
    { default: {} },
  ),
  runner: Type.Union([Type.Literal('process'), Type.Literal('none')], {
    default: 'process',
    description: 'What runs jobs that name no runner: processes on this machine; with none, they run in Kubernetes',
  }),
  runnerUids: Type.Optional(
    Type.String({
      pattern: '^[1-9]\\d{0,9}-[1-9]\\d{0,9}$',
      description: 'User ids for jobs, one per domain, when started as root: `200000-200999`',
    }),
  ),
  metricsListen: Type.Optional(Address('Address and port that serve /metrics alone, to everybody who reaches it')),
  logLevel: Type.Union(
    logLevels.map((level) => Type.Literal(level)),
    { default: 'info', description: 'What goes to the log on stderr' },
  ),
  egress: Closed(
    {
      allow: List(
        Type.String({ pattern: '^(?:\\[[0-9A-Fa-f:.]+\\](?:/\\d{1,3})?|[A-Za-z0-9._/*-]+):(?:\\d{1,5}|\\*)$' }),
        'Private addresses that may be reached: `host-suffix:port` or `CIDR:port`',
      ),
      proxy: Type.Optional(
        Type.String({
          pattern: '^https?://.',
          description: 'Proxy for outgoing connections; ambient proxy variables are ignored',
        }),
      ),
      proxyFile: Type.Optional(Path('File that holds egress.proxy')),
    },
    { default: {} },
  ),
  stores: Closed(
    {
      default: Type.Optional(StoreChoice('Managed store of admin, global and new domains that choose no other')),
      admin: Type.Optional(StoreChoice('Managed store of the admin scope; set here, the API cannot change it')),
      global: Type.Optional(StoreChoice('Managed store of the global scope; set here, the API cannot change it')),
      domains: Type.Optional(StoreChoice('Managed store of new domains that choose no other')),
    },
    { default: {} },
  ),
  kubernetes: Closed(kubernetesStore.settings.properties, { default: {} }),
  vault: Closed(
    {
      ...vaultAccess,
      path: Type.Optional(vaultBackend.settings.properties.path),
    },
    { default: {} },
  ),
  secretStore: legacyStoreSchema,
  clusters: Closed(
    {
      inCluster: Type.Boolean({
        default: false,
        description:
          'Lets platform administrators register the Kubernetes cluster that this server runs in, as its own ServiceAccount',
      }),
    },
    { default: {} },
  ),
  features: Closed(
    {
      secretsV2: Closed(
        {
          enabled: Type.Boolean({
            default: true,
            description: 'Domain and admin secrets, selectors, launches; set here, the API cannot change it',
          }),
        },
        { default: {} },
      ),
    },
    { default: {} },
  ),
  limits: Closed(
    {
      valueBytes: Limit(1, 4 * mebibyte, mebibyte, 'Bytes of one value in the database store'),
      keysPerScope: Limit(1, 10_000_000, 1_000_000, 'Secrets of one scope'),
      secretVersions: Limit(1, 1000, 10, 'Versions kept of one secret'),
      deletedRetentionDays: Limit(1, 3650, 30, 'Days a deleted secret can be restored'),
      integrationsPerScope: Limit(1, 10_000, 200, 'Integrations of one scope'),
      keysPerIntegration: Limit(1, 1_000_000, 100_000, 'Keys of one integration that selectors offer'),
      integrationRefreshMinutes: Limit(1, 1440, 10, 'Minutes until the keys of an integration are listed anew'),
      concurrentRuns: Limit(1, 10_000, 32, 'Runs at once on this server; the rest are queued'),
      launchesPerMinute: Limit(1, 1_000_000, 6_000, 'Launches a minute and domain'),
      requestsPerMinute: Limit(60, 100_000_000, 600_000, 'Requests a minute and principal'),
      anonymousRequestsPerMinute: Limit(
        60,
        100_000_000,
        60_000,
        'Requests a minute and network without a valid sign-in',
      ),
      bodyBytes: Limit(
        64 * 1024,
        64 * mebibyte,
        mebibyte,
        'Bytes of a request body, where a route names no other limit',
      ),
      connections: Limit(10, 1_000_000, 2_000, 'Open connections'),
      runLogsTotalBytes: Limit(mebibyte, 1024 * 1024 * mebibyte, 4096 * mebibyte, 'Bytes kept of all runs’ logs'),
      runLogRetentionDays: Limit(1, 3650, 30, 'Days a run’s log is kept'),
      launchRetentionDays: Limit(
        30,
        3650,
        90,
        'Days that launches are kept after their end, with their receipts and runs; the last of each configuration stays',
      ),
    },
    { default: {} },
  ),
});

export type Configuration = Static<typeof ConfigurationSchema>;

/** One setting that isn't a group of others. */
export interface Setting {
  /** Names in the file, outermost first. */
  readonly path: readonly string[];
  readonly variable: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'list';
  readonly description: string;
  readonly default: unknown;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  /** Never printed, and better given by a file. */
  readonly isSecret: boolean;
}

const secretPaths = new Set([
  'databaseUrl',
  'egress.proxy',
  'secretStore.vaultSettings.token',
  'secretStore.databaseSettings.url',
]);

/** All settings in the order of the schema. */
export const settingsTable: readonly Setting[] = leaves(ConfigurationSchema, []);

function leaves(schema: object, path: readonly string[]): Setting[] {
  const node = schema as {
    type?: string;
    properties?: Record<string, object>;
    description?: string;
    default?: unknown;
    minimum?: number;
    maximum?: number;
  };
  if (node.properties !== undefined)
    return Object.entries(node.properties).flatMap(([name, child]) => leaves(child, [...path, name]));
  const { type } = node;
  return [
    {
      path,
      variable: variableOf(path),
      type: type === 'integer' || type === 'boolean' ? type : type === 'array' ? 'list' : 'string',
      description: node.description ?? '',
      default: node.default,
      minimum: node.minimum,
      maximum: node.maximum,
      isSecret: secretPaths.has(path.join('.')),
    },
  ];
}

/** `limits.valueBytes` → `STRONGROOM_LIMITS_VALUE_BYTES`; the V2 of a name stays in its word. */
function variableOf(path: readonly string[]): string {
  return `STRONGROOM_${path.map((name) => name.replaceAll(/([a-z0-9])([A-Z])(?=[a-z])/g, '$1_$2').toUpperCase()).join('_')}`;
}
