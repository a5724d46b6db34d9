import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { legacyForms, linesOf, looksSecret } from './legacy-forms.ts';

describe('legacyForms', () => {
  it.each([
    'dbutils.secrets.get(scope="jobs", key="db.password")',
    "dbutils.secrets.get(key='db.password', scope='jobs')",
    'dbutils.secrets.get("jobs", "db.password")',
    'dbutils.secrets.get(scope = "jobs", key = "db.password",)',
    'dbutils . secrets . getBytes( "jobs" , r\'db.password\' )',
    'dbutils.secrets.get(\n    scope="jobs",\n    key="db.password",\n)',
    'dbutils.secrets.get(scope="jobs", \\\n  key="db.password")',
    'dbutils.secrets.get(\n  scope="jobs",  # of Ann\'s (old\n  key="db.password",\n)',
    'dbutils.secrets.get(\n  scope = "jobs", // all (of them)\n  key = "db.password"\n)',
  ])('reads %s', (text) => {
    expect(legacyForms(text)).toEqual([
      { kind: 'databricks-call', secret: { scope: 'jobs', key: 'db.password' }, at: 0, isWhole: true },
    ]);
  });

  it.each([
    'scope, key',
    'f"jobs", "a"',
    '"jobs"',
    '"jobs", "a", "b"',
    'scope="a", scope="b"',
    '"a b", "c"',
    '',
    'scope=os.environ.get("SCOPE"), key="a"',
    'scope_of("jobs)"), "a"',
    '"jobs", ".."',
    '"jobs", "a"'.padEnd(1000),
  ])('finds the call with %s, and does not guess', (list) => {
    expect(legacyForms(`x = dbutils.secrets.get(${list})`)).toEqual([
      { kind: 'databricks-call', at: 4, isWhole: false },
    ]);
  });

  it.each(['get = dbutils.secrets.get', 'x = dbutils.secrets.get(', "x = dbutils.secrets.getBytes('a', '"])(
    'finds %s, which is called elsewhere or not whole',
    (text) => {
      expect(legacyForms(text)).toMatchObject([{ kind: 'databricks-call', isWhole: false }]);
    },
  );

  it('reads templates and placeholders, alone and among other text, in their order', () => {
    expect(legacyForms('{{secrets/jobs/db}}')).toMatchObject([{ secret: { scope: 'jobs', key: 'db' }, isWhole: true }]);
    expect(legacyForms('${secrets.db}')).toEqual([{ kind: 'placeholder', key: 'db', at: 0, isWhole: true }]);
    expect(legacyForms('a={{ secrets/jobs/db }};b=${secrets.x}${secrets.y} $${secrets.z}')).toMatchObject([
      { kind: 'databricks-template', at: 2, isWhole: false },
      { kind: 'placeholder', key: 'x', isWhole: false },
      { kind: 'placeholder', key: 'y', isWhole: false },
    ]);
  });

  it.each([
    '{{secrets/jobs}}',
    '{{secrets/a/b/c}}',
    '{secrets/a/b}',
    '{{ jobs/a/b }}',
    'mydbutils.secrets.get("a","b")',
    'dbutils.secrets.getter("a","b")',
    '{{secrets/../db}}',
    '{{secrets/jobs/..}}',
  ])('leaves %s alone', (text) => {
    expect(legacyForms(text)).toEqual([]);
  });

  it.each([
    ['${secrets.db', 'not-closed'],
    ['a ${secrets.db and more', 'not-closed'],
    ['${secrets.', 'not-closed'],
    ['${secrets.db\n}', 'not-closed'],
    ['"${secrets.db", {}', 'not-closed'],
    ['${secrets.' + 'a'.repeat(300), 'not-closed'],
    ['${secrets.}', 'no-key'],
    ['${secrets...}', 'no-key'],
    ['${secrets.a b}', 'no-key'],
    [`\${secrets.${'a'.repeat(254)}}`, 'no-key'],
  ])('finds %s, which no value replaces, and says why', (text, why) => {
    expect(legacyForms(text)).toMatchObject([{ kind: 'malformed-placeholder', why, at: text.indexOf('$') }]);
  });

  it('finds what is not closed beside what is', () => {
    expect(legacyForms('${secrets.a ${secrets.b} $${secrets.c')).toMatchObject([
      { kind: 'malformed-placeholder', why: 'not-closed', at: 0 },
      { kind: 'placeholder', key: 'b', at: 12, isWhole: false },
    ]);
  });

  it('is linear, and finds nothing where nothing is', () => {
    fc.assert(fc.property(fc.string(), (text) => legacyForms(text.replaceAll(/[{(]|dbutils/g, '')).length === 0));
    const started = performance.now();
    for (const part of ['dbutils.secrets.get(', 'dbutils   ', '{{secrets/a/', '{{ ', '${secrets.', ' '])
      legacyForms(part.repeat(50_000));
    expect(performance.now() - started).toBeLessThan(30_000);
  });
});

describe('looksSecret', () => {
  it('goes by words that credentials are called', () => {
    const names = ['PGPASSWORD', 'api_token', 'spark.hadoop.fs.s3a.secret.key', 'KEY', 'AWS_ACCESS_KEY_ID', 'passwd'];
    expect(names.filter((name) => !looksSecret(name))).toEqual([]);
    expect(['PGHOST', 'MONKEYS', 'spark.executor.memory'].filter(looksSecret)).toEqual([]);
  });
});

describe('linesOf', () => {
  it('counts from 1', () => {
    expect([0, 1, 2, 3, 4].map(linesOf('a\nb\n'))).toEqual([1, 1, 2, 2, 3]);
    expect([0, 1].map(linesOf(''))).toEqual([1, 1]);
  });

  it('is quick for many places of a long text', () => {
    const text = '${secrets.a}\n'.repeat(50_000);
    const lineAt = linesOf(text);
    const started = performance.now();
    expect(legacyForms(text).map(({ at }) => lineAt(at))).toEqual(
      Array.from({ length: 50_000 }, (_, index) => index + 1),
    );
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
