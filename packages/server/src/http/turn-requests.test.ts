import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { turnRequests } from './turn-requests.ts';

function exchange(url: string): [IncomingMessage, ServerResponse] {
  const request = new IncomingMessage(new Socket());
  request.url = url;
  return [request, new ServerResponse(request)];
}

describe('requests of one turn', () => {
  it('are handed on at its end, in the order in which they came', async () => {
    const seen: (string | undefined)[] = [];
    const listener = turnRequests((request) => void seen.push(request.url));
    for (const url of ['/a', '/b', '/c']) listener(...exchange(url));
    expect(seen).toEqual([]);
    await turn();
    expect(seen).toEqual(['/a', '/b', '/c']);
  });

  it.each([
    ['request', 0],
    ['response', 1],
  ] as const)('are not handed on when the %s has ended by then', async (_which, place) => {
    const seen: (string | undefined)[] = [];
    const listener = turnRequests((request) => void seen.push(request.url));
    const gone = exchange('/gone');
    listener(...gone);
    listener(...exchange('/here'));
    gone[place].destroy();
    await turn();
    expect(seen).toEqual(['/here']);
  });
});
