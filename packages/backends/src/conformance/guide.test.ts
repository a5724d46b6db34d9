import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { conformanceChecks } from './index.ts';

test('the guide has every check, in their order, with what it shows and needs', () => {
  const guide = readFileSync(new URL('../../../../docs/guides/backend-conformance.md', import.meta.url), 'utf8');
  const rows = guide.split('\n').filter((line) => /^\| `[a-z-]+` \| [^|]* \| [^|]* \|$/.test(line));
  const checks = conformanceChecks.map(({ name, about, needs }) => `| \`${name}\` | ${about} | ${needs.join(', ')} |`);
  expect(rows).toEqual(checks);
});
