import { StrongroomError } from '@strongroom/contract';
import { type DestinationStream, type Logger, pino } from 'pino';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'isLevelEnabled'>;
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * The server's log: one JSON object a line, so that nothing in a field can make a line of its own. Errors are described,
 * never printed: the messages of foreign errors quote what they were given.
 */
export function createLog(
  level: LogLevel,
  destination: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError, error: describeError, req: () => undefined, res: () => undefined },
    },
    destination,
  );
}

interface ErrorDescription {
  readonly name: string;
  readonly code?: string;
  readonly detail?: string;
  readonly stack?: readonly string[];
  readonly cause?: ErrorDescription;
}

const maxCauses = 4;
/** A frame as V8 writes it; anything else in a stack is the message. */
const stackFrame = /^ {4}at (?:[^\n]* )?\(?(?:file:|node:|\/|<anonymous>)[^\s()]*\)?$/;

/**
 * Name, code and frames of an error and its causes. The message is kept only of our own errors, which hold no values by
 * contract; of all others it may quote input, addresses with credentials, or headers.
 */
export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { name: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const detail = error instanceof StrongroomError && error.detail !== undefined ? { detail: error.detail } : {};
  const frames = (error.stack ?? '').split('\n').filter((line) => stackFrame.test(line));
  const cause =
    error.cause === undefined || depth === maxCauses ? {} : { cause: describeError(error.cause, depth + 1) };
  return { name: error.name, ...code, ...detail, stack: frames.slice(0, 12).map((line) => line.trim()), ...cause };
}
