import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
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
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { strongroomProgram } from '@strongroom/server/testing/programs.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manifest, scopes, typed } from '../testing/placeholder-files.ts';
import { journalName } from './directory.ts';
import { Journal } from './journal.ts';
import { NotReplaced, replaceFile } from './replace-file.ts';
import { migrateDirectory, undoDirectory } from './rewrite-directory.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (file: string, text: string | Uint8Array) => writeFileSync(join(folder, file), text);
const get = (file: string) => readFileSync(join(folder, file), 'utf8');

describe('a directory', () => {
  const files = () => readdirSync(folder).toSorted();
  const outcomes = ({ items }: { readonly items: readonly { readonly file: string; readonly outcome: string }[] }) =>
    items.map(({ file, outcome }) => `${file} ${outcome}`);

  it('is written only when that is asked for, with modes kept, and put back to the byte', async () => {
    mkdirSync(join(folder, 'sub'));
    put('sub/job.yaml', manifest);
    chmodSync(join(folder, 'sub/job.yaml'), 0o640);
    put('.env', '\ufeffA=${secrets.a}\r\n');
    put('job.py', 'x = dbutils.secrets.get(scope="jobs", key="db")');
    expect(outcomes(await migrateDirectory(folder, scopes, false))).toEqual([
      '.env would-change',
      'job.py unchanged',
      'sub/job.yaml would-change',
    ]);
    expect([get('sub/job.yaml'), files()]).toEqual([manifest, ['.env', 'job.py', 'sub']]);
    const done = await migrateDirectory(folder, scopes, true);
    expect(outcomes(done)).toEqual(['.env changed', 'job.py unchanged', 'sub/job.yaml changed']);
    expect(statSync(join(folder, 'sub/job.yaml')).mode & 0o777).toBe(0o640);
    expect(get(journalName)).not.toContain(typed);
    expect(outcomes(await migrateDirectory(folder, scopes, true))).toEqual([
      'job.py unchanged',
      'sub/job.yaml unchanged',
    ]);
    expect(outcomes(await undoDirectory(folder, false))).toEqual(['.env would-change', 'sub/job.yaml would-change']);
    expect(outcomes(await undoDirectory(folder, true))).toEqual(['.env changed', 'sub/job.yaml changed']);
    expect([get('sub/job.yaml'), get('.env'), files()]).toEqual([
      manifest,
      '\ufeffA=${secrets.a}\r\n',
      ['.env', 'job.py', 'sub'],
    ]);
  });

  it('gets back what nobody has edited since', async () => {
    put('a.env', 'A=${secrets.a}\nB=${secrets.b}\n');
    await migrateDirectory(folder, scopes, true);
    put('a.env', `NEW=first\n${get('a.env').replace('managed/b', 'managed/other')}C=\${secrets.c}\n`);
    await migrateDirectory(folder, scopes, true);
    expect((await undoDirectory(folder, true)).items[0]?.findings.map(({ stays }) => stays)).toEqual([
      undefined,
      undefined,
    ]);
    expect(get('a.env')).toBe('NEW=first\nA=${secrets.a}\nB=secret://global/managed/other\nC=${secrets.c}\n');
  });

  it('is gone on with after a kill between the record and the file, and after one in an undo', async () => {
    const text = 'A=${secrets.a}\nLONGER_NAME=${secrets.b}\n';
    put('a.env', text);
    await migrateDirectory(folder, scopes, true);
    const after = get('a.env');
    put('a.env', text);
    expect(outcomes(await undoDirectory(folder, true))).toEqual([]);
    expect(files()).toEqual(['a.env']);
    await migrateDirectory(folder, scopes, true);
    put('a.env', text);
    await migrateDirectory(folder, scopes, true);
    expect(get('a.env')).toBe(after);
    await undoDirectory(folder, true);
    expect(get('a.env')).toBe(text);
  });

  describe('whose writer is killed', () => {
    const preload = fileURLToPath(new URL('../testing/kill-at-change.ts', import.meta.url));
    const all = ['a.env', 'job.yaml'];
    const old = ['A=${secrets.a}\nB=${secrets.a}\nLONGER=${secrets.c}\n', manifest];
    const read = () => all.map(get);

    /** As somebody runs it, killed before its n-th change of a file. */
    const killed = (verb: 'migrate' | 'undo', at: number) => {
      const env = {
        PATH: process.env['PATH'],
        HOME: folder,
        NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'),
        KILL_AT: `${at}`,
      };
      const args = ['--import', preload, strongroomProgram(), 'placeholders', verb, folder, '--write'];
      const { signal, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
      expect([signal, stderr]).toEqual(['SIGKILL', '']);
    };
    /** A file in which something was migrated before, and more was written since. */
    const prepare = async (): Promise<string[]> => {
      put('a.env', 'A=${secrets.a}\n');
      await migrateDirectory(folder, scopes, true);
      put('a.env', `${get('a.env')}${old[0]?.slice('A=${secrets.a}\n'.length)}`);
      put('job.yaml', manifest);
      return read();
    };
    const expectBack = async () => {
      await undoDirectory(folder, true);
      expect([read(), files()]).toEqual([old, all]);
    };

    // Of the first file the record and the file itself, each made and put into its place; then those of the second.
    it.each([2, 4, 8])('before change %i of a migration, each file is as it was or as it will be', async (at) => {
      const before = await prepare();
      killed('migrate', at);
      const left = read();
      await migrateDirectory(folder, scopes, true);
      const after = read();
      for (const [index, text] of left.entries()) expect([before[index], after[index]]).toContain(text);
      expect(files()).toEqual([journalName, ...all]);
      await expectBack();
    });

    it.each([3, 7, 9])('before change %i of an undo, each file is as it was or as it will be', async (at) => {
      await prepare();
      if (at === 3) {
        // Right after a migration that was killed between the record and the file.
        killed('migrate', 3);
      } else await migrateDirectory(folder, scopes, true);
      const before = read();
      killed('undo', at);
      for (const [index, text] of read().entries()) expect([before[index], old[index]]).toContain(text);
      await expectBack();
    });
  });

  it('names what it leaves out', async () => {
    put('binary', Buffer.from([0, 1, 2]));
    put('huge.env', 'A='.padEnd(5 * 1024 * 1024, 'x'));
    put('real.env', 'A=${secrets.a}');
    symlinkSync('real.env', join(folder, 'link.env'));
    mkdirSync(join(folder, '.git'));
    put('.git/config.env', 'A=${secrets.a}');
    const { skipped, files: looked, items } = await migrateDirectory(folder, scopes, false);
    expect(skipped.map(({ file, reason }) => `${file} ${reason}`)).toEqual([
      'binary binary',
      'huge.env too-large',
      'link.env link',
    ]);
    expect([looked, items.length]).toEqual([1, 1]);
    await expect(migrateDirectory(join(folder, 'absent'), scopes, false)).rejects.toThrow('ENOENT');
    put(journalName, '{"files":{"a":[{}]}}');
    await expect(undoDirectory(folder, false)).rejects.toThrow('no record');
  });

  it('is left by a run that finds another one at work, which keeps what undo needs', async () => {
    put('a.env', 'A=${secrets.a}\n');
    put('b.env', 'B=${secrets.b}\n');
    const [one, other] = [await Journal.open(folder), await Journal.open(folder)];
    const edits = [{ at: 2, before: '${secrets.a}', after: 'secret://global/managed/a' }];
    await one.begin('a.env', [], edits);
    await expect(other.begin('b.env', [], edits)).rejects.toBeInstanceOf(NotReplaced);
    other.know('b.env', []);
    await other.end();
    one.know('a.env', edits);
    await one.end();
    expect((await Journal.open(folder)).files).toEqual(['a.env']);
    await migrateDirectory(folder, scopes, true);
    await undoDirectory(folder, true);
    expect([get('a.env'), get('b.env'), files()]).toEqual(['A=${secrets.a}\n', 'B=${secrets.b}\n', ['a.env', 'b.env']]);
  });

  it('has files in other encodings read, and never written', async () => {
    const text = '# é\nA=${secrets.a}\n';
    put('latin.env', Buffer.from(text, 'latin1'));
    put('windows.env', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]));
    put('mac.env', Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, 'utf16le').swap16()]));
    const { skipped, items } = await migrateDirectory(folder, scopes, true);
    expect(skipped).toEqual([]);
    expect(items.map(({ file, outcome, findings }) => [file, outcome, findings[0]?.line, findings[0]?.stays])).toEqual(
      ['latin.env', 'mac.env', 'windows.env'].map((file) => [file, 'unchanged', 2, 'encoding']),
    );
    expect(files()).toEqual(['latin.env', 'mac.env', 'windows.env']);
    // What was migrated as UTF-8 and is something else by now is not touched by undo.
    put('latin.env', text);
    await migrateDirectory(folder, scopes, true);
    const now = Buffer.from(get('latin.env'), 'latin1');
    put('latin.env', now);
    expect(outcomes(await undoDirectory(folder, true))).toEqual(['latin.env failed']);
    expect(readFileSync(join(folder, 'latin.env'))).toEqual(now);
  });

  it('has no file replaced that changed meanwhile or has another name', async () => {
    put('a.env', 'A=${secrets.a}');
    linkSync(join(folder, 'a.env'), join(folder, 'b.env'));
    expect(outcomes(await migrateDirectory(folder, scopes, true))).toEqual(['a.env failed', 'b.env failed']);
    rmSync(join(folder, 'b.env'));
    await expect(replaceFile(join(folder, 'a.env'), 'something else', 'x')).rejects.toThrow('meanwhile');
    expect(get('a.env')).toBe('A=${secrets.a}');
    expect(files().filter((name) => name.startsWith('.strongroom-partial'))).toEqual([]);
    await undoDirectory(folder, true);
    expect(files()).toEqual(['a.env']);
  });
});
