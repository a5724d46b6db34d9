import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { AllowEntryError, isProxyUrl, parseAllowEntry } from '@strongroom/backends/egress';
import type { LogLevel } from '../operation/log.ts';
import { postgresHostUrls } from '../store/postgres-url.ts';
import type { Ambient, Environment } from './environment.ts';
import { buildKekSettings, type KekSettings } from './kek-settings.ts';
import { buildManagedSettings, type ManagedSettings } from './managed-settings.ts';
import type { Configuration } from './schema.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Everything that was set or defaulted, fit to be printed. */
export interface Settings {
  readonly dataDir: string;
  readonly listen: ListenAddress;
  readonly publicUrl: string | undefined;
  readonly hosts: readonly string[];
  readonly trustedProxies: readonly string[];
  readonly behindTlsProxy: boolean;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** `address` is host, port and name of the database, without user and password; of all `servers` that it may be on. */
  readonly database:
    | { readonly kind: 'sqlite' }
    | { readonly kind: 'postgres'; readonly address: string; readonly servers: number };
  readonly kek: KekSettings;
  /** Read at the very first start only, by whoever makes the first identity. */
  readonly bootstrapTokenFile: string | undefined;
  readonly auditAnchor: { readonly kind: 'stdout' } | { readonly kind: 'file'; readonly path: string };
  readonly audit: {
    /** Never without a folder. */
    readonly retentionDays: number | undefined;
    readonly archiveDir: string | undefined;
  };
  readonly runner: 'process' | 'none';
  readonly runnerUids: { readonly first: number; readonly last: number } | undefined;
  readonly metricsListen: ListenAddress | undefined;
  readonly logLevel: LogLevel;
  readonly egress: { readonly allow: readonly string[]; readonly hasProxy: boolean };
  readonly managed: ManagedSettings;
  readonly clusters: Configuration['clusters'];
  readonly features: { readonly secretsV2: { readonly enabled: boolean; readonly setBy: 'default' | 'configuration' } };
  readonly limits: Configuration['limits'];
  readonly isProduction: boolean;
}

/** What must not be printed. Values of `_FILE` settings are here, read once at start. */
export interface Secrets {
  readonly databaseUrl: string | undefined;
  readonly egressProxy: string | undefined;
  /** `secretStore.vaultSettings.token`. */
  readonly legacyVaultToken: string | undefined;
  /** `secretStore.databaseSettings.url`. */
  readonly legacyDatabaseUrl: string | undefined;
  readonly tls: { readonly certificate: Uint8Array; readonly key: Uint8Array } | undefined;
}

export interface BuildContext {
  readonly configuration: Configuration;
  /** Where each setting comes from: a variable's name, or `file`. */
  readonly origins: ReadonlyMap<string, string>;
  readonly environment: Environment;
  readonly problems: string[];
  readonly readFile: (path: string) => Buffer;
}

export function buildSecrets(context: BuildContext): Secrets {
  const { configuration, problems } = context;
  const { databaseUrl, databaseUrlFile, egress, tlsCertFile, tlsKeyFile } = configuration;
  const either = (name: string, given: string | undefined, file: string | undefined): string | undefined => {
    if (given !== undefined && file !== undefined)
      problems.push(`${say(context, name)} and ${say(context, `${name}File`)} are both set; one is enough`);
    return given ?? readSecretText(context, `${name}File`, file);
  };
  const postgresUrl = (name: string, given: string | undefined, file: string | undefined): string | undefined => {
    const found = either(name, given, file);
    if (found !== undefined && postgresHostUrls(found) === undefined)
      problems.push(`${say(context, given === undefined ? `${name}File` : name)} does not hold a URL postgres://…`);
    return found;
  };
  const proxy = either('egress.proxy', egress.proxy, egress.proxyFile);
  if (proxy !== undefined && !(URL.canParse(proxy) && isProxyUrl(new URL(proxy))))
    problems.push(
      `${say(context, egress.proxy === undefined ? 'egress.proxyFile' : 'egress.proxy')} does not hold a URL http://host:port or https://host:port`,
    );
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined))
    problems.push(`${say(context, 'tlsCertFile')} and ${say(context, 'tlsKeyFile')} go together`);
  const certificate = readBytes(context, 'tlsCertFile', tlsCertFile);
  const key = readBytes(context, 'tlsKeyFile', tlsKeyFile);
  const { secretStore } = configuration;
  const legacyVault = secretStore?.type === 'vault' ? secretStore.vaultSettings : undefined;
  const legacyTable = secretStore?.type === 'database' ? secretStore.databaseSettings : undefined;
  return {
    databaseUrl: postgresUrl('databaseUrl', databaseUrl, databaseUrlFile),
    egressProxy: proxy,
    legacyVaultToken: either('secretStore.vaultSettings.token', legacyVault?.token, legacyVault?.tokenFile),
    legacyDatabaseUrl: postgresUrl('secretStore.databaseSettings.url', legacyTable?.url, legacyTable?.urlFile),
    tls: certificate === undefined || key === undefined ? undefined : { certificate, key },
  };
}

export function buildSettings(context: BuildContext, secrets: Secrets, ambient: Ambient): Settings {
  const { configuration, environment, origins, problems } = context;
  const path = (text: string): string => resolve(environment.workingDirectory, text);
  const dataDir = path(configuration.dataDir);
  const { tlsCertFile, tlsKeyFile, auditAnchor } = configuration;
  for (const proxy of configuration.trustedProxies)
    if (!isNetwork(String(proxy)))
      problems.push(`${say(context, 'trustedProxies')} holds something that is neither an address nor a network`);
  return {
    dataDir,
    listen: listenAddress(context, 'listen', configuration.listen),
    publicUrl: configuration.publicUrl?.replace(/\/$/, ''),
    hosts: configuration.hosts.map(String),
    trustedProxies: configuration.trustedProxies.map(String),
    behindTlsProxy: configuration.behindTlsProxy,
    tls:
      tlsCertFile === undefined || tlsKeyFile === undefined
        ? undefined
        : { certFile: path(tlsCertFile), keyFile: path(tlsKeyFile) },
    database:
      secrets.databaseUrl === undefined
        ? { kind: 'sqlite' }
        : { kind: 'postgres', ...databaseAddress(secrets.databaseUrl) },
    kek: buildKekSettings(context, dataDir, path),
    bootstrapTokenFile:
      configuration.bootstrapTokenFile === undefined ? undefined : path(configuration.bootstrapTokenFile),
    auditAnchor:
      auditAnchor === 'stdout'
        ? { kind: 'stdout' }
        : { kind: 'file', path: auditAnchor === undefined ? join(dataDir, 'audit.anchor') : path(auditAnchor) },
    audit: auditSettings(context, path),
    runner: configuration.runner,
    runnerUids: uidRange(context, configuration.runnerUids),
    metricsListen:
      configuration.metricsListen === undefined
        ? undefined
        : listenAddress(context, 'metricsListen', configuration.metricsListen),
    logLevel: configuration.logLevel,
    egress: { allow: egressEntries(context), hasProxy: secrets.egressProxy !== undefined },
    managed: buildManagedSettings(context, path),
    clusters: configuration.clusters,
    features: {
      secretsV2: {
        enabled: configuration.features.secretsV2.enabled,
        setBy: origins.has('features.secretsV2.enabled') ? 'configuration' : 'default',
      },
    },
    limits: configuration.limits,
    isProduction: ambient.isProduction,
  };
}

function auditSettings(context: BuildContext, path: (text: string) => string): Settings['audit'] {
  const { retentionDays, archiveDir } = context.configuration.audit;
  if (retentionDays !== undefined && archiveDir === undefined)
    context.problems.push(
      `${say(context, 'audit.retentionDays')} needs audit.archiveDir: records are removed only once they are archived`,
    );
  return { retentionDays, archiveDir: archiveDir === undefined ? undefined : path(archiveDir) };
}

/** A setting as the reader knows it: the variable that was set, else its name in the file. */
function say(context: BuildContext, path: string): string {
  const origin = context.origins.get(path);
  return origin === undefined || origin === 'file' ? path : origin;
}

function readBytes(context: BuildContext, setting: string, file: string | undefined): Buffer | undefined {
  if (file === undefined) return undefined;
  try {
    return context.readFile(resolve(context.environment.workingDirectory, file));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    context.problems.push(`${say(context, setting)}: the file ${file} cannot be read${code}`);
    return undefined;
  }
}

/** The content of a file without its last line end, which editors add and no secret has. */
function readSecretText(context: BuildContext, setting: string, file: string | undefined): string | undefined {
  const bytes = readBytes(context, setting, file);
  if (bytes === undefined) return undefined;
  const text = bytes.toString('latin1').replace(/\r?\n$/, '');
  bytes.fill(0);
  if (text === '') context.problems.push(`${say(context, setting)}: the file ${String(file)} is empty`);
  if (/[^!-~]/.test(text))
    context.problems.push(`${say(context, setting)}: the file ${String(file)} must hold one line of visible ASCII`);
  return text;
}

function databaseAddress(url: string): { readonly address: string; readonly servers: number } {
  const urls = (postgresHostUrls(url) ?? []).map((one) => new URL(one));
  const hosts = urls.map(({ hostname, port, searchParams }) => {
    const host = searchParams.get('host') ?? hostname;
    return `${host === '' ? 'localhost' : host}:${port === '' ? '5432' : port}`;
  });
  return { address: `${hosts.join(',')}${urls[0]?.pathname ?? ''}`, servers: hosts.length };
}

function listenAddress(context: BuildContext, setting: string, text: string): ListenAddress {
  const at = text.lastIndexOf(':');
  const port = Number(text.slice(at + 1));
  if (port > 65_535) context.problems.push(`${say(context, setting)} has a port over 65535`);
  return { host: text.slice(0, at).replaceAll(/[[\]]/g, ''), port };
}

function egressEntries(context: BuildContext): readonly string[] {
  const entries = context.configuration.egress.allow.map(String);
  for (const [index, entry] of entries.entries()) {
    try {
      parseAllowEntry(entry);
    } catch (error) {
      if (!(error instanceof AllowEntryError)) throw error;
      context.problems.push(`${say(context, 'egress.allow')}, entry ${index + 1}: ${error.message}`);
    }
  }
  return entries;
}

function uidRange(context: BuildContext, text: string | undefined): Settings['runnerUids'] {
  if (text === undefined) return undefined;
  const [first = 0, last = 0] = text.split('-').map(Number);
  // 0xffffffff means «no change» to the system's calls.
  if (first > last || last >= 2 ** 32 - 1)
    context.problems.push(`${say(context, 'runnerUids')} must be a range, the smaller number first`);
  return { first, last };
}

function isNetwork(text: string): boolean {
  const [address = '', bits, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  if (bits === undefined) return true;
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128)) return false;
  return true;
}
