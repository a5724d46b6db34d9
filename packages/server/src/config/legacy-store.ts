import {
  Closed,
  parseVaultPath,
  type StoreName,
  storeNames,
  StrongroomError,
  vaultBackend,
} from '@strongroom/contract';
import { Type } from 'typebox';
import type { BuildContext } from './settings.ts';
import type { VaultAccessSettings } from './managed-settings.ts';

const { address, path } = vaultBackend.settings.properties;
const File = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });

const sqlName = '[A-Za-z_][A-Za-z0-9_$]{0,62}';
/** As an IOMETE install has it. */
export const defaultTable = { table: 'secret_store', keyColumn: 'key', valueColumn: 'value' } as const;

/** The block `secretStore` of an IOMETE install's values, under its own names: Global's managed store, as it is. */
export const legacyStoreSchema = Type.Optional(
  Closed({
    type: Type.Optional(
      Type.Union(
        storeNames.map((name) => Type.Literal(name)),
        { description: 'Legacy form of stores.global, for an install that has its secrets there already' },
      ),
    ),
    vaultSettings: Type.Optional(
      Closed({
        endpoint: Type.Optional(
          Type.String({ ...address, description: 'Type vault: base URL of Vault, https beyond this machine' }),
        ),
        path: Type.Optional(
          Type.String({
            ...path,
            description:
              'Type vault: where the secrets are, /v1/MOUNT/data/PREFIX; each is PREFIX/KEY, its field value',
            examples: ['/v1/secret/data/iomete/poc'],
          }),
        ),
        token: Type.Optional(
          Type.String({ minLength: 1, maxLength: 16_384, pattern: '^[!-~]+$', description: 'Type vault: the token' }),
        ),
        tokenFile: Type.Optional(File('File that holds secretStore.vaultSettings.token')),
        tokenSecret: Type.Optional(
          Closed({
            name: Type.Optional(
              Type.String({
                maxLength: 253,
                pattern: '^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$',
                description: 'Kubernetes Secret that holds the token, in kubernetes.namespace',
              }),
            ),
            key: Type.Optional(
              Type.String({
                pattern: '^[-._a-zA-Z0-9]{1,253}$',
                description: 'Key of that Secret',
                examples: ['token'],
              }),
            ),
          }),
        ),
      }),
    ),
    databaseSettings: Type.Optional(
      Closed({
        url: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 8192,
            description:
              'Type database: postgres:// URL of the database that has the table; the server’s own, unless set',
          }),
        ),
        urlFile: Type.Optional(File('File that holds secretStore.databaseSettings.url')),
        sqliteFile: Type.Optional(File('Type database: SQLite file that has the table, in place of a URL')),
        table: Type.Optional(
          Type.String({
            pattern: `^(?:${sqlName}\\.)?${sqlName}$`,
            description:
              'Type database: the table of plaintext secrets, with its schema before a dot where that is needed',
            examples: [defaultTable.table],
          }),
        ),
        keyColumn: Type.Optional(
          Type.String({
            pattern: `^${sqlName}$`,
            description: 'Type database: its column of keys',
            examples: [defaultTable.keyColumn],
          }),
        ),
        valueColumn: Type.Optional(
          Type.String({
            pattern: `^${sqlName}$`,
            description: 'Type database: its column of values',
            examples: [defaultTable.valueColumn],
          }),
        ),
      }),
    ),
  }),
);

/** Where the token of the legacy Vault is. */
export type LegacyToken =
  | { readonly kind: 'configuration' }
  | { readonly kind: 'secret'; readonly name: string; readonly key: string };

/** The table of plaintext secrets of a legacy install. */
export interface LegacyTableSettings {
  /**
   * - `own`: the server's own PostgreSQL, where the table may be or not
   * - `named`: another PostgreSQL, whose URL is a secret
   * - `unnamed`: the server's own database can't have it, and no other is named
   */
  readonly database:
    | { readonly kind: 'own' | 'named' | 'unnamed' }
    | { readonly kind: 'sqlite'; readonly file: string };
  readonly table: string;
  readonly keyColumn: string;
  readonly valueColumn: string;
}

export interface LegacyStore {
  readonly type: StoreName;
  /** Null unless the type is `database`. */
  readonly table: LegacyTableSettings | null;
  readonly vault: (VaultAccessSettings & { readonly path: string; readonly legacyToken: LegacyToken }) | null;
}

const group = 'secretStore';

/** Takes what a chart carries along empty out of the file's document: it says nothing. */
export function dropUnset(document: Record<string, unknown>): void {
  const block = document[group];
  if (!isMapping(block)) return;
  const settings = block['vaultSettings'];
  if (isMapping(settings) && isMapping(settings['tokenSecret'])) dropEmpty(settings, 'tokenSecret');
  dropEmpty(block, 'vaultSettings');
  dropEmpty(block, 'databaseSettings');
}

function dropEmpty(parent: Record<string, unknown>, name: string): void {
  const child = parent[name];
  if (isMapping(child)) {
    for (const [key, value] of Object.entries(child)) if (value === '' || value === null) delete child[key];
    if (Object.keys(child).length > 0) return;
  } else if (child !== null) return;
  delete parent[name];
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What the legacy block says. Half of one, and one beside our own settings of the same matter, is a problem that names both.
 * Settings of a kind that `type` does not name stay unread: the values of a chart carry them along.
 */
export function readLegacyStore(context: BuildContext, resolvePath: (path: string) => string): LegacyStore | null {
  const { problems } = context;
  const { secretStore } = context.configuration;
  if (secretStore === undefined) return null;
  const { type } = secretStore;
  if (type === undefined) {
    problems.push(`${group}.type is not set; it says where Global's secrets are: ${storeNames.join(', ')}`);
    return null;
  }
  refuseBoth(
    context,
    (name) => name === 'stores.global' || name === 'stores.default',
    'stores.admin and stores.domains are for the others',
  );
  if (type === 'kubernetes') refuseLayout(context);
  return {
    type,
    table: type === 'database' ? readTable(context, resolvePath) : null,
    vault: type === 'vault' ? readVault(context) : null,
  };
}

function readTable(
  { configuration: { databaseUrl, databaseUrlFile, secretStore }, problems }: BuildContext,
  resolvePath: (path: string) => string,
): LegacyTableSettings {
  const { url, urlFile, sqliteFile, ...names } = secretStore?.databaseSettings ?? {};
  const hasUrl = url !== undefined || urlFile !== undefined;
  const isOwnPossible = databaseUrl !== undefined || databaseUrlFile !== undefined;
  const name = `${group}.databaseSettings`;
  if (hasUrl && sqliteFile !== undefined)
    problems.push(`${name} names two databases, one by its URL and one by sqliteFile; one is enough`);
  if (Object.keys(names).length > 0 && !hasUrl && sqliteFile === undefined && !isOwnPossible)
    problems.push(`${name} says which table, and no database: url, urlFile or sqliteFile`);
  const kind = hasUrl ? ('named' as const) : isOwnPossible ? ('own' as const) : ('unnamed' as const);
  const database = sqliteFile === undefined ? { kind } : { kind: 'sqlite' as const, file: resolvePath(sqliteFile) };
  return { database, ...defaultTable, ...names };
}

function readVault(context: BuildContext): LegacyStore['vault'] {
  const { problems } = context;
  refuseBoth(context, (name) => name.startsWith('vault.'), 'one place says how Vault is reached');
  const {
    endpoint,
    path: place,
    token,
    tokenFile,
    tokenSecret,
  } = context.configuration.secretStore?.vaultSettings ?? {};
  const name = `${group}.vaultSettings`;
  const missing = (setting: string, what: string): void => {
    problems.push(`${group}.type is vault, and ${name}.${setting} is not set: ${what}`);
  };
  if (endpoint === undefined) missing('endpoint', 'the address of Vault, https://HOST:8200');
  else if (isPlaintextElsewhere(endpoint))
    problems.push(
      `${name}.endpoint is http:// beyond this machine: a value travels with TLS alone; give its https:// address`,
    );
  if (place === undefined) missing('path', '/v1/MOUNT/data/PREFIX');
  else if (!hasPrefix(place)) problems.push(`${name}.path has no prefix: /v1/MOUNT/data/PREFIX`);
  const given = [token ?? tokenFile, tokenSecret].filter((each) => each !== undefined);
  if (given.length === 0) missing('token', 'that, tokenFile or tokenSecret');
  if (given.length === 2) problems.push(`${name}.token and ${name}.tokenSecret are both set; one is enough`);
  if (tokenSecret !== undefined && (tokenSecret.name === undefined || tokenSecret.key === undefined))
    problems.push(`${name}.tokenSecret needs name and key`);
  if (endpoint === undefined || place === undefined) return null;
  return {
    address: endpoint,
    path: place,
    authentication: { method: 'token' },
    credentialFile: null,
    legacyToken:
      tokenSecret === undefined
        ? { kind: 'configuration' }
        : { kind: 'secret', name: tokenSecret.name ?? '', key: tokenSecret.key ?? '' },
  };
}

function refuseBoth({ origins, problems }: BuildContext, isOurs: (name: string) => boolean, hint: string): void {
  for (const [name, origin] of origins)
    if (isOurs(name))
      problems.push(
        `${group}.type and ${origin === 'file' ? name : origin} are both set; take one of them away (${hint})`,
      );
}

function refuseLayout({ configuration, origins, problems }: BuildContext): void {
  if (!origins.has('kubernetes.layout') || configuration.kubernetes.layout === 'scope-objects') return;
  problems.push(
    `${group}.type is kubernetes, and kubernetes.layout is ${String(configuration.kubernetes.layout)}: the legacy store is one Secret, scope-objects`,
  );
}

/** Settings in Kubernetes that an install of the legacy kind has, unless they are said. */
export function legacyKubernetes({ origins }: Pick<BuildContext, 'origins'>, legacy: LegacyStore | null) {
  if (legacy?.type !== 'kubernetes') return {};
  return { layout: 'scope-objects' as const, ...(origins.has('kubernetes.name') ? {} : { name: 'iomete' }) };
}

function isPlaintextElsewhere(endpoint: string): boolean {
  const url = URL.parse(endpoint);
  return url !== null && url.protocol === 'http:' && !/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
}

/** A managed store in Vault has a folder of its own. */
export function hasPrefix(place: string): boolean {
  try {
    return parseVaultPath(place).path !== '';
  } catch (error) {
    if (error instanceof StrongroomError) return false;
    throw error;
  }
}
