import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigningKey } from '@strongroom/crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anchorFiles, AnchorWriter, readAnchorTail } from './anchor.ts';
import { type AnchorLine, isLinked, isSignedBy, parseAnchorLine } from './anchor-line.ts';

const signing = createSigningKey();
const statement = { chain: 'chn_00000000000000000000000000', hash: 'ab'.repeat(32), at: 1_735_689_600_000, epoch: 1 };
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-anchor-'));
  path = join(folder, 'audit.anchor');
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(epoch = 1): AnchorWriter {
  return new AnchorWriter({ path, isOnStdout: false }, signing, epoch);
}

function lines(file = path): AnchorLine[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map(parseAnchorLine)
    .filter((line) => line !== null);
}

function write(...sequences: readonly number[]): void {
  const writer = open();
  for (const sequence of sequences) writer.append({ ...statement, sequence });
  writer.close();
}

function isWhole(read: readonly AnchorLine[]): boolean {
  return (
    read.every((line, index) => index === 0 || isLinked(read[index - 1]!, line)) &&
    isSignedBy(signing.publicKey, read.at(-1)!)
  );
}

describe('an anchor file', () => {
  it('goes on after a restart and names its last line', () => {
    write(1, 2);
    const second = open();
    expect(second.opening).toMatchObject({ line: 2, hash: lines()[1]!.lineHash });
    second.append({ ...statement, sequence: 3 });
    second.close();
    expect(lines().map(({ line }) => line)).toEqual([1, 2, 3]);
    expect(isWhole(lines())).toBe(true);
  });

  it('begins a new series after a restore, and names the old one', () => {
    write(1, 2);
    const restored = open(2);
    expect(restored.opening?.line).toBe(2);
    restored.append({ ...statement, epoch: 2, sequence: 1 });
    restored.close();
    const [, second, third] = lines();
    expect(third).toMatchObject({ line: 1, epoch: 2 });
    expect(third!.series).not.toBe(second!.series);
  });

  it.each([2, 20, 300])('goes on after a line that was torn %i bytes before its end', (bytes) => {
    write(1, 2, 3);
    truncateSync(path, readFileSync(path).length - bytes);
    write(4);
    expect(lines().map(({ line, sequence }) => [line, sequence])).toEqual([
      [1, 1],
      [2, 2],
      [3, 4],
    ]);
    expect(isWhole(lines())).toBe(true);
  });

  it('takes a line that lacks but its newline for whole', () => {
    write(1, 2);
    truncateSync(path, readFileSync(path).length - 1);
    write(3);
    expect(lines().map(({ line }) => line)).toEqual([1, 2, 3]);
    expect(isWhole(lines())).toBe(true);
  });

  it('goes on after a tail of zeros, as a power cut leaves it', () => {
    write(1);
    appendFileSync(path, Buffer.alloc(200_000));
    write(2);
    expect(isWhole(lines())).toBe(true);
    expect(lines()).toHaveLength(2);
  });

  it('does not link to a last line that its key did not sign', () => {
    write(1, 2);
    const forged = readFileSync(path, 'utf8').replaceAll(/"sequence":2/g, '"sequence":9');
    writeFileSync(path, forged);
    const writer = open();
    expect(writer.opening).toBeNull();
    writer.append({ ...statement, sequence: 3 });
    writer.close();
    expect(lines().at(-1)).toMatchObject({ line: 1, sequence: 3 });
  });

  it('is set aside when it is full, and found whole', () => {
    write(1, 2);
    renameSync(path, `${path}.20250101T000000000Z`);
    writeFileSync(join(folder, 'audit.anchor.bak'), 'not one of them');
    expect(readAnchorTail(path)?.line).toBe(2);
    write(3);
    expect(anchorFiles(path)).toEqual([`${path}.20250101T000000000Z`, path]);
    expect(isWhole(anchorFiles(path).flatMap((file) => lines(file)))).toBe(true);
  });

  it('sets itself aside at 64 MiB', () => {
    write(1);
    truncateSync(path, 64 * 1024 * 1024 + 1);
    write(2, 3);
    expect(readdirSync(folder)).toHaveLength(2);
    expect(lines().map(({ line }) => line)).toEqual([2, 3]);
  });

  it('is made anew when somebody deletes it under a running server', () => {
    const writer = open();
    writer.append({ ...statement, sequence: 1 });
    rmSync(path);
    writer.append({ ...statement, sequence: 2 });
    writer.close();
    expect(lines().map(({ line }) => line)).toEqual([2]);
  });

  it('needs a sink', () => {
    expect(() => new AnchorWriter({ path: null, isOnStdout: false }, signing, 1)).toThrow(TypeError);
  });
});

describe('a line that a sink did not take', () => {
  it('goes first the next time', () => {
    const full = join(folder, 'full');
    // Linux: a device that answers every write with ENOSPC.
    const writer = new AnchorWriter({ path: '/dev/full', isOnStdout: false }, signing, 1);
    expect(() => writer.append({ ...statement, sequence: 1 })).toThrow(/ENOSPC/);
    expect(() => writer.append({ ...statement, sequence: 2 })).toThrow(/ENOSPC/);
    writer.close();
    expect(anchorFiles(full)).toEqual([]);
  });
});

describe('reading anchor lines', () => {
  it.each(['', '{}', '{"type":"strongroom.audit.anchor"}', '{"level":"info","msg":"started"}'])(
    'passes over %s',
    (text) => {
      expect(parseAnchorLine(text)).toBeNull();
    },
  );

  it('takes one form only', () => {
    write(1);
    const [text] = readFileSync(path, 'utf8').split('\n');
    expect(parseAnchorLine(text!)).not.toBeNull();
    for (const other of [
      ` ${text}`,
      `${text} `,
      text!.replace('"line":1', '"line":01'),
      text!.replace(',', ', '),
      text!.replace('"epoch":1', '"epoch":1,"epoch":1'),
    ])
      expect(parseAnchorLine(other)).toBeNull();
  });
});
