// @needs jupyter
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestServer } from '../packages/server/testing/app.ts';
import { Canaries } from '../packages/server/testing/canaries.ts';
import { httpRequest } from '../servers/http-request.ts';
import { jupyterPrograms } from '../servers/jupyter.ts';
import { digestOf, financeBase, openLiveDomain } from './live-domain.ts';
import { type LiveRuns, seeCommandLines } from './live-runs.ts';

const canaries = new Canaries();
const values = { phrase: canaries.text('a variable'), token: canaries.plain('token of the notebook') };
const one = `${financeBase}/notebooks/lab`;
let bin: string;
let test: TestServer;
let runs: LiveRuns;

beforeAll(async () => {
  bin = await jupyterPrograms();
  ({ test, runs } = await openLiveDomain(canaries, values));
});
afterAll(() => test.close());

const secret = (key: keyof typeof values) => ({ secret: `secret://domain/managed/${key}` });

/** A Jupyter server as who has its token sees it (Jupyter Server, "The REST API"; Jupyter Client, "Messaging in Jupyter"). */
class Jupyter {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
    this.#headers = { authorization: `token ${token}` };
  }

  async startKernel(): Promise<string> {
    const { status, body } = await httpRequest<{ id: string }>(`${this.#url}/api/kernels`, {
      method: 'POST',
      headers: this.#headers,
      body: { name: 'python3' },
    });
    if (status !== 201) throw new Error(`No kernel: ${status}`);
    return body.id;
  }

  /** What the code prints in the kernel, when it is done. */
  async printed(kernel: string, code: string): Promise<string> {
    const id = randomUUID();
    const address = `${this.#url.replace('http:', 'ws:')}/api/kernels/${kernel}/channels?session_id=${id}&token=${this.#token}`;
    const socket = new WebSocket(address);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const patience = setTimeout(() => reject(new Error('The kernel does not answer.')), 120_000);
    let text = '';
    socket.addEventListener('error', () => reject(new Error('The kernel can not be reached.')));
    socket.addEventListener('close', () => reject(new Error('The kernel has gone.')));
    socket.addEventListener('open', () =>
      socket.send(
        JSON.stringify({
          channel: 'shell',
          header: { msg_id: id, msg_type: 'execute_request', username: '', session: id, date: '', version: '5.4' },
          parent_header: {},
          metadata: {},
          content: { code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false },
        }),
      ),
    );
    socket.addEventListener('message', ({ data }) => {
      const { msg_type: type, parent_header: parent, content } = JSON.parse(String(data)) as KernelMessage;
      if (parent.msg_id !== id) return;
      if (type === 'stream') text += content.text ?? '';
      if (type === 'error') reject(new Error(`${content.ename}: ${content.evalue}`));
      if (type === 'status' && content.execution_state === 'idle') resolve(text.trim());
    });
    try {
      return await promise;
    } finally {
      clearTimeout(patience);
      socket.close();
    }
  }
}

interface KernelMessage {
  readonly msg_type: string;
  readonly parent_header: { readonly msg_id?: string };
  readonly content: {
    readonly text?: string;
    readonly ename?: string;
    readonly evalue?: string;
    readonly execution_state?: string;
  };
}

const showDigest = "import hashlib, os\nprint(hashlib.sha256(os.environ['DB_PHRASE'].encode()).hexdigest())";

/** What a process of a kernel writes is the notebook's, and goes to the log as well. */
const printToLog = 'import os\nos.system(\'echo "to the log: $JUPYTER_TOKEN" >&2\')';

const isReachable = (url: string): Promise<boolean> =>
  httpRequest(`${url}/api`).then(
    () => true,
    () => false,
  );

async function started(): Promise<{ readonly id: string; readonly url: string }> {
  const id = await runs.start('notebooks/lab');
  const url = await runs.until(id, (log) => /Jupyter Server [\s\S]*?(http:\/\/127\.0\.0\.1:\d+)\//.exec(log)?.[1]);
  // It says its address before it listens there.
  while (!(await isReachable(url))) await delay(100);
  return { id, url };
}

it('a notebook’s kernels have its secrets, until it is stopped', { timeout: 1_200_000 }, async () => {
  const form = {
    environment: [
      { name: 'PATH', value: `${bin}:/usr/local/bin:/usr/bin:/bin` },
      { name: 'JUPYTER_TOKEN', ...secret('token') },
      { name: 'DB_PHRASE', ...secret('phrase') },
    ],
  };
  await test.call('POST', `${financeBase}/notebooks`, { body: { name: 'lab', ...form } });
  const { id, url } = await started();
  expect((await httpRequest(`${url}/api/kernels`)).status).toBe(403);
  const jupyter = new Jupyter(url, values.token);
  const kernel = await jupyter.startKernel();
  expect(await jupyter.printed(kernel, showDigest)).toBe(digestOf(values.phrase));
  expect(seeCommandLines(canaries, 'jupyter')).toBeGreaterThan(0);
  expect(seeCommandLines(canaries, 'ipykernel')).toBeGreaterThan(0);
  // Jupyter shows a token that it was given to nobody; where code prints one, the log masks it.
  expect(await runs.log(id)).toContain(`${url}/?token=...`);
  await jupyter.printed(kernel, printToLog);
  const named = await runs.until(id, (log) => /^to the log: (.+)$/m.exec(log)?.[1]);
  expect(named).toBe('[redacted:JUPYTER_TOKEN]');

  const again = await test.request('POST', `${one}/runs`);
  expect(again.status).toBe(409);
  expect(await test.call('GET', one)).toMatchObject({ running: { run: id, restartRequired: false } });
  await test.call('PUT', one, { body: { ...form, description: 'changed' } });
  expect(await test.call('GET', one)).toMatchObject({ running: { run: id, restartRequired: true } });

  const old = values.phrase;
  values.phrase = canaries.text('the rotated variable');
  await test.call('PUT', `${financeBase}/secrets/phrase/value`, { body: { value: values.phrase } });
  const drift = await test.call<{ items: object[] }>('GET', `${financeBase}/drift`);
  expect(drift.items).toContainEqual(expect.objectContaining({ launch: id, name: 'DB_PHRASE', surface: 'notebook' }));
  // What runs keeps what it got.
  expect(await jupyter.printed(kernel, showDigest)).toBe(digestOf(old));

  await test.call('POST', `${financeBase}/runs/${id}/stop`);
  expect(await runs.ended(id)).toMatchObject({ state: 'stopped' });
  expect(await isReachable(url)).toBe(false);
  expect(seeCommandLines(canaries, kernel)).toBe(0);
  expect(existsSync(runs.inMemory(id))).toBe(false);
  expect((await test.call('GET', one))['running']).toBeUndefined();

  const next = await started();
  const anew = new Jupyter(next.url, values.token);
  expect(await anew.printed(await anew.startKernel(), showDigest)).toBe(digestOf(values.phrase));
  expect((await test.call<{ items: object[] }>('GET', `${financeBase}/drift`)).items).toEqual([]);
  await test.call('POST', `${financeBase}/runs/${next.id}/stop`);
  await runs.ended(next.id);
  await test.assertNoLeak();
});
