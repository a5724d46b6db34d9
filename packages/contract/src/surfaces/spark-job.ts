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
  ReferenceFields,
  secretCapableKeyword,
  SecretInput,
  sparkConfigInput,
  surfaceLimits,
  Warning,
} from './fields.ts';
import { formKeyword } from './unresolved-fields.ts';

/** A Spark job: a command, or an application for `spark-submit`, with what it needs. */

/** Relative, no empty, dot or dot-dot segment, no backslash, no control character, at most 8 segments. */
export const relativeFilePattern = '^[A-Za-z0-9_][A-Za-z0-9._-]{0,126}(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,126}){0,7}$';

const Arguments = Type.Array(Type.String({ maxLength: surfaceLimits.argumentLength }), {
  maxItems: surfaceLimits.arguments,
});

const Sizes = Closed({
  driverCores: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
  driverMemory: Type.Optional(Type.String({ pattern: memoryPattern })),
  executorCores: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
  executorMemory: Type.Optional(Type.String({ pattern: memoryPattern })),
  executorInstances: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
});

const SparkApplication = Closed({
  mainFile: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 2048,
      description: 'A Python or R file, or a jar with a main class of its own',
    }),
  ),
  mainClass: Type.Optional(Type.String({ pattern: '^[A-Za-z_$][A-Za-z0-9_$.]{0,511}$' })),
  jar: Type.Optional(Type.String({ minLength: 1, maxLength: 2048 })),
  arguments: Type.Optional(Arguments),
  javaOptions: Type.Optional(Type.String({ maxLength: 8192 })),
  dependencies: Type.Optional(
    Closed({
      jars: Type.Optional(Arguments),
      packages: Type.Optional(Arguments),
      pyFiles: Type.Optional(Arguments),
      files: Type.Optional(Arguments),
    }),
  ),
});

const shared = {
  description: commonInput.description,
  command: Type.Optional(
    Type.Array(Type.String({ maxLength: surfaceLimits.argumentLength }), {
      minItems: 1,
      maxItems: surfaceLimits.arguments,
      description: 'An argument vector, never a shell line; takes no reference',
    }),
  ),
  spark: Type.Optional(SparkApplication),
  ...launchInput,
  image: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  sizes: Type.Optional(Sizes),
  timeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 30 * 86_400 })),
  workingDirectory: Type.Optional(
    Type.String({ pattern: '^/', maxLength: 4096, description: 'Absolute; with the process runner only' }),
  ),
};

const input = {
  ...shared,
  ...commonInput,
  ...environmentInput,
  ...sparkConfigInput,
  files: Type.Optional(
    Type.Array(
      Closed({
        name: Type.String({ pattern: relativeFilePattern, description: 'Path below the working folder' }),
        content: Type.Optional(Type.String({ maxLength: surfaceLimits.fileContentLength })),
        secret: Type.Optional(SecretInput),
        template: Type.Optional(
          Type.Boolean({ description: '`${NAME}` in `content` is filled from the environment, in one pass' }),
        ),
      }),
      { maxItems: surfaceLimits.files, [secretCapableKeyword]: true },
    ),
  ),
};

export const SparkJobCreate = Closed({ name: Label, ...input }, { [formKeyword]: 'spark-job' });
/** A whole new document; what is left out is gone. `bundle` left out: unchanged. */
export const SparkJobUpdate = Closed({ name: Type.Optional(Label), ...input }, { [formKeyword]: 'spark-job' });

const outputDocument = {
  ...shared,
  environment: NamedValues,
  sparkConfig: NamedValues,
  files: Type.Array(
    Closed({
      name: Type.String(),
      content: Type.Optional(Type.String()),
      secret: Type.Optional(ReferenceFields),
      template: Type.Optional(Type.Boolean()),
    }),
  ),
};

export const SparkJob = Closed({ ...configurationFields, ...outputDocument, warnings: Type.Array(Warning) });
