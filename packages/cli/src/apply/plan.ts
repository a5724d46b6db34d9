import type { Client, StrongroomError } from '@strongroom/sdk';
import { UsageError } from '../errors.ts';
import {
  type ApplyContext,
  type Hit,
  hitBy,
  type ObjectKind,
  type Planned,
  type Prunable,
  type PrunedPlace,
  type StepsBefore,
} from './kind.ts';
import { Lists } from './lists.ts';
import { identityOf, type Manifest } from './manifest.ts';

/** What becomes of the object of a manifest. */
export interface ManifestStep {
  readonly kind: ObjectKind;
  readonly manifest: Manifest;
  readonly planned: Planned;
}

/** What is taken away. */
interface PrunedStep {
  readonly kind: ObjectKind;
  readonly place: PrunedPlace;
  readonly pruned: Prunable;
  /** What it is refused for, as things are. */
  readonly obstacle: string | undefined;
  readonly remainder: string | undefined;
  readonly hits: readonly Hit[];
}

/** One step of an apply, in the order that it is done in. */
export type Step = ManifestStep | PrunedStep;

export interface PlanOptions {
  readonly manager: string;
  readonly prunes: boolean;
  /** Where to prune although no manifest is there. */
  readonly domain: string | undefined;
  /** Told of what ends the plan before its error is thrown, which names fields alone. */
  readonly refused?: (step: ManifestStep) => void;
}

/** Objects that are looked at at once. */
const lookedAt = 8;

/**
 * What an apply of these manifests would do. Nothing is written; every answer is of the routes that a save uses.
 * @throws StrongroomError what a save would be refused with, unless something that it needs is made before it
 */
export async function makePlan(
  client: Client,
  kinds: readonly ObjectKind[],
  manifests: readonly Manifest[],
  { manager, prunes, domain, refused }: PlanOptions,
): Promise<readonly Step[]> {
  const context: ApplyContext = { client, manager, prunes, lists: new Lists(client) };
  const ordered = manifests
    .map((manifest) => ({ manifest, kind: kindOf(kinds, manifest) }))
    .toSorted((a, b) => a.kind.rank - b.kind.rank);
  const steps: ManifestStep[] = [];
  for (let start = 0; start < ordered.length; start += lookedAt)
    steps.push(
      ...(await Promise.all(
        ordered.slice(start, start + lookedAt).map(async ({ kind, manifest }) => ({
          kind,
          manifest,
          planned: await kind.plan(context, manifest),
        })),
      )),
    );
  refuseProblems(steps, refused);
  if (!prunes) return steps;
  return [...steps, ...(await prunedSteps(context, kinds, manifests, domain))];
}

function kindOf(kinds: readonly ObjectKind[], manifest: Manifest): ObjectKind {
  const kind = kinds.find((each) => each.kind === manifest.kind);
  if (kind === undefined) throw new UsageError(`there is no kind ${manifest.kind}`);
  return kind;
}

/** What is refused now may be right when what comes before it is done. */
function refuseProblems(steps: readonly ManifestStep[], refused: PlanOptions['refused']): void {
  let isAfterAnother = false;
  for (const step of steps) {
    if (step.planned.outcome === 'unchanged') continue;
    const { problem } = step.planned;
    if (problem !== undefined && (!isAfterAnother || isOwnFault(problem))) {
      refused?.(step);
      throw problem;
    }
    isAfterAnother = true;
  }
}

/** What a manifest names that another one may make: its bundle, and domains that it is assigned to. */
const madeBefore = /^\/(?:bundle$|domains\/)/;

/** Whether it is about what the manifest itself says, which no step before it mends. */
function isOwnFault({ code, errors = [] }: StrongroomError): boolean {
  return code === 'validation_failed' && !errors.some(({ pointer }) => madeBefore.test(pointer));
}

/** In the places that the manifests are about, and nowhere else. */
async function prunedSteps(
  context: ApplyContext,
  kinds: readonly ObjectKind[],
  manifests: readonly Manifest[],
  domain: string | undefined,
): Promise<PrunedStep[]> {
  const places = new Map<string, PrunedPlace>();
  for (const { scope, domain: name } of manifests)
    if (scope !== 'platform') places.set(`${scope} ${name}`, { scope, domain: name });
  if (domain !== undefined) places.set(`domain ${domain}`, { scope: 'domain', domain });
  const wanted = new Map(manifests.map((manifest) => [foldedIdentity(manifest), manifest]));
  const steps: PrunedStep[] = [];
  for (const kind of kinds.toSorted((a, b) => b.rank - a.rank))
    for (const place of places.values())
      for (const pruned of (await kind.managed?.(context, place)) ?? [])
        if (!wanted.has(foldedIdentity({ kind: kind.kind, ...place, name: pruned.name }))) {
          const hits = pruned.impact === undefined ? [] : await hitBy(pruned.impact);
          const before = stepsBefore(place, wanted, steps);
          const obstacle = await pruned.obstacle?.(before);
          steps.push({ kind, place, pruned, obstacle, remainder: await pruned.remainder?.(before), hits });
        }
  return steps;
}

function stepsBefore(
  place: PrunedPlace,
  wanted: ReadonlyMap<string, Manifest>,
  steps: readonly PrunedStep[],
): StepsBefore {
  const identityIn = (kind: string, name: string): string => foldedIdentity({ kind, ...place, name });
  const deleted = new Set(
    steps.map((step) => foldedIdentity({ kind: step.kind.kind, ...step.place, name: step.pruned.name })),
  );
  return {
    deletes: (kind, name) => deleted.has(identityIn(kind, name)),
    manifestOf: (kind, name) => wanted.get(identityIn(kind, name)),
  };
}

/** Names of principals and of integrations are folded by the server. */
function foldedIdentity(object: Pick<Manifest, 'kind' | 'scope' | 'domain' | 'name'>): string {
  return identityOf({ ...object, name: object.name.toLowerCase() });
}
