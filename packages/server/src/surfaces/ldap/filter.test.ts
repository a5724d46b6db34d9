import { FilterParser } from 'ldapts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeFilterValue, isFilter, withValues } from './filter.ts';

describe('filters', () => {
  it.each([
    '(cn=Babs Jensen)',
    '(!(cn=Tim Howes))',
    '(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))',
    '(o=univ*of*mich*)',
    '(seeAlso=)',
    '(cn:caseExactMatch:=Fred Flintstone)',
    '(cn:=Betty Rubble)',
    '(sn:dn:2.4.6.8.10:=Barney Rubble)',
    '(:1.2.3:=Wilma Flintstone)',
    '(o=Parens R Us \\28for all your parenthetical needs\\29)',
    '(sn=Lu\\c4\\8di\\c4\\87)',
    '(userAccountControl:1.2.840.113556.1.4.803:=2)',
    '(age>=21)',
  ])('takes %s of RFC 4515 §4', (text) => {
    expect(isFilter(text)).toBe(true);
  });

  it.each([
    '',
    'cn=x',
    '(cn=x',
    '(cn=x))',
    '(cn=x)(cn=y)',
    '(&)',
    '(!(a=b)(c=d))',
    '(cn=\\zz)',
    '(=x)',
    '(cn>=a*)',
    '(:=x)',
  ])('refuses %j', (text) => {
    expect(isFilter(text)).toBe(false);
  });

  it('refuses what is nested without end, in little time', () => {
    expect(isFilter(`${'(!'.repeat(10_000)}(a=b)${')'.repeat(10_000)}`)).toBe(false);
  });

  it('never let a value out of its place', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        const text = withValues('(objectClass=person)', 'uid', [name]);
        expect(isFilter(text)).toBe(true);
        expect(FilterParser.parseString(text).toString()).toContain('(objectClass=person)');
        expect(escapeFilterValue(name)).not.toMatch(/[()*]/);
      }),
    );
    expect(withValues('(a=b)', 'uid', ['*)(uid=*'])).toBe('(&(a=b)(uid=\\2a\\29\\28uid=\\2a))');
  });
});
