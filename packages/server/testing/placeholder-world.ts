import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from './app.ts';
import { Canaries } from './canaries.ts';

/** What the routes of placeholders answer. */
export interface Rewritten {
  readonly items: readonly {
    readonly configuration: string;
    readonly outcome: string;
    readonly revision: number;
    readonly fields: readonly {
      readonly pointer?: string;
      readonly becomes?: string;
      readonly stays?: string;
      readonly restores?: string;
    }[];
    readonly problem?: { readonly code: string; readonly detail: string };
  }[];
  readonly configurations: number;
  readonly nextCursor?: string;
}

export interface StoredJob {
  readonly revision: number;
  readonly environment: readonly { readonly name: string; readonly value?: string; readonly secret?: object }[];
  readonly files: readonly object[];
}

export const inFinance = '/v1/domains/finance';

export const onlyJob = (name: string, more: object = {}) => ({
  configurations: [{ surface: 'spark-job', name, ...more }],
});
export const managedReference = (scope: string, key: string) => ({ scope, source: 'managed', key });
export const outcomes = ({ items }: Rewritten) =>
  items.map(({ configuration, outcome }) => `${configuration} ${outcome}`);

/** A server with a domain whose jobs have placeholders, and its people: ann owns it, bob is a member, vic may look. */
export class PlaceholderWorld {
  readonly canaries = new Canaries();
  /** The value of the Global secret `shared`. */
  readonly shared = this.canaries.plain('value of a Global secret');
  /** Of what a configuration shows, until it is a secret. */
  readonly plain = new Canaries();
  readonly typed = this.plain.plain('a token typed into a variable');
  test!: TestServer;
  ann!: TestUser;
  bob!: TestUser;
  vic!: TestUser;

  /** Starts before the tests of the file that calls this, and ends after them. */
  constructor() {
    beforeAll(() => this.#start());
    afterAll(() => this.test.close());
  }

  async #start(): Promise<void> {
    const test = await startTestServer({}, { canaries: this.canaries });
    this.test = test;
    await test.createDomain('finance');
    this.ann = await test.createUser('ann', { domains: { finance: 'OWNER' } });
    this.bob = await test.createUser('bob', { domains: { finance: 'MEMBER' } });
    this.vic = await test.createUser('vic', { domains: { finance: 'VIEWER' } });
    await test.call('POST', '/v1/global/secrets', { body: { key: 'shared', value: this.shared } });
    await test.call('POST', `${inFinance}/secrets`, { body: { key: 'own', value: 'value of its own' } });
  }

  async ask(verb: string, body: object = {}, token = this.ann.token, query = ''): Promise<Rewritten> {
    const answer = await this.test.request('POST', `${inFinance}/placeholders/${verb}${query}`, { token, body });
    if (answer.status !== 200) throw new Error(`${verb}: ${answer.status} ${answer.text}`);
    this.plain.saw(verb, answer.text);
    return answer.body as Rewritten;
  }

  async saveJob(name: string, parts: object): Promise<void> {
    const body = { name, command: ['true'], ...parts };
    await this.test.call('POST', `${inFinance}/spark-jobs`, { token: this.ann.token, body });
  }

  showJob(name: string): Promise<StoredJob> {
    return this.test.call<StoredJob>('GET', `${inFinance}/spark-jobs/${name}`);
  }

  /** What a run of a job prints, which succeeds. */
  async printed(name: string): Promise<string> {
    const { id } = await this.test.call<{ id: string }>('POST', `${inFinance}/spark-jobs/${name}/runs`);
    for (;;) {
      const { state } = await this.test.call<{ state: string }>('GET', `${inFinance}/runs/${id}`);
      if (state !== 'queued' && state !== 'running') {
        if (state !== 'succeeded') throw new Error(`The run of ${name} has ${state}`);
        return (await this.test.request('GET', `${inFinance}/runs/${id}/log`)).text;
      }
      await delay(50);
    }
  }
}
