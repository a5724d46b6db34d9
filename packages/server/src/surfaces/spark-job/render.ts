import { formatReference } from '@strongroom/contract';
import type { ProcessSpec, SparkProgram, SpecFile } from '../../runs/process-spec.ts';
import { addStorageVariables, storageProperties } from '../consumed-storage.ts';
import type { Rendered, RenderInput } from '../definition.ts';
import { escaperOf } from '../file-formats.ts';
import { given } from '../launch-inputs.ts';
import { fromReferenceObject, isSecretField } from '../named-fields.ts';
import { addJavaUser, withRedaction, propertiesFileName } from '../properties-file.ts';
import { type PlacedText, resourcesOf, ValueRenderer } from '../rendering.ts';
import type { SparkApplication, SparkJobDocument } from './document.ts';

/** A Spark job with its values, ready to be started. */
export function renderSparkJob(document: SparkJobDocument, input: RenderInput): Rendered {
  const renderer = new ValueRenderer(input);
  const environment = renderer.environment(document.environment);
  const isForOperator = input.isForOperator === true && document.spark !== undefined;
  const properties = new Map<string, PlacedText>([
    // An operator has fields of its own for what follows from these.
    ...(isForOperator ? [] : derivedProperties(document)),
    ...storageProperties(input.storage, renderer),
    ...renderer.properties(document.sparkConfig),
  ]);
  const secretNames = [...document.environment, ...document.sparkConfig].filter(isSecretField).map(({ name }) => name);
  // A command may be a `spark-submit` of its own, with the same file.
  const isSpark = document.spark !== undefined || properties.size > 0;
  const masked = isSpark ? withRedaction(properties, secretNames) : properties;
  const propertiesFile = isForOperator ? undefined : renderer.propertiesFile(masked);
  const files = document.files.map((_file, index) => renderFile(renderer, document, index, environment));
  if (propertiesFile !== undefined) files.push(propertiesFile);
  if (document.command !== undefined) addStorageVariables(environment, input.storage, renderer);
  if (document.spark !== undefined && !isForOperator) addJavaUser(environment, input);
  const spec: ProcessSpec = {
    command: document.command ?? sparkSubmit(document.spark ?? {}, input, propertiesFile !== undefined),
    environment,
    files,
    ...(document.workingDirectory === undefined ? {} : { workingDirectory: document.workingDirectory }),
    ...(document.timeoutSeconds === undefined ? {} : { timeoutSeconds: document.timeoutSeconds }),
    ...resourcesOf(document.sizes?.driverCores, document.sizes?.driverMemory),
    ...(isForOperator ? { spark: sparkProgram(document, masked) } : {}),
  };
  return renderer.rendered(spec);
}

function sparkProgram(
  { spark = {}, sizes }: SparkJobDocument,
  properties: ReadonlyMap<string, PlacedText>,
): SparkProgram {
  const { mainClass, mainFile, jar, javaOptions, dependencies } = spark;
  return {
    mainFile: mainFile ?? jar ?? '',
    arguments: spark.arguments ?? [],
    properties: new Map(properties),
    ...given({ mainClass, javaOptions, dependencies, sizes }),
  };
}

function renderFile(
  renderer: ValueRenderer,
  document: SparkJobDocument,
  index: number,
  environment: ReadonlyMap<string, string>,
): SpecFile {
  const { name, secret, content = '', template = false } = document.files[index] ?? { name: '' };
  const pointer = `/files/${index}`;
  if (secret !== undefined) {
    const reference = formatReference(fromReferenceObject(secret));
    return { name, content: renderer.bytes({ pointer: `${pointer}/secret`, reference }), isSecret: true };
  }
  let isSecret = false;
  const text = renderer.fill(content, `${pointer}/content`, {
    variables: template ? environment : undefined,
    secretVariables: new Set(document.environment.filter(isSecretField).map((entry) => entry.name)),
    escape: escaperOf(name),
    onSecret: () => (isSecret = true),
    fileName: name,
  });
  return { name, content: Buffer.from(text), isSecret };
}

/** Properties that follow from other fields; what the job sets itself stands. */
function derivedProperties(document: SparkJobDocument): Map<string, PlacedText> {
  if (document.spark === undefined) return new Map();
  const { sizes = {}, spark } = document;
  const values: Readonly<Record<string, string | number | undefined>> = {
    'spark.driver.cores': sizes.driverCores,
    'spark.driver.memory': sizes.driverMemory,
    'spark.executor.cores': sizes.executorCores,
    'spark.executor.memory': sizes.executorMemory,
    'spark.executor.instances': sizes.executorInstances,
    'spark.driver.extraJavaOptions': spark.javaOptions,
    'spark.executor.extraJavaOptions': spark.javaOptions,
  };
  return new Map(
    Object.entries(values).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, { text: String(value), isSecret: false }] as const],
    ),
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
