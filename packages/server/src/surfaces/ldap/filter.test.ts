import { FilterParser } from 'ldapts';
import { SecretValue } from '@strongroom/crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ldapForm } from '../../../testing/bodies.ts';
import { adminScope } from '../platform-use.ts';
import { withResolvedTexts } from '../texts.ts';
import { ldapSurface } from './definition.ts';
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

describe('placeholders of a directory', () => {
  const resolve = (texts: object, value: string) => {
    const { document } = ldapSurface.normalise({ ...ldapForm, ...texts }, adminScope);
    return withResolvedTexts(ldapSurface, document, () => SecretValue.fromText(value));
  };

  it.each([
    ['filter', '(&(uid=*)(memberOf=${secrets.k}))', 'a)(b=*', '(&(uid=*)(memberOf=a\\29\\28b=\\2a))'],
    ['filter', '${secrets.k}', '(uid=*)', '(uid=*)'],
    ['groupFilter', '(|(cn=${secrets.k})(cn=${secrets.k}s))', 'team', '(|(cn=team)(cn=teams))'],
    ['bindDn', 'cn=${secrets.k},dc=example', 'reader', 'cn=reader,dc=example'],
    ['baseDn', '${secrets.k}', 'dc=example', 'dc=example'],
    ['groupBaseDn', '${secrets.k},dc=example', 'ou=a,ou=b', 'ou=a,ou=b,dc=example'],
  ])('in %s as %s stand for what they are', (name, text, value, used) => {
    expect(resolve({ [name]: text }, value)).toMatchObject({ document: { [name]: used }, unfit: [] });
  });

  it.each([
    ['filter', '${secrets.k}', '(uid=*'],
    ['filter', '(${secrets.k}=x)', 'a b'],
    ['bindDn', '${secrets.k}', 'reader'],
    ['groupBaseDn', 'dc=${secrets.k}', 'a\nb'],
  ])('in %s as %s stop the use where the value %j does not fit', (name, text, value) => {
    expect(resolve({ [name]: text }, value).unfit).toMatchObject([{ pointer: `/${name}` }]);
  });

  it.each(['(${secrets.k})', '(uid=${secrets.k}', '(uid=${secrets.k', '${secrets.k}${secrets.k}'])(
    'that could make no filter are refused: %s',
    (filter) => expect(() => resolve({ filter }, 'x')).toThrow('not valid'),
  );
});
