import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { ItemOf } from '@strongroom/sdk';
import { runCommandLine } from '../program.ts';
import { scriptIo } from '../testing/script-io.ts';
import { AuditFollower } from './audit-follow.ts';

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

it('follows every record once: those of a crowd, and those that another server writes a little behind', () => {
  const record = (chain: string, sequence: number, seconds: number) =>
    ({ chain, sequence, at: new Date(seconds * 1000).toISOString() }) as ItemOf<'listAuditRecords'>;
  const shown = record('a', 1, 100);
  const follower = new AuditFollower([shown]);
  expect(follower.since(undefined)).toBe(new Date(90_000).toISOString());
  expect(follower.since(new Date(95_000).toISOString())).toBe(new Date(95_000).toISOString());
  const crowd = Array.from({ length: 1000 }, (_, index) => record('a', 1001 - index, 101));
  expect(follower.take([...crowd, shown])).toEqual(crowd.toReversed());
  const late = record('b', 1, 99);
  expect(follower.take([...crowd, shown, late])).toEqual([late]);
  expect(follower.take([])).toEqual([]);
  expect(follower.take([...crowd, shown, late])).toEqual([]);
  expect(AuditFollower.isBehind(record('b', 2, 89), [shown])).toBe(true);
  expect(AuditFollower.isBehind(late, [shown])).toBe(false);
  const first = new AuditFollower([]);
  expect(first.since(undefined)).toBeUndefined();
  expect(first.take([shown])).toEqual([shown]);
});
