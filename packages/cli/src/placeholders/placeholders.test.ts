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
import { Journal, locate } from './journal.ts';
import { NotReplaced, replaceFile } from './replace-file.ts';
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

describe('a placeholder that is not closed, or has no key', () => {
  const broken = ['${secrets.db', '${secrets.a b}'];
  it.each([
    [
      'job.yaml',
      `kind: spark-job\nname: nightly\nenvironment:\n  - {name: A, value: 'x${broken[0]}'}\n  - {name: B, value: '${broken[1]}'}\n`,
    ],
    ['other.json', `{\n\n\n"A": "x${broken[0]}",\n"B": "${broken[1]}"}`],
    ['.env', `\n\n\nA=x${broken[0]}\nB=${broken[1]}\n`],
    ['app.properties', `\n\n\nA=x${broken[0]}\nB=${broken[1]}\n`],
  ])('is told of in %s, and stays', async (file, text) => {
    expect(await tell(file, text)).toEqual([
      '4 A malformed-placeholder - - not-closed',
      '5 B malformed-placeholder - - no-key',
    ]);
    expect(await rewritten(file, text)).toBe(text);
  });

  it('is told of in code, and as a name', async () => {
    expect(await tell('job.py', `a\nx = "${broken[0]}" + {}\n`)).toEqual(['2 - malformed-placeholder - - not-closed']);
    expect(await tell('names.yaml', `'${broken[0]}': x\n`)).toEqual(['1 - malformed-placeholder - - not-closed']);
  });

  it('hides none that is closed behind it', async () => {
    expect(await tell('.env', `A=${broken[0]} $\{secrets.b}\n`)).toEqual([
      '1 A malformed-placeholder - - not-closed',
      '1 A placeholder b secret://global/managed/b part-of-value',
    ]);
  });
});

describe('other files in YAML or JSON', () => {
  it('are read wherever a secret is written, each with its line of the file', async () => {
    const text = `spark_conf:
  spark.password: {{secrets/jobs/db}}
  # {{secrets/jobs/comment}}
  "\${secrets.a}": x
  spark.url: "one\\ntwo {{secrets/jobs/url}}"
  spark.c: {{secrets/other/c}}
`;
    expect(await tell('cluster.yaml', text)).toEqual([
      '2 - databricks-template jobs/db secret://domain/managed/jobs-db other-place',
      '4 - placeholder a secret://global/managed/a other-place',
      '5 spark.url databricks-template jobs/url secret://domain/managed/jobs-url other-place',
      '6 - databricks-template other/c - other-place',
    ]);
    const manifestOf = (value: string) => `kind: notebook\nenvironment:\n  - name: A\n    value: ${value}\n`;
    for (const value of ['>-\n      ${secrets.a}', '&x ${secrets.a}']) {
      const found = await tell('n.yaml', manifestOf(value));
      expect(found.map((line) => line.split(' ').at(-1))).toEqual(['notation']);
    }
  });

  it('are notebooks, whose calls go over several lines of a cell', async () => {
    const lines = [
      'x = dbutils.secrets.get(\n',
      '    scope="jobs",\n',
      '    key="db")\n',
      'y = "{{secrets/jobs/y}}"\n',
    ];
    const cells = [{ source: lines }, { source: "a = 1\nb = dbutils.secrets.get('jobs', 'b')" }];
    expect(await tell('old.ipynb', JSON.stringify({ cells }, undefined, 1))).toEqual([
      '5 source databricks-call jobs/db secret://domain/managed/jobs-db in-code',
      '8 source databricks-template jobs/y secret://domain/managed/jobs-y other-place',
      '12 source databricks-call jobs/b secret://domain/managed/jobs-b in-code',
    ]);
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
      'part-of-value',
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

  it('for `run` are changed only where that reads a reference and nothing else', async () => {
    const text = `CONF="
A=\${secrets.a}
"
MY KEY='
B=\${secrets.b}
'
C: \${secrets.c}
D=\`\${secrets.d}\`
`;
    expect((await tell('.env', text)).map((line) => line.split(' '))).toEqual([
      ['2', 'CONF', 'placeholder', 'a', 'secret://global/managed/a', 'part-of-value'],
      ['5', '-', 'placeholder', 'b', 'secret://global/managed/b', 'other-place'],
      ['7', '-', 'placeholder', 'c', 'secret://global/managed/c', 'other-place'],
      ['8', 'D', 'placeholder', 'd', 'secret://global/managed/d', 'changes'],
    ]);
    expect(await rewritten('.env', text)).toBe(text.replace('${secrets.d}', 'secret://global/managed/d'));
    // To the parser the second line is the value of the first.
    expect((await tell('.env', 'A= \nB=${secrets.b}\n')).map((line) => line.split(' ').at(-1))).toEqual(['notation']);
  });

  it('of Spark and Java are told of, blanks between name and value as well', async () => {
    const spark = `spark.master   local\nspark.hadoop.fs.s3a.secret.key\t${typed}\nspark.a  {{secrets/jobs/a}}\nproxy_pass x\n`;
    expect(await tell('spark-defaults.conf', spark)).toEqual([
      '2 spark.hadoop.fs.s3a.secret.key plain-secret - - needs-server',
      '3 spark.a databricks-template jobs/a secret://domain/managed/jobs-a other-place',
    ]);
    expect(await tell('a.properties', `password ${typed}\n`)).toEqual(['1 password plain-secret - - needs-server']);
  });

  it('are read in a time that grows with them', async () => {
    const blanks = ' '.repeat(100_000);
    const started = performance.now();
    for (const text of [
      `A=token${blanks}y`,
      `token${blanks}y`,
      `A="token"${blanks}x`,
      `export${blanks}token`,
      `spark.token${blanks}`,
    ])
      for (const name of ['.env', 'a.conf', 'a.properties']) await readTextFile(name, text, scopes);
    expect(performance.now() - started).toBeLessThan(10_000);
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
      '`',
      'B C=',
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
        const values = Object.values(parseEnv(after));
        expect(values.filter((value) => value?.includes('secret:') && !/^secret:\/\/[^\s"'`]+$/.test(value))).toEqual(
          [],
        );
      }),
      { numRuns: 300 },
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
