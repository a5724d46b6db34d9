import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { createSelectorIndex, type Selector } from './selectors.ts';

const anySelector: fc.Arbitrary<Selector> = fc.record({
  bundleId: fc.constantFrom('b1', 'b2', 'b3'),
  selectorScope: fc.constantFrom('domain', 'global'),
  selector: fc.stringMatching(/^[abAB.-]{0,4}$/),
  isPrefix: fc.boolean(),
});

it('finds the bundles that a look at every selector finds', () => {
  fc.assert(
    fc.property(
      fc.array(anySelector, { maxLength: 12 }),
      fc.constantFrom('domain', 'global'),
      fc.stringMatching(/^[abAB.-]{1,5}$/),
      (selectors, scope, key) => {
        const folded = key.toLowerCase();
        const expected = selectors.filter((each) => {
          const text = each.selector.toLowerCase();
          return each.selectorScope === scope && (each.isPrefix ? folded.startsWith(text) : folded === text);
        });
        const found = createSelectorIndex(selectors).bundlesOf(scope, key);
        expect(found).toEqual([...new Set(expected.map((each) => each.bundleId))].sort());
      },
    ),
  );
});

it.each(['__proto__', 'constructor', 'toString'])('takes %s as any other key', (key) => {
  const index = createSelectorIndex([
    { bundleId: 'b', selectorScope: 'domain', selector: 'constructor', isPrefix: false },
  ]);
  expect(index.bundlesOf('domain', key)).toEqual(key === 'constructor' ? ['b'] : []);
});
