import type { ApiConnection } from '@strongroom/backends/kubernetes';
import { StrongroomError } from '@strongroom/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogFollower } from './log-follower.ts';

type Answer = readonly string[] | StrongroomError;

/** In place of a chunk: the connection is cut. */
const cut = '\0cut';
const at = (second: number): string => `2026-01-01T00:00:0${second}.000000000Z`;
const line = (second: number, text: string): string => `${at(second)} ${text}\n`;

/** What comes of answers one after the other; the last one goes on until the follower is told that it is over. */
async function follow(...answers: Answer[]) {
  const asked: string[] = [];
  const seen: string[] = [];
  const notes: string[] = [];
  let isAllAsked: () => void = () => undefined;
  const allAsked = new Promise<void>((resolve) => (isAllAsked = resolve));
  const api: Pick<ApiConnection, 'stream'> = {
    async stream(path) {
      asked.push(path);
      const answer = answers[asked.length - 1] ?? [];
      if (asked.length >= answers.length) isAllAsked();
      if (answer instanceof StrongroomError) throw answer;
      return { status: 200, chunks: chunksOf(answer), cancel: () => undefined };
    },
  };
  const opened = { api: api as ApiConnection, release: () => undefined };
  const clusters = { open: async () => opened as never };
  const place = { clusters, clusterId: 'clu_1', namespace: 'jobs', pod: 'pod', container: 'main' };
  const output = {
    stdout: (bytes: Uint8Array) => void seen.push(Buffer.from(bytes).toString()),
    note: (text: string) => void notes.push(text),
  };
  const follower = new LogFollower(place, output, 5);
  await allAsked;
  await follower.finish(10_000);
  return { text: seen.join(''), asked, notes };
}

async function* chunksOf(chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    if (chunk === cut) throw new StrongroomError('backend_unavailable');
    yield Buffer.from(chunk);
  }
}

describe('the log of a pod', () => {
  it('is put together from pieces, without the times', async () => {
    const whole = `${line(1, 'one')}${line(2, '')}${line(3, 'thrée')}`;
    const pieces = Array.from({ length: Math.ceil(whole.length / 5) }, (_, index) =>
      whole.slice(index * 5, index * 5 + 5),
    );
    expect((await follow(pieces)).text).toBe('one\n\nthrée\n');
  });

  it('is taken up at the newest line, and has none twice', async () => {
    const away = new StrongroomError('backend_unavailable');
    const { text, asked } = await follow([line(1, 'one'), line(2, 'two')], away, [line(2, 'two'), line(3, 'three')]);
    expect(text).toBe('one\ntwo\nthree\n');
    expect(asked.map((path) => new URL(path, 'http://x').searchParams.get('sinceTime'))).toEqual(
      expect.arrayContaining([null, at(2)]),
    );
  });

  it('has every line of a connection, whatever the clock of the node says of it', async () => {
    const { text } = await follow(
      [line(3, 'one'), line(3, 'two'), line(2, 'three'), line(4, 'four')],
      [line(4, 'four')],
    );
    expect(text).toBe('one\ntwo\nthree\nfour\n');
  });

  it('has a line whole that a connection was cut in', async () => {
    const half = line(2, 'password').slice(0, 35);
    expect((await follow([line(1, 'one'), half, cut], [line(2, 'password'), line(3, 'end')])).text).toBe(
      'one\npassword\nend\n',
    );
    const within = await follow([line(1, 'one'), at(2).slice(0, 9), cut], [line(2, 'two')]);
    expect(within.text).toBe('one\ntwo\n');
  });

  it('has a long line whole, whatever of it was passed on before the connection was cut, or ended', async () => {
    const long = 'a'.repeat(70_000) + 'b'.repeat(70_000);
    const rest = [line(2, long), line(3, 'end')];
    for (const length of [66_000, 100_000, 140_000])
      for (const how of [[cut], []]) {
        const { text } = await follow([line(1, 'one'), line(2, long).slice(0, length), ...how], rest);
        expect(text === `one\n${long}\nend\n`, `${length} ${how.join()}`).toBe(true);
      }
  });

  it('has every line once, wherever connections are cut', async () => {
    const written = fc.array(fc.tuple(fc.nat(2), fc.constantFrom('', 'x', 'long')), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(written, fc.array(fc.nat(5_000), { maxLength: 3 }), async (lines, cuts) => {
        const texts = lines.map(([, text], index) => (text === 'long' ? String(index).repeat(65_600) : text));
        let second = 1;
        const whole = texts.map((text, index) => {
          // Some have the time of the one before.
          if ((lines[index]?.[0] ?? 0) > 0) second += 1;
          return line(second, text);
        });
        const output = whole.join('');
        const answers = cuts.map((each) => [output.slice(0, Math.ceil((output.length * each) / 5_000)), cut]);
        expect((await follow(...answers, [output])).text === texts.map((text) => `${text}\n`).join('')).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('passes on a line without an end, and one without a time', async () => {
    expect((await follow([line(1, 'one'), `${at(2)} half`])).text).toBe('one\nhalf');
    expect((await follow(['bare\n'])).text).toBe('bare\n');
  });

  it('is over when the pod is, and gone', async () => {
    const gone = new StrongroomError('state_conflict');
    const { text, asked } = await follow([line(1, 'one')], gone, gone);
    expect(text).toBe('one\n');
    expect(asked.length).toBeLessThanOrEqual(4);
  });

  it('says once that it may not be read', async () => {
    const denied = new StrongroomError('backend_denied');
    const { text, notes, asked } = await follow(denied, denied, denied);
    expect([text, notes.length, asked.length]).toEqual(['', 1, 3]);
  });
});
