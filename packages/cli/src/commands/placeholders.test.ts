import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommandLine } from '../program.ts';
import { scriptIo } from '../testing/script-io.ts';

/** Answers a first page, and at the second one it can't go on. */
const server = createServer((request, response) => {
  const isFirst = !request.url?.includes('cursor=');
  const isUndo = request.url?.includes('/undo') === true;
  response.writeHead(isFirst ? 200 : 503, {
    'content-type': isFirst ? 'application/json' : 'application/problem+json',
  });
  const place = { name: 'PGPASSWORD', pointer: '/environment/0/value' };
  const reference = 'secret://global/managed/db';
  const fields = isUndo
    ? [{ ...place, reference, restores: '${secrets.db}' }]
    : [{ ...place, line: 1, kind: 'placeholder', names: 'db', becomes: reference }];
  const done = { surface: 'spark-job', configuration: 'nightly', outcome: 'changed', revision: 2, fields };
  const managed = { ...done, managedBy: 'strongroom apply' };
  const scanned = { surface: 'spark-job', configuration: 'nightly', revision: 1, findings: fields };
  const page = {
    items: request.url?.includes('/scan') === true ? [scanned] : [done, ...Array.from({ length: 11 }, () => managed)],
    configurations: 100,
    nextCursor: 'page2',
  };
  const problem = { type: 'about:blank', title: 'x', status: 503, code: 'storage_full', requestId: 'req_1' };
  response.end(JSON.stringify(isFirst ? page : problem));
});
let url: string;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

async function run(...args: string[]) {
  const io = scriptIo({ env: { STRONGROOM_URL: url, STRONGROOM_TOKEN: 'srt_x', HOME: '/nonexistent' }, cwd: '/' });
  const code = await runCommandLine(['placeholders', ...args, '-d', 'finance'], io);
  return { code, stdout: io.stdout.text, stderr: io.stderr.text };
}

it.each([
  ['migrate', '12 of 100 configurations migrated, 0 failed'],
  ['undo', '12 of 100 configurations put back, 0 failed'],
])('%s that is cut short lists what it had done, and then says why', async (verb, told) => {
  const { code, stdout, stderr } = await run(verb);
  expect(stdout).toMatch(/^spark-job\/nightly +PGPASSWORD \/environment\/0\/value +changed/m);
  expect(stderr.split('\n').filter((line) => line !== '')).toEqual([
    `note: ${told}`,
    'note: it ended early: this is what it told until then, and some of the next ones may be done; run it again',
    'note: 11 configurations are managed by strongroom apply; change them there, too',
    expect.stringMatching(/^strongroom: /),
    expect.stringMatching(/^hint: /),
  ]);
  expect(code).toBe(1);
  const json = await run(verb, '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    nextCursor: 'page2',
    items: expect.arrayContaining([expect.objectContaining({ configuration: 'nightly', outcome: 'changed' })]),
    configurations: 100,
  });
  expect([json.code, json.stderr]).toEqual([1, stderr]);
});

it('scan that is cut short answers nothing that could be taken for the whole', async () => {
  const { code, stdout } = await run('scan');
  expect([code, stdout]).toEqual([1, '']);
});
