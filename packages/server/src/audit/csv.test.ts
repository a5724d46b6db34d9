import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvCell, csvHeader, encodeCsvLine } from './csv.ts';
import type { ListedRecord } from './queries.ts';
import { encodeRecord } from './record.ts';

/** Any UTF-16, lone surrogates too. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
  .map((units) => String.fromCharCode(...units));

describe('a cell', () => {
  it.each([
    ['=cmd|calc', "'=cmd|calc"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\\u0009=1"],
    ['\r=1', "'\\u000d=1"],
    [' =1', "' =1"],
    ['＝1', "'＝1"],
    ['a\nb', 'a\\u000ab'],
    ['a,b', '"a,b"'],
    ['say "x"', '"say ""x"""'],
    ['=1,"2"', `"'=1,""2"""`],
    ['plain', 'plain'],
    ['', ''],
  ])('of %j is %s', (text, expected) => {
    expect(csvCell(text)).toBe(expected);
  });

  it('is one cell of one line, and no formula, whatever it holds', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const cell = csvCell(text);
        expect(cell).not.toMatch(/[\r\n\t\u2028\u2029\0]/);
        expect(cell).not.toMatch(/^"?\s*[=+\-@]/);
        const inner = cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '') : cell;
        expect(inner).not.toMatch(cell.startsWith('"') ? /"/ : /[",]/);
      }),
    );
  });
});

describe('a line', () => {
  const row: ListedRecord = {
    chain_id: 'chn_1',
    sequence: 7,
    at: 0,
    record: encodeRecord(
      {
        principal: 'usr_1',
        principalName: '=HYPERLINK("http://x")',
        action: 'secret.list',
        outcome: 'allowed',
        because: ['a', 'b'],
        detail: { name: '@x' },
      },
      0,
    ),
    hash: new Uint8Array(2).fill(0xab),
    principal_id: 'usr_1',
    scope_id: null,
    action: 'secret.list',
    outcome: 'allowed',
  };

  it('has a cell for every column', () => {
    expect(encodeCsvLine(row)).toBe(
      `1970-01-01T00:00:00.000Z,chn_1,7,usr_1,"'=HYPERLINK(""http://x"")",secret.list,allowed,,,,,,,,,,,,a b,"{""name"":""@x""}",abab\r\n`,
    );
    expect(csvHeader.split(',')).toHaveLength(21);
  });

  it('says what the columns say when the record is not readable', () => {
    expect(encodeCsvLine({ ...row, record: Uint8Array.from([0xff]) })).toContain(
      '(the record is not readable),secret.list',
    );
  });
});
