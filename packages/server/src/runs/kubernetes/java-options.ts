/**
 * How secret Spark properties reach a driver that an operator starts: Spark takes `spark.*` from the JVM's system properties
 * (SparkConf, `loadDefaults`), and the JVM takes options from a file (The java Command, "java Command-Line Argument Files",
 * "Using the JDK_JAVA_OPTIONS Launcher Environment Variable"). So no value is in the object, nor in an argument of a process.
 */
export const javaOptionsVariable = 'JDK_JAVA_OPTIONS';
export const javaOptionsFileName = '.java-options';

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\f': '\\f',
};

export function javaOptionsFile(properties: readonly (readonly [name: string, text: string])[]): Buffer {
  return Buffer.from(
    properties
      .map(([name, text]) => `"-D${name}=${text.replaceAll(/[\\"\n\r\t\f]/g, (each) => escapes[each] ?? each)}"\n`)
      .join(''),
  );
}
