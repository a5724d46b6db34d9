import { foldKey } from '@strongroom/contract';

/** One selector of a bundle: a key, or with `isPrefix` the beginning of keys. Folded, as keys are compared. */
export interface Selector {
  readonly bundleId: string;
  readonly selectorScope: 'domain' | 'global';
  readonly selector: string;
  readonly isPrefix: boolean;
}

/** Answers which bundles hold a secret; one look-up per distinct prefix length, however many selectors there are. */
export interface SelectorIndex {
  /** Ids of the bundles with a matching selector, sorted; empty when none matches and the default bundle has it. */
  bundlesOf(selectorScope: 'domain' | 'global', key: string): readonly string[];
}

export function createSelectorIndex(selectors: readonly Selector[]): SelectorIndex {
  const exact = new Map<string, Set<string>>();
  const prefixes = new Map<string, Set<string>>();
  const lengths = new Set<number>();
  for (const { bundleId, selectorScope, selector, isPrefix } of selectors) {
    const table = isPrefix ? prefixes : exact;
    const name = `${selectorScope}:${foldKey(selector)}`;
    const bundles = table.get(name) ?? new Set();
    table.set(name, bundles.add(bundleId));
    if (isPrefix) lengths.add(name.length);
  }
  return {
    bundlesOf(selectorScope, key) {
      const name = `${selectorScope}:${foldKey(key)}`;
      const found = new Set(exact.get(name));
      for (const length of lengths) {
        for (const bundleId of prefixes.get(name.slice(0, length)) ?? []) found.add(bundleId);
      }
      return [...found].sort();
    },
  };
}
