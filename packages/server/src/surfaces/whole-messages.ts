import type { Socket } from 'node:net';

/** Why what a server sends is not read on. Nothing of it is kept. */
export class MessageRefusal extends Error {
  override readonly name = 'MessageRefusal';
  readonly reason: 'malformed' | 'truncated';

  /** @param reason `truncated`: it goes past a limit of ours */
  constructor(reason: MessageRefusal['reason']) {
    super(`What was sent is ${reason}`);
    this.reason = reason;
  }
}

/**
 * Puts a check between a connection and the library that reads it: the library gets whole messages alone, one at a time, and
 * none that has not the shape of its protocol. Parsers throw at such, where nobody catches it, or go on for ever.
 *
 * @param take gives the messages that end with this piece, in order; throws {@link MessageRefusal}, which ends the connection
 * @returns why it was ended by this; `undefined`: it was not
 */
export function checkMessages(
  socket: Socket,
  take: (piece: Buffer) => Iterable<Buffer>,
): () => MessageRefusal['reason'] | undefined {
  // Nobody asked for what is there already.
  let refusal: MessageRefusal['reason'] | undefined = socket.readableLength > 0 ? 'malformed' : undefined;
  if (refusal !== undefined) socket.destroy();
  const push = socket.push.bind(socket);
  socket.push = (piece: Buffer | null) => {
    if (piece === null) return push(piece);
    let isWanted = true;
    try {
      for (const message of take(piece)) isWanted = push(message);
    } catch (error) {
      if (!(error instanceof MessageRefusal)) throw error;
      refusal = error.reason;
      socket.destroy();
    }
    return isWanted;
  };
  return () => refusal;
}
