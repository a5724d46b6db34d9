import { formatReference, parseReference, StrongroomError, type SurfaceName } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { Store } from '../store/store.ts';
import { canonical } from '../surfaces/compare.ts';
import { maySee } from '../surfaces/registry.ts';
import { type ConfigurationRow, findConfiguration } from '../surfaces/rows.ts';
import { assetOf } from '../surfaces/views.ts';
import type { DatabricksScopes } from './findings.ts';
import type { ConfigurationPosition } from './queries.ts';

export interface NamedConfiguration {
  readonly surface: SurfaceName;
  readonly name: string;
  /** Only while it is at this one. */
  readonly revision?: number;
  /** Only these fields. */
  readonly pointers?: readonly string[];
}

/** A page ends with the configuration that brings its findings to this many: one text may hold thousands. */
export const maxPageFindings = 2000;

/** What is asked about configurations. */
export interface LegacyOptions {
  readonly configurations?: readonly NamedConfiguration[];
  readonly databricksScopes?: readonly { readonly name: string; readonly target: string }[];
}

export interface LegacyPage {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface SelectionParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly areReferencesEnabled: () => MaybePromise<boolean>;
}

/** A configuration that the caller may see. */
export interface Selected {
  readonly row: ConfigurationRow;
  readonly asked: NamedConfiguration | undefined;
}

export interface Selection {
  readonly items: readonly Selected[];
  readonly nextCursor?: string;
  /** Where a page goes on that ends early; absent where configurations were named. */
  readonly cursorAfter?: (one: Selected) => string;
}

/**
 * One page of what the caller may see: the configurations named, or all of the scope by kind and name.
 * @param verb what is done with them; a cursor is good for the same question only
 * @throws StrongroomError `validation_failed` for one that is not there or not the caller's; `cursor_invalid`
 */
export async function selectConfigurations(
  { store, access, keys }: SelectionParts,
  caller: Caller,
  scope: ScopeRef,
  verb: 'scan' | 'migrate' | 'undo',
  options: LegacyOptions,
  { limit = 50, cursor }: LegacyPage,
): Promise<Selection> {
  const mayView = (row: ConfigurationRow): boolean => maySee(access, caller.snapshot, assetOf(row, scope));
  if (options.configurations !== undefined)
    return { items: await selectNamed(store, scope, options.configurations, mayView) };
  const binding = JSON.stringify([`placeholders.${verb}`, caller.id, scope.id, canonical(options)]);
  const after = cursor === undefined ? undefined : readPosition(keys.openCursor(cursor, binding));
  const rows = await store.query('placeholders.configurations', {
    scopeId: scope.id,
    isChanged: verb === 'undo',
    limit: limit + 1,
    ...(after === undefined ? {} : { after }),
  });
  const page = rows.slice(0, limit);
  const items = page.filter(mayView).map((row) => ({ row, asked: undefined }));
  const sealAfter = ({ surface, name }: ConfigurationRow): string => keys.sealCursor({ surface, name }, binding);
  const cursorAfter = ({ row }: Selected): string => sealAfter(row);
  const last = page.at(-1);
  if (rows.length <= limit || last === undefined) return { items, cursorAfter };
  return { items, nextCursor: sealAfter(last), cursorAfter };
}

async function selectNamed(
  store: Store,
  scope: ScopeRef,
  named: readonly NamedConfiguration[],
  mayView: (row: ConfigurationRow) => boolean,
): Promise<Selected[]> {
  const items: Selected[] = [];
  const errors: { readonly pointer: string; readonly message: string }[] = [];
  for (const [index, asked] of named.entries()) {
    const row = await findConfiguration(store, scope.id, asked.surface, asked.name);
    if (row === undefined || !mayView(row))
      errors.push({ pointer: `/configurations/${index}/name`, message: 'Not found, or not yours.' });
    else if (items.some((other) => other.row.id === row.id))
      errors.push({ pointer: `/configurations/${index}/name`, message: 'It is there twice.' });
    else items.push({ row, asked });
  }
  if (errors.length > 0) throw new StrongroomError('validation_failed', { errors });
  return items;
}

function readPosition(position: unknown): ConfigurationPosition {
  const { surface, name } = (position ?? {}) as Record<string, unknown>;
  if (typeof surface !== 'string' || typeof name !== 'string') throw new StrongroomError('cursor_invalid');
  return { surface, name };
}

/** @throws StrongroomError `validation_failed` for a scope named twice, or a target that makes no reference */
export function readDatabricksScopes(
  scope: ScopeRef,
  { databricksScopes = [] }: Pick<LegacyOptions, 'databricksScopes'>,
): DatabricksScopes {
  const scopes = new Map<string, string>();
  const errors: { readonly pointer: string; readonly message: string }[] = [];
  for (const [index, { name, target }] of databricksScopes.entries()) {
    const pointer = `/databricksScopes/${index}`;
    if (scopes.has(name)) errors.push({ pointer: `${pointer}/name`, message: 'The scope is there twice.' });
    const problem = targetProblem(scope, target);
    if (problem !== undefined) errors.push({ pointer: `${pointer}/target`, message: problem });
    scopes.set(name, target);
  }
  if (errors.length > 0) throw new StrongroomError('validation_failed', { errors });
  return scopes;
}

const anyKey = 'key';

function targetProblem(scope: ScopeRef, target: string): string | undefined {
  try {
    const reference = parseReference(`${target}${anyKey}`);
    if (reference.scope !== 'global' && reference.scope !== scope.kind)
      return `Configurations here may refer to global and ${scope.kind}.`;
    // The key is to be the end of the reference's own key.
    return formatReference(reference).endsWith(anyKey) && reference.field === undefined
      ? undefined
      : 'It ends where the key begins.';
  } catch (error) {
    if (error instanceof StrongroomError) return error.message;
    throw error;
  }
}
