import type { ManagedScope } from '../vault-managed/scope-path.ts';

/** The command that makes what somebody else wrote ours. */
export function adoptHint(scope: ManagedScope, key?: string): string {
  const flags = scope.kind === 'domain' ? `--domain ${scope.name}` : `--${scope.kind}`;
  return `To have it written: strongroom store adopt ${flags}${key === undefined ? '' : ` ${key}`}`;
}
