import type { Action, AssetType, FieldError, Reference } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { ScopeRef } from '../access/types.ts';
import type { ProcessSpec } from '../runs/process-spec.ts';

/**
 * What a kind of configuration is to everything outside its folder. Saving, uses, preflight, listing and launching know
 * only this.
 */
export interface SurfaceDefinition<Input, Document> {
  readonly type: AssetType;
  /** As people call it: `Spark job`. */
  readonly title: string;
  readonly actions: {
    readonly create: Action;
    readonly view: Action;
    readonly update: Action;
    readonly delete: Action;
    readonly suspend: Action;
    readonly launch: Action;
  };
  /**
   * Every accepted shape to the one that is saved.
   * @throws StrongroomError `validation_failed` with all bad fields at once; no message repeats a value
   */
  normalise(input: Input, domain: ScopeRef): Normalised<Document>;
  /** The document that was saved, from its JSON. */
  parse(json: string): Document;
  /** Every plain text and every reference of the document, in a stable order. */
  fields(document: Document): readonly Field[];
  /** The part of the document that can redirect a value; changing it needs USE on every reference held. */
  authorityPart(document: Document): unknown;
  /** What a process runner starts, with the values in their places; every value is asked for by its place. */
  render(document: Document, input: RenderInput): Rendered;
}

export interface RenderInput {
  /** Name of the configuration. */
  readonly name: string;
  /** The working folder that the files will be in. */
  readonly home: string;
  /** The value of a wanted place, by pointer and canonical reference. */
  readonly value: (pointer: string, reference: string) => SecretValue;
}

export interface Rendered {
  readonly spec: ProcessSpec;
  /** How values were written where a format needed it: the log masks these, too. */
  readonly writtenForms: readonly { readonly name: string; readonly text: string }[];
  /** Values that don't fit where they are wanted; no word of the value. */
  readonly misfits: readonly Misfit[];
  /** What else stops the launch. */
  readonly problems: readonly string[];
}

export interface Misfit {
  readonly pointer: string;
  readonly reference: string;
  readonly message: string;
}

export interface Normalised<Document> {
  readonly document: Document;
  readonly warnings: readonly SaveWarning[];
  /** Pointers of the document that came from elsewhere in the request: document pointer → request pointer. */
  readonly origins: ReadonlyMap<string, string>;
}

export interface Field {
  /** RFC 6901, into the document. */
  readonly pointer: string;
  /** The variable, property or file as people know it. */
  readonly name: string;
  readonly content: FieldContent;
}

export type FieldContent =
  | { readonly kind: 'reference'; readonly reference: Reference }
  /** A text in which `${secrets.key}` is resolved at launch. */
  | { readonly kind: 'text'; readonly text: string };

export interface SaveWarning {
  readonly pointer: string;
  readonly code: 'plain-secret' | 'unknown-placeholder' | 'ignored-here' | 'unknown-key' | 'source-unavailable';
  readonly message: string;
}

/** Collects bad fields, so that one answer names all of them. */
export class FieldProblems {
  readonly errors: FieldError[] = [];

  add(pointer: string, message: string, more: Partial<FieldError> = {}): void {
    this.errors.push({ ...more, pointer, message });
  }
}
