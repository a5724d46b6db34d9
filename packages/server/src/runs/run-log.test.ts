import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cutNote } from './log-file.ts';
import { readRunLog, RunLog } from './run-log.ts';

const shape = { headBytes: 64, ringBytes: 32 };

async function textOf(stream: Readable | null): Promise<string> {
  const pieces: Buffer[] = [];
  if (stream !== null) for await (const piece of stream) pieces.push(Buffer.from(piece as Uint8Array));
  return Buffer.concat(pieces).toString('latin1');
}

/** What a log of this shape shows of an output. */
function expected(output: string): string {
  if (output.length <= shape.headBytes + shape.ringBytes) return output;
  const cut = output.length - shape.headBytes - shape.ringBytes;
  return output.slice(0, shape.headBytes) + cutNote(cut) + output.slice(-shape.ringBytes);
}

describe('the log of a run', () => {
  let directory: string;
  let count = 0;
  const path = (): string => join(directory, `${(count += 1)}.log`);
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'strongroom-log-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('keeps the head and the newest, and says how much is cut, however it was written', async () => {
    const pieces = fc.array(fc.stringMatching(/^[a-z\n]{0,60}$/), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(pieces, fc.boolean(), async (written, waits) => {
        const file = path();
        const log = await RunLog.create(file, { shape });
        for (const piece of written) {
          log.append(Buffer.from(piece));
          if (waits) await delay(0);
        }
        const end = await log.close();
        const output = written.join('');
        expect(await textOf(await readRunLog(file, shape))).toBe(expected(output));
        expect(end).toEqual({ bytes: Math.min(output.length, 96), isCut: output.length > 96 });
      }),
      { numRuns: 60 },
    );
  });

  it('gives a follower everything, from the beginning to the end', async () => {
    const log = await RunLog.create(path());
    log.append(Buffer.from('before '));
    await delay(5);
    log.append(Buffer.from('queued '));
    const following = textOf(log.follow());
    log.append(Buffer.from('after '));
    await delay(5);
    log.append(Buffer.from('end'));
    await log.close();
    expect(await following).toBe('before queued after end');
  });

  it('gives a follower of a cut log what is left of it', async () => {
    const file = path();
    const log = await RunLog.create(file, { shape });
    log.append(Buffer.from('a'.repeat(64) + 'b'.repeat(100)));
    await expect.poll(async () => textOf(await readRunLog(file, shape))).toContain('b');
    const following = textOf(log.follow());
    log.append(Buffer.from('c'.repeat(10)));
    await log.close();
    expect(await following).toBe('a'.repeat(64) + cutNote(68) + 'b'.repeat(32) + 'c'.repeat(10));
  });

  it('does not wait for a slow follower, which misses some and is told', async () => {
    const log = await RunLog.create(path());
    const slow = log.follow();
    const piece = Buffer.alloc(256 * 1024, 'x');
    const started = performance.now();
    for (let index = 0; index < 20; index += 1) log.append(piece);
    const end = await log.close();
    expect(performance.now() - started).toBeLessThan(60_000);
    expect(end).toEqual({ bytes: 20 * piece.length, isCut: false });
    expect(await textOf(slow)).toMatch(/\[strongroom: \d+ bytes of the log are cut here\]/);
  });

  it('lets a follower leave', async () => {
    const log = await RunLog.create(path());
    const gone = log.follow();
    gone.resume();
    await delay(5);
    gone.destroy();
    log.append(Buffer.from('x'));
    expect((await log.close()).bytes).toBe(1);
  });

  it('stops when the disk is low, and never holds up who writes', async () => {
    let hasSpace = true;
    const file = path();
    const log = await RunLog.create(file, { hasSpace: () => hasSpace });
    log.append(Buffer.from('kept'));
    await expect.poll(async () => textOf(await readRunLog(file))).toBe('kept');
    hasSpace = false;
    for (let index = 0; index < 100; index += 1) log.append(Buffer.alloc(1024 * 1024, 'x'));
    expect(await log.close()).toEqual({ bytes: 4, isCut: true });
    expect(await textOf(await readRunLog(file))).toBe('kept');
  });

  it('is not there when there is none, and is no other file', async () => {
    expect(await readRunLog(join(directory, 'none.log'))).toBeNull();
    await expect(RunLog.create(join(directory, '1.log'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(textOf(await readRunLog(import.meta.filename))).rejects.toThrow('The file is no log of a run');
  });
});
