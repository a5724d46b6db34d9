import { type Command, Option } from 'commander';
import { isRecord, UsageError } from './errors.ts';
import { readInput, readStdin, utf8Text } from './input.ts';
import { type Io, isInteractive } from './io.ts';
import type { Output } from './output/output.ts';
import { askNew } from './prompt.ts';

/** A value on its way in: exactly one of the three. */
export type ValueBody =
  | { readonly value: string }
  | { readonly valueBase64: string }
  | { readonly fields: Readonly<Record<string, string>> };

export interface ValueOptions {
  readonly value?: true | string;
  readonly valueFile?: string;
  readonly base64File?: string;
  readonly field?: readonly string[];
  readonly fieldsFile?: string;
}

/** Above any store's own limit, which the server names; this one only keeps a mistaken file out of memory. */
const maxValueBytes = 8 * 1024 * 1024;

/** Where a value may come from. Not from an argument: other users see those, and shells keep them. */
export function addValueOptions(command: Command): Command {
  return command
    .option('--value-file <file>', 'take the value from a file, byte for byte (- is stdin)')
    .option('--base64-file <file>', 'take the value from a file that holds it in base64')
    .option('--field <name[=@file]>', 'one field of a value with several; asks for it without =@file', collect)
    .option('--fields-file <file>', 'take all fields from a JSON object of texts (- is stdin)')
    .addOption(new Option('--value [value]').hideHelp())
    .addHelpText(
      'after',
      '\nThe value comes from stdin, from a file, or from a hidden prompt; never from an argument.\nIt is stored byte for byte: printf %s "$VALUE" adds no newline, echo does.',
    );
}

/** An option that may be repeated. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/**
 * Reads a value from where the options say; without any from stdin, or a prompt on a terminal.
 * @throws UsageError; it never holds what was read
 */
export async function readValue(io: Io, output: Output, options: ValueOptions): Promise<ValueBody> {
  const { valueFile, base64File, field = [], fieldsFile } = options;
  if (options.value !== undefined) {
    throw new UsageError(
      'a value is never taken from an argument: other users of this machine see it, and the shell keeps it',
      'Pipe it in with printf %s "$VALUE" | strongroom …, or use --value-file.',
    );
  }
  const ways = [valueFile, base64File, field.length > 0 ? '' : undefined, fieldsFile].filter(
    (way) => way !== undefined,
  );
  if (ways.length > 1) throw new UsageError('give one of --value-file, --base64-file, --field and --fields-file');
  if (fieldsFile !== undefined) return readFieldsFile(io, fieldsFile);
  if (field.length > 0) return readFields(io, field);
  if (base64File !== undefined) return readBase64(io, base64File);
  if (valueFile !== undefined) return valueOf(output, await readInput(io, valueFile, maxValueBytes), valueFile);
  if (isInteractive(io)) return { value: await askNew(io, 'value') };
  if (io.stdin.isTTY === true) throw new UsageError('there is no value', 'Pipe it in, or use --value-file.');
  return valueOf(output, await readStdin(io, maxValueBytes), '-');
}

function valueOf(output: Output, bytes: Buffer, from: string): ValueBody {
  const text = utf8Text(bytes);
  const what = from === '-' ? 'stdin' : from;
  if (text === undefined) {
    output.note(`${what} is not UTF-8 text; it is stored as ${bytes.length} bytes of binary`);
    return { valueBase64: bytes.toString('base64') };
  }
  if (text === '') output.note(`${what} is empty, and so is the value`);
  if (text.endsWith('\n')) {
    output.note(`${what} ends in a newline, which is part of the value now; printf %s "$VALUE" leaves it out`);
  }
  return { value: text };
}

async function readBase64(io: Io, file: string): Promise<ValueBody> {
  const text = (await readInput(io, file, 2 * maxValueBytes)).toString('latin1').replaceAll(/\s/g, '');
  if (Buffer.from(text, 'base64').toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, '')) {
    throw new UsageError(`${file} is not base64 (RFC 4648 section 4)`);
  }
  return { valueBase64: Buffer.from(text, 'base64').toString('base64') };
}

async function readFieldsFile(io: Io, file: string): Promise<ValueBody> {
  const bytes = await readInput(io, file, maxValueBytes);
  let document: unknown;
  try {
    document = JSON.parse(utf8Text(bytes) ?? '');
  } catch {
    // The parser's error quotes the file.
    throw new UsageError(`${file} is not a JSON document`);
  }
  const isFields = isRecord(document) && Object.values(document).every((each) => typeof each === 'string');
  if (!isFields) throw new UsageError(`${file} is not a JSON object of texts`);
  return { fields: document as Record<string, string> };
}

async function readFields(io: Io, given: readonly string[]): Promise<ValueBody> {
  const fields = new Map<string, string>();
  for (const each of given) {
    const equals = each.indexOf('=');
    const name = equals === -1 ? each : each.slice(0, equals);
    const source = equals === -1 ? undefined : each.slice(equals + 1);
    if (name === '') throw new UsageError('a field needs a name: --field user=@user.txt');
    if (fields.has(name)) throw new UsageError(`the field ${name} is given twice`);
    if (source !== undefined && !source.startsWith('@')) {
      throw new UsageError(
        `the value of the field ${name} is not taken from an argument: other users of this machine see it`,
        `Write --field ${name}=@FILE, or --field ${name} to be asked for it.`,
      );
    }
    fields.set(name, source === undefined ? await askNew(io, `value of ${name}`) : await readField(io, name, source));
  }
  return { fields: Object.fromEntries(fields) };
}

async function readField(io: Io, name: string, source: string): Promise<string> {
  const text = utf8Text(await readInput(io, source.slice(1), maxValueBytes));
  if (text === undefined) throw new UsageError(`the value of the field ${name} is not UTF-8 text; fields are texts`);
  return text;
}
