import { StrongroomError } from '@strongroom/contract/core';
import type { AuditChain } from '../audit/chain.ts';
import type { AuditEvent } from '../audit/event.ts';
import { encodeEvent, type EncodedEvent } from '../audit/record.ts';
import { asStrongroomError } from './errors.ts';
import { claimIdempotencyKey, storeIdempotentResult } from './idempotency.ts';
import type { LaneConnection } from './lane-connection.ts';
import type { LaneOutcome, LaneRequest } from './lane-protocol.ts';
import { andThen, type MaybePromise } from './maybe-promise.ts';
import type { Command, CommandContext, CommandMap, IdempotencyKey } from './store.ts';

/** Reruns of a command whose transaction another lane's got in the way of (deadlock, serialisation). */
const maxAttempts = 5;

/** What the whole batch shares while its transaction is open. */
interface OpenBatch {
  readonly now: number;
  readonly epoch: number;
  /** Of all its commands so far; they become records of the chain when the last one has run. */
  readonly events: EncodedEvent[];
  /** Read and locked by the first command that expects one; undefined before. */
  revision: number | undefined;
  /** A command of it deletes what must not stay in the store's files. */
  isErasing: boolean;
}

/** Where the batch stood before a command. */
interface CommandStart {
  readonly revision: number | undefined;
  readonly eventCount: number;
}

/** `savepoints`: one has to be undone that only a savepoint undoes. */
type BatchEnd = 'retry' | 'savepoints' | StrongroomError;

/** A failure that is not one command's own: nothing of the transaction stays. */
class BatchFailure extends Error {
  readonly outcome: BatchEnd;

  constructor(outcome: BatchEnd) {
    super('The batch failed', { cause: outcome });
    this.outcome = outcome;
  }
}

/**
 * Runs commands on one writing connection: a transaction per batch, a savepoint per command. Where savepoints cost much, a
 * batch first goes without; one in which a command is refused after it has written is run again with them. The same for both
 * databases; everything that differs is behind {@link LaneConnection}.
 */
export class BatchRunner {
  readonly #connection: LaneConnection;
  readonly #commands: ReadonlyMap<string, Command<unknown, unknown>>;
  #chain: AuditChain | undefined;

  constructor(connection: LaneConnection, commands: CommandMap) {
    this.#connection = connection;
    // Arguments were checked against the command's own type where `execute` was called.
    this.#commands = new Map(Object.entries(commands as Record<string, Command<unknown, unknown>>));
  }

  /** From now on commands can audit. After a COMMIT with an unknown outcome it is called again with a fresh chain. */
  useChain(chain: AuditChain | undefined): void {
    this.#chain?.close();
    this.#chain = chain;
  }

  /** Answers in the order of the requests; never rejects. */
  async run(requests: readonly LaneRequest[]): Promise<LaneOutcome<StrongroomError>[]> {
    const hopeful = await this.#attempt(requests, true);
    const outcomes = hopeful === 'savepoints' ? await this.#attempt(requests, false) : hopeful;
    if (outcomes instanceof StrongroomError) return requests.map(() => ({ ok: false, error: outcomes }));
    if (typeof outcomes === 'object') return outcomes;
    const alone: LaneOutcome<StrongroomError>[] = [];
    for (const request of requests) alone.push(await this.#runAlone(request));
    return alone;
  }

  async #runAlone(request: LaneRequest): Promise<LaneOutcome<StrongroomError>> {
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
      const outcomes = await this.#attempt([request], false);
      if (outcomes instanceof StrongroomError) return { ok: false, error: outcomes };
      if (typeof outcomes === 'object' && outcomes[0] !== undefined) return outcomes[0];
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt));
    }
    return {
      ok: false,
      error: new StrongroomError('version_conflict', { detail: 'Other writes kept getting in the way.' }),
    };
  }

  async #attempt(
    requests: readonly LaneRequest[],
    isHopeful: boolean,
  ): Promise<LaneOutcome<StrongroomError>[] | BatchEnd> {
    const start = this.#chain?.position();
    try {
      return await this.#transaction(requests, isHopeful);
    } catch (error) {
      if (start !== undefined) this.#chain?.reset(start);
      await this.#connection.rollback();
      if (error instanceof BatchFailure) return error.outcome;
      return this.#connection.batchFailure(error) ?? asStrongroomError(error);
    }
  }

  async #transaction(requests: readonly LaneRequest[], isHopeful: boolean): Promise<LaneOutcome<StrongroomError>[]> {
    const state = await this.#connection.begin(isHopeful);
    const batch: OpenBatch = { ...state, events: [], revision: undefined, isErasing: false };
    const context = this.#context(batch);
    const outcomes: LaneOutcome<StrongroomError>[] = [];
    const isAudited: boolean[] = [];
    for (const [index, request] of requests.entries()) {
      const savepoint = index === 0 ? undefined : this.#connection.nextSavepoint();
      if (savepoint !== undefined) await savepoint;
      const before = batch.events.length;
      const outcome = this.#inSavepoint(request, batch, context);
      outcomes.push(outcome instanceof Promise ? await outcome : outcome);
      isAudited.push(batch.events.length > before);
    }
    await this.#record(batch);
    await this.#connection.commit();
    if (batch.isErasing) this.#connection.erase();
    return this.#anchored(outcomes, isAudited);
  }

  async #record({ events, now }: OpenBatch): Promise<void> {
    if (events.length === 0) return;
    const chain = this.#openChain();
    await this.#connection.insertAuditRows(events.map((event) => chain.appendEncoded(event, now)));
  }

  /** At once where the command has nothing to wait for: what a promise costs is a part of what such a command does. */
  #inSavepoint(
    request: LaneRequest,
    batch: OpenBatch,
    context: CommandContext,
  ): MaybePromise<LaneOutcome<StrongroomError>> {
    const before: CommandStart = { revision: batch.revision, eventCount: batch.events.length };
    try {
      const running = this.#command(request, batch, context);
      if (!(running instanceof Promise)) return this.#accepted(request, running);
      return running
        .then((result) => this.#accepted(request, result))
        .catch((error: unknown) => this.#refused(error, batch, before));
    } catch (error) {
      return this.#refused(error, batch, before);
    }
  }

  #accepted(request: LaneRequest, result: unknown): LaneOutcome<StrongroomError> {
    const swallowed = this.#connection.transactionFailure();
    if (swallowed !== undefined) throw new BatchFailure(swallowed);
    if (this.#connection.isAborted()) throw new TypeError(`${request.name} went on after a statement failed`);
    return { ok: true, result };
  }

  async #refused(
    error: unknown,
    batch: OpenBatch,
    { revision, eventCount }: CommandStart,
  ): Promise<LaneOutcome<StrongroomError>> {
    if (error instanceof BatchFailure) throw error;
    const failure = this.#connection.batchFailure(error) ?? this.#connection.transactionFailure();
    if (failure !== undefined) throw new BatchFailure(failure);
    batch.revision = revision;
    batch.events.length = eventCount;
    if (!(await this.#connection.rollbackToSavepoint())) throw new BatchFailure('savepoints');
    return { ok: false, error: asStrongroomError(error) };
  }

  #command(request: LaneRequest, batch: OpenBatch, context: CommandContext): MaybePromise<unknown> {
    const { idempotency } = request;
    return idempotency === undefined
      ? this.#decided(request, batch, context)
      : this.#once(idempotency, request, batch, context);
  }

  /** The command unless it was run before under the same key. */
  async #once(key: IdempotencyKey, request: LaneRequest, batch: OpenBatch, context: CommandContext): Promise<unknown> {
    const replay = await claimIdempotencyKey(context, key);
    if (replay !== undefined) return replay.result;
    const result = await this.#decided(request, batch, context);
    await storeIdempotentResult(context, key, result);
    return result;
  }

  /** The command and its records, provided what it was decided by still stands. */
  #decided(request: LaneRequest, batch: OpenBatch, context: CommandContext): MaybePromise<unknown> {
    const command = this.#commands.get(request.name);
    if (command === undefined) throw new TypeError(`There is no command ${request.name}`);
    return andThen(this.#checkRevision(request.expectAuthorisationRevision, batch), () =>
      andThen(command(context, request.args), (result) => {
        if (request.audit.length > 0) this.#openChain();
        for (const event of request.audit) batch.events.push(event);
        return result;
      }),
    );
  }

  #checkRevision(expected: number | undefined, batch: OpenBatch): MaybePromise<void> {
    if (expected === undefined) return undefined;
    return andThen(batch.revision ?? this.#connection.lockAuthorisationRevision(), (revision) => {
      batch.revision = revision;
      if (revision !== expected)
        throw new StrongroomError('version_conflict', { detail: 'Access was changed since it was decided.' });
    });
  }

  #context(batch: OpenBatch): CommandContext {
    const connection = this.#connection;
    return {
      db: connection.db,
      now: batch.now,
      epoch: batch.epoch,
      audit: (event: AuditEvent) => {
        this.#openChain();
        batch.events.push(encodeEvent(event));
      },
      bumpAuthorisation: async () => {
        batch.revision = await connection.bumpAuthorisationRevision();
      },
      erase: () => {
        batch.isErasing = true;
      },
      run: (statement, parameters) => connection.run(statement, parameters),
      first: (statement, parameters) => connection.first(statement, parameters),
    };
  }

  #openChain(): AuditChain {
    if (this.#chain !== undefined) return this.#chain;
    throw new StrongroomError('audit_unavailable', { detail: 'The audit chain is not open.' });
  }

  /** The batch is on disk. Without its anchor line nothing that audits is answered as done. */
  #anchored(outcomes: LaneOutcome<StrongroomError>[], isAudited: readonly boolean[]): LaneOutcome<StrongroomError>[] {
    if (this.#chain === undefined) return outcomes;
    try {
      this.#chain.committed();
      return outcomes;
    } catch (cause) {
      const error =
        cause instanceof StrongroomError
          ? cause
          : new StrongroomError('audit_unavailable', { detail: 'The audit anchor could not be written.', cause });
      return outcomes.map((outcome, index) =>
        outcome.ok && isAudited[index] === true ? { ok: false as const, error } : outcome,
      );
    }
  }
}
