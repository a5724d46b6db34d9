import { type Client, type StrongroomError, StrongroomError as SdkError } from '@strongroom/sdk';
import { type Impact, isHit } from '../commands/impact.ts';
import { UsageError } from '../errors.ts';
import { changesBetween, type FieldChange } from './diff.ts';
import type { Lists } from './lists.ts';
import type { Manifest, ManifestScope, ManifestShape } from './manifest.ts';

/** What an apply is done with. */
export interface ApplyContext {
  readonly client: Client;
  /** What objects that it makes are marked with. */
  readonly manager: string;
  /** Take away what it made and the manifests no longer have. */
  readonly prunes: boolean;
  readonly lists: Lists;
}

/** What was done to an object. */
export interface Applied {
  readonly outcome: 'created' | 'changed' | 'unchanged';
  /** As the API answers it. */
  readonly object: unknown;
  readonly revision?: number;
  readonly warnings?: readonly Warning[];
}

export interface Warning {
  readonly pointer: string;
  readonly message: string;
}

/** What an apply would do to one object of a manifest. */
export type Planned =
  | { readonly outcome: 'unchanged'; readonly applied: Applied }
  | {
      readonly outcome: 'create' | 'change';
      readonly changes: readonly FieldChange[];
      /** What the server had against it when it was tried: what it needs may be made before it. */
      readonly problem?: StrongroomError;
      /** What could not be tried before it is there. */
      readonly untried?: string;
      readonly hits?: readonly Hit[];
      readonly apply: () => Promise<Applied>;
    }
  /** It can't be made without a value, which no manifest holds. */
  | {
      readonly outcome: 'wait';
      readonly reason: string;
      readonly changes: readonly FieldChange[];
      /** What the server has against it besides. */
      readonly problem?: StrongroomError;
    };

/** What stops working by a change, as far as it is told. */
export interface Hit {
  /** The part of the object whose change it is; absent: there is one. */
  readonly field?: string;
  readonly impact: Impact;
}

/** What the steps before a deletion leave of other objects of its place. */
export interface StepsBefore {
  readonly deletes: (kind: string, name: string) => boolean;
  readonly manifestOf: (kind: string, name: string) => Manifest | undefined;
}

/** What an earlier apply made and no manifest has any more. */
export interface Prunable {
  readonly name: string;
  /** What taking it away would hit; absent: that stands for itself. */
  readonly impact?: () => Promise<Impact>;
  /** What it would be refused for, which no step of this apply takes away. */
  readonly obstacle?: (before: StepsBefore) => Promise<string | undefined>;
  /** What is not taken away with it, though one may think so, and by no step before. */
  readonly remainder?: (before: StepsBefore) => Promise<string | undefined>;
  readonly remove: () => Promise<unknown>;
}

/** One kind of objects that manifests are about. */
export interface ObjectKind extends ManifestShape {
  /** As people call one. */
  readonly word: string;
  /** What is needed is made before what needs it, and taken away after it. */
  readonly rank: number;
  readonly plan: (context: ApplyContext, manifest: Manifest) => Promise<Planned>;
  /** Those in a place that this manager made; absent: none is ever taken away. */
  readonly managed?: (context: ApplyContext, place: PrunedPlace) => Promise<readonly Prunable[]>;
}

/** Where objects may be taken away. */
export interface PrunedPlace {
  readonly scope: Exclude<ManifestScope, 'platform'>;
  readonly domain: string;
}

/** `undefined` for what is not there, or not yours. */
export async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (error instanceof SdkError && error.code === 'not_found') return undefined;
    throw error;
  });
}

/** What the server has against something that is tried. @throws what is no refusal of it, such as a server that is away */
export async function problemOf(tried: Promise<unknown>): Promise<{ readonly problem?: StrongroomError }> {
  try {
    await tried;
    return {};
  } catch (error) {
    if (error instanceof SdkError && error.status < 500) return { problem: error };
    throw error;
  }
}

/**
 * What a change would hit; nothing where it hits nothing.
 * @throws what is no refusal of it: who may not make the change is told so when it is made
 */
export async function hitBy(read: () => Promise<Impact>, field?: string): Promise<readonly Hit[]> {
  try {
    const impact = await read();
    return isHit(impact) ? [{ impact, ...(field === undefined ? {} : { field }) }] : [];
  } catch (error) {
    if (error instanceof SdkError && error.status < 500) return [];
    throw error;
  }
}

/** Of a creation that is only tried. */
export const tried = { query: { dryRun: true } } as const;

/** A new object's fields. */
export function creation(body: Readonly<Record<string, unknown>>, names: readonly string[]): FieldChange[] {
  const rest = Object.entries(body).filter(([field]) => !names.includes(field) && field !== 'managedBy');
  return changesBetween({}, Object.fromEntries(rest));
}

/**
 * What an object that is there is marked with after this: nothing where people made it, unless the manifest says so.
 * @throws UsageError when another manager has it
 */
export function managerOf(
  { managedBy: wanted, where, name }: Manifest,
  current: string | undefined,
  { manager }: Pick<ApplyContext, 'manager'>,
): string | undefined {
  if (wanted !== undefined || current === undefined || current === manager) return wanted ?? current;
  throw new UsageError(
    `${where}: ${name} is managed by ${current}, not by ${manager}`,
    `Change it there; or --managed-by '${current}'; or write managedBy: ${manager} into the manifest, which takes it over.`,
  );
}

/** Of the fields that a manifest names, those that differ. */
export function namedChanges(
  body: Readonly<Record<string, unknown>>,
  shown: Readonly<Record<string, unknown>>,
  fields: readonly string[],
): { readonly changes: FieldChange[]; readonly body: Record<string, unknown> } {
  const named = fields.filter((field) => body[field] !== undefined);
  const changed = named.filter(
    (field) => changesBetween({ [field]: shown[field] }, { [field]: body[field] }).length > 0,
  );
  const only = (from: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(changed.map((field) => [field, from[field]]));
  return { changes: changesBetween(only(shown), only(body)), body: only(body) };
}

/** @throws UsageError naming the first field that the kind has not: what is misspelt would be ignored */
export function refuseUnknown({ body, where }: Manifest, fields: readonly string[]): void {
  const unknown = Object.keys(body).find((field) => !fields.includes(field));
  if (unknown !== undefined)
    throw new UsageError(`${where}: ${unknown} is no field of it`, `It has ${fields.join(', ')}.`);
}
