import { parseText } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { FieldProblems, type Normalised, type SaveWarning } from '../definition.ts';
import { checkLaunched } from '../launch-inputs.ts';
import { type FieldReader, readEnvironment, readSparkConfig, toReferenceObject } from '../named-fields.ts';
import { checkBareText, checkFileText, checkPlainText } from '../plain-text.ts';
import { templateProblem } from '../file-formats.ts';
import { propertiesFileName } from '../properties-file.ts';
import { readReference, type SecretInput } from '../reference-input.ts';
import type { FileField, SparkJobDocument, SparkJobInput } from './document.ts';

/** Every accepted shape of a Spark job to the one that is saved; all bad fields in one error. */
export function normaliseSparkJob(input: SparkJobInput, domain: ScopeRef): Normalised<SparkJobDocument> {
  const problems = new FieldProblems();
  const warnings: SaveWarning[] = [];
  const origins = new Map<string, string>();
  checkCommand(input, problems);
  const reader: FieldReader = { scope: domain, problems, origins };
  const environment = readEnvironment(reader, input);
  const sparkConfig = readSparkConfig(reader, input);
  const variables = new Set(environment.map((entry) => entry.name));
  const files = readFiles(reader, input.files ?? [], variables, warnings);
  checkLaunched(input, problems, warnings, input.spark !== undefined);
  if (input.workingDirectory !== undefined) {
    checkBareText(input.workingDirectory, '/workingDirectory', problems);
    if (input.runner === 'kubernetes')
      problems.add('/workingDirectory', 'A working folder can be set with the process runner only.');
  }
  problems.refuse('Spark job');
  return { document: { ...scalars(input), environment, sparkConfig, files }, warnings, origins };
}

function scalars(input: SparkJobInput): Partial<SparkJobDocument> {
  const { description, command, spark, runner, kubernetes, image, sizes, storageConfigs } = input;
  const { timeoutSeconds, workingDirectory } = input;
  const kept = { description, command, spark, storageConfigs, runner, kubernetes, image, sizes };
  return Object.fromEntries(
    Object.entries({ ...kept, timeoutSeconds, workingDirectory }).filter(([, value]) => value !== undefined),
  );
}

function checkCommand(input: SparkJobInput, problems: FieldProblems): void {
  const { command, spark } = input;
  if ((command === undefined) === (spark === undefined))
    problems.add('/command', 'Give either "command" (an argument vector) or "spark", not both and not neither.');
  for (const [index, argument] of (command ?? []).entries()) checkBareText(argument, `/command/${index}`, problems);
  if (command?.[0] === '') problems.add('/command/0', 'The executable has a name or a path.');
  if (spark === undefined) return;
  if ((spark.mainFile === undefined) === (spark.mainClass === undefined && spark.jar === undefined))
    problems.add('/spark', 'Give either "mainFile", or "mainClass" with "jar".');
  if ((spark.mainClass === undefined) !== (spark.jar === undefined))
    problems.add('/spark', '"mainClass" and "jar" belong together.');
  for (const name of ['mainFile', 'jar'] as const) {
    const text = spark[name];
    if (text === undefined) continue;
    checkBareText(text, `/spark/${name}`, problems);
    // spark-submit reads the first bare word as the application; one with a hyphen would be an option.
    if (text.startsWith('-')) problems.add(`/spark/${name}`, 'It can not begin with a hyphen.');
  }
  if (spark.javaOptions !== undefined) checkBareText(spark.javaOptions, '/spark/javaOptions', problems);
  for (const [index, argument] of (spark.arguments ?? []).entries())
    checkBareText(argument, `/spark/arguments/${index}`, problems);
  for (const [kind, items] of Object.entries(spark.dependencies ?? {}))
    for (const [index, item] of items.entries()) {
      checkBareText(item, `/spark/dependencies/${kind}/${index}`, problems);
      if (item.includes(',') || item.startsWith('-'))
        problems.add(
          `/spark/dependencies/${kind}/${index}`,
          'One item each, without a comma, not beginning with a hyphen.',
        );
    }
}

interface FileInput {
  readonly name: string;
  readonly content?: string;
  readonly secret?: SecretInput;
  readonly template?: boolean;
}

function readFiles(
  reader: FieldReader,
  entries: readonly FileInput[],
  variables: ReadonlySet<string>,
  warnings: SaveWarning[],
): FileField[] {
  const { problems } = reader;
  const result: FileField[] = [];
  for (const [index, entry] of entries.entries()) {
    const pointer = `/files/${index}`;
    checkFileName(entry.name, `${pointer}/name`, entries.slice(0, index), problems);
    if ((entry.content === undefined) === (entry.secret === undefined)) {
      problems.add(pointer, 'Give either "content" or "secret".');
      continue;
    }
    if (entry.secret !== undefined) {
      if (entry.template === true)
        problems.add(`${pointer}/template`, 'Only "content" can be a template; a secret is written as it is.');
      const reference = readReference(entry.secret, `${pointer}/secret`, problems, reader.scope);
      if (reference !== undefined) result.push({ name: entry.name, secret: toReferenceObject(reference) });
      continue;
    }
    const content = entry.content ?? '';
    if (entry.template === true) checkPlainText(content, `${pointer}/content`, problems);
    else checkFileText(content, `${pointer}/content`, problems, warnings);
    const problem = templateProblem(entry.name, content, entry.template === true);
    if (problem !== undefined) problems.add(`${pointer}/content`, problem);
    if (entry.template === true) checkTemplate(content, `${pointer}/content`, variables, problems);
    result.push({ name: entry.name, content, ...(entry.template === true ? { template: true } : {}) });
  }
  return result;
}

function checkFileName(name: string, pointer: string, earlier: readonly FileInput[], problems: FieldProblems): void {
  if (name === propertiesFileName) problems.add(pointer, `${propertiesFileName} is written from sparkConfig.`);
  for (const other of earlier) {
    // A folder can't be a file, and file systems that fold case would write one over the other.
    const [a, b] = [name.toLowerCase(), other.name.toLowerCase()];
    if (a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`))
      problems.add(pointer, 'Another file has this name or is in its way.');
  }
}

function checkTemplate(
  content: string,
  pointer: string,
  variables: ReadonlySet<string>,
  problems: FieldProblems,
): void {
  for (const part of parseText(content, true).parts) {
    if (part.kind === 'variable' && !variables.has(part.name))
      problems.add(
        pointer,
        `The template names ${part.name}, which is not in the environment; write $\${${part.name}} for the text itself.`,
      );
  }
}
