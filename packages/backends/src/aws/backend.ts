import {
  BatchGetSecretValueCommand,
  type BatchGetSecretValueResponse,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  type SecretListEntry,
} from '@aws-sdk/client-secrets-manager';
import { StrongroomError } from '@strongroom/contract/core';
import { answerOrError, mapAtOnce } from '../at-once.ts';
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
import type { Egress } from '../egress/index.ts';
import { VendorFailure } from '../vendor-failure.ts';
import { noName } from '../vendor-steps.ts';
import { capabilities } from './capabilities.ts';
import { checkAws } from './check.ts';
import type { AwsClient } from './client.ts';
import { describedVersion } from './described-version.ts';
import type { Endpoint } from './endpoint.ts';
import { checkName, checkVersion, toEntry } from './entries.ts';
import { type Absence, absenceOf, failureByName, malformed } from './failures.ts';

export interface AwsBackendParts {
  readonly client: AwsClient;
  readonly egress: Egress;
  readonly endpoint: Endpoint;
  readonly prefix: string;
  readonly versionStage: string;
}

type Answer = Entry | null | StrongroomError;

/** Single reads under way for one call. */
const readsAtOnce = 8;
const batchesAtOnce = 4;
/** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html */
const mostListed = 100;
const currentStage = 'AWSCURRENT';

/** Somebody's secrets in AWS Secrets Manager: GetSecretValue, BatchGetSecretValue, DescribeSecret and ListSecrets, and nothing else. */
export class AwsBackend implements Backend {
  readonly type = 'aws';
  readonly capabilities = capabilities;
  readonly #parts: AwsBackendParts;
  /** Many at once is a permission of its own, and always of the label AWSCURRENT. */
  #canBatch: boolean;

  constructor(parts: AwsBackendParts) {
    this.#parts = parts;
    this.#canBatch = parts.versionStage === currentStage;
  }

  async get(key: string, { signal, version }: GetOptions): Promise<Entry | null> {
    const { client, prefix, versionStage } = this.#parts;
    const which = version === undefined ? { VersionStage: versionStage } : { VersionId: checkVersion(version) };
    const command = new GetSecretValueCommand({ SecretId: checkName(key, prefix), ...which });
    const answer = await client.send('reading a secret', signal, (sdk, options) => sdk.send(command, options));
    if (typeof answer === 'string') return nullOrThrow(answer);
    if (version !== undefined && answer.VersionId !== version) throw malformed('reading a secret');
    return toEntry(answer, key);
  }

  async getMany(keys: readonly string[], { signal }: CallOptions): Promise<ReadonlyMap<string, Answer>> {
    const answers = new Map<string, Answer>();
    const asked: string[] = [];
    for (const key of new Set(keys)) {
      const refusal = await answerOrError(() => checkName(key, this.#parts.prefix));
      if (refusal instanceof StrongroomError) answers.set(key, refusal);
      else asked.push(key);
    }
    const chunks = Array.from({ length: Math.ceil(asked.length / capabilities.batch) }, (_, index) =>
      asked.slice(index * capabilities.batch, (index + 1) * capabilities.batch),
    );
    await mapAtOnce(chunks, batchesAtOnce, signal, async (chunk, shared) => {
      const found = chunk.length > 1 && this.#canBatch ? await this.#readBatch(chunk, shared) : new Map();
      for (const [key, answer] of found) answers.set(key, answer);
      const rest = chunk.filter((key) => !found.has(key));
      await mapAtOnce(rest, readsAtOnce, shared, async (key, one) => {
        answers.set(key, await answerOrError(() => this.get(key, { signal: one })));
      });
    });
    return answers;
  }

  async versions(keys: readonly string[], { signal }: CallOptions): Promise<VersionAnswers> {
    const answers = await mapAtOnce([...new Set(keys)], readsAtOnce, signal, async (key, shared) => {
      return [key, await answerOrError(() => this.#versionOf(key, shared))] as const;
    });
    return new Map(answers);
  }

  async list({ signal, cursor, limit }: ListOptions): Promise<ListPage> {
    const { client, prefix } = this.#parts;
    const command = new ListSecretsCommand({
      MaxResults: Math.max(1, Math.min(mostListed, limit)),
      ...(cursor === undefined ? {} : { NextToken: checkCursor(cursor) }),
      ...(prefix === '' ? {} : { Filters: [{ Key: 'name', Values: [prefix] }] }),
    });
    const answer = await client.send('listing', signal, (sdk, options) => sdk.send(command, options));
    if (typeof answer === 'string' || !Array.isArray(answer.SecretList)) throw malformed('listing');
    const { SecretList: secrets, NextToken: next } = answer as { SecretList: SecretListEntry[]; NextToken?: unknown };
    return {
      items: secrets.map(toItem).filter(({ key }) => key.startsWith(prefix)),
      nextCursor: next === undefined ? null : nextCursorOf(next),
    };
  }

  async check({ signal }: CallOptions): Promise<readonly CheckLine[]> {
    const { egress, endpoint, prefix } = this.#parts;
    return checkAws({
      egress,
      endpoint,
      signal,
      noKey: `${prefix}${noName}`,
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
    this.#parts.client.close();
  }

  async #versionOf(key: string, signal: AbortSignal): Promise<KeyVersion | null> {
    const { client, prefix, versionStage } = this.#parts;
    const command = new DescribeSecretCommand({ SecretId: checkName(key, prefix) });
    const answer = await client.send('describing a secret', signal, (sdk, options) => sdk.send(command, options));
    if (typeof answer === 'string') return nullOrThrow(answer);
    const version = describedVersion(answer, key, versionStage);
    return version === 'deleted' ? nullOrThrow(version) : version;
  }

  /** What one request says of its keys; none of them where it isn't allowed, so that they are read one by one. */
  async #readBatch(keys: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Answer>> {
    const command = new BatchGetSecretValueCommand({ SecretIdList: [...keys] });
    try {
      const answer = await this.#parts.client.send('reading secrets', signal, (sdk, options) =>
        sdk.send(command, options),
      );
      return typeof answer === 'string' ? new Map() : await answersOf(answer, keys);
    } catch (error) {
      if (!(error instanceof VendorFailure) || error.code !== 'backend_denied' || error.isOfIdentity) throw error;
      this.#canBatch = false;
      return new Map();
    }
  }
}

async function answersOf(
  { SecretValues: values, Errors: errors = [] }: BatchGetSecretValueResponse,
  keys: readonly string[],
): Promise<Map<string, Answer>> {
  if (!Array.isArray(values) || !Array.isArray(errors)) throw malformed('reading secrets');
  const answers = new Map<string, Answer>();
  for (const key of keys) {
    const value = values.find((each) => each?.Name === key);
    const error = errors.find((each) => each?.SecretId === key);
    if (value !== undefined) answers.set(key, await answerOrError(() => toEntry(value, key)));
    else if (error !== undefined)
      answers.set(key, await answerOrError(() => nullOrThrow(absenceOf(error.ErrorCode), error.ErrorCode)));
  }
  return answers;
}

function nullOrThrow(absence: Absence | null, name?: string): null {
  if (absence === 'absent') return null;
  if (absence === null) throw failureByName(name, 'reading a secret');
  throw new StrongroomError('backend_deleted', {
    detail: 'The secret is scheduled for deletion in AWS.',
    hint: 'Restore it there (RestoreSecret), or refer to another one.',
  });
}

function toItem(secret: SecretListEntry | null): ListItem {
  if (typeof secret?.Name !== 'string' || secret.Name === '') throw malformed('listing');
  const time = secret.LastChangedDate instanceof Date ? secret.LastChangedDate.getTime() : Number.NaN;
  return { key: secret.Name, ...(Number.isNaN(time) ? {} : { updatedAt: time }) };
}

const cursorPattern = /^[!-~]{1,4096}$/;

/** The SDK hands on what the answer has, a number or a list, too. */
function nextCursorOf(token: unknown): string {
  if (typeof token === 'string' && cursorPattern.test(token)) return token;
  throw malformed('listing');
}

function checkCursor(cursor: string): string {
  if (cursorPattern.test(cursor)) return cursor;
  throw new StrongroomError('cursor_invalid');
}

function readOnly(): StrongroomError {
  return new StrongroomError('not_supported', {
    detail: 'An integration with AWS Secrets Manager is only read.',
    hint: 'Change the secret in AWS.',
  });
}
