import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { escaperOf, templateProblem } from './file-formats.ts';

const nasty = [
  '',
  'plain',
  '"; DROP',
  "it's",
  'a\\nb',
  'a\nb',
  'a\r\nb\t',
  ' lead',
  'trail ',
  '{"x": 1}',
  '- a',
  '# c',
  'é€😀',
  '\u2028\u0085\u00a0',
  '\u007f',
  '<&>"\'',
  '%(x)s',
  'a=b:c!',
  '${N}',
  'null',
  '1e3',
  '\ufeffbom',
];

const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());

/** Runs real parsers of other languages over many values at once. */
function python(script: string, files: readonly string[]): string[] {
  const result = spawnSync('python3', ['-c', script], {
    input: JSON.stringify(files),
    encoding: 'utf8',
    env: { PATH: '/root/.pyenv/shims:/usr/bin:/bin:/usr/local/bin', PYTHONIOENCODING: 'utf-8' },
  });
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout) as string[];
}
const hasPython = spawnSync('python3', ['-c', 'print(1)']).status === 0;

describe('a value comes out of its file as it went in', () => {
  it('JSON', () => {
    const escape = escaperOf('a.JSON');
    fc.assert(
      fc.property(text, (value) => {
        expect(JSON.parse(`{"k": "x${escape(value)}y"}`)).toEqual({ k: `x${value}y` });
      }),
    );
  });

  it('YAML', () => {
    const escape = escaperOf('a.yml');
    for (const value of nasty) expect(parseYaml(`k: "x${escape(value)}y"`)).toEqual({ k: `x${value}y` });
    fc.assert(
      fc.property(text, (value) => {
        expect(parseYaml(`k: "${escape(value)}"`)).toEqual({ k: value });
      }),
    );
  });

  it.runIf(hasPython)('XML', () => {
    const escape = escaperOf('site.xml');
    const values = [...nasty, ...fc.sample(text, 100)].filter((value) => escape(value) !== null);
    const files = values.map(
      (value) => `<?xml version="1.0" encoding="UTF-8"?><c><v>${escape(value)}</v><w a="${escape(value)}"/></c>`,
    );
    const script =
      'import json,sys,xml.etree.ElementTree as e\nr=[]\nfor f in json.load(sys.stdin):\n t=e.fromstring(f.encode("utf-8"));v=t.find("v").text or "";assert v==t.find("w").get("a");r.append(v)\nprint(json.dumps(r))';
    expect(python(script, files)).toEqual(values);
    expect(escape('a\u0000')).toBeNull();
    expect(escape('a\u0008')).toBeNull();
  });

  it.runIf(hasPython)('INI', () => {
    const escape = escaperOf('odbc.ini');
    const values = [...nasty, ...fc.sample(text, 100)].filter((value) => escape(value) !== null && value !== '');
    const files = values.map((value) => `[s]\nk = ${escape(value)}\nother = 1\n`);
    const script =
      'import configparser,json,sys\nr=[]\nfor f in json.load(sys.stdin):\n c=configparser.RawConfigParser();c.read_string(f);assert c["s"]["other"]=="1";r.append(c["s"]["k"])\nprint(json.dumps(r))';
    expect(python(script, files)).toEqual(values);
    for (const value of ['a\nb', ' a', 'a ', 'a\r']) expect(escape(value)).toBeNull();
  });

  it('properties, as java.util.Properties.load reads them', () => {
    const escape = escaperOf('a.properties');
    for (const value of [...nasty, ...fc.sample(text, 300)]) {
      const line = `k=${escape(value)}`;
      expect(line).toMatch(/^[ -~]*$/);
      expect(readProperty(line)).toEqual(['k', value]);
    }
  });
});

/** The value of one logical line, after the rules of java.util.Properties.load(Reader). */
function readProperty(line: string): [string, string] {
  const separator = line.indexOf('=');
  const raw = line.slice(separator + 1).replace(/^[ \t\f]+/, '');
  const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f' };
  const value = raw.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_match, code: string | undefined, character = '') =>
    code === undefined
      ? (escapes[character as string] ?? (character as string))
      : String.fromCharCode(Number.parseInt(code, 16)),
  );
  return [line.slice(0, separator), value];
}

describe('where a placeholder may stand', () => {
  it.each([
    ['a.json', '{"a": "${secrets.k}"}', true],
    ['a.json', '{"a": "x${secrets.k}y", "b": [1, "${secrets.k}"]}', true],
    ['a.json', '{"a": ${secrets.k}}', false],
    ['a.json', '{"a": "${secrets.k}"', false],
    ['a.yaml', 'a: "${secrets.k}"', true],
    ['a.yaml', 'a: ${secrets.k}', false],
    ['a.yaml', "a: '${secrets.k}'", false],
    ['a.yaml', 'a: |\n  ${secrets.k}', false],
    ['a.yaml', '# ${secrets.k}\na: 1', false],
    ['a.txt', '${secrets.k}', true],
    ['a.json', 'no placeholder, not JSON', true],
  ])('%s: %s', (name, content, isFine) => {
    expect(templateProblem(name, content, false) === undefined).toBe(isFine);
  });

  it('takes no text of the template for a placeholder', () => {
    const content = 'a: "strongroommark0x strongroommark1x strongroommark2x"\nb: ${secrets.k}';
    expect(templateProblem('a.yaml', content, false)).toMatch(/^In JSON and YAML/);
  });

  it('reads no more of a template than a template has', () => {
    const many = Array.from({ length: 20_000 }, (_, index) => `k${index}: a`).join('\n');
    expect(templateProblem('a.yaml', `x: "\${secrets.a}"\n${many}`, false)).toMatch(
      /^The template has more parts than/,
    );
    expect(templateProblem('a.yaml', `x: "\${secrets.a}"\nx: b`, false)).toBe('The template is not YAML.');
    expect(templateProblem('a.yaml', `x: "\${secrets.a}"\n--- b`, false)).toBe('The template is not YAML.');
  });
});
