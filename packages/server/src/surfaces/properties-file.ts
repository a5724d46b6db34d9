import type { RenderInput } from './definition.ts';
import type { PlacedText } from './rendering.ts';

/** Name under which a workload finds its Spark properties in its working folder. */
export const propertiesFileName = 'spark.properties';

/** What Spark masks in its own pages by default (Spark configuration, spark.redaction.regex). */
const sparkRedaction = '(?i)secret|password|token|access[.]?key';

const redactionProperty = 'spark.redaction.regex';

/**
 * Properties that have Spark mask what is secret: its own words and the names of secret variables and properties, beside what
 * the configuration asks for itself. No value is part of it.
 */
export function withRedaction(
  properties: ReadonlyMap<string, PlacedText>,
  secretNames: readonly string[],
): Map<string, PlacedText> {
  const own = properties.get(redactionProperty)?.text;
  // Spark's own words are those of its default: they are to be said only where it has none.
  if (secretNames.length === 0 && own === undefined) return new Map(properties);
  const ours = [sparkRedaction, ...secretNames.map((name) => `\\Q${name}\\E`)].join('|');
  const text = own === undefined ? ours : `(?:${own})|(?:${ours})`;
  return new Map([
    [redactionProperty, { text, isSecret: false }],
    ...properties,
    [redactionProperty, { text, isSecret: false }],
  ]);
}

/**
 * Java and Hadoop ask the system's list of users who they are and where their home is; the user of a job is not in it, and
 * the server's own home is not the job's. What the configuration sets itself stands. Quoted for `JDK_JAVA_OPTIONS` (The java
 * Command, "Using the JDK_JAVA_OPTIONS Launcher Environment Variable").
 */
export function addJavaUser(environment: Map<string, string>, { home, hasOwnUser = false }: RenderInput): void {
  const options = 'JDK_JAVA_OPTIONS';
  const own = environment.get(options) ?? '';
  if (!own.includes('-Duser.home=')) environment.set(options, `"-Duser.home=${home}"${own === '' ? '' : ` ${own}`}`);
  if (!hasOwnUser) return;
  for (const name of ['HADOOP_USER_NAME', 'SPARK_USER']) if (!environment.has(name)) environment.set(name, sparkUser);
}

const sparkUser = 'spark';
