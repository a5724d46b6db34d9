import { expect, it } from 'vitest';
import type { TestServer } from './app.ts';
import { freshName } from './samples.ts';

/** A runner, as the contract of all runners drives it. */
export interface RunnerUnderTest {
  /** The server; its domain `finance` has the secret `db-password`. */
  readonly test: TestServer;
  readonly value: string;
  /** What makes a Spark job one of this runner, which runs until it is told to end. */
  readonly job: object;
  /** Has a run that goes on write the line `it is VALUE` and end. */
  end(id: string, exitCode: number): Promise<void>;
  /** When nothing that the run had is left. */
  assertGone(id: string): Promise<void>;
}

interface Run {
  readonly state: string;
  readonly exitCode?: number;
  readonly failure?: { readonly code: string };
  readonly runner: string;
}

const base = '/v1/domains/finance';
const environment = [{ name: 'PGPASSWORD', secret: 'secret://domain/managed/db-password' }];

/** What every runner promises to who starts a run, whatever is below it. */
export function runnerContract(name: string, runner: () => RunnerUnderTest): void {
  const start = async (job: object): Promise<string> => {
    const { test, job: common } = runner();
    const body = {
      name: freshName(),
      environment,
      ...common,
      ...job,
    };
    await test.call('POST', `${base}/spark-jobs`, { body });
    return (await test.call<{ id: string }>('POST', `${base}/spark-jobs/${body.name}/runs`)).id;
  };
  const show = (id: string): Promise<Run> => runner().test.call<Run>('GET', `${base}/runs/${id}`);
  const ended = async (id: string): Promise<Run> => {
    await expect.poll(async () => (await show(id)).state).not.toMatch(/queued|running/);
    return show(id);
  };

  it.each<[number, object]>([
    [0, { state: 'succeeded', exitCode: 0 }],
    [7, { state: 'failed', exitCode: 7, failure: { code: 'command_failed' } }],
  ])('keeps the exit code %i and a masked log, and leaves nothing', async (exitCode, expected) => {
    const id = await start({});
    await runner().end(id, exitCode);
    expect(await ended(id)).toMatchObject({ ...expected, runner: name });
    const { text } = await runner().test.request('GET', `${base}/runs/${id}/log`);
    expect(text).toContain('it is [redacted:PGPASSWORD]\n');
    expect(text).not.toContain(runner().value);
    await runner().assertGone(id);
  });

  it('stops a run when it is asked to, and not twice', async () => {
    const id = await start({});
    await expect.poll(async () => (await show(id)).state).toBe('running');
    await runner().test.call('POST', `${base}/runs/${id}/stop`);
    expect(await ended(id)).toMatchObject({ state: 'stopped' });
    await runner().assertGone(id);
    expect((await runner().test.request('POST', `${base}/runs/${id}/stop`)).status).toBe(409);
  });

  it('ends what is late', async () => {
    const id = await start({ timeoutSeconds: 1 });
    expect(await ended(id)).toMatchObject({ state: 'failed', failure: { code: 'timeout' } });
    await runner().assertGone(id);
  });

  it('starts nothing when a reference does not resolve', async () => {
    const { test } = runner();
    await test.call('POST', `${base}/secrets`, { body: { key: `gone-${name}`, value: 'short-lived' } });
    const gone = { name: 'GONE', secret: `secret://domain/managed/gone-${name}` };
    const body = { name: `refused-${name}`, ...runner().job, environment: [...environment, gone] };
    await test.call('POST', `${base}/spark-jobs`, { body });
    await test.call('DELETE', `${base}/secrets/gone-${name}?force=true`);
    const { id } = await test.call<{ id: string }>('POST', `${base}/spark-jobs/${body.name}/runs`);
    expect(await ended(id)).toMatchObject({ state: 'failed', failure: { code: 'launch_refused' } });
    await runner().assertGone(id);
  });
}
