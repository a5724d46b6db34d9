import { StrongroomError } from '@strongroom/contract/core';
import { mapAtOnce } from '../at-once.ts';
import type {
  Backend,
  CallOptions,
  CheckLine,
  Entry,
  GetOptions,
  KeyVersion,
  ListOptions,
  ListPage,
  VersionAnswers,
} from '../backend.ts';
import { connectionSteps, trySteps } from '../check-steps.ts';
import type { Egress } from '../egress/index.ts';
import { answerOfKey } from '../vendor-failure.ts';
import { noName, vendorSteps } from '../vendor-steps.ts';
import { capabilities } from './capabilities.ts';
import type { GoogleClient } from './client.ts';
import { checkEndpoint, type Endpoint } from './endpoint.ts';
import { checkName, checkVersion, toEntry, toItem, versionOf } from './entries.ts';
import { malformed } from './failures.ts';
import type { DescribedVersion } from './sdk.ts';

export interface GoogleBackendParts {
  readonly client: GoogleClient;
  readonly egress: Egress;
  readonly endpoint: Endpoint;
  readonly ca: string | undefined;
  readonly project: string;
  readonly location: string | undefined;
  readonly prefix: string;
  /** Each `key:value`. */
  readonly labels: readonly string[];
  /** `latest`, an alias, or a number. */
  readonly version: string;
}

const readsAtOnce = 8;
const mostListed = 1000;
const cursorPattern = /^[!-~]{1,4096}$/;

/** Somebody's secrets in Google Secret Manager: AccessSecretVersion, GetSecretVersion and ListSecrets, and nothing else. */
export class GoogleBackend implements Backend {
  readonly type = 'google';
  readonly capabilities = capabilities;
  readonly #parts: GoogleBackendParts;

  constructor(parts: GoogleBackendParts) {
    this.#parts = parts;
  }

  async get(key: string, { signal, version }: GetOptions): Promise<Entry | null> {
    const { client, prefix, location } = this.#parts;
    const which = version === undefined ? this.#parts.version : checkVersion(version);
    const name = this.#nameOf(checkName(key, prefix), which);
    const answer = await client.call('reading a secret', signal, async (sdk, options) => {
      const [found] = await sdk.accessSecretVersion({ name }, options);
      return found;
    });
    if (answer === 'absent') return null;
    if (answer === 'not-enabled') throw await this.#whyNotEnabled(name, signal);
    return toEntry(answer, { key, location }, version);
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
    return new Map(answers);
  }

  async list({ signal, cursor, limit }: ListOptions): Promise<ListPage> {
    const { client, prefix, location } = this.#parts;
    if (cursor !== undefined && !cursorPattern.test(cursor)) throw new StrongroomError('cursor_invalid');
    const filter = this.#filter;
    const request = {
      parent: this.#parent,
      pageSize: Math.max(1, Math.min(mostListed, limit)),
      ...(cursor === undefined ? {} : { pageToken: cursor }),
      ...(filter === '' ? {} : { filter }),
    };
    const page = await client.call('listing', signal, async (sdk, options) => {
      const [, , answer] = await sdk.listSecrets(request, options);
      return answer;
    });
    if (typeof page === 'string') throw notTaken();
    const { secrets, nextPageToken: next } = page;
    if (!Array.isArray(secrets) || typeof next !== 'string') throw malformed('listing');
    if (next !== '' && !cursorPattern.test(next)) throw malformed('listing');
    return {
      items: secrets.map((secret) => toItem(secret, location)).filter(({ key }) => key.startsWith(prefix)),
      nextCursor: next === '' ? null : next,
    };
  }

  async check({ signal }: CallOptions): Promise<readonly CheckLine[]> {
    const { egress, endpoint, prefix, ca } = this.#parts;
    const { host, port, rules } = endpoint;
    const { steps } = connectionSteps({
      checkAddress: () => checkEndpoint(endpoint, egress),
      isEncrypted: true,
      probe: async () => {
        const tls = { protocol: 'h2', ...(ca === undefined ? {} : { ca }) };
        (await egress.connectTcp({ host, port, ...rules, tls, signal })).destroy();
      },
    });
    const access = vendorSteps({
      noKey: `${prefix}${noName}`.slice(0, maxNameLength),
      read: (key) => this.get(key, { signal }),
      firstKey: async () => (await this.list({ signal, limit: 1 })).items[0]?.key ?? null,
    });
    return trySteps({ ...steps, ...access }, ['list']);
  }

  async put(): Promise<never> {
    throw readOnly();
  }

  async delete(): Promise<never> {
    throw readOnly();
  }

  async close(): Promise<void> {
    await this.#parts.client.close();
  }

  async #versionOf(key: string, signal: AbortSignal): Promise<KeyVersion | null> {
    const { prefix, location, version } = this.#parts;
    const described = await this.#describe(this.#nameOf(checkName(key, prefix), version), signal);
    if (described === null) return null;
    const answer = versionOf(described, { key, location });
    if (described.state !== 'ENABLED') throw notEnabled(described.state);
    return { version: answer };
  }

  /** What Google says of a version without its value. */
  async #describe(name: string, signal: AbortSignal): Promise<DescribedVersion | null> {
    const answer = await this.#parts.client.call('describing a secret', signal, async (sdk, options) => {
      const [version] = await sdk.getSecretVersion({ name }, options);
      return version;
    });
    return typeof answer === 'string' ? null : answer;
  }

  #nameOf(key: string, version: string): string {
    return `${this.#parent}/secrets/${key}/versions/${version}`;
  }

  get #parent(): string {
    const { project, location } = this.#parts;
    return location === undefined ? `projects/${project}` : `projects/${project}/locations/${location}`;
  }

  /** https://cloud.google.com/secret-manager/docs/filtering; the prefix is found anywhere in a name, and looked at again here. */
  get #filter(): string {
    const { prefix, labels } = this.#parts;
    const ofLabels = labels.map((label) => label.split(':')).map(([key = '', value = '']) => `labels.${key}=${value}`);
    // A hyphen in front would say the opposite.
    const ofName = /^[A-Za-z0-9]/.test(prefix) ? [`name:${prefix}`] : [];
    return [...ofName, ...ofLabels].join(' AND ');
  }

  /** Whoever may not ask for the state of a version learns what Google said first. */
  async #whyNotEnabled(name: string, signal: AbortSignal): Promise<StrongroomError> {
    try {
      const { state } = (await this.#describe(name, signal)) ?? {};
      return state === 'ENABLED' ? withoutKey() : notEnabled(state);
    } catch (error) {
      if (error instanceof StrongroomError && error.code === 'backend_denied') return notEnabled(undefined);
      throw error;
    }
  }
}

const maxNameLength = 255;

function notEnabled(state: DescribedVersion['state']): StrongroomError {
  const isDestroyed = state === 'DESTROYED';
  const how = isDestroyed ? 'destroyed' : state === 'DISABLED' ? 'disabled' : 'disabled or destroyed';
  return new StrongroomError('backend_deleted', {
    detail: `The version of the secret is ${how} in Google Secret Manager.`,
    hint: isDestroyed
      ? 'Add another version there, or refer to another secret.'
      : 'Enable it there, or refer to another version or secret.',
  });
}

function withoutKey(): StrongroomError {
  return new StrongroomError('backend_denied', {
    detail: 'Google Secret Manager can not read the secret, though its version is enabled.',
    hint: 'Check that its key in Cloud KMS is enabled, and that the service agent of Secret Manager may use it.',
  });
}

function notTaken(): StrongroomError {
  return new StrongroomError('backend_malformed', {
    detail: 'Google did not take the request (listing).',
    hint: 'Check the project and the location.',
  });
}

function readOnly(): StrongroomError {
  return new StrongroomError('not_supported', {
    detail: 'An integration with Google Secret Manager is only read.',
    hint: 'Add a version in Google Secret Manager.',
  });
}
