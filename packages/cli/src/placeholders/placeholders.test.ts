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
import { parseEnv } from 'node:util';
import { strongroomProgram } from '@strongroom/server/testing/programs.ts';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { journalName } from './directory.ts';
import { locate } from './journal.ts';
import { replaceFile } from './replace-file.ts';
import { migrateDirectory, undoDirectory } from './rewrite-directory.ts';
import { readTextFile, withEdits } from './text-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const scopes = new Map([['jobs', 'secret://domain/managed/jobs-']]);
const typed = 'a-value-nobody-may-see';
const put = (file: string, text: string | Uint8Array) => writeFileSync(join(folder, file), text);
const get = (file: string) => readFileSync(join(folder, file), 'utf8');
const tell = async (file: string, text: string) => {
  const { findings } = await readTextFile(file, text, scopes);
  expect(JSON.stringify(findings)).not.toContain(typed);
  return findings.map(({ line, name = '-', kind, names = '-', becomes = '-', stays = 'changes' }) =>
    [line, name, kind, names, becomes, stays].join(' '),
  );
};
const rewritten = async (file: string, text: string) => withEdits(text, (await readTextFile(file, text, scopes)).edits);

const manifest = `# Every night.
kind: spark-job
domain: finance
name: nightly   # \${secrets.comment}
command: ['run', '\${secrets.in-command}']
environment:
  - {name: A, value: '\${secrets.a}'}
  - name: B
    value: \${secrets.b} # why
  - name: API_TOKEN
    value: ${typed}
  - name: URL
    value: "x\${secrets.a}y"
sparkConfig:
  - value: "{{secrets/jobs/db}}"
    name: spark.c
  - {name: spark.d, value: '{{secrets/other/db}}'}
files:
  - name: job.py
    content: |
      import os
      x = dbutils.secrets.get("jobs", "db")
---
kind: email
password: {value: '\${secrets.smtp}'}
senderName: \${secrets.team}
host: \${secrets.host}
`;

describe('manifests', () => {
  it('are read field by field, each with its line', async () => {
    const a = 'secret://global/managed/a';
    expect(await tell('job.yaml', manifest)).toEqual([
      '5 command placeholder in-command secret://global/managed/in-command other-place',
      `7 A placeholder a ${a} changes`,
      '9 B placeholder b secret://global/managed/b changes',
      '11 API_TOKEN plain-secret - - needs-server',
      `13 URL placeholder a ${a} inside-text`,
      '15 spark.c databricks-template jobs/db secret://domain/managed/jobs-db changes',
      '17 spark.d databricks-template other/db - scope-not-mapped',
      '22 content databricks-call jobs/db secret://domain/managed/jobs-db in-code',
      '25 value placeholder smtp secret://global/managed/smtp changes',
      '26 senderName placeholder team secret://global/managed/team text-only',
      '27 host placeholder host secret://global/managed/host other-place',
    ]);
  });

  it('are changed where references are taken, and nowhere else', async () => {
    const after = await rewritten('job.yaml', manifest);
    const lines = after.split('\n').filter((line, index) => line !== manifest.split('\n')[index]);
    expect(lines).toEqual([
      "  - {name: A, secret: 'secret://global/managed/a'}",
      '    secret: secret://global/managed/b # why',
      '  - secret: "secret://domain/managed/jobs-db"',
      "password: {secret: 'secret://global/managed/smtp'}",
    ]);
    const [document] = parseAllDocuments(after).map((each) => each.toJS() as { environment: object[] });
    expect(document?.environment[0]).toEqual({ name: 'A', secret: 'secret://global/managed/a' });
    expect(await rewritten('job.yaml', after)).toBe(after);
  });

  it('of connections are read by the schema of their type', async () => {
    const text = `kind: connection
type: postgres
config:
  database: x\${secrets.a}
  hostPort: \${secrets.a}
  authType: {password: {set: '\${secrets.a}'}}
`;
    expect((await tell('c.yaml', text)).map((line) => line.split(' ').at(-1))).toEqual([
      'text-only',
      'other-place',
      'changes',
    ]);
    expect(await rewritten('c.yaml', text)).toBe(
      text.replace("set: '${secrets.a}'", "secret: 'secret://global/managed/a'"),
    );
  });

  it('in JSON are changed alike, and what is no manifest is not', async () => {
    const json = '{"kind":"notebook","environment":[{"name":"A","value":"${secrets.a}"}]}';
    expect(await rewritten('a.json', json)).toBe(
      '{"kind":"notebook","environment":[{"name":"A","secret":"secret://global/managed/a"}]}',
    );
    const other = json.replace('notebook', 'something');
    expect(await rewritten('a.json', other)).toBe(other);
    expect(await tell('a.yaml', 'value: [${secrets.a}\n')).toEqual([
      '1 - placeholder a secret://global/managed/a other-place',
    ]);
    expect(await tell('b.yaml', 'secret:\n  key: db\npassword: ${PASSWORD}\ntokenFile: /run/token\n')).toEqual([]);
  });
});

describe('files of names and values', () => {
  const env = `# \${secrets.comment}
export A=\${secrets.a}
B="\${secrets.b}" # why
C='{{secrets/jobs/db}}'\r
URL=x\${secrets.a}
API_TOKEN=${typed}
HOST=127.0.0.1
not a line \${secrets.d}
`;

  it('for `run` take references', async () => {
    expect((await tell('.env.prod', env)).map((line) => line.split(' ').at(-1))).toEqual([
      'changes',
      'changes',
      'changes',
      'inside-text',
      'needs-server',
      'other-place',
    ]);
    const after = await rewritten('prod.env', env);
    expect(parseEnv(after)).toMatchObject({
      A: 'secret://global/managed/a',
      B: 'secret://global/managed/b',
      C: 'secret://domain/managed/jobs-db',
      API_TOKEN: typed,
    });
    expect(after).toContain('# why');
    expect(after.split('\r')).toHaveLength(2);
  });

  it('of others are told of', async () => {
    const text = 'password=x1\ndb.url = jdbc:${secrets.a}\npasswordFile=/x\n';
    expect(await tell('app.properties', text)).toEqual([
      '1 password plain-secret - - needs-server',
      '2 db.url placeholder a secret://global/managed/a other-place',
    ]);
    expect(await rewritten('app.properties', text)).toBe(text);
  });

  it('are what they were, but for the edits', async () => {
    const piece = fc.constantFrom(
      'A=',
      '${secrets.k}',
      '"',
      "'",
      '\n',
      '#',
      ' ',
      '\r',
      'export ',
      '$',
      '{{secrets/jobs/x}}',
      'é',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
        const text = pieces.join('');
        const { edits } = await readTextFile('.env', text, scopes);
        let shift = 0;
        const after = withEdits(text, edits);
        const done = edits.map((edit) => {
          const at = edit.at + shift;
          shift += edit.after.length - edit.before.length;
          return { ...edit, at };
        });
        const found = locate(after, done).map(({ edit, at }) => ({
          at: at ?? -1,
          before: edit.after,
          after: edit.before,
        }));
        expect(withEdits(after, found)).toBe(text);
      }),
      { numRuns: 200 },
    );
  });
});

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
    put('latin', Buffer.from([0xe9]));
    put('huge.env', 'A='.padEnd(5 * 1024 * 1024, 'x'));
    put('real.env', 'A=${secrets.a}');
    symlinkSync('real.env', join(folder, 'link.env'));
    mkdirSync(join(folder, '.git'));
    put('.git/config.env', 'A=${secrets.a}');
    const { skipped, files: looked, items } = await migrateDirectory(folder, scopes, false);
    expect(skipped.map(({ file, reason }) => `${file} ${reason}`)).toEqual([
      'binary binary',
      'huge.env too-large',
      'latin binary',
      'link.env link',
    ]);
    expect([looked, items.length]).toEqual([1, 1]);
    await expect(migrateDirectory(join(folder, 'absent'), scopes, false)).rejects.toThrow('ENOENT');
    put(journalName, '{"files":{"a":[{}]}}');
    await expect(undoDirectory(folder, false)).rejects.toThrow('no record');
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
