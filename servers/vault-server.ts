// A running server that speaks Vault's API: https://developer.hashicorp.com/vault/api-docs
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HttpAnswer, httpRequest } from './http-request.ts';
import { removeFolder } from './lifetime.ts';
import type { ServerProcess } from './server-process.ts';

export interface VaultOptions {
  /** HTTPS, with a certificate for `localhost`, `127.0.0.1` and `::1` under an authority of its own. */
  readonly tls?: boolean;
  /**
   * A folder that stays after `stop`: what is started with it again has the same secrets, tokens and authority. It also
   * holds the unseal key. Without it everything is in memory.
   */
  readonly dir?: string;
  /** The port, for one that comes back where it was; any free one without it. */
  readonly port?: number;
  /** What it is like when this resolves: `unsealed` without it. */
  readonly state?: 'unsealed' | 'sealed' | 'uninitialised';
  /** A second, standby node over the same storage. */
  readonly standby?: boolean;
}

export interface VaultRequest {
  readonly operation: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
}

export interface Vault {
  readonly url: string;
  /** The standby node: it answers `sys/health` with 429 and redirects everything else to `url`. */
  readonly standbyUrl?: string;
  /** Empty as long as it is uninitialised, like `unsealKey`. */
  readonly rootToken: string;
  readonly unsealKey: string;
  /** PEM, with `tls`. */
  readonly caCertificate?: string;
  /** The file audit device: JSON, one record a line, values as HMACs. */
  readonly auditLogPath: string;
  readonly pid: number;
  /** One request with the root token, or with another. `path` begins after `/v1/`. */
  request<Body = unknown>(method: string, path: string, body?: unknown, token?: string): Promise<HttpAnswer<Body>>;
  /** What it was asked, since the start or since `after` of them, log-ins and refused requests included. */
  requests(after?: number): readonly VaultRequest[];
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** Kills it. */
  stop(): Promise<void>;
}

interface Keys {
  readonly rootToken: string;
  readonly unsealKey: string;
}

/** Initialised, unsealed and prepared through the API, whoever's program it is. */
export class RunningVault implements Vault {
  readonly url: string;
  readonly auditLogPath: string;
  declare readonly caCertificate?: string;
  declare standbyUrl?: string;
  readonly #process: ServerProcess;
  readonly #folder: string;
  readonly #isTemporary: boolean;
  #keys: Keys = { rootToken: '', unsealKey: '' };

  constructor(process: ServerProcess, folder: string, url: string, ca: string | undefined, isTemporary: boolean) {
    this.#process = process;
    this.#folder = folder;
    this.#isTemporary = isTemporary;
    this.url = url;
    this.auditLogPath = join(folder, 'audit.log');
    if (ca !== undefined) this.caCertificate = ca;
  }

  get rootToken(): string {
    return this.#keys.rootToken;
  }

  get unsealKey(): string {
    return this.#keys.unsealKey;
  }

  get pid(): number {
    return this.#process.pid;
  }

  request<Body = unknown>(method: string, path: string, body?: unknown, token = this.rootToken) {
    return this.#send<Body>(this.url, method, path, body, token);
  }

  requests(after = 0): readonly VaultRequest[] {
    if (!existsSync(this.auditLogPath)) return [];
    const records = readFileSync(this.auditLogPath, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { readonly type: string; readonly request: VaultRequest });
    return records
      .filter(({ type }) => type === 'request')
      .map(({ request }) => request)
      .slice(after);
  }

  async seal(): Promise<void> {
    await this.#must('PUT', 'sys/seal', {});
    await this.#health(503);
  }

  async unseal(): Promise<void> {
    await this.#must('PUT', 'sys/unseal', { key: this.unsealKey });
    await this.#health(200);
    const mounts = await this.#must<{ data: object }>('GET', 'sys/mounts');
    if ('secret/' in mounts.data) await this.#prepared();
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    if (this.#isTemporary) removeFolder(this.#folder);
  }

  /** Initialises it when it is new, and unseals it. */
  async open(): Promise<void> {
    const file = join(this.#folder, 'keys.json');
    if (existsSync(file)) {
      this.#keys = JSON.parse(readFileSync(file, 'utf8')) as Keys;
      await this.unseal();
      return;
    }
    const made = await this.#must<{ root_token: string; keys_base64: [string] }>('PUT', 'sys/init', {
      secret_shares: 1,
      secret_threshold: 1,
    });
    this.#keys = { rootToken: made.root_token, unsealKey: made.keys_base64[0] };
    writeFileSync(file, JSON.stringify(this.#keys), { mode: 0o600 });
    await this.unseal();
    await this.#must('PUT', 'sys/audit/file', { type: 'file', options: { file_path: this.auditLogPath } });
    await this.#must('POST', 'sys/mounts/kv1', { type: 'kv', options: { version: '1' } });
    await this.#must('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    await this.#prepared();
  }

  /** KV v2 answers 400 as long as it prepares itself: when it is mounted, and after each start. */
  async #prepared(): Promise<void> {
    await this.#process.until(async () => (await this.request('GET', 'secret/config')).status === 200 || undefined);
  }

  async openStandby(url: string): Promise<void> {
    const { status, body } = await this.#send(url, 'PUT', 'sys/unseal', { key: this.unsealKey }, '');
    if (status !== 200) throw new Error(`unsealing the standby: ${status} ${JSON.stringify(body)}`);
    await this.#process.until(async () => (await this.#send(url, 'GET', 'sys/health')).status === 429 || undefined);
    this.standbyUrl = url;
  }

  async #must<Body>(method: string, path: string, body?: unknown): Promise<Body> {
    const answer = await this.request<Body>(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Waits for the status that https://developer.hashicorp.com/vault/api-docs/system/health documents. */
  async #health(status: number): Promise<void> {
    await this.#process.until(async () => (await this.request('GET', 'sys/health')).status === status || undefined);
  }

  #send<Body>(url: string, method: string, path: string, body?: unknown, token = ''): Promise<HttpAnswer<Body>> {
    const headers = token === '' ? undefined : { 'x-vault-token': token };
    return httpRequest<Body>(`${url}/v1/${path}`, {
      method,
      body,
      ...(headers === undefined ? {} : { headers }),
      caCertificate: this.caCertificate,
    });
  }
}
