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

/** What a person reads of an allowance: by what somebody has it. Names of others never occur. */
export function allowanceText({ because }: Decision): string {
  const [first = '', bundle] = because;
  const at = first.indexOf(':');
  const [kind, word] = at < 0 ? [first, ''] : [first.slice(0, at), first.slice(at + 1)];
  const holder = bundle === 'bundle:default' ? 'the default bundle' : 'the bundle';
  const where = bundle === undefined ? '' : `, on ${holder}`;
  switch (kind) {
    case 'role':
      return `By the role ${word}${where}`;
    case 'preset':
      return `As ${word} of the domain${where}`;
    case 'permission':
      return `By the permission ${word}`;
    case 'grant':
      return `By a grant of ${word} on ${holder}`;
    case 'bundle-owner':
      return `As owner of ${holder}`;
    case 'standing':
      return 'By what it has in the domain';
    case 'everyone':
      return 'Everybody may';
    case 'assigned':
      return 'It is assigned to this domain';
    default:
      return 'Allowed';
  }
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
