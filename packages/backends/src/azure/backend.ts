import type { KeyVaultSecret, SecretClient, SecretProperties } from '@azure/keyvault-secrets';
import { StrongroomError } from '@strongroom/contract/core';
import { CryptoError, SecretValue } from '@strongroom/crypto';
import { mapAtOnce } from '../at-once.ts';
import type {
  Backend,
  CallOptions,
  CheckLine,
  Entry,
  GetOptions,
  KeyVersion,
  ListItem,
  ListOptions,
  ListPage,
  VersionAnswers,
} from '../backend.ts';
import type { AddressRules, Egress } from '../egress/index.ts';
import { answerOfKey } from '../vendor-failure.ts';
import { noName } from '../vendor-steps.ts';
import { untilAborted } from '../wrappers/deadline.ts';
import { capabilities } from './capabilities.ts';
import { checkAzure } from './check.ts';
import { type Exchange, recorded } from './exchange.ts';
import { isTokenRefused, malformed, vaultFailure } from './failures.ts';
import { latestVersion } from './latest-version.ts';

export interface AzureBackendParts {
  /** Each signs in by itself, and keeps its token until shortly before that expires. */
  readonly createClient: () => SecretClient;
  readonly egress: Egress;
  /** As it was typed, without a final `/`. */
  readonly vaultUrl: string;
  readonly origin: string;
  readonly rules: AddressRules;
}

const readsAtOnce = 8;
/** https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets/get-secrets */
const mostListed = 25;
const namePattern = /^[0-9a-zA-Z-]{1,127}$/;
const versionPattern = /^[0-9a-zA-Z]{1,64}$/;
/** A link to the next page, behind its host. */
const cursorPattern = /^\/secrets\?[!-~]{1,4000}$/;
const versionCursorPattern = /^\/secrets\/[0-9a-zA-Z-]{1,127}\/versions\?[!-~]{1,4000}$/;

/** Pages of versions that are looked through; of a secret with more it isn't said which is the current one. */
const versionPages = 10;

/** Somebody's secrets in Azure Key Vault: getting and listing secrets and versions, and whether one is deleted. */
export class AzureBackend implements Backend {
  readonly type = 'azure';
  readonly capabilities = capabilities;
  readonly #parts: AzureBackendParts;
  #client: SecretClient;
  #isClosed = false;

  constructor(parts: AzureBackendParts) {
    this.#parts = parts;
    this.#client = parts.createClient();
  }

  async get(key: string, { signal, version }: GetOptions): Promise<Entry | null> {
    checkName(key);
    const which = version === undefined ? {} : { version: checkVersion(version) };
    const secret = await this.#send('reading a secret', signal, isNotFound, (client, options) =>
      client.getSecret(key, { ...which, ...options }),
    );
    if (secret === null) {
      await this.#assertNotDeleted(key, signal);
      return null;
    }
    if (version !== undefined && secret.properties?.version !== version) throw malformed('reading a secret');
    return toEntry(secret, key, this.#parts.origin);
  }

  async getMany(
    keys: readonly string[],
    { signal }: CallOptions,
  ): Promise<ReadonlyMap<string, Entry | null | StrongroomError>> {
    const answers = await mapAtOnce([...new Set(keys)], readsAtOnce, signal, async (key, shared) => {
      return [key, await answerOfKey(() => this.get(key, { signal: shared }))] as const;
    });
    return new Map(answers);
  }

  async versions(keys: readonly string[], { signal }: CallOptions): Promise<VersionAnswers> {
    const answers = await mapAtOnce([...new Set(keys)], readsAtOnce, signal, async (key, shared) => {
      return [key, await answerOfKey(() => this.#versionOf(key, shared))] as const;
    });
    return new Map(answers.flatMap(([key, answer]) => (answer === undefined ? [] : [[key, answer] as const])));
  }

  async list({ signal, cursor, limit }: ListOptions): Promise<ListPage> {
    const { origin } = this.#parts;
    if (cursor !== undefined && !cursorPattern.test(cursor)) throw new StrongroomError('cursor_invalid');
    const settings = {
      maxPageSize: Math.max(1, Math.min(mostListed, limit)),
      ...(cursor === undefined ? {} : { continuationToken: `${origin}${cursor}` }),
    };
    const page = await this.#send(
      'listing',
      signal,
      () => false,
      async (client, options, exchange) => {
        const { value } = await client.listPropertiesOfSecrets(options).byPage(settings).next();
        return { items: value as unknown, nextLink: exchange.nextLink };
      },
    );
    if (page === null || !Array.isArray(page.items)) throw malformed('listing');
    const items = page.items as readonly (SecretProperties | null)[];
    return {
      items: items.map((each) => toItem(each, origin)),
      nextCursor: cursorOf(page.nextLink, origin, cursorPattern),
    };
  }

  async check({ signal }: CallOptions): Promise<readonly CheckLine[]> {
    const { egress, vaultUrl, rules } = this.#parts;
    return checkAzure({
      egress,
      vaultUrl,
      rules,
      signal,
      noKey: noName,
      read: (key) => this.get(key, { signal }),
      firstKey: async () => (await this.list({ signal, limit: 1 })).items[0]?.key ?? null,
    });
  }

  async put(): Promise<never> {
    throw readOnly();
  }

  async delete(): Promise<never> {
    throw readOnly();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  /** `undefined` where listing does not tell; of what isn't there it tells nothing. */
  async #versionOf(key: string, signal: AbortSignal): Promise<KeyVersion | null | undefined> {
    checkName(key);
    const { origin } = this.#parts;
    const listed: (SecretProperties | null)[] = [];
    let next: string | null = null;
    for (let page = 0; page < versionPages; page += 1) {
      const settings = { maxPageSize: mostListed, ...(next === null ? {} : { continuationToken: `${origin}${next}` }) };
      const found = await this.#send('listing versions', signal, isNotFound, async (client, options, exchange) => {
        const { value } = await client.listPropertiesOfSecretVersions(key, options).byPage(settings).next();
        return { items: value as unknown, nextLink: exchange.nextLink };
      });
      if (found === null) return undefined;
      if (!Array.isArray(found.items)) throw malformed('listing versions');
      listed.push(...(found.items as (SecretProperties | null)[]));
      next = cursorOf(found.nextLink, origin, versionCursorPattern);
      if (next !== null) continue;
      const latest = latestVersion(listed, { key, origin, versionPattern });
      if (latest === 'disabled') throw disabled();
      return latest;
    }
    return undefined;
  }

  /** A secret that is deleted may be recovered for a while; who may not ask about it learns what Azure said first. */
  async #assertNotDeleted(key: string, signal: AbortSignal): Promise<void> {
    const mayNotKnow = (exchange: Exchange) => isNotFound(exchange) || exchange.status === 403;
    const deleted = await this.#send('reading a secret', signal, mayNotKnow, (client, options) =>
      client.getDeletedSecret(key, options),
    );
    if (deleted === null) return;
    throw new StrongroomError('backend_deleted', {
      detail: 'The secret is deleted in Azure and not purged yet.',
      hint: 'Recover it there, or refer to another one.',
    });
  }

  /** One request, a second one with another token when Azure did not take the first; `null` for answers that say that nothing is there. */
  async #send<Answer>(
    about: string,
    signal: AbortSignal,
    isAbsence: (exchange: Exchange) => boolean,
    run: (client: SecretClient, options: { abortSignal: AbortSignal }, exchange: Exchange) => Promise<Answer>,
    isAgain = false,
  ): Promise<Answer | null> {
    const { egress, vaultUrl, rules } = this.#parts;
    const client = this.#client;
    if (signal.aborted) throw new StrongroomError('deadline_exceeded', { detail: 'Azure: the call was given up.' });
    if (this.#isClosed) throw new StrongroomError('shutting_down', { detail: 'The connection to Azure is closed.' });
    egress.checkUrl(vaultUrl, { schemes: ['https'], ...rules });
    return recorded(async (exchange) => {
      try {
        return await untilAborted(run(client, { abortSignal: signal }, exchange), signal);
      } catch (error) {
        if (!(error instanceof StrongroomError) && isAbsence(exchange)) return null;
        const isDisabled = exchange.status === 403 && exchange.codes?.includes('SecretDisabled') === true;
        if (isDisabled && !(error instanceof StrongroomError)) throw disabled();
        if (isAgain || !isTokenRefused(error, exchange)) throw vaultFailure(error, exchange, about);
      }
      if (this.#client === client) this.#client = this.#parts.createClient();
      return this.#send(about, signal, isAbsence, run, true);
    });
  }
}

/** Only what the vault itself calls so; a page that isn't there is not a secret that isn't. */
function isNotFound({ status, codes }: Exchange): boolean {
  return status === 404 && codes?.includes('SecretNotFound') === true;
}

function checkName(key: string): void {
  if (namePattern.test(key)) return;
  throw new StrongroomError('validation_failed', {
    detail: 'A name in Azure Key Vault has 1 to 127 letters, digits and hyphens.',
  });
}

function checkVersion(version: string): string {
  if (versionPattern.test(version)) return version;
  throw new StrongroomError('validation_failed', { detail: 'A version in Azure is an id of letters and digits.' });
}

/** Azure ignores letter case, so that the name in the answer is compared: two keys are never one entry. */
function toEntry({ value, properties }: KeyVaultSecret, key: string, origin: string): Entry | null {
  const { name, version, vaultUrl, updatedOn } = properties ?? {};
  if (typeof value !== 'string' || typeof name !== 'string' || vaultUrl !== origin) throw malformed('reading a secret');
  if (typeof version !== 'string' || !versionPattern.test(version)) throw malformed('reading a secret');
  if (name.toLowerCase() !== key.toLowerCase()) throw malformed('reading a secret');
  if (name !== key) return null;
  try {
    return {
      shape: 'text',
      value: SecretValue.fromText(value),
      fieldNames: null,
      version,
      updatedAt: timeOf(updatedOn) ?? null,
    };
  } catch (error) {
    if (error instanceof CryptoError) throw malformed('reading a secret');
    throw error;
  }
}

function toItem(properties: SecretProperties | null, origin: string): ListItem {
  const { name, vaultUrl, updatedOn } = properties ?? {};
  if (typeof name !== 'string' || !namePattern.test(name) || vaultUrl !== origin) throw malformed('listing');
  const time = timeOf(updatedOn);
  return { key: name, ...(time === undefined ? {} : { updatedAt: time }) };
}

function timeOf(date: unknown): number | undefined {
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date.getTime() : undefined;
}

function cursorOf(link: unknown, origin: string, pattern: RegExp): string | null {
  if (link === undefined || link === null || link === '') return null;
  const cursor = typeof link === 'string' && link.startsWith(`${origin}/`) ? link.slice(origin.length) : '';
  if (!pattern.test(cursor)) throw malformed('listing');
  return cursor;
}

function disabled(): StrongroomError {
  return new StrongroomError('backend_deleted', {
    detail: 'The version of the secret is disabled in Azure.',
    hint: 'Enable it there, or refer to another one.',
  });
}

function readOnly(): StrongroomError {
  return new StrongroomError('not_supported', {
    detail: 'An integration with Azure Key Vault is only read.',
    hint: 'Change the secret in Azure.',
  });
}
