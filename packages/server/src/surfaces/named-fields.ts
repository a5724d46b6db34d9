import { parseText, type Reference, referenceFromObject, type ReferenceObject } from '@strongroom/contract';
import type { ScopeRef } from '../access/types.ts';
import type { Field, FieldProblems } from './definition.ts';
import { exposureOf, variableExposureOf } from './exposed-properties.ts';
import { checkPlainText } from './plain-text.ts';
import { type IometeSecret, readIometeSecret, readReference, type SecretInput } from './reference-input.ts';

/** Lists of `{name, value | secret}`: variables and properties, of every surface that has them. */

/** As documents hold it: one of value and secret. */
export interface NamedField {
  readonly name: string;
  readonly value?: string;
  readonly secret?: ReferenceObject;
}

/** As it is sent. */
export interface NamedInput {
  readonly name: string;
  readonly value?: string;
  readonly secret?: SecretInput;
}

/** What reading lists collects. */
export interface FieldReader {
  readonly scope: ScopeRef;
  readonly problems: FieldProblems;
  /** Pointers of the document that came from elsewhere in the request. */
  readonly origins: Map<string, string>;
}

/** A reference as documents hold it. */
export function toReferenceObject(reference: Reference): ReferenceObject {
  const { scope, source, key, field } = reference;
  return field === undefined ? { scope, source, key } : { scope, source, key, field };
}

export function fromReferenceObject(object: ReferenceObject): Reference {
  return referenceFromObject(object);
}

interface EnvironmentInput {
  readonly environment?: readonly NamedInput[];
  readonly envSecrets?: readonly IometeSecret[];
}

interface SparkConfigInput {
  readonly sparkConfig?: readonly NamedInput[];
  readonly sparkConfSecrets?: readonly IometeSecret[];
}

export function readEnvironment(reader: FieldReader, input: EnvironmentInput): NamedField[] {
  return readList(reader, 'environment', input.environment ?? [], 'envSecrets', input.envSecrets ?? []);
}

export function readSparkConfig(reader: FieldReader, input: SparkConfigInput): NamedField[] {
  return readList(reader, 'sparkConfig', input.sparkConfig ?? [], 'sparkConfSecrets', input.sparkConfSecrets ?? []);
}

function readList(
  reader: FieldReader,
  list: 'environment' | 'sparkConfig',
  entries: readonly NamedInput[],
  iometeList: string,
  iometeEntries: readonly IometeSecret[],
): NamedField[] {
  const { problems } = reader;
  const result: NamedField[] = [];
  const names = new Set<string>();
  const isNew = (name: string, pointer: string): void => {
    if (names.has(name)) problems.add(pointer, 'The name is there twice.');
    names.add(name);
  };
  for (const [index, entry] of entries.entries()) {
    const pointer = `/${list}/${index}`;
    isNew(entry.name, `${pointer}/name`);
    const field = readEntry(reader, entry, pointer);
    if (field === undefined) continue;
    result.push(field);
    checkExposed(list, field, pointer, problems);
  }
  for (const [index, entry] of iometeEntries.entries()) {
    const pointer = `/${iometeList}/${index}`;
    isNew(entry.key, `${pointer}/key`);
    checkIometeName(list, entry.key, `${pointer}/key`, problems);
    const reference = readIometeSecret(entry.secretObject, `${pointer}/secretObject`, reader.scope, problems);
    if (reference === undefined) continue;
    reader.origins.set(`/${list}/${result.length}/secret`, `${pointer}/secretObject`);
    const field = { name: entry.key, secret: toReferenceObject(reference) };
    result.push(field);
    checkExposed(list, field, pointer, problems, 'secretObject');
  }
  return result;
}

function readEntry(reader: FieldReader, entry: NamedInput, pointer: string): NamedField | undefined {
  const { problems, scope } = reader;
  if ((entry.value === undefined) === (entry.secret === undefined)) {
    problems.add(pointer, 'Give either "value" or "secret".');
    return undefined;
  }
  if (entry.secret !== undefined) {
    const reference = readReference(entry.secret, `${pointer}/secret`, problems, scope);
    return reference === undefined ? undefined : { name: entry.name, secret: toReferenceObject(reference) };
  }
  const value = entry.value ?? '';
  checkPlainText(value, `${pointer}/value`, problems);
  return { name: entry.name, value };
}

/** By list, which documents know as `environment` and `sparkConfig`. */
function exposureIn(list: string, name: string): string | undefined {
  return list === 'sparkConfig' ? exposureOf(name) : variableExposureOf(name);
}

function checkExposed(
  list: string,
  field: NamedField,
  pointer: string,
  problems: FieldProblems,
  secret = 'secret',
): void {
  const exposure = isSecretField(field) ? exposureIn(list, field.name) : undefined;
  if (exposure !== undefined) problems.add(`${pointer}/${field.secret === undefined ? 'value' : secret}`, exposure);
}

const variableName = /^(?!STRONGROOM_)[A-Za-z_][A-Za-z0-9_]{0,254}$/;
const sparkProperty = /^spark\.[A-Za-z0-9._-]{1,248}$/;

/** The schema checks the names of the other lists; IOMETE's has one shape for both. */
function checkIometeName(
  list: 'environment' | 'sparkConfig',
  name: string,
  pointer: string,
  problems: FieldProblems,
): void {
  if (list === 'environment' && !variableName.test(name))
    problems.add(pointer, 'A variable is letters, digits and underscores, and does not begin with STRONGROOM_.');
  if (list === 'sparkConfig' && !sparkProperty.test(name)) problems.add(pointer, 'A property begins with spark.');
}

/** The places of a list that may hold a value. */
export function fieldsOf(list: string, entries: readonly NamedField[]): Field[] {
  return entries.map(({ name, value, secret }, index): Field => {
    const pointer = `/${list}/${index}`;
    const text = { kind: 'text', text: value ?? '' } as const;
    const isExposed = exposureIn(list, name) !== undefined;
    if (secret === undefined)
      return {
        pointer: `${pointer}/value`,
        name,
        content: { ...text, ...(isExposed ? { isExposed } : { canRefer: true }) },
      };
    const content = { kind: 'reference', reference: fromReferenceObject(secret) } as const;
    return { pointer: `${pointer}/secret`, name, content };
  });
}

/** Whether a value of it is secret: a reference, or a text with a placeholder. */
export function isSecretField(entry: NamedField): boolean {
  return entry.secret !== undefined || parseText(entry.value ?? '').parts.some((part) => part.kind === 'placeholder');
}
