/** An example of each kind of key name. `$` is the name that the suite makes up: lower-case letters, digits and hyphens. */
export const keyKinds = {
  nested: '$/app/db',
  deep: '$/a/b/c/d/e/f/g/h',
  'upper-case': '$-Token',
  underscore: '$_token',
  dot: '$.token',
  hash: '$#token',
  question: '$?token=1',
  blank: '$ token',
  percent: '$%2Ftoken',
  plus: '$+token',
  at: '$@token',
  colon: '$:token',
  equals: '$=token',
  ampersand: '$&token',
  quote: `$'"token`,
  unicode: '$-schlüssel-鍵-🔑',
  prototype: '__proto__',
  constructor: 'constructor',
  long: `$-${'k'.repeat(80)}`,
} as const;

export type KeyKind = keyof typeof keyKinds;

/** Names that careless mappings put into one place: separators, letter case, other scripts, tails that are cut off. */
export const lookAlikes: readonly (readonly string[])[] = [
  ['$-my-db', '$-my_db', '$-my.db', '$-my db', '$-my/db', '$-my--db', '$-my-db-', '$-my+db', '$-my%2Ddb', '$-my:db'],
  ['$-case', '$-Case', '$-CASE', '$-caſe'],
  ['$-strasse', '$-straße', '$-鍵', '$-锁', '$-cafe', '$-caf\u00e9', '$-cafe\u0301'],
  [`$-${'n'.repeat(200)}-first`, `$-${'n'.repeat(200)}-second`],
  [
    '$-sub/one',
    '$-sub//one',
    '$-sub/./one',
    '$-sub/../$-sub/one',
    '$-sub%2Fone',
    '$-sub\\one',
    '/$-sub/one',
    '$-sub/one/',
  ],
  ['$-end', '$-end ', ' $-end', '$-end\n', '$-end\0', '$-end\u200b', '$-end#', '$-end?', '$-end\ud800'],
];
