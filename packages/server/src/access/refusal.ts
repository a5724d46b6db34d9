import type { Action } from '@strongroom/contract';
import { decide } from './decide.ts';
import type { AccessSnapshot, Decision, Resource } from './types.ts';

/** What a person reads of a refusal: which permission or role it needs, and where. Names of others never occur. */
export function refusalText(decision: Decision, resource: Resource): string {
  const [first = ''] = decision.because;
  if (first === 'disabled') return 'The account is disabled';
  if (first === 'not-assigned') return 'The Global secret is not assigned to this domain';
  if (first === 'no-standing') return 'It needs a role or a grant in this domain';
  if (first.startsWith('missing-role:')) {
    return `It needs the role ${decision.because.map((word) => word.slice('missing-role:'.length)).join(' or ')}`;
  }
  if (first === 'missing:member') return 'It needs a role or a grant in this domain';
  if (first.startsWith('missing:')) {
    const permission = first.slice('missing:'.length);
    if (resource.kind === 'asset')
      return `It needs ${permission} on ${resource.asset.type} ${resource.asset.name}, through a bundle that holds it`;
    return resource.kind === 'scope' ? `It needs ${permission} in ${placeName(resource)}` : `It needs ${permission}`;
  }
  return 'Nobody may do this here';
}

function placeName(resource: Extract<Resource, { kind: 'scope' }>): string {
  return resource.scope.kind === 'domain' ? `domain ${resource.scope.name}` : `the ${resource.scope.kind} scope`;
}

export interface ActionAnswer {
  readonly action: string;
  readonly allowed: boolean;
  readonly reason?: string;
}

/** `actions[]` of a listed item: each action, whether the caller may, and why not. */
export function actionsOn(snapshot: AccessSnapshot, actions: readonly Action[], resource: Resource): ActionAnswer[] {
  return actions.map((action) => {
    const decision = decide(snapshot, action, resource);
    return decision.allow
      ? { action, allowed: true }
      : { action, allowed: false, reason: refusalText(decision, resource) };
  });
}
