import type { ServerResponse } from 'node:http';

interface Ending {
  readonly response: ServerResponse;
  readonly text: string;
  readonly encoding: 'latin1' | 'utf8';
}

/**
 * Sends the answers that one turn of the event loop makes together, at its end. A write to a socket wakes whoever waits at
 * its other end, which costs the writer more than to make the answer; the second one of a burst finds them awake. With one
 * request at a time nothing waits: its turn ends at once.
 */
export class TurnAnswers {
  #endings: Ending[] = [];

  /** @param response with its headers written and nothing else */
  end(response: ServerResponse, text: string, encoding: Ending['encoding']): void {
    if (this.#endings.length === 0) setImmediate(() => this.#endAll());
    this.#endings.push({ response, text, encoding });
  }

  #endAll(): void {
    const endings = this.#endings;
    this.#endings = [];
    for (const { response, text, encoding } of endings) response.end(text, encoding);
  }
}
