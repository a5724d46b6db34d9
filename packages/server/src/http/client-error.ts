import { errorTable, StrongroomError } from '@strongroom/contract';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { problemBody, problemMediaType, toStrongroomError } from './problem.ts';
import { newRequestId } from './request-id.ts';

/**
 * Answers what Node's parser refused, for which there is no request: a bad request line, both kinds of length, headers
 * over the cap or slower than the timeout. The connection is closed, since nobody knows where the next request begins.
 */
export function answerClientError(error: Error, socket: Socket): void {
  const isReset = 'code' in error && error.code === 'ECONNRESET';
  if (isReset || !socket.writable || hasBegunAnswer(socket)) {
    socket.destroy();
    return;
  }
  const mapped = toStrongroomError(error);
  const problem = mapped.code === 'internal' ? new StrongroomError('request_malformed') : mapped;
  const requestId = newRequestId();
  const body = problemBody(problem, requestId);
  const { status, title } = errorTable[problem.code];
  socket.end(
    [
      `HTTP/1.1 ${status} ${title}`,
      `Content-Type: ${problemMediaType}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Cache-Control: no-store',
      'X-Content-Type-Options: nosniff',
      `X-Request-Id: ${requestId}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

/** `Expect` knows `100-continue` only (RFC 9110 §10.1.1), which Node answers itself. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const requestId = newRequestId();
  const problem = new StrongroomError('request_malformed', { detail: 'The header Expect asks for something unknown.' });
  response.writeHead(problem.status, {
    'content-type': problemMediaType,
    'cache-control': 'no-store',
    'x-request-id': requestId,
    connection: 'close',
  });
  response.end(problemBody(problem, requestId));
}

/** An answer already on its way would be corrupted by another. Node keeps it here and asks the same before its own answer. */
function hasBegunAnswer(socket: Socket & { readonly _httpMessage?: ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}
