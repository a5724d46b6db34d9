import type { SpecFile } from '../../runs/process-spec.ts';
import { storageProperties } from '../consumed-storage.ts';
import type { Rendered, RenderInput } from '../definition.ts';
import { isSecretField } from '../named-fields.ts';
import { addJavaUser, withRedaction, propertiesFileName } from '../properties-file.ts';
import { type PlacedText, resourcesOf, ValueRenderer } from '../rendering.ts';
import type { ComputeClusterDocument } from './document.ts';

const superviseFileName = 'cluster.sh';

/**
 * One command that has a Spark standalone master and its workers (Spark, "Spark Standalone Mode"; `--properties-file` of both
 * daemons): all of it ends when one of them ends. The master listens on loopback, on a port of its own choice, and says so in
 * the run's log. `spark-class` is found as `spark-submit` is.
 *
 * Arguments: properties file or an empty text, workers, cores and memory of each or an empty text.
 */
const supervise = `#!/bin/sh
set -u
properties=$1 workers=$2 cores=$3 memory=$4
trap '' PIPE
mkfifo master.output || exit 1

start() {
  class=$1
  shift
  if [ -n "$properties" ]; then set -- --properties-file "$properties" "$@"; fi
  exec spark-class "org.apache.spark.deploy.$class" "$@"
}

finish() {
  trap '' TERM
  kill -TERM 0
  wait
  exit "$1"
}
trap 'finish 143' TERM INT

work() {
  set -- "$address"
  if [ -n "$memory" ]; then set -- --memory "$memory" "$@"; fi
  if [ -n "$cores" ]; then set -- --cores "$cores" "$@"; fi
  start worker.Worker --host 127.0.0.1 --port 0 --webui-port 0 --work-dir "$PWD/spark-work" "$@"
}

(start master.Master --host 127.0.0.1 --port 0 --webui-port 0) > master.output 2>&1 &
master=$!
address=
{
  while IFS= read -r line; do
    printf '%s\\n' "$line"
    case $line in
      *'Starting Spark master at spark://'*)
        address=spark://\${line##*spark://}
        count=0
        while [ "$count" -lt "$workers" ]; do
          count=$((count + 1))
          ( (work); echo 'A worker ended; the cluster ends with it.' >&2; kill -TERM "$master") &
        done
        ;;
    esac
  done
} < master.output
wait "$master"
status=$?
[ "$status" -eq 0 ] && status=1
finish "$status"
`;

/** A compute cluster with its values, ready to be started. */
export function renderComputeCluster(document: ComputeClusterDocument, input: RenderInput): Rendered {
  const renderer = new ValueRenderer(input);
  const environment = renderer.environment(document.environment);
  const properties = new Map<string, PlacedText>([
    ...storageProperties(input.storage, renderer),
    ...renderer.properties(document.sparkConfig),
  ]);
  const secretNames = [...document.environment, ...document.sparkConfig].filter(isSecretField).map(({ name }) => name);
  addJavaUser(environment, input);
  const propertiesFile = renderer.propertiesFile(withRedaction(properties, secretNames));
  const script: SpecFile = { name: superviseFileName, content: Buffer.from(supervise), isSecret: false };
  const { workers = 1, workerCores, workerMemory } = document.sizes ?? {};
  return renderer.rendered({
    command: [
      'sh',
      `${input.home}/${superviseFileName}`,
      propertiesFile === undefined ? '' : `${input.home}/${propertiesFileName}`,
      String(workers),
      workerCores === undefined ? '' : String(workerCores),
      workerMemory ?? '',
    ],
    environment,
    files: propertiesFile === undefined ? [script] : [script, propertiesFile],
    // All workers are in it.
    ...resourcesOf(workerCores === undefined ? undefined : workers * workerCores, undefined),
  });
}
