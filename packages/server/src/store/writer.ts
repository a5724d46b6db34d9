import { workerData } from 'node:worker_threads';
import { type AuditChainSettings, readChainOpening } from '../audit/chain.ts';
import { BatchRunner } from './batch.ts';
import { DiskReserve } from './disk-reserve.ts';
import { toErrorRecord } from './errors.ts';
import { type BatchAnswer, type LaneRequest, type PackedRequests, unpackRequests } from './lane-protocol.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { SqliteLaneConnection } from './sqlite-lane-connection.ts';
import { SpaceGuard } from './space-guard.ts';
import { loadProgram, type StoreThreadData } from './store-thread.ts';
import { answerCalls } from './thread.ts';

/** The writer thread: the only connection that writes, and the audit chain. */
const { database, program, reserve } = workerData as StoreThreadData;
const { commands, createAuditChain, essentialCommands } = await loadProgram(program);
const connection = new SqliteConnection(database, 'write');
const runner = new BatchRunner(new SqliteLaneConnection(connection), commands);
const run = (requests: readonly LaneRequest[]) => runner.run(requests);
const guard =
  reserve === undefined
    ? { run }
    : new SpaceGuard(run, new DiskReserve(reserve.directory, reserve.settings), essentialCommands ?? new Set());

answerCalls({
  ready: () => null,
  batch: async (requests: PackedRequests): Promise<BatchAnswer> => {
    const outcomes = await guard.run(unpackRequests(requests));
    return {
      results: outcomes.map((outcome) => (outcome.ok ? outcome.result : undefined)),
      failures: outcomes.flatMap((outcome, at) => (outcome.ok ? [] : [{ at, error: toErrorRecord(outcome.error) }])),
      tablesWritten: connection.takeTablesWritten(),
    };
  },
  startAudit: async (settings: AuditChainSettings) => {
    runner.useChain(createAuditChain({ ...settings, opening: await readChainOpening(connection.db) }));
  },
  close: () => {
    runner.useChain(undefined);
    connection.close();
  },
});
