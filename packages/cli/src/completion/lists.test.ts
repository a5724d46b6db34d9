import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { scriptIo } from '../testing/script-io.ts';
import { lookUp } from './lists.ts';

it('offers no word that a shell would take for more than a word', async () => {
  const names = ['finance', 'a b', '$(touch x)', '`x`', 'a;b', 'a*', "a'b", 'a\u001b[31m', 'a\nb', '~', 'team_1.x-y'];
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ items: names.map((name) => ({ name })) }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const io = scriptIo({ env: { STRONGROOM_URL: url, STRONGROOM_TOKEN: 'srt_x', HOME: '/nowhere' }, cwd: '/' });
  const found = await lookUp(io, 'domain', '', new Map());
  expect(found.map(({ word }) => word)).toEqual(['finance', 'team_1.x-y']);
  server.close();
});
