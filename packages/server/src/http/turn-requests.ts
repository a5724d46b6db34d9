import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Turn } from './turn.ts';

/**
 * A listener that hands the requests of one turn on together: the first step of each, then the next of each. Whose client is
 * gone by then is handed to nobody: nothing of it has been looked at, and its connection tells of no end any more.
 */
export function turnRequests(listener: RequestListener): RequestListener {
  const turn = new Turn<[IncomingMessage, ServerResponse]>(([request, response]) => {
    if (!request.destroyed && !response.destroyed) listener(request, response);
  });
  return (request, response) => turn.add([request, response]);
}
