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
  Warning,
} from './fields.ts';
import { formKeyword } from './unresolved-fields.ts';

/** A notebook: a Jupyter server that runs until it is stopped. */

const shared = {
  description: commonInput.description,
  ...launchInput,
  image: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  sizes: Type.Optional(
    Closed({
      cores: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
      memory: Type.Optional(Type.String({ pattern: memoryPattern })),
    }),
  ),
};

const input = { ...shared, ...commonInput, ...environmentInput };

export const NotebookCreate = Closed({ name: Label, ...input }, { [formKeyword]: 'notebook' });
/** A whole new document; what is left out is gone. `bundle` left out: unchanged. */
export const NotebookUpdate = Closed({ name: Type.Optional(Label), ...input }, { [formKeyword]: 'notebook' });

export const Notebook = Closed({
  ...configurationFields,
  ...shared,
  environment: NamedValues,
  running: Type.Optional(RunningState),
  warnings: Type.Array(Warning),
});
