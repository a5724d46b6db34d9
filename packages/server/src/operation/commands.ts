import { StrongroomError } from '@strongroom/contract/core';
import type { FeatureName } from '@strongroom/contract';
import { type ChooseStore, chooseStore } from '../managed-stores/commands.ts';
import { holdersOfReferences } from './reference-holders.ts';
import type { Command, CommandContext } from '../store/store.ts';

/** The row of a feature flag in `settings`. */
export function featureKey(name: FeatureName): string {
  return `features.${name}.enabled`;
}

export interface SetFeature {
  readonly name: FeatureName;
  readonly isEnabled: boolean;
  readonly by: string;
  /** Off although configurations hold references. */
  readonly force: boolean;
}

export interface UpdateSettings {
  readonly feature: SetFeature | null;
  readonly choices: readonly ChooseStore[];
  /** Of the feature's row. */
  readonly expectedRevision: number | null;
}

/** All or nothing. @throws StrongroomError `revision_mismatch`, `in_use`, `state_conflict` for the store of a scope that holds secrets */
const updateSettings: Command<UpdateSettings, void> = async (context, { feature, choices, expectedRevision }) => {
  const key = featureKey(feature?.name ?? 'secretsV2');
  const row = await context.db
    .selectFrom('settings')
    .select(['revision', 'value'])
    .where('key', '=', key)
    .executeTakeFirst();
  const revision = row?.revision ?? 0;
  if (expectedRevision !== null && expectedRevision !== revision) throw new StrongroomError('revision_mismatch');
  const turnsOff = feature !== null && !feature.isEnabled && row?.value !== JSON.stringify(false);
  if (turnsOff && !feature.force) await requireNoReferences(context);
  if (feature !== null) await setFeature(context, key, revision + 1, feature);
  for (const choice of choices) await chooseStore(context, choice);
};

/** How many configurations are named of those that would not launch any more. */
const maxNamed = 50;

/** @throws StrongroomError `in_use`, naming the configurations: who may turn the feature off sees all of them */
async function requireNoReferences({ db }: CommandContext): Promise<void> {
  const { count, configurations } = await holdersOfReferences(db, maxNamed);
  if (count === 0) return;
  throw new StrongroomError('in_use', {
    detail: `${count} configuration${count === 1 ? ' holds' : 's hold'} references, and would not launch.`,
    hint: 'strongroom placeholders undo puts placeholders back; repeat with force to turn it off all the same.',
    errors: configurations.map(({ surface, name, scope }) => ({
      pointer: '/features/secretsV2/enabled',
      message: `${surface} ${name} of ${scope} holds references`,
    })),
  });
}

async function setFeature(context: CommandContext, key: string, revision: number, args: SetFeature): Promise<void> {
  const values = {
    value: JSON.stringify(args.isEnabled),
    revision,
    updated_at: context.now,
    updated_by: args.by,
  };
  await context.db
    .insertInto('settings')
    .values({ key, ...values })
    .onConflict((conflict) => conflict.column('key').doUpdateSet(values))
    .execute();
}

/** Goes the way of every write and writes nothing: the lane answers it, or isn't well. */
const probe: Command<undefined, Record<string, never>> = async () => ({});

export const operationCommands = { 'operation.updateSettings': updateSettings, 'operation.probe': probe };
