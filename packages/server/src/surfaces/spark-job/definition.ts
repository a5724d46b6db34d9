import { surfaceActions } from '@strongroom/contract';
import type { Field, SurfaceDefinition } from '../definition.ts';
import { hasFormat } from '../file-formats.ts';
import { fieldsOf, fromReferenceObject } from '../named-fields.ts';
import type { SparkJobDocument, SparkJobInput } from './document.ts';
import { normaliseSparkJob } from './normalise.ts';
import { renderSparkJob } from './render.ts';

/** The surface `spark-job`. */
export const sparkJobSurface: SurfaceDefinition<SparkJobInput, SparkJobDocument> = {
  type: 'spark-job',
  title: 'Spark job',
  scope: 'domain',
  actions: surfaceActions['spark-job'],
  normalise: normaliseSparkJob,
  parse: (json) => JSON.parse(json) as SparkJobDocument,
  fields: sparkJobFields,
  consumes: ({ storageConfigs = [] }) => storageConfigs,
  launch: { action: surfaceActions['spark-job'].launch, runsUntilStopped: false, render: renderSparkJob },
  /** Anything but sizes, timeout and description can redirect a value: a command, a file, a host in a variable. */
  authorityPart: ({ sizes: _sizes, timeoutSeconds: _timeout, description: _description, ...rest }) => rest,
};

function sparkJobFields(document: SparkJobDocument): Field[] {
  const files = document.files.map(({ name, content, secret, template }, index): Field => {
    const pointer = `/files/${index}`;
    if (secret === undefined) {
      // A value is escaped in a text of a known format, and not where it is the whole file.
      const canRefer = template !== true && !hasFormat(name);
      return { pointer: `${pointer}/content`, name, content: { kind: 'text', text: content ?? '', canRefer } };
    }
    const reference = fromReferenceObject(secret);
    return { pointer: `${pointer}/secret`, name, content: { kind: 'reference', reference } };
  });
  return [...fieldsOf('environment', document.environment), ...fieldsOf('sparkConfig', document.sparkConfig), ...files];
}
