import type { ManagedScope } from '../vault-managed/scope-path.ts';
import type { ScopeObjectKind } from './names.ts';

/** The command that makes what somebody else wrote ours. */
export function adoptHint(scope: ManagedScope, key?: string, purpose: ScopeObjectKind = 'secret-store'): string {
  const flags = scope.kind === 'domain' ? `--domain ${scope.name}` : `--${scope.kind}`;
  const which = purpose === 'secret-store' ? '' : ' --credentials';
  return `To have it written: strongroom store adopt ${flags}${which}${key === undefined ? '' : ` ${key}`}`;
}
