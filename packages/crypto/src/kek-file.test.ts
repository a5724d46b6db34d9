import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { formatKekText, kekFromBytes } from './kek.ts';
import { createKekFile, loadKekFile } from './kek-file.ts';
import { isPrivateFile } from './private-file.ts';

const BYTES = Buffer.from('canary-kek-7c9e1f02-32-bytes-abc');
const TEXT = formatKekText(BYTES);
const kekInvalid = (message: RegExp | string = '') =>
  expect.objectContaining({ code: 'kek_invalid', message: expect.stringMatching(message) });

let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'strongroom-kek-'));
  path = join(directory, 'kek');
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

it('creates a file once, closed to others, and reads it again', async () => {
  const created = await loadKekFile(path, { create: true });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['kek']);
  expect(readFileSync(path, 'utf8')).toBe(formatKekText(created.revealKekBytes()));
  expect((await loadKekFile(path, { create: true })).id).toBe(created.id);
  expect((await loadKekFile(path, { create: false })).id).toBe(created.id);
});

it('gives all of several racing processes one key', async () => {
  const keks = await Promise.all(Array.from({ length: 8 }, () => loadKekFile(path, { create: true })));
  expect(new Set(keks.map(({ id }) => id)).size).toBe(1);
  expect(readdirSync(directory)).toEqual(['kek']);
});

it('makes no file unless told', async () => {
  await expect(loadKekFile(path, { create: false })).rejects.toEqual(kekInvalid(/doesn't exist/));
  expect(readdirSync(directory)).toEqual([]);
});

it('makes no directory', async () => {
  const missing = join(directory, 'missing', 'kek');
  await expect(loadKekFile(missing, { create: true })).rejects.toEqual(kekInvalid(/can't be created/));
});

it.each([0o640, 0o604, 0o620, 0o610, 0o644, 0o777])('refuses mode %o', async (mode) => {
  writeFileSync(path, TEXT);
  chmodSync(path, mode);
  await expect(loadKekFile(path, { create: true })).rejects.toEqual(kekInvalid(/open to group or other/));
  expect(readFileSync(path, 'utf8')).toBe(TEXT);
});

it.each([0o600, 0o400])('accepts mode %o', async (mode) => {
  writeFileSync(path, TEXT, { mode });
  expect((await loadKekFile(path, { create: false })).id).toBe(kekFromBytes(BYTES).id);
});

it.each([
  { of: 'a secret volume, for a pod’s own user', mode: 0o440, uid: 0, userId: 1000, isPrivate: true },
  { of: 'root, writable by the group', mode: 0o660, uid: 0, userId: 1000, isPrivate: false },
  { of: 'root, readable by all', mode: 0o444, uid: 0, userId: 1000, isPrivate: false },
  { of: 'root, for root', mode: 0o440, uid: 0, userId: 0, isPrivate: false },
  { of: 'its own user', mode: 0o440, uid: 1000, userId: 1000, isPrivate: false },
  { of: 'its own user, closed', mode: 0o400, uid: 1000, userId: 1000, isPrivate: true },
])('knows a file of $of', ({ mode, uid, userId, isPrivate }) => {
  expect(isPrivateFile({ mode: 0o100_000 | mode, uid }, userId)).toBe(isPrivate);
});

it.each([
  ['all zero', formatKekText(new Uint8Array(32))],
  ['empty', ''],
  ['half written', TEXT.slice(0, 30)],
  ['too large', TEXT + '\n'.repeat(2000)],
  ['a key and more', `${TEXT}${TEXT}`],
  ['not UTF-8', Buffer.of(0xff, 0xfe)],
])('refuses a file that is %s and leaves it, quoting nothing', async (_, content) => {
  writeFileSync(path, content, { mode: 0o600 });
  const before = readFileSync(path);
  const error: unknown = await loadKekFile(path, { create: true }).catch((thrown: unknown) => thrown);
  expect(error).toEqual(kekInvalid());
  expect(String(error)).not.toContain(TEXT.slice(18, 30));
  expect(readFileSync(path).equals(before)).toBe(true);
});

it('refuses a directory', async () => {
  mkdirSync(path, { mode: 0o700 });
  await expect(loadKekFile(path, { create: true })).rejects.toEqual(kekInvalid());
});

it('follows a link, as mounted secrets are links, and checks what it leads to', async () => {
  const target = join(directory, 'target');
  writeFileSync(target, TEXT, { mode: 0o600 });
  symlinkSync(target, path);
  expect((await loadKekFile(path, { create: false })).id).toBe(kekFromBytes(BYTES).id);
  chmodSync(target, 0o644);
  await expect(loadKekFile(path, { create: false })).rejects.toEqual(kekInvalid(/open to group or other/));
});

it('reads a pipe', async () => {
  execFileSync('mkfifo', ['-m', '600', path]);
  const [kek] = await Promise.all([
    loadKekFile(path, { create: false }),
    import('node:fs/promises').then(({ writeFile }) => writeFile(path, TEXT)),
  ]);
  expect(kek.id).toBe(kekFromBytes(BYTES).id);
});

it('puts a recovered key into a new file and never over another', async () => {
  await createKekFile(path, BYTES);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect((await loadKekFile(path, { create: false })).id).toBe(kekFromBytes(BYTES).id);
  await expect(createKekFile(path, Buffer.alloc(32, 1))).rejects.toEqual(kekInvalid(/exists/));
  await expect(createKekFile(join(directory, 'zero'), new Uint8Array(32))).rejects.toEqual(kekInvalid(/all zero/));
  expect(readdirSync(directory)).toEqual(['kek']);
  expect(readFileSync(path, 'utf8')).toBe(TEXT);
});
