import { StrongroomError } from './errors.ts';

/** Labels that are ours; a tag can't be one of them. */
const builtIn: ReadonlySet<string> = new Set(['app', 'managed-by']);

const maxPrefixLength = 253;
const namePattern = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const prefixPattern = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/**
 * Tags `key:value` as labels. They are split at the first colon; key and value have to be a label's as they are
 * (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set).
 *
 * @throws StrongroomError `validation_failed`; names every tag that is wrong
 */
export function parseKubernetesTags(tags: readonly string[]): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  const problems: string[] = [];
  for (const tag of tags) {
    const colon = tag.indexOf(':');
    const [key, value] = colon === -1 ? [tag, ''] : [tag.slice(0, colon), tag.slice(colon + 1)];
    const problem = colon === -1 ? 'has no colon between key and value' : problemOf(key, value, labels);
    if (problem === null) labels.set(key, value);
    else problems.push(`the tag ${JSON.stringify(tag)} ${problem}`);
  }
  if (problems.length > 0)
    throw new StrongroomError('validation_failed', {
      detail: `${problems.join('; ')}.`,
      hint: 'A tag is key:value, and both have to be fit for a label of Kubernetes.',
      errors: problems.map((message) => ({ pointer: '/tags', message })),
    });
  return labels;
}

/** Tags of a text `[key:value,…]`, as OpenMetadata has them; the brackets may be missing. */
export function splitKubernetesTags(text: string): string[] {
  const inner = /^\s*\[([^]*)\]\s*$/.exec(text)?.[1] ?? text;
  return inner
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
}

function problemOf(key: string, value: string, labels: ReadonlyMap<string, string>): string | null {
  if (builtIn.has(key)) return `has the key ${key}, which is a label of the store itself`;
  if (labels.has(key)) return 'has a key that another tag has';
  const slash = key.indexOf('/');
  const [prefix, name] = slash === -1 ? [null, key] : [key.slice(0, slash), key.slice(slash + 1)];
  if (prefix !== null && (prefix.length > maxPrefixLength || !prefixPattern.test(prefix)))
    return 'has a key whose prefix is not a DNS name';
  if (!namePattern.test(name)) return 'has a key that can not be a label’s';
  if (value !== '' && !namePattern.test(value)) return 'has a value that can not be a label’s';
  return null;
}
