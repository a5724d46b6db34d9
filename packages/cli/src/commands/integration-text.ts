import type { CallResult } from '@strongroom/sdk';
import type { Output } from '../output/output.ts';
import { count, duration, localTime } from '../output/text.ts';

type Integration = CallResult<'showDomainIntegration'>;
type Tested = CallResult<'testDomainIntegration'>;
type Health = Integration['health'];
type Index = Integration['index'];

export function printIntegration(output: Output, found: Integration): void {
  const { authentication, ...settings } = found.settings as Readonly<Record<string, unknown>>;
  output.facts({
    name: found.name,
    id: found.id,
    type: found.type,
    description: found.description === '' ? undefined : found.description,
    bundle: found.bundle,
    ...textsOf(settings),
    ...textsOf(authentication),
    profile: found.profile,
    credentials: found.credentials
      .map(({ name, version, setAt, setBy }) => `${name} ${version}, set ${localTime(setAt)} by ${setBy}`)
      .join('; '),
    health: healthText(found.health),
    index: indexText(found.index),
    'used by': count(found.usedBy, 'field'),
    updated: `${localTime(found.updatedAt)} by ${found.updatedBy}`,
    revision: `${found.revision}`,
  });
}

function textsOf(settings: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(Object(settings)).map(([name, value]) => [name, String(value)]));
}

export function healthText({ state, error, checkedAt }: Health): string {
  if (error !== undefined) return `${state} since ${localTime(checkedAt)}: ${error.message} (${error.code})`;
  return checkedAt === null ? state : `${state}, ${localTime(checkedAt)}`;
}

export function indexText({ keys, isComplete, ageSeconds }: Index): string {
  if (ageSeconds === null) return 'not listed yet';
  return `${count(keys, 'key')}${isComplete ? '' : ', cut'}, ${duration(ageSeconds * 1000)} old`;
}

/** A line for each step of a tried connection. */
export function printTest(output: Output, { lines }: Tested): void {
  output.table(
    [{ title: 'STEP' }, { title: 'OUTCOME' }, { title: 'MESSAGE', canWrap: true, isOptional: true }],
    lines.map(({ step, outcome, message }) => [step, outcome, message]),
  );
}
