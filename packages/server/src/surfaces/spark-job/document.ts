import type { KubernetesOptions, ReferenceObject, SparkJobCreate, SparkJobUpdate } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { NamedField } from '../named-fields.ts';

/** A Spark job as it is saved: one shape, references as objects. */
export interface SparkJobDocument {
  readonly description?: string;
  readonly command?: readonly string[];
  readonly spark?: SparkApplication;
  readonly environment: readonly NamedField[];
  readonly sparkConfig: readonly NamedField[];
  readonly files: readonly FileField[];
  readonly storageConfigs?: readonly string[];
  readonly runner?: 'process' | 'kubernetes';
  readonly kubernetes?: KubernetesOptions;
  readonly image?: string;
  readonly sizes?: SparkSizes;
  readonly timeoutSeconds?: number;
  readonly workingDirectory?: string;
}

export type SparkJobInput = Static<typeof SparkJobCreate> | Static<typeof SparkJobUpdate>;
export type SparkApplication = NonNullable<Static<typeof SparkJobCreate>['spark']>;
export type SparkSizes = NonNullable<Static<typeof SparkJobCreate>['sizes']>;

export interface FileField {
  readonly name: string;
  readonly content?: string;
  readonly secret?: ReferenceObject;
  readonly template?: boolean;
}
