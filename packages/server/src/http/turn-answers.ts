import type { ServerResponse } from 'node:http';
import { Turn } from './turn.ts';

interface Ending {
  readonly response: ServerResponse;
  readonly text: string;
  readonly encoding: 'latin1' | 'utf8';
}

/**
 * Sends the answers of one turn together. A write to a socket wakes whoever waits at its other end, which costs the writer more
 * than to make the answer; the second one of a burst finds them awake.
 */
export class TurnAnswers {
  readonly #turn = new Turn<Ending>(({ response, text, encoding }) => void response.end(text, encoding));

  /** @param response with its headers written and nothing else */
  end(response: ServerResponse, text: string, encoding: Ending['encoding']): void {
    this.#turn.add({ response, text, encoding });
  }
}
