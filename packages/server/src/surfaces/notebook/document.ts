import type { KubernetesOptions, NotebookCreate, NotebookUpdate } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { NamedField } from '../named-fields.ts';

/** A notebook as it is saved: one shape, references as objects. */
export interface NotebookDocument {
  readonly description?: string;
  readonly environment: readonly NamedField[];
  readonly storageConfigs?: readonly string[];
  readonly runner?: 'process' | 'kubernetes';
  readonly kubernetes?: KubernetesOptions;
  readonly image?: string;
  readonly sizes?: NotebookSizes;
}

export type NotebookInput = Static<typeof NotebookCreate> | Static<typeof NotebookUpdate>;
export type NotebookSizes = NonNullable<Static<typeof NotebookCreate>['sizes']>;
