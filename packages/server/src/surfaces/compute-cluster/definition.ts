import { surfaceActions } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { FieldProblems, type Normalised, type SaveWarning, type SurfaceDefinition } from '../definition.ts';
import { checkLaunched, given } from '../launch-inputs.ts';
import { type FieldReader, fieldsOf, readEnvironment, readSparkConfig } from '../named-fields.ts';
import type { ComputeClusterDocument, ComputeClusterInput } from './document.ts';
import { renderComputeCluster } from './render.ts';

const actions = surfaceActions['compute-cluster'];

/** The surface `compute-cluster`. */
export const computeClusterSurface = {
  type: 'compute-cluster',
  title: 'compute cluster',
  scope: 'domain',
  actions,
  normalise,
  parse: (json) => JSON.parse(json) as ComputeClusterDocument,
  fields: ({ environment, sparkConfig }) => [
    ...fieldsOf('environment', environment),
    ...fieldsOf('sparkConfig', sparkConfig),
  ],
  consumes: ({ storageConfigs = [] }) => storageConfigs,
  launch: { action: actions.launch, runsUntilStopped: true, render: renderComputeCluster },
  /** Anything but sizes and description can redirect a value: a host in a variable, a class in a property. */
  authorityPart: ({ sizes: _sizes, description: _description, ...rest }) => rest,
} satisfies SurfaceDefinition<ComputeClusterInput, ComputeClusterDocument>;

function normalise(input: ComputeClusterInput, scope: ScopeRef): Normalised<ComputeClusterDocument> {
  const problems = new FieldProblems();
  const warnings: SaveWarning[] = [];
  const origins = new Map<string, string>();
  const reader: FieldReader = { scope, problems, origins };
  const environment = readEnvironment(reader, input);
  const sparkConfig = readSparkConfig(reader, input);
  checkLaunched(input, problems, warnings);
  problems.refuse('compute cluster');
  const { description, storageConfigs, runner, kubernetes, image, sizes } = input;
  const kept = given({ description, storageConfigs, runner, kubernetes, image, sizes });
  const document = { ...kept, environment, sparkConfig };
  return { document, warnings, origins };
}
