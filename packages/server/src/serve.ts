import { StrongroomError } from '@strongroom/contract';
import { ConfigurationError, loadConfiguration } from './config/load.ts';
import { processEnvironment } from './config/environment.ts';
import { createDemo, type DemoOutcome, demoProblems } from './demo/demo.ts';
import { endOnUncaught, hardenProcess } from './operation/hardening.ts';
import { createLog } from './operation/log.ts';
import { releaseStartMemory } from './operation/start-memory.ts';
import { type RunningServer, startServer } from './start.ts';

export interface ServeOptions {
  /** `--config` */
  readonly configFile?: string | undefined;
  /** `--demo`: makes the demo domain, once. */
  readonly demo?: boolean | undefined;
}

/**
 * The whole life of a server process: reads the configuration, starts, says where it is, and ends on SIGTERM or SIGINT (at
 * once on the second). Resolves with the exit code.
 *
 * @throws ConfigurationError, StrongroomError of the step that failed
 */
export async function serve(options: ServeOptions = {}): Promise<number> {
  hardenProcess();
  const configuration = loadConfiguration(processEnvironment(), options);
  const { settings } = configuration;
  const problems = options.demo === true ? demoProblems(settings) : [];
  if (problems.length > 0) throw new ConfigurationError(problems);
  const log = createLog(settings.logLevel);
  endOnUncaught(log);
  const signalled = new Promise<0>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        resolve(0);
        process.once(signal, () => process.exit(1));
      });
  });
  const server = await startServer({ configuration, log }).catch((error: unknown) => {
    // Ours say themselves what is wrong; of others only the log can say where they came from.
    if (!(error instanceof ConfigurationError || error instanceof StrongroomError))
      log.error({ error }, 'the server could not start');
    throw error;
  });
  const demo = options.demo === true ? await demoOf(server) : undefined;
  // With the anchor on the standard output every line there is a line of it.
  const out = settings.auditAnchor.kind === 'stdout' ? process.stderr : process.stdout;
  out.write(greeting(server, demo));
  releaseStartMemory();
  const code = await Promise.race([signalled, server.failed.then(() => 1 as const)]);
  if (code !== 0) log.error({}, 'the store has ended; so does the server');
  await server.stop();
  return code;
}

/** A server that can't make what it was asked for ends, like one that can't start. */
async function demoOf(server: RunningServer): Promise<DemoOutcome> {
  try {
    return await createDemo(server);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const demoLines: Readonly<Record<DemoOutcome, string>> = {
  made: 'the domain demo was made; to see it work: strongroom job run demo-report --domain demo --follow',
  present: 'the domain demo was made before; nothing was changed',
  taken: 'not made: there is another domain named demo',
};

/** What a person sees at start: where it is, how to get in, what to know. */
export function greeting(
  server: Pick<RunningServer, 'version' | 'url' | 'metricsUrl' | 'signInLink' | 'created' | 'recovery' | 'warnings'>,
  demo?: DemoOutcome,
): string {
  const lines = [`Strongroom ${server.version}`, '', `  Address   ${server.url}`];
  if (server.metricsUrl !== undefined) lines.push(`  Metrics   ${server.metricsUrl}`);
  if (server.signInLink !== null)
    lines.push(
      `  Sign in   ${server.signInLink.url}`,
      `            as ${server.signInLink.userName}, once, until ${server.signInLink.expiresAt.toISOString().slice(11, 16)} UTC; until it is used, every start makes a new one`,
    );
  if (server.created === 'service-account')
    lines.push('  Sign in   with the token of the bootstrap file, as service-account:bootstrap');
  if (server.recovery !== null)
    lines.push(
      `  Recovery  ${server.recovery.recoveryKey}`,
      `            shown this once: write it down, apart from the kit, then: strongroom recovery confirm ${server.recovery.kitFile}`,
    );
  if (demo !== undefined) lines.push(`  Demo      ${demoLines[demo]}`);
  if (server.warnings.length > 0) lines.push('', ...server.warnings.map((warning) => `  ! ${warning}`));
  return `\n${lines.join('\n')}\n\n`;
}
