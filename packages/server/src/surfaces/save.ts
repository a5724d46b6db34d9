import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { collectWanted, type Wanted } from '../launches/wanted.ts';
import type { Store } from '../store/store.ts';
import type { NewConsumption } from './commands.ts';
import { canonical } from './compare.ts';
import { checkConsumptions, type HeldConsumption, refuseConsumptions } from './consumptions.ts';
import type { Destination, SurfaceDefinition } from './definition.ts';
import { requireDestinations, unfixedSecrets } from './destinations.ts';
import type { UseRow } from './rows.ts';
import { type CheckedSave, checkSave, refuseSave } from './save-check.ts';
import { refuseUnresolved } from './texts.ts';

/** A document that somebody wants to save, and what is there so far. */
export interface Proposal<Document> {
  readonly configurationId: string;
  readonly document: Document;
  readonly origins: ReadonlyMap<string, string>;
  /** What is saved so far; `null`: nothing. */
  readonly before: Document | null;
  readonly held: readonly UseRow[];
  readonly consumed: readonly HeldConsumption[];
  /** Off: what is held stays as it is, and nothing comes to refer that did not. */
  readonly areReferencesEnabled: boolean;
}

export interface DecidedSave extends CheckedSave {
  readonly consumptions: readonly NewConsumption[];
  /** Secrets that may be sent nowhere else after this save. */
  readonly fixed: FixedDestinations | null;
}

/** Of a request that was answered before. */
export const nothingDecided = {
  uses: [],
  warnings: [],
  secretIds: [],
  authorised: [],
  problems: [],
  consumptions: [],
  fixed: null,
};

/** Secrets that get their destinations with their first use. */
export interface FixedDestinations {
  readonly secretIds: readonly string[];
  readonly destination: Destination;
}

/**
 * Decides everything that a document refers to, for who saves it.
 * @throws StrongroomError `validation_failed`, `reference_unresolved`, `permission_missing`, `feature_disabled`
 */
export async function decideSave<Document>(
  store: Store,
  access: AccessService,
  surface: SurfaceDefinition<unknown, Document>,
  current: Caller,
  scope: ScopeRef,
  proposal: Proposal<Document>,
): Promise<DecidedSave> {
  const { configurationId, document, before, held, consumed, origins, areReferencesEnabled } = proposal;
  refuseUnresolved(surface, document);
  const changesAuthority =
    before === null || canonical(surface.authorityPart(before)) !== canonical(surface.authorityPart(document));
  const wanted = collectWanted(surface.fields(document), configurationId);
  const checked = await checkSave(store, access, {
    domain: scope,
    snapshot: current.snapshot,
    wanted,
    held,
    changesAuthority,
    origins,
    areReferencesEnabled,
  });
  if (checked.problems.length > 0) return refuseSave(store, current, scope, checked.problems);
  const { consumptions, problems } = await checkConsumptions(store, access, {
    domain: scope,
    snapshot: current.snapshot,
    names: surface.consumes?.(document) ?? [],
    held: consumed,
    changesAuthority,
  });
  refuseConsumptions(problems);
  const destination = surface.credentials?.destination(document) ?? null;
  if (surface.credentials !== undefined) await requireDestinations(store, scope, wanted, destination);
  const unfixed = destination === null ? [] : await unfixedSecrets(store, scope, wanted);
  const fixed = destination === null || unfixed.length === 0 ? null : { secretIds: unfixed, destination };
  return { ...checked, consumptions, fixed };
}

/** What is done to a configuration, as the audit says it. */
export function configurationEvent(
  caller: Caller,
  scope: ScopeRef,
  object: { readonly type: string; readonly id: string; readonly name: string },
  action: AuditEvent['action'],
): AuditEvent {
  return {
    principal: caller.id,
    principalName: caller.name,
    action,
    outcome: 'allowed',
    scope: { id: scope.id, name: scope.name },
    object,
    requestId: caller.requestId,
    network: caller.network,
  };
}

/** One record for the save, and one for each reference that the saver authorises with it. */
export function saveEvents(event: AuditEvent, decided: DecidedSave, changed: readonly string[]): AuditEvent[] {
  return [
    { ...event, because: changed, detail: { references: decided.uses.length } },
    ...decided.authorised.map((wanted: Wanted): AuditEvent => ({
      ...event,
      action: 'secret.use',
      reference: wanted.text,
      detail: { variable: wanted.name },
    })),
  ];
}
