// Spark for tests: pyspark, and Hadoop's connector to S3 where Maven can have it. The product starts it; here it is installed.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serverFolder } from './cache.ts';
import { isMissing, type LiveServer, locate, type Progress } from './live-server.ts';
import { runLong } from './long-command.ts';
import { installPythonPrograms } from './python-programs.ts';

const variable = 'STRONGROOM_LIVE_SPARK';
const connectorVariable = 'STRONGROOM_LIVE_SPARK_CONNECTOR';

export const spark: LiveServer = {
  name: 'spark',
  async install(progress) {
    const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
    // https://spark.apache.org/docs/latest/#downloading
    const [, major = '0'] = /version "(\d+)/.exec(java.stderr ?? '') ?? [];
    if (Number(major) < 17)
      return {
        reason: java.error === undefined ? `java is version ${major}, at least 17 is needed` : 'there is no java',
        install: 'apt-get install openjdk-17-jre-headless',
      };
    const wanted = { name: 'spark', version: '4.3.0', requirements: 'spark/requirements.txt', isForJobs: true };
    const made = await installPythonPrograms(wanted, progress);
    if (isMissing(made)) return made;
    const connector = await installConnector(progress);
    return { environment: { [variable]: made.folder, [connectorVariable]: connector ?? '' } };
  },
};

export interface SparkPrograms {
  /** The folder that has `spark-submit`, `spark-class` and `python3`, for a `PATH`. */
  readonly bin: string;
  /** Jars that open `s3a://` with `spark.driver.extraClassPath`; `null` where Maven could not have them. */
  readonly connector: string | null;
}

export async function sparkPrograms(): Promise<SparkPrograms> {
  const bin = join(await locate(spark, variable), 'bin');
  const given = process.env[connectorVariable] ?? (await installConnector(() => undefined)) ?? '';
  return { bin, connector: given === '' ? null : join(given, '*') };
}

/** The folder of the connector's jars; `null` without Maven or what it gets, since jobs can read from S3 without. */
async function installConnector(progress: Progress): Promise<string | null> {
  const pom = fileURLToPath(new URL('spark/pom.xml', import.meta.url));
  const folder = serverFolder('spark-connector', '3.5.0', [readFileSync(pom), 'without netty'], { isForJobs: true });
  const stamp = join(folder, 'installed');
  const jars = join(folder, 'jars');
  if (existsSync(stamp)) return jars;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  copyFileSync(pom, join(folder, 'pom.xml'));
  const args = [
    '-q',
    '-B',
    '-f',
    join(folder, 'pom.xml'),
    'dependency:copy-dependencies',
    `-DoutputDirectory=${jars}`,
    // Spark has its own, of other versions.
    '-DexcludeGroupIds=io.netty,org.slf4j',
  ];
  const command = { program: 'mvn', args, doing: 'getting the connector of Spark to S3', limitMinutes: 20 };
  const { code } = await runLong({ ...command, cwd: folder, niceness: 10 }, progress);
  if (code !== 0) {
    rmSync(folder, { recursive: true, force: true });
    return null;
  }
  writeFileSync(stamp, '3.5.0\n');
  return jars;
}
