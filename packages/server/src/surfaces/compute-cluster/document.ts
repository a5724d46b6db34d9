import type { ComputeClusterCreate, ComputeClusterUpdate, KubernetesOptions } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { NamedField } from '../named-fields.ts';

/** A compute cluster as it is saved: one shape, references as objects. */
export interface ComputeClusterDocument {
  readonly description?: string;
  readonly environment: readonly NamedField[];
  readonly sparkConfig: readonly NamedField[];
  readonly storageConfigs?: readonly string[];
  readonly runner?: 'process' | 'kubernetes';
  readonly kubernetes?: KubernetesOptions;
  readonly image?: string;
  readonly sizes?: ComputeClusterSizes;
}

export type ComputeClusterInput = Static<typeof ComputeClusterCreate> | Static<typeof ComputeClusterUpdate>;
export type ComputeClusterSizes = NonNullable<Static<typeof ComputeClusterCreate>['sizes']>;
