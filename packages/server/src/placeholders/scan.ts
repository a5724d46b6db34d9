import type { SurfaceName } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import { surfaceOf } from '../surfaces/registry.ts';
import { findingsIn } from './findings.ts';
import { type FindingView, judge } from './judge.ts';
import {
  type LegacyOptions,
  type LegacyPage,
  maxPageFindings,
  readDatabricksScopes,
  selectConfigurations,
  type SelectionParts,
} from './selection.ts';

export interface ScannedConfiguration {
  readonly surface: SurfaceName;
  readonly configuration: string;
  readonly revision: number;
  readonly findings: FindingView[];
}

export interface ScanPage {
  readonly items: ScannedConfiguration[];
  readonly configurations: number;
  readonly nextCursor?: string;
}

/** Looks through the configurations of a scope that the caller may see; changes nothing and reads no secret. */
export async function scanPlaceholders(
  parts: SelectionParts,
  caller: Caller,
  scope: ScopeRef,
  options: LegacyOptions,
  page: LegacyPage,
): Promise<ScanPage> {
  const scopes = readDatabricksScopes(scope, options);
  const selection = await selectConfigurations(parts, caller, scope, 'scan', options, page);
  const { items: selected, nextCursor, cursorAfter } = selection;
  const { store, access } = parts;
  const items: ScannedConfiguration[] = [];
  let count = 0;
  for (const [index, one] of selected.entries()) {
    const { row, asked } = one;
    const surface = surfaceOf(row.surface);
    const found = findingsIn(surface, surface.parse(row.document), scopes).filter(
      ({ pointer }) => asked?.pointers === undefined || asked.pointers.includes(pointer),
    );
    if (found.length === 0) continue;
    const judged = await judge({ store, access, snapshot: caller.snapshot, scope }, row.name, found);
    const findings = judged.map(({ view }) => view);
    items.push({ surface: row.surface, configuration: row.name, revision: row.revision, findings });
    count += findings.length;
    if (count >= maxPageFindings && cursorAfter !== undefined && index + 1 < selected.length)
      return { items, configurations: index + 1, nextCursor: cursorAfter(one) };
  }
  return { items, configurations: selected.length, ...(nextCursor === undefined ? {} : { nextCursor }) };
}
