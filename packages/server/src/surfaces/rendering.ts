import { formatReference, parseText, placeholderReference } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import {
  maxEnvironmentBytes,
  maxFilesBytes,
  maxVariableBytes,
  type ProcessSpec,
  type SpecFile,
} from '../runs/process-spec.ts';
import type { ConsumedPlace, Misfit, Rendered, RenderInput } from './definition.ts';
import { exposureOf, variableExposureOf } from './exposed-properties.ts';
import { escapeProperty, type Escaper } from './file-formats.ts';
import { fromReferenceObject, isSecretField, type NamedField } from './named-fields.ts';
import { propertiesFileName } from './properties-file.ts';

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

/** A value in its place, and how it is told from what is no secret. */
export interface PlacedText {
  readonly text: string;
  readonly isSecret: boolean;
}

/** Puts values into variables, properties and files. Looks at each value once and keeps none. */
export class ValueRenderer {
  readonly misfits: Misfit[] = [];
  readonly problems: string[] = [];
  readonly writtenForms: { name: string; text: string }[] = [];
  readonly #input: RenderInput;

  constructor(input: RenderInput) {
    this.#input = input;
  }

  /** Variables by name, in their order. */
  environment(entries: readonly NamedField[]): Map<string, string> {
    const variables = new Map<string, string>();
    for (const [index, entry] of entries.entries()) {
      const exposure = isSecretField(entry) ? variableExposureOf(entry.name) : undefined;
      const check = exposure === undefined ? checkVariable : () => exposure;
      variables.set(entry.name, this.#named(entry, `/environment/${index}`, check));
    }
    return variables;
  }

  /** Properties by name, as the list of a document says them. */
  properties(entries: readonly NamedField[]): Map<string, PlacedText> {
    return new Map(
      entries.map((entry, index) => {
        const isSecret = isSecretField(entry);
        // What was saved when it was not known, or for another runner.
        const exposure = isSecret ? exposureOf(entry.name, this.#input.isForOperator) : undefined;
        const check = exposure === undefined ? checkProperty : () => exposure;
        return [entry.name, { text: this.#named(entry, `/sparkConfig/${index}`, check), isSecret }];
      }),
    );
  }

  /** What is in a place, as a variable's text. */
  variable(name: string, place: ConsumedPlace): string {
    return this.#consumed(name, place, checkVariable);
  }

  /** What is in a place, as a property's text. */
  property(name: string, place: ConsumedPlace): PlacedText {
    return { text: this.#consumed(name, place, checkProperty), isSecret: true };
  }

  /** The properties file, when there is anything to write into it. */
  propertiesFile(properties: ReadonlyMap<string, PlacedText>): SpecFile | undefined {
    if (properties.size === 0) return undefined;
    let text = '';
    for (const [name, placed] of properties) {
      const escaped = escapeProperty(placed.text);
      if (placed.isSecret) this.wrote(name, placed.text, escaped);
      text += `${name}=${escaped}\n`;
    }
    const isSecret = [...properties.values()].some((placed) => placed.isSecret);
    return { name: propertiesFileName, content: Buffer.from(text), isSecret };
  }

  /** One pass over a text; what a value contains is never read again. */
  fill(text: string, pointer: string, options: FillOptions = {}): string {
    const { variables, secretVariables, escape = (value: string) => value, fileName } = options;
    let filled = '';
    for (const part of parseText(text, variables !== undefined).parts) {
      if (part.kind === 'literal') {
        filled += part.text;
        continue;
      }
      const reference = part.kind === 'placeholder' ? formatReference(placeholderReference(part.key)) : undefined;
      const isSecret = part.kind === 'placeholder' || secretVariables?.has(part.name) === true;
      if (isSecret) options.onSecret?.(reference);
      const value = part.kind === 'variable' ? (variables?.get(part.name) ?? '') : this.#text(pointer, reference ?? '');
      if (value === undefined) continue;
      const escaped = escape(value);
      if (isSecret && escaped !== null) this.wrote(part.kind === 'variable' ? part.name : part.key, value, escaped);
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

  /** The bytes of a reference's value. */
  bytes(place: ReferencePlace): Uint8Array {
    return this.#input.value(place.pointer, place.reference).reveal();
  }

  /** The log masks how a value was written where that is not the value itself. */
  wrote(name: string, value: string, written: string): void {
    if (written !== value) this.writtenForms.push({ name, text: written });
  }

  rendered(spec: ProcessSpec): Rendered {
    const problems = [...this.problems, ...sizeProblems(spec)];
    return { spec, writtenForms: this.writtenForms, misfits: this.misfits, problems };
  }

  #named(entry: NamedField, pointer: string, check: Check): string {
    if (entry.secret !== undefined) {
      const place = { pointer: `${pointer}/secret`, reference: formatReference(fromReferenceObject(entry.secret)) };
      const text = this.#text(place.pointer, place.reference);
      return text === undefined ? '' : this.#checked(entry.name, text, place, check);
    }
    const place = { pointer: `${pointer}/value`, reference: undefined as string | undefined };
    const text = this.fill(entry.value ?? '', place.pointer, {
      onSecret: (reference) => (place.reference = reference),
    });
    return this.#checked(entry.name, text, place, check);
  }

  #consumed(name: string, place: ConsumedPlace, check: Check): string {
    const { pointer } = place;
    if ('reference' in place) return this.#checked(name, this.#text(pointer, place.reference) ?? '', place, check);
    const { text, settle } = place.content;
    const at = { pointer, reference: undefined as string | undefined };
    const filled = this.fill(text, pointer, { onSecret: (reference) => (at.reference = reference) });
    const settled = settle?.(filled) ?? { text: filled };
    if ('problem' in settled) return this.#checked(name, '', at, () => settled.problem);
    if (at.reference !== undefined) this.wrote(name, filled, settled.text);
    return this.#checked(name, settled.text, at, check);
  }

  #checked(
    name: string,
    text: string,
    { pointer, reference }: { readonly pointer: string; readonly reference: string | undefined },
    check: Check,
  ): string {
    const message = check(name, text);
    if (message !== undefined && reference !== undefined) this.misfits.push({ pointer, reference, message });
    else if (message !== undefined) this.problems.push(`${name}: ${message}`);
    return text;
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

/** What a workload asks its node for; nothing where nothing is said. */
export function resourcesOf(cores: number | undefined, memory: string | undefined): Pick<ProcessSpec, 'resources'> {
  if (cores === undefined && memory === undefined) return {};
  return {
    resources: { ...(cores === undefined ? {} : { cores }), ...(memory === undefined ? {} : { memory }) },
  };
}

/** One wanted place. */
export interface ReferencePlace {
  readonly pointer: string;
  /** Canonical. */
  readonly reference: string;
}

interface FillOptions {
  /** `${NAME}` is filled from these; absent: it is text. */
  readonly variables?: ReadonlyMap<string, string> | undefined;
  /** Those of them that are secret. */
  readonly secretVariables?: ReadonlySet<string>;
  readonly escape?: Escaper;
  /** Called with the reference of each placeholder; `undefined` for a variable that is secret. */
  readonly onSecret?: (reference: string | undefined) => void;
  readonly fileName?: string;
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
