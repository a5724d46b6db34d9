import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printTest } from '../commands/integration-text.ts';
import { scriptIo } from '../testing/script-io.ts';
import { bad, good, Output } from './output.ts';
import { layTable } from './table.ts';
import { columnsOf, cutTo, duration, localTime, visible } from './text.ts';

const columns = [{ title: 'KEY' }, { title: 'DESCRIPTION', canCut: true }, { title: 'VERSION' }];

describe('layTable', () => {
  const laid = (...input: Parameters<typeof layTable>): readonly string[] => {
    const { head, body } = layTable(...input);
    return [...head, ...body];
  };

  it('aligns columns and ends lines where their text ends', () => {
    expect(
      laid(columns, [
        ['a', 'one', '1.1'],
        ['longer-key', '', '1.10'],
      ]),
    ).toEqual(['KEY         DESCRIPTION  VERSION', 'a           one          1.1', 'longer-key               1.10']);
  });

  it('cuts what may be cut, and never a key', () => {
    const key = 'k'.repeat(30);
    expect(laid(columns, [[key, 'a long description of it', '1.1']], 51)).toEqual([
      `KEY${' '.repeat(29)}DESCRIPTI…  VERSION`,
      `${key}  a long de…  1.1`,
    ]);
    expect(laid(columns, [[key, 'a long description of it', '1.1']], 10)).toEqual([
      'KEY',
      '  DESCRIP…',
      '  VERSION',
      key,
      '  a long …',
      '  1.1',
    ]);
  });

  it('folds rows that fit in no other way, and cuts and wraps less for it', () => {
    const uses = [
      { title: 'DOMAIN' },
      { title: 'CONFIGURATION' },
      { title: 'FIELD', canWrap: true },
      { title: 'BY', canCut: true },
    ];
    expect(
      laid(
        uses,
        [
          ['finance', 'spark-job/nightly-report', '/environment/0/secret', 'user:ann'],
          ['finance', 'notebook/lab', '/environment/1/value', ''],
        ],
        40,
      ),
    ).toEqual([
      'DOMAIN   CONFIGURATION',
      '  FIELD                  BY',
      'finance  spark-job/nightly-report',
      '  /environment/0/secret  user:ann',
      'finance  notebook/lab',
      '  /environment/1/value',
    ]);
  });

  it('folds rows that would be wrapped into more lines', () => {
    const why = [{ title: 'SURFACE' }, { title: 'CONFIGURATION' }, { title: 'BECAUSE', canWrap: true }];
    const row = ['spark-job', 'nightly-report', 'it uses storage-config/raw-data'];
    expect(laid(why, [row], 44)).toEqual([
      'SURFACE    CONFIGURATION',
      '  BECAUSE',
      'spark-job  nightly-report',
      '  it uses storage-config/raw-data',
    ]);
    expect(laid(why, [row], 56)).toEqual([
      'SURFACE    CONFIGURATION   BECAUSE',
      'spark-job  nightly-report  it uses',
      '                           storage-config/raw-data',
    ]);
  });

  it('keeps lines within the width when columns that stay whole do not fit beside each other', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '/', '日', 'e\u0301'), maxLength: 30 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell, cell), { maxLength: 5 }),
        fc.integer({ min: 40, max: 80 }),
        (rows, width) => {
          const short = rows.map(([one, two, three]) => [cutTo(one, 30), two, three]);
          const columnsOf3 = [{ title: 'A' }, { title: 'B', canWrap: true }, { title: 'C', canCut: true }];
          for (const line of laid(columnsOf3, short, width)) expect(columnsOf(line)).toBeLessThanOrEqual(width);
        },
      ),
    );
  });

  it('wraps what may not be lost, after cutting what may', () => {
    const wide = [{ title: 'KEY' }, { title: 'ABOUT', canCut: true }, { title: 'REASON', canWrap: true }];
    const reason = 'It needs USE on secret://domain/managed/db-password, which nobody gave';
    expect(laid(wide, [['k', 'a long description', reason]], 50)).toEqual([
      'KEY  ABOUT     REASON',
      'k    a long …  It needs USE on',
      '               secret://domain/managed/',
      '               db-password, which nobody gave',
    ]);
    expect(laid(wide, [['k', '', reason]])).toEqual(['KEY  ABOUT  REASON', `k           ${reason}`]);
  });

  it('loses nothing of what it wraps, in lines within the width', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '/', '日', 'e\u0301'), maxLength: 90 });
    fc.assert(
      fc.property(cell, fc.integer({ min: 24, max: 60 }), (text, width) => {
        const { body } = layTable([{ title: 'KEY' }, { title: 'REASON', canWrap: true }], [['k', text]], width);
        for (const line of body) expect(columnsOf(line)).toBeLessThanOrEqual(width);
        const seen = body.join('');
        expect(seen.replaceAll(' ', '')).toBe(`k${text.replaceAll(' ', '')}`);
      }),
    );
  });

  it('leaves out a column that no row needs', () => {
    const optional = [{ title: 'KEY' }, { title: 'CAUSE', isOptional: true }, { title: 'VERSION' }];
    expect(laid(optional, [['k', '', '1.1']])).toEqual(['KEY  VERSION', 'k    1.1']);
    expect(
      laid(optional, [
        ['k', '', '1.1'],
        ['l', 'gone', ''],
      ]),
    ).toEqual(['KEY  CAUSE  VERSION', 'k           1.1', 'l    gone']);
  });

  it('counts what a terminal shows', () => {
    expect(columnsOf('日本')).toBe(4);
    expect(columnsOf('e\u0301')).toBe(1);
    expect(
      laid(
        [{ title: 'A' }, { title: 'B' }],
        [
          ['日本', 'x'],
          ['abcd', 'y'],
        ],
      ),
    ).toEqual(['A     B', '日本  x', 'abcd  y']);
  });

  it('keeps every row on one line, within the width when columns may be cut', () => {
    const cell = fc.string({ unit: 'binary', maxLength: 30 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell), { maxLength: 5 }),
        fc.integer({ min: 18, max: 120 }),
        (rows, width) => {
          const lines = laid(
            [
              { title: 'A', canCut: true },
              { title: 'B', canCut: true },
            ],
            rows,
            width,
          );
          expect(lines).toHaveLength(rows.length + 1);
          for (const line of lines) {
            expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
            expect(columnsOf(line)).toBeLessThanOrEqual(width);
          }
        },
      ),
    );
  });
});

describe('text', () => {
  it('cuts at characters, not inside them', () => {
    expect(cutTo('日本語', 5)).toBe('日本…');
    expect(cutTo('abc', 3)).toBe('abc');
  });

  it('shows what a terminal would obey', () => {
    expect(visible('a\u001b]0;t\u0007\nb\u2028c\u202e')).toBe('a\\u{1b}]0;t\\u{7}\\u{a}b\\u{2028}c\\u{202e}');
    expect(visible('Zürich 日本 🙂')).toBe('Zürich 日本 🙂');
  });

  it('says times and durations briefly', () => {
    expect(localTime(null)).toBe('-');
    expect(localTime('2026-07-01T12:03:04.000Z')).toMatch(/^2026-07-01 \d\d:\d\d$|^2026-0[67]-\d\d \d\d:\d\d$/);
    expect([duration(5), duration(1500), duration(65_000)]).toEqual(['5 ms', '2 s', '1 min 5 s']);
  });
});

describe('Output', () => {
  function outputOf(options: { json?: boolean; tty?: boolean; env?: Record<string, string> }) {
    const io = scriptIo({ env: options.env ?? {}, cwd: '/' });
    const stdout = Object.assign(io.stdout, { isTTY: options.tty === true, columns: 80 });
    return { output: new Output({ ...io, stdout }, options), io };
  }

  it('is one JSON document, or what people read', () => {
    const json = outputOf({ json: true });
    json.output.answer({ a: 1 }, () => json.output.line('never'));
    expect(json.io.stdout.text).toBe('{\n  "a": 1\n}\n');
    const human = outputOf({});
    human.output.answer({ a: 1 }, () => human.output.line('one'));
    expect(human.io.stdout.text).toBe('one\n');
  });

  it('colours on a terminal only, and not against NO_COLOR', () => {
    const printed = (options: Parameters<typeof outputOf>[0]) => {
      const { output, io } = outputOf(options);
      output.line('it is ', good('ok'));
      return io.stdout.text;
    };
    expect(printed({ tty: true })).toBe('it is \u001b[32mok\u001b[39m\n');
    expect(printed({})).toBe('it is ok\n');
    expect(printed({ tty: true, env: { NO_COLOR: '1' } })).toBe('it is ok\n');
    expect(printed({ tty: true, env: { TERM: 'dumb' } })).toBe('it is ok\n');
  });

  it('makes text of others visible in lines, whatever colour they have', () => {
    const { output, io } = outputOf({ tty: true });
    output.line('created \u001b]52;c;cm0=\u0007', bad('a\u001b[2Jb'));
    output.lines('a: 1\nb: \u009b2J');
    expect(io.stdout.text).toBe(
      'created \\u{1b}]52;c;cm0=\\u{7}\u001b[31ma\\u{1b}[2Jb\u001b[39m\na: 1\nb: \\u{9b}2J\n',
    );
  });

  it('makes text of others visible also in notes, and colours no cell of a table', () => {
    const { output, io } = outputOf({ tty: true });
    output.note('the server says \u001b]52;c;cm0=\u0007\nnote: all is well');
    expect(io.stderr.text).toBe('note: the server says \\u{1b}]52;c;cm0=\\u{7}\\u{a}note: all is well\n');
    printTest(output, { ok: false, lines: [{ step: 'tls', outcome: 'failed', message: 'no certificate' }] });
    expect(io.stdout.text).toContain('tls   failed   no certificate\n');
  });

  it('leaves facts out that are not there', () => {
    const { output, io } = outputOf({});
    output.facts({ key: 'a', owner: undefined, description: 'two\nlines' });
    expect(io.stdout.text).toBe('key          a\ndescription  two\\u{a}lines\n');
  });
});
