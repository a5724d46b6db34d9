import type { Field, SurfaceDefinition } from '../definition.ts';
import { fromReferenceObject, type SparkJobDocument, type SparkJobInput } from './document.ts';
import { normaliseSparkJob } from './normalise.ts';
import { renderSparkJob } from './render.ts';

/** The surface `spark-job`. */
export const sparkJobSurface: SurfaceDefinition<SparkJobInput, SparkJobDocument> = {
  type: 'spark-job',
  title: 'Spark job',
  actions: {
    create: 'spark-job.create',
    view: 'spark-job.view',
    update: 'spark-job.update',
    delete: 'spark-job.delete',
    suspend: 'spark-job.suspend',
    launch: 'spark-job.run',
  },
  normalise: normaliseSparkJob,
  parse: (json) => JSON.parse(json) as SparkJobDocument,
  fields: sparkJobFields,
  render: renderSparkJob,
  /** Anything but sizes, timeout and description can redirect a value: a command, a file, a host in a variable. */
  authorityPart: ({ sizes: _sizes, timeoutSeconds: _timeout, description: _description, ...rest }) => rest,
};

function sparkJobFields(document: SparkJobDocument): Field[] {
  const fields: Field[] = [];
  for (const list of ['environment', 'sparkConfig', 'files'] as const) {
    for (const [index, entry] of document[list].entries()) {
      const pointer = `/${list}/${index}`;
      if (entry.secret !== undefined) {
        fields.push({
          pointer: `${pointer}/secret`,
          name: entry.name,
          content: { kind: 'reference', reference: fromReferenceObject(entry.secret) },
        });
        continue;
      }
      const isFile = list === 'files';
      const text = 'content' in entry ? entry.content : 'value' in entry ? entry.value : undefined;
      fields.push({
        pointer: `${pointer}/${isFile ? 'content' : 'value'}`,
        name: entry.name,
        content: { kind: 'text', text: text ?? '' },
      });
    }
  }
  return fields;
}
