/** JSON with sorted names, so that two equal documents are equal texts. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Names of the document's parts that differ; audit records say which, never what. */
export function changedNames(before: unknown, after: unknown): string[] {
  const [old, now] = [Object(before) as Record<string, unknown>, Object(after) as Record<string, unknown>];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .filter((name) => canonical(old[name]) !== canonical(now[name]))
    .toSorted();
}
