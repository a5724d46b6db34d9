/**
 * Spark properties and variables whose values are seen outside the program: no secret goes into one, neither as a reference nor
 * by a placeholder.
 */

/** Spark, "Configuration" ("Runtime Environment") and `SparkConf.isExecutorStartupConf`: what becomes part of a JVM's command. */
const onCommandLine: readonly RegExp[] = [
  /JavaOptions$/,
  /\.extra(?:ClassPath|LibraryPath)$/,
  /^spark\.(?:driver|executor|yarn\.am)\.memory$/,
  /^spark\.(?:auth(?!enticate\.secret$)|rpc|network)/,
  /^spark\.ssl(?!.*Password)/,
  /^spark\.port\.|\.port$/,
];
/** Spark, "Running Spark on Kubernetes" ("Spark Properties"): labels, annotations, volumes of pods. */
const inPods = /^spark\.kubernetes\./;
/** There a variable of an executor is written into its pod. */
const inPodsOfOperators = /^spark\.executorEnv\./;

/** Options for JVMs that Spark's scripts start (`SPARK_SUBMIT_OPTS`, `SPARK_DAEMON_JAVA_OPTS`, …), and for `spark-submit`. */
const variableOnCommandLine = /^SPARK_[A-Z_]*OPTS$|^PYSPARK_SUBMIT_ARGS$/;

/** Why nothing secret goes into a variable; `undefined`: it may. */
export function variableExposureOf(name: string): string | undefined {
  if (!variableOnCommandLine.test(name)) return undefined;
  return 'Nothing secret goes here: Spark puts this variable on a command line, which every user of the machine can read. Use another variable or a file.';
}

/** Why nothing secret goes into a property; `undefined`: it may. @param isForOperator what is known at a launch alone */
export function exposureOf(property: string, isForOperator = false): string | undefined {
  if (onCommandLine.some((pattern) => pattern.test(property)))
    return 'Nothing secret goes here: Spark puts this property on a command line, which every user of the machine can read. Use another property, an environment variable or a file.';
  if (inPods.test(property) || (isForOperator && inPodsOfOperators.test(property)))
    return 'Nothing secret goes here: Spark describes pods with this property, and pods hold no value. Use an environment variable or a file.';
  return undefined;
}
