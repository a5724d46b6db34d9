/** Name under which a workload finds its Spark properties in its working folder. */
export const propertiesFileName = 'spark.properties';

/** What Spark masks in its own pages by default (Spark configuration, spark.redaction.regex). */
const sparkRedaction = '(?i)secret|password|token|access[.]?key';

/** `spark.redaction.regex` for variables and properties of these names; `undefined` where there are none. */
export function redactionRegex(secretNames: readonly string[]): string | undefined {
  if (secretNames.length === 0) return undefined;
  return [sparkRedaction, ...secretNames.map((name) => `\\Q${name}\\E`)].join('|');
}
