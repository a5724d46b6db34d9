import type { Expectation } from '@strongroom/backends';
import type { AuditEvent } from '../audit/event.ts';
import type { NewSecret, SealedVersion, SetValue } from '../secrets/commands.ts';

/** What the commit of a write to a store outside the database will write; never a value. */
export type WritePlan =
  | { readonly kind: 'create'; readonly args: NewSecret; readonly audit: AuditEvent }
  | { readonly kind: 'set'; readonly args: SetValue; readonly audit: AuditEvent }
  | { readonly kind: 'purge'; readonly args: { readonly secretId: string }; readonly audit: AuditEvent };

/** How the entry of a version can be recognised. */
export interface KeptPlace {
  readonly backendVersion: string | null;
  readonly intentId: string | null;
}

export function secretIdOf(plan: WritePlan): string {
  return plan.kind === 'create' ? plan.args.id : plan.args.secretId;
}

/** The version that a plan makes, with the place of its entry. */
export function sealedIn(plan: Exclude<WritePlan, { kind: 'purge' }>, kept: KeptPlace): SealedVersion {
  return { ...plan.args.sealed, kept };
}

/** As it is stored: JSON, the fingerprint in base64. */
export function formatPlan(plan: WritePlan): string {
  if (plan.kind === 'purge') return JSON.stringify(plan);
  const { args } = plan;
  const fingerprint = Buffer.from(args.sealed.fingerprint).toString('base64');
  return JSON.stringify({ ...plan, args: { ...args, sealed: { ...args.sealed, fingerprint } } });
}

export function parsePlan(text: string): WritePlan {
  const plan = JSON.parse(text) as WritePlan;
  if (plan.kind === 'purge') return plan;
  const fingerprint = Buffer.from(String(plan.args.sealed.fingerprint), 'base64');
  const sealed = { ...plan.args.sealed, fingerprint: new Uint8Array(fingerprint) };
  return plan.kind === 'create'
    ? { ...plan, args: { ...plan.args, sealed } }
    : { ...plan, args: { ...plan.args, sealed } };
}

/** What has to be in the backend for a write over this version. */
export function expectationOf({ intentId, backendVersion }: KeptPlace): Expectation {
  if (intentId !== null) return { kind: 'intent', intentId };
  return backendVersion === null ? { kind: 'any' } : { kind: 'version', version: backendVersion };
}

/** Whether an entry is the one that a version's row speaks of. */
export function isSame(
  { intentId, backendVersion }: KeptPlace,
  entry: { readonly version: string | null; readonly intentId?: string },
): boolean {
  if (intentId !== null) return entry.intentId === intentId;
  // Edited outside and taken up as it was; without versions of single keys it can't be told from the next edit.
  return entry.intentId === undefined && entry.version === backendVersion;
}
