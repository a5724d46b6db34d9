/**
 * The id of a domain's default bundle, made from the domain's own id: `dom_X` has `bnd_X`. Ids of domains are never
 * reused, so neither is this one, and a decision about a principal without rows in the domain needs no read for it.
 */
export function defaultBundleIdOf(scopeId: string): string {
  return `bnd_${scopeId.slice(scopeId.indexOf('_') + 1)}`;
}
