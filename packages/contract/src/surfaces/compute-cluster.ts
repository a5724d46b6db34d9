import { Type } from 'typebox';
import { Label } from '../names.ts';
import { Closed } from '../route.ts';
import {
  commonInput,
  configurationFields,
  environmentInput,
  launchInput,
  memoryPattern,
  NamedValues,
  RunningState,
  sparkConfigInput,
  Warning,
} from './fields.ts';
import { formKeyword } from './unresolved-fields.ts';

/** A compute cluster: Spark that runs until it is stopped, for whoever connects to it. */

const shared = {
  description: commonInput.description,
  ...launchInput,
  image: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  sizes: Type.Optional(
    Closed({
      workers: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Default: 1' })),
      workerCores: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
      workerMemory: Type.Optional(Type.String({ pattern: memoryPattern })),
    }),
  ),
};

const input = { ...shared, ...commonInput, ...environmentInput, ...sparkConfigInput };

export const ComputeClusterCreate = Closed({ name: Label, ...input }, { [formKeyword]: 'compute-cluster' });
/** A whole new document; what is left out is gone. `bundle` left out: unchanged. */
export const ComputeClusterUpdate = Closed(
  { name: Type.Optional(Label), ...input },
  { [formKeyword]: 'compute-cluster' },
);

export const ComputeCluster = Closed({
  ...configurationFields,
  ...shared,
  environment: NamedValues,
  sparkConfig: NamedValues,
  running: Type.Optional(RunningState),
  warnings: Type.Array(Warning),
});
