import { receiptRow } from '../launches/receipts.ts';
import type { ReceiptDraft } from '../launches/resolve.ts';
import type { RunEnd, RunRow } from './commands.ts';
import type { StopReason } from './live-runs.ts';
import type { WorkloadExit } from './runner.ts';

/** How a run ends, put together on its way; says the first cause, never a value. */
export class RunEnding {
  args: RunEnd;

  constructor(row: RunRow, holder: string) {
    this.args = {
      id: row.id,
      holder,
      scopeId: row.scope_id,
      state: 'failed',
      exitCode: null,
      signal: null,
      failureCode: null,
      failureDetail: null,
      logBytes: 0,
      isLogCut: false,
      receipts: [],
    };
  }

  failed(code: string, detail: string): void {
    this.args = { ...this.args, state: 'failed', failureCode: code, failureDetail: detail };
  }

  stopped(): void {
    this.args = { ...this.args, state: 'stopped', failureCode: null, failureDetail: null };
  }

  /** Before there was a process. */
  stoppedBefore(reason: StopReason): void {
    if (reason === 'stop') this.stopped();
    else this.failed('server_stopped', 'The server was stopped before it began.');
  }

  refused(receipts: readonly ReceiptDraft[], problems: readonly string[]): void {
    const bad = receipts.filter(({ outcome }) => outcome !== 'resolved' && outcome !== 'withheld');
    const causes = [...bad.map(({ name, reference, outcome }) => `${name} (${reference}): ${outcome}`), ...problems];
    this.failed('launch_refused', causes.join('; '));
    this.args = { ...this.args, receipts: receipts.map(receiptRow) };
  }

  exited(
    { exitCode, signal, endedFor, failure }: WorkloadExit,
    stopReason: StopReason | undefined,
    timeoutSeconds?: number,
  ): void {
    this.args = { ...this.args, exitCode, signal };
    if (endedFor === 'timeout')
      this.failed(
        'timeout',
        timeoutSeconds === undefined
          ? 'It ran longer than it may and was stopped.'
          : `It ran longer than ${timeoutSeconds} seconds and was stopped.`,
      );
    else if (stopReason === 'shutdown') this.failed('server_stopped', 'The server was stopped while it ran.');
    else if (endedFor === 'stop') this.stopped();
    else if (failure !== undefined) this.failed(failure.code, failure.detail);
    else if (exitCode === 0) this.args = { ...this.args, state: 'succeeded' };
    else
      this.failed(
        'command_failed',
        signal === null
          ? `The command ended with exit code ${exitCode ?? '?'}.`
          : `The command was ended by ${signal}.`,
      );
  }

  logged(bytes: number, isCut: boolean): void {
    this.args = { ...this.args, logBytes: bytes, isLogCut: isCut };
  }
}
