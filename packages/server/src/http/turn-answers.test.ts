import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { TurnAnswers } from './turn-answers.ts';

const servers: ReturnType<typeof createServer>[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(handle);
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function textOf(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

describe('answers of one turn', () => {
  it('are sent at its end, each as it is', async () => {
    const answers = new TurnAnswers();
    const waiting: [ServerResponse, string][] = [];
    const finished: string[] = [];
    const port = await listen((request, response) => {
      response.writeHead(200);
      response.on('finish', () => finished.push(request.url ?? ''));
      waiting.push([response, `answer to ${request.url} – für`]);
    });
    const texts = ['/a', '/b', '/c'].map((path) => textOf(port, path));
    await expect.poll(() => waiting.length).toBe(3);
    for (const [response, text] of waiting) answers.end(response, text, 'utf8');
    expect(waiting.some(([response]) => response.writableEnded)).toBe(false);
    await turn();
    expect(waiting.every(([response]) => response.writableEnded)).toBe(true);
    expect(await Promise.all(texts)).toEqual(['/a', '/b', '/c'].map((path) => `answer to ${path} – für`));
    expect(finished.sort()).toEqual(['/a', '/b', '/c']);
  });

  it('go on when one of their callers has left', async () => {
    const answers = new TurnAnswers();
    const waiting = new Map<string | undefined, ServerResponse>();
    const port = await listen((request, response) => {
      response.writeHead(200);
      waiting.set(request.url, response);
    });
    const leaving = connect(port, '127.0.0.1').on('error', () => undefined);
    leaving.write('GET /gone HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => waiting.has('/gone')).toBe(true);
    const staying = textOf(port, '/here');
    await expect.poll(() => waiting.has('/here')).toBe(true);
    const gone = waiting.get('/gone');
    const here = waiting.get('/here');
    if (gone === undefined || here === undefined) throw new TypeError('No request came');
    const closed = once(gone, 'close');
    leaving.resetAndDestroy();
    await closed;
    answers.end(gone, 'nobody reads this', 'latin1');
    answers.end(here, 'read', 'latin1');
    expect(await staying).toBe('read');
  });
});
