import { StrongroomError } from '@strongroom/contract/core';
import type { FeatureName } from '@strongroom/contract';
import type { Command } from '../store/store.ts';

/** The row of a feature flag in `settings`. */
export function featureKey(name: FeatureName): string {
  return `features.${name}.enabled`;
}

export interface SetFeature {
  readonly name: FeatureName;
  readonly isEnabled: boolean;
  readonly expectedRevision: number | null;
  readonly by: string;
}

const setFeature: Command<SetFeature, { readonly revision: number }> = async (context, args) => {
  const key = featureKey(args.name);
  const row = await context.db.selectFrom('settings').select('revision').where('key', '=', key).executeTakeFirst();
  const revision = row?.revision ?? 0;
  if (args.expectedRevision !== null && args.expectedRevision !== revision)
    throw new StrongroomError('revision_mismatch');
  const values = {
    value: JSON.stringify(args.isEnabled),
    revision: revision + 1,
    updated_at: context.now,
    updated_by: args.by,
  };
  await context.db
    .insertInto('settings')
    .values({ key, ...values })
    .onConflict((conflict) => conflict.column('key').doUpdateSet(values))
    .execute();
  return { revision: revision + 1 };
};

/** Goes the way of every write and writes nothing: the lane answers it, or isn't well. */
const probe: Command<undefined, Record<string, never>> = async () => ({});

export const operationCommands = { 'operation.setFeature': setFeature, 'operation.probe': probe };
