import type { Action } from '@strongroom/contract';

/**
 * What happened, as a caller of the audit chain says it. The chain adds time, sequence, hashes. Everything in it is a name,
 * an id or a count; never a value, a token or a raw error text.
 */
export interface AuditEvent {
  /** The id of the principal, or `anonymous`, or `system`. */
  readonly principal: string;
  /** `user:ann`, `service-account:finance-etl`: as people know it at that time. */
  readonly principalName: string;
  /** An action of the table, or an event of the system (`sign-in`, `sign-out`, `launch.resolve`, `restore`, …). */
  readonly action: Action | AuditVerb;
  readonly outcome: 'allowed' | 'denied' | 'failed';
  /** Scope id and name concerned. */
  readonly scope?: { readonly id: string; readonly name: string };
  /** What it was done to. */
  readonly object?: { readonly type: string; readonly id: string; readonly name: string };
  readonly requestId?: string;
  readonly network?: string;
  readonly launch?: string;
  readonly reference?: string;
  readonly source?: string;
  readonly version?: string;
  /** `because` of the decision, or names of changed fields: short, closed vocabulary. */
  readonly because?: readonly string[];
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

/** Things that are recorded and are not actions somebody is allowed or refused. */
type AuditVerb =
  | 'sign-in'
  | 'sign-out'
  | 'session.revoke'
  | 'token.issue'
  | 'token.revoke'
  | 'launch.resolve'
  | 'launch.start'
  | 'launch.end'
  | 'launch.remove'
  | 'secret.import'
  | 'integration.test'
  | 'integration.refresh'
  | 'preflight'
  | 'surface.test'
  | 'surface.use'
  | 'explain'
  | 'keys.rotate'
  | 'keys.destroy'
  | 'backup'
  | 'restore'
  | 'recovery.create'
  | 'recovery.confirm'
  | 'server.start'
  | 'server.stop'
  | 'denials.anonymous'
  | 'audit.checkpoint'
  | 'audit.export'
  | 'audit.archive'
  | 'alarm';
