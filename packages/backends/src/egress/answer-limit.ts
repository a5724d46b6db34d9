import type { Socket } from 'node:net';
import { EgressError } from './errors.ts';

/** How often a connection is looked at over which somebody else put TLS. */
const lookMilliseconds = 10;

/**
 * Ends a connection once more has come in over it than may, whoever reads it and whatever is put over it; libraries collect
 * an answer whole, however long it is. What comes of the encrypted kind counts as it comes, TLS's own bytes included.
 */
export class AnswerLimit {
  readonly #socket: Socket;
  readonly #label: string;
  readonly #maxBytes: number;
  #secured: Socket | undefined;
  #isExceeded = false;

  /** @param socket as it was connected. @param label `host:port` for the message */
  constructor(socket: Socket, label: string, maxBytes: number) {
    this.#socket = socket;
    this.#label = label;
    this.#maxBytes = maxBytes;
    if (!Number.isFinite(maxBytes)) return;
    this.#watch(socket);
    // TLS over it reads below it, where no piece passes by.
    const timer = setInterval(() => this.#isWithin(), lookMilliseconds).unref();
    socket.once('close', () => clearInterval(timer));
  }

  /** Whether it was this that ended the connection. */
  get isExceeded(): boolean {
    return this.#isExceeded;
  }

  /** TLS over the connection ends with it, and says why. */
  carry(secured: Socket): void {
    this.#secured = secured;
    if (Number.isFinite(this.#maxBytes)) this.#watch(secured);
  }

  /** Looks before a piece gets to anybody. */
  #watch(connection: Socket): void {
    const push = connection.push.bind(connection);
    connection.push = (piece, encoding) => this.#isWithin() && push(piece, encoding);
  }

  #isWithin(): boolean {
    if (this.#isExceeded) return false;
    if (this.#socket.bytesRead <= this.#maxBytes) return true;
    this.#isExceeded = true;
    const error = new EgressError('backend_malformed', 'answer', {
      detail: `${this.#label} sent more than ${this.#maxBytes} bytes.`,
    });
    this.#secured?.destroy(error);
    this.#socket.destroy(error);
    return false;
  }
}
