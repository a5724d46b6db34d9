import { type FieldError, StrongroomError } from '@strongroom/contract';
import type { AccessSnapshot, Caller, ScopeRef } from '../access/types.ts';
import type { AccessService } from '../access/service.ts';
import type { AuditEvent } from '../audit/event.ts';
import { doubtAbout } from '../integrations/known-keys.ts';
import type { Failure } from '../launches/outcomes.ts';
import { referenceError } from '../launches/outcomes.ts';
import { decideUse, findTarget, type Target, type UseDecision } from '../launches/targets.ts';
import type { Wanted } from '../launches/wanted.ts';
import type { Store } from '../store/store.ts';
import type { NewUse } from './commands.ts';
import { canonical } from './compare.ts';
import type { SaveWarning } from './definition.ts';
import type { UseRow } from './rows.ts';

export interface SaveCheck {
  readonly domain: ScopeRef;
  readonly snapshot: AccessSnapshot;
  readonly wanted: readonly Wanted[];
  /** What the configuration holds so far. */
  readonly held: readonly UseRow[];
  /** Something that can redirect a value changes: USE on everything held is needed. */
  readonly changesAuthority: boolean;
  readonly origins: ReadonlyMap<string, string>;
  readonly areReferencesEnabled: boolean;
}

export interface CheckedSave {
  readonly uses: readonly NewUse[];
  readonly warnings: readonly SaveWarning[];
  /** Secrets that were decided on. */
  readonly secretIds: readonly string[];
  /** References that the saver authorises with this save. */
  readonly authorised: readonly Wanted[];
  readonly problems: readonly SaveProblem[];
}

export interface SaveProblem {
  readonly failure: Failure;
  readonly wanted: Wanted;
  readonly error: FieldError;
  readonly because: readonly string[];
}

/** Decides every reference of a save; writes nothing. */
export async function checkSave(store: Store, access: AccessService, check: SaveCheck): Promise<CheckedSave> {
  const { domain, snapshot } = check;
  const held = new Map(check.held.map((use) => [useIdentity(use), use]));
  const uses: NewUse[] = [];
  const warnings: SaveWarning[] = [];
  const problems: SaveProblem[] = [];
  const authorised: Wanted[] = [];
  const secretIds = new Set<string>();
  for (const wanted of check.wanted) {
    const target = await findTarget(store, domain, wanted.reference);
    const before = held.get(useIdentity({ ...wanted, reference: wanted.text }));
    const keptFrom = before !== undefined && isSameSource(before, target) ? before : undefined;
    const doubt = target.integration === null ? null : await doubtAbout(store, target.integration, wanted.reference);
    if (keptFrom !== undefined && !check.changesAuthority) {
      if (doubt !== null) warnings.push({ pointer: wanted.pointer, ...doubt });
      uses.push(newUse(wanted, target, keptFrom.authorised_by));
      continue;
    }
    const isNew = keptFrom === undefined && wanted.kind === 'reference';
    const { failure, because }: UseDecision =
      isNew && !check.areReferencesEnabled
        ? { failure: 'feature-disabled', because: ['feature-disabled'] }
        : await decideUse(access, snapshot, domain, wanted.reference, target, wanted.ownedBy);
    const isUnknownPlaceholder = wanted.kind === 'placeholder' && (failure === 'missing' || failure === 'deleted');
    if (isUnknownPlaceholder) {
      warnings.push({
        pointer: wanted.pointer,
        code: 'unknown-placeholder',
        message: `Global has no secret ${wanted.reference.key}; a launch will fail until it has.`,
      });
    } else if (failure !== null) {
      const pointer = check.origins.get(wanted.pointer) ?? wanted.pointer;
      problems.push({
        failure,
        wanted,
        because,
        error: referenceError(failure, { ...wanted, pointer, domain: domain.name }),
      });
      continue;
    }
    // Only after the decision: whether a key is there is for who may use it.
    if (doubt !== null) warnings.push({ pointer: wanted.pointer, ...doubt });
    if (failure === null && target.secret !== null) secretIds.add(target.secret.id);
    if (keptFrom === undefined) authorised.push(wanted);
    uses.push(newUse(wanted, target, keptFrom?.authorised_by ?? snapshot.principal.id));
  }
  return { uses, warnings, authorised, problems, secretIds: [...secretIds] };
}

/** The same reference in the same variable is the same use, wherever in its list it stands. */
function useIdentity(use: {
  readonly pointer: string;
  readonly name: string;
  readonly reference: string;
  readonly kind: string;
}): string {
  return JSON.stringify([use.pointer.split('/')[1], use.name, use.reference, use.kind]);
}

/** A source made anew under the old name does not inherit. */
function isSameSource(before: UseRow, target: Target): boolean {
  return target.source === null || target.source.id === before.target_source_id || before.target_source_id === '';
}

function newUse(wanted: Wanted, target: Target, authorisedBy: string): NewUse {
  return {
    pointer: wanted.pointer,
    name: wanted.name,
    reference: wanted.text,
    target_scope_id: target.scopeId,
    target_source_id: target.source?.id ?? '',
    target_key: wanted.reference.key,
    target_field: wanted.reference.field ?? null,
    secret_id: target.secret?.id ?? null,
    kind: wanted.kind,
    authorised_by: authorisedBy,
  };
}

/** Whether a save would leave the uses as they are: what they point at, and who authorised them. */
export function hasSameUses(held: readonly UseRow[], uses: readonly NewUse[]): boolean {
  const texts = (all: readonly NewUse[]): string[] => all.map(contentOf).toSorted();
  return canonical(texts(held)) === canonical(texts(uses));
}

function contentOf(use: NewUse): string {
  const { pointer, name, reference, kind, secret_id, authorised_by } = use;
  const { target_scope_id, target_source_id, target_key, target_field } = use;
  const target = [target_scope_id, target_source_id, target_key, target_field, secret_id];
  return JSON.stringify([pointer, name, reference, kind, authorised_by, ...target]);
}

/**
 * Records what was refused and throws: `permission_missing` when USE is all that is missing of something the caller sees,
 * `feature_disabled` when references are off, else `reference_unresolved`; all name every field.
 */
export async function refuseSave(
  store: Store,
  caller: Caller,
  domain: ScopeRef,
  problems: readonly SaveProblem[],
): Promise<never> {
  const denied = problems.filter(
    ({ failure }) =>
      failure === 'use-missing' ||
      failure === 'not-yours' ||
      failure === 'authoriser-gone' ||
      failure === 'feature-disabled',
  );
  const audit: AuditEvent[] = denied.map(({ wanted, because }) => ({
    principal: caller.id,
    principalName: caller.name,
    action: 'secret.use',
    outcome: 'denied',
    scope: { id: domain.id, name: domain.name },
    object: { type: 'secret', id: '', name: wanted.reference.key },
    requestId: caller.requestId,
    network: caller.network,
    reference: wanted.text,
    because,
  }));
  if (audit.length > 0) await store.execute('access.record', undefined, { audit });
  const errors = problems.map(({ error }) => error);
  if (problems.every(({ failure }) => failure === 'use-missing')) {
    const names = problems.map(({ wanted }) => wanted.text).join(', ');
    throw new StrongroomError('permission_missing', { detail: `It needs USE on ${names}.`, errors });
  }
  if (problems.every(({ failure }) => failure === 'feature-disabled'))
    throw new StrongroomError('feature_disabled', {
      detail: 'References are turned off on this installation.',
      errors,
    });
  throw new StrongroomError('reference_unresolved', {
    detail: errors.length === 1 ? '1 reference does not resolve.' : `${errors.length} references do not resolve.`,
    errors,
  });
}
