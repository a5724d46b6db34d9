import { formatReference } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import {
  maxEnvironmentBytes,
  maxFilesBytes,
  maxVariableBytes,
  type ProcessSpec,
  type SpecFile,
} from '../../runs/process-spec.ts';
import type { Misfit, Rendered, RenderInput } from '../definition.ts';
import { escapeProperty, type Escaper, escaperOf } from '../file-formats.ts';
import { parseText, placeholderReference } from '../placeholders.ts';
import { fromReferenceObject, type NamedField, type SparkApplication, type SparkJobDocument } from './document.ts';
import { propertiesFileName } from './normalise.ts';

/** What Spark masks in its own pages by default (Spark configuration, spark.redaction.regex). */
const sparkRedaction = '(?i)secret|password|token|access[.]?key';

/** A Spark job with its values, ready to be started. Looks at each value once and keeps none. */
export function renderSparkJob(document: SparkJobDocument, input: RenderInput): Rendered {
  const renderer = new Renderer(document, input);
  const environment = new Map<string, string>();
  for (const [index, entry] of document.environment.entries())
    environment.set(entry.name, renderer.named(entry, `/environment/${index}`, checkVariable));
  const properties = renderer.properties(document);
  const files = document.files.map((_file, index) => renderer.file(document, index, environment));
  if (properties !== undefined) files.push(properties);
  const spec: ProcessSpec = {
    command: document.command ?? sparkSubmit(document.spark ?? {}, input, properties !== undefined),
    environment,
    files,
    ...(document.workingDirectory === undefined ? {} : { workingDirectory: document.workingDirectory }),
    ...(document.timeoutSeconds === undefined ? {} : { timeoutSeconds: document.timeoutSeconds }),
  };
  return {
    spec,
    writtenForms: renderer.writtenForms,
    misfits: renderer.misfits,
    problems: [...renderer.problems, ...sizeProblems(spec)],
  };
}

/** Why a text doesn't fit its place, if so. */
type Check = (name: string, text: string) => string | undefined;

function checkVariable(name: string, text: string): string | undefined {
  if (text.includes('\u0000')) return 'It holds a NUL byte, which no environment variable can.';
  const bytes = Buffer.byteLength(name) + Buffer.byteLength(text) + 2;
  return bytes > maxVariableBytes
    ? `With its name it is over ${maxVariableBytes} bytes, the system's limit for a variable; use a file.`
    : undefined;
}

/** Spark trims properties after reading them (all but CR and LF), so a value with blanks around it would be another one. */
function checkProperty(_name: string, text: string): string | undefined {
  return /^[\u0000-\u0009\u000b\u000c\u000e-\u0020]|[\u0000-\u0009\u000b\u000c\u000e-\u0020]$/.test(text)
    ? 'Spark cuts blanks around the value of a property; use an environment variable or a file.'
    : undefined;
}

class Renderer {
  readonly misfits: Misfit[] = [];
  readonly problems: string[] = [];
  readonly writtenForms: { name: string; text: string }[] = [];
  readonly #input: RenderInput;
  readonly #secretVariables: ReadonlySet<string>;

  constructor(document: SparkJobDocument, input: RenderInput) {
    this.#input = input;
    this.#secretVariables = new Set(document.environment.filter(isSecretField).map(({ name }) => name));
  }

  named(entry: NamedField, pointer: string, check: Check): string {
    if (entry.secret !== undefined) {
      const reference = formatReference(fromReferenceObject(entry.secret));
      const text = this.#text(`${pointer}/secret`, reference);
      return text === undefined ? '' : this.#checked(entry.name, text, `${pointer}/secret`, reference, check);
    }
    const place = `${pointer}/value`;
    let lastReference: string | undefined;
    const text = this.#fill(
      entry.value ?? '',
      place,
      undefined,
      (value) => value,
      (reference) => (lastReference = reference),
    );
    return this.#checked(entry.name, text, place, lastReference, check);
  }

  file(document: SparkJobDocument, index: number, environment: ReadonlyMap<string, string>): SpecFile {
    const { name, secret, content = '', template = false } = document.files[index] ?? { name: '' };
    const pointer = `/files/${index}`;
    if (secret !== undefined) {
      const value = this.#input.value(`${pointer}/secret`, formatReference(fromReferenceObject(secret)));
      return { name, content: value.reveal(), isSecret: true };
    }
    let isSecret = false;
    const text = this.#fill(
      content,
      `${pointer}/content`,
      template ? environment : undefined,
      escaperOf(name),
      () => (isSecret = true),
      name,
    );
    return { name, content: Buffer.from(text), isSecret };
  }

  /** The properties file, when there is anything to write into it. */
  properties(document: SparkJobDocument): SpecFile | undefined {
    const lines = new Map<string, string>();
    for (const [name, value] of Object.entries(derivedProperties(document))) lines.set(name, value);
    for (const [index, entry] of document.sparkConfig.entries())
      lines.set(entry.name, this.named(entry, `/sparkConfig/${index}`, checkProperty));
    if (lines.size === 0) return undefined;
    for (const entry of document.sparkConfig.filter(isSecretField)) {
      const value = lines.get(entry.name) ?? '';
      this.#wrote(entry.name, value, escapeProperty(value));
    }
    const text = [...lines].map(([name, value]) => `${name}=${escapeProperty(value)}\n`).join('');
    return { name: propertiesFileName, content: Buffer.from(text), isSecret: document.sparkConfig.some(isSecretField) };
  }

  #checked(name: string, text: string, pointer: string, reference: string | undefined, check: Check): string {
    const message = check(name, text);
    if (message !== undefined && reference !== undefined) this.misfits.push({ pointer, reference, message });
    else if (message !== undefined) this.problems.push(`${name}: ${message}`);
    return text;
  }

  /** One pass over a text; what a value contains is never read again. */
  #fill(
    text: string,
    pointer: string,
    variables: ReadonlyMap<string, string> | undefined,
    escape: Escaper,
    onSecret: (reference: string | undefined) => void,
    fileName?: string,
  ): string {
    let filled = '';
    for (const part of parseText(text, variables !== undefined).parts) {
      if (part.kind === 'literal') {
        filled += part.text;
        continue;
      }
      const reference = part.kind === 'placeholder' ? formatReference(placeholderReference(part.key)) : undefined;
      const isSecret = part.kind === 'placeholder' || this.#secretVariables.has(part.name);
      if (isSecret) onSecret(reference);
      const value = part.kind === 'variable' ? (variables?.get(part.name) ?? '') : this.#text(pointer, reference ?? '');
      if (value === undefined) continue;
      const escaped = escape(value);
      if (isSecret && escaped !== null) this.#wrote(part.kind === 'variable' ? part.name : part.key, value, escaped);
      if (escaped !== null) filled += escaped;
      else if (reference !== undefined)
        this.misfits.push({ pointer, reference, message: `The format of ${fileName} has no way to write it.` });
      else if (part.kind === 'variable')
        this.problems.push(
          `${part.name} can not be written into ${fileName}: its format has no way to write the value.`,
        );
    }
    return filled;
  }

  #wrote(name: string, value: string, written: string): void {
    if (written !== value) this.writtenForms.push({ name, text: written });
  }

  #text(pointer: string, reference: string): string | undefined {
    const value: SecretValue = this.#input.value(pointer, reference);
    const bytes = value.reveal();
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      // The decoder's error says no more than that it is not UTF-8.
      this.misfits.push({ pointer, reference, message: 'It is not UTF-8 text; use a file.' });
      return undefined;
    } finally {
      bytes.fill(0);
    }
  }
}

function isSecretField(entry: NamedField): boolean {
  return entry.secret !== undefined || parseText(entry.value ?? '').parts.some((part) => part.kind === 'placeholder');
}

/** Properties that follow from other fields; what the job sets itself stands. */
function derivedProperties(document: SparkJobDocument): Record<string, string> {
  if (document.spark === undefined) return {};
  const { sizes = {}, spark } = document;
  const secretNames = [...document.environment, ...document.sparkConfig]
    .filter(isSecretField)
    .map((entry) => `\\Q${entry.name}\\E`);
  const values: Readonly<Record<string, string | number | undefined>> = {
    'spark.driver.cores': sizes.driverCores,
    'spark.driver.memory': sizes.driverMemory,
    'spark.executor.cores': sizes.executorCores,
    'spark.executor.memory': sizes.executorMemory,
    'spark.executor.instances': sizes.executorInstances,
    'spark.driver.extraJavaOptions': spark.javaOptions,
    'spark.executor.extraJavaOptions': spark.javaOptions,
    'spark.redaction.regex': secretNames.length === 0 ? undefined : [sparkRedaction, ...secretNames].join('|'),
  };
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

function sparkSubmit(spark: SparkApplication, input: RenderInput, hasProperties: boolean): string[] {
  const { dependencies = {} } = spark;
  const listed = (option: string, items: readonly string[] | undefined): string[] =>
    items === undefined || items.length === 0 ? [] : [option, items.join(',')];
  return [
    'spark-submit',
    '--name',
    input.name,
    ...(hasProperties ? ['--properties-file', `${input.home}/${propertiesFileName}`] : []),
    ...(spark.mainClass === undefined ? [] : ['--class', spark.mainClass]),
    ...listed('--jars', dependencies.jars),
    ...listed('--packages', dependencies.packages),
    ...listed('--py-files', dependencies.pyFiles),
    ...listed('--files', dependencies.files),
    spark.mainFile ?? spark.jar ?? '',
    ...(spark.arguments ?? []),
  ];
}

function sizeProblems(spec: ProcessSpec): string[] {
  const problems: string[] = [];
  let environmentBytes = 0;
  for (const [name, value] of spec.environment)
    environmentBytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
  if (environmentBytes > maxEnvironmentBytes)
    problems.push(`The environment is over ${maxEnvironmentBytes} bytes; use files.`);
  const filesBytes = spec.files.reduce((sum, file) => sum + file.content.length, 0);
  if (filesBytes > maxFilesBytes) problems.push(`The files are over ${maxFilesBytes} bytes.`);
  return problems;
}
