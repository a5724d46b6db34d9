import { formatReference, reservedSourceName } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { AccessSnapshot, ScopeRef } from '../access/types.ts';
import { decideUse, findTarget } from '../launches/targets.ts';
import type { Store } from '../store/store.ts';
import { type Finding, keyFor, messageOf } from './findings.ts';

/** How many names are tried for a secret that is made of a plain text. */
export const keyAttempts = 9;

/** A finding as it is reported. */
export interface FindingView {
  readonly pointer: string;
  readonly name: string;
  readonly line: number;
  readonly kind: Finding['kind'];
  readonly names?: string;
  readonly becomes?: string;
  readonly createsSecret?: true;
  readonly stays?: NonNullable<Finding['stays']>;
  readonly message?: string;
}

export interface JudgeParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly snapshot: AccessSnapshot;
  readonly scope: ScopeRef;
}

/**
 * What the catalogue says of a document's findings, for who asks: a reference that could not be saved stands for nothing, and
 * a plain text gets the name that its secret would have. Reads no value.
 */
export async function judge(
  parts: JudgeParts,
  configuration: string,
  findings: readonly Finding[],
): Promise<{ readonly finding: Finding; readonly view: FindingView }[]> {
  const judged: { finding: Finding; view: FindingView }[] = [];
  const taken = new Set<string>();
  for (const finding of findings) {
    const settled = await settle(parts, configuration, finding, taken);
    judged.push({ finding: settled, view: viewOf(settled) });
  }
  return judged;
}

async function settle(
  { store, access, snapshot, scope }: JudgeParts,
  configuration: string,
  finding: Finding,
  taken: Set<string>,
): Promise<Finding> {
  const { reference, ...bare } = finding;
  if (finding.canBecomeSecret === true) {
    const { canBecomeSecret: _, ...plain } = bare;
    const key = await freeKey(store, scope, configuration, finding.name, taken);
    if (key === undefined) return { ...plain, stays: 'key-taken' };
    taken.add(key);
    return { ...finding, reference: { scope: scope.kind, source: reservedSourceName, key } };
  }
  if (reference === undefined) return finding;
  const target = await findTarget(store, scope, reference);
  const { failure } = await decideUse(access, snapshot, scope, reference, target);
  if (failure === null) return finding;
  const isAbsent = failure === 'missing' || failure === 'deleted' || failure === 'source-unknown';
  return { ...bare, stays: isAbsent ? 'unknown-key' : 'not-usable' };
}

async function freeKey(
  store: Store,
  scope: ScopeRef,
  configuration: string,
  name: string,
  taken: ReadonlySet<string>,
): Promise<string | undefined> {
  for (let attempt = 1; attempt <= keyAttempts; attempt += 1) {
    const key = keyFor(configuration, name, attempt);
    if (!taken.has(key) && !(await store.query('placeholders.isKeyTaken', { scopeId: scope.id, key }))) return key;
  }
  return undefined;
}

function viewOf({ pointer, name, line, kind, names, reference, canBecomeSecret, stays }: Finding): FindingView {
  return {
    pointer,
    name,
    line,
    kind,
    ...(names === undefined ? {} : { names }),
    ...(reference === undefined ? {} : { becomes: formatReference(reference) }),
    ...(canBecomeSecret === true ? { createsSecret: true } : {}),
    ...(stays === undefined ? {} : { stays, message: messageOf(stays) }),
  };
}
