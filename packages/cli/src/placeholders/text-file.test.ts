import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { manifest, scopes, typed } from '../testing/placeholder-files.ts';
import { locate } from './journal.ts';
import { readTextFile, withEdits } from './text-file.ts';

const tell = async (file: string, text: string) => {
  const { findings } = await readTextFile(file, text, scopes);
  expect(JSON.stringify(findings)).not.toContain(typed);
  return findings.map(({ line, name = '-', kind, names = '-', becomes = '-', stays = 'changes' }) =>
    [line, name, kind, names, becomes, stays].join(' '),
  );
};
const rewritten = async (file: string, text: string) => withEdits(text, (await readTextFile(file, text, scopes)).edits);

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
