import { StrongroomError } from '@strongroom/contract/core';
import { type RawBuilder, sql } from 'kysely';

/** Where keys come from: part of their order. */
export interface KeyPlace {
  readonly scope: string;
  readonly sourceId: string;
}

/** The order of keys of all sources together: by folded key, scope, source and exact key. */
export interface KeyPosition extends KeyPlace {
  readonly foldedKey: string;
  readonly key: string;
}

/** At most so many of what was read in each place, in one order. */
export function inKeyOrder<Found extends KeyPosition>(found: readonly Found[], limit: number): Found[] {
  return found.toSorted(comparePositions).slice(0, limit);
}

/**
 * Where a page begins in one place: at the position when it is this place's own, else before or behind all of its key. For rows
 * with `folded_key` and `key`.
 */
export function startsAt(place: KeyPlace, { foldedKey, key, ...from }: KeyPosition): RawBuilder<boolean> {
  const order = comparePlaces(place, from);
  if (order === 0) return sql<boolean>`(folded_key, key) >= (${foldedKey}, ${key})`;
  return order > 0 ? sql<boolean>`folded_key >= ${foldedKey}` : sql<boolean>`folded_key > ${foldedKey}`;
}

/** The position alone, as a cursor has it. */
export function positionOf({ foldedKey, scope, sourceId, key }: KeyPosition): KeyPosition {
  return { foldedKey, scope, sourceId, key };
}

/** The position of an opened cursor. @throws StrongroomError `cursor_invalid`, also for what could not be opened (`null`) */
export function readPosition(payload: Readonly<Record<string, unknown>> | null): KeyPosition {
  const { foldedKey, scope, sourceId, key } = payload ?? {};
  if (typeof foldedKey !== 'string' || typeof scope !== 'string') throw new StrongroomError('cursor_invalid');
  if (typeof sourceId !== 'string' || typeof key !== 'string') throw new StrongroomError('cursor_invalid');
  return { foldedKey, scope, sourceId, key };
}

function comparePositions(a: KeyPosition, b: KeyPosition): number {
  return compare(a.foldedKey, b.foldedKey) || comparePlaces(a, b) || compare(a.key, b.key);
}

function comparePlaces(a: KeyPlace, b: KeyPlace): number {
  return compare(a.scope, b.scope) || compare(a.sourceId, b.sourceId);
}

/** As both databases order text: by code point. JavaScript's order of surrogates is another one. */
function compare(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** UTF-16 code units in the order of the code points that they begin. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
