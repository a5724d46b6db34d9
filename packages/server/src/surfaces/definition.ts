import { type Action, type FieldError, type Reference, StrongroomError, type SurfaceName } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { ScopeRef } from '../access/types.ts';
import type { ProcessSpec } from '../runs/process-spec.ts';

/**
 * What a kind of configuration is to everything outside its folder. Saving, uses, preflight, listing and launching know
 * only this: they ask for an ability, never for a surface's name.
 */
export interface SurfaceDefinition<Input, Document> {
  readonly type: SurfaceName;
  /** As people call it: `Spark job`. */
  readonly title: string;
  /** `admin`: one for the platform, kept in the admin scope under the surface's own name; its actions are the platform's. */
  readonly scope: 'domain' | 'admin';
  readonly actions: {
    readonly create: Action;
    readonly view: Action;
    readonly update: Action;
    readonly delete: Action;
    /** Where it can be kept from being launched without being deleted. */
    readonly suspend?: Action;
    /** Where others can use it. */
    readonly consume?: Action;
  };
  /**
   * Every accepted shape to the one that is saved.
   * @throws StrongroomError `validation_failed` with all bad fields at once; no message repeats a value
   */
  normalise(input: Input, scope: ScopeRef): Normalised<Document>;
  /** The document that was saved, from its JSON. */
  parse(json: string): Document;
  /** Every plain text and every reference of the document, in a stable order. */
  fields(document: Document): readonly Field[];
  /** The part of the document that can redirect a value; changing it needs USE on every reference held. */
  authorityPart(document: Document): unknown;
  readonly launch?: LaunchAbility<Document>;
  readonly credentials?: CredentialAbility<Document>;
  /** Names of the storage configurations that it uses, in the order of `/storageConfigs`. */
  consumes?(document: Document): readonly string[];
  /** What its storage is to those who consume it. */
  storage?(document: Document): StorageSettings;
  /** The text that no other one of its scope may have; `null`: any number may be alike. */
  uniqueAs?(document: Document): string | null;
}

/** What can be started. */
export interface LaunchAbility<Document> {
  readonly action: Action;
  /** It has no end of its own: a second start while one is up is refused, and its view says what is running. */
  readonly runsUntilStopped: boolean;
  /** What a process runner starts, with the values in their places; every value is asked for by its place. */
  render(document: Document, input: RenderInput): Rendered;
}

/** Scalar fields whose typed value becomes a secret that the configuration owns, and where the values go. */
export interface CredentialAbility<Document> {
  /** Names of the fields, which the document holds under these names. */
  readonly names: readonly string[];
  /** In place of `names`, where the document says which there are. */
  namesIn?(document: Document): readonly string[];
  /** The member of the document that holds them; absent: they are at its top. */
  readonly member?: string;
  /** What its values are sent to; a change of it needs what is owned typed anew. */
  destination(document: Document): Destination | null;
  /** What else decides where they go, of whatever shape; a change of it counts as one of the destination. */
  boundTo?(document: Document): unknown;
  /** The key of an owned secret, where a store has a convention for it; absent: `TYPE.NAME.FIELD`. */
  key?(configurationName: string, field: string, document: Document): string;
}

/** Where values go, as `destinations` of a secret name it. */
export interface Destination {
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
}

export interface RenderInput {
  /** Name of the configuration. */
  readonly name: string;
  /** The working folder that the files will be in. */
  readonly home: string;
  /** What is started gets a user id of its own, which the system has no name for. */
  readonly hasOwnUser?: boolean;
  /** An operator is to start it: `spec.spark` is wanted, and no properties file. */
  readonly isForOperator?: boolean;
  /** The value of a wanted place, by pointer and canonical reference. */
  readonly value: (pointer: string, reference: string) => SecretValue;
  /** The storage configurations it consumes, in their order. */
  readonly storage: readonly ConsumedStorage[];
}

/** What a workload needs to know of an S3-compatible bucket. */
export interface StorageSettings {
  readonly provider: 'aws' | 's3-compatible';
  readonly region?: string;
  readonly endpoint?: string;
  readonly bucket: string;
  readonly basePath?: string;
  readonly usesPathStyle: boolean;
}

/** A storage configuration as a launch of its consumer has it. */
export interface ConsumedStorage extends Omit<StorageSettings, 'basePath'> {
  readonly name: string;
  /** What holds or may hold values; the first storage configuration's access key is at `/storageConfigs/0/accessKey/secret`. */
  readonly places: {
    readonly accessKey?: ConsumedPlace;
    readonly secretKey?: ConsumedPlace;
    readonly basePath?: ConsumedPlace;
  };
}

/** A canonical reference, or a text with what it needs to be filled. */
export type ConsumedPlace =
  | { readonly pointer: string; readonly reference: string }
  | { readonly pointer: string; readonly content: TextContent };

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
  /** What was sent of credential fields, which the document does not hold yet; absent where a surface has none. */
  readonly credentials?: CredentialChanges;
}

/** By field name; a field that is not there is kept. */
export type CredentialChanges = ReadonlyMap<string, CredentialChange>;

export type CredentialChange =
  | { readonly kind: 'set'; readonly value: SecretValue }
  | { readonly kind: 'refer'; readonly reference: Reference }
  /** A text with placeholders, which stays as it was written. */
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'clear' };

export interface Field {
  /** RFC 6901, into the document. */
  readonly pointer: string;
  /** The variable, property or file as people know it. */
  readonly name: string;
  readonly content: FieldContent;
}

export type FieldContent =
  | {
      readonly kind: 'reference';
      readonly reference: Reference;
      /** To a secret that the configuration owns: for nobody else, and without USE. */
      readonly isOwned?: boolean;
    }
  | TextContent;

/** A text in which `${secrets.key}` is resolved at launch, or wherever the configuration is used. */
export interface TextContent {
  readonly kind: 'text';
  readonly text: string;
  /** A reference can stand in its place, as `secret` beside the pointer, and a launch gives the same value. */
  readonly canRefer?: boolean;
  /** It is seen by others than the program: nothing secret may be in it, and a use with something secret fails. */
  readonly isExposed?: true;
  /** It stands in a credential field, in place of a reference. */
  readonly isCredential?: true;
  /** It is no credential, whatever it is called. */
  readonly isNoSecret?: true;
  /** How a value is written among other text; absent: as it is. What stands alone is not written in another way. */
  readonly escape?: (value: string) => string;
  /** How the text is used once its values are in their places; absent: as it is. */
  readonly settle?: Settle;
}

/** The text to use, or why there is none; no word of the text. */
export type Settle = (text: string) => { readonly text: string } | { readonly problem: string };

export interface SaveWarning {
  readonly pointer: string;
  readonly code:
    | 'plain-secret'
    | 'unknown-placeholder'
    | 'ignored-here'
    | 'reference-text'
    | 'unknown-key'
    | 'source-unavailable'
    | 'no-token';
  readonly message: string;
}

/** Collects bad fields, so that one answer names all of them. */
export class FieldProblems {
  readonly errors: FieldError[] = [];

  add(pointer: string, message: string, more: Partial<FieldError> = {}): void {
    this.errors.push({ ...more, pointer, message });
  }

  /** @throws StrongroomError `validation_failed` when there are any; `title` as people call the thing, `Spark job` */
  refuse(title: string): void {
    if (this.errors.length > 0)
      throw new StrongroomError('validation_failed', { detail: `The ${title} is not valid.`, errors: this.errors });
  }
}
