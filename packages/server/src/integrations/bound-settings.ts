import type { BackendDeclaration } from '@strongroom/contract';
import { canonical } from '../surfaces/compare.ts';

/** Settings by JSON pointer, as JSON: what a credential was typed for. */
export type BoundSettings = readonly (readonly [pointer: string, value: unknown])[];

/** What the declaration says that a credential is bound to, as it is in these settings; what is absent is null. */
export function boundSettings({ rebinds }: Pick<BackendDeclaration, 'rebinds'>, settings: unknown): BoundSettings {
  return rebinds.map((pointer) => [pointer, valueAt(settings, pointer) ?? null]);
}

/** Pointers at which two settings differ in what credentials are bound to. */
export function reboundPointers(
  declaration: Pick<BackendDeclaration, 'rebinds'>,
  before: unknown,
  after: unknown,
): readonly string[] {
  return declaration.rebinds.filter(
    (pointer) => canonical(valueAt(before, pointer) ?? null) !== canonical(valueAt(after, pointer) ?? null),
  );
}

/** Whether settings still say everything that was bound. */
export function fulfils(bound: BoundSettings, settings: unknown): boolean {
  return bound.every(([pointer, value]) => canonical(value) === canonical(valueAt(settings, pointer) ?? null));
}

/** The value at an RFC 6901 pointer; undefined where there is none. */
function valueAt(document: unknown, pointer: string): unknown {
  let value = document;
  for (const segment of pointer.split('/').slice(1)) {
    const name = segment.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}
