import type { placeholderRoutes, platformPlaceholderRoutes } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { HandlersOf } from '../http/handler.ts';
import { type MigrateOptions, type MigrateParts, PlaceholderMigration } from './migrate.ts';
import { scanPlaceholders } from './scan.ts';
import type { LegacyOptions, LegacyPage } from './selection.ts';
import { undoPlaceholders, type UndoOptions } from './undo.ts';

interface Asked<Body> {
  readonly caller: Caller;
  readonly scope: ScopeRef;
  readonly query: LegacyPage;
  readonly body: Body;
}

/** The same for a domain and for the platform's own configurations. */
export function placeholderHandlers(
  parts: MigrateParts,
): HandlersOf<typeof placeholderRoutes> & HandlersOf<typeof platformPlaceholderRoutes> {
  const migration = new PlaceholderMigration(parts);
  const scan = async ({ caller, scope, body, query }: Asked<LegacyOptions>) => ({
    body: await scanPlaceholders(parts, caller, scope, body, query),
  });
  const migrate = async ({ caller, scope, body, query }: Asked<MigrateOptions>) => ({
    body: await migration.migrate(caller, scope, body, query),
  });
  const undo = async ({ caller, scope, body, query }: Asked<UndoOptions>) => ({
    body: await undoPlaceholders(parts, caller, scope, body, query),
  });
  return {
    scanPlaceholders: scan,
    scanPlatformPlaceholders: scan,
    migratePlaceholders: migrate,
    migratePlatformPlaceholders: migrate,
    undoPlaceholders: undo,
    undoPlatformPlaceholders: undo,
  };
}
