import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCommandLine } from '../program.ts';
import { scriptIo } from '../testing/script-io.ts';

it('leaves no part of an export that broke off, which would be in the way of the next one', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/jsonl', 'content-length': '1000' });
    response.write('{"type":"record"}\n', () => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cwd = mkdtempSync(join(tmpdir(), 'strongroom-cli-'));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const io = scriptIo({ env: { STRONGROOM_URL: url, STRONGROOM_TOKEN: 'srt_x', HOME: cwd }, cwd });
  expect(await runCommandLine(['audit', 'export', '-o', 'record.jsonl'], io)).toBe(1);
  expect(io.stderr.text).toMatch(/^strongroom: the server cannot be reached: The connection broke/);
  expect(existsSync(join(cwd, 'record.jsonl'))).toBe(false);
  rmSync(cwd, { recursive: true });
  server.close();
});
